"""The drawings in the statements of problem sets: they are where they belong, as they are drawn today, and their numbers are the solutions'."""

import base64
import importlib
import io
import math
import re

import nbformat
import pytest
import torch
from drawn import check
from einops import rearrange
from helpers import TOP
from PIL import Image

SETS = ("ps1", "ps2", "ps3", "ps4", "ps5", "ps6", "ps8")
DRAWN = {task: draw for name in SETS for task, draw in importlib.import_module(f"minimim.show.drawings.{name}").STATEMENTS.items()}


def words(task):
    return [word.get_text() for word in DRAWN[task]().words]


def solution(task, function, more=()):
    """The solution's function, from its cell. more: names that it needs besides."""
    name = task.split(".")[0]
    cells = nbformat.read(TOP / "solutions" / name / f"{name}.ipynb", as_version=4).cells
    (source,) = [cell.source for cell in cells if cell.source.startswith(f"def {function}(") and "BEGIN SOLUTION" in cell.source]
    space = {"torch": torch, "nn": torch.nn, "Tensor": torch.Tensor, "F": torch.nn.functional, "rearrange": rearrange} | dict(more)
    exec(source, space)  # noqa: S102 (our own solutions)
    return space[function]


@pytest.mark.parametrize("task", DRAWN)
def test_a_statement_shows_its_drawing_in_solutions_and_exercises(task):
    drawing, name = DRAWN[task](), task.split(".")[0]
    check(drawing)
    for folder in ("solutions", "exercises"):
        cells = nbformat.read(TOP / folder / name / f"{name}.ipynb", as_version=4).cells
        (cell,) = [cell for cell in cells if cell.source.startswith(f"## {task} ")]
        said = f"![{drawing.alt}](attachment:{task}.png)"
        assert said in cell.source, f"{folder}: python scripts/statements.py, then scripts/problem_sets.py generate"
        picture = Image.open(io.BytesIO(base64.b64decode(cell.attachments[f"{task}.png"]["image/png"])))
        assert abs(picture.width - Image.open(io.BytesIO(drawing.content())).width) <= 2


@pytest.mark.parametrize("name", SETS)
def test_every_task_has_a_drawing(name):
    cells = nbformat.read(TOP / "solutions" / name / f"{name}.ipynb", as_version=4).cells
    asked = {found[1] for cell in cells if (found := re.match(rf"## ({name}\.\d) ", cell.source))}
    assert asked <= DRAWN.keys()


def test_tubelets_patches_and_masks_are_those_of_the_solution():
    tubelets = solution("ps1.1", "tubelets")(torch.arange(16.0).view(1, 2, 1, 2, 4), 2, 2)
    assert [w for w in words("ps1.1") if w.isdigit()][16:] == told_rows(tubelets[0])
    patches, real = solution("ps1.2", "patches_with_border")(torch.arange(1.0, 7.0).view(1, 1, 2, 3), 2)
    drawn = words("ps1.2")
    assert [w for w in drawn if w in "TF"] == [str(x)[0] for x in real.flatten().tolist()]
    assert [w for w in drawn if w.isdigit()][6:14] == [f"{x:g}" for x in patches.flatten().tolist()]
    mask = solution("ps1.3", "mask_per_row")(torch.tensor([[[0.9, 0.1, 0.5, 0.3], [0.2, 0.8, 0.4, 0.6]]]), 2)
    assert [w for w in words("ps1.3") if w in ("T", "F")] == [str(x)[0] for x in mask.flatten().tolist()]


def told_rows(rows):
    """Numbered rows as they are written: the numbers of a row, then its own."""
    return [word for n, row in enumerate(rows.tolist()) for word in [*(f"{x:g}" for x in row), str(n)]]


