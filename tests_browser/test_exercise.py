"""An exercise in JupyterLab: the wrong answer typed first and told its mistake, then the right one."""

import pytest
from lab import ERROR, Notebook

WHOLE = "b (n t) c (r p) (s q) -> b (n r s)"
STUB = "raise NotImplementedError  # your code here"


@pytest.fixture(scope="module")
def patches(opened) -> Notebook:
    notebook = opened("exercises/ps1/ps1.ipynb")
    notebook.run(notebook.number("import torch"))
    return notebook


def answer(notebook: Notebook, order: str) -> None:
    """Type the last line of `tubelets` in place of what stands there, and run the cell."""
    cell = notebook.cell(notebook.number("def tubelets"))
    cell.locator(".cm-content").click()
    for keys in ("Control+End", "Shift+Home"):
        notebook.page.keyboard.press(keys)
    notebook.page.keyboard.type(f'return rearrange(video, "{WHOLE} {order}", t=frames, p=patch_size, q=patch_size)')
    notebook.page.keyboard.press("Control+Enter")
    notebook.idle(60)


def test_a_stub_is_told_that_nothing_is_written_yet(patches):
    patches.run(patches.number("def tubelets"))
    assert "tubelets is not written yet" in patches.run(patches.number('check("ps1.1"')).text_content()


def test_a_wrong_answer_is_told_its_mistake_and_shown_it(patches):
    answer(patches, "(c t p q)")
    said = patches.run(patches.number('check("ps1.1"'))
    patches.shoot("wrong")
    assert "the pixels of a tubelet are in (c, t, p, q) order" in patches.all.locator(ERROR).text_content()
    assert "Traceback" not in patches.all.locator(ERROR).text_content()
    assert said.locator("img").count() == 1  # yours beside what was expected
    assert all(128 <= one["width"] <= one["column"] and one["over"] <= 1 for one in patches.figures())


def test_the_right_answer_turns_the_check(patches):
    answer(patches, "(t p q c)")
    said = patches.run(patches.number('check("ps1.1"'))
    patches.shoot("right")
    assert said.text_content().startswith("ps1.1: right, on ")
    assert patches.errors() == []
    for point in ("pixels", "order"):
        patches.run(next(n for n, cell in enumerate(patches.cells) if cell["id"] == f"ps1-1-{point}"))
    assert patches.errors() == []
