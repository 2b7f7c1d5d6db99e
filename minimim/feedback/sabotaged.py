"""Seven small methods for the hunt of problem set 4: one is healthy, and each of the others has one fault, really at work in it.

What follows, and scripts/build_sabotaged.py, tells what the faults are made of. Hunt first.
"""

from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from pathlib import Path

import torch
from torch import Tensor, nn

from minimim import checkpoint
from minimim.data.views import RandomViews
from minimim.decoders import TransformerDecoder
from minimim.encoders import ViT
from minimim.errors import unknown
from minimim.layers import Block
from minimim.losses import Term, l2
from minimim.masking import RandomMasking
from minimim.methods import Method, Teacher, reconstruction
from minimim.targets import Pixels
from minimim.train import state

NAMES = tuple("abcdefg")
SIZE = (48, 3, 4)  # dim, depth, heads


@dataclass
class Case:
    """What is handed over of one run. method: in eval mode; history: what the run wrote while it trained, dicts of step,
    loss, grad_norm and lr."""

    name: str
    method: Method = field(repr=False)  # its classes would name the fault
    history: list[dict] = field(repr=False)


class Added(ViT):
    """The mask token is added to what is hidden, where it should stand in its place."""

    def embed(self, images, mask):
        x = super().embed(images, None)  # (B, N, D)
        return x if mask is None else x + mask.hidden.unsqueeze(-1) * self.mask_token


class Averaged(ViT):
    """Features come from an average of the encoder, and nobody ever moves the average: it is still the random start."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        average = ViT(*args, **more)
        average.load_state_dict(self.state_dict())
        self.average = average.requires_grad_(False)

    def features(self, images, layer: int = -1, pool: str = "mean") -> Tensor:
        return self.average.features(images, layer, pool)


class PostNorm(Block):
    """x = norm(x + attention(x)); x = norm(x + mlp(x)): the block of the first transformers."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(x + self.attn(x))
        return self.norm2(x + self.mlp(x))


class Unrestored(TransformerDecoder):
    """Mask tokens behind the visible ones, and every token left where it is."""

    def restore(self, x, mask):
        tokens = self.mask_token.expand(len(x), mask.hidden.shape[1] - x.shape[1], -1)  # (B, N−K, D')
        return torch.cat([x, tokens], dim=1)


class Fading(Teacher):
    """An average that forgets to take in the student: its matrices fade, and soon it says the same of every image."""

    @torch.no_grad()
    def after_step(self, progress: float) -> None:
        for p in self.encoder.parameters():
            if p.dim() in (2, 4):
                p.mul_(0.9)


class Latents(nn.Module):
    """The latents themselves, (B, N, D), as the answer."""

    def forward(self, encoded, mask=None, question=None) -> dict[str, Tensor]:
        return {"patch": encoded.patches}


class LastBlock(nn.Module):
    """What the teacher's last block says, as it stands: (B, N, D)."""

    def forward(self, content, teacher, mask=None, progress: float = 0.0) -> dict[str, Tensor]:
        return {"patch": teacher.encoded.patches}


def autoencoder(encoder=ViT, size=SIZE, block=None, hidden="drop", decoder=TransformerDecoder, on="scored") -> Method:
    """A small MAE on 32×32 pixels, with raw pixels as its target and flips as its only augmentation."""
    encoder = encoder(32, 4, size, cls=False, hidden=hidden)
    if block:
        encoder.blocks = nn.ModuleList(block(encoder.dim, encoder.heads) for _ in range(encoder.depth))
    return reconstruction(
        views=RandomViews((32, 32)),
        masking=RandomMasking(0.75),
        encoder=encoder,
        decoder=decoder(encoder.dim, 48, encoder.home_grid, dim=32, depth=1, heads=4),
        target=Pixels(4),
        on=on,
    )


def taught() -> Method:
    """A student that answers, with its own latents, for what its teacher says of every place."""
    encoder = ViT(32, 4, SIZE, cls=False, hidden="token")
    return Method(
        views=RandomViews((32, 32)),
        masking=RandomMasking(0.75),
        encoder=encoder,
        decoder=Latents(),
        target=LastBlock(),
        terms=[Term("patch", l2, on="all")],
        teacher=Fading(encoder),
    )


FAULTS = {
    "healthy": autoencoder,
    "loss on visible": partial(autoencoder, on="visible"),
    "ids not restored": partial(autoencoder, decoder=Unrestored),
    "leak": partial(autoencoder, Added, hidden="token"),
    "untrained features": partial(autoencoder, Averaged),
    "post-norm": partial(autoencoder, size=(32, 12, 4), block=PostNorm),
    "collapse": taught,
}


def path(name: str) -> Path:
    """The file of a case. Raises UserError for a name that is not there."""
    if name not in NAMES:
        raise unknown("case", name, NAMES)
    return Path(str(files("minimim") / "assets" / "sabotaged" / f"{name}.safetensors"))


def case(name: str) -> Case:
    """One of the cases, "a" to "g". Raises UserError for a name that is not there."""
    tensors, about = checkpoint.read(path(name))
    method = FAULTS[about["fault"]]()
    state.load_method(method, {key: x.float() for key, x in tensors.items()}, path(name))
    return Case(name, method.eval(), about["history"])
