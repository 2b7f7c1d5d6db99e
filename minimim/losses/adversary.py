"""A loss that learns: a discriminator says of each patch of a picture whether it was painted (MAE-GAN, CVPR 2023)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from minimim.layers import initialise
from minimim.patches import grid_like, unpatchify
from minimim.processes import summed, world


class Judge(nn.Linear):
    """How real a patch looks, one number for each latent: above 0 for real. A player of its own, with its own learning rate."""

    def __init__(self, dim: int, lr_scale: float = 1.0):
        super().__init__(dim, 1)
        self.lr_scale = lr_scale
        self.apply(initialise)


class Adversary(nn.Module):
    """Does a painted patch pass for a real one? −log D of each painted patch, D from the encoder itself and a linear judge.

    encoder: the method's own, which both players share; it is a part of the method and not of this loss. weight: of what the
    judge learns from. lr_scale: of the judge's learning rate.
    Painted patches are put among the real ones of the image, and the whole is encoded without a mask, twice. For the painter,
    through weights that stand still, so that it can change what is painted and not what is thought of it. For the judge and for
    the encoder beneath it, `own_loss`: the binary cross-entropy of all patches, painted or real, from pixels that stand still. Both
    players so learn in one backward. Predictions must be pixels as the encoder reads them, not patches that were normalised one by
    one: those would be told by their contrast alone.
    """

    def __init__(self, encoder: nn.Module, weight: float = 0.1, lr_scale: float = 1.0):
        super().__init__()
        self.encoders = [encoder]  # a plain list: this loss does not own it
        self.judge, self.weight = Judge(encoder.dim, lr_scale), weight
        self.fakes: list[tuple[Tensor, Tensor]] = []  # since the last `own_loss`: pictures, and where they are painted

    def forward(self, prediction: Tensor, target: Tensor, where: Tensor) -> Tensor:
        """Predicted and real pixels (B, N, P·P·C), painted places (B, N) → (B, N); what is said of real places counts for nothing."""
        (encoder,) = self.encoders
        pasted = torch.where(where.unsqueeze(-1), prediction, target)  # (B, N, P·P·C)
        picture = unpatchify(pasted, encoder.patch_size, grid_like(encoder.home_grid, where.shape[1]))  # (B, C, H, W)
        self.fakes.append((picture.detach(), where))
        latents = functional_call(encoder, still(encoder), (picture,)).patches  # (B, N, D)
        return F.softplus(-functional_call(self.judge, still(self.judge), (latents,)).squeeze(-1))

    def own_loss(self) -> Tensor | None:
        """What the judge and the encoder beneath it learn from the pictures of this step, a scalar; None where there are none."""
        fakes, self.fakes = self.fakes, []
        if not fakes:
            return None
        picture, painted = (torch.cat(rows) for rows in zip(*fakes, strict=True))
        realness = self.judge(self.encoders[0](picture).patches).squeeze(-1)  # (B, N)
        realness = realness.to(torch.promote_types(realness.dtype, torch.float32))
        errors = torch.where(painted, F.softplus(realness), F.softplus(-realness))
        count = summed(torch.full((), errors.numel(), device=errors.device)) / world()
        return self.weight * errors.sum() / count


def still(module: nn.Module) -> dict[str, Tensor]:
    """Its weights by name, through which no gradient reaches them."""
    return {name: p.detach() for name, p in module.named_parameters()}
