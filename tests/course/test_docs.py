"""The commands that the documents show are commands that there are."""

import re
import shlex

import pytest
from helpers import TOP

from minimim.cli import parse
from minimim.presets import PRESETS, preset
from minimim.train import loop

PAGES = [TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))]


def commands(page):
    """The arguments of each `minimim …` that stands in a block of its own, or after torchrun's -m."""
    lines = re.findall(r"^ {4}(?:minimim|torchrun .* -m minimim) (.+?)(?: {2,}#.*)?$", page.read_text(), re.MULTILINE)
    return [[word for word in shlex.split(line) if not word.startswith("$")] for line in lines]


def test_most_pages_show_commands():
    assert {page.name for page in PAGES if commands(page)} >= {"README.md", "scale.md", "self-study.md"}


@pytest.mark.parametrize("page", [*PAGES, TOP / "benchmarks" / "README.md"], ids=lambda page: f"{page.parent.name}/{page.name}")
def test_every_link_to_a_file_leads_to_one(page):
    for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.name)
def test_every_command_can_be_asked_for(page):
    for arguments in commands(page):
        command = parse(arguments)
        assert getattr(command, "preset", None) in (None, *PRESETS), arguments


def test_the_page_on_scale_has_commands_and_its_flags_are_options():
    page = TOP / "docs" / "scale.md"
    alone = len(re.findall(r"^    minimim ", page.read_text(), re.MULTILINE))
    assert len(commands(page)) == page.read_text().count("-m minimim ") + alone >= 10
    known = {f"--{name.rstrip('_').replace('_', '-')}" for name in vars(parse(["pretrain"])) | vars(loop.TrainConfig())}
    known |= {"--nproc-per-node", "--max-restarts", "--shm-size"}
    for flag in re.findall(r"`(--[a-z-]+)[ `]", page.read_text()):
        assert flag in known, flag


def test_the_line_that_the_page_on_scale_shows_is_what_a_run_prints(monkeypatch):
    monkeypatch.setattr(loop, "world", lambda: 8)
    assert f"    {loop.plan(1_281_167, preset('imagenet').train)}\n" in (TOP / "docs" / "scale.md").read_text()


def test_the_page_on_teaching_has_notes_on_every_lesson():
    notes = (TOP / "docs" / "teaching.md").read_text(encoding="utf-8").partition("## Lesson by lesson")[2].partition("\n## ")[0]
    sections = {part[:2]: part for part in notes.split("\n### ")[1:]}
    assert set(sections) == {path.name[:2] for path in (TOP / "notebooks").glob("*.ipynb")}
    for number, section in sections.items():
        misconceptions, _, questions = section.partition("For class:")
        assert re.findall(r"^(\d)\. \*\"", misconceptions, re.MULTILINE) == ["1", "2", "3"], number
        assert len(re.findall(r"^- \*.+?[?.]\* ", questions, re.MULTILINE | re.DOTALL)) == 2, number


@pytest.mark.parametrize("processes", [1, 2])
def test_the_plans_of_the_short_run_are_what_it_prints(monkeypatch, processes):
    monkeypatch.setattr(loop, "world", lambda: processes)
    assert f"\n{loop.plan(2000, preset('imagenet', fast=True).train)}\n" in (TOP / "docs" / "scale.md").read_text()
