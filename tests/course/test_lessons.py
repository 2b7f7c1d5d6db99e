"""What every lesson and problem set keeps to, whatever it teaches."""

import ast
import importlib
import json
import re
import statistics

import nbformat
import pytest
import torch
from helpers import TOP

from minimim import cli, show
from minimim.commands.lab import COPIED
from minimim.show import lesson

LESSONS = sorted((TOP / "notebooks").glob("*.ipynb"))
SETS = sorted([*(TOP / "solutions").glob("*/*.ipynb"), *(TOP / "exercises").glob("*/*.ipynb")])
QUICK_CHECKS = {"03": "## Quick check: ", "06": "## Quick check: ", "12": "## Quick check: "}  # where the survey's three belong
PROJECT = "18"  # has a list of its own
BUILT = ("01", "02", "03", "04", "05", "06", "07", "08")  # have their tasks in the build notebook
WORN = (  # phrases that are to be said in plain words
    "on loan", "on the paper's word", "nothing more", "has its price", "the price of", "acquits", "made up its mind", "starts with its mind", "grow dear", "grows dear",
    "figures of speech", "all the same, because", "the house ", "is the honest", "honestly", "to be honest",
)  # fmt: skip
WIDGETS = {"live_fill_in": "00", "attention_lens": "03", "collapse_theatre": "10", "target_gallery": "11", "mask_explorer": "12"}  # each stands in one lesson
MOVED = rf"interact\(|game|show\.({'|'.join(WIDGETS)})\("  # what a reader can move
FREE_OF_TERMS = "00"  # the overview names what is to come

every_lesson = pytest.mark.parametrize("path", LESSONS, ids=[p.stem for p in LESSONS])
taught_lesson = pytest.mark.parametrize("path", [p for p in LESSONS if p.stem[:2] != PROJECT], ids=lambda p: p.stem)
every_notebook = pytest.mark.parametrize("path", [*LESSONS, *SETS], ids=[f"{p.parent.parent.name}-{p.stem}" for p in [*LESSONS, *SETS]])


def read(path):
    return nbformat.read(path, as_version=4)


