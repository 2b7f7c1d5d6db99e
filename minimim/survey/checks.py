"""What is wrong with a row of papers.csv, in sentences: for whoever adds a paper (docs/add-a-paper.md), and for the tests."""

import re
from dataclasses import fields

from minimim.survey.catalogue import FACETS, Paper
from minimim.survey.taxonomy import BRANCHES

NEEDED = ("key", "title", "venue", "scheme", "modality", "source")
SCHEMES = ("reconstruction", "contrastive", "both", "other")
LISTED = ("yes", "text only", "list only", "no")
UNSORTED = {("MaskSketch", "objective")}  # it trains nothing: there is no loss to sort


def complaints(one: Paper) -> list[str]:
    """All that is wrong with a row, or missing from it: a sentence each, none if the row is as it should be."""
    told = [f"it has no {name}" for name in NEEDED if not getattr(one, name)]
    told += [*about_the_publication(one), *about_the_survey(one), *about_the_choices(one), *about_the_numbers(one)]
    return [f"{one.key}: {sentence}" for sentence in told]


def about_the_publication(one: Paper) -> list[str]:
    """What is wrong with who, when and where."""
    told = []
    if not one.first_author and one.listed != "list only":  # that list names no authors
        told.append("it has no first_author")
    if not 1980 < one.year < 2100:
        told.append(f"a year such as 2022 is expected, not {one.year}")
    if one.arxiv_id and not re.fullmatch(r"\d{4}\.\d{4,5}", one.arxiv_id):
        told.append(f"an arXiv id is like 2111.06377, not {one.arxiv_id}")
    if one.code and not one.code.startswith("https://"):
        told.append(f"code is an address that starts with https://, not {one.code}")
    for name in ("key", "title", "masking", "target", "objective", "source"):
        if getattr(one, name) != " ".join(getattr(one, name).split()):
            told.append(f"{name} has spaces too many")
    return told


def about_the_survey(one: Paper) -> list[str]:
    """What is wrong with the paper's place in the survey."""
    told = []
    if one.listed not in LISTED:
        told.append(f"listed is {', '.join(LISTED)}, not {one.listed}")
    elif one.in_survey != (one.listed != "no"):
        told.append(
            f"in_survey is {'yes' if one.in_survey else 'no'}, and listed is {one.listed}: both or neither say that the survey has it"
        )
    if not one.in_survey and (one.branch or one.section):
        told.append("a paper outside the survey has no branch and no section of it")
    if one.branch and one.branch not in [name for _, name in BRANCHES]:
        told.append(f"{one.branch} is no branch of the taxonomy: minimim survey tree prints them")
    return told


def about_the_choices(one: Paper) -> list[str]:
    """What is wrong with what the paper hides, predicts, encodes and compares."""
    told = []
    if one.scheme and one.scheme not in SCHEMES:
        told.append(f"scheme is {', '.join(SCHEMES)}, not {one.scheme}")
    for axis, words in FACETS.items():
        chosen = getattr(one, f"{axis}_facets")
        told += [
            f"{facet} is no facet of {axis}: minimim.survey.facets() lists them" for facet in chosen if facet not in words
        ]
        if bool(getattr(one, axis)) != bool(chosen) and (one.key, axis) not in UNSORTED:
            told.append(f"{axis} needs both a phrase and facets, or neither")
    names = {field.name for field in fields(Paper)}
    for name in one.unverified:
        if name not in names or not getattr(one, name):
            told.append(
                f"{name} cannot be unverified, because {'it is empty' if name in names else 'no column has this name'}"
            )
    return told


def about_the_numbers(one: Paper) -> list[str]:
    """What is wrong with the accuracies."""
    told = []
    for name in ("finetuned", "linear"):
        value = getattr(one, name)
        if value is not None and not 20 < value < 95:
            told.append(f"{name} is in per cent, so {value:g} cannot be right")
    if (one.finetuned or one.linear) and not re.search(r"numbers|README", one.source):
        told.append("it has numbers, and source does not say where they were read")
    return told
