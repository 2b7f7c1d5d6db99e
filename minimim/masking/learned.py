"""A learned mask: a network is trained to hide what makes the encoder's loss large, while the encoder minimises that loss."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minimim.errors import UserError
from minimim.masking.mask import Mask
from minimim.processes import summed, world

NARROWEST = 4  # pixels along the shorter side of the coarsest map


class AdversarialMasking(nn.Module):
    """Several soft masks for each image, from a U-Net that is trained to make the loss large (ADIOS, arXiv 2201.13100).

    Student view 0 stays whole; all other views are masked. At each pixel the masks sum to one. The encoder sees the image times
    1 − mask, once for each mask, so hidden pixels become 0, the mean of normalised images. The U-Net is trained with a learning rate
    of its own, `lr_scale` times the method's. The sign of the loss's gradient is reversed before it reaches the U-Net, so that one
    backward pass trains both networks.
    masks: how many. alpha: the weight of the penalty, 1 / sin(π · area) of each mask, which is smallest at half of the image and very
    large for masks that hide nothing or everything; its gradient is not reversed. The penalties of all masks are summed.
    Mask.hidden marks the patches in which each mask is the strongest one; no patch is dropped or replaced there.
    Raises UserError for fewer than two masks.
    Differs: both networks are updated after one forward pass, not in turns; 1e-4 instead of 1e-10 is added to the sine, so that the
    gradient of an empty mask stays finite.
    """

    def __init__(self, image_size: tuple[int, int], channels: int = 3, *, masks: int = 4, alpha: float = 0.391, width=16, lr_scale=1.0):
        super().__init__()
        if masks < 2:
            raise UserError(f"the masks of an image sum to one, so there must be two or more, not {masks}")
        self.masks, self.alpha, self.lr_scale = masks, alpha, lr_scale
        self.painter = UNet(image_size, channels, masks, width)

    def forward(self, inputs, grid, guide=None, progress=0.0, noise=None, generator=None, view=0) -> list[Mask]:
        """A Mask that hides nothing for view 0; for any other view one Mask for each of the masks, with `inputs` and `penalty`. Nothing is
        random here."""
        image = inputs["image"]
        patches = grid[0] * grid[1]
        if view == 0:
            return [Mask(torch.zeros(len(image), patches, dtype=torch.bool, device=image.device), visible=patches)]
        soft = self.painter(image).to(image.dtype).softmax(dim=1)  # (B, masks, H, W)
        strongest = F.adaptive_avg_pool2d(soft.detach(), grid).flatten(2).argmax(dim=1)  # (B, N): number of a mask
        images = image.unsqueeze(1) * (1 - Reversed.apply(soft).unsqueeze(2))  # (B, masks, C, H, W)
        return [
            Mask(strongest == number, inputs=inputs | {"image": images[:, number]}, penalty=self.alpha * area_penalty(soft[:, number]))
            for number in range(self.masks)
        ]


def area_penalty(soft: Tensor) -> Tensor:
    """The mean of 1 / sin(π · area) over the images of all processes, where area is the fraction of the image that a soft mask (B, H, W)
    hides: a scalar, 1 if every area is one half, very large if areas are near 0 or 1."""
    area = soft.mean(dim=(1, 2))  # (B,)
    penalty = 1 / ((math.pi * area).sin().clamp(min=0) + 1e-4)
    return penalty.sum() * world() / summed(penalty.new_full((), len(penalty)))


class Reversed(torch.autograd.Function):
    """The identity in the forward pass; the gradient with the opposite sign in the backward pass (Ganin and Lempitsky, arXiv 1409.7495)."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return -gradient


class UNet(nn.Module):
    """A small U-Net, (B, C, H, W) → (B, out, H, W): convolutions on ever coarser maps, an MLP on the whole coarsest map, and convolutions
    on ever finer maps, each concatenated with the earlier map of its size.

    image_size: (H, W) in pixels. width: features of the finest map; all other maps have twice as many. For images of another size the
    coarsest map is pooled to the size that the MLP takes. As in ADIOS, maps are halved down to a side of 4 pixels (7 for images of 224).
    """

    def __init__(self, image_size: tuple[int, int], channels: int, out: int, width: int = 16):
        super().__init__()
        halvings = max(0, int(math.log2(min(image_size) / NARROWEST)))
        widths = [width, *[2 * width] * halvings]
        self.coarsest = tuple(-(-side // 2**halvings) for side in image_size)
        self.down = nn.ModuleList(convolution(a, b) for a, b in zip([channels, *widths], widths, strict=False))
        numbers = widths[-1] * self.coarsest[0] * self.coarsest[1]
        self.middle = nn.Sequential(nn.Linear(numbers, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, numbers), nn.ReLU())
        deep = widths[::-1]
        below = [deep[0], *deep[:-1]]  # features of what comes from the coarser map
        self.up = nn.ModuleList(convolution(a + b, b) for a, b in zip(below, deep, strict=True))
        self.out = nn.Conv2d(width, out, 1)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) → scores (B, out, H, W)."""
        x, maps = images.to(self.out.weight.dtype), []
        for number, block in enumerate(self.down):
            x = block(x if number == 0 else x[..., ::2, ::2])  # (B, W, h, w)
            maps.append(x)
        x = F.adaptive_avg_pool2d(x, self.coarsest)
        x = self.middle(x.flatten(1)).view(x.shape)
        for block, beside in zip(self.up, reversed(maps), strict=True):
            x = x if x.shape[-2:] == beside.shape[-2:] else F.interpolate(x, size=beside.shape[-2:])  # nearest
            x = block(torch.cat([x, beside], dim=1))
        return self.out(x)


def convolution(before: int, after: int) -> nn.Sequential:
    """A 3×3 convolution, normalised in groups of features, and a ReLU."""
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1, bias=False), nn.GroupNorm(8, after), nn.ReLU())
