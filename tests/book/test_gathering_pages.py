"""What the web edition is made of: the pages, their order, their links and figures, and no solutions; Sphinx is not asked."""

import base64
import json
import re

import nbformat
import pytest
from helpers import TOP

from book import check, gather, links, notebooks

PNG = base64.b64encode(b"picture").decode()
ADDRESS = "https://github.com/somebody/minimim"


@pytest.fixture(scope="module", name="files")
def all_files():
    """Everything that Sphinx would read."""
    return gather.gathered()


def test_every_lesson_set_and_document_is_a_page(files):
    there = [path for pattern in ("notebooks/*.ipynb", "exercises/*/*.ipynb", "docs/*.md") for path in TOP.glob(pattern)]
    assert {path.relative_to(TOP).as_posix() for path in there} <= set(files)
    assert {"index.md", "methods.md", "api/index.md", "api/masking.md", "benchmarks/results/methods-cpu.md"} <= set(files)


def test_every_page_is_in_the_list_of_pages_once_in_the_order_of_the_readme(files):
    listed = re.findall(r"^(?:[\w-]+/)*[\w-]+$", "\n".join(re.findall(r":maxdepth: 1\n\n(.*?)\n```", files["index.md"], re.DOTALL)), re.MULTILINE)
    pages = {path.rsplit(".", 1)[0] for path in files if path.endswith((".md", ".ipynb")) and not path.startswith("api/")} - {"index"}
    assert sorted(listed) == sorted({*pages, "api/index"}) and listed.index("exercises/ps0/ps0") < listed.index("notebooks/01_patches")


def test_no_page_holds_a_line_of_a_solution(files):
    told = check.secrets()
    assert len(told) > 300 and any("def " not in line for line in told)
    text = "\n".join(content for content in files.values() if isinstance(content, str))
    assert [line for line in told if line in text or json.dumps(line, ensure_ascii=False)[1:-1] in text] == []


def test_every_picture_of_a_lesson_is_a_figure_with_its_words_and_none_is_left_in_the_page(files):
    for path in gather.notebooks():
        stored = (TOP / path).read_text(encoding="utf-8")
        built, name = files[path], path.rsplit("/", 1)[0]
        pictures = len(re.findall(r'"image/(?:png|jpeg)": "', stored))  # stored outputs and attachments
        assert built.count("```{figure} figures/") == pictures and "image/png" not in built and "attachment:" not in built
        for text in markdown_of(built):
            for figure, alt in re.findall(r"^```\{figure\} (\S+)\n:alt: (.+)$", text, re.MULTILINE):
                assert f"{name}/{figure}" in files and len(json.loads(alt)) > 20
                pictures -= 1
        assert pictures == 0, "each figure begins a line"


def markdown_of(page):
    """The Markdown in the cells and outputs of a page."""
    for cell in nbformat.reads(page, as_version=4).cells:
        yield cell.source if cell.cell_type == "markdown" else ""
        yield from (each.get("data", {}).get("text/markdown", "") for each in cell.get("outputs", []))


@pytest.mark.parametrize("link, here, made", [
    ("[a](02_masking.ipynb)", "notebooks/01_patches.ipynb", "[a](02_masking.ipynb)"),
    ("[a](../notebooks/01_patches.ipynb#cell-id=01-04)", "docs/claims.md", "[a](../notebooks/01_patches.ipynb#cell-01-04)"),
    ("[a](https://arxiv.org/abs/2111.06377)", "docs/claims.md", "[a](https://arxiv.org/abs/2111.06377)"),
    ("[`masking.block`](../minimim/masking/block.py)", "docs/map.md", "[`masking.block`](../api/masking.md#minimimmaskingblock)"),
    ("[a](../minimim/patches.py)", "docs/map.md", "[a](../api/files.md#minimimpatches)"),
    ("see [the rules](../LICENSE).", "docs/claims.md", "see the rules."),
    ("`[a](b.md)` and\n\n    [c](d.md)", "docs/claims.md", "`[a](b.md)` and\n\n    [c](d.md)"),
    ("```\n[a](b.md)\n```", "docs/claims.md", "```\n[a](b.md)\n```"),
])  # fmt: skip
def test_a_link_leads_to_a_page_of_the_site(link, here, made, files):
    assert links.relinked(link, here, files.keys()) == made


