"""The checks of problem set 3, tasks 4 and 5, the plan and the steps: what is tried, and how it is drawn."""

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from minimim.decoders import TransformerDecoder
from minimim.feedback.check import Arguments, Task
from minimim.feedback.pictures import beside
from minimim.feedback.ps3 import truth
from minimim.feedback.ps3.mistakes_plan import PLAN as PLAN_MISTAKES
from minimim.feedback.ps3.mistakes_step import TRAIN as TRAIN_MISTAKES

# ps3.4


class Small(nn.Module):
    """One of each kind of parameter. frozen: names of those that do not learn."""

    def __init__(self, dim: int, frozen: tuple[str, ...] = ()):
        super().__init__()
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.patch_embed = nn.Conv2d(3, dim, kernel_size=2)
        self.positions = nn.Parameter(torch.zeros(6, dim))
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim, bias=False))
        self.norm = nn.LayerNorm(dim)
        self.grid_norm = nn.LayerNorm((6, dim))
        self.pred = nn.Linear(dim, 1)
        for name in frozen:
            self.get_parameter(name).requires_grad_(False)


def plan_cases() -> Iterable[tuple[str, Arguments]]:
    """Stretches of all lengths, and models with each kind of parameter."""

    def case(model: nn.Module, total: int, warmup: int, fall: int, peak: float = 0.01, decay: float = 0.05) -> Arguments:
        return {"model": model, "total": total, "warmup": warmup, "fall": fall, "peak": peak, "decay": decay}

    yield "a plan of 12 steps, 4 up and 3 down", case(Small(4), 12, 4, 3)
    yield "a model with fixed positions", case(Small(8, frozen=("positions",)), 20, 5, 10, peak=2.0)
    yield "a model whose first map is frozen", case(Small(2, frozen=("mlp.0.weight", "norm.bias")), 9, 1, 6, decay=0.3)
    yield "the library's decoder", case(TransformerDecoder(4, 6, (2, 3), dim=8, depth=1, heads=2), 30, 10, 15)
    yield "nn.MultiheadAttention, whose out_proj is made from nn.Linear", case(nn.MultiheadAttention(4, 2), 10, 3, 3)
    yield (
        "nn.Conv2d and nn.BatchNorm2d, without warm-up",
        case(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), 8, 0, 4),
    )
    zeros = nn.Sequential(nn.Embedding(2, 4), nn.Linear(4, 2))
    nn.init.zeros_(zeros[0].weight)
    nn.init.zeros_(zeros[1].weight)
    yield "nn.Embedding and nn.Linear that hold zeros, without fall", case(zeros, 7, 5, 0)
    yield "a plan without plateau", case(nn.Linear(3, 1), 6, 2, 4)
    yield "a plan of one step", case(nn.Linear(1, 3, bias=False), 1, 0, 0)


def parameters(result: tuple, arguments: Arguments) -> dict[str, Tensor]:
    """The model is to stay as it was."""
    found = list(arguments["model"].parameters())
    return {
        "the model's parameters, which stay as they are": torch.cat([p.detach().flatten() for p in found]),
        "requires_grad of the model's parameters, which stays as it is": torch.tensor([p.requires_grad for p in found]),
    }


def draw_rates(mine: tuple, expected: tuple, arguments: Arguments) -> None:
    """The rates as columns."""
    heights = torch.linspace(1, 0.05, 20).unsqueeze(1) * arguments["peak"] * 0.999  # (20, 1)
    beside(*((rates >= heights).float() for rates, _ in (mine, expected)), "the rate, a column a step")


PLAN = Task(
    name="ps3.4",
    function="plan",
    truth=truth.plan,
    cases=plan_cases,
    mistakes=PLAN_MISTAKES,
    draw=draw_rates,
    left=parameters,
)


# ps3.5


class Guess(nn.Module):
    """Guesses patches from the visible ones: a map over the places, a bend, a map over the numbers of a patch. Its bend is
    left out in eval mode, and it takes at most `room` images at once."""

    def __init__(self, count: int, width: int, room: int, bend=torch.tanh):
        super().__init__()
        self.room, self.bend = room, bend
        self.places = nn.Linear(count, count, bias=False)
        self.numbers = nn.Linear(width, width)

    def __deepcopy__(self, memo: dict) -> "Guess":
        """A copy with the gradients, which torch leaves behind."""
        memo[id(self)] = twin = self.__class__.__new__(self.__class__)
        twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
        for mine, theirs in zip(self.parameters(), twin.parameters(), strict=True):
            theirs.grad = copy.deepcopy(mine.grad)
        return twin

    def forward(self, patches: Tensor, hidden: Tensor) -> Tensor:
        if len(patches) > self.room:
            raise RuntimeError(f"{len(patches)} images at once do not fit into memory; give the model one part at a time")
        x = self.places(patches.masked_fill(hidden.unsqueeze(-1), 0).mT).mT  # (B, N, T)
        return self.numbers(self.bend(x) if self.training else x)


