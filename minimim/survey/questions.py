"""What the results across papers answer: what moves an accuracy, whether protocols rank methods alike, what is true of the survey's claim
that MIM is effective compared with contrastive methods, and how our own runs under one set of conditions rank the same methods."""

import itertools
import math
import statistics
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minimim.errors import UserError, unknown
from minimim.stored import Stored, over_seeds
from minimim.survey.catalogue import paper, papers
from minimim.survey.ranks import LEAST, OPEN, Agreement, Difference, agreement, difference
from minimim.survey.results import Result, comparable, pairs, results

SIZES = ("T", "S", "B", "L", "H")  # of ViTs, ascending
EFFECTS = {
    "scheme": "methods that reconstruct, less those of any other scheme",
    "target_level": "methods with a high-level target, less those with a low-level one",
    "epochs": "the gain by twice the epochs, within a method and whoever ran it",
    "size": "the gain by the next larger ViT, within a method and whoever ran it",
}


@dataclass(frozen=True)
class Ranking:
    """How two protocols rank the same pretrained models."""

    x: str  # protocols
    y: str
    pairs: tuple[tuple[Result, Result], ...]
    agreement: Agreement


@dataclass(frozen=True)
class Gain:
    """The mean gain of steps within methods, with its 95 % interval by resampling the methods."""

    field: str
    steps: tuple[tuple[Result, Result, float], ...]  # (before, after, points of accuracy a step)
    methods: int
    mean: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Higher, lower, or that it cannot be decided: under five steps, steps of one method, or an interval that holds 0."""
        if len(self.steps) < LEAST or self.methods < 2 or self.low <= 0 <= self.high:
            return OPEN
        return "higher" if self.mean > 0 else "lower"

    def __str__(self) -> str:
        if len(self.steps) < LEAST or self.methods < 2:
            return f"{OPEN}: {len(self.steps)} steps of {self.methods} methods, and {LEAST} of two are needed"
        return f"{self.mean:+.2f} a step (95 % interval {self.low:+.2f} to {self.high:+.2f}, {len(self.steps)} steps, {self.methods} methods): {self.verdict}"


@dataclass(frozen=True)
class Claim:
    """The claim that MIM is effective compared with contrastive methods, under one protocol."""

    protocol: str
    masked: tuple[Result, ...]  # reconstruct what is hidden
    views: tuple[Result, ...]  # compare views of whole images
    between: tuple[Result, ...]  # masks and agreement of views or features: neither the one nor the other
    difference: Difference  # masked less views
    same_code: tuple[
        tuple[Result, Result], ...
    ]  # (masked, views), both run by the same others, of the same architecture and epochs

    @property
    def verdict(self) -> str:
        """Borne out, not borne out, or cannot be decided."""
        if self.difference.verdict == OPEN:
            return OPEN
        return "borne out" if self.difference.difference > 0 else "not borne out"


@dataclass(frozen=True)
class Conditions:
    """Our runs under one set of conditions beside the numbers of the papers."""

    ours: str  # the column of our table
    theirs: str  # the protocol of the papers' numbers
    pairs: tuple[tuple[str, float, Result], ...]  # (method of this library, our accuracy in per cent, the paper's)
    agreement: Agreement
    differs: tuple[str, ...]  # sentences
    note: str = ""  # why there is nothing to compare, if so


def ranking(x: str = "fine-tuned", y: str = "linear", *, architecture: str = "ViT-B/16", **query) -> Ranking:
    """Whether two protocols rank the methods alike that were judged by both from the same pretraining; one pair a method.

    query: as of `results`, such as extra=False. Raises UserError as `results` does.
    """
    found = pairs(x, y, architecture=architecture, **query)
    return Ranking(x, y, tuple(found), agreement([a.accuracy for a, _ in found], [b.accuracy for _, b in found]))


def effect(field: str, protocol: str, **query) -> Difference | Gain:
    """What a field does to the accuracy under a protocol: see EFFECTS. Scheme and target level compare different methods, one number each
    (`comparable`); epochs and size compare a method with itself. Raises UserError for another field."""
    if field not in EFFECTS:
        raise unknown("effect", field, EFFECTS)
    if field in ("epochs", "size"):
        return gain(field, protocol, **query)
    alike = comparable(protocol=protocol, **query)
    if field == "scheme":
        first = [one.accuracy for one in alike if one.scheme == "reconstruction"]
        second = [one.accuracy for one in alike if one.scheme != "reconstruction"]
        return difference(first, second, names=("reconstruction", "another scheme"))
    levels = {level: [one.accuracy for one in alike if one.target_level == level] for level in ("high", "low")}
    return difference(levels["high"], levels["low"], names=("high-level target", "low-level target"))


def gain(field: str, protocol: str, **query) -> Gain:
    """The gain of each step, to more epochs or the next size, between runs that are alike in all else."""
    ask = {"protocol": protocol, "model": "ViT", "verified": ["yes", "second-hand"], **query}
    lines: dict[tuple, list[Result]] = {}
    for one in results(**ask):
        if one.epochs is not None and one.size in SIZES:
            same = (one.size, one.patch) if field == "epochs" else (one.epochs, 14 if one.size == "H" else one.patch)
            lines.setdefault((one.key, one.variant, one.run_by, one.image_size, one.extra, *same), []).append(one)
    steps = []
    for line in lines.values():
        place = {id(one): math.log2(one.epochs) if field == "epochs" else SIZES.index(one.size) for one in line}
        line.sort(key=lambda one: place[id(one)])
        for before, after in itertools.pairwise(line):
            far = place[id(after)] - place[id(before)]
            if far > 0:
                steps.append((before, after, (after.accuracy - before.accuracy) / far))
    by_method: dict[str, list[float]] = {}
    for before, _, points in steps:
        by_method.setdefault(before.key, []).append(points)
    return Gain(field, tuple(steps), len(by_method), *interval(list(by_method.values())))


def interval(groups: list[list[float]], resamples: int = 2000, seed: int = 0) -> tuple[float, float, float]:
    """The mean of the groups' means, so that no method counts more for having been run more often, and its interval by resampling groups."""
    means = np.array([statistics.mean(group) for group in groups])
    if len(means) == 0:
        return (float("nan"),) * 3
    again = np.random.default_rng(seed).choice(means, size=(resamples, len(means))).mean(axis=1)
    return float(means.mean()), *(float(edge) for edge in np.quantile(again, [0.025, 0.975]))