def test_restored_tokens_and_views_are_those_of_the_solution():
    tokens = torch.tensor([[1.0, 2.0, float("nan")], [3.0, 4.0, 5.0]]).unsqueeze(-1)
    hidden = torch.tensor([[0, 1, 1, 0], [1, 0, 0, 0]]).bool()
    result = solution("ps1.4", "restore_ragged")(tokens, hidden, torch.zeros(1))
    letters = ["mabcde"[int(x)] for x in result.flatten()]
    drawn = [w for w in words("ps1.4") if w in [*"abcdem?"]]
    assert "".join(drawn) == "ab?" + "ammb" + "cde" + "mcde" and "".join(letters) == "ammb" + "mcde"
    views = solution("ps1.5", "two_views")(torch.tensor([[0.6, 0.1, 0.9, 0.3, 0.8, 0.2, 0.7, 0.5]]), 1)
    kept = [str(n) for view in views for n in (~view[0]).nonzero().flatten().tolist()]
    assert [w for w in words("ps1.5") if w.isdigit()][8:] == kept == ["1", "5", "3", "5"]


def test_attention_of_the_statements_is_that_of_the_solution():
    attend, v = solution("ps2.1", "attend"), torch.tensor([2.0, 4.0, 9.0]).view(1, 1, 3, 1)
    for valid, place in (([True, True, False], 0), ([False] * 3, 1)):
        found = attend(torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 3, 1), v, torch.tensor([valid]))
        drawn = words("ps2.1")
        assert [drawn[n + 1] for n, w in enumerate(drawn) if w == "sum"][place] == f"{float(found):g}"
    found = solution("ps2.2", "shared_keys")(torch.zeros(1, 4, 1, 1), torch.zeros(1, 2, 1, 1), torch.tensor([5.0, 7.0]).view(1, 2, 1, 1))
    assert [w for w in words("ps2.2") if w.isdigit()] == [f"{x:g}" for x in found.flatten().tolist()]
    same = torch.zeros(1, 1, 8, 1)
    found = solution("ps2.3", "windowed")(same, same, torch.arange(8.0).view(1, 1, 8, 1), (2, 4), 2)
    assert [w for w in words("ps2.3") if ": " in w] == [f"{n}: {x:g}" for n, x in enumerate(found.flatten().tolist())]


def test_positions_and_what_is_read_are_those_of_the_solution():
    row = solution("ps2.4", "positions_3d")(6, (2, 1, 3))[5]
    assert [w for w in words("ps2.4") if re.fullmatch(r"-?[01]\.\d{3}", w)] == [f"{x:.3f}" for x in row.tolist()]
    tokens, places = torch.tensor([10.0, 20.0, 30.0, 40.0]).view(1, 4, 1).expand(2, 4, 1), torch.arange(4.0).view(4, 1)
    hidden = torch.tensor([[0, 1, 0, 0], [1, 1, 1, 0]]).bool()
    x, valid = solution("ps2.5", "encode_visible")(tokens, places, hidden, torch.full((1, 1, 1), 99.0))
    told = {99.0: "register", 0.0: "0"} | {10.0 * (n + 1) + n: f"{'abcd'[n]}+{n}" for n in range(4)}
    for r, there in enumerate(valid):
        expected = [word for value, real in zip(x[r, :, 0].tolist(), there.tolist(), strict=True) for word in (told[value], "T" if real else "F")]
        drawn = words("ps2.5")
        start = [n for n, w in enumerate(drawn) if w == "register"][r]
        assert drawn[start : start + 8] == expected


def test_places_of_tokens_are_those_of_the_solution():
    restore = solution("ps3.1", "restore")
    token, positions = torch.zeros(1, 1, 1), torch.zeros(4, 1)
    a = restore(torch.tensor([[[1.0], [2.0]]]), torch.tensor([[2, 0]]), torch.tensor([[True, True]]), token, positions)
    told = {0: "m", 1: "a", 2: "b"}
    assert [f"{told[int(x)]} + pos {n}" for n, x in enumerate(a[0, :, 0])] == [w for w in words("ps3.1") if "+ pos" in w][:4]


