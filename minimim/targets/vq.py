"""A learnt tokenizer: a small autoencoder with a codebook as its bottleneck (VQ-VAE, van den Oord et al., arXiv 1711.00937)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minimim.patches import grid_of, patchify, unpatchify
from minimim.precision import full_precision
from minimim.targets.tokens import Tokens, kmeans, nearest, sums_of

RATE = 5e-3  # its learning rate, constant for the first half of the steps, then falling linearly to 0
COMMITMENT = 0.25  # weight of the commitment loss, which draws latents to their codes, as in the paper


class VQTokens(Tokens):
    """Tokens from an autoencoder that represents each patch by the nearest of K codes.

    The encoder is an MLP on each patch separately, so that the token of a visible patch contains nothing of a hidden neighbour. The
    decoder is a stack of convolutions on the grid of codes, so that it can smooth the borders between patches. Latents and codes have
    length 1, as in ViT-VQGAN (arXiv 2110.04627). The choice of a code has a straight-through gradient. Codes are moving averages of the
    latents that are nearest to them, and a code that is no longer used is reset to a random latent.

    width: of the hidden layers. code_dim: numbers in a code. steps: of training, on `batch` crops each, but at most 20 passes over
    the images. For images of 32 pixels this takes about 10 seconds on one CPU core; for large images use a GPU.
    Differs: it is smaller than the tokenizers of BEiT and MAGE, is fitted on the images of the run, has no adversarial loss, and
    encodes each patch without its neighbours.
    """

    def __init__(self, image_size, patch_size: int, codebook: int = 512, *, channels=3, width=128, code_dim=16, steps=500, batch=32):
        super().__init__(image_size, patch_size, codebook, code_dim)
        self.steps, self.batch = steps, batch
        pixels = patch_size**2 * channels
        self.encoder = nn.Sequential(
            nn.Linear(pixels, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, code_dim)
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Conv2d(code_dim, width, 3, padding=1), nn.GELU(), nn.Conv2d(width, pixels, 3, padding=1)
        )  # fmt: skip
        self.requires_grad_(False)

    def latents(self, patches: Tensor) -> Tensor:
        """The vectors that are compared with the codes: patches (B, N, P·P·C) → (B, N, code_dim), of length 1."""
        return F.normalize(self.encoder(patches), dim=-1)

    def decode(self, codes: Tensor, grid: tuple[int, int]) -> Tensor:
        """Decode codes to images: (B, N, code_dim) → (B, C, H, W), normalised."""
        maps = codes.transpose(1, 2).unflatten(2, grid)  # (B, code_dim, rows, cols)
        patches = self.decoder(maps).flatten(2).transpose(1, 2)  # (B, N, P·P·C)
        return unpatchify(patches, self.patch_size, grid)

    def prepare(self, data, generator=None) -> None:
        """Train encoder, codes and decoder from scratch; all random numbers come from the generator."""
        start(self, generator)
        batch = min(self.batch, len(data))
        steps = min(self.steps, -(-20 * len(data) // batch))
        self.requires_grad_(True)
        optimizer = torch.optim.AdamW(self.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=0.0)
        usage = self.codes.new_full((self.codebook,), 1.0)  # a moving average of how often each code is chosen in a step
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = RATE * min(1.0, 2 * (1 - step / steps))
            images = self.crops(data, batch, generator)
            with torch.enable_grad(), full_precision(images.device.type):
                loss, latents = self.error(images, generator if step == 0 else None)
                loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            self.move_codes(latents, usage, generator, revive=step < steps // 2)
        self.requires_grad_(False)
        counts = 0
        for _ in range(8):
            latents = self.latents(patchify(self.crops(data, batch, generator), self.patch_size)).flatten(0, 1)
            counts = counts + sums_of(latents, nearest(latents, self.codes), self.codebook)[1]
        self.fitted(counts)

    def error(self, images: Tensor, generator=None) -> tuple[Tensor, Tensor]:
        """The loss of a training step, a scalar, and its latents, (B·N, code_dim). generator: given in the first step only, where it
        initialises the codes by k-means of these latents."""
        latents = self.latents(patchify(images, self.patch_size))  # (B, N, code_dim)
        flat = latents.detach().flatten(0, 1)  # (B·N, code_dim)
        if generator is not None:
            self.codes.copy_(F.normalize(kmeans(flat, self.codebook, 5, generator)[0], dim=1))
        codes = self.codes[nearest(latents.detach(), self.codes)]  # (B, N, code_dim)
        passed = latents + (codes - latents).detach()  # the codes, with the gradient of the latents
        painted = self.decode(passed, grid_of(*images.shape[-2:], self.patch_size))
        return F.mse_loss(painted, images) + COMMITMENT * (latents - codes).square().sum(dim=-1).mean(), flat

    @torch.no_grad()
    def move_codes(self, latents: Tensor, usage: Tensor, generator, revive: bool) -> None:
        """Move each code a tenth of the way to the mean of the latents (M, code_dim) nearest to it, and scale it to length 1. `usage`
        (K,) is updated in place; if revive, codes that are hardly used are reset to random latents of this step."""
        total, counts = sums_of(latents, nearest(latents, self.codes), self.codebook)
        mean = total / counts.clamp(min=1).unsqueeze(1)  # (K, code_dim)
        moved = torch.where(counts.unsqueeze(1) > 0, self.codes.lerp(mean, 0.1), self.codes)
        usage.lerp_(counts, 0.1)
        if revive:
            drawn = latents[torch.randint(len(latents), (self.codebook,), generator=generator).to(latents.device)]  # (K, code_dim)
            unused = usage < 0.1
            moved = torch.where(unused.unsqueeze(1), drawn, moved)
            usage[unused] = 1.0
        self.codes.copy_(F.normalize(moved, dim=1))

    @torch.no_grad()
    def paint(self, ids: Tensor, grid: tuple[int, int] | None = None) -> Tensor:
        """Decode tokens to images: ids (B, N) → normalised images (B, C, H, W). grid: (rows, cols), by default that of image_size."""
        return self.decode(self.codes[ids], grid or grid_of(*self.image_size, self.patch_size))


@torch.no_grad()
def start(module: nn.Module, generator) -> None:
    """Initialise all weights of a module in place: Xavier-uniform matrices, zero biases."""
    for parameter in module.parameters():
        drawn = torch.zeros(parameter.shape)
        if parameter.dim() > 1:
            nn.init.xavier_uniform_(drawn.flatten(1), generator=generator)
        parameter.copy_(drawn)
