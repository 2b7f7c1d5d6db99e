"""The game of masked pictures: what is asked, what counts as right, and what a click or a key does."""

import json

import pytest
import torch
from drawn import check
from helpers import TOP

from minimim.data import load
from minimim.errors import UserError
from minimim.masking import BlockMasking, RandomMasking
from minimim.show.game import Game, Question, deal, score

NAMES = ("bag", "coat", "dress")


def questions():
    """Six pictures: bag, coat, dress, bag, coat, dress; random and block in turns, half of them with little hidden."""
    return [
        Question(torch.zeros(3, 16, 16, dtype=torch.uint8), NAMES[n % 3], ("random", "block")[n % 2], 0.15 if n < 3 else 0.9)
        for n in range(6)
    ]


def test_only_the_right_name_counts():
    right = {n: NAMES[n % 3] for n in range(6)}
    assert score(questions(), right, "ratio") == {0.15: (3, 3), 0.9: (3, 3)}
    wrong = {n: NAMES[(n + 1) % 3] for n in range(6)}
    assert score(questions(), wrong, "ratio") == {0.15: (0, 3), 0.9: (0, 3)}
    assert score(questions(), {**right, 0: "coat"}, "kind") == {"block": (3, 3), "random": (2, 3)}


def test_what_was_not_answered_does_not_count():
    assert score(questions(), {0: "bag", 5: "bag"}, "ratio") == {0.15: (1, 1), 0.9: (0, 1)}
    assert score(questions(), {}, "ratio") == {}


def test_answers_are_numbered_in_the_order_of_asking_and_end_with_the_last():
    game = Game(questions(), NAMES)
    for n in range(8):
        assert game.over == (n >= 6)
        game.answer(NAMES[n % 3])
    assert game.answers == {n: NAMES[n % 3] for n in range(6)}


def test_a_name_that_is_no_choice_is_refused_and_the_picture_stays():
    game = Game(questions(), NAMES)
    with pytest.raises(UserError, match="did you mean 'coat'"):
        game.answer("coats")
    assert game.answers == {}


def test_buttons_and_digits_give_the_same_answers():
    pytest.importorskip("ipywidgets")
    game = Game(questions(), NAMES)
    line, image, key, row = game.play().children
    first = image.value
    row.children[1].click()
    key.value = "2"
    assert game.answers == {0: "coat", 1: "dress"} and key.value == ""
    for typed in ("3", "7", "x", "-1", ""):
        key.value = typed
    assert len(game.answers) == 2 and "3 of 6" in line.value
    for _ in range(5):
        key.value = "0"
    assert game.over and len(game.answers) == 6 and "done" in line.value and image.value[:4] == first[:4] == b"\x89PNG"


def test_each_question_shows_its_own_picture():
    pytest.importorskip("ipywidgets")
    asked = questions()
    asked[1].picture = asked[1].picture + 200
    game = Game(asked, NAMES)
    _, image, _, row = game.play().children
    before = image.value
    row.children[0].click()
    assert image.value != before


def test_a_game_is_dealt_evenly_with_its_own_names_and_masks():
    images = load("scenes", "test", count=16, seed=5)
    game = deal(images, {"random": RandomMasking, "block": BlockMasking}, (0.25, 0.75), 4, torch.Generator().manual_seed(0))
    order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    assert [q.right for q in game.questions] == [images.classes[label] for label in images.labels[order]]
    settings = [(q.kind, q.ratio) for q in game.questions]
    assert all(settings.count(setting) == 4 for setting in {("random", 0.25), ("random", 0.75), ("block", 0.25), ("block", 0.75)})
    for question, image in zip(game.questions, images.images[order], strict=True):
        grey = (question.picture == 128).all(0)
        assert grey.float().mean() == pytest.approx(question.ratio, abs=0.01) and torch.equal(question.picture[:, ~grey], image[:, ~grey])


def test_the_sheet_has_all_pictures_with_their_numbers():
    sheet = Game(questions(), NAMES).sheet(across=4)
    check(sheet)
    assert [text.get_text() for text in sheet.figure.texts] == ["1-4", "1", "2", "3", "4", "5-6", "5", "6"] and "dress" in sheet.alt


def test_a_line_of_yours_is_drawn_only_when_you_have_played():
    machines = {"machine": {0.9: (0.2, 0.03), 0.15: (0.4, 0.03)}}
    game = Game(questions(), NAMES)
    before = game.against(machines)
    check(before)
    (line,) = (container.lines[0] for container in before.figure.axes[0].containers)
    assert line.get_xdata().tolist() == [15, 90] and line.get_ydata().tolist() == [0.4, 0.2] and "Your own" not in before.alt
    for n in range(6):
        game.answer(NAMES[0])
    after = game.against(machines)
    yours = after.figure.axes[0].containers[1]
    assert yours.get_label() == "you (3 pictures a point)" and yours.lines[0].get_ydata().tolist() == [1 / 3, 1 / 3] and "Your own" in after.alt


def test_the_answers_that_lesson_02_folds_are_those_of_its_game():
    notebook = json.loads((TOP / "notebooks/02_masking.ipynb").read_text(encoding="utf-8"))
    folded = next(text for cell in notebook["cells"] if "<summary>The answers" in (text := "".join(cell["source"])))
    game = deal(load("scenes", "test", count=24, seed=7), {"random": RandomMasking, "block": BlockMasking}, (0.15, 0.5, 0.75, 0.9), 4, torch.Generator().manual_seed(7))
    assert ", ".join(f"{n} {question.right}" for n, question in enumerate(game.questions, 1)) in folded