def test_windows_and_losses_have_the_solutions_numbers():
    patches = torch.tensor([[0.0, 2.0], [4.0, 6.0], [9.0, 9.0], [9.0, 9.0]])[None]
    target, mean, std = solution("ps3.2", "window_target")(patches, torch.tensor([[False, False, True, True]]), (2, 2), 2)
    for row in target[0].tolist():
        assert ", ".join(f"{v:.2f}" for v in row) in words("ps3.2")
    assert f"std = {float(std[0, 0]):.2f}" in words("ps3.2") and "mean = 12 / 4 = 3" in words("ps3.2") and float(mean[0, 0]) == 3
    errors = torch.tensor([[1.0, 4.0, 1.0], [9.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    weights, hidden = torch.tensor([[1.0, 1.0, 2.0], [5.0, 1.0, 1.0], [1.0, 1.0, 1.0]]), torch.tensor([[1, 1, 1], [1, 0, 0], [0, 0, 0]]).bool()
    loss = solution("ps3.3", "image_loss")(errors.sqrt().unsqueeze(-1), torch.zeros(3, 3, 1), hidden, weights)
    assert f"(1.75 + 9) / 2\n= {float(loss):g}" in words("ps3.3")


def test_rates_decays_and_the_step_are_those_of_the_solution():
    rates, decays = solution("ps3.4", "plan")(torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.LayerNorm(8)), 6, 2, 3, 0.3, 0.05)
    drawn = words("ps3.4")
    assert [w for w in drawn if w in {"0.15", "0.3", "0.2", "0.1"}] == [f"{float(r):.2g}" for r in rates]
    assert [w for w in drawn if w in {"0.05", "0"}] == [f"{float(d):g}" for d in decays]
    assert "w: 0 → 0.1" in words("ps3.5") and "-3" in words("ps3.5") and "-1" in words("ps3.5")


def test_gains_draws_and_choices_have_the_solutions_numbers():
    scores = torch.tensor([[1.0, 0.0, 0.0, 1.0], [1.0, 1.0, 1.0, 0.0]])
    for garment in ([0, 1, 2, 3], [0, 1, 1, 2]):
        gain, error = solution("ps4.1", "paired")(scores, torch.tensor(garment))
        assert any(w.endswith(f"= {float(error[1]):.3f}") for w in words("ps4.1")) and f"gain = mean = {float(gain[1]):g}" in words("ps4.1")
    chosen = solution("ps4.2", "few_labels")(torch.tensor([1, 0, 1, 0, 1]), torch.tensor([[0.5, 0.3, 0.1, 0.2, 0.4]]), 2)
    assert [w for w in words("ps4.2") if w.isdigit()][-4:] == ["3", "1", "2", "4"] == [str(x) for x in chosen.flatten().tolist()]
    right = torch.tensor([[1.0, 1, 0, 0, 0, 0], [1, 0, 1, 0, 1, 0]])
    layer, nested, _ = solution("ps4.3", "choose")(right, torch.tensor([0, 0, 1, 1, 2, 2]), right)
    assert any(w.endswith(f"= {float(nested):.3f}") for w in words("ps4.3")) and f"means 0.33, 0.5: layer {int(layer)}" in words("ps4.3")


def test_the_box_that_sees_is_the_one_that_moves():
    leaks = solution("ps4.4", "leaks")
    images, noise, hidden = torch.tensor([[[[5.0, 7.0]]]]), torch.tensor([[[[0.0, 1.0]]]]), torch.tensor([[False, True]])
    sees = leaks(lambda x, h: x.sum().view(1, 1, 1), images, hidden, 1, noise, 0.0)
    blind = leaks(lambda x, h: (x.flatten() * ~h.flatten()).sum().view(1, 1, 1), images, hidden, 1, noise, 0.0)
    drawn = words("ps4.4")
    assert sees == 1 and blind == 0 and drawn.index("they differ: it moves") < drawn.index("equal: it does not")
    assert {"12", "6", "5"} <= set(drawn)


def test_targets_of_the_statements_are_those_of_the_solution():
    hog, across, down = solution("ps6.1", "hog"), torch.tensor([[[3.0, 8**0.5], [0.0, 0.0]]]), torch.tensor([[[0.0, 8**0.5], [4.0, 0.0]]])
    drawn = [w for w in words("ps6.1") if re.fullmatch(r"0\.\d{3}", w)]
    assert drawn == [f"{float(x):.3f}" for margin in (0, 1) for x in hog(across, down, 2, (1, 2), margin, 2).flatten()]
    latents = torch.tensor([[0.0], [2.0], [9.0], [14.0], [15.0]])
    codes, usage, moved = solution("ps6.2", "revive")(torch.tensor([[0.0], [10.0], [99.0], [98.0]]), latents, torch.tensor([4.0, 2.0, 0.5, 0.5]), 0.5, 1.0)
    drawn = words("ps6.2")
    assert [w for w in drawn if "moves to" in w] == [f"moves to {float(codes[k]):g}" for k in moved.nonzero().flatten()]
    assert [w for w in drawn if "its usage" in w] == [f"its usage: {float(usage[k]):g}" for k in (2, 3)]


def test_masks_of_the_statements_are_those_of_the_solution():
    hidden = solution("ps6.3", "inner_blocks")(torch.tensor([[[2, 2], [1, 3]]]), torch.tensor([[[0.0, 0.75], [0.4, 0.0]]]), (5, 6), 6)
    told = re.search(r"the patches ([\d, ]+) are hidden", DRAWN["ps6.3"]().alt)[1].split(", ")
    assert sorted(map(int, told)) == hidden[0].nonzero().flatten().tolist()
    importance, noise = torch.tensor([[[0.5, 0.9, 0.8], [0.1, 0.7, 0.2]]]), torch.tensor([[0.2, 0.6, 0.3, 0.9, 0.8, 0.4]])
    hidden, hints = solution("ps6.4", "hint_mask")(importance, 1, noise, 4, 3, 1)
    assert DRAWN["ps6.4"]().alt.endswith(f": in all {', '.join(map(str, hidden[0].nonzero().flatten().tolist()))}.")
    assert f"of these patch {int(hints[0].nonzero())} has" in DRAWN["ps6.4"]().alt
    layout = solution("ps6.5", "targets_and_context")
    blocks, visible = layout(torch.tensor([[[0, 3], [0, 2], [2, 0]]]), (1, 2), 2, torch.tensor([[0, 1, 3, 4]]), torch.rand(1, 15), (3, 5))
    assert [f"patches {', '.join(map(str, one.nonzero().flatten().tolist()))}" in DRAWN["ps6.5"]().alt for one in blocks[0]] == [True, True]
    assert f"{int(visible.sum())} patches are free" in DRAWN["ps6.5"]().alt


def test_contrast_and_the_queue_of_the_statements_have_the_solutions_numbers():
    z, drawn = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0], [0.0, 0.5]]), words("ps5.1")
    several = solution("ps5.1", "several_positives")
    rows = torch.stack([several(z[[0, other, 3]], torch.tensor([5, 5, 8]), 1.0) for other in (1, 2)])  # row 0 and its partner ask the same where both are alike
    assert [w for w in drawn if w.startswith("log(")] == ["log(e¹ + e⁰) − 1 = 0.313", "log(e⁰ + e⁰) − 0 = 0.693"]
    assert f"{float(rows[0]):.3f}" == "0.313" and "loss of row a: the mean, 0.503" in drawn
    found = solution("ps5.2", "with_queue")(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 5.0]]), torch.tensor([4]), torch.tensor([[1.0, 0.0], [0.6, 0.8]]), torch.tensor([4, 9]), 2, 1.0)
    assert f"loss = log(e⁰ + e^0.6) − 0 = {float(found[0]):.3f}" in words("ps5.2")
    assert [w for w in words("ps5.2") if w.startswith("image ")][-2:] == [f"image {n}\n({k[0]:g}, {k[1]:g})" for n, k in zip(found[2].tolist(), found[1].tolist(), strict=True)]


