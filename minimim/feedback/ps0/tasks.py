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
        "one std for all channels: std has a number for each of them":
            lambda images, mean, std: (images - mean[:, :, None, None]) / std[0],
        "only mean is divided by std: images - mean needs brackets around it":
            lambda images, mean, std: images - mean[:, :, None, None] / std[:, None, None],
        "the mean was computed from the pixels; use the mean that is given":
            lambda images, mean, std: (images - images.mean((2, 3), keepdim=True)) / std[:, None, None],
        "mean is not taken away":
            lambda images, mean, std: images / std[:, None, None],
    },
)  # fmt: skip


def pick_cases():
    for batch, channels, height, width, kept in ((3, 3, 2, 4, 3), (2, 5, 3, 3, 2), (1, 4, 2, 5, 4), (3, 4, 2, 2, 1)):
        draw = draws(channels)
        images = torch.randn(batch, channels, height, width, generator=draw)
        ids = torch.rand(batch, channels, generator=draw).argsort(1)[:, :kept]
        for words, given in variants({"images": images, "ids": ids}):
            yield f"images {(batch, channels, height, width)} and {kept} ids each, {words}", given
    images = torch.randn(2, 3, 2, 2, generator=draws(0))
    yield "ids that name a channel twice, [[2, 0, 2], [1, 1, 0]]", {"images": images, "ids": torch.tensor([[2, 0, 2], [1, 1, 0]])}


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
        "channels are counted from 0, and you count from 1":
            lambda images, ids: truth.pick_channels(images, ids - 1),
        "the channels stand in the order of the image; they should stand in the order of ids":
            lambda images, ids: truth.pick_channels(images, ids.sort(1).values),
        "ids are read as numbers of images; they are numbers of channels":
            lambda images, ids: images[ids[:, 0]][:, : ids.shape[1]],
    },
)  # fmt: skip


def places_cases():
    for batch, count in ((3, 5), (1, 7), (4, 2), (2, 1)):
        times = torch.rand(batch, count, generator=draws(count))
        for words, given in variants({"times": times}):
            yield f"times {(batch, count)}, {words}", given
    yield "times that are negative or large", {"times": 1000 * torch.randn(3, 4, generator=draws(0))}


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
        "the second argsort sorts from high to low; both go from low to high":
            lambda times: times.argsort(1).argsort(1, descending=True) + 1,
        "argsort once, from high to low: that says who came last, who second to last; asked are the places":
            lambda times: times.argsort(1, descending=True) + 1,
        "these are the sorted times; asked are the places":
            lambda times: times.sort(1).values,
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
        "nothing in it would be learnt: its numbers are not parameters (make them by nn.Linear or nn.Parameter), or no gradient reaches them (because of torch.no_grad(), .detach() or .data)":
            lambda x, weight, bias: (x * torch.sigmoid(x @ weight.T + bias), torch.tensor(0)),
        "A is used the other way round: for a row x, A x is x @ A.T, as nn.Linear has it":
            lambda x, weight, bias: (x * torch.sigmoid(x @ weight + bias), learnt(weight, bias)),
        "the bias is not added, and so not learnt":
            lambda x, weight, bias: (x * torch.sigmoid(x @ weight.T), torch.tensor(weight.numel())),
        "the gate is a tanh, which goes from -1 to 1; sigmoid goes from 0 to 1":
            lambda x, weight, bias: (x * torch.tanh(x @ weight.T + bias), learnt(weight, bias)),
        "sigmoid was applied to x times the linear map; apply it to the linear map alone, then multiply by x":
            lambda x, weight, bias: (torch.sigmoid(x * (x @ weight.T + bias)), learnt(weight, bias)),
    },
    errors={
        "Missing key(s)":
            "Gate has other parameters than A and b: keep both in one nn.Linear(dim, dim), assigned to self.linear, and no other layer",
        'Unexpected key(s) in state_dict: "linear.bias"':
            "self.linear has no bias, and A x + b has one",
        "Unexpected key(s)":
            "Gate does not know of a layer with the name linear. A module finds what is assigned to self, but does not look into a plain list, tuple or dict: write self.linear = nn.Linear(dim, dim)",
        "cannot assign module before Module.__init__() call":
            "super().__init__() must come before the first layer is assigned",
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
        "one step too few":
            lambda f, x, rate, steps: walk(f, x, rate, steps - 1, lambda x, slope, total: -slope),
        "the slope is taken once, where the walk begins; each step needs the slope at its own point":
            lambda f, x, rate, steps: walk(f, x, rate * steps, min(1, steps), lambda x, slope, total: -slope),
        "the slope was brought to length 1; how steep it is counts too":
            lambda f, x, rate, steps: walk(f, x, rate, steps, lambda x, slope, total: -slope / slope.norm()),
        "only the direction of the slope is used, not how steep it is":
            lambda f, x, rate, steps: walk(f, x, rate, steps, lambda x, slope, total: -slope.sign()),
    },
    errors={
        "and 'NoneType'":
            "x.grad is None where it is used. After x = x - rate * x.grad, x is the result of a computation, and backward gives a .grad only to a tensor that begins one: start each step with x = x.detach().requires_grad_()",
        "a leaf Variable that requires grad is being used in an in-place operation":
            "x is changed in place while autograd watches it: put the step into a block `with torch.no_grad():`, or make a new x and detach it",
        "does not require grad and does not have a grad_fn":
            "nothing was recorded for the gradient: call requires_grad_() on a copy of x before f is computed on it, and not inside torch.no_grad()",
        "One of the differentiated Tensors does not require grad":
            "nothing was recorded for the gradient: call requires_grad_() on a copy of x before f is computed on it",
        "appears to not have been used in the graph":
            "the slope is asked for a tensor that f was not computed on: give f the same tensor that requires the gradient",
        "backward through the graph a second time":
            "backward goes through the same graph twice: f must be computed anew, at the new point, in each step",
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
        "all images stand in one row; `rows` says how many rows there are":
            lambda images, rows: rearrange(images, "n ch h w -> ch h (n w)"),
        "all images stand in one column; `rows` says how many rows there are":
            lambda images, rows: rearrange(images, "n ch h w -> ch (n h) w"),
        "each image lies on its side: h goes beside the rows, and w beside the columns":
            lambda images, rows: rearrange(images, "(r c) ch h w -> ch (r w) (c h)", r=rows),
        "channels came last; they were asked for first":
            lambda images, rows: rearrange(images, "(r c) ch h w -> (r h) (c w) ch", r=rows),
    },
    draw=lambda yours, expected, given: beside(yours[0], expected[0]),
)  # fmt: skip

TASKS = [STANDARDISE, PICK, PLACES, GATED, DESCEND, SHEET]
