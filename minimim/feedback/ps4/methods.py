"""Methods that ps4.5 is tried on beside the seven of the hunt: each separates a measurement from one that only resembles it."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from minimim.decoders import TransformerDecoder
from minimim.draws import mix
from minimim.encoders import ViT
from minimim.feedback import sabotaged
from minimim.layers import Block
from minimim.methods import Method

SMALL = (16, 2, 2)  # dim, depth, heads
LARGE = 1e6


class Longer(ViT):
    """Features that are a little longer than the mean of the latents."""

    by = 1.02

    def features(self, images, layer: int = -1, pool: str = "mean") -> Tensor:
        return self.by * super().features(images, layer, pool)


class Twice(Longer):
    """Features of another length, and of the same direction."""

    by = 2.0


class Mirrored(ViT):
    """Features of the right length and mean, in another order of their numbers."""

    def features(self, images, layer: int = -1, pool: str = "mean") -> Tensor:
        return super().features(images, layer, pool).flip(1)


class Careful(ViT):
    """The right features, but for rounding: their mean is taken in float64."""

    def features(self, images, layer: int = -1, pool: str = "mean") -> Tensor:
        latents = self(images).patches
        return latents.double().mean(1).to(latents.dtype)


class Nearly(TransformerDecoder):
    """A small part of each token is not restored."""

    def restore(self, x, mask):
        return super().restore(x, mask).lerp(sabotaged.Unrestored.restore(self, x, mask), 0.03)


class InReadingOrder(TransformerDecoder):
    """What it says of the visible patches stays in the order in which they were read, what it says of the hidden is right."""

    def forward(self, encoded, mask=None, question=None):
        said = super().forward(encoded, mask, question)["patch"]  # (B, N, T)
        at = mask.visible_ids.sort(1).values.unsqueeze(-1).expand(-1, -1, said.shape[2])
        return {"patch": said.scatter(1, at, said.gather(1, mask.visible_ids.unsqueeze(-1).expand_as(at)))}


class InReadingOrderWhereHidden(TransformerDecoder):
    """What it says of the hidden patches depends on the order in which the visible ones were read."""

    def forward(self, encoded, mask=None, question=None):
        said = super().forward(encoded, mask, question)["patch"]  # (B, N, T)
        read = said.gather(1, mask.visible_ids.unsqueeze(-1).expand(-1, -1, said.shape[2]))  # (B, K, T)
        weight = torch.linspace(0, 1, read.shape[1], dtype=said.dtype).view(1, -1, 1)
        return {"patch": said + mask.hidden.unsqueeze(-1) * (weight * read).sum(1, keepdim=True)}


class Untidy(TransformerDecoder):
    """Does not restore, by the name of another decoder."""

    restore = sabotaged.Unrestored.restore


class Plain(Block):
    """Post-norm, by the name of another block."""

    forward = sabotaged.PostNorm.forward


class Restoring(sabotaged.Unrestored):
    """Restores, and descends from a decoder that does not."""

    restore = TransformerDecoder.restore


class PreNorm(sabotaged.PostNorm):
    """Pre-norm, and descends from a block that is not."""

    forward = Block.forward


class Trained(sabotaged.Averaged):
    """Has an average, and gives the features of the encoder all the same."""

    features = ViT.features


def built_in(method: Method) -> list[bool]:
    """Whether its decoder restores amiss, its encoder's features are others, and its blocks are post-norm, by the functions
    that it is made of."""
    decoder, encoder = type(method.decoder), type(method.encoder)
    restored = getattr(decoder, "restore", None) in (None, TransformerDecoder.restore)
    restored = restored and decoder not in (InReadingOrder, InReadingOrderWhereHidden)
    own = encoder.features in (ViT.features, Careful.features)
    return [not restored, not own, type(method.encoder.blocks[0]).forward is sabotaged.PostNorm.forward]


def large_predictions(method: Method) -> None:
    method.decoder.pred.weight.mul_(LARGE)


def large_latents(method: Method) -> None:
    method.encoder.norm.weight.mul_(LARGE)


def norms_as_if_trained(method: Method) -> None:
    """Weights and biases of the norms of all blocks leave their start."""
    for block in method.encoder.blocks:
        for norm in (block.norm1, block.norm2):
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.normal_()


def fresh(seed: int, *, change: Callable | None = None, size=SMALL, **parts) -> Method:
    """A method that was never trained, in eval mode."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(mix(seed))
        method = sabotaged.autoencoder(size=size, **parts)
        if change:
            change(method)
    return method.eval()


FRESH = {
    "a deep pre-norm encoder": partial(fresh, 0, size=(32, 12, 4)),
    "a shallow post-norm encoder": partial(fresh, 1, block=sabotaged.PostNorm),
    "two faults at once (ids not restored, and post-norm)": partial(
        fresh, 2, size=sabotaged.SIZE, block=sabotaged.PostNorm, decoder=sabotaged.Unrestored
    ),
    "features that are 1.02 times the mean of the latents": partial(fresh, 3, encoder=Longer),
    "features that are twice the mean of the latents": partial(fresh, 4, encoder=Twice),
    "features that have the numbers of the mean of the latents, in another order": partial(fresh, 13, encoder=Mirrored),
    "a healthy method whose features differ from the mean of the latents by rounding alone": partial(
        fresh, 5, encoder=Careful
    ),
    "a healthy method with latents of about a million": partial(fresh, 6, encoder=Careful, change=large_latents),
    "a healthy method with predictions of about a million": partial(fresh, 7, change=large_predictions),
    "a decoder that leaves a small part of each token unrestored": partial(fresh, 8, decoder=Nearly),
    "a decoder that answers in reading order at the visible places alone": partial(fresh, 9, decoder=InReadingOrder),
    "a decoder that answers in reading order at the hidden places alone": partial(
        fresh, 14, decoder=InReadingOrderWhereHidden
    ),
    "a decoder that does not restore, and whose class has another name": partial(fresh, 15, decoder=Untidy),
    "a post-norm encoder whose norms have left their start": partial(
        fresh, 16, block=sabotaged.PostNorm, change=norms_as_if_trained
    ),
    "a post-norm encoder whose class has another name": partial(fresh, 10, block=Plain),
    "a healthy method whose classes descend from the sick ones": partial(
        fresh, 11, encoder=Trained, block=PreNorm, decoder=Restoring
    ),
}