def test_averages_and_balanced_assignments_of_the_statements_are_those_of_the_solution():
    rows = solution("ps5.3", "slow_average")(torch.tensor([[4.0], [8.0]]), torch.tensor([0.9, 0.9]))
    assert "4" in words("ps5.3") and f"{float(rows[1]):.3f}" in words("ps5.3") and float(rows[0]) == pytest.approx(4)
    logs = torch.tensor([[8.0, 1.0], [2.0, 1.0], [5.0, 5.0]]).log()
    assigned, used = solution("ps5.4", "balanced")(logs, torch.tensor([True, True, False]), 1.0, 1)
    drawn = words("ps5.4")
    assert [w for w in drawn if re.fullmatch(r"0\.\d{3}", w)] == [f"{x:.3f}" for x in assigned[:2].flatten().tolist()]
    assert f"used = sums / (V / K) = {', '.join(f'{x:.3f}' for x in used.tolist())}" in drawn


def test_the_clouds_of_ps5_differ_as_their_names_say():
    clouds = {title.get_text(): n for n, title in enumerate(w for w in DRAWN["ps5.5"]().words if w.get_weight() == "bold")}
    points = [part.get_offsets() for part in DRAWN["ps5.5"]().axes.collections]
    spread = [max(float((part - part.mean(0)).std()) for part in points[2 * n : 2 * n + 2] if len(part)) for n in range(3)]
    assert list(clouds) == ["healthy", "total collapse", "dimensional collapse"]
    assert spread[1] < 0.2 * min(spread[0], spread[2])


