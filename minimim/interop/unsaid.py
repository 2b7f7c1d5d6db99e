"""What the tensors do not show: heads, the grid, the target, and how images were normalised.

Each is taken from the caller's arguments, else from what the file states, else from the weights themselves where these leave no
doubt. Where none of them tells, the usual value is assumed, and one warning lists everything that was.
"""

import math
import warnings

import torch
from torch import Tensor

from minimim.data.views import statistics_for
from minimim.errors import UserError
from minimim.patches import sincos_positions


class Known:
    """What is known of foreign weights besides their tensors, and what was only assumed.

    asked: the caller's arguments, None where nothing was given; says: what the file states.
    """

    def __init__(self, asked: dict, says: dict):
        self.told = {**says, **{word: value for word, value in asked.items() if value is not None}}
        self.assumed = {}  # word → what was assumed

    def take(self, word: str, usual, text: str):
        """The value that is known for a word, or else the usual one, with a text that `tell` will show."""
        if word not in self.told:
            self.assumed[word] = text
        return self.told.get(word, usual)

    def tell(self, source: str) -> None:
        """Warn once, with everything that was assumed."""
        if self.assumed:
            warnings.warn(
                f"these {source} weights do not say everything, so this was assumed: {'; '.join(filter(None, self.assumed.values()))} "
                f"(where it is otherwise, give {', '.join(f'{word}=' for word in self.assumed)})",
                stacklevel=3,
            )


def sides(image_size) -> tuple[int, int] | None:
    """An image size, one side or (H, W), as (H, W); None for nothing. Raises UserError for anything else."""
    both = (image_size, image_size) if isinstance(image_size, int) else image_size
    if both is not None and not (isinstance(both, list | tuple) and len(both) == 2 and all(isinstance(side, int) for side in both)):
        raise UserError(f"image_size is one side or (H, W), in pixels, not {image_size}")
    return both and tuple(both)


def grid_from_table(table: Tensor) -> tuple[int, int] | None:
    """The grid (rows, cols) whose sine-cosine positions a table (N, D) holds, or None for a learnt table."""
    count, dim = table.shape
    if dim % 4 == 0:
        for rows in (rows for rows in range(1, count + 1) if count % rows == 0):
            grid = rows, count // rows
            if torch.allclose(table.float(), sincos_positions(dim, grid).to(table.device), atol=1e-2):  # neighbours differ by more
                return grid
    return None


def grid_of_table(table: Tensor, patch_size: int, known: Known, home: tuple[int, int] | None = None) -> tuple[int, int]:
    """(rows, cols) of a table of positions (N, D): by the known image size, or the grid whose sine-cosine table it is, or else the
    home grid, where that has as many places, or an assumed square.

    Raises UserError for a number of places that is not a square where their grid is not known.
    """
    count = len(table)
    size = sides(known.told.get("image_size"))
    if size and size[0] * size[1] == count * patch_size**2 and not any(side % patch_size for side in size):
        return size[0] // patch_size, size[1] // patch_size
    if grid := grid_from_table(table):
        return grid
    if home and home[0] * home[1] == count:
        return home
    side = math.isqrt(count)
    if side * side != count:
        other = f", or for {count + 1} where CLS has no position" if math.isqrt(count + 1) ** 2 == count + 1 else ""
        raise UserError(
            f"these weights do not fit a square: encoder.pos_embed has positions for {count} patches of {patch_size}×{patch_size} "
            f"pixels{other}, so give image_size=(H, W), the size that they were trained at"
        )
    known.assumed["image_size"] = f"a square grid of {side}×{side} patches"
    return side, side


def give_cls_a_place(official: dict[str, Tensor], known: Known) -> None:
    """Put a row of zeros before positions (1, N, D), in place, where there is a CLS and the known image size shows that they are for
    patches alone. Such encoders, timm's with no_embed_class, add nothing to CLS, which is the same."""
    table, kernel, size = official.get("pos_embed"), official.get("patch_embed.proj.weight"), sides(known.told.get("image_size"))
    whole = "cls_token" in official and size and table is not None and table.dim() == 3 and kernel is not None
    if whole and size[0] * size[1] == table.shape[1] * kernel.shape[-2] * kernel.shape[-1]:
        official["pos_embed"] = torch.cat([torch.zeros_like(table[:, :1]), table], dim=1)  # (1, 1+N, D)