def claims(*, strict: bool = False, **query) -> list[Claim]:
    """Is MIM effective compared with contrastive methods: one Claim for linear probing, k-NN and fine-tuning, among what is comparable.

    Methods that reconstruct stand against methods that compare views without a mask. Methods that do both, such as iBOT, or that mask and
    contrast, are listed between. strict: leaves out of the views methods without negatives (DINO), which are contrastive only in the
    survey's wide sense. query: as of `comparable`, such as architecture="ViT-S/16".
    """
    told = []
    for protocol in ("linear", "knn", "fine-tuned"):
        alike = comparable(protocol=protocol, **query)
        views = [one for one in alike if one.target_level == "view" and (has_negatives(one) or not strict)]
        masked = [one for one in alike if one.target_level != "view" and one.scheme == "reconstruction"]
        between = [one for one in alike if one.target_level != "view" and one.scheme in ("both", "contrastive")]
        gap = difference([one.accuracy for one in masked], [one.accuracy for one in views], names=("MIM", "contrastive"))
        told.append(Claim(protocol, tuple(masked), tuple(views), tuple(between), gap, side_by_side(protocol)))
    return told


def has_negatives(one: Result) -> bool:
    """Whether the loss of a method tells the right one from others, which is contrastive in the narrow sense."""
    return "contrastive" in paper(one.key).objective_facets