def markdown(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def prose(text):
    """Words for a reader: without code, formulas, links' targets and marks."""
    text = re.sub(r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$", " ", text, flags=re.DOTALL)
    return re.sub(r"\]\([^)]*\)|<[^>]+>|[#*|>\[\]_-]", " ", text)


@every_notebook
def test_it_is_a_valid_notebook_with_stable_ids_and_no_state(path):
    notebook = read(path)
    nbformat.validate(notebook)
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids) and set(notebook.metadata) <= {"kernelspec", "language_info", "celltoolbar", "minimim"}
    if path in LESSONS:
        number = path.stem.split("_")[0]
        assert ids == [f"{number}-{n:02d}" for n in range(1, len(ids) + 1)]
    assert notebook.metadata.kernelspec.name == "python3"


@every_notebook
def test_folded_answers_render(path):
    for text in markdown(read(path)):
        assert text.count("<details>") == text.count("</details>")
        for line, after in zip(text.split("\n"), [*text.split("\n")[1:], ""], strict=True):
            if "</summary>" in line:
                assert line.startswith(("<details>", "<summary>")), line
                assert after == "", f"a blank line is missing after {line}"
        assert not re.search(r"[^\n]\n</details>", text), "a blank line is missing before </details>"
        assert not re.search(r"^[ \t]+</?(details|summary)>", text, re.MULTILINE)


@every_notebook
def test_links_within_the_course_resolve(path):
    for text in markdown(read(path)):
        for target in re.findall(r"\]\(([^)#]+)", text):
            if not target.startswith(("http", "attachment:")):
                assert (path.parent / target).exists(), target


@every_notebook
def test_what_is_imported_from_the_library_exists(path):
    for cell in code(read(path)):
        source = "\n".join(line for line in cell.source.split("\n") if not line.lstrip().startswith(("%", "!")))
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("minimim"):
                module = importlib.import_module(node.module)
                for name in node.names:
                    assert hasattr(module, name.name) or importlib.import_module(f"{node.module}.{name.name}")
            if isinstance(node, ast.Import):
                for name in node.names:
                    if name.name.startswith("minimim"):
                        importlib.import_module(name.name)


@every_notebook
def test_the_files_it_reads_are_there_and_are_copied_for_learners(path):
    for cell in code(read(path)):
        for target in re.findall(r"""["'](\.\.(?:/\.\.)?/[^"']+)["']""", cell.source):
            inside = (path.parent / target).resolve().relative_to(TOP).as_posix()
            if not inside.startswith("runs/"):  # what learners make themselves
                assert (TOP / inside).exists() and inside.startswith(COPIED), target


@every_notebook
def test_it_speaks_of_no_machine_and_keeps_no_error(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"/(home|root|work|tmp|Users)/|site-packages|[A-Z]:\\\\", text)
    for cell in code(read(path)):
        assert "raises-exception" in cell.metadata.get("tags", []) or not any(o.output_type == "error" for o in cell.outputs)
        assert not any(o.get("name") == "stderr" for o in cell.outputs), cell.id


@every_lesson
def test_its_size_is_that_of_one_evening(path):
    notebook = read(path)
    lines = sum(len([line for line in cell.source.split("\n") if line.strip()]) for cell in code(notebook))
    words = len(prose("\n".join(markdown(notebook))).split())
    assert 20 <= len(notebook.cells) <= 50 and lines <= 300 and words <= 2800, (len(notebook.cells), lines, words)
    assert path.stat().st_size <= 1024 * 1024, f"{path.stat().st_size // 1024} KB"


@every_lesson
def test_code_stays_within_its_cell_and_shows_what_is_taught(path):
    for cell in code(read(path)):
        lines = [line for line in cell.source.split("\n") if line.strip()]
        assert all(len(line) <= 95 for line in lines), (cell.id, max(lines, key=len))
        assert "imshow" not in cell.source and "matshow" not in cell.source, f"{cell.id}: let minimim.show draw pictures"
        drawn = [line for line in lines if re.search(r"\b(plt|ax|axes|figure)\.", line)]
        assert len(drawn) <= 3, f"{cell.id}: {len(drawn)} lines of plotting belong into minimim.show"


@every_lesson
def test_it_shows_numbers_and_no_verdicts(path):
    for cell in code(read(path)):
        for output in cell.outputs:
            words = output.get("text", "") or output.get("data", {}).get("text/plain", "")
            assert not re.search(r"\b(True|False)\b\s*$", words, re.MULTILINE), f"{cell.id}: {words[:80]!r} is a verdict: show the number, and claim it silently"


@every_lesson
def test_it_speaks_plainly(path):
    words = prose("\n".join(markdown(read(path)))).lower()
    for phrase in WORN:
        assert phrase not in words, phrase


@every_lesson
def test_its_first_cell_asks_its_question_and_keeps_its_lines_apart(path):
    title, _, box = markdown(read(path))[0].partition("\n\n> ")
    assert re.search(r"^\*[A-Z][^*]+\?\*$", title, re.MULTILINE), "below the title stands the question that the lesson answers, in italics"
    lines = ("> " + box).split("\n")
    for part in ("**You will**", "**You need**", "**Time**", "**GPU**"):
        assert any(line.startswith(f"> - {part}") for line in lines), f"{part} is an item of the box's list"


@every_lesson
def test_every_try_it_has_a_folded_solution_and_every_picture_its_words(path):
    whole = "\n".join(markdown(read(path)))
    for task in whole.split("### Try it")[1:]:
        assert "<summary>Solution" in re.split(r"^#{1,3} ", task, flags=re.MULTILINE)[0], task[:100]
    for cell in code(read(path)):
        for output in cell.outputs:
            for kind in ("image/png", "image/jpeg"):
                if kind in output.get("data", {}):
                    assert output.metadata.get(kind, {}).get("alt"), f"{cell.id}: a picture of minimim.show has words for those who cannot see it"


@every_lesson
def test_it_draws_its_idea_and_sends_to_the_build_notebook(path):
    notebook, number = read(path), path.stem[:2]
    pictures = [o for cell in code(notebook) for o in cell.outputs if "image/png" in o.get("data", {}) or "image/jpeg" in o.get("data", {})]
    assert len(pictures) >= 5, f"{len(pictures)} pictures"
    if number in BUILT:
        assert "../exercises/build/" in "\n".join(markdown(notebook))


@every_lesson
def test_it_was_run_from_top_to_bottom_and_shows_nothing_by_accident(path):
    notebook = read(path)
    counts = [cell.execution_count for cell in code(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    for cell in code(notebook):
        assert not cell.source.rstrip().endswith(";"), cell.id
        for output in cell.outputs:
            assert "image/svg+xml" not in output.get("data", {}) and "widget-view" not in json.dumps(output)


@taught_lesson
def test_it_has_the_parts_of_a_lesson(path):
    notebook = read(path)
    number, texts = path.stem.split("_")[0], markdown(notebook)
    whole = "\n".join(texts)
    assert re.match(rf"# {number} \w", texts[0])
    for part in ("**You will**", "**You need**", "**Time**", "**GPU**"):
        assert part in texts[0], part
    assert any("lesson.component_map(" in cell.source for cell in code(notebook)[:3])
    assert 3 <= len(re.findall(r"^\d\. ", whole.partition("## Objectives")[2].partition("\n## ")[0], re.MULTILINE)) <= 6
    for heading in ("## What you will see", "## What goes wrong", "## Recap", "## Check yourself"):
        assert re.search(rf"^{heading}", whole, re.MULTILINE), heading
    assert whole.partition("## Check yourself")[2].count("<details>") >= 5 and whole.count("Predict first") >= 2
    assert whole.count("### Try it") in (1, 2) and any(re.search(MOVED, cell.source) for cell in code(notebook))
    assert QUICK_CHECKS.get(number, "") in whole
    assert texts[-1].startswith("## Next") and "exercises/ps" in texts[-1] and texts[-1].count("arXiv") >= 3


@pytest.mark.parametrize("name", WIDGETS)
def test_each_widget_stands_in_its_lesson_alone_with_a_picture_for_those_without_a_kernel(name):
    cells = [(path.stem[:2], cell) for path in LESSONS for cell in code(read(path)) if f"show.{name}(" in cell.source]
    assert [number for number, _ in cells] == [WIDGETS[name]] and "nbval-ignore-output" in cells[0][1].metadata.tags
    kept = cells[0][1].outputs[-1]
    assert {"image/png", "image/jpeg"} & set(kept.data) and all(about["alt"] for about in kept.metadata.values())


@pytest.fixture
def project():
    (path,) = [p for p in LESSONS if p.stem[:2] == PROJECT]
    return read(path)


def test_the_project_goes_from_a_question_to_a_report(project):
    texts = markdown(project)
    whole, sources = "\n".join(texts), [cell.source for cell in code(project)]
    assert re.match(rf"# {PROJECT} \w", texts[0]) and any("lesson.component_map(" in source for source in sources[:3])
    steps = ("What you will see", "Objectives", "1 Which question", "2 What do you predict", "3 How many runs", "4 What do you run", "5 Are your runs healthy", "6 What did you measure", "7 How do you write it up", "What goes wrong", "Recap", "Check yourself", "Next")
    places = [whole.index(f"## {step}") for step in steps]
    assert places == sorted(places)
    assert 3 <= len(re.findall(r"^\d\. ", whole.partition("## Objectives")[2].partition("\n## ")[0], re.MULTILINE)) <= 6
    assert whole.partition("## Check yourself")[2].count("<details>") >= 5 and whole.count("Predict first") >= 2
    assert whole.count("### Try it") in (1, 2) and any("interact(" in source for source in sources)
    assert texts[-1].startswith("## Next") and "exercises/ps" in texts[-1] and texts[-1].count("arXiv") >= 3


def test_the_points_of_the_rubric_are_those_of_the_drawing(project):
    rows = re.findall(r"^\| ([\w ]+) \| (\d+) \| ", "\n".join(markdown(project)), re.MULTILINE)
    drawn = re.search(r"points=\(([\d, ]+)\)", "\n".join(cell.source for cell in code(project)))[1]
    assert [points for _, points in rows] == drawn.split(", ") and sum(int(points) for _, points in rows) == 20


def test_the_model_report_has_the_numbers_of_the_stored_runs(project):
    (report,) = re.findall(r"<details><summary>A model report.*?</details>", "\n".join(markdown(project)), re.DOTALL)
    stored = json.loads((TOP / "benchmarks/results/quality-cpu.json").read_text())
    probes = {}
    for ratio in (0.75, 0.5):
        runs = [run for run in stored["runs"] if run["options"] == {"mask_ratio": ratio, "decoder_depth": 2, "normalize_target": False}]
        probes[ratio] = [run["linear_probe"][0] for run in runs]
        over = [run["hidden_error_over_hole_filler"] for run in runs]
        assert f"{ratio:.0%} hidden: {statistics.mean(probes[ratio]):.3f} ± {statistics.stdev(probes[ratio]):.3f}".replace("%", " %") in report
        assert f"{min(over):.2f} to {max(over):.2f}" in report and f"{statistics.mean(run['seconds']['pretrain'] for run in runs):.0f}" in report
    gap, half = show.difference(probes[0.5], probes[0.75])
    assert f"{gap:+.3f}, 95 % interval {gap - half:.3f} to {gap + half:.3f}" in report
    for name, words in (("raw_pixels", "raw pixels"), ("random_init", "random encoder")):
        assert f"{words} {stored['floors'][name]['linear_probe'][0]:.3f}" in report
    assert f"{stored['steps']} steps" in report and all(f"**{part}" in report for part in ("Question", "Prediction", "Method", "Result", "Surprise", "Limits"))


def test_the_commands_of_the_project_can_be_asked_for_and_differ_in_one_thing(project):
    asked = [line.split()[1:] for line in re.findall(r"^    minimim .*", "\n".join(markdown(project)), re.MULTILINE)]
    pretrained = [command for command in asked if command[0] == "pretrain"]
    assert len(asked) >= 4 and all(cli.parse(command) for command in asked)
    a, b = (set(zip(command[1::2], command[2::2], strict=True)) for command in pretrained)
    assert {name for name, _ in a ^ b} == {"--out", "--mask-ratio"}


@every_lesson
def test_the_map_lights_parts_that_there_are(path):
    for cell in code(read(path)):
        for lit in re.findall(r"lesson\.component_map\(([^)]*)\)", cell.source):
            assert set(re.findall(r'"([^"]+)"', lit)) <= {*lesson.PARTS, *lesson.OTHERS}


def glossary():
    """Term → the number of the lesson that brings it in."""
    rows = re.findall(r"^\| ([^|]+) \| (\d\d) \| ", (TOP / "docs/glossary.md").read_text(), re.MULTILINE)
    return {term.strip(): number for term, number in rows}


@every_lesson
def test_no_term_is_used_before_its_lesson_unless_it_is_on_loan(path):
    number, texts = path.stem.split("_")[0], markdown(read(path))
    if number == FREE_OF_TERMS:
        return
    box, rest = texts[0], prose("\n".join(texts[1:-1])).lower()
    for term, there in glossary().items():
        used = re.search(rf"\b{re.escape(term.lower())}s?\b", rest)
        assert not (used and there > number) or term.lower() in box.lower(), f"{term} is taught in lesson {there}: list it as on loan"


def test_the_readme_names_every_lesson_that_there_is():
    readme = (TOP / "README.md").read_text()
    for path in LESSONS:
        assert path.stem.split("_")[0] in readme


@pytest.mark.parametrize(("given", "taken"), [(1, 1), (2, 2), (3, 2)])
def test_a_lesson_takes_two_threads_at_most_and_never_more_than_it_is_given(given, taken):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(given)
        lesson.setup()
        assert torch.get_num_threads() == taken
    finally:
        torch.set_num_threads(before)