def test_vectors_merges_and_trees_are_those_of_the_solution():
    space = {"re": re, "math": math}
    tfidf, ward, read_tree = (solution(f"ps8.{n}", name, space) for n, name in ((1, "tfidf"), (2, "ward"), (3, "read_tree")))
    corpus, weights = ["Masked images", "Masked video, masked"], torch.tensor([1.0, 3.0])
    row = tfidf(corpus, weights, ["masked VIDEO masked"])[0]
    assert all(f"{x:.3f}".rstrip("0").rstrip(".") in words("ps8.1") for x in row.tolist())
    merges = ward(torch.tensor([[0.0], [2.0], [4.5]]), torch.tensor([6.0, 1.0, 1.0]))
    told = [f"{x:.3f}".rstrip("0").rstrip(".") for x in merges.flatten().tolist()]
    drawn = words("ps8.2")
    start = drawn.index("weight") + 1
    assert drawn[start : start + 8] == told
    tree = ward(torch.tensor([[0.0], [5.0], [1.0], [6.5], [20.0]]), torch.ones(5))
    labels, together = read_tree(tree, 3.0)
    drawn = words("ps8.3")
    place = drawn.index("labels")
    assert [drawn[place + 2 + 2 * i] for i in range(5)] == [str(x) for x in labels.tolist()]
    for value in together.unique().tolist():
        assert f"{value:.2f}".rstrip("0").rstrip(".") in drawn


def test_agreement_and_the_odd_row_are_those_of_the_solution():
    agreed, always, kappa = solution("ps8.4", "agreement")(torch.tensor([[1, 1, 0, 0, -1]]).T, torch.tensor([[1, 0, 0, 0, 1]]).T)
    drawn = words("ps8.4")
    assert f"3 / 4 = {float(agreed):g}" in drawn and any(w.endswith(f": {float(always):g}") for w in drawn)
    assert f"(0.75 − 0.5) / (1 − 0.5) = {float(kappa):g}" in drawn
    ps8 = importlib.import_module("minimim.show.drawings.ps8")
    same = {"protocol": "fine-tuned", "image_size": 224, "run_by": ""}
    rows = [same | dict(zip(("name", "architecture", "epochs", "extra", "accuracy"), row, strict=True)) for row in ps8.TABLE]
    flaws, leaders = solution("ps8.5", "verdicts")({"x": rows})
    assert flaws == {"x": "extra data"} and leaders.tolist() == [3] and "alone in this: the flaw\nis extra data" in words("ps8.5")


def test_a_dendrogram_shows_every_paper_once_in_the_order_of_the_tree():
    from minimim.show.drawings.ps8 import small_tree

    merges = torch.tensor([[0, 2, 1.0, 2], [1, 3, 1.5, 2], [5, 6, 7.42, 4], [4, 7, 21.35, 5]])
    drawing = small_tree(merges, list("abcde"), 3.0, alt="A tree of five papers, cut at 3.")
    check(drawing)
    assert [word.get_text() for word in drawing.words][:5] == list("eacbd")  # papers 4, 0, 2, 1, 3
    assert "cut at 3" in [word.get_text() for word in drawing.words]
    assert {"0", "5", "10", "15", "20"} <= {word.get_text() for word in drawing.words}  # round heights to read others from
