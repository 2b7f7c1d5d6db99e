"""The checks of problem set 1, patches and masks: what is tried, and how it is drawn."""

from collections.abc import Iterable

import torch
from einops import rearrange
from torch import Tensor

from minimim.feedback.check import Arguments, Task, variants
from minimim.feedback.pictures import beside
from minimim.feedback.ps1 import mistakes, mistakes_masks, truth


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random(*shape: int, seed: int = 0) -> Tensor:
    """Uniform numbers in [0, 1), the same at each call."""
    return torch.rand(*shape, generator=seeded(seed))


def unlike(*shape: int) -> Tensor:
    """Numbers from -100 to 100, with 300 taken away from one index of the second axis to the next."""
    return 200 * random(*shape, seed=9) - 100 - 300 * torch.arange(shape[1]).view(-1, *[1] * (len(shape) - 2))


def shuffled(*shape: int) -> Tensor:
    """Whole numbers without order along every row, from 0 in the first, from 1 in the second: rows share most numbers."""
    return random(*shape, seed=4).argsort(-1).contiguous() + torch.arange(float(shape[-2])).unsqueeze(1)


# ps1.1


def moving_disc(frames: int, height: int, width: int) -> Tensor:
    """A disc that crosses a coloured ground: (1, T, 3, H, W)."""
    y, x = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")
    ground = 0.2 + 0.6 * torch.stack([y / height, x / width, 1 - y / height])  # (3, H, W), nowhere black
    pictures = []
    for t in range(frames):
        far = (y - height / 2) ** 2 + (x - width * (t + 1) / (frames + 1)) ** 2
        pictures.append(torch.where(far < (height / 4) ** 2, torch.tensor([1.0, 0.8, 0.2]).view(3, 1, 1), ground))
    return torch.stack(pictures).unsqueeze(0)


def videos() -> Iterable[tuple[str, Arguments]]:
    yield "a video of a moving disc, batch 1", {"video": moving_disc(4, 12, 16), "patch_size": 4, "frames": 2}
    for words, arguments in variants({"video": random(2, 4, 3, 4, 6), "patch_size": 2, "frames": 2}):
        yield f"a video wider than high, {words}", arguments
    yield "a grey video higher than wide", {"video": random(2, 6, 1, 9, 3), "patch_size": 3, "frames": 2}
    yield "tubelets as long as the video", {"video": random(3, 3, 2, 4, 4), "patch_size": 2, "frames": 3}
    yield "tubelets of one frame", {"video": random(1, 3, 3, 4, 8), "patch_size": 4, "frames": 1}


