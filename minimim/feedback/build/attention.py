"""The checks of the build notebook, 5 and 6: attention, and attention in several heads."""

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from minimim.feedback.build import library
from minimim.feedback.build.modules import CLOSE, drawn, gradients, load, told, tried
from minimim.feedback.build.use import behind
from minimim.feedback.check import Task, variants
from minimim.layers import Attention


def attention_cases():
    for shape in ((4, 3), (2, 5, 4), (2, 3, 6, 9), (1, 1, 2)):
        draw = torch.Generator().manual_seed(len(shape))
        q, k, v = (torch.randn(shape, generator=draw) for _ in range(3))
        for words, arguments in variants({"q": 2 * q, "k": k, "v": v}):
            yield f"q, k and v {shape}, {words}", arguments
    q = torch.zeros(3, 4)
    q[:, 0] = torch.tensor([100.0, -100.0, 0.0])
    yield "queries that are large", {"q": q, "k": torch.eye(3, 4), "v": torch.arange(12.0).view(3, 4)}


def mixed(q, k, v, scale: float | None = None, axis: int = -1) -> Tensor:
    """Attention with another scale, or a softmax along another axis."""
    scores = q @ k.transpose(-2, -1) * (q.shape[-1] ** -0.5 if scale is None else scale)
    return scores.softmax(axis) @ v


ATTENTION = Task(
    "build.5", "attention", library.attention, attention_cases,
    mistakes={
        "the scores are not divided by √d":
            lambda q, k, v: mixed(q, k, v, 1.0),
        "the scores are divided by d; divide by its square root":
            lambda q, k, v: mixed(q, k, v, 1 / q.shape[-1]),
        "the scores are multiplied by √d; divide":
            lambda q, k, v: mixed(q, k, v, q.shape[-1] ** 0.5),
        "the scores are divided by √T, with the number of tokens; d is the last size of q":
            lambda q, k, v: mixed(q, k, v, q.shape[-2] ** -0.5),
        "softmax runs over the queries, so the columns of the weights sum to 1; each row must, which is dim=-1":
            lambda q, k, v: mixed(q, k, v, axis=-2),
        "softmax runs over the first axis; the weights of each query, along the last axis, must sum to 1":
            lambda q, k, v: mixed(q, k, v, axis=0),
        "there is no softmax, so the weights are no weighted mean":
            lambda q, k, v: q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]) @ v,
        "queries and keys have changed places: row i of the scores belongs to query i":
            lambda q, k, v: mixed(k, q, v),
        "the weights mix the keys; they mix the values":
            lambda q, k, v: mixed(q, k, k),
        "the weights were divided by √d after the softmax; divide the scores before it":
            lambda q, k, v: mixed(q, k, v, 1.0) / math.sqrt(q.shape[-1]),
        "a causal mask was used; here every token may look at every token":
            lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        "these are the weights; multiply them by the values":
            lambda q, k, v: (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(-1),
    },
    learns=("q", "k", "v"), close=CLOSE, adapt=behind,
)  # fmt: skip


def head_cases():
    for batch, count, dim, heads in ((2, 5, 8, 2), (3, 4, 12, 3), (1, 7, 6, 1), (2, 3, 16, 8)):
        x = torch.randn(batch, count, dim, generator=torch.Generator().manual_seed(dim))
        arguments = {"dim": dim, "heads": heads, "weights": drawn(Attention(dim, heads), seed=dim), "x": x}
        yield f"x {(batch, count, dim)}, {heads} heads", arguments


def heads_truth(dim: int, heads: int, weights: dict, x: Tensor) -> Tensor:
    """The library's attention with these weights."""
    model = Attention(dim, heads)
    load("build.6", model, weights)
    return told(model, model(x))


def in_heads(split: str = "three h d", merge: str = "b h t d -> b t (h d)", attend=mixed, order=(0, 1, 2), proj: bool = True):
    """Attention in heads that are split, merged or mixed in another way. order: which third of qkv is q, which k, which v."""

    def mistaken(dim, heads, weights, x):
        qkv = rearrange(F.linear(x, weights["qkv.weight"], weights["qkv.bias"]), f"b t ({split}) -> three b h t d", three=3, h=heads)
        mix = attend(*(qkv[n] for n in order))
        mix = rearrange(mix, merge) if merge else mix.reshape(x.shape)
        return F.linear(mix, weights["proj.weight"], weights["proj.bias"]) if proj else mix

    return mistaken


def without_heads(dim, heads, weights, x):
    return in_heads()(dim, 1, weights, x)


MULTI_HEAD = Task(
    "build.6", "MultiHeadAttention", heads_truth, head_cases,
    mistakes={
        "the 3·D numbers of qkv were split as (heads, 3, d); they are all queries, then all keys, then all values: (3, heads, d)":
            in_heads("h three d"),
        "a head took every heads-th number; the first d numbers are those of head 0: (3, heads, d), not (3, d, heads)":
            in_heads("three d h"),
        "the heads were merged by a reshape alone, while their axis stands before that of the tokens: bring it to (B, T, heads, d) first":
            in_heads(merge=""),
        "the merged numbers are in (d heads) order; head 0 comes first, (heads d)":
            in_heads(merge="b h t d -> b t (d h)"),
        "there is only one head: split D into heads of D / heads numbers, and attend in each":
            without_heads,
        "proj is not applied to the merged heads":
            in_heads(proj=False),
        "the scores are divided by √D; in a head they are divided by the square root of its own width d = D / heads":
            lambda dim, heads, weights, x: in_heads(attend=lambda q, k, v: mixed(q, k, v, dim**-0.5))(dim, heads, weights, x),
        "the scores are not divided by √d":
            in_heads(attend=lambda q, k, v: mixed(q, k, v, 1.0)),
        "the heads attend to each other: attention runs over the axis of the heads; bring it to (B, heads, T, d) before":
            lambda dim, heads, weights, x: in_heads(attend=lambda q, k, v: mixed(*(y.transpose(1, 2) for y in (q, k, v))).transpose(1, 2))(dim, heads, weights, x),
        "queries and keys have changed places; the first third of qkv is the queries, the second the keys":
            in_heads(order=(1, 0, 2)),
        "keys and values have changed places; the second third of qkv is the keys, the last the values":
            in_heads(order=(0, 2, 1)),
        "x was added to the result; the block does that, outside of attention":
            lambda dim, heads, weights, x: x + in_heads()(dim, heads, weights, x),
    },
    adapt=tried("build.6", ("dim", "heads"), ("x",)), left=gradients, close=CLOSE,
)  # fmt: skip


TASKS = [ATTENTION, MULTI_HEAD]