def test_a_link_to_what_is_no_page_leads_to_the_repository_where_its_address_is_known(files):
    assert links.relinked("[a](../LICENSE)", "docs/map.md", files.keys(), ADDRESS) == f"[a]({ADDRESS}/blob/main/LICENSE)"


def test_a_dead_link_stops_the_gathering(files):
    with pytest.raises(ValueError, match=r"docs/map.md links to nowhere.md, which is not there"):
        links.relinked("[a](nowhere.md)", "docs/map.md", files.keys())


def test_the_address_is_read_from_one_place(tmp_path):
    project = tmp_path / "pyproject.toml"
    project.write_text('[project]\nname = "minimim"\n')
    assert links.repository(project) == ""
    project.write_text(f'[project]\nname = "minimim"\n[project.urls]\nRepository = "{ADDRESS}/"\n')
    assert links.repository(project) == ADDRESS
    named = [path for path in (TOP / "book").glob("*.*") if re.search(r"(?<!git@)github\.com/\w", path.read_text(encoding="utf-8"))]
    assert named == [], "the address stands in pyproject.toml alone"


def test_the_first_page_says_how_to_get_the_course_where_the_address_is_known():
    assert "git clone" not in gather.index("") and "    make lab" in gather.index("")
    assert f"    git clone {ADDRESS}\n    cd minimim\n    make lab" in gather.index(ADDRESS)


def output(data, metadata=None):
    return nbformat.v4.new_output("display_data", data, metadata=metadata or {})


def built(*cells):
    return notebooks.page(nbformat.v4.new_notebook(cells=list(cells)), "01", lambda text: text)


def test_an_output_becomes_a_figure_with_caption_alt_and_number():
    alt = 'A "cat": one half. The other half.'
    cell = nbformat.v4.new_code_cell("x", outputs=[output({"image/png": PNG, "text/plain": "[..]"}, {"image/png": {"alt": alt}})], id="01-02")
    page, files = built(cell)
    assert files == {"figures/01.1.png": b"picture"} and page.cells[0].source == "(cell-01-02)="
    assert page.cells[1].outputs[0].data["text/markdown"] == (
        '```{figure} figures/01.1.png\n:alt: "A \\"cat\\": one half. The other half."\n:name: figure-01-1\n\n**Figure 01.1** A "cat": one half.\n```'
    )


def test_a_widget_is_shown_at_rest_above_a_line_that_says_where_it_moves():
    plain = {"text/plain": "interactive(children=(IntSlider(), Output()))"}
    drawn, table, bare = (output(plain | more, {"image/png": {"alt": "A bar"}}) for more in ({"image/png": PNG}, {"text/html": "<table></table>"}, {}))
    page, files = built(nbformat.v4.new_code_cell("x", outputs=[drawn, table, bare]))
    figure, *others = (each.data for each in page.cells[1].outputs)
    moves = {"text/markdown": notebooks.MOVES}
    assert len(files) == 1 and figure["text/markdown"].startswith("```{figure} figures/01.1.png\n") and "minimim lab" in notebooks.MOVES
    assert others == [moves, {"text/html": "<table></table>"}, moves, moves]


def test_a_table_that_does_not_move_stays():
    page, _ = built(nbformat.v4.new_code_cell("x", outputs=[output({"text/html": "<table></table>", "text/plain": "t"})]))
    assert page.cells[1].outputs[0].data["text/html"] == "<table></table>"


def test_an_attached_drawing_becomes_a_figure():
    cell = nbformat.v4.new_markdown_cell("See\n\n![A tube. Two frames.](attachment:ps1.1.png)", attachments={"ps1.1.png": {"image/png": PNG}}, id="ps1-03")
    page, files = built(cell)
    assert page.cells[0].source.startswith("(cell-ps1-03)=\nSee\n\n```{figure} figures/01.1.png\n:alt:") and list(files) == ["figures/01.1.png"]


@pytest.mark.parametrize("words, first", [
    ("One. Two.", "One. Two."), ("A cat here. Another.", "A cat here."), ("P = 0.5 of them. More.", "P = 0.5 of them."), ("No end", "No end"),
])  # fmt: skip
def test_a_caption_is_the_first_sentence(words, first):
    assert notebooks.first_sentence(words) == first
