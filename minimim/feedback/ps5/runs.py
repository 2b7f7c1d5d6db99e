"""The stored runs of ps5.5: tiny trainings on garments, with what was measured at their end. benchmarks/collapse_runs.py made them.

What follows, and the file, tell which letter is which run. Decide first.
"""

import copy
import json
from functools import cache
from importlib.resources import files

from minimim.errors import UserError

SEEDS = (0, 1, 2)
HEALTHY, TOTAL, DIMENSIONAL = "healthy", "total collapse", "dimensional collapse"
LETTERS = {  # seed → the settings from a to f
    0: (
        "InfoNCE, temperature 1",
        "agreement alone",
        "prototypes",
        "variance, no covariance",
        "InfoNCE, rate × 500",
        "InfoNCE",
    ),
    1: (
        "variance, no covariance",
        "InfoNCE",
        "InfoNCE, rate × 500",
        "prototypes",
        "InfoNCE, temperature 1",
        "agreement alone",
    ),
    2: (
        "prototypes",
        "InfoNCE, rate × 500",
        "InfoNCE",
        "InfoNCE, temperature 1",
        "agreement alone",
        "variance, no covariance",
    ),
}


@cache
def stored() -> dict[tuple[str, int], dict]:
    """All runs of the file, by setting and seed."""
    text = (files("minimim") / "assets" / "collapse-runs-cpu.json").read_text(encoding="utf-8")
    return {(run["setting"], run["seed"]): run for run in json.loads(text)["runs"]}


def one(setting: str, seed: int = 0) -> dict:
    """A run as it is handed over: steps and loss, the measurements of the trained network, and those of its random start."""
    run = stored()[setting, seed]
    steps, loss = map(list, zip(*run["history"], strict=True))
    return copy.deepcopy({"steps": steps, "loss": loss, "trained": run["trained"], "random": run["random"]})


def load(seed: int = 0) -> dict[str, dict]:
    """The six runs of a seed, {"a": run, …, "f": run}: lists of `steps` and `loss`, and what was measured of the network that was
    `trained` and of its `random` start. Raises UserError for another seed."""
    if seed not in LETTERS:
        raise UserError(f"there are runs of the seeds {', '.join(map(str, SEEDS))}, not of {seed}")
    return {letter: one(setting, seed) for letter, setting in zip("abcdef", LETTERS[seed], strict=True)}


def made_up() -> dict[str, dict]:
    """Runs that nobody trained, of an architecture that begins elsewhere: whatever else is misleading is so in them."""
    start = {
        "std": 0.12,
        "rank": 40.0,
        "knn": 0.55,
        "knn_error": 0.02,
        "head_std": 0.08,
        "head_rank": 24.0,
        "head_length": 2.0,
    }
    wide = {"std": 0.95, "rank": 9.0, "knn": 0.4, "knn_error": 0.02, "head_std": 0.95, "head_rank": 6.0, "head_length": 0.3}
    falls, rises, stays = [4.1, 1.0, 0.0], [0.5, 2.0, 4.1], [2.0, 2.0, 2.0]

    def run(loss: list[float], random: dict, **numbers) -> dict:
        return {"steps": [1, 75, 150], "loss": loss, "trained": random | numbers, "random": dict(random)}

    return {
        "u": run(falls, start, head_std=0.07, head_rank=20.0),  # healthy, small numbers from the beginning
        "v": run(
            rises, wide, head_std=0.09, head_rank=12.0, knn=0.6
        ),  # total collapse, though its standard deviation is above u's
        "w": run(stays, start, head_std=0.09, head_rank=4.0, knn=0.8),  # dimensional collapse of good features
        "x": run(
            falls, wide, head_std=0.9, head_rank=5.0, knn=0.35, rank=2.0, std=0.2
        ),  # healthy outputs of features that are not
        "y": run(rises, wide, head_std=0.01, head_rank=1.1, std=0.9, rank=9.0, knn=0.41),  # total collapse of the head alone
        "z": run(stays, start, head_std=0.3, head_rank=11.0, knn=0.5),  # healthy
    }
