"""The checks of problem set 4, honest measurement and a leak hunt: what is tried, and how it is drawn."""

from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor

from minimim.draws import mix
from minimim.feedback import sabotaged
from minimim.feedback.check import Arguments, Task, variants
from minimim.feedback.ps4 import mistakes, truth


def shares(*chances: float, count: int, seed: int = 0) -> Tensor:
    """Right (1.0) or wrong (0.0), a row for each chance, (rows, count): images that are hard are so for all rows."""
    generator = torch.Generator().manual_seed(seed)
    common, own = torch.rand(1, count, generator=generator), torch.rand(len(chances), count, generator=generator)
    return (0.6 * common + 0.4 * own < torch.tensor(chances).unsqueeze(1)).float()


# ps4.1


def paired_cases() -> Iterable[tuple[str, Arguments]]:
    """Garments that come once, several times, or unequally often; scores that are no shares."""
    yield "the example", {"scores": torch.tensor([[1.0, 0, 0, 1], [1, 1, 1, 0]]), "garment": torch.arange(4)}
    uneven = {"scores": shares(0.4, 0.5, 0.6, count=24), "garment": torch.arange(24).sqrt().long()}
    yield from ((f"3 encoders, garments that come up to 9 times, {words}", a) for words, a in variants(uneven))
    yield "each garment once", {"scores": shares(0.3, 0.5, count=30, seed=1), "garment": 100 - torch.arange(30)}
    pairs = {"scores": shares(0.5, 0.4, 0.7, 0.5, count=20, seed=2), "garment": torch.arange(20) % 10}
    yield "each garment twice, not side by side", pairs
    generator = torch.Generator().manual_seed(3)
    squares = torch.randn(2, 15, generator=generator).square()
    yield "errors instead of shares", {"scores": squares, "garment": torch.randint(4, (15,), generator=generator)}


PAIRED = Task(name="ps4.1", function="paired", truth=truth.paired, cases=paired_cases, mistakes=mistakes.PAIRED)


# ps4.2


def few_cases() -> Iterable[tuple[str, Arguments]]:
    """Classes of different sizes, labels with gaps, and one image a class."""

    def case(counts: dict[int, int], draws: int, per_class: int, seed: int) -> Arguments:
        generator = torch.Generator().manual_seed(seed)
        labels = torch.cat([torch.full((count,), label) for label, count in counts.items()])
        labels = labels[torch.randperm(len(labels), generator=generator)]
        return {"labels": labels, "noise": torch.rand(draws, len(labels), generator=generator), "per_class": per_class}

    example = {"labels": torch.tensor([1, 0, 1, 0, 1]), "noise": torch.tensor([[0.5, 0.3, 0.1, 0.2, 0.4]]), "per_class": 2}
    yield "the example", example
    uneven = case({0: 7, 1: 4, 2: 9}, 3, 3, seed=0)
    yield from ((f"classes of 7, 4 and 9 images, {words}", a) for words, a in variants(uneven))
    yield "labels 3, 8 and 40", case({8: 5, 3: 6, 40: 5}, 2, 4, seed=1)
    yield "one image a class", case({0: 3, 1: 5, 2: 2, 3: 6}, 4, 1, seed=2)
    yield "every image of a class, one draw", case({0: 4, 1: 4}, 1, 4, seed=3)


FEW_LABELS = Task(name="ps4.2", function="few_labels", truth=truth.few_labels, cases=few_cases, mistakes=mistakes.FEW_LABELS)


# ps4.3


def choose_cases() -> Iterable[tuple[str, Arguments]]:
    """Folds of unequal size, a test set that likes another layer, and layers that are equally good."""

    def case(chances: list, sizes: list[int], tests: int, seed: int) -> Arguments:
        fold = torch.cat([torch.full((size,), number) for number, size in enumerate(sizes)])
        fold = fold[torch.randperm(len(fold), generator=torch.Generator().manual_seed(seed))]
        right = shares(*chances, count=len(fold), seed=seed)
        return {"right": right, "fold": fold, "tested": shares(*chances[::-1], count=tests, seed=seed + 100)}

    right = torch.tensor([[1.0, 1, 0, 0, 0, 0], [1, 0, 1, 0, 1, 0]])
    tested = torch.tensor([[1.0, 1, 1, 1], [0, 1, 0, 1]])
    yield "the example", {"right": right, "fold": torch.tensor([0, 0, 1, 1, 2, 2]), "tested": tested}
    yield from ((f"4 layers, 5 folds, {words}", a) for words, a in variants(case([0.3, 0.45, 0.5, 0.4], [8] * 5, 25, seed=0)))
    yield "folds of 3, 9 and 16 images", case([0.4, 0.5, 0.5], [3, 9, 16], 10, seed=59)
    yield "folds of 2 and 20 images", case([0.5, 0.4, 0.45, 0.5, 0.4], [2, 20], 12, seed=174)
    alike = case([0.5, 0.5, 0.5], [4, 4, 4], 9, seed=5)
    alike["right"] = alike["right"][:1].repeat(3, 1)
    yield "layers that are equally good", alike
    yield "12 layers that differ by luck alone, 8 folds", case([0.5] * 12, [4] * 8, 40, seed=6)


CHOOSE = Task(name="ps4.3", function="choose", truth=truth.choose, cases=choose_cases, mistakes=mistakes.CHOOSE)


# ps4.4


