"""The checks of problem set 3, the decoder, the loss and the training step: what is tried, and how it is drawn."""

from collections.abc import Iterable

import torch
from einops import rearrange
from torch import Tensor, nn

from minimim.decoders import TransformerDecoder
from minimim.feedback.check import Arguments, Task, variants
from minimim.feedback.pictures import beside
from minimim.feedback.ps3 import mistakes, truth
from minimim.feedback.ps3 import mistakes_step as step_mistakes


def drawn(seed: int, **shapes) -> Arguments:
    """A random tensor of each shape."""
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def worst(mine: Tensor, expected: Tensor) -> int:
    """The image that differs most."""
    return int((mine - expected).detach().flatten(1).abs().amax(1).argmax())


# ps3.1


def restore_cases() -> Iterable[tuple[str, Arguments]]:
    """Tokens in any order; what stands at the padding is large, and its ids are anything."""

    def case(ids: list, real: list, count: int, dim: int) -> Arguments:
        ids, valid = torch.tensor(ids), torch.tensor(real).bool()
        given = drawn(0, latents=(*ids.shape, dim), mask_token=(1, 1, dim), positions=(count, dim))
        latents = given.pop("latents") + 9 * ~valid.unsqueeze(-1)
        return {"latents": latents, "ids": ids, "valid": valid} | given

    ragged = case([[4, 0, 5, 2], [3, 1, 0, 0], [2, 0, 0, 0]], [[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]], 6, 4)
    yield from ((f"4, 2 and 1 visible of 6, {words}", arguments) for words, arguments in variants(ragged))
    yield "the same number in each sample", case([[2, 0, 3], [1, 4, 0]], [[1, 1, 1]] * 2, 5, 3)
    yield "padding between the tokens", case([[5, 7, 1, 3], [2, 8, 6, 0]], [[0, 1, 0, 1], [1, 0, 1, 1]], 9, 5)
    yield "padding with the ids −1", case([[3, 1, 0], [2, -1, -1]], [[1, 1, 1], [1, 0, 0]], 4, 2)
    yield "batch 1", case([[6, 2, 3]], [[1, 1, 1]], 8, 3)
    yield "a sample without any visible token", case([[1, 3], [0, 0]], [[1, 1], [0, 0]], 4, 6)
    yield "nothing hidden", case([[2, 0, 1], [1, 2, 0]], [[1, 1, 1]] * 2, 3, 4)


def draw_tokens(mine: Tensor, expected: Tensor, arguments: Arguments) -> None:
    """The tokens of one image."""
    image = worst(mine, expected)
    beside(mine[image].T, expected[image].T, f"image {image}, a column a place")


RESTORE = Task(
    name="ps3.1",
    function="restore",
    truth=truth.restore,
    cases=restore_cases,
    mistakes=mistakes.RESTORE,
    learns=("latents", "mask_token", "positions"),
    draw=draw_tokens,
)


# ps3.2


def window_cases() -> Iterable[tuple[str, Arguments]]:
    """Bright and dark windows, some with nothing visible, one flat."""

    def case(seed: int, batch: int, grid: tuple[int, int], window: int, width: int, show: float) -> Arguments:
        count = grid[0] * grid[1]
        given = drawn(seed, patches=(batch, count, width), bright=(batch, count, 1), noise=(batch, count))
        hidden = given["noise"].argsort(1) >= max(1, round(show * count))
        return {"patches": given["patches"] + 2 * given["bright"], "hidden": hidden, "grid": grid, "window": window}

    wide = case(1, 2, (4, 6), 2, 4, 0.5)
    yield from ((f"a 4×6 grid, window 2, {words}", arguments) for words, arguments in variants(wide))
    yield "a 6×3 grid, window 3, batch 1", case(2, 1, (6, 3), 3, 3, 0.4)
    yield "a 2×8 grid, window 2, batch 3", case(3, 3, (2, 8), 2, 2, 0.8)
    yield "a 3×3 grid, window 3", case(4, 2, (3, 3), 3, 12, 0.3)
    yield "a 2×3 grid, window 1, nothing hidden", case(5, 2, (2, 3), 1, 5, 1)
    flat = case(6, 2, (4, 4), 2, 3, 0.6)
    flat["patches"][0, [0, 1, 4, 5]], flat["hidden"][0, [0, 1, 4, 5]] = 0.5, torch.tensor([False, True, False, True])
    yield "a flat window", flat
    bare = case(7, 2, (6, 6), 3, 2, 0.7)
    bare["hidden"][1, [3, 4, 5, 9, 10, 11, 15, 16, 17]] = True
    yield "a window without a visible patch", bare


def draw_target(mine: tuple, expected: tuple, arguments: Arguments) -> None:
    """The target as a picture, where a patch is a square of 2×2 pixels."""
    if arguments["patches"].shape[2] == 4:
        image, rows = worst(mine[0], expected[0]), arguments["grid"][0]
        pictures = (rearrange(x[0][image], "(r s) (p q) -> (r p) (s q)", r=rows, p=2) for x in (mine, expected))
        beside(*pictures, f"target of image {image}")


WINDOW_TARGET = Task(
    name="ps3.2",
    function="window_target",
    truth=truth.window_target,
    cases=window_cases,
    mistakes=mistakes.WINDOW_TARGET,
    draw=draw_target,
)


# ps3.3


