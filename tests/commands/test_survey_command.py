"""minimim survey prints at a terminal what minimim.survey knows."""

import re

import pytest

from minimim import survey
from minimim.cli import main
from minimim.commands.survey import card
from minimim.survey.taxonomy import BRANCHES


def ask(capsys, *arguments):
    """Exit code, and what was printed to either side."""
    code = main(["survey", *map(str, arguments)])
    told = capsys.readouterr()
    return code, told.out, told.err


def printed(text):
    """The keys at the beginning of lines."""
    return [line.split()[0] for line in text.splitlines()[:-1]]


def test_the_tree_has_every_branch_with_every_paper_and_stars_what_is_built(capsys):
    code, told, _ = ask(capsys, "tree")
    assert code == 0 and "194 papers" in told
    for section, name in BRANCHES:
        assert re.search(rf"─ {f'§{section} ' if section else ''}{name} \(\d+\)\n", told), name
    names = re.findall(r"[^\s,│├└─]+", told)
    for one in survey.taxonomy().walk():
        assert one.key + "*" * bool(one.recipes) in names, one.key
    assert max(map(len, told.splitlines())) <= 110


def test_papers_are_listed_as_they_are_asked_for(capsys):
    code, told, _ = ask(capsys, "papers", "--masking", "learned", "--year", 2023)
    assert code == 0 and printed(told) == [one.key for one in survey.papers(masking="learned", year=2023, in_survey=True)]
    _, told, _ = ask(capsys, "papers", "--masking", "learned", "--year", 2023, "--all")
    assert printed(told) == [one.key for one in survey.papers(masking="learned", year=2023)] and "AutoMAE" in told
    _, told, _ = ask(capsys, "papers", "--recipe", "ijepa")  # outside the survey, but asked for by name
    assert printed(told) == ["I-JEPA"] and "1 paper of the catalogue" in told
    _, told, _ = ask(capsys, "papers", "--target", "hog", "--objective", "adversarial")
    assert told.startswith("0 papers of the survey")


def test_a_card_tells_what_is_known_of_any_paper(capsys):
    code, told, _ = ask(capsys, "paper", "mae")
    assert code == 0 and told == card("MAE") + "\n"
    for one in survey.papers():
        told = card(one.key)
        assert one.title in told and f"read in: {one.source}" in told and one.arxiv_id in told
        doubtful = {*one.unverified} & {"scheme", "masking", "target", "encoder", "decoder", "objective"}
        assert told.count("(not verified)") == len(doubtful), one.key
        assert ("outside the survey" in told) != one.in_survey and all(f"--card {name}" in told for name in one.recipes)


def test_a_card_says_where_text_and_list_disagree(capsys):
    assert "§3.14 model architecture and target features, and told of in §3.2" in ask(capsys, "paper", "MaskFeat")[1]
    assert "§3.1 masking strategy\n" in ask(capsys, "paper", "2111.06377")[1]


def test_a_method_names_its_paper_and_the_paper_its_method(capsys):
    for name in ("mae", "maegan", "capi"):
        assert main(["methods", "--card", name]) == 0
        (key,) = re.findall(r"  paper: minimim survey paper (\S+)\n", capsys.readouterr().out)
        assert f"in this library: {name} (minimim methods --card {name})" in ask(capsys, "paper", key)[1]


def test_similar_papers_are_those_of_the_clustering(capsys, tmp_path):
    from minimim.survey.clustering import similar

    code, told, _ = ask(capsys, "similar", "VideoMAE")
    assert code == 0 and [line.split()[1] for line in told.splitlines()[2:]] == [one.key for one, _ in similar("VideoMAE")]
    texts = tmp_path / "abstracts.txt"
    texts.write_text("VideoMAE\tzebras zebras zebras\nMAE\tzebras zebras\n")
    _, told, _ = ask(capsys, "similar", "VideoMAE", "--texts", texts)
    assert told.splitlines()[2].split()[1] == "MAE" and str(texts) in told


def test_the_table_holds_what_may_be_compared_best_first(capsys):
    from minimim.survey.results import comparable

    for protocol in ("fine-tuned", "linear"):
        code, told, _ = ask(capsys, "table", "--protocol", protocol)
        rows = [line for line in told.splitlines()[3:-2] if line]
        assert code == 0 and len(rows) == len(comparable(protocol=protocol)) > 4
        scores = [float(re.search(r" (\d\d\.\d) ", row)[1]) for row in rows]
        assert scores == sorted(scores, reverse=True)
    _, told, _ = ask(capsys, "table", "--masking", "frequency")
    assert [line.split()[0] for line in told.splitlines()[3:-2] if line] == ["MFM"]
    _, told, _ = ask(capsys, "table", "--target", "audio")
    assert "top-1" not in told and "0 of 0 numbers" in told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("trea",), "unknown view of the survey 'trea': did you mean 'tree'?"),
        (("paper",), "survey paper needs the short name of a paper, such as minimim survey paper MAE"),
        (("similar",), "survey similar needs the short name"),
        (("paper", "MEA"), "unknown paper 'MEA'"),
        (("papers", "MAE"), "survey papers takes no name, but there is 'MAE': survey paper MAE tells of one paper"),
        (("tree", "--year", "2023"), "--year has no effect on survey tree: leave it out, or ask for survey papers or table"),
        (("papers", "--texts", "keywords"), "--texts has no effect on survey papers: leave it out, or ask for survey similar"),
        (("papers", "--masking", "learnt"), "did you mean 'learned'?"),
        (("table", "--protocol", "lineal"), "did you mean 'linear'?"),
        (("similar", "MAE", "--texts", "nowhere.txt"), "nowhere.txt"),
    ],
)
def test_a_mistake_gets_one_sentence(capsys, arguments, words):
    code, told, wrong = ask(capsys, *arguments)
    assert code == 2 and not told and words in wrong and len(wrong.splitlines()) == 1
