"""The papers of the survey (arXiv 2408.06687) and of the years around it, one row each in assets/survey/papers.csv.

A row holds each choice of a paper twice: as a phrase in our own words (`masking`), for reading, and as facets (`masking_facets`), a few
fixed words, for asking: `papers(masking="learned", year=2023)`. `source` says where the facts of a row were read, and `unverified`
names the fields that were not read in the paper's own text or code.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache

from minimim.errors import UserError, unknown
from minimim.survey.tables import read, table

FACETS: dict[str, dict[str, str]] = {  # axis → the words that a row may use for it, and what each stands for
    "masking": {
        "random": "patches, tokens or points drawn at random, at any ratio",
        "block": "connected rectangles, hidden or (inverse block) kept",
        "tube": "the same places in all frames",
        "frames": "whole frames or views, or other places in each frame",
        "attention": "where a network attends most, or least",
        "learned": "chosen by a network that is trained for it, or by its predicted loss",
        "semantic": "parts, regions, or what a text or another model calls important",
        "motion": "where something moves",
        "gradient": "where the image has strong edges",
        "frequency": "frequencies of the whole image instead of places",
        "noise": "places from filtered noise, or noise in place of hiding",
        "mixing": "places filled with other content, such as another image's",
        "modalities": "different parts of several modalities, or a whole modality",
        "inside": "features or attention within the network instead of the input",
        "none": "nothing is hidden",
    },
    "target": {
        "pixels": "pixels or voxels, raw or normalised",
        "tokens": "discrete tokens of a tokenizer",
        "hog": "histograms of oriented gradients",
        "frequency": "the spectrum, or bands of it",
        "features": "features of a network that is trained already",
        "latents": "features of a teacher or branch that is trained at the same time, or of the network itself",
        "clusters": "assignments to clusters or prototypes",
        "text": "words or text embeddings",
        "shape": "points, surfaces, occupancy and other geometry",
        "depth": "depth maps",
        "motion": "movement or trajectories",
        "audio": "spectrograms",
        "position": "the places of patches",
        "labels": "class labels, pseudo-labels or segmentation maps",
        "other": "signals that occur once, such as fMRI",
        "none": "nothing is predicted",
    },
    "objective": {
        "regression": "a distance, such as l1, l2, cosine or Chamfer",
        "classification": "cross-entropy over tokens, words or classes",
        "contrastive": "identify the right one among others, such as InfoNCE",
        "distillation": "agree with a teacher's distribution or prediction",
        "adversarial": "a second player that works against the first",
        "diffusion": "predict the noise of a diffusion process",
        "likelihood": "likelihood of continuous or compressed values",
        "uniformity": "keep features of different inputs apart, without naming pairs",
        "ranking": "predict which of two is larger",
    },
    "encoder": {
        "vit": "a ViT",
        "swin": "a Swin Transformer",
        "hierarchical": "a transformer with stages, Swin among them",
        "convnet": "a convolutional network, dense or sparse",
        "hybrid": "convolutions (or another sequence model) and a transformer",
        "transformer": "a transformer on tokens, points or other sequences",
        "other": "another network",
    },
    "modality": {
        "image": "images",
        "video": "videos",
        "medical": "medical images",
        "points": "point clouds, meshes and 3D scenes",
        "views": "several cameras",
        "depth": "depth maps beside images",
        "audio": "sound",
        "text": "text beside images or videos",
        "motion": "skeletons or trajectories",
        "other": "signals that occur once, such as network traffic",
    },
}
ASKED = (
    "key",
    "title",
    "first_author",
    "year",
    "venue",
    "arxiv_id",
    "in_survey",
    "listed",
    "section",
    "branch",
    "scheme",
    "recipe",
)


@dataclass(frozen=True)
class Paper:
    """One paper: a row of papers.csv. Text that is not known is empty, and a number that is not known is None."""

    key: str  # its usual short name, as in "MAE"
    title: str
    first_author: str  # family name
    year: int
    venue: str
    arxiv_id: str
    in_survey: bool
    listed: str  # "yes", "text only" (told of but not in the authors' list), "list only", or "no"
    section: str  # of the survey, "3.1", where its text tells of the paper
    branch: str  # of its taxonomy, in the authors' list where that has the paper: minimim.survey.taxonomy
    scheme: str  # reconstruction, contrastive, both or other
    masking: str
    masking_facets: tuple[str, ...]
    target: str
    target_facets: tuple[str, ...]
    encoder: str
    encoder_facets: tuple[str, ...]
    decoder: str
    objective: str
    objective_facets: tuple[str, ...]
    modality: str
    modality_facets: tuple[str, ...]
    finetuned: float | None  # ImageNet-1K top-1 in per cent, ViT-B/16, after fine-tuning
    linear: float | None  # the same by linear probing
    epochs: int | None  # of pretraining, of the fine-tuned number, or of the linear one where it stands alone
    numbers: str  # others, each with its model
    code: str  # where the authors' code is
    recipes: tuple[str, ...]  # the methods of this library that implement it
    source: str
    unverified: tuple[str, ...]  # names of fields


def papers(**query) -> list[Paper]:
    """The papers of which all of the query is true, in the catalogue's order: `papers(masking="learned", target="hog", year=2023)`.

    A query names an axis of `facets()` (masking, target, objective, encoder, modality), whose value is one of its facets, or a field:
    key, title (a part of it), first_author, year, venue, arxiv_id, in_survey (True or False), listed, section, branch, scheme, recipe.
    Several values, such as `year=range(2022, 2024)`, ask for any of them. Capitals do not matter. An empty list means that no such
    paper is known here. Raises UserError for a query or a value that the catalogue does not have.
    """
    for name in query:
        if name not in FACETS and name not in ASKED:
            raise unknown("query of the survey's papers", name, [*FACETS, *ASKED])
    wanted = {name: [checked(name, one) for one in several(value)] for name, value in query.items()}
    return [
        one for one in rows() if all(any(matches(one, name, value) for value in values) for name, values in wanted.items())
    ]


def paper(key: str) -> Paper:
    """One paper by its key, or by its arXiv id. Raises UserError for one that the catalogue does not have."""
    for one in rows():
        if str(key).lower() == one.key.lower() or key == one.arxiv_id != "":
            return one
    raise missing("paper", str(key), [one.key for one in rows()])


def facets() -> dict[str, dict[str, str]]:
    """The axes that papers can be asked by, each with its words and what they stand for: {axis: {facet: meaning}}."""
    return {axis: dict(words) for axis, words in FACETS.items()}


@cache
def rows() -> tuple[Paper, ...]:
    """All rows of papers.csv. Raises UserError for a row that is not as it should be."""
    return tuple(read(row, Paper) for row in table("papers.csv"))


def several(value) -> list:
    """What a query asks for, as a list: one value, or any of several."""
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]


def checked(name: str, value):
    """A value of a query as rows have it. Raises UserError for one that no row can have."""
    if name in FACETS:
        word = str(value).lower()
        if word not in FACETS[name]:
            raise unknown(f"{name} of the survey's papers", str(value), FACETS[name])
        return word
    if name in ("year", "in_survey"):
        kind = int if name == "year" else bool
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise UserError(f"{name} is {'a number, such as 2023' if kind is int else 'True or False'}, not {value!r}")
        return value
    word = str(value).lower()
    known = {text for one in rows() for text in texts(one, name)}
    if name != "title" and word not in {text.lower() for text in known}:
        raise missing(name.replace("_", " "), str(value), known)
    return word


def matches(one: Paper, name: str, value) -> bool:
    """Whether a paper has a checked value."""
    if name in FACETS:
        return value in getattr(one, f"{name}_facets")
    if name in ("year", "in_survey"):
        return getattr(one, name) == value
    if name == "title":
        return value in one.title.lower()
    return value in [text.lower() for text in texts(one, name)]


def texts(one: Paper, name: str) -> tuple[str, ...]:
    """The texts of a paper that a query by a field compares with."""
    return one.recipes if name == "recipe" else (getattr(one, name),)


def missing(kind: str, value: str, known: Iterable[str]) -> UserError:
    """The error for a text that no paper has, with the nearest one; all of them only where they are few."""
    known = sorted(text for text in known if text)
    lower = {text.lower(): text for text in known}
    near = get_close_matches(value.lower(), lower, n=1, cutoff=0.4)
    hint = f"did you mean '{lower[near[0]]}'? " if near else ""
    rest = f"Known: {', '.join(known)}" if len(known) <= 20 else "minimim survey papers lists all papers"
    return UserError(
        f"no paper of the survey lab has {kind} '{value}': {hint}{rest}"
        if kind != "paper"
        else f"unknown paper '{value}': {hint}{rest}"
    )