def loss_cases() -> Iterable[tuple[str, Arguments]]:
    """Images that hide different numbers of patches, or none that weighs; and what is infinite where it is visible."""

    def case(hidden: list, width: int) -> Arguments:
        hidden = torch.tensor(hidden).bool()
        given = drawn(0, prediction=(*hidden.shape, width), target=(*hidden.shape, width), weights=hidden.shape)
        weights = 0.1 + given.pop("weights").square()
        return given | {"hidden": hidden, "weights": weights}

    ragged = case([[1, 1, 1, 1, 0], [0, 0, 1, 0, 0], [0, 1, 0, 1, 0]], 3)
    yield from ((f"4, 1 and 2 hidden of 5, {words}", arguments) for words, arguments in variants(ragged))
    yield "batch 1", case([[1, 0, 1, 0, 1, 1]], 4)
    yield "one number a patch", case([[1, 0, 1, 1], [0, 1, 1, 0]], 1)
    yield "an image that hides nothing", case([[1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 1, 1]], 2)
    weightless = case([[1, 1, 0], [0, 1, 1]], 3)
    weightless["weights"][0, :2] = 0
    yield "an image that hides nothing that weighs", weightless
    yield "a batch that hides nothing", case([[0, 0, 0]] * 2, 3)
    infinite = case([[1, 0, 1, 1], [0, 1, 0, 1]], 3)
    infinite["target"][~infinite["hidden"]] = torch.inf
    yield "a target that is infinite where it is visible", infinite


IMAGE_LOSS = Task(
    name="ps3.3",
    function="image_loss",
    truth=truth.image_loss,
    cases=loss_cases,
    mistakes=mistakes.IMAGE_LOSS,
    learns=("prediction",),
)


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

    yield "12 steps, 4 up and 3 down", case(Small(4), 12, 4, 3)
    yield "a model with fixed positions", case(Small(8, frozen=("positions",)), 20, 5, 10, peak=2.0)
    yield "a model whose first map is frozen", case(Small(2, frozen=("mlp.0.weight", "norm.bias")), 9, 1, 6, decay=0.3)
    yield "the library's decoder", case(TransformerDecoder(4, 6, (2, 3), dim=8, depth=1, heads=2), 30, 10, 15)
    yield "convolutions with batch norm, no warm-up", case(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), 8, 0, 4)
    yield "a table of positions, no fall", case(nn.Sequential(nn.Embedding(6, 4), nn.Linear(4, 2)), 7, 5, 0)
    yield "no plateau", case(nn.Linear(3, 1), 6, 2, 4)
    yield "one step", case(nn.Linear(1, 3, bias=False), 1, 0, 0)


def draw_rates(mine: tuple, expected: tuple, arguments: Arguments) -> None:
    """The rates as columns."""
    heights = torch.linspace(1, 0.05, 20).unsqueeze(1) * arguments["peak"] * 0.999  # (20, 1)
    beside(*((rates >= heights).float() for rates, _ in (mine, expected)), "the rate, a column a step")


PLAN = Task(
    name="ps3.4",
    function="plan",
    truth=truth.plan,
    cases=plan_cases,
    mistakes=step_mistakes.PLAN,
    draw=draw_rates,
)


# ps3.5


class Guess(nn.Module):
    """Guesses patches from the visible ones: a map over the places, a bend, a map over the numbers of a patch."""

    def __init__(self, count: int, width: int, bend=torch.tanh):
        super().__init__()
        self.bend = bend
        self.places = nn.Linear(count, count, bias=False)
        self.numbers = nn.Linear(width, width)

    def forward(self, patches: Tensor, hidden: Tensor) -> Tensor:
        x = patches.masked_fill(hidden.unsqueeze(-1), 0)  # (B, N, T)
        return self.numbers(self.bend(self.places(x.mT).mT))


def root(x: Tensor) -> Tensor:
    """A bend whose slope at 0 is not finite."""
    return x.abs().sqrt()


def train_cases() -> Iterable[tuple[str, Arguments]]:
    """Four steps on a model of two maps; parts that hide different numbers; and steps that are not finite."""

    def case(hides: list, count=4, width=3, max_norm=1.7, dtype=torch.float32, bend=torch.tanh, turned=False) -> Arguments:
        """hides: for each part, how many patches each of its images hides."""
        generator = torch.Generator().manual_seed(0)
        model = Guess(count, width, bend).to(dtype)
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
        groups = [{"params": maps, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.95))
        rates = [0.02, 0.05, 0.1, 0.08]
        return {"model": model, "optimizer": optimizer, "batches": batches, "rates": rates, "max_norm": max_norm}

    uneven = [[1, 2], [3], [3, 1, 2]]
    yield "parts that hide 3, 3 and 6 patches", case(uneven)
    yield "the same in float64", case(uneven, dtype=torch.float64)
    yield "one part of one image, and no clipping", case([[3]], count=6, width=4, max_norm=100.0)
    yield "a part that hides nothing", case([[2, 1], [0, 0], [3, 3]], width=5)
    yield "every step clipped", case([[1, 1], [4, 4]], count=5, max_norm=0.1)
    yield "patches that are not contiguous", case([[2, 5], [1, 3]], count=7, width=2, turned=True)
    infinite = case(uneven)
    _, target, hidden = infinite["batches"][2][1]
    target[hidden] = torch.inf
    yield "a step whose loss is infinite", infinite
    steep = case(uneven, bend=root)
    steep["batches"][2] = [(0 * patches, target, hidden) for patches, target, hidden in steep["batches"][2]]
    yield "a step whose loss is finite and whose gradient is not", steep


TRAIN = Task(
    name="ps3.5",
    function="train",
    truth=truth.train,
    cases=train_cases,
    mistakes=step_mistakes.TRAIN,
    close=(1e-3, 1e-4),
)


TASKS = [RESTORE, WINDOW_TARGET, IMAGE_LOSS, PLAN, TRAIN]
