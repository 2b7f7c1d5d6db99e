"""A release: one version everywhere, a citation file that is valid, and a wheel that carries the course and nothing else."""

import re
import shutil
import subprocess
import tomllib
import zipfile

import jsonschema
import pytest
import yaml
from helpers import TOP, script

import minimim
from minimim.commands import lab
from minimim.commands.check import find
from minimim.commands.lab import COPIED, course

PERSON = {
    "type": "object", "required": ["family-names"], "additionalProperties": False,
    "properties": {name: {"type": "string"} for name in ("family-names", "given-names", "orcid", "email", "affiliation")},
}  # fmt: skip
ENTITY = {
    "type": "object", "required": ["name"], "additionalProperties": False,
    "properties": {name: {"type": "string"} for name in ("name", "website", "email")},
}  # fmt: skip
AUTHORS = {"type": "array", "minItems": 1, "items": {"anyOf": [PERSON, ENTITY]}}
TEXT, DOI, ADDRESS = {"type": "string", "minLength": 1}, {"type": "string", "pattern": r"^10\.\d{4,9}/\S+$"}, {"type": "string", "pattern": "^https://"}
CITATION = {  # what the Citation File Format 1.2.0 allows, of the part of it that we use
    "type": "object", "additionalProperties": False, "required": ["cff-version", "message", "title", "authors"],
    "properties": {
        "cff-version": {"const": "1.2.0"}, "message": TEXT, "title": TEXT, "abstract": TEXT, "type": {"enum": ["software", "dataset"]},
        "version": {"type": "string"}, "date-released": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d$"}, "license": {"const": "Apache-2.0"},
        "authors": AUTHORS, "keywords": {"type": "array", "minItems": 1, "uniqueItems": True, "items": TEXT}, "repository-code": ADDRESS,
        "references": {"type": "array", "minItems": 1, "items": {
            "type": "object", "additionalProperties": False, "required": ["type", "title", "authors"],
            "properties": {
                "type": {"enum": ["article", "book", "software", "conference-paper"]}, "title": TEXT, "authors": AUTHORS, "journal": TEXT,
                "year": {"type": "integer"}, "doi": DOI, "url": ADDRESS,
            },
        }},
    },
}  # fmt: skip
release = script("release")


def test_the_version_is_said_once_and_agrees_with_changelog_and_citation():
    project = tomllib.loads((TOP / "pyproject.toml").read_text())
    assert "version" not in project["project"] and project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "minimim.__version__"}
    assert release.version() == minimim.__version__
    release.versions()
    for page in ("README.md", "CHANGELOG.md"):
        assert set(re.findall(r"minimim-([\d.]+)-py3", (TOP / page).read_text(encoding="utf-8"))) == {minimim.__version__}


@pytest.mark.parametrize("name, was, now", [
    ("minimim/__init__.py", f'"{minimim.__version__}"', '"9.9.9"'),
    ("CHANGELOG.md", f"## {minimim.__version__} (", "## 9.9.9 ("),
    ("CITATION.cff", f"version: {minimim.__version__}", "version: 9.9.9"),
    ("CITATION.cff", 'date-released: "20', 'date-released: "19'),
])  # fmt: skip
def test_a_version_that_is_left_behind_is_named(name, was, now, tmp_path, monkeypatch):
    for each in ("minimim/__init__.py", "CHANGELOG.md", "CITATION.cff"):
        (tmp_path / each).parent.mkdir(exist_ok=True)
        text = (TOP / each).read_text(encoding="utf-8")
        assert each != name or was in text
        (tmp_path / each).write_text(text.replace(was, now, 1) if each == name else text, encoding="utf-8")
    monkeypatch.setattr(release, "TOP", tmp_path)
    with pytest.raises(release.Missed, match="make them agree"):
        release.versions()


def cited():
    return yaml.safe_load((TOP / "CITATION.cff").read_text(encoding="utf-8"))


def test_the_citation_file_is_valid_and_names_authors_and_survey():
    about = cited()
    jsonschema.validate(about, CITATION)
    authors = [author["name"] for author in tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["authors"]]
    assert [author["name"] for author in about["authors"]] == authors
    (survey,) = about["references"]
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    assert survey["doi"] in readme and survey["url"] in readme and str(survey["year"]) in readme
    for author in survey["authors"]:
        assert f"{author['family-names']}, {author['given-names']}" in readme


@pytest.mark.parametrize("spoil", [
    lambda about: about.pop("message"), lambda about: about.update(authors=[]), lambda about: about.update({"date-released": "today"}),
    lambda about: about.update(verison="0.2.0"), lambda about: about["references"][0].pop("authors"),
])  # fmt: skip
def test_a_citation_file_that_is_not_valid_is_noticed(spoil):
    about = cited()
    spoil(about)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(about, CITATION)