def root(x: Tensor) -> Tensor:
    """A bend whose slope at 0 is not finite."""
    return x.abs().sqrt()


def straight(x: Tensor) -> Tensor:
    """No bend at all."""
    return x


def train_cases() -> Iterable[tuple[str, Arguments]]:
    """Four steps on a model of two maps; parts that hide different numbers; and steps that are not finite."""

    def case(hides: list, count=4, width=3, max_norm=1.7, dtype=torch.float32, bend=torch.tanh, turned=False, plain=False):
        """hides: for each part, how many patches each of its images hides. turned: patches that are not contiguous; plain:
        plain SGD in place of AdamW."""
        generator = torch.Generator().manual_seed(0)
        model = Guess(count, width, max(map(len, hides)), bend).to(dtype)
        for p in model.parameters():
            p.data = torch.randn(p.shape, generator=generator).to(dtype)
        batches = []
        for _ in range(4):
            parts = []
            for numbers in hides:
                patches, target = torch.randn(2, len(numbers), count, width, generator=generator).to(dtype)
                if turned:
                    patches = patches.mT.contiguous().mT
                noise = torch.rand(len(numbers), count, generator=generator)
                parts.append((patches, 2 * target, noise.argsort(1) < torch.tensor(numbers).unsqueeze(1)))
            batches.append(parts)
        maps, others = [model.places.weight, model.numbers.weight], [model.numbers.bias]
        if plain:
            optimizer = torch.optim.SGD([{"params": maps}, {"params": others}], lr=0.01)
        else:
            groups = [{"params": maps, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
            optimizer = torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.95))
        rates = [0.02, 0.05, 0.1, 0.08]
        return {"model": model, "optimizer": optimizer, "batches": batches, "rates": rates, "max_norm": max_norm}

    uneven = [[1, 2], [3], [3, 1, 2]]
    yield "parts that hide 3, 3 and 6 patches", case(uneven)
    yield "the same parts in float64", case(uneven, dtype=torch.float64)
    yield "the same parts with plain SGD", case(uneven, plain=True)
    yield "one part of one image, where no gradient is clipped", case([[3]], count=6, width=4, max_norm=100.0)
    yield "a part that hides nothing", case([[2, 1], [0, 0], [3, 3]], width=5)
    yield "gradients that are all clipped", case([[1, 1], [4, 4]], count=5, max_norm=0.1)
    yield "patches that are not contiguous", case([[2, 5], [1, 3]], count=7, width=2, turned=True)
    used = case(uneven)
    for p in used["model"].parameters():
        p.grad = torch.ones_like(p)
    yield "a model that comes with gradients of earlier work", used
    infinite = case(uneven)
    _, target, hidden = infinite["batches"][1][1]
    target[hidden] = torch.inf
    yield "a step with an infinite loss", infinite
    vast = case(uneven)
    _, target, hidden = vast["batches"][2][0]
    image, place = hidden.nonzero()[0].tolist()
    target[image, place, 0] = 2e19  # its square is ∞ in float32
    yield "a step with an infinite loss and a finite norm", vast
    steep = case(uneven, bend=root)
    steep["batches"][1] = [(0 * patches, target, hidden) for patches, target, hidden in steep["batches"][1]]
    yield "a step with a finite loss and a gradient of NaN", steep
    long = case([[1]], count=2, width=1, bend=straight)
    long["model"].places.weight.data *= 1e-3
    long["batches"][0] = [(1e21 * patches, target, hidden) for patches, target, hidden in long["batches"][0]]
    yield "a step with a finite loss and an infinite norm", long


def trained(result: tuple, arguments: Arguments) -> dict[str, Tensor]:
    """What training leaves behind: numbers without a graph, and a model."""
    losses, norms = result
    weights = [p.detach().flatten() for p in arguments["model"].parameters()]
    return {
        "losses.requires_grad": torch.tensor(losses.requires_grad),
        "norms.requires_grad": torch.tensor(norms.requires_grad),
        "the weights of the model that was given, after training": torch.cat(weights),
        "model.training, which stays as it was": torch.tensor(arguments["model"].training),
    }


TRAIN = Task(
    name="ps3.5",
    function="train",
    truth=truth.train,
    cases=train_cases,
    mistakes=TRAIN_MISTAKES,
    close=(1e-3, 1e-4),
    left=trained,
    errors={
        "do not fit into memory": "parts were put together; the model sees one part at a time",
        "backward through the graph a second time": "backward runs over a sum that holds an earlier part; call it on each part's own share, "
        "and add up share.detach()",
    },
)
