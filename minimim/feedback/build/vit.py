"""The checks of the build notebook, 7 and 8: the transformer block, and the table of positions."""

import torch
import torch.nn.functional as F
from torch import Tensor

from minimim.feedback.build import library
from minimim.feedback.build.modules import CLOSE, drawn, gradients, load, told, tried
from minimim.feedback.build.use import behind
from minimim.feedback.check import Task, only
from minimim.layers import Block


def block_cases():
    for batch, count, dim, heads, size in ((2, 5, 8, 2, 1.0), (1, 7, 12, 3, 3.0), (3, 4, 4, 1, 0.002)):
        x = size * torch.randn(batch, count, dim, generator=torch.Generator().manual_seed(dim))
        arguments = {"dim": dim, "heads": heads, "weights": drawn(Block(dim, heads), seed=dim), "x": x}
        yield f"x {(batch, count, dim)} of standard deviation {size:g}, {heads} heads", arguments


def loaded(dim: int, heads: int, weights: dict) -> Block:
    """The library's block with these weights."""
    block = Block(dim, heads)
    load("build.7", block, weights)
    return block


def block_truth(dim: int, heads: int, weights: dict, x: Tensor) -> Tensor:
    """What the library's block makes of x."""
    block = loaded(dim, heads, weights)
    return told(block, block(x))


def as_block(compute):
    """compute: (block, x) → what a block of another build makes of x."""
    return lambda dim, heads, weights, x: compute(loaded(dim, heads, weights), x)


def one_after_other(b: Block, x: Tensor, attend=None, think=None) -> Tensor:
    """The right order of things, with other ways to attend to x or to put it through the MLP."""
    x = attend(x) if attend else x + b.attn(b.norm1(x))
    return think(x) if think else x + b.mlp(b.norm2(x))


def with_eps(b: Block, x: Tensor) -> Tensor:
    b.norm1.eps = b.norm2.eps = 1e-5
    return b(x)


def normed_first(b: Block, x: Tensor) -> Tensor:
    y = b.norm1(x)
    y = b.norm2(y + b.attn(y))
    return y + b.mlp(y)


def post_norm(b: Block, x: Tensor) -> Tensor:
    x = b.norm1(x + b.attn(x))
    return b.norm2(x + b.mlp(x))


def mlp_first(b: Block, x: Tensor) -> Tensor:
    x = x + b.mlp(b.norm2(x))
    return x + b.attn(b.norm1(x))


BLOCK = Task(
    "build.7", "Block", block_truth, block_cases,
    mistakes={
        "x is not added to what attention gives: x + attn(norm1(x))":
            as_block(lambda b, x: one_after_other(b, x, attend=lambda x: b.attn(b.norm1(x)))),
        "x is not added to what the MLP gives: x + mlp(norm2(x))":
            as_block(lambda b, x: one_after_other(b, x, think=lambda x: b.mlp(b.norm2(x)))),
        "nothing is added: both attention and the MLP add to what they are given":
            as_block(lambda b, x: b.mlp(b.norm2(b.attn(b.norm1(x))))),
        "the norms come after the additions (post-norm); here each comes before its branch, inside the addition":
            as_block(post_norm),
        "x itself was replaced by its norm, so the normed x is added; add x as it came":
            as_block(normed_first),
        "norm1 is used twice; the MLP has norm2":
            as_block(lambda b, x: one_after_other(b, x, think=lambda x: x + b.mlp(b.norm1(x)))),
        "attention reads x without norm1":
            as_block(lambda b, x: one_after_other(b, x, attend=lambda x: x + b.attn(x))),
        "the MLP reads x without norm2":
            as_block(lambda b, x: one_after_other(b, x, think=lambda x: x + b.mlp(x))),
        "the MLP reads the x from before attention; it reads the x that attention has added to":
            as_block(lambda b, x: x + b.attn(b.norm1(x)) + b.mlp(b.norm2(x))),
        "the MLP came first; attention does":
            as_block(mlp_first),
        "there is no GELU between the two linear maps of the MLP":
            as_block(lambda b, x: one_after_other(b, x, think=lambda x: x + b.mlp.fc2(b.mlp.fc1(b.norm2(x))))),
        "the MLP uses ReLU; it is GELU":
            as_block(lambda b, x: one_after_other(b, x, think=lambda x: x + b.mlp.fc2(F.relu(b.mlp.fc1(b.norm2(x)))))),
        "the norms have torch's eps of 1e-5; ViT and MAE use nn.LayerNorm(dim, eps=1e-6)":
            as_block(with_eps),
    },
    adapt=tried("build.7", ("dim", "heads"), ("x",)), left=gradients, close=CLOSE,
)  # fmt: skip


