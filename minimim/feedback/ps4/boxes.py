"""The black boxes that ps4.4 asks about, each with a leak that one kind of wrong test does not see, or with none.

A box is called as predict(images, hidden), with its patch_size known beforehand, and gives (B, N, T).
"""

import torch
from torch import Tensor


def cut(images: Tensor, patch_size: int) -> Tensor:
    """The numbers of each patch: (B, C, H, W) → (B, N, C·P·P)."""
    patches = images.unfold(2, patch_size, patch_size).unfold(3, patch_size, patch_size)  # (B, C, rows, cols, P, P)
    return patches.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)


def pixels(images: Tensor, hidden: Tensor, patch_size: int) -> Tensor:
    """Where pixels are hidden: (B, N) → (B, 1, H, W)."""
    grid = hidden.unflatten(1, (images.shape[2] // patch_size, images.shape[3] // patch_size))
    return grid.repeat_interleave(patch_size, 1).repeat_interleave(patch_size, 2).unsqueeze(1)


def under(images: Tensor, hidden: Tensor, patch_size: int) -> Tensor:
    """The sum of what each image hides: (B,)."""
    return (cut(images, patch_size) * hidden.unsqueeze(-1)).sum((1, 2))


def total(images: Tensor, hidden: Tensor, patch_size: int) -> Tensor:
    """Every place says the sum of all pixels."""
    return images.sum((1, 2, 3)).view(-1, 1, 1).repeat(1, hidden.shape[1], 1)


def energy(images: Tensor, hidden: Tensor, patch_size: int) -> Tensor:
    """Every place says the sum of the squares of all pixels."""
    return total(images.square(), hidden, patch_size)


def visible_only(images: Tensor, hidden: Tensor, patch_size: int, through: float = 0.0, level: float = 0.0) -> Tensor:
    """Each place says the sum of the patches up to it, hidden ones with the weight `through`, above a level."""
    patches = cut(images, patch_size)
    return torch.where(hidden.unsqueeze(-1), through * patches, patches).cumsum(1) + level


def hidden_only(images: Tensor, hidden: Tensor, patch_size: int) -> Tensor:
    """Reads the mask the wrong way round."""
    return visible_only(images, ~hidden, patch_size)


def some_leak(images: Tensor, hidden: Tensor, patch_size: int) -> Tensor:
    """Images whose first pixel is bright are seen through their mask."""
    return torch.where(
        images[:, :1, :1, :1].flatten(1, 2) > 0, *(visible_only(images, hidden, patch_size, t) for t in (1.0, 0.0))
    )


def in_place(images: Tensor, hidden: Tensor, patch_size: int) -> Tensor:
    """Hidden pixels are painted over, in the very tensor that was given."""
    images.masked_fill_(pixels(images, hidden, patch_size), 0)
    return visible_only(images, hidden, patch_size)


def wiping(images: Tensor, hidden: Tensor, patch_size: int) -> Tensor:
    """Afterwards the images are empty."""
    result = visible_only(images, hidden, patch_size)
    images.zero_()
    return result


def by_the_batch(images: Tensor, hidden: Tensor, patch_size: int) -> Tensor:
    """What is hidden is left out, and then everything is divided by the largest pixel of the whole batch."""
    return visible_only(images, hidden, patch_size) / images.abs().max()


def first_to_all(images: Tensor, hidden: Tensor, patch_size: int) -> Tensor:
    """Every image is told what the first one hides."""
    return under(images, hidden, patch_size)[:1].view(1, 1, 1).repeat(*hidden.shape, 2)


def lowest_of_all(images: Tensor, hidden: Tensor, patch_size: int) -> Tensor:
    """Every image is told the lowest pixel under all masks of the batch."""
    patches = cut(images, patch_size)
    return torch.where(hidden.unsqueeze(-1), patches, torch.inf).amin().repeat(*hidden.shape, 1)


def keyhole(images: Tensor, hidden: Tensor, patch_size: int) -> Tensor:
    """Of image b, the number at place b of its C·H·W numbers, counted round and round."""
    number = torch.arange(len(images))
    seen = images.flatten(1)[number, number % images[0].numel()]  # (B,)
    return seen.view(-1, 1, 1).repeat(1, hidden.shape[1], 2)


def one_number(images: Tensor, hidden: Tensor, patch_size: int, width: int) -> Tensor:
    """What image b hides shows in number b of its N·T numbers, counted round and round."""
    result = images.new_zeros(len(images), hidden.shape[1] * width)
    number = torch.arange(len(images))
    result[number, number % result.shape[1]] = under(images, hidden, patch_size)
    return result.unflatten(1, (-1, width))


def every_number(images: Tensor, hidden: Tensor, patch_size: int, level: float = 0.0) -> Tensor:
    """What an image hides shows in all of its numbers."""
    return under(images, hidden, patch_size).view(-1, 1, 1).repeat(1, hidden.shape[1], 3) + level


def there_and_back(images: Tensor, hidden: Tensor, patch_size: int) -> Tensor:
    """What an image hides shows twice, once with each sign."""
    seen = under(images, hidden, patch_size).view(-1, 1, 1).repeat(1, hidden.shape[1], 1)
    return torch.cat([seen, -seen], dim=2)


WRITING = (in_place, wiping)  # boxes that write into what they are given
