"""An adversarial loss: a discriminator decides for each patch of an image whether it was predicted or is real (MAE-GAN, CVPR 2023)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from minimim.layers import initialise
from minimim.patches import grid_like, unpatchify
from minimim.processes import summed, world


class Judge(nn.Linear):
    """The discriminator's linear map: one logit for each latent (…, D) → (…, 1), above 0 for real, with its own learning rate.

    dim: D. lr_scale: its learning rate relative to the method's.
    """

    def __init__(self, dim: int, lr_scale: float = 1.0):
        super().__init__(dim, 1)
        self.lr_scale = lr_scale
        self.apply(initialise)


class Adversary(nn.Module):
    """The generator's loss −log D of each predicted patch, where the discriminator D is the method's encoder and a linear judge.

    encoder: the method's, shared by generator and discriminator; it is a part of the method, not of this loss. weight: of the
    discriminator's loss. lr_scale: the judge's learning rate relative to the method's.
    Predicted patches replace the hidden ones of the image, and the encoder reads the result without a mask, twice. For the generator's
    loss the weights of the discriminator are detached, so that only the prediction gets a gradient. For the discriminator's loss
    (`own_loss`), the binary cross-entropy of all patches, predicted or real, the pixels are detached. So one backward pass trains both.
    Predictions must be pixels as the encoder reads them: patches that are normalised one by one could be told from real ones by their
    contrast alone.
    """

    def __init__(self, encoder: nn.Module, weight: float = 0.1, lr_scale: float = 1.0):
        super().__init__()
        self.encoders = [encoder]  # in a plain list, so that this loss does not own it
        self.judge, self.weight = Judge(encoder.dim, lr_scale), weight
        self.fakes: list[tuple[Tensor, Tensor]] = []  # since the last `own_loss`: images, and which patches are predicted

    def forward(self, prediction: Tensor, target: Tensor, where: Tensor) -> Tensor:
        """Predicted and real pixels (B, N, P·P·C), predicted places (B, N) → errors (B, N), of which only the predicted places are used."""
        (encoder,) = self.encoders
        pasted = torch.where(where.unsqueeze(-1), prediction, target)  # (B, N, P·P·C)
        picture = unpatchify(pasted, encoder.patch_size, grid_like(encoder.home_grid, where.shape[1]))  # (B, C, H, W)
        self.fakes.append((picture.detach(), where))
        latents = functional_call(encoder, still(encoder), (picture,)).patches  # (B, N, D)
        return F.softplus(-functional_call(self.judge, still(self.judge), (latents,)).squeeze(-1))

    def own_loss(self) -> Tensor | None:
        """The discriminator's loss on the images of this step, which trains judge and encoder: a scalar; None if there were no images."""
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
    """The weights of a module by name, detached."""
    return {name: p.detach() for name, p in module.named_parameters()}
