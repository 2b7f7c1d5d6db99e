"""Two processes compute what one does, and three do; they stop together."""

import shutil
from pathlib import Path

import pytest
import together
import torch
from helpers import start_together
from safetensors.torch import load_file

from minimim import checkpoint
from minimim.train.logbook import read_metrics

pytestmark = pytest.mark.slow

RUNS = [(case, 2) for case in together.CASES] + [(case, 3) for case in together.THREE]


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """The folder with what the processes found, all of it from one start of torchrun."""
    folder = tmp_path_factory.mktemp("together")
    assert together.long(*together.OF_ONE, folder / "of one", stopped_by=0)[0] == "False 4 of 10"
    start_together(Path(together.__file__), folder, 3, timeout=180)
    return folder


def found(out, function, case, processes):
    """What each of the processes found."""
    name = " ".join(map(str, case))
    return [load_file(out / f"{function} {name} {processes} {rank}") for rank in range(processes)]


@pytest.mark.parametrize("case, processes", RUNS, ids=str)
def test_gradients_and_masks_are_those_of_one_process(case, processes, out):
    alone, several = together.first_step(*case), found(out, "first_step", case, processes)
    for key, expected in alone.items():
        if key.startswith("mask"):
            drawn = [one[key] for one in several]
            assert torch.equal(torch.cat(drawn), expected)
            assert max(map(len, drawn)) - min(map(len, drawn)) <= 1
        for one in several if not key.startswith("mask") else ():
            torch.testing.assert_close(
                one[key], expected.detach(), atol=1e-6, rtol=1e-6, msg=lambda text, key=key: f"{key}: {text}"
            )
    assert max(t.abs().max() for key, t in alone.items() if key.startswith("gradient")) > 1e-2


@pytest.mark.parametrize("case, processes", RUNS, ids=str)
def test_after_three_steps_weights_teachers_centres_and_what_is_told_are_those_of_one_process(case, processes, out):
    alone, several = together.three_steps(*case), found(out, "three_steps", case, processes)
    start = together.build(case[0], **together.OPTIONS[case[0]]).state_dict()
    moved = 0
    for key, expected in alone.items():
        for one in several:
            assert one[key].dtype == expected.dtype == torch.float64 or "centre" in key
            torch.testing.assert_close(
                one[key], expected, atol=1e-10, rtol=1e-10, msg=lambda text, key=key: f"{key}: {text}"
            )
            assert torch.equal(one[key], several[0][key]), key
        moved += key in start and (expected - start[key]).abs().max() > 1e-4
    assert moved > 40 and sum(key.startswith("told") for key in alone) >= 6


def the_same(some, expected, tolerance=1e-10):
    """Whether a run ended as another: weights, averages and every line that it told."""
    assert some.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(
            some[key], value, atol=tolerance, rtol=tolerance, msg=lambda text, key=key: f"{key}: {text}"
        )


def test_a_run_of_one_process_goes_on_with_three(out):
    ended, expected = together.long(*together.OF_ONE)
    assert ended == "True 10 of 10" and len(expected["told step"]) == 10
    for rank in range(3):
        the_same(load_file(out / f"of one {rank}"), expected)


def test_a_run_of_two_processes_goes_on_with_one(out, tmp_path):
    shutil.copytree(out / "stopped", tmp_path / "stopped")
    ended, resumed = together.long(*together.OF_TWO, tmp_path / "stopped", resume=True)
    assert ended == "True 60 of 60"
    the_same(resumed, together.long(*together.OF_TWO)[1])


def test_ctrl_c_on_one_process_stops_all_after_the_same_step_and_the_first_saves(out):
    assert [(out / f"stopped {rank}").read_text() for rank in range(2)] == ["False 20 of 60"] * 2
    assert checkpoint.read(out / "stopped")[1]["step"] == 20


def test_a_loss_that_is_not_finite_on_one_process_is_skipped_on_all_and_stops_all(out):
    first, second = ((out / f"not_finite {rank}").read_text() for rank in range(2))
    assert first == second and first.startswith("True 20 the loss or gradient of step 4 is not finite")
    assert checkpoint.read(out / "not finite")[1]["step"] == 3


def test_fine_tuning_on_two_processes_gives_the_weights_and_the_score_of_one(out, tmp_path):
    score = together.finetuned(tmp_path)
    assert [(out / f"finetuned {rank}").read_text() for rank in range(2)] == [score] * 2
    alone, several = (checkpoint.read(folder / "finetuned")[0] for folder in (tmp_path, out))
    the_same(several, alone)
    assert alone["method.head.weight"].dtype == torch.float64 and alone["method.head.weight"].abs().max() > 0.01
    told = [together.told(read_metrics(folder / "finetuned")) for folder in (out, tmp_path)]
    the_same(*told, tolerance=1e-6)  # its loss is taken in single precision


def test_a_probe_on_two_processes_is_judged_with_the_statistics_that_the_first_one_saves(out, tmp_path):
    shutil.copytree(out / "probed", tmp_path / "probed")
    first, second = ((out / f"probed {rank}").read_text() for rank in range(2))
    assert first == second == together.probed(tmp_path, resume=True)  # which has nothing left to do but to judge
