"""Problem set 0: is everything there that the course stands on?"""

import torch
from einops import rearrange

from minimim.feedback.check import Task, variants
from minimim.feedback.pictures import beside
from minimim.feedback.ps0 import truth


def draws(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def standardise_cases():
    for shape in ((3, 3, 3, 3), (2, 3, 4, 5), (1, 1, 2, 2), (4, 2, 6, 3)):  # the first runs whichever way axes are lined up
        draw = draws(shape[0])
        images = torch.randn(shape, generator=draw)
        mean, std = torch.randn(shape[:2], generator=draw), 0.5 + torch.rand(shape[1], generator=draw)
        for words, given in variants({"images": images, "mean": mean, "std": std}):
            yield f"images {shape}, {words}", given


STANDARDISE = Task(
    "ps0.1", "standardise", truth.standardise, standardise_cases,
    mistakes={
        "mean lined up with the last axes, height and width: shapes are matched from the right, so it needs two axes of size 1 behind its own":
            lambda images, mean, std: (images - mean) / std[:, None, None],
        "std lined up with the columns of the image: shapes are matched from the right, so it needs two axes of size 1 behind its own":
            lambda images, mean, std: (images - mean[:, :, None, None]) / std,
        "both mean and std lined up with the last axes: shapes are matched from the right, so they need axes of size 1 behind their own":
            lambda images, mean, std: (images - mean) / std,
        "std was multiplied by; divide":
            lambda images, mean, std: (images - mean[:, :, None, None]) * std[:, None, None],
        "divided before the mean was taken away":
            lambda images, mean, std: images / std[:, None, None] - mean[:, :, None, None],
        "one mean for all images: mean has a row for each of them":
            lambda images, mean, std: (images - mean[0][:, None, None]) / std[:, None, None],
    },
)  # fmt: skip


def pick_cases():
    for batch, channels, height, width, kept in ((3, 3, 2, 4, 3), (2, 5, 3, 3, 2), (1, 4, 2, 5, 4), (3, 4, 2, 2, 1)):
        draw = draws(channels)
        images = torch.randn(batch, channels, height, width, generator=draw)
        ids = torch.rand(batch, channels, generator=draw).argsort(1)[:, :kept]
        for words, given in variants({"images": images, "ids": ids}):
            yield f"images {(batch, channels, height, width)} and {kept} ids each, {words}", given


PICK = Task(
    "ps0.2", "pick_channels", truth.pick_channels, pick_cases,
    mistakes={
        "images[:, ids] takes every image's ids from every image; each image has its own":
            lambda images, ids: images[:, ids],
        "the first image's ids were used for all":
            lambda images, ids: images[:, ids[0]],
        "channels were put where the ids point (scatter), instead of taken from there (gather)":
            lambda images, ids: torch.zeros_like(images).scatter(1, ids[:, :, None, None].expand_as(images), images),
        "one pixel of each image was taken: an index for gather has the size of the result on every axis, so expand it":
            lambda images, ids: images.gather(1, ids[:, :, None, None]),
    },
)  # fmt: skip


def places_cases():
    for batch, count in ((3, 5), (1, 7), (4, 2), (2, 1)):
        times = torch.rand(batch, count, generator=draws(count))
        for words, given in variants({"times": times}):
            yield f"times {(batch, count)}, {words}", given


PLACES = Task(
    "ps0.3", "places", truth.places, places_cases,
    mistakes={
        "argsort once gives the order (who came first, who second), not the places; sort that once more":
            lambda times: times.argsort(1) + 1,
        "argsort once gives the order, not the places, and places begin at 1":
            lambda times: times.argsort(1),
        "places begin at 1":
            lambda times: times.argsort(1).argsort(1),
        "the slowest has place 1; it should be the fastest, with the smallest time":
            lambda times: times.argsort(1, descending=True).argsort(1) + 1,
        "all rows run in one race; each row is a race of its own":
            lambda times: times.flatten().argsort().argsort().reshape(times.shape) + 1,
        "sorted down the columns; each row is a race":
            lambda times: times.argsort(0).argsort(0) + 1,
    },
)  # fmt: skip


def gated_cases():
    for batch, dim in ((3, 4), (1, 5), (2, 1)):
        draw = draws(dim)
        x, weight = torch.randn(batch, dim, generator=draw), torch.randn(dim, dim, generator=draw)
        yield f"x {(batch, dim)}", {"x": x, "weight": weight, "bias": torch.randn(dim, generator=draw)}


def learnt(weight, bias):
    return torch.tensor(weight.numel() + bias.numel())


GATED = Task(
    "ps0.4", "gated", truth.gated, gated_cases,
    mistakes={
        "forward returns the gate alone; multiply x by it":
            lambda x, weight, bias: (torch.sigmoid(x @ weight.T + bias), learnt(weight, bias)),
        "the gate has no sigmoid, so it is not between 0 and 1":
            lambda x, weight, bias: (x * (x @ weight.T + bias), learnt(weight, bias)),
        "the linear map was multiplied by its own sigmoid; multiply x":
            lambda x, weight, bias: (torch.nn.functional.silu(x @ weight.T + bias), learnt(weight, bias)),
        "the gate is a softmax, which lets the places compete; sigmoid looks at each alone":
            lambda x, weight, bias: (x * torch.softmax(x @ weight.T + bias, -1), learnt(weight, bias)),
        "x was added to the gate; multiply":
            lambda x, weight, bias: (x + torch.sigmoid(x @ weight.T + bias), learnt(weight, bias)),
        "its numbers are not parameters, so no optimiser would ever change them: make them by nn.Linear or nn.Parameter":
            lambda x, weight, bias: (x * torch.sigmoid(x @ weight.T + bias), torch.tensor(0)),
    },
)  # fmt: skip


def bowl(x):
    return (x**2).sum()


def valley(x):
    return (torch.sin(x) + 0.5 * x**2).sum() + x[0] * x[-1]


def descend_cases():
    for count, rate, steps in ((4, 0.1, 5), (3, 0.05, 1), (1, 0.2, 3), (5, 0.1, 0)):
        start = torch.randn(count, generator=draws(count))
        for f in (bowl, valley):
            for words, given in variants({"x": start}):
                yield f"{f.__name__}, {steps} steps from {count} numbers, {words}", {"f": f, **given, "rate": rate, "steps": steps}


def walk(f, x, rate, steps, change):
    """x after some steps; change: (x, slope, slopes so far) → how far to go, before it is multiplied by the rate."""
    total = torch.zeros_like(x)
    for _ in range(steps):
        leaf = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(f(leaf), leaf)
        total = total + slope
        x = x + rate * change(x, slope, total)
    return x


DESCEND = Task(
    "ps0.5", "descend", truth.descend, descend_cases,
    mistakes={
        "slopes of earlier steps are added to later ones: backward adds to .grad, so set it to None (or zero) before each step":
            lambda f, x, rate, steps: walk(f, x, rate, steps, lambda x, slope, total: -total),
        "it goes uphill: take the slope away":
            lambda f, x, rate, steps: walk(f, x, rate, steps, lambda x, slope, total: slope),
        "one step only, whatever steps says":
            lambda f, x, rate, steps: walk(f, x, rate, min(1, steps), lambda x, slope, total: -slope),
        "the rate is not used":
            lambda f, x, rate, steps: walk(f, x, 1.0, steps, lambda x, slope, total: -slope),
        "one step too many":
            lambda f, x, rate, steps: walk(f, x, rate, steps + 1, lambda x, slope, total: -slope),
        "only the direction of the slope is used, not how steep it is":
            lambda f, x, rate, steps: walk(f, x, rate, steps, lambda x, slope, total: -slope.sign()),
    },
)  # fmt: skip


def sheet_cases():
    for count, channels, height, width, rows in ((6, 3, 2, 4, 2), (4, 1, 3, 3, 2), (3, 2, 2, 5, 1), (6, 1, 4, 2, 3)):
        images = torch.rand(count, channels, height, width, generator=draws(height))
        for words, given in variants({"images": images}):
            yield f"{count} images {(channels, height, width)} in {rows} rows, {words}", {**given, "rows": rows}


SHEET = Task(
    "ps0.6", "contact_sheet", truth.contact_sheet, sheet_cases,
    mistakes={
        "filled column by column; fill row by row: the first name inside a bracket is the slow one, so (rows cols)":
            lambda images, rows: rearrange(images, "(c r) ch h w -> ch (r h) (c w)", r=rows),
        "the images are interleaved row of pixels by row of pixels: in (r h) the place in the sheet comes first":
            lambda images, rows: rearrange(images, "(r c) ch h w -> ch (h r) (w c)", r=rows),
        "rows and cols were changed over":
            lambda images, rows: rearrange(images, "(r c) ch h w -> ch (r h) (c w)", c=rows),
        "a reshape keeps the order of the numbers in memory, and images then run into each other; axes must change places first":
            lambda images, rows: images.reshape(images.shape[1], rows * images.shape[2], -1),
        "channels came last; they were asked for first":
            lambda images, rows: rearrange(images, "(r c) ch h w -> (r h) (c w) ch", r=rows),
    },
    draw=lambda yours, expected, given: beside(yours[0], expected[0]),
)  # fmt: skip

TASKS = [STANDARDISE, PICK, PLACES, GATED, DESCEND, SHEET]
