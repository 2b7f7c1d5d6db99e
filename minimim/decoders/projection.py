"""Projectors, small MLPs to the space in which a contrastive or clustering loss compares images, and prototypes in that space."""

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
    """An MLP from `dim` through the hidden `widths` to `out`, with a norm and an activation after each hidden layer: (…, dim) → (…, out).

    norm: "batch" (over all rows and processes), "layer", or None. bias: whether the linear maps have one; last_bias: whether the last
    one has, by default as bias. last_norm: whether a norm without weights follows the last map (MoCo v3, arXiv 2104.02057; ConMIM,
    2205.09616). Raises UserError for an unknown norm or activation.
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

    on: "cls", the CLS token; "mean", the mean of the patches; "tokens", every token separately, with CLS and patches in one batch, so
    that they share the statistics of batch norm. widths, out, more: see `projector`. Raises UserError for another value of on.
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
    """K learnt prototypes, (K, D), and the cosine of a vector with each (MSN, arXiv 2204.07141).

    They are initialised uniformly within ±1/√D. Their gradient is clipped separately from that of the encoder (`lr_scale` makes them a
    group of their own, here at the same learning rate). Student and teacher own them together: see `share` of Teacher.
    """

    lr_scale = 1.0

    def __init__(self, count: int, dim: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(count, dim).uniform_(-(dim**-0.5), dim**-0.5))

    def forward(self, x: Tensor) -> Tensor:
        """(…, D) → cosines (…, K)."""
        return F.linear(F.normalize(x, dim=-1), F.normalize(self.weight, dim=-1))


class PrototypeProjection(nn.Module):
    """A projector followed by the cosine with each prototype (MSN, arXiv 2204.07141): {"cls": (B, K)}.

    head: a ProjectionHead. prototypes: Prototypes of the projector's output width.
    """

    def __init__(self, head: ProjectionHead, prototypes: Prototypes):
        super().__init__()
        self.head, self.prototypes = head, prototypes

    def forward(self, encoded: Encoded, mask: Mask | None = None, question: Tensor | None = None) -> Streams:
        """Latents → the head's streams, each as scores, (…, K)."""
        return {name: self.prototypes(x) for name, x in self.head(encoded, mask, question).items()}
