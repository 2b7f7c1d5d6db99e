"""What is looked for in the built site is found: dead links, other hosts, missing words, weight, solutions; and equations and icons are made small."""

import pytest

from book import check, icons

GOOD = '<html><body><h1 id="top">A</h1><a href="sub/b.html#there">b</a><a href="#top">up</a><a href="https://arxiv.org/abs/1">c</a><img src="p.png" alt="a cat"></body></html>'
B = '<html><head><script src="../s.js"></script><link rel="stylesheet" href="../s.css"></head><body><p id="there">b</p></body></html>'


def site(folder, a=GOOD, b=B, size=10):
    (folder / "sub").mkdir()
    (folder / "a.html").write_text(a)
    (folder / "sub/b.html").write_text(b)
    for name in ("p.png", "s.js", "s.css"):
        (folder / name).write_bytes(b"x" * size)
    (folder / "_static").mkdir()
    (folder / "_static/macros.html").write_text('<a href="{{ nowhere }}">template</a>')
    return folder


def faults(folder):
    return check.faults(folder, check.pages_of(folder))


def test_a_good_site_has_no_fault_and_its_weight_is_told(tmp_path, capsys):
    assert faults(site(tmp_path)) == [] and check.main(tmp_path) == 0
    assert "2 pages; the heaviest, a.html, weighs 0.00 MB" in capsys.readouterr().out


@pytest.mark.parametrize("good, wrong, fault", [
    ("sub/b.html#there", "sub/c.html", "a dead link to sub/c.html"),
    ("#there", "#nowhere", "and there is no such place"),
    ('"#top"', '"#bottom"', "a link to #bottom, and there is no such place"),
    ("p.png", "q.png", "a dead link to q.png"),
    ("p.png", "https://elsewhere.org/p.png", "loads https://elsewhere.org/p.png from another host"),
    ("https://arxiv.org/abs/1", "file:///home/me/a.html", "file:///home/me/a.html"),
    ("p.png", "//elsewhere.org/p.png", "loads //elsewhere.org/p.png from another host"),
    (' alt="a cat"', "", "a picture without alternative text: p.png"),
])  # fmt: skip
def test_a_fault_of_a_page_is_named(tmp_path, good, wrong, fault):
    assert good in GOOD
    (found,) = faults(site(tmp_path, GOOD.replace(good, wrong)))
    assert found.startswith("a.html: ") and fault in found


@pytest.mark.parametrize("loaded", ['<script src="https://cdn.org/x.js"></script>', '<link rel="stylesheet" href="https://cdn.org/x.css">', '<link rel="preconnect" href="https://cdn.org">'])
def test_a_script_or_a_style_of_another_host_is_found(tmp_path, loaded):
    assert any("from another host" in fault for fault in faults(site(tmp_path, b=B.replace("</head>", f"{loaded}</head>"))))


def test_a_page_above_two_megabytes_is_found_by_all_that_it_loads(tmp_path):
    assert faults(site(tmp_path, size=1_050_000)) == ["sub/b.html: 2.10 MB with its pictures and scripts, above 2 MB"]


def test_a_line_of_a_solution_is_found_within_the_marks_of_a_page(tmp_path):
    line = min(line for line in check.secrets() if not set("<>&") & set(line))
    page = f"<p>{line[:10]}<b>{line[10:]}</b></p></body>"
    assert faults(site(tmp_path, b=B.replace("</body>", page))) == [f"sub/b.html: a line of a solution: {line}"]


def test_only_the_icons_that_are_shown_are_kept():
    script = 'var a={"arrow-left":[512,512,[8592],"f060","M9"],"sun":[1,2,["bright"],"f1",["M1","M2"]],moon:[3,4,[],"f2","M3"]},b=1;'
    assert icons.trimmed(script, {"moon"}) == 'var a={moon:[3,4,[],"f2","M3"]},b=1;'
    assert icons.trimmed(script, {"bright"}) == 'var a={"sun":[1,2,["bright"],"f1",["M1","M2"]]},b=1;'
    assert icons.trimmed(script, {"sun", "moon", "arrow-left"}) == script


def test_icons_are_asked_for_by_pages_and_scripts(tmp_path):
    (tmp_path / "_static/scripts").mkdir(parents=True)
    (tmp_path / "a.html").write_text('<i class="fa-solid fa-bars"></i>')
    (tmp_path / "_static/scripts/sphinx-book-theme.js").write_text('x.classList.add("fa-moon")')
    assert icons.used(tmp_path) == {"solid", "bars", "moon"}