def side_by_side(protocol: str) -> tuple[tuple[Result, Result], ...]:
    """Pairs (reconstructs what is hidden, compares views) that one team of others ran or measured alike, of the same architecture, image
    size, epochs and extra data: fewer numbers, but none of the difference is the code's."""
    again = [one for one in results(protocol=protocol, verified=["yes", "second-hand"]) if one.run_by]
    alike = {}
    for one in again:
        alike.setdefault((one.run_by, one.architecture, one.image_size, one.epochs, one.extra), []).append(one)
    return tuple(
        (masked, views)
        for group in alike.values()
        for masked in group
        for views in group
        if masked.scheme == "reconstruction" and views.target_level == "view"
    )


def same_conditions(
    path="benchmarks/results/methods-cpu.csv", *, ours: str = "linear", theirs: str = "linear", **query
) -> Conditions:
    """Our table of methods, all trained under the same conditions, beside the papers' numbers: do they rank the methods alike?

    path: the CSV that benchmarks/methods.py writes; it is part of the repository, not of the package. Without it `note` says so, and the
    rest is empty. ours: a column of accuracies, linear, best_linear or knn. theirs: a protocol. query: as of `comparable`; by default any
    epochs, others' re-runs too, and ViT-B/16. The whole runs on scenes of the least steps count, those in bf16 where a method has some, and
    the mean of its seeds.
    """
    if ours not in ("linear", "best_linear", "knn"):
        raise unknown("column of the table of methods", ours, ["linear", "best_linear", "knn"])
    path = Path(path)
    if not path.is_file():
        note = f"{path} is not there: run this in the repository, or make the table with `python benchmarks/methods.py`"
        return Conditions(ours, theirs, (), agreement([], []), (), note)
    stored, known = (
        Stored(path),
        {one.key: one for one in comparable(protocol=theirs, **{"epochs": None, "rerun": True, **query})},
    )
    runs = {(entry.key, recipe): stored.runs(recipe) for entry in papers() for recipe in entry.recipes}
    steps = min((length for each in runs.values() for length in each), default=None)
    table = {name: [row for row in each.get(steps, ()) if row.get(ours)] for name, each in runs.items()}
    if not any(table.values()):
        raise UserError(
            f"{path} has no whole runs with a column {ours}: it is the CSV that `python benchmarks/methods.py` writes"
        )
    found = [
        (recipe, 100 * over_seeds(some, ours)[0], known[key])
        for (key, recipe), some in table.items()
        if some and key in known
    ]
    found.sort(key=lambda row: -row[1])
    ranked = agreement([mine for _, mine, _ in found], [one.accuracy for _, _, one in found])
    return Conditions(
        ours, theirs, tuple(found), ranked, differing(found, steps, [row for some in table.values() for row in some])
    )


def differing(found: list, steps: int, table: list[dict]) -> tuple[str, ...]:
    """What differs between our runs and the papers', in sentences."""
    epochs = sorted({one.epochs for _, _, one in found if one.epochs})
    rerun = sorted({one.name for _, _, one in found if one.run_by})
    return (
        f"data: our runs see {', '.join(sorted({row['data'] for row in table}))} of 32 × 32 pixels, the papers ImageNet-1K at 224 × 224",
        "model: ours is ViT micro with 4-pixel patches, theirs "
        + ", ".join(sorted({one.architecture for _, _, one in found})),
        f"training: ours {steps} steps of 64 images, theirs {f'{epochs[0]} to {epochs[-1]}' if epochs else 'an unknown number of'} epochs of 1.28 million",
        f"seeds: {len({row['seed'] for row in table})} of ours; the papers mostly give one run",
        "probe: ours is one for all methods, on the mean of the last block's patches; each paper has its own layer, pooling and optimiser",
        "learning rate: ours is the best of three on a validation part; each paper has its own",
        *([f"run again by others: {', '.join(rerun)}"] if rerun else []),
    )
