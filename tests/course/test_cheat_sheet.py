"""The cheat sheet is read from the library, and is not stale."""

import pytest
from helpers import TOP, script

from minimim import methods
from minimim.losses.term import loss_name


@pytest.fixture(scope="module", name="script")
def sheet_script():
    """scripts/cheat_sheet.py as a module."""
    return script("cheat_sheet")


def rows(page, heading):
    """The rows of the table under a heading, each a list of cells, without backslashes."""
    part = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return [line.replace("\\", "")[2:-2].split(" | ") for line in part.splitlines() if line.startswith("| ")][2:]


def test_the_page_is_what_the_script_writes(script):
    assert script.PAGE.read_text(encoding="utf-8") == script.page(), "make pages"


def test_readers_are_sent_to_the_page():
    assert "](docs/cheat-sheet.md)" in (TOP / "README.md").read_text(encoding="utf-8")


def test_symbols_and_shapes_are_those_of_the_tensors(script):
    page = script.PAGE.read_text(encoding="utf-8")
    symbols = {name.strip("*"): int(value) for name, _, value in rows(page, "Symbols")}
    walk = {what: (shape, here) for what, shape, here in rows(page, "Shapes")}
    assert symbols == script.example()[0] and symbols["N"] == 64 > symbols["K"] == 16
    assert walk["patches"] == ("`(B, N, P·P·C)`", "`(2, 64, 48)`") and walk["latents: encoder of the visible"] == ("`(B, K, D)`", "`(2, 16, 128)`")


def test_the_script_stops_at_a_shape_that_is_another(script, monkeypatch):
    monkeypatch.setattr(script, "sizes", lambda shape, symbols: (7,))
    with pytest.raises(ValueError, match="images have the shape"):
        script.example()


def test_every_method_has_the_choices_that_its_parts_are(script):
    told = {row[0].strip("*"): row for row in rows(script.PAGE.read_text(encoding="utf-8"), "Five choices of every method")}
    assert list(told) == methods.names()
    for name in ("mae", "cmae", "ibot", "clip"):
        method, row = methods.create(name), told[name]
        assert row[2:4] == [type(method.masking).__name__, type(method.encoder).__name__]
        for term in method.terms:
            assert loss_name(term.loss) in row[6]
        assert (row[7] == "–") == (method.teacher is None)
    assert told["cmae"][6] == "l2; cls: 0.14 × info_nce" and told["simclr"][4] == "–"
    assert not any("Together" in cell or "Several" in cell for row in told.values() for cell in row)
