"""What the lessons read of the stored runs: the right lines, means and errors."""

import csv

import pytest

from minimim.stored import Stored, over_seeds

HEAD = ["data", "method", "seed", "stage", "steps", "linear", "linear_se", "precision", "variant", "chosen_by"]
LINES = [
    ["scenes", "mae", 0, "try", 300, 0.1, 0.01, "bf16", "", 0.5],
    ["scenes", "mae", 0, "whole", 600, 0.2, 0.01, "fp32", "", 0.5],
    ["scenes", "mae", 0, "whole", 600, 0.4, 0.01, "bf16", "", 0.5],
    ["scenes", "mae", 1, "whole", 600, 0.5, 0.01, "bf16", "", 0.5],
    ["scenes", "mae", 0, "again", 2400, 0.6, 0.02, "bf16", "", 0.5],  # the validation part prefers it to the next one
    ["scenes", "mae", 0, "again", 2400, 0.8, 0.02, "bf16", "", 0.4],
    ["scenes", "mae", 0, "whole", 600, 0.3, 0.01, "bf16", "mask_ratio=0.5", 0.5],
    ["scenes", "mae", 0, "whole", 600, 0.9, 0.01, "bf16", "mask_ratio=0.5, without places", 0.5],
    ["cifar10", "mae", 0, "whole", 600, 0.9, 0.01, "bf16", "", 0.5],
    ["scenes", "hpm", 0, "whole", 600, 0.7, 0.01, "fp32", "", 0.5],
    ["scenes", "capi", 0, "whole", 600, 0.2, 0.01, "bf16", "", 0.5],
    ["scenes", "capi", 0, "again", 2400, 0.3, 0.01, "bf16", "", 0.5],
    ["scenes", "raw pixels", 0, "floor", "", 0.45, 0.01, "", "", 0.5],
]


@pytest.fixture
def stored(tmp_path):
    with (tmp_path / "runs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([HEAD, *LINES])
    return Stored(tmp_path / "runs.csv")


def linear(runs):
    return {steps: [float(row["linear"]) for row in rows] for steps, rows in runs.items()}


def test_whole_runs_by_their_length_in_bf16_where_there_are_any(stored):
    assert linear(stored.runs("mae")) == {600: [0.4, 0.5], 2400: [0.6]}
    assert linear(stored.runs("hpm")) == {600: [0.7]} and stored.runs("ibot") == {}
    assert float(stored.floors["raw pixels"]["linear"]) == 0.45


def test_a_floor_of_several_seeds_is_their_mean(tmp_path):
    with (tmp_path / "runs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([HEAD, *LINES, ["scenes", "raw pixels", 1, "floor", "", 0.55, 0.03, "", "", ""]])
    line = Stored(tmp_path / "runs.csv").floors["raw pixels"]
    assert float(line["linear"]) == pytest.approx(0.5) and float(line["linear_se"]) == pytest.approx(0.02)
    assert line["method"] == "raw pixels" and line["chosen_by"] == "0.5"  # measured with one seed alone: as that has it


def test_another_value_of_one_option_and_nothing_else(stored):
    assert {value: linear(runs) for value, runs in stored.options("mae", "mask_ratio").items()} == {"0.5": {600: [0.3]}}


def test_methods_are_compared_at_the_length_that_has_the_most_seeds_and_then_at_the_longest(stored):
    pair = {"plain": ("mae", ""), "other": ("capi", ""), "a variant": ("mae", "mask_ratio=0.5")}
    assert (stored.longest({"plain": ("mae", "")})[0], stored.longest({"other": ("capi", "")})[0]) == (600, 2400)
    steps, runs = stored.longest(pair)
    assert steps == 2400 and linear(runs) == {"plain": [0.6], "other": [0.3]}  # one seed of capi at both lengths; no variant is as long
    stored.rows += [row | {"seed": "1"} for row in stored.runs("capi")[600]]
    steps, runs = stored.longest(pair)
    assert steps == 600 and linear(runs) == {"plain": [0.4, 0.5], "other": [0.2, 0.2], "a variant": [0.3]}


def test_a_floor_without_a_value_is_left_out(stored):
    assert stored.floors_of("linear") == {"raw pixels": 0.45}
    stored.floors["raw pixels"]["linear"] = ""
    assert stored.floors_of("linear") == {}


def test_the_error_is_the_larger_of_seeds_and_test_set(stored):
    several, single = stored.runs("mae")[600], stored.runs("hpm")[600]
    assert over_seeds(several, "linear", "linear_se") == pytest.approx((0.45, 0.005**0.5))
    assert over_seeds(single, "linear", "linear_se") == (0.7, 0.01) and over_seeds(single) == (0.7, 0.0)
