"""docs/add-a-paper.md works as it stands."""

import csv
import re

import pytest
from helpers import TOP

from minimim import survey
from minimim.errors import UserError
from minimim.survey.catalogue import Paper
from minimim.survey.checks import complaints
from minimim.survey.results import LEVELS, Result
from minimim.survey.tables import read, table

PAGE = (TOP / "docs" / "add-a-paper.md").read_text(encoding="utf-8")
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_page_runs_from_top_to_bottom_and_its_line_fits_into_the_table(capsys):
    names = {}
    for cell in CODE:
        exec(compile(cell, "add-a-paper.md", "exec"), names)  # noqa: S102
    whole, *wrong, line = capsys.readouterr().out.splitlines()
    assert whole == "nothing is missing"
    assert [sentence.partition(": ")[2][:28] for sentence in wrong] == ["it has no source", "edges is no facet of masking", "finetuned is in per cent, so", "it has numbers, and source d"]
    head = (TOP / "minimim/assets/survey/papers.csv").read_text(encoding="utf-8").splitlines()[0]
    (row,) = csv.DictReader([head, line])
    one = read(row, Paper)
    assert list(names["row"]) == head.split(",") and one.key == "EdgeMAE" and not complaints(one)
    assert one.finetuned == 83.1 and one.unverified == ("decoder",) and one.masking_facets == ("gradient",)


def test_the_line_of_its_number_fits_into_the_table_of_results():
    (line,) = re.findall(r"^    (EdgeMAE,.*)$", PAGE, re.MULTILINE)
    head = (TOP / "minimim/assets/survey/results.csv").read_text(encoding="utf-8").splitlines()[0]
    assert line.count(",") == head.count(",")
    (row,) = csv.DictReader([head, line])
    one = read(row, Result)
    assert (one.key, one.architecture, one.protocol, one.epochs, one.accuracy) == ("EdgeMAE", "ViT-B/16", "fine-tuned", 300, 83.1)
    assert (one.run_by, one.source, one.verified) == ("", "example/edge-mae:FINETUNE.md", "yes") and one.target_level in LEVELS
    assert head.split(",")[2] == "run_by" and head.split(",")[-4] == "source"


def test_the_example_does_not_exist():
    assert all(row["key"] != "EdgeMAE" for row in table("papers.csv"))
    with pytest.raises(UserError, match="unknown paper 'EdgeMAE'"):
        survey.paper("EdgeMAE")
    assert survey.papers(masking="gradient", target="hog") == []  # the page calls it new


def test_the_files_that_the_page_names_are_there():
    for path in re.findall(r"(?:minimim|tests)/[\w/]+\.(?:csv|py)", PAGE):
        assert (TOP / path).is_file(), path
