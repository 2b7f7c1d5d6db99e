"""Problem set 5: right answers in many hands pass and earn all points, wrong ones are told which mistake they make and lose points, what the
lessons and the library hold does not do as an answer, and the stored runs are what their settings say."""

import json

import pytest
from graded import Graded, at_hand, each, handed_on, mistaken, mutants, refusal
from helpers import TOP
from right_ps5 import RIGHT, queue_filled
from wrong_ps5_tables import HELD, WRONG

from minimim import diagnose, losses, methods, targets
from minimim.errors import UserError
from minimim.evaluate import spectrum
from minimim.feedback import check
from minimim.feedback.check import examine
from minimim.feedback.ps5 import runs
from minimim.feedback.ps5 import tasks as ps5
from minimim.feedback.ps5.truth import told
from minimim.losses import batch, places
from minimim.methods import teacher
from minimim.targets import clusters

TASKS = {task.name: task for task in ps5.TASKS}
SETS = {home: Graded("ps5", TASKS, home) for home in ("right_ps5", "wrong_ps5", "wrong_ps5_balance", "wrong_ps5_tables", __name__)}
SET = SETS[__name__]
FATES = {
    "InfoNCE": "healthy",
    "InfoNCE, temperature 1": "healthy",
    "prototypes": "healthy",
    "InfoNCE, rate × 500": "total collapse",
    "agreement alone": "total collapse",
    "variance, no covariance": "dimensional collapse",
}


def test_five_tasks_give_fourteen_points_and_a_question_six():
    assert [SET.full(name) for name in TASKS] == [3, 3, 2, 3, 3]
    by_hand = [mark["points"] for cell, mark in SET.marked if mark["grade"] and cell["cell_type"] == "markdown"]
    assert by_hand == [6]


@pytest.mark.parametrize("name, answer", each(RIGHT))
def test_right_answers_pass_and_earn_all_points(name, answer):
    assert examine(TASKS[name], answer) >= 5
    assert SETS["right_ps5"].points(name, answer) == SET.full(name)


@pytest.mark.parametrize("name, case", each(WRONG))
def test_wrong_answers_are_told_which_mistake_it_is_and_lose_points(name, case):
    words, answer = case
    assert words in refusal(TASKS[name], answer)
    assert SETS[answer.__module__].loses(name, answer)


@pytest.mark.parametrize("name", TASKS)
def test_every_mistake_in_the_table_is_told_apart_from_the_others(name):
    task = TASKS[name]
    assert len(task.mistakes) >= 6
    for words, answer in mistaken(task):
        assert refusal(task, answer) == f"{name}: {words}"


@pytest.mark.parametrize("name", ["ps5.1", "ps5.2", "ps5.3", "ps5.4"])
def test_check_and_graded_cells_agree_on_answers_that_are_spoilt(name):
    right = RIGHT[name][0]
    for words, answer in mutants(TASKS[name], right, __name__).items():
        assert not (said := SET.disagree(name, answer)), f"{words}: {said}"


@pytest.mark.parametrize("name, answer", each(HELD))
def test_what_the_library_holds_is_no_answer(name, answer):
    assert refusal(TASKS[name], answer)
    assert SETS[answer.__module__].loses(name, answer)


@pytest.mark.parametrize("name", TASKS)
def test_nothing_that_can_be_imported_or_copied_from_a_lesson_earns_full_points(name):
    for function in at_hand(batch, clusters, diagnose, losses, methods, places, spectrum, targets, teacher, lessons="10"):
        assert SET.loses(name, handed_on(function, __name__)), f"{function} is an answer to {name}"


