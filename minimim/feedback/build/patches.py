"""The checks of the build notebook, 1 to 4: patches and back, the random mask, and every token back at its place."""

import torch
from einops import rearrange
from torch import Tensor

from minimim.feedback.build import library
from minimim.feedback.build.library import Masked
from minimim.feedback.build.use import behind
from minimim.feedback.check import Task, only, variants
from minimim.patches import take


def draws(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# build.1


def patchify_cases():
    for shape, patch_size in (((2, 3, 8, 12), 4), ((1, 3, 6, 6), 3), ((3, 2, 4, 8), 2), ((2, 1, 4, 4), 2), ((1, 3, 4, 4), 4), ((2, 4, 3, 2), 1)):
        given = {"images": torch.randn(shape, generator=draws(patch_size)), "patch_size": patch_size}
        for words, arguments in variants(given):
            yield f"images {shape}, patch size {patch_size}, {words}", arguments


def cut(pattern: str):
    """Patches as another einops pattern would cut them."""
    return lambda images, patch_size: rearrange(images, f"b c {pattern}", p=patch_size, q=patch_size)


PATCHIFY = Task(
    "build.1", "patchify", library.patchify, patchify_cases,
    mistakes={
        "the numbers of a patch are in (c p q) order, one channel after the other; here the channels of a pixel stand side by side, (p q c)":
            cut("(r p) (s q) -> b (r s) (c p q)"),
        "each patch is read column by column, (q p c); read it row by row, (p q c)":
            cut("(r p) (s q) -> b (r s) (q p c)"),
        "the patches are numbered column by column; number them row by row, (r s)":
            cut("(r p) (s q) -> b (s r) (p q c)"),
        "the height was split as (p r) and the width as (q s), so a patch takes pixels that lie far apart; r patches of p pixels are (r p)":
            cut("(p r) (q s) -> b (r s) (p q c)"),
        "a reshape alone keeps the order in memory, where the pixels of a patch do not lie together: split the sides, bring the axes into order, then merge":
            lambda images, patch_size: images.reshape(len(images), -1, patch_size**2 * images.shape[1]),
        "the rows and the columns of the images have changed places; height is axis 2, width axis 3":
            lambda images, patch_size: rearrange(images, "b c (s q) (r p) -> b (r s) (p q c)", p=patch_size, q=patch_size),
        "each patch was averaged; keep all its pixels":
            lambda images, patch_size: rearrange(images, "b c (r p) (s q) -> b (r s) (p q) c", p=patch_size, q=patch_size).mean(2),
        "the patches are still squares, (B, N, P, P, C); merge their last three axes into one":
            cut("(r p) (s q) -> b (r s) p q c"),
        "the grid is still there, (B, H/P, W/P, P·P·C); merge its two axes into one of N":
            cut("(r p) (s q) -> b r s (p q c)"),
    },
    errors={"Shape mismatch, can't divide axis": "einops was given a pattern in which a side is not r patches of p pixels"},
    adapt=behind,
)  # fmt: skip


# build.2


def unpatchify_cases():
    for batch, channels, patch_size, grid in ((2, 3, 4, (2, 3)), (1, 3, 2, (3, 1)), (3, 2, 2, (2, 4)), (2, 1, 3, (1, 2)), (1, 4, 1, (3, 2))):
        patches = torch.randn(batch, grid[0] * grid[1], patch_size**2 * channels, generator=draws(batch))
        for words, arguments in variants({"patches": patches, "patch_size": patch_size, "grid": grid}):
            yield f"{tuple(patches.shape)} in a {grid[0]}×{grid[1]} grid of patches of {patch_size}, {words}", arguments


def put_together(pattern: str, **turned):
    """Patches put together by another einops pattern."""

    def mistaken(patches, patch_size, grid):
        rows, cols = reversed(grid) if turned else grid
        return rearrange(patches, pattern, r=rows, s=cols, p=patch_size, q=patch_size)

    return mistaken


UNPATCHIFY = Task(
    "build.2", "unpatchify", library.unpatchify, unpatchify_cases,
    mistakes={
        "the numbers of a patch were read as (c p q); patchify wrote them as (p q c)":
            put_together("b (r s) (c p q) -> b c (r p) (s q)"),
        "each patch is filled column by column, (q p c); patchify read it row by row, (p q c)":
            put_together("b (r s) (q p c) -> b c (r p) (s q)"),
        "the patches are laid down column by column; patchify numbered them row by row, (r s)":
            put_together("b (s r) (p q c) -> b c (r p) (s q)"),
        "the pixels of different patches are interleaved: the height is r patches of p pixels, (r p), not (p r)":
            put_together("b (r s) (p q c) -> b c (p r) (q s)"),
        "grid is (rows, cols), and you took the first number for the columns":
            put_together("b (r s) (p q c) -> b c (r p) (s q)", turned=True),
        "each image lies on its side: the result is (B, C, H, W), height before width":
            put_together("b (r s) (p q c) -> b c (s q) (r p)"),
        "the channels came last; the result is (B, C, H, W)":
            put_together("b (r s) (p q c) -> b (r p) (s q) c"),
        "a reshape alone keeps the order in memory, and neighbours in a row of pixels do not lie together there: split the axes, bring them into order, then merge":
            lambda patches, patch_size, grid: patches.reshape(len(patches), -1, grid[0] * patch_size, grid[1] * patch_size),
        "the axes were split and merged, but not brought into order in between":
            lambda patches, patch_size, grid: rearrange(patches, "b (r s) (p q c) -> b c r s p q", r=grid[0], s=grid[1], p=patch_size, q=patch_size)
            .reshape(len(patches), -1, grid[0] * patch_size, grid[1] * patch_size),
    },
    learns=("patches",), adapt=behind,
)  # fmt: skip


# build.3


def mask_cases():
    for batch, count, keep in ((2, 6, 2), (3, 16, 4), (1, 9, 1), (2, 5, 4), (4, 64, 16), (2, 7, 7)):
        noise = torch.rand(batch, count, generator=draws(count))
        for words, arguments in variants({"noise": noise, "keep": keep}):
            yield f"noise {(batch, count)}, keep {keep}, {words}", arguments
    yield "noise that is negative or large", {"noise": 1000 * torch.randn(2, 8, generator=draws(0)), "keep": 3}


def masked(order: Tensor, keep: int, **other) -> Masked:
    """What is right for an order, (B, N), and a count, but for what is given by name."""
    hidden = torch.ones(order.shape, dtype=torch.bool).scatter(1, order[:, :keep], False)
    return Masked(**{"visible_ids": order[:, :keep], "restore_ids": order.argsort(1), "hidden": hidden} | other)


def kept_sorted(noise, keep):
    """Visible ids in reading order, with the restore ids of the noise."""
    order = noise.argsort(1)
    return masked(order, keep, visible_ids=order[:, :keep].sort(1).values)


def first_for_all(noise, keep):
    """The mask of the first sample, for every sample."""
    only(len(noise) > 1)
    return masked(noise[:1].argsort(1).expand_as(noise), keep)


RANDOM_MASK = Task(
    "build.3", "random_mask", library.random_mask, mask_cases,
    mistakes={
        "restore_ids is the order itself; it should say where each patch stands in that order, which is the argsort of the order":
            lambda noise, keep: masked(noise.argsort(1), keep, restore_ids=noise.argsort(1)),
        "the patches with the highest noise were kept; keep the lowest":
            lambda noise, keep: masked(noise.argsort(1, descending=True), keep),
        "hidden is turned round: True means hidden, so `keep` patches of each sample are False":
            lambda noise, keep: masked(noise.argsort(1), keep, hidden=~masked(noise.argsort(1), keep).hidden),
        "hidden says which places in the shuffled order are hidden; it should say which patches are, in reading order: take it at restore_ids":
            lambda noise, keep: masked(noise.argsort(1), keep, hidden=(torch.arange(noise.shape[1]) >= keep).expand(noise.shape)),
        "visible_ids were sorted, but restore_ids belongs to the order of the noise: leave visible_ids as they stand in it":
            kept_sorted,
        "every sample got the first sample's mask; each has noise of its own":
            first_for_all,
        "`keep` patches were hidden; `keep` is how many stay visible":
            lambda noise, keep: masked(noise.argsort(1), noise.shape[1] - keep),
        "visible_ids holds the ids of the hidden patches; they are the first `keep` of the order":
            lambda noise, keep: masked(noise.argsort(1), keep, visible_ids=noise.argsort(1)[:, keep:]),
        "a second draw was made, or the noise was not used: sort the noise that is given, and draw nothing":
            lambda noise, keep: masked(torch.arange(noise.shape[1]).expand(noise.shape), keep),
        "the batch was sorted down the columns; each row is a sample":
            lambda noise, keep: masked(noise.argsort(0), keep),
    },
    adapt=behind,
)  # fmt: skip


# build.4


def restore_cases():
    for batch, count, keep, dim in ((2, 6, 2, 3), (3, 9, 4, 2), (1, 5, 1, 4), (2, 4, 4, 3), (2, 8, 7, 1)):
        draw = draws(dim)
        ids = torch.rand(batch, count, generator=draw).argsort(1)
        given = {"visible": torch.randn(batch, keep, dim, generator=draw), "filler": torch.randn(1, 1, dim, generator=draw), "restore_ids": ids}
        for words, arguments in variants(given):
            yield f"{keep} visible of {count} tokens of width {dim}, batch {batch}, {words}", arguments


def lined_up(visible, filler, restore_ids) -> Tensor:
    """The visible tokens, then fillers: (B, N, D)."""
    return torch.cat([visible, filler.expand(len(visible), restore_ids.shape[1] - visible.shape[1], -1)], 1)


def spread(visible, filler, restore_ids) -> Tensor:
    """Each token put where `restore_ids` points, as if it were the order."""
    row = lined_up(visible, filler, restore_ids)
    return torch.zeros_like(row).scatter(1, restore_ids.unsqueeze(-1).expand_as(row), row)


def fillers_first(visible, filler, restore_ids) -> Tensor:
    row = lined_up(visible, filler, restore_ids)
    return take(row.roll(restore_ids.shape[1] - visible.shape[1], 1), restore_ids)


def with_first_ids(visible, filler, restore_ids) -> Tensor:
    only(len(visible) > 1)
    return lined_up(visible, filler, restore_ids)[:, restore_ids[0]]


RESTORE = Task(
    "build.4", "restore", library.restore, restore_cases,
    mistakes={
        "the tokens are still in the shuffled order, visible ones first: take them at restore_ids":
            lined_up,
        "tokens were put where restore_ids points (scatter), or taken at its argsort; restore_ids says where in the row each patch is found, so take from there (gather)":
            spread,
        "the fillers stand before the visible tokens; restore_ids counts the visible ones first":
            fillers_first,
        "the first sample's restore_ids were used for all":
            with_first_ids,
        "the hidden places are zero; the filler belongs there":
            lambda visible, filler, restore_ids: take(lined_up(visible, 0 * filler, restore_ids), restore_ids),
        "the filler was added to the visible tokens, too":
            lambda visible, filler, restore_ids: take(lined_up(visible + filler, filler, restore_ids), restore_ids),
        "N fillers were put behind the visible tokens, and the result is longer than N; N − K are missing":
            lambda visible, filler, restore_ids: torch.cat([visible, filler.expand(*restore_ids.shape, -1)], 1),
        "one filler was put behind the visible tokens; N − K are missing, so repeat it":
            lambda visible, filler, restore_ids: torch.cat([visible, filler.expand(len(visible), -1, -1)], 1),
    },
    errors={
        "Sizes of tensors must match except in dimension 1": "visible and filler do not fit for torch.cat: expand the filler to (B, N − K, D) first",
        "index out of range": "restore_ids points beyond the last token: N − K fillers are missing behind the visible ones",
        "out of bounds": "restore_ids points beyond the last token: N − K fillers are missing behind the visible ones",
        "Index tensor must have the same number of dimensions": "gather needs an index of three axes: give restore_ids a third one, and expand it over D",
    },
    learns=("visible", "filler"), adapt=behind,
)  # fmt: skip


TASKS = [PATCHIFY, UNPATCHIFY, RANDOM_MASK, RESTORE]