def visible_only(images: Tensor, hidden: Tensor, patch_size: int, through: float = 0.0, level: float = 0.0) -> Tensor:
    """A black box: each place says the sum of the patches up to it, hidden ones with the weight `through`, above a level."""
    rows, cols = (side // patch_size for side in images.shape[2:])
    patches = images.unfold(2, patch_size, patch_size).unfold(3, patch_size, patch_size)  # (B, C, rows, cols, P, P)
    patches = patches.permute(0, 2, 3, 1, 4, 5).reshape(len(images), rows * cols, -1)  # (B, N, C·P·P)
    return torch.where(hidden.unsqueeze(-1), through * patches, patches).cumsum(1) + level


def hidden_only(images: Tensor, hidden: Tensor, patch_size: int) -> Tensor:
    """A black box that reads the mask the wrong way round."""
    return visible_only(images, ~hidden, patch_size)


def some_leak(images: Tensor, hidden: Tensor, patch_size: int) -> Tensor:
    """Images whose first pixel is bright are seen through their mask."""
    return torch.where(images[:, :1, :1, :1].flatten(1, 2) > 0, *(visible_only(images, hidden, patch_size, t) for t in (1.0, 0.0)))


def rounding(images: Tensor, hidden: Tensor, patch_size: int) -> Tensor:
    """Hidden pixels move the last digits."""
    return visible_only(images, hidden, patch_size, 1e-6)


def in_place(images: Tensor, hidden: Tensor, patch_size: int) -> Tensor:
    """Hidden pixels are painted over, in the very tensor that was given."""
    painted = hidden.unflatten(1, (images.shape[2] // patch_size, -1)).repeat_interleave(patch_size, 1)
    images[painted.repeat_interleave(patch_size, 2).unsqueeze(1).expand_as(images)] = 0
    return visible_only(images, hidden, patch_size)


def by_the_batch(images: Tensor, hidden: Tensor, patch_size: int) -> Tensor:
    """What is hidden is left out, and then everything is divided by the largest pixel of the whole batch."""
    return visible_only(images, hidden, patch_size) / images.abs().max()


def leak_cases() -> Iterable[tuple[str, Arguments]]:
    """Black boxes that leak in all images, in some, in none, and by less than the tolerance."""

    def case(predict, shape: tuple, patch_size: int, seed: int, ratio=0.5, tolerance=1e-3) -> Arguments:
        generator = torch.Generator().manual_seed(seed)
        images, noise = torch.randn(2, *shape, generator=generator)
        count = shape[2] // patch_size * (shape[3] // patch_size)
        hidden = torch.rand(shape[0], count, generator=generator) < ratio
        hidden[:, 0], hidden[:, -1] = False, True
        given = {"images": images, "hidden": hidden, "noise": 2 * noise, "patch_size": patch_size, "tolerance": tolerance}
        return {"predict": partial(predict, patch_size=patch_size)} | given

    leaky = case(some_leak, (5, 3, 4, 6), 2, seed=0)
    yield from ((f"a leak in some of 5 images, {words}", a) for words, a in variants(leaky))
    yield "no leak", case(visible_only, (3, 3, 8, 4), 2, seed=1)
    yield "a leak in every image, one channel", case(partial(visible_only, through=0.3), (4, 1, 6, 9), 3, seed=2)
    yield "predictions near 1,000", case(partial(visible_only, through=0.1, level=1e3), (3, 2, 4, 4), 2, seed=7)
    yield "a predict that reads the mask the wrong way round", case(hidden_only, (3, 1, 6, 4), 2, seed=8)
    yield "a change of a millionth, tolerance a thousandth", case(rounding, (3, 3, 6, 6), 3, seed=3)
    yield "the same, tolerance a billionth", {**case(rounding, (3, 3, 6, 6), 3, seed=3), "tolerance": 1e-9}
    yield "a predict that writes into its input, no leak", case(in_place, (3, 3, 4, 4), 2, seed=4)
    yield "a predict that divides by the largest pixel of the batch", case(by_the_batch, (4, 3, 4, 8), 2, seed=5, ratio=0.8)
    nothing = case(partial(visible_only, through=1.0), (4, 2, 4, 4), 2, seed=6)
    nothing["hidden"][1] = False
    yield "an image that hides nothing", nothing


LEAKS = Task(name="ps4.4", function="leaks", truth=truth.leaks, cases=leak_cases, mistakes=mistakes.LEAKS)


# ps4.5


def symptom_cases() -> Iterable[tuple[str, Arguments]]:
    """The seven of the hunt, without their letters, and three that were never trained."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(6, 3, 32, 32, generator=generator)
    noise = torch.rand(6, 64, generator=generator)
    for name, fault in truth.verdicts().items():
        words = "a healthy method" if fault == "healthy" else f"a method with the fault {fault!r}"
        yield words, {"method": sabotaged.case(name).method, "images": images, "noise": noise}
    fresh = {
        "a deep pre-norm encoder": partial(sabotaged.autoencoder, size=(32, 12, 4)),
        "a shallow post-norm encoder": partial(sabotaged.autoencoder, block=sabotaged.PostNorm),
        "two faults at once": partial(sabotaged.autoencoder, block=sabotaged.PostNorm, decoder=sabotaged.Unrestored),
    }
    for number, (words, build) in enumerate(fresh.items()):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(mix(number))
            method = build().eval()
        yield words + ", fresh", {"method": method, "images": images, "noise": noise}


SYMPTOMS = Task(name="ps4.5", function="symptoms", truth=truth.symptoms, cases=symptom_cases, mistakes=mistakes.SYMPTOMS)


# ps4.6

VERDICTS = Task(
    name="ps4.6",
    function="verdicts",
    truth=truth.verdicts,
    cases=lambda: [("the seven cases", {})],
    mistakes=mistakes.VERDICTS,
)


TASKS = [PAIRED, FEW_LABELS, CHOOSE, LEAKS, SYMPTOMS, VERDICTS]