@pytest.mark.parametrize("page", ["CHANGELOG.md", "CONTRIBUTING.md"])
def test_links_and_targets_of_the_pages_beside_the_readme_are_there(page):
    text = (TOP / page).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (TOP / link).exists(), link
    for path in re.findall(r"`((?:tests|minimim|notebooks)/[\w/.]+)`", text):
        assert (TOP / path).exists() or "NN_" in path or "SET" in path, path
    targets = set(re.findall(r"^([a-z-]+(?: [a-z-]+)*):", (TOP / "Makefile").read_text(), re.MULTILINE))
    known = {word for line in targets for word in line.split()}
    assert {word for word in re.findall(r"`?make ([a-z-]+)", text)} - {"them"} <= known


def test_the_guide_says_how_to_add_each_thing():
    text = (TOP / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for thing in ("lesson", "task and its check", "method", "paper"):
        assert f"## Add a {thing}\n" in text
    assert "docs/add-a-method.md" in text and "docs/add-a-paper.md" in text


# The wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of the tracked files as they are now, from a folder in which an earlier build left something behind."""
    source = tmp_path_factory.mktemp("source")
    for name in subprocess.run(["git", "ls-files"], cwd=TOP, capture_output=True, text=True, check=True).stdout.splitlines():
        if (TOP / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(TOP / name, source / name)
    for name in ("notebooks/.ipynb_checkpoints/a.ipynb", "build/lib/minimim/old.py", "build/lib/minimim/course/solutions/ps1.ipynb"):
        (source / name).parent.mkdir(parents=True)
        (source / name).write_text("left behind")
    return release.build(source, tmp_path_factory.mktemp("dist") / "dist")


@pytest.mark.slow
def test_the_wheel_holds_package_data_lessons_exercises_and_results_and_nothing_else(wheel):
    assert release.faults(wheel) == []
    names = zipfile.ZipFile(wheel).namelist()
    for name in ("assets/mae-scenes.safetensors", "course/notebooks/05_decoder.ipynb", "course/exercises/ps1/ps1.ipynb",
                 "course/benchmarks/results/methods-cpu.csv", "assets/survey/papers.csv"):  # fmt: skip
        assert f"minimim/{name}" in names
    assert not [name for name in names if "solution" in name or "tests/" in name or "/." in name]


@pytest.mark.slow
def test_a_wheel_that_lacks_something_or_holds_too_much_is_noticed(wheel, tmp_path, monkeypatch):
    other = tmp_path / wheel.name
    with zipfile.ZipFile(wheel) as good, zipfile.ZipFile(other, "w") as bad:
        for name in good.namelist():
            if not name.endswith("ps1.ipynb"):
                bad.writestr(name, b"")
        bad.writestr("minimim/course/solutions/ps1/ps1.ipynb", b"")
    monkeypatch.setattr(release, "LARGEST", 100)
    told = release.faults(other)
    assert [part for part in ("more than", "exercises/ps1/ps1.ipynb is missing", "should not be in it", "is one of the solutions")
            if not any(part in line for line in told)] == []  # fmt: skip


@pytest.mark.slow
def test_lessons_are_found_in_an_installed_wheel(wheel, tmp_path, monkeypatch):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site-packages")
    monkeypatch.setattr(lab.minimim, "__file__", str(tmp_path / "site-packages" / "minimim" / "__init__.py"))
    monkeypatch.chdir(tmp_path)
    assert course() == tmp_path / "site-packages" / "minimim" / "course" and find("ps1").is_file()
    new, kept = lab.copy(course(), tmp_path / "work")
    assert {path.parts[0] for path in new} == {part.split("/")[0] for part in COPIED} and not kept
    assert (tmp_path / "work" / "notebooks" / "00_start_here.ipynb").is_file()


def test_the_repository_holds_no_second_copy_of_the_course():
    assert course() == TOP and not (TOP / "minimim" / "course").exists()


def test_steps_of_a_release_are_known_by_name(monkeypatch, capsys):
    done = []
    monkeypatch.setattr(release, "STEPS", {name: lambda name=name: done.append(name) for name in release.STEPS})
    monkeypatch.setattr("sys.argv", ["release.py"])
    assert release.main() == 0 and done == ["tree", "versions", "lint", "wheel", "oldest", "newest", "book", "browser"]
    monkeypatch.setattr("sys.argv", ["release.py", "lint", "whel"])
    with pytest.raises(SystemExit):
        release.main()
    assert len(done) == 8 and "there is no step whel" in capsys.readouterr().err


def test_the_first_step_that_does_not_end_well_ends_the_check_in_a_sentence(monkeypatch, capsys):
    def miss():
        raise release.Missed("two files are not committed")

    monkeypatch.setattr(release, "STEPS", {"tree": miss, "lint": lambda: 1 / 0})
    monkeypatch.setattr("sys.argv", ["release.py"])
    assert release.main() == 1 and "release-check: tree: two files are not committed" in capsys.readouterr().err
