"""Each claim of the survey has a verdict in one sentence, and a cell that bears it or a lesson that is still to come."""

import json
import re
from collections import Counter

import nbformat
import pytest
from helpers import TOP, script

KINDS = (  # the parts of what the survey claims, in the order of the page
    "Key results", "Mechanism 1: context", "Mechanism 2: a high ratio", "Mechanism 3: the target", "What one needs first", "Quick checks",
    "Component map", "Critical path", "Trade-offs", "Failure signatures", "First experiments", "Open questions", "Limitations",
    "Confidence: high", "Confidence: medium", "Confidence: low", "Next checks",
)  # fmt: skip


@pytest.fixture(scope="module", name="script")
def claims_script():
    """scripts/claims.py as a module."""
    return script("claims")


def notebook(*cells):
    """A lesson as a file holds it; a cell is its text, for markdown, or its tags, for code."""
    made = []
    for number, cell in enumerate(cells, 1):
        kind, text, tags = ("markdown", cell, []) if isinstance(cell, str) else ("code", "", cell)
        made.append(
            {"cell_type": kind, "id": f"05-{number:02d}", "source": [text], "metadata": {"tags": tags} if tags else {}}
        )
    return {"cells": made}


def test_the_page_is_what_the_script_writes(script):
    assert script.PAGE.read_text(encoding="utf-8") == script.page(), "python scripts/claims.py"


def test_each_claim_has_an_id_a_verdict_and_one_sentence_why(script):
    claims = script.claims()
    assert len({one.id for one in claims}) == len({one.claim for one in claims}) == len(claims) >= 60
    for one in claims:
        assert one.verdict in script.VERDICTS and re.fullmatch(r"[a-z\d-]+", one.id), one
        assert (one.waits_for != "") == (one.verdict == script.TO_COME) and re.fullmatch(r"(\d\d)?", one.waits_for), one
        for text in (one.claim, one.why):
            assert text[0].isupper() and not re.search(r"\.( |$)", text) and len(text.split()) >= 4, text


def test_every_part_of_what_the_survey_claims_is_there_in_order(script):
    kinds = [one.kind for one in script.claims()]
    assert tuple(dict.fromkeys(kinds)) == KINDS and kinds == sorted(kinds, key=KINDS.index)


def test_each_claim_has_a_cell_unless_its_lesson_is_still_to_come(script):
    cells = script.places()
    for one in script.claims():
        assert (one.id in cells) != (one.verdict == script.TO_COME), (
            f"{one.id}: tag the cell that bears it `{script.TAG}{one.id}`"
        )


def test_each_tag_names_a_claim(script):
    assert set(script.places()) <= {one.id for one in script.claims()}


def test_no_claim_waits_for_a_lesson_that_is_there(script):
    there = {path.name[:2] for path in script.LESSONS.glob("*.ipynb")}
    late = [one.id for one in script.claims() if one.waits_for in there]
    assert not late, f"tag the cells that bear them, and write their verdicts: {late}"


def said(lesson):
    """What a lesson says: its text, and its outputs in words."""
    cells = json.loads(lesson.read_text(encoding="utf-8"))["cells"]
    outputs = [
        [each.get("text", ""), each.get("data", {}).get("text/plain", "")]
        for cell in cells
        for each in cell.get("outputs", [])
    ]
    return json.dumps([[cell["source"] for cell in cells], outputs])


def test_the_numbers_of_a_reason_are_told_in_a_lesson_that_is_named(script):
    cells = script.places()
    for one in script.claims():
        words = " ".join(said(script.LESSONS / name) for name in {cell.lesson for cell in cells.get(one.id, [])})
        for number in re.findall(r"\d+\.\d+", one.why):
            assert re.search(rf"(?<![\d.]){re.escape(number)}", words), (one.id, number)


def test_a_cell_counts_under_its_own_first_heading_or_the_last_before_it(script, tmp_path):
    path = tmp_path / "05_toy.ipynb"
    path.write_text(
        json.dumps(
            notebook(
                "# 05 Toy",
                "## 1 One\n\ntext\n\n### Try it: this",
                ["claim-a", "nbval-ignore-output"],
                "text\n\n## 2 Two\n\n## 3 Three",
                ["claim-b"],
            )
        )
    )
    assert [(name, place.heading, place.cell) for name, place in script.tagged(path)] == [
        ("a", "1 One", "05-03"),
        ("b", "3 Three", "05-05"),
    ]
    own = notebook("## 1 One", "text\n\n## Quick check: what is it?\n\n## 2 Two")
    own["cells"][1]["metadata"]["tags"] = ["claim-c"]
    path.write_text(json.dumps(own))
    assert [(name, place.heading) for name, place in script.tagged(path)] == [("c", "Quick check")]


def test_a_missing_cell_and_a_tag_without_a_claim_are_noticed(script, monkeypatch, tmp_path):
    monkeypatch.setattr(script, "LESSONS", tmp_path)
    (tmp_path / "05_toy.ipynb").write_text(json.dumps(notebook("## 1 One", ["claim-path-step", "claim-nothing"])))
    for check in (test_each_claim_has_a_cell_unless_its_lesson_is_still_to_come, test_each_tag_names_a_claim):
        with pytest.raises(AssertionError):
            check(script)


def test_the_page_links_to_cells_that_there_are_and_counts_verdicts(script):
    page = script.page()
    links = re.findall(r"\]\(\.\./notebooks/([\w]+\.ipynb)#cell-id=([\d-]+)\)", page)
    assert len(links) > 60 and len(links) == sum(map(len, script.places().values()))
    for name in {name for name, _ in links}:
        ids = {cell["id"] for cell in json.loads((script.LESSONS / name).read_text(encoding="utf-8"))["cells"]}
        assert {cell for other, cell in links if other == name} <= ids
    for verdict, count in Counter(one.verdict for one in script.claims()).items():
        assert re.search(rf"^\| \*\*{verdict}\*\* \| .* \| {count} \|$", page, re.MULTILINE)


def test_a_lesson_that_is_run_anew_keeps_its_tags():
    normalise = script("notebook").normalise
    cell = nbformat.v4.new_code_cell("1", metadata={"tags": ["claim-path-step"], "collapsed": True})
    kept = normalise(nbformat.v4.new_notebook(cells=[cell]), "05_toy").cells[0]
    assert kept.metadata == {"tags": ["claim-path-step"]} and kept.id == "05-01"


def test_what_a_lesson_lets_move_is_kept_as_it_was_shown_first():
    output = nbformat.v4.new_output
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "box"}, "text/plain": "interactive(…)"}
    cell = nbformat.v4.new_code_cell("1", outputs=[output("display_data", view), output("display_data", {"text/plain": "2"})])
    picture = output("display_data", {"image/jpeg": "abc", "text/plain": "a bar"}, metadata={"image/jpeg": {"alt": "a bar"}})
    widgets = {"box": {"children": ["IPY_MODEL_slider", "IPY_MODEL_below"]}, "slider": {"value": 1}, "below": {"outputs": [picture]}}
    notebook = nbformat.v4.new_notebook(cells=[cell])
    script("notebook").keep_what_moves(notebook, widgets)
    moved, other = notebook.cells[0].outputs
    assert moved.data == view | {"image/jpeg": "abc"} and moved.metadata == {"image/jpeg": {"alt": "a bar"}}
    assert other.data == {"text/plain": "2"}


@pytest.mark.parametrize("page, link", [("README.md", "docs/claims.md"), ("docs/self-study.md", "claims.md")])
def test_readers_are_sent_to_the_page(page, link):
    assert f"]({link})" in (TOP / page).read_text(encoding="utf-8")