@torch.no_grad()
def paints_brightness(method) -> float:
    """How far the predictions of an MAE follow the brightness of an image of one grey: 1 for raw pixels, 0 for normalised ones.

    A patch that is normalised has mean 0, however bright it was, so a decoder that was trained on such patches answers
    with a mean of 0; a decoder of raw pixels answers with the grey that it sees around.
    """
    encoder = method.encoder
    height, width = (side * encoder.patch_size for side in encoder.home_grid)
    greys = torch.tensor([-1.5, -0.5, 0.5, 1.5])  # (4,), in normalised pixels
    images = greys.view(-1, 1, 1, 1).expand(-1, encoder.patch_embed.proj.in_channels, height, width)
    answers = method(images, generator=torch.Generator().manual_seed(0)).prediction.mean(dim=(1, 2))  # (4,)
    return float((greys * answers).sum() / (greys**2).sum())  # the slope of a line through them


def settle_target(method, known: Known) -> None:
    """Find out what the decoder of a filled MAE predicts, where that is not stated: a decoder that follows an image's brightness
    must predict raw pixels, and any other is assumed to predict normalised patches."""
    if "normalize_target" not in known.told and not paints_brightness(method) > 0.5:
        method.target.normalize = known.take("normalize_target", True, "the decoder predicts normalised patches")
        method.spec["normalize_target"] = True


@torch.no_grad()
def restate(method, known: Known, decoder: bool) -> None:
    """Change the weights of an MAE that was trained with another mean and std of pixels so that it takes ours. This is exact: the two
    normalisations differ by a linear map of each channel, which is merged into the patch embedding, and into the last layer of a
    decoder that predicts raw pixels.

    decoder: whether the decoder is foreign too. Raises UserError for statistics that are not one number a channel, and for a
    decoder of normalised patches when the channels differ in scale, which cannot be rewritten.
    """
    embed = method.encoder.patch_embed.proj
    channels = embed.in_channels
    ours = statistics_for(channels)  # mean, std: C numbers each
    usual = "images were normalised with " + ("ImageNet's mean and std" if channels == 3 else "a mean of 0.5 and a std of 0.25")
    theirs = known.take("mean", ours[0], usual), known.take("std", ours[1], "")
    theirs = [numbers.tolist() if hasattr(numbers, "tolist") else numbers for numbers in theirs]  # from NumPy or torch
    if any(not isinstance(numbers, list | tuple) or len(numbers) != channels for numbers in theirs):
        raise UserError(f"mean and std are {channels} numbers each, one a channel of these weights, not {theirs[0]} and {theirs[1]}")
    if not all(0 <= number <= 1 for number in theirs[0]) or not all(0 < number <= 1 for number in theirs[1]):
        raise UserError(
            f"mean and std are of pixels from 0 to 1, and these are {theirs[0]} and {theirs[1]}: divide those of pixels from 0 to 255 by 255"
        )
    if all(math.isclose(x, y, abs_tol=1e-4) for mine, other in zip(ours, theirs, strict=True) for x, y in zip(mine, other, strict=True)):
        return
    (our_mean, our_std), (mean, std) = (map(torch.tensor, pair) for pair in (ours, theirs))  # (C,) each
    scale, shift = our_std / std, (our_mean - mean) / std  # their pixel = scale · ours + shift
    embed.bias += embed.weight.sum(dim=(2, 3)) @ shift
    embed.weight *= scale.view(-1, 1, 1)
    if decoder and not method.target.normalize:
        pred, pixels = method.decoder.pred, method.target.patch_size**2
        pred.weight /= scale.repeat(pixels).unsqueeze(1)  # (T, D')
        pred.bias.sub_(shift.repeat(pixels)).div_(scale.repeat(pixels))  # (T,)
    elif decoder and not (torch.allclose(scale, scale[0], rtol=1e-3) and torch.allclose(shift, shift[0], atol=1e-3)):
        raise UserError(
            f"the decoder predicts patches that were normalised after mean={theirs[0]} and std={theirs[1]}, which cannot be rewritten "
            "for this library's statistics: take its weights out to use the encoder alone"
        )