def position_cases():
    return [(f"dim {dim}, a {grid[0]}×{grid[1]} grid", {"dim": dim, "grid": grid}) for dim, grid in ((8, (2, 3)), (16, (4, 2)), (4, (3, 1)), (128, (8, 8)), (12, (1, 4)))]


def table(dim: int, grid: tuple[int, int], *, rates=None, waves=("col", "row"), order="ij", join="halves", turned: bool = False) -> Tensor:
    """Positions laid out in another way. rates: (number i, quarter of dim) → w_i. join: halves, pairs or cosines first."""
    quarter = dim // 4
    rates = rates or (lambda i, quarter: 10000.0 ** (-i / quarter))
    w = rates(torch.arange(quarter, dtype=torch.float64), quarter)
    row, col = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in grid), indexing="ij")
    if turned:
        row, col = row.T, col.T
    places = {"row": row.reshape(-1, 1), "col": col.reshape(-1, 1)}
    parts = []
    for name in waves:
        sine, cosine = torch.sin(places[name] * w), torch.cos(places[name] * w)
        both = {"halves": (sine, cosine), "cosines first": (cosine, sine)}.get(join)
        parts.append(torch.cat(both, 1) if both else torch.stack([sine, cosine], 2).flatten(1))
    return torch.cat(parts, 1).float()


def along_a_line(dim: int, grid: tuple[int, int]) -> Tensor:
    """Positions that know the number of a patch, but not its row and column."""
    only(dim % 2 == 0)
    w = 10000.0 ** (-torch.arange(dim // 2, dtype=torch.float64) / (dim // 2))
    angles = torch.arange(grid[0] * grid[1], dtype=torch.float64).view(-1, 1) * w
    return torch.cat([torch.sin(angles), torch.cos(angles)], 1).float()


def counted_from_one(dim: int, grid: tuple[int, int]) -> Tensor:
    rows, cols = grid
    wide = table(dim, (rows + 1, cols + 1)).view(rows + 1, cols + 1, dim)
    return wide[1:, 1:].reshape(-1, dim)


POSITIONS = Task(
    "build.8", "positions", library.positions, position_cases,
    mistakes={
        "the row was written before the column; here the first half of a line is of the column, the second of the row":
            lambda dim, grid: table(dim, grid, waves=("row", "col")),
        "sines and cosines alternate; here all sines of the column come first, then its cosines, then the same for the row":
            lambda dim, grid: table(dim, grid, join="pairs"),
        "the cosines come before the sines":
            lambda dim, grid: table(dim, grid, join="cosines first"),
        "the patches are numbered column by column; number them row by row":
            lambda dim, grid: table(dim, grid, turned=True),
        "the exponent is −i / (dim/2); there are dim/4 rates, and it is −i / (dim/4)":
            lambda dim, grid: table(dim, grid, rates=lambda i, quarter: 10000.0 ** (-i / (2 * quarter))),
        "the exponent is −i / dim; there are dim/4 rates, and it is −i / (dim/4)":
            lambda dim, grid: table(dim, grid, rates=lambda i, quarter: 10000.0 ** (-i / (4 * quarter))),
        "the exponent is −2i / (dim/4); it is −i / (dim/4)":
            lambda dim, grid: table(dim, grid, rates=lambda i, quarter: 10000.0 ** (-2 * i / quarter)),
        "the exponent has no minus, so the waves are short; w falls from 1 towards 1/10000":
            lambda dim, grid: table(dim, grid, rates=lambda i, quarter: 10000.0 ** (i / quarter)),
        "rows and columns are counted from 1; count from 0":
            counted_from_one,
        "the table knows the number of a patch, but not its row and column: give each half of a line to one of them":
            along_a_line,
    },
    close=CLOSE, adapt=behind,
)  # fmt: skip


TASKS = [BLOCK, POSITIONS]
