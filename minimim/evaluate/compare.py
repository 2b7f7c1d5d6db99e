"""A pretrained encoder beside its floors, by the same functions on the same images."""

import torch
from torch import nn

from minimim.errors import UserError
from minimim.evaluate.features import Features, extract, raw_pixels
from minimim.evaluate.knn import knn
from minimim.evaluate.probe import linear_probe
from minimim.evaluate.score import Score
from minimim.evaluate.spectrum import effective_rank
from minimim.methods import Method, anew

Scores = dict[str, dict[str, Score]]  # {"linear_probe": {"pretrained": …, "random_init": …}, "knn": {…}}


def scored(rows: dict[str, tuple[Features, Features]], device="cpu") -> Scores:
    """Scores of the linear probe and of k-NN for each (train, test) pair of features."""
    return {
        "linear_probe": {name: linear_probe(*pair, device=device) for name, pair in rows.items()},
        "knn": {name: knn(*pair, device=device) for name, pair in rows.items()},
    }


def workplace(module: nn.Module) -> torch.device:
    """The device for probes of a module's features: its own where that is CUDA, else the CPU, which has all operations."""
    device = next(module.parameters()).device
    return device if device.type == "cuda" else torch.device("cpu")


def floors(method: Method, train, test, *, layer=-1, pool="mean", seed: int = 0, workers: int | None = None) -> dict:
    """Features of two baselines that have learnt nothing: {"random_init": (train, test), "raw_pixels": (train, test)}.

    The random encoder is the method's own, as `anew` makes it, from this seed; the pixels are at most 32 a side, as
    `raw_pixels` has them. Raises UserError for a method that was put together by hand.
    """
    if method.spec is None:
        raise UserError(
            "a method that was put together by hand cannot be made anew for the random floor: "
            "compare it with_floors=False, and extract the features of a fresh encoder of your own"
        )
    fresh = anew(method, seed).encoder
    return {
        "random_init": tuple(extract(fresh, images, layer=layer, pool=pool, workers=workers) for images in (train, test)),
        "raw_pixels": tuple(raw_pixels(images, workers=workers) for images in (train, test)),
    }


def compare(method: Method, train, test, *, with_floors=True, seed: int = 0, **how) -> Scores:
    """Linear probe and k-NN of a pretrained method's encoder, and of its floors, on labelled Images. how: layer, pool and
    workers, as `extract` has them."""
    rows = {"pretrained": tuple(extract(method.encoder, images, **how) for images in (train, test))}
    if with_floors:
        rows |= floors(method, train, test, seed=seed, **how)
    return scored(rows, workplace(method))


def table(scores: Scores) -> str:
    """The scores as text, one line for each encoder or floor."""
    names = list(scores["linear_probe"])
    titles = {"linear_probe": "linear probe", "knn": "k-NN"}
    lines = [f"{'':14}" + "".join(f"{titles.get(kind, kind):>18}" for kind in scores)]
    for name in names:
        lines.append(f"{name.replace('_', ' '):14}" + "".join(f"{scores[kind][name]!s:>18}" for kind in scores))
    return "\n".join(lines)


def sweep(encoder: nn.Module, train, test, *, layers=None, pools=("mean", "cls"), workers: int | None = None) -> list[dict]:
    """Scores of every layer with every pooling: rows of layer, pool, linear_probe and knn.

    To choose one, compare `linear_probe.details["held_out"]`, which the test set had no part in.
    """
    rows = []
    for layer in layers if layers is not None else range(encoder.depth):
        for pool in pools:
            pair = [extract(encoder, images, layer=layer, pool=pool, workers=workers) for images in (train, test)]
            rows.append({"layer": layer, "pool": pool, **{kind: each["it"] for kind, each in scored({"it": pair}, workplace(encoder)).items()}})
    return rows


def monitor(train, test):
    """A function that `train` can call as its monitor: method → {"knn", "effective_rank"} of its encoder, on labelled Images."""

    def look(method: Method) -> dict[str, float]:
        pair = [extract(method.encoder, images) for images in (train, test)]
        return {"knn": knn(*pair, device=workplace(method)).value, "effective_rank": effective_rank(pair[1].x)}

    return look
