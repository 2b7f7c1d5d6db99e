"""Projectors: small MLPs, with batch norm between, to the space in which answers are compared; and prototypes there."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minimim.encoders.encoded import Encoded, Streams
from minimim.errors import unknown
from minimim.masking.mask import Mask
from minimim.norms import BatchNorm

NORMS = {"batch": BatchNorm, "layer": nn.LayerNorm, None: None}
ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU}
PLACES = ("cls", "mean", "tokens")


def projector(dim: int, widths: Sequence[int], out: int, *, norm="batch", activation="relu", bias=True, last_bias=None,
              last_norm=False) -> nn.Sequential:  # fmt: skip
    """Linear maps from `dim` over the hidden `widths` to `out`, a norm and an activation after each hidden one: (…, dim) → (…, out).

    norm: "batch" (over all rows and processes), "layer", or None. bias: of the linear maps; last_bias: of the last, by default alike.
    last_norm: whether the norm, without weights of its own, comes after the last map too (MoCo v3, ConMIM).
    Raises UserError for a norm or an activation that is not there.
    """
    if norm not in NORMS:
        raise unknown("norm of a projector", norm, [name for name in NORMS if name])
    if activation not in ACTIVATIONS:
        raise unknown("activation of a projector", activation, ACTIVATIONS)
    layers, last_bias = [], bias if last_bias is None else last_bias
    for width in widths:
        layers += [nn.Linear(dim, width, bias=bias), *([NORMS[norm](width)] if norm else []), ACTIVATIONS[activation]()]
        dim = width
    layers.append(nn.Linear(dim, out, bias=last_bias))
    if last_norm and norm == "batch":
        layers.append(BatchNorm(out, affine=False))
    if last_norm and norm == "layer":
        layers.append(nn.LayerNorm(out, elementwise_affine=False))
    return nn.Sequential(*layers)


class ProjectionHead(nn.Module):
    """A projector on the whole image, or on each token (SimCLR, arXiv 2002.05709; ConMIM, 2205.09616).

    on: "cls", the CLS token; "mean", the mean of the patches; "tokens", every token by itself, CLS and patches in one batch, and
    so in the statistics of one batch norm. more: see `projector`. Raises UserError for another place.
    """

    def __init__(self, encoder_dim: int, widths: Sequence[int], out: int, *, on: str = "cls", **more):
        super().__init__()
        if on not in PLACES:
            raise unknown("place for a projector", on, PLACES)
        self.on, self.mlp = on, projector(encoder_dim, widths, out, **more)

    def forward(self, encoded: Encoded, mask: Mask | None = None, question: Tensor | None = None) -> Streams:
        """Latents → {"cls": (B, out)}; on="tokens": {"patch": (B, N, out)}, and "cls" where the encoder has one."""
        if self.on != "tokens":
            return {"cls": self.mlp(encoded.pooled(self.on))}
        if encoded.cls is None:
            return {"patch": self.mlp(encoded.patches)}
        tokens = self.mlp(torch.cat([encoded.cls.unsqueeze(1), encoded.patches], dim=1))  # (B, 1+N, out)
        return {"cls": tokens[:, 0], "patch": tokens[:, 1:]}


class Prototypes(nn.Module):
    """Learnt directions that answers are assigned to, (K, D): the cosine with each (MSN, arXiv 2204.07141).

    They start uniform within ±1/√D, and are a player of their own, at the same learning rate, so that they are clipped by
    themselves. In a Teacher, `share` them.
    """

    lr_scale = 1.0

    def __init__(self, count: int, dim: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(count, dim).uniform_(-(dim**-0.5), dim**-0.5))

    def forward(self, x: Tensor) -> Tensor:
        """(…, D) → cosines (…, K)."""
        return F.linear(F.normalize(x, dim=-1), F.normalize(self.weight, dim=-1))


class PrototypeProjection(nn.Module):
    """A projector and, behind it, the cosine with each prototype (MSN): {"cls": (B, K)}.

    head: a ProjectionHead. prototypes: Prototypes of its width.
    """

    def __init__(self, head: ProjectionHead, prototypes: Prototypes):
        super().__init__()
        self.head, self.prototypes = head, prototypes

    def forward(self, encoded: Encoded, mask: Mask | None = None, question: Tensor | None = None) -> Streams:
        """Latents → the head's streams, each as scores, (…, K)."""
        return {name: self.prototypes(x) for name, x in self.head(encoded, mask, question).items()}
