"""The checks of problem set 0: they pass every right way to write an answer, and name the usual mistakes."""

import json

import numpy as np
import pytest
import torch
from einops import rearrange, repeat
from helpers import TOP
from torch import nn

from minimim.feedback import check
from minimim.feedback.check import WrongAnswer
from minimim.feedback.ps0 import TASKS

CELLS = json.loads((TOP / "solutions/ps0/ps0.ipynb").read_text(encoding="utf-8"))["cells"]
GATED = next("".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code" and "def gated" in "".join(cell["source"]))


def gate(forward, layer=nn.Linear):
    """The given scaffold of ps0.4 around somebody's forward(module, x)."""

    class Gate(nn.Module):
        def __init__(self, dim):
            super().__init__()
            self.linear = layer(dim, dim)

        def forward(self, x):
            return forward(self, x)

    return given(Gate)


def given(module):
    """The given function of ps0.4 on somebody's module."""
    names = {"torch": torch, "nn": nn}
    exec(GATED, names)  # noqa: S102
    names["Gate"] = module
    return names["gated"]


def layers(**made):
    """A Gate whose __init__ assigns other things: name → make(dim)."""

    class Gate(nn.Module):
        def __init__(self, dim):
            super().__init__()
            for name, make in made.items():
                setattr(self, name, make(dim))

        def forward(self, x):
            return x

    return given(Gate)


class Buffers(nn.Module):
    """A linear map that forgets to be learnt."""

    def __init__(self, rows, cols):
        super().__init__()
        self.register_buffer("weight", torch.zeros(rows, cols))
        self.register_buffer("bias", torch.zeros(rows))

    def forward(self, x):
        return x @ self.weight.T + self.bias


def ids_by_loop(images, ids):
    out = torch.empty(len(images), ids.shape[1], *images.shape[2:], dtype=images.dtype)
    for b in range(len(images)):
        for k in range(ids.shape[1]):
            out[b, k] = images[b, ids[b, k]]
    return out


def places_by_scatter(times):
    out = torch.empty(times.shape, dtype=torch.long)
    steps = torch.arange(1, times.shape[1] + 1).expand(times.shape)
    return out.scatter(1, times.sort(1).indices, steps)


def walk_by_backward(f, x, rate, steps):
    here = x.clone().requires_grad_()
    for _ in range(steps):
        here.grad = None
        f(here).backward()
        with torch.no_grad():
            here -= rate * here.grad
    return here.detach()


def walk_that_adds_up(f, x, rate, steps):
    here = x.clone().requires_grad_()
    for _ in range(steps):
        f(here).backward()
        with torch.no_grad():
            here -= rate * here.grad
    return here.detach()


def walk_by_optimiser(f, x, rate, steps):
    point = nn.Parameter(x.clone())
    optimiser = torch.optim.SGD([point], lr=rate)
    for _ in range(steps):
        optimiser.zero_grad()
        f(point).backward()
        optimiser.step()
    return point.data


def walk_on_the_argument(f, x, rate, steps):
    for _ in range(steps):
        x.requires_grad_()
        (slope,) = torch.autograd.grad(f(x), x)
        x = x.detach_()
        x -= rate * slope
    return x


def walk_that_loses_its_leaf(f, x, rate, steps):
    x = x.clone().requires_grad_()
    for _ in range(steps):
        f(x).backward()
        x = x - rate * x.grad
    return x


def walk_in_place(f, x, rate, steps):
    x = x.clone().requires_grad_()
    for _ in range(steps):
        f(x).backward()
        x -= rate * x.grad
    return x


def walk_unwatched(f, x, rate, steps):
    x = x.clone()
    for _ in range(steps):
        f(x).backward()
    return x


def walk_from_one_graph(f, x, rate, steps):
    x = x.clone().requires_grad_()
    value = f(x)
    for _ in range(steps):
        value.backward()
        x.data -= rate * x.grad
        x.grad = None
    return x.data


def walk_with_one_slope(f, x, rate, steps):
    here = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(f(here), here)
    return x - steps * rate * slope


def walk_with_a_kept_gradient(f, x, rate, steps):
    x = x.clone().requires_grad_()
    for _ in range(steps):
        x.retain_grad()
        f(x).backward()
        x = (x - rate * x.grad).detach().requires_grad_()
    return x.detach()


def cat_by_rows(images, rows):
    lines = images.chunk(rows)
    return torch.cat([torch.cat(list(line), dim=-1) for line in lines], dim=-2)


RIGHT = {
    "ps0.1": [
        lambda images, mean, std: (images - mean[..., None, None]) / std.view(-1, 1, 1),
        lambda images, mean, std: (images - repeat(mean, "b c -> b c 1 1")) / repeat(std, "c -> 1 c 1 1"),
        lambda images, mean, std: ((images.permute(2, 3, 0, 1) - mean) / std).permute(2, 3, 0, 1),
    ],
    "ps0.2": [
        ids_by_loop,
        lambda images, ids: images[torch.arange(len(images))[:, None], ids],
        lambda images, ids: images.take_along_dim(ids[:, :, None, None], 1),
        lambda images, ids: torch.stack([image[row] for image, row in zip(images, ids, strict=True)]),
    ],
    "ps0.3": [
        places_by_scatter,
        lambda times: (times[:, None] < times[:, :, None]).sum(-1) + 1,
        lambda times: torch.from_numpy(np.argsort(np.argsort(times.numpy()))) + 1,
    ],
    "ps0.4": [
        gate(lambda self, x: x * torch.sigmoid(self.linear(x))),
        gate(lambda self, x: x / (1 + torch.exp(-self.linear(x)))),
        gate(lambda self, x: torch.nn.functional.glu(torch.cat([x, self.linear(x)], -1))),
    ],
    "ps0.5": [walk_by_backward, walk_by_optimiser, walk_with_a_kept_gradient],
    "ps0.6": [
        cat_by_rows,
        lambda images, rows: rearrange(images, "(r c) ch h w -> ch (r h) (c w)", r=rows),
        lambda images, rows: torch.cat([torch.cat([*line], 2) for line in images.unflatten(0, (rows, -1))], 1),
    ],
}

WRONG = [
    ("ps0.1", lambda images, mean, std: (images - mean) / std, "mean and std lined up with the last axes"),
    ("ps0.1", lambda images, mean, std: (images - mean[..., None, None]) / std, "std lined up with the columns"),
    ("ps0.1", lambda images, mean, std: (images - mean[..., None, None]) * std[:, None, None], "divide"),
    ("ps0.1", lambda images, mean, std: (images - mean[:1, :, None, None]) / std[:, None, None], "a row for each of them"),
    ("ps0.1", lambda images, mean, std: images.sub_(mean[..., None, None]).div_(std[:, None, None]), "changed its argument images"),
    ("ps0.1", lambda images, mean, std: ((images - mean[..., None, None]) / std[:, None, None]).float(), "turned torch.float64"),
    ("ps0.1", lambda images, mean, std: images - mean[..., None, None] / std[:, None, None], "needs brackets"),
    ("ps0.1", lambda images, mean, std: (images - images.mean((-1, -2), True)) / std[:, None, None], "use the mean that is given"),
    ("ps0.1", lambda images, mean, std: images / std[:, None, None], "mean is not taken away"),
    ("ps0.1", lambda images, mean, std: (images - mean[..., None, None]) / std[0], "one std for all channels"),
    ("ps0.2", lambda images, ids: images[torch.arange(len(images))[:, None], ids - 1], "you count from 1"),
    ("ps0.2", lambda images, ids: ids_by_loop(images, ids.sort(1).values), "in the order of the image"),
    ("ps0.2", lambda images, ids: torch.stack([i[[c in row for c in range(len(i))]] for i, row in zip(images, ids, strict=True)]), "ps0.2: "),
    ("ps0.2", lambda images, ids: images[:, ids], "takes every image's ids from every image"),
    ("ps0.2", lambda images, ids: images.index_select(1, ids[0]), "the first image's ids"),
    ("ps0.2", lambda images, ids: torch.gather(images, 1, ids[..., None, None]), "size of the result on every axis"),
    ("ps0.2", lambda images, ids: torch.gather(images, 1, ids), "raised RuntimeError in its line"),
    ("ps0.3", lambda times: times.argsort() + 1, "gives the order"),
    ("ps0.3", lambda times: times.argsort(), "gives the order"),
    ("ps0.3", lambda times: times.argsort().argsort(), "places begin at 1"),
    ("ps0.3", lambda times: (-times).argsort().argsort() + 1, "the slowest has place 1"),
    ("ps0.3", lambda times: times.view(-1).argsort().argsort().view(times.shape) + 1, "all rows run in one race"),
    ("ps0.3", lambda times: (times[:, None] < times[:, :, None]).sum(-1) > 0, "True/False where numbers were asked"),
    ("ps0.3", lambda times: times.argsort().argsort(descending=True) + 1, "the second argsort sorts from high to low"),
    ("ps0.3", lambda times: times.argsort(descending=True) + 1, "argsort once, from high to low"),
    ("ps0.3", lambda times: times.sort().values, "these are the sorted times"),
    ("ps0.4", layers(linear=lambda dim: [nn.Linear(dim, dim)]), "does not look into a plain list"),
    ("ps0.4", layers(linear=lambda dim: {"a": nn.Linear(dim, dim)}), "does not look into a plain list"),
    ("ps0.4", layers(linear=lambda dim: nn.Linear(dim, dim, bias=False)), "self.linear has no bias"),
    ("ps0.4", layers(fc=lambda dim: nn.Linear(dim, dim)), "assigned to self.linear, and no other layer"),
    ("ps0.4", layers(linear=lambda dim: nn.ModuleList([nn.Linear(dim, dim)])), "assigned to self.linear, and no other layer"),
    ("ps0.4", gate(lambda self, x: (x * torch.sigmoid(self.linear(x))).detach()), "no gradient reaches them"),
    ("ps0.4", gate(lambda self, x: x * torch.sigmoid(x @ self.linear.weight + self.linear.bias)), "the other way round"),
    ("ps0.4", gate(lambda self, x: x * torch.sigmoid(x @ self.linear.weight.T)), "the bias is not added"),
    ("ps0.4", gate(lambda self, x: x * torch.tanh(self.linear(x))), "tanh"),
    ("ps0.4", gate(lambda self, x: torch.sigmoid(x * self.linear(x))), "sigmoid was applied to x times the linear map"),
    ("ps0.4", gate(lambda self, x: torch.sigmoid(self.linear(x))), "the gate alone"),
    ("ps0.4", gate(lambda self, x: x * self.linear(x)), "no sigmoid"),
    ("ps0.4", gate(lambda self, x: x * self.linear(x).softmax(-1)), "softmax"),
    ("ps0.4", gate(lambda self, x: x * torch.sigmoid(self.linear(x)), Buffers), "not parameters"),
    ("ps0.4", gate(lambda self, x: self.linear(x) * torch.sigmoid(self.linear(x))), "its own sigmoid"),
    ("ps0.5", walk_that_adds_up, "are added to later ones"),
    ("ps0.5", lambda f, x, rate, steps: walk_by_backward(f, x, -rate, steps), "uphill"),
    ("ps0.5", lambda f, x, rate, steps: walk_by_backward(f, x, rate, min(steps, 1)), "one step only"),
    ("ps0.5", lambda f, x, rate, steps: walk_by_backward(f, x, rate, steps + 1), "one step too many"),
    ("ps0.5", lambda f, x, rate, steps: walk_by_backward(f, x, rate, steps - 1), "one step too few"),
    ("ps0.5", walk_that_loses_its_leaf, "x.grad is None where it is used. After x = x - rate * x.grad"),
    ("ps0.5", walk_in_place, "with torch.no_grad()"),
    ("ps0.5", walk_unwatched, "nothing was recorded for the gradient"),
    ("ps0.5", walk_from_one_graph, "f must be computed anew"),
    ("ps0.5", walk_with_one_slope, "the slope is taken once"),
    ("ps0.5", walk_on_the_argument, "changed its argument x"),
    ("ps0.6", lambda images, rows: rearrange(images, "(c r) k h w -> k (r h) (c w)", r=rows), "filled column by column"),
    ("ps0.6", lambda images, rows: rearrange(images, "(r c) k h w -> k (h r) (w c)", r=rows), "interleaved"),
    ("ps0.6", lambda images, rows: torch.cat([*images], -1), "all images stand in one row"),
    ("ps0.6", lambda images, rows: torch.cat([*images], -2), "all images stand in one column"),
    ("ps0.6", lambda images, rows: rearrange(images.mT, "(r c) k h w -> k (r h) (c w)", r=rows), "lies on its side"),
    ("ps0.6", lambda images, rows: rearrange(images, "(r c) k h w -> (r h) (c w) k", r=rows), "channels came last"),
    ("ps0.6", lambda images, rows: images.reshape(images.shape[1], rows * images.shape[2], -1), "keeps the order of the numbers"),
]


@pytest.fixture(autouse=True)
def no_window(monkeypatch):
    monkeypatch.setattr("matplotlib.pyplot.show", lambda: None)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_right_answers_pass_however_they_are_written(task, capsys):
    for answer in [task.truth, *RIGHT[task.name]]:
        check(task.name, answer)
        assert capsys.readouterr().out.startswith(f"{task.name}: right, on ")


@pytest.mark.parametrize("name, answer, sentence", WRONG)
def test_wrong_answers_are_rejected_and_the_mistake_is_named(name, answer, sentence):
    with pytest.raises(WrongAnswer, match=f"^{name}: ") as told:
        check(name, answer)
    assert sentence in str(told.value)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_each_known_mistake_is_told_by_its_own_sentence(task):
    for sentence, mistaken in task.mistakes.items():
        with pytest.raises(WrongAnswer) as told:
            check(task.name, mistaken)
        assert str(told.value) == f"{task.name}: {sentence}"


def test_an_answer_with_other_arguments_is_told_which_it_must_take():
    with pytest.raises(WrongAnswer, match="must take the arguments images, ids, by these names"):
        check("ps0.2", lambda pictures, ids: pictures)


@pytest.mark.parametrize(
    "answer",
    [
        lambda ids, images: ids_by_loop(images, ids),
        lambda images, axis=1, ids=None: ids_by_loop(images, ids),
        lambda *, images, ids: ids_by_loop(images, ids),
    ],
)
def test_arguments_must_be_taken_in_order_because_they_may_also_be_given_by_place(answer):
    with pytest.raises(WrongAnswer, match="must take the arguments images, ids, in this order and also without their names"):
        check("ps0.2", answer)


def test_more_arguments_may_follow():
    check("ps0.2", lambda images, ids, axis=1, *, checked=True: ids_by_loop(images, ids))
    check("ps0.2", lambda *given, **named: ids_by_loop(*given, **named))
