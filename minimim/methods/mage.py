"""MAGE, which learns features and generates images with the same weights (survey, arXiv 2408.06687, §3.12), and its sampling."""

import math
from functools import partial

import torch
from torch import Tensor

from minimim.config import TrainConfig
from minimim.data.views import RandomViews, denormalize
from minimim.decoders.tokens import TokenDecoder
from minimim.draws import uniform
from minimim.encoders import size_of
from minimim.encoders.tokens import TokenViT
from minimim.errors import UserError
from minimim.losses import cross_entropy
from minimim.masking.mask import Mask
from minimim.masking.variable import VariableMasking
from minimim.methods.bases import decoder_sizes
from minimim.methods.method import Method, reconstruction
from minimim.methods.registry import recipe
from minimim.targets.vq import VQTokens


@recipe(section="3.12", paper="2211.09117")
def mage(image_size, patch_size, size, *, channels: int = 3, codebook: int | None = None, mask_ratio: float = 0.55,
         mask_spread: float = 0.25, dropped: float = 0.5, smoothing: float = 0.1, decoder_depth: int | None = None,
         decoder_heads: int | None = None, crop_scale: tuple[float, float] | None = (0.2, 1.0)) -> Method:  # fmt: skip
    """MAGE (Li et al., arXiv 2211.09117): predict the hidden tokens of an image from the visible ones, with a mask ratio that varies from
    batch to batch up to 1, so that `sample` can generate images.

    codebook: the number of tokens, by default 1024, as in the paper, for small and above, 512 below. mask_ratio, mask_spread: mean and
    standard deviation of the normal distribution from which the ratio of a batch is drawn, truncated to [dropped, 1]. dropped: the
    fraction of the patches that the encoder never reads. smoothing: label smoothing of the cross-entropy.
    Differs: the tokenizer is small and fitted on the images of the run, instead of a VQGAN trained on ImageNet; no dropout, where
    the paper has 0.1 everywhere; the ratio is the same in all processes; the token embedding has no rows for class labels; the decoder's
    sizes for micro, tiny and small are ours. The contrastive term of MAGE-C is not included.
    """
    if not 0 <= smoothing < 1:
        raise UserError(f"smoothing is the fraction of each label that is distributed over all tokens, from 0 to below 1, not {smoothing}")
    codebook = codebook or (1024 if size_of(size)[0] >= 384 else 512)
    tokenizer = VQTokens(image_size, patch_size, codebook, channels=channels)
    encoder = TokenViT(image_size, patch_size, size, tokenizer, channels=channels)
    sizes = decoder_sizes(size, dim=encoder.dim, depth=decoder_depth, heads=decoder_heads)
    return reconstruction(
        views=RandomViews(image_size, scale=crop_scale),
        masking=VariableMasking(mask_ratio, mask_spread, dropped),
        encoder=encoder,
        decoder=TokenDecoder(encoder.dim, encoder.patch_embed.proj, encoder.home_grid, depth=sizes["depth"], heads=sizes["heads"]),
        target=tokenizer,
        loss=partial(cross_entropy, smoothing=smoothing),
        defaults=TrainConfig(lr=1.5e-4, clip=3.0, warmup=0.025),
    )


@torch.no_grad()
def sample(method: Method, n: int, steps: int = 20, generator=None, *, temperature: float = 6.0) -> Tensor:
    """Generate n images with a trained MAGE: uint8 (n, C, H, W), of the size that it was built for (arXiv 2211.09117).

    At first all tokens are hidden. Each step draws all hidden tokens, keeps those with the highest probability, and hides the others
    again; the number of hidden tokens falls along a cosine. temperature: factor of the Gumbel noise that is added to the
    log-probabilities when tokens are chosen to be kept; it falls linearly to 0. generator: on the method's device.
    Raises UserError for a method without tokens, and for fewer than one image or step.
    """
    encoder = method.encoder
    if not isinstance(encoder, TokenViT):
        raise UserError(f"pictures are made out of tokens, and {type(encoder).__name__} reads none: sample from a method such as mage")
    if n < 1 or steps < 1:
        raise UserError(f"pictures and steps are whole numbers of 1 or more, not {n} and {steps}")
    training, grid = method.training, encoder.home_grid
    method.eval()
    device, patches = encoder.cls_token.device, grid[0] * grid[1]
    ids = torch.zeros(n, patches, dtype=torch.long, device=device)  # (n, N)
    hidden = torch.ones(n, patches, dtype=torch.bool, device=device)
    for step in range(1, steps + 1):
        mask = Mask(hidden, dropped=torch.zeros_like(hidden), visible=patches)  # nothing is dropped: the encoder reads mask tokens, too
        scores = method.decoder(encoder.encode_ids(ids, mask, grid), mask)["patch"].float().log_softmax(dim=-1)  # (n, N, K)
        drawn = (scores + gumbel(scores.shape, generator, device)).argmax(dim=-1)  # (n, N)
        ids = torch.where(hidden, drawn, ids)
        sure = scores.gather(-1, ids.unsqueeze(-1)).squeeze(-1)  # (n, N)
        sure = sure + temperature * (1 - step / steps) * gumbel(sure.shape, generator, device)
        sure = torch.where(hidden, sure, torch.inf)  # tokens that were kept stay
        left = math.floor(patches * math.cos(math.pi / 2 * step / steps)) if step < steps else 0
        hidden = sure.argsort(dim=1).argsort(dim=1) < left
    method.train(training)
    return denormalize(encoder.tokenizer.paint(ids))


def gumbel(shape, generator, device) -> Tensor:
    """Gumbel noise of a shape: the largest sum of log-probabilities and this noise is a draw from the distribution."""
    return -(-uniform(*shape, generator=generator, device=device).clamp(1e-20, 1 - 1e-7).log()).log()
