"""The pages of the library, from its docstrings: they read well as Markdown, and tell no answers. And the page of methods."""

import re

import pytest

from book import api, docstrings, methods
from minimim.methods import names


@pytest.fixture(scope="module", name="pages")
def all_pages():
    """Path → Markdown."""
    return api.pages()


@pytest.mark.parametrize("words, made", [
    ("images (B, C, H, W) → patches (B, N, P·P·C)", "images `(B, C, H, W)` → patches `(B, N, P·P·C)`"),
    ("(B, N, T) twice → (B,)", "`(B, N, T)` twice → `(B,)`"),
    ("queries (V, B, T) and (B, B of all) bool", "queries `(V, B, T)` and `(B, B of all)` bool"),
    ("`(p q c)` stays, (rows, cols) too", "`(p q c)` stays, (rows, cols) too"),
    ("2 * x and my_name, a < b", r"2 \* x and my\_name, a \< b"),
    ("arXiv 2111.06377; CMAE, 2207.13532", "[arXiv 2111.06377](https://arxiv.org/abs/2111.06377); CMAE, [2207.13532](https://arxiv.org/abs/2207.13532)"),
])  # fmt: skip
def test_a_line_of_a_docstring_in_markdown(words, made):
    assert docstrings.inline(words) == made


def test_the_names_that_a_function_takes_become_a_list():
    text = """Train a method.

    data: the images. out, note: where to. Raises UserError for a
    folder that is not there.

        method = a × b
    """
    assert docstrings.markdown(text, ["data", "out", "note"]) == (
        "Train a method.\n\n- **data**: the images.\n- **out, note**: where to.\n\nRaises UserError for a folder that is not there.\n\n```text\nmethod = a × b\n```"
    )
    assert "- **" not in docstrings.markdown(text, [])


def test_every_public_function_with_a_docstring_has_its_entry(pages):
    text = "\n".join(pages.values())
    for name in ("patchify(images: Tensor, patch_size: int) -> Tensor", "mask_by_noise(", "TrainConfig(", "knn(train: Features, test: Features, *,"):
        assert f"}} {name}" in text, name
    for path in api.files():
        for found in re.findall(r'^def ([a-z]\w*)\(.*?\).*?:\n    """', path.read_text(encoding="utf-8"), re.MULTILINE):
            assert f"{{py:function}} {found}(" in text, (path.name, found)


def test_what_checks_the_sets_is_left_out(pages):
    text = "\n".join(pages.values())
    for part in ("feedback.ps", "feedback.build", "drawings.ps", "feedback.questions"):
        assert f"minimim.{part}" not in text and f"`minimim.show.{part}" not in text
    assert "minimim.feedback.check" in text and "minimim.show.drawings.masks" in text


def test_fences_nest():
    inner = api.directive("method", "b()", "words\n\n```text\nx\n```")
    assert inner.startswith("````{py:method} b()") and api.directive("class", "A", inner).startswith("`````{py:class} A")


def test_the_page_of_methods_has_tree_choices_and_options_of_each():
    page = methods.page()
    assert re.findall(r"^  - \[`(\w+)`\]\(#method-\w+\)", page, re.MULTILINE) == names() == re.findall(r"^\(method-(\w+)\)=$", page, re.MULTILINE)
    card = page.partition("(method-cmae)=")[2].partition("(method-")[0]
    assert "| what is hidden | RandomMasking |" in card and "info\\_nce" in card and "Options: `" in card
