"""The build notebook as a whole: it runs to its end with empty cells and with wrong ones, its folded solutions are its solutions, and
what comes of them is the library's MAE."""

import re

import pytest
import torch
from einops import rearrange
from sets import mark, read, run

from minimim import methods
from minimim.feedback.build import TASKS
from minimim.feedback.build.use import RIGHT

SOLVED = {mark(cell)["grade_id"]: cell for cell in read("solutions", "build").cells if mark(cell).get("solution")}


@pytest.fixture(autouse=True)
def nothing_done():
    before = dict(RIGHT)
    yield
    RIGHT.clear()
    RIGHT.update(before)


def code_of(source):
    """A solution as it is folded: without the marks."""
    return "\n".join(line for line in source.split("\n") if "### BEGIN" not in line and "### END" not in line)


def until(notebook, text):
    """The notebook up to the cell that holds a text, which is left out."""
    end = next(n for n, cell in enumerate(notebook.cells) if cell.cell_type == "code" and text in cell.source)
    notebook.cells = notebook.cells[:end]
    return notebook


def test_with_all_cells_empty_it_runs_to_its_end(capsys):
    space, failed = run(read("exercises", "build"))
    assert not failed, [(cell.id, error) for cell, error in failed]
    said = capsys.readouterr().out
    assert said.count("is still empty, so the library's is used from here on") == len(TASKS)
    assert "0 of 13 parts are yours" in said and len(space["scores"]) == 2 and set(space["floors"]) == {"random weights", "raw pixels"}


@pytest.mark.parametrize("number", range(1, 14))
def test_the_folded_solution_is_the_solution(number):
    cells = read("exercises", "build").cells
    here = next(n for n, cell in enumerate(cells) if cell.cell_type == "code" and f'use("build.{number}"' in cell.source)
    assert mark(cells[here - 1])["grade_id"] == f"build-{number}"
    folded = re.fullmatch(r"<details><summary>Solution</summary>\n\n```python\n(.*)\n```\n\n</details>", cells[here + 2].source, re.DOTALL)
    assert folded[1] == code_of(SOLVED[f"build-{number}"].source)


def test_each_statement_has_shapes_an_example_and_minutes():
    cells = [cell.source for cell in read("exercises", "build").cells if cell.source.startswith("## Task ")]
    assert len(cells) == len(TASKS)
    for task, text in zip(TASKS, cells, strict=True):
        assert re.search(r"^\*Lesson 0\d · \d\d minutes\*$", text, re.MULTILINE) and "**Example.**" in text and "| | shape |" in text
        assert f"`{task.function}" in text


def test_a_wrong_part_does_not_reach_the_end(capsys):
    notebook = read("solutions", "build")
    wrong = next(cell for cell in notebook.cells if mark(cell).get("grade_id") == "build-3")
    wrong.source = wrong.source.replace("hidden = restore_ids >= keep", "hidden = restore_ids < keep")
    space, failed = run(until(notebook, "STEPS ="))
    assert not failed
    said = capsys.readouterr().out
    assert "build.3: hidden is turned round" in said and "until random_mask is right" in said and said.count(": right, equal to") == 12
    assert space["random_mask"](torch.rand(1, 8), 2)[2].sum() == 6


def test_what_is_built_is_the_librarys_mae():
    space, failed = run(until(read("solutions", "build"), "scenes = data.load"))
    assert not failed
    mine = space["MAE"](space["mae_loss"])
    theirs = methods.create("mae", image_size=32, patch_size=4, size=(128, 4, 4), cls=False, decoder_dim=64, decoder_depth=2, decoder_heads=4, flip=False, crop_scale=None)
    weights = {name: x for name, x in mine.state_dict().items() if not name.startswith("encoder.patch_embed")}
    kernel = rearrange(mine.encoder.patch_embed.weight, "d (p q c) -> d c p q", p=4, q=4)
    weights |= {"encoder.patch_embed.proj.weight": kernel, "encoder.patch_embed.proj.bias": mine.encoder.patch_embed.bias}
    weights["decoder.pos_embed"] = torch.cat([torch.zeros(1, 1, 64), mine.decoder.pos_embed], dim=1)
    theirs.load_state_dict(weights)
    images = torch.randint(256, (4, 3, 32, 32), dtype=torch.uint8)
    torch.manual_seed(5)
    loss = mine(images)
    torch.manual_seed(5)
    noise = torch.rand(4, 64)
    output = theirs(images, noise=noise)
    prediction, hidden = mine.predict(images, noise)
    torch.testing.assert_close(prediction, output.prediction, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(loss, output.loss, rtol=1e-5, atol=1e-5)
    assert torch.equal(hidden, output.mask)
    loss.backward()
    output.loss.backward()
    torch.testing.assert_close(mine.decoder.mask_token.grad, theirs.decoder.mask_token.grad, rtol=1e-4, atol=1e-6)
    for n in range(4):
        torch.testing.assert_close(mine.encoder.blocks[n].attn.qkv.weight.grad, theirs.encoder.blocks[n].attn.qkv.weight.grad, rtol=1e-3, atol=1e-6)