def draw_tubelets(mine, expected, arguments) -> None:
    """The first video put together again, its frames side by side."""
    _, time, channels, height, _ = arguments["video"].shape
    size, frames = arguments["patch_size"], arguments["frames"]
    sizes = {"n": time // frames, "r": height // size, "t": frames, "p": size, "q": size}
    films = [rearrange(x[0], "(n r s) (t p q c) -> (r p) (n t s q) c", **sizes) for x in (mine, expected)]
    beside(*(film[..., :3] if channels >= 3 else film[..., 0] for film in films), "the first video, its frames side by side")


TUBELETS = Task(
    name="ps1.1",
    function="tubelets",
    truth=truth.tubelets,
    cases=videos,
    mistakes=mistakes.TUBELETS,
    draw=draw_tubelets,
)


# ps1.2


def odd_images() -> Iterable[tuple[str, Arguments]]:
    """Images with a few pixels that are black."""

    def some(*shape):
        images = random(*shape)
        return images * (random(*shape, seed=1)[:, :1] > 0.2)

    disc = {"images": moving_disc(1, 18, 22)[:, 0], "patch_size": 8}
    yield "a picture of 18×22 in patches of 8, batch 1", disc
    for words, arguments in variants({"images": some(2, 3, 5, 8), "patch_size": 4}):
        yield f"images of 5×8 in patches of 4, {words}", arguments
    yield "images of 6×7 in patches of 3, grey", {"images": some(3, 1, 6, 7), "patch_size": 3}
    yield "images of 4×6 in patches of 2, which need no border", {"images": some(2, 2, 4, 6), "patch_size": 2}
    yield "images of 3×2, smaller than a patch of 4", {"images": some(1, 3, 3, 2), "patch_size": 4}
    whole = (7 * random(2, 1, 3, 7, seed=2)).floor() - 3
    yield "grey images of 3×7 in patches of 2, whole numbers from -3 to 3 as pixels", {"images": whole, "patch_size": 2}


def draw_border(mine, expected, arguments) -> None:
    """The first image with its border, put together again; what is marked as no pixel of the image is darkened."""
    size = arguments["patch_size"]
    rows = -(-arguments["images"].shape[-2] // size)
    pictures = []
    for patches, real in (mine, expected):
        shown = rearrange(patches[0], "n (k c) -> n k c", k=size**2).float().mean(-1) + 0.5
        shown = shown * real[0].float().clamp(0.3, 1)
        pictures.append(rearrange(shown, "(r s) (p q) -> (r p) (s q)", r=rows, p=size))
    beside(*pictures, "the first image; black: not real")


BORDER = Task(
    name="ps1.2",
    function="patches_with_border",
    truth=truth.patches_with_border,
    cases=odd_images,
    mistakes=mistakes.BORDER,
    draw=draw_border,
)


# ps1.3


def noise_grids() -> Iterable[tuple[str, Arguments]]:
    for words, arguments in variants({"noise": random(3, 4, 6), "visible": 2}):
        yield f"a grid of 4×6, {words}", arguments
    yield "a grid of 7×5, batch 1", {"noise": random(1, 7, 5), "visible": 3}
    yield "one visible patch in a row", {"noise": random(2, 8, 8), "visible": 1}
    yield "a grid of 1×9", {"noise": random(4, 1, 9), "visible": 4}
    yield "rows that stay whole", {"noise": random(2, 3, 4), "visible": 4}
    yield "rows of whole numbers that share most of them", {"noise": shuffled(2, 4, 5), "visible": 2}
    yield "noise that is negative or large, and lower from row to row", {"noise": unlike(2, 3, 5), "visible": 3}


def draw_rows(mine, expected, arguments) -> None:
    """The mask of the first sample on its grid."""
    grid = arguments["noise"].shape[1:]
    beside(*(1 - mask[0].reshape(grid).float() for mask in (mine, expected)), "the first sample; black: hidden")


PER_ROW = Task(
    name="ps1.3",
    function="mask_per_row",
    truth=truth.mask_per_row,
    cases=noise_grids,
    mistakes=mistakes_masks.PER_ROW,
    draw=draw_rows,
)


# ps1.4


def ragged(batch: int, patches: int, dim: int, spare: int = 0, seed: int = 0) -> Arguments:
    """Each sample keeps another number of patches; behind its tokens stands padding that is no zero."""
    hidden = random(batch, patches, seed=seed) < torch.linspace(0.2, 0.8, batch).unsqueeze(1)  # (B, N)
    most = min(patches, int((~hidden).sum(1).max()) + spare)
    return {
        "tokens": random(batch, most, dim, seed=seed + 1),
        "hidden": hidden,
        "mask_token": -1 - random(dim, seed=seed + 2),
    }


def ragged_batches() -> Iterable[tuple[str, Arguments]]:
    for words, arguments in variants(ragged(4, 12, 3)):
        yield f"four samples of 12 patches, {words}", arguments
    yield "batch 1", ragged(1, 9, 5)
    yield "tokens of width 1", ragged(3, 16, 1, seed=3)
    yield "more padding than the fullest sample needs", ragged(3, 10, 2, spare=2, seed=5)
    extremes = ragged(3, 6, 4, spare=6, seed=7)
    extremes["hidden"][0], extremes["hidden"][1] = True, False
    yield "a sample that is hidden whole, and one that is not hidden at all", extremes
    whole = ragged(3, 8, 2, seed=13)
    yield "tokens of whole numbers, zeros among them", whole | {"tokens": (3 * whole["tokens"]).floor()}
    for words, padding in (("NaN", torch.nan), ("infinite", torch.inf)):
        spoilt = ragged(4, 8, 3, spare=2, seed=11)
        spoilt["hidden"][0] = True
        real = torch.arange(spoilt["tokens"].shape[1]) < (~spoilt["hidden"]).sum(1, keepdim=True)  # (B, Kmax)
        yield (
            f"padding that is {words}, and a sample that is hidden whole",
            spoilt | {"tokens": spoilt["tokens"].masked_fill(~real.unsqueeze(-1), padding)},
        )
    nothing = {
        "tokens": torch.full((2, 1, 3), torch.nan),
        "hidden": torch.ones(2, 4).bool(),
        "mask_token": random(3, seed=1),
    }
    yield "two samples that are hidden whole, with one column of padding", nothing


def draw_restored(mine, expected, arguments) -> None:
    """The first channel of every token: a row a sample, a column a place."""
    beside(mine[..., 0], expected[..., 0], "a row a sample, a column a place; black: mask token")


RAGGED = Task(
    name="ps1.4",
    function="restore_ragged",
    truth=truth.restore_ragged,
    cases=ragged_batches,
    mistakes=mistakes_masks.RAGGED,
    learns=("tokens", "mask_token"),
    draw=draw_restored,
)


# ps1.5


def overlaps() -> Iterable[tuple[str, Arguments]]:
    for words, arguments in variants({"noise": random(3, 16), "overlap": 1}):
        yield f"16 patches of which one is shared, {words}", arguments
    yield "32 patches of which two are shared, batch 1", {"noise": random(1, 32), "overlap": 2}
    yield "24 patches, none shared", {"noise": random(2, 24), "overlap": 0}
    yield "20 patches, all that is visible shared", {"noise": random(4, 20), "overlap": 5}
    yield "4 patches, none shared", {"noise": random(5, 4), "overlap": 0}
    yield "64 patches of which ten are shared", {"noise": random(2, 64), "overlap": 10}
    yield "samples of whole numbers that share most of them", {"noise": shuffled(3, 12), "overlap": 1}
    yield (
        "noise that is negative or large",
        {"noise": unlike(2, 12)[:, torch.randperm(12, generator=seeded())], "overlap": 2},
    )


def draw_views(mine, expected, arguments) -> None:
    """Both masks of the first sample, one row each."""
    pictures = [torch.stack([2.0 - mask[0].float() for mask in pair]) for pair in (mine, expected)]
    beside(*pictures, "the first sample, a row a view; black: hidden")


TWO_VIEWS = Task(
    name="ps1.5",
    function="two_views",
    truth=truth.two_views,
    cases=overlaps,
    mistakes=mistakes_masks.TWO_VIEWS,
    draw=draw_views,
)

TASKS = (TUBELETS, BORDER, PER_ROW, RAGGED, TWO_VIEWS)
