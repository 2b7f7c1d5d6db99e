"""The checks of problem set 4, measurement and a leak hunt: what is tried, and how it is drawn."""

import zlib
from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor

from minimim.feedback import sabotaged
from minimim.feedback.check import Arguments, Task, variants
from minimim.feedback.ps4 import boxes, methods, mistakes, mistakes_choose, mistakes_hunt, mistakes_leaks, truth


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
    yield "one encoder alone", {"scores": shares(0.5, count=6, seed=4), "garment": torch.arange(6) // 2}
    yield "one image alone", {"scores": torch.tensor([[0.25], [0.75]]), "garment": torch.tensor([3])}


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
    yield "1 drawn of each class", case({0: 3, 1: 5, 2: 2, 3: 6}, 4, 1, seed=2)
    yield "every image of a class, one draw", case({0: 4, 1: 4}, 1, 4, seed=3)
    yield "a class that has one image, 1 drawn of each class", case({2: 3, 5: 1, 7: 4}, 3, 1, seed=4)
    yield "one class alone, 2 of its 6 images", case({1: 6}, 2, 2, seed=5)
    yield "one image alone", case({4: 1}, 2, 1, seed=6)


FEW_LABELS = Task(
    name="ps4.2",
    function="few_labels",
    truth=truth.few_labels,
    cases=few_cases,
    mistakes=mistakes.FEW_LABELS,
    errors={
        part: "a tensor has fewer axes than are asked of it; squeeze() takes away the only axis of a class that has one image, "
        "and squeeze(1) or flatten() do not"
        for part in ("IndexError: Dimension out of range", "IndexError: too many indices for tensor")
    },
)


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
    yield from (
        (f"4 layers, 5 folds, {words}", a) for words, a in variants(case([0.3, 0.45, 0.5, 0.4], [8] * 5, 25, seed=0))
    )
    yield "folds of 3, 9 and 16 images", case([0.4, 0.5, 0.5], [3, 9, 16], 10, seed=59)
    yield "folds of 2 and 20 images", case([0.5, 0.4, 0.45, 0.5, 0.4], [2, 20], 12, seed=174)
    alike = case([0.5, 0.5, 0.5], [4, 4, 4], 9, seed=5)
    alike["right"] = alike["right"][:1].repeat(3, 1)
    yield "layers that are equally good", alike
    prefer = {"right": torch.tensor([[1.0, 1, 1, 0, 0] * 2 + [0.0] * 5, [1.0, 1, 0, 0, 0] * 2 + [1.0] * 5])}
    prefer |= {"fold": torch.arange(15) // 5, "tested": torch.eye(2)}
    yield "3 folds, of which two prefer a layer that is bad in the third", prefer
    yield "one layer alone, 2 folds", case([0.5], [3, 5], 4, seed=7)
    yield "2 folds, one test image", case([0.4, 0.6, 0.5], [8, 4], 1, seed=8)
    yield "12 layers that differ by luck alone, 8 folds", case([0.5] * 12, [4] * 8, 40, seed=6)


CHOOSE = Task(name="ps4.3", function="choose", truth=truth.choose, cases=choose_cases, mistakes=mistakes_choose.CHOOSE)


# ps4.4


def asked(box, shape: tuple, patch_size: int, seed: int, ratio=0.5, tolerance=1e-3, **more) -> Arguments:
    """Random images, masks and noise for a box. The first patch is always visible, and the last one hidden."""
    generator = torch.Generator().manual_seed(seed)
    images, noise = torch.randn(2, *shape, generator=generator)
    hidden = torch.rand(shape[0], shape[2] // patch_size * (shape[3] // patch_size), generator=generator) < ratio
    hidden[:, 0], hidden[:, -1] = False, True
    given = {"images": images, "hidden": hidden, "patch_size": patch_size, "noise": 2 * noise, "tolerance": tolerance}
    return {"predict": partial(box, patch_size=patch_size, **more)} | given


def dots(box, change: Tensor, tolerance: float, **more) -> Arguments:
    """Black images of 2×2 pixels, each with one that is hidden, where the noise is `change`, (B,)."""
    hidden = torch.eye(4, dtype=torch.bool).repeat(4, 1)[: len(change)]  # (B, 4)
    noise = torch.where(hidden, change.unsqueeze(1), 9.0).view(-1, 1, 2, 2)
    given = {"images": torch.zeros_like(noise), "hidden": hidden, "patch_size": 1, "noise": noise, "tolerance": tolerance}
    return {"predict": partial(box, patch_size=1, **more)} | given


def stale_noise() -> Arguments:
    """8 images: under their masks the noise is what stands there (3), black stands there (2), the noise is black (1), or is
    twice the negative (1)."""
    given = asked(boxes.energy, (8, 2, 4, 4), 2, seed=12)
    images, noise, where = given["images"], given["noise"], boxes.pixels(given["images"], given["hidden"], 2)
    noise[:3] = torch.where(where, images, noise)[:3]
    images[3:5] = images[3:5].masked_fill(where[3:5], 0)
    noise[5], noise[6] = 0, -2 * images[6]
    return given


def leak_cases() -> Iterable[tuple[str, Arguments]]:
    """Boxes that leak in all images, in some, in none, by less than the tolerance, and through narrow holes."""
    two = {"images": torch.tensor([[[[5.0, 7.0]]]]), "hidden": torch.tensor([[False, True]]), "patch_size": 1}
    two |= {"noise": torch.tensor([[[[0.0, 1.0]]]]), "tolerance": 0.5}
    for words, box in (("all pixels", boxes.total), ("the visible pixels", boxes.visible_only)):
        yield f"the example, with a box that sums {words}", {"predict": partial(box, patch_size=1)} | two
    leaky = asked(boxes.some_leak, (5, 3, 4, 6), 2, seed=0)
    yield from ((f"a leak in some of 5 images, {words}", a) for words, a in variants(leaky))
    yield "a box without a leak", asked(boxes.visible_only, (3, 3, 8, 4), 2, seed=1)
    yield "a leak in every image, one channel", asked(boxes.visible_only, (4, 1, 6, 9), 3, seed=2, through=0.3)
    yield "predictions near 1,000", asked(boxes.visible_only, (3, 2, 4, 4), 2, seed=7, through=0.1, level=1e3)
    yield "a box that reads the mask the wrong way round", asked(boxes.hidden_only, (3, 1, 6, 4), 2, seed=8)
    millionth = asked(boxes.visible_only, (3, 3, 6, 6), 3, seed=3, through=1e-6)
    yield "a change of a millionth, tolerance a thousandth", millionth
    yield "the same, tolerance a billionth", {**millionth, "tolerance": 1e-9}
    nothing = asked(boxes.visible_only, (4, 2, 4, 4), 2, seed=6, through=1.0)
    nothing["hidden"][1] = False
    yield "4 images of which one hides nothing, and a box that sees everything", nothing
    yield "noise that is, in some images, just what stands under the mask", stale_noise()

    yield (
        "a box that sees one number of each image (one pixel in one channel)",
        asked(boxes.keyhole, (48, 3, 4, 4), 2, seed=9),
    )
    change = torch.tensor([0.25, -0.25]).repeat(7)
    single = dots(boxes.one_number, change[:13], 0.2, width=3)
    yield "a leak that shows in one number of the prediction, anywhere in it", single
    yield "the same, 100 times as large", {**single, "noise": 100 * single["noise"]}
    yield "a change of 0.15 in one number, tolerance 0.2", {**single, "noise": 0.6 * single["noise"]}
    yield "a change of 0.15 in every number, tolerance 0.2", dots(boxes.every_number, 0.6 * change, 0.2)
    yield "a change that is just as large as the tolerance", dots(boxes.every_number, change, 0.25)
    near = dots(boxes.every_number, change / 64, 1 / 512, level=1e3)
    yield "predictions near 1,000 that change by 0.004, tolerance 0.002", near
    yield "a leak that lets one number rise and another fall", dots(boxes.there_and_back, change, 0.2)
    turned = dots(boxes.every_number, change, 0.2)
    yield "a prediction that changes its sign and keeps its size", {**turned, "images": -turned["noise"]}

    yield "a box that writes into its images, and has no leak", asked(boxes.in_place, (3, 3, 4, 4), 2, seed=4)
    yield "a box that wipes out its images, and has no leak", asked(boxes.wiping, (3, 2, 4, 6), 2, seed=10)
    yield (
        "a box that divides by the largest pixel of the batch",
        asked(boxes.by_the_batch, (4, 3, 4, 8), 2, seed=5, ratio=0.8),
    )
    told = asked(boxes.first_to_all, (5, 1, 4, 4), 2, seed=11)
    told["hidden"][2:] = False
    yield "a box that tells every image what the first one hides", told
    lowest = dots(boxes.lowest_of_all, torch.tensor([0.5, 0.75, 1.0]), 0.2)
    yield "a box that tells every image the lowest hidden pixel of the batch", lowest


LEAKS = Task(
    name="ps4.4",
    function="leaks",
    truth=truth.leaks,
    cases=leak_cases,
    mistakes=mistakes_leaks.LEAKS,
    errors={
        "condition to be a boolean tensor": "the box was given a mask that is not boolean; give it hidden.clone(), as it came"
    },
)


# ps4.5


def symptom_cases() -> Iterable[tuple[str, Arguments]]:
    """The seven of the hunt, without their letters, one image alone, and methods that were never trained."""
    generator = torch.Generator().manual_seed(0)
    given = {"images": torch.randn(6, 3, 32, 32, generator=generator), "noise": torch.rand(6, 64, generator=generator)}
    for name, fault in truth.verdicts().items():
        words = "a healthy method" if fault == "healthy" else f"a method with the fault {fault!r}"
        yield words, {"method": sabotaged.case(name).method} | given
    for words, build in methods.FRESH.items():
        yield f"{words}, never trained", {"method": build()} | given
    alone = {name: x[:1] for name, x in given.items()}
    yield "one image alone, and a healthy method, never trained", {"method": methods.fresh(12)} | alone


def kept(found: Tensor, arguments: Arguments) -> dict[str, Tensor]:
    """What an instrument leaves as it found it."""
    method = arguments["method"]
    weights = b"".join(x.detach().numpy().tobytes() for x in method.state_dict().values())
    modes = torch.tensor([module.training for module in method.modules()])
    learning = torch.tensor([p.requires_grad for p in method.parameters()])
    return {
        "the mode of the method (it came in eval mode, and must be in eval mode afterwards)": modes,
        "the checksum of the method's weights, which must stay as they are": torch.tensor(zlib.crc32(weights)),
        "requires_grad of the weights, which must stay as it is": learning,
    }


SYMPTOMS = Task(
    name="ps4.5",
    function="symptoms",
    truth=truth.symptoms,
    cases=symptom_cases,
    mistakes=mistakes_hunt.SYMPTOMS,
    left=kept,
)


# ps4.6

VERDICTS = Task(
    name="ps4.6",
    function="verdicts",
    truth=truth.verdicts,
    cases=lambda: [("the seven cases", {})],
    mistakes=mistakes_hunt.VERDICTS,
)


TASKS = [PAIRED, FEW_LABELS, CHOOSE, LEAKS, SYMPTOMS, VERDICTS]