@pytest.mark.parametrize("seed", runs.SEEDS)
def test_the_stored_runs_are_what_their_settings_say_by_a_margin(seed):
    for letter, setting in zip("abcdef", runs.LETTERS[seed], strict=True):
        run = runs.load(seed)[letter]
        std, rank = (run["trained"][name] / run["random"][name] for name in ("head_std", "head_rank"))
        assert told(run) == FATES[setting], (seed, setting)
        assert {"total collapse": std < 0.25, "dimensional collapse": std > 0.4 and rank < 0.25, "healthy": std > 0.4 and rank > 0.4}[FATES[setting]]
        assert run["steps"][0] == 1 and run["steps"][-1] == 150 and len(run["steps"]) == len(run["loss"])


def test_neither_loss_nor_knn_nor_rank_nor_features_could_decide():
    stored = {FATES[setting] + setting: run for setting, run in zip(runs.LETTERS[0], runs.load().values(), strict=True)}
    alone, hot, wide = (next(run for name, run in stored.items() if part in name) for part in ("agreement", "500", "variance"))
    plain, warm, kinds = (next(run for name, run in stored.items() if name == f"healthy{part}") for part in ("InfoNCE", "InfoNCE, temperature 1", "prototypes"))
    assert alone["loss"][-1] < 0.001 and hot["loss"][-1] > 4.1  # two total collapses, one with a loss near 0 and one with a high one
    assert kinds["loss"][-1] > 0.8 * kinds["loss"][0] and warm["loss"][-1] > 0.8 * warm["loss"][0] and plain["loss"][-1] < 0.7 * plain["loss"][0]
    assert abs(alone["trained"]["knn"] - alone["random"]["knn"]) < 2 * alone["random"]["knn_error"]  # k-NN does not see a total collapse
    assert wide["trained"]["knn"] > wide["random"]["knn"] + wide["random"]["knn_error"]  # nor a dimensional one
    assert alone["trained"]["head_rank"] > 0.5 * alone["random"]["head_rank"] > hot["trained"]["head_rank"]
    assert alone["trained"]["std"] > 0.25 * alone["random"]["std"]  # the features have not collapsed


def test_the_made_up_runs_keep_to_what_the_statement_promises():
    for run in runs.made_up().values():
        std, rank = (run["trained"][name] / run["random"][name] for name in ("head_std", "head_rank"))
        assert std < 0.25 or (std > 0.4 and (rank < 0.25 or rank > 0.4))


def test_runs_come_as_copies_without_their_names_and_of_known_seeds():
    runs.load()["a"]["trained"].clear()
    assert runs.load()["a"]["trained"] and all(run.keys() == {"steps", "loss", "trained", "random"} for run in runs.load(2).values())
    with pytest.raises(UserError, match="not of 7"):
        runs.load(7)


def test_the_numbers_of_the_written_question_are_those_of_its_run():
    run = runs.one("squared distance")
    texts = {mark["grade_id"]: "".join(cell["source"]) for cell, mark in SET.marked}
    assert f"fell from {run['loss'][0]:.4f} to {run['loss'][-1]:.6f} in {run['steps'][-1]} steps" in texts["ps5-W1-question"]
    length, std = (run["random"][name] / run["trained"][name] for name in ("head_length", "head_std"))
    fall = round(run["loss"][0], 4) / round(run["loss"][-1], 6)  # the numbers that the question prints
    for number in (f"≈ {fall:.0f}.", f"≈ {length**2:.1f}.", f"≈ {std**2:.0f}.", f"that is {(length * std) ** 2:.0f},", f"about {fall / (length * std) ** 2:.1f} is left"):
        assert number in texts["ps5-W1"], number
    assert run["trained"]["head_rank"] > run["random"]["head_rank"]


def test_a_right_answer_gets_one_line(capsys):
    check("ps5.2", queue_filled)
    assert capsys.readouterr().out == "ps5.2: right, on 13 inputs\n"


def test_the_file_says_how_it_was_made():
    about = json.loads((TOP / "minimim/assets/collapse-runs-cpu.json").read_text(encoding="utf-8"))
    assert about["command"] == "python benchmarks/collapse_runs.py" and about["steps"] == 150 and len(about["runs"]) == 19
