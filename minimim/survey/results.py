"""ImageNet-1K results as data: one row a measured number in assets/survey/results.csv, and which of them may be compared.

Numbers of different papers differ in more than the method: size, image size, epochs, protocol, extra data, and who ran it. `comparable`
keeps what is alike in all of these but the last; `differences` names what keeps two numbers apart.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from difflib import get_close_matches
from functools import cache

from minimim.errors import UserError, unknown
from minimim.survey.catalogue import paper
from minimim.survey.tables import read, table

PROTOCOLS = {  # how an encoder was judged
    "fine-tuned": "all weights trained further with labels",
    "linear": "a linear classifier on frozen features",
    "knn": "the nearest neighbours among the frozen features of the training images",
    "attentive": "attention pooling and a linear classifier, both trained, on frozen features",
}
LEVELS = {  # what is predicted, as section 3.2 of the survey divides targets
    "low": "pixels, histograms of gradients, frequencies, tokens of pixels",
    "high": "features of a teacher or tokens that stand for them",
    "both": "low and high",
    "position": "the places of patches",
    "view": "nothing is masked: the embedding of another view, or of the caption",
}
SEEN = {  # how far a number was verified
    "yes": "read in the file that `source` names",
    "second-hand": "read in somebody else's copy of the paper's table",
    "remembered": "known from memory alone; no comparison uses it unless it is asked for",
}


@dataclass(frozen=True)
class Result:
    """One measured number: a row of results.csv. Text that does not apply is empty, and a number that is not known is None."""

    key: str  # the paper's, in the catalogue
    variant: str  # what sets it apart from the method's other runs, such as "block"
    run_by: str  # who trained or measured it again, such as "mmpretrain"; empty for the method's authors
    model: str  # "ViT"
    size: str  # "B"
    patch: int | None  # pixels
    protocol: str  # one of PROTOCOLS
    epochs: int | None  # of pretraining
    image_size: int | None  # pixels, at the evaluation
    accuracy: float  # top-1 on ImageNet-1K's validation images, in per cent
    extra: str  # data, labels or teachers beyond ImageNet-1K's unlabelled images; empty for none
    scheme: str  # reconstruction, contrastive, both or other: the paper's, in the catalogue
    target_level: str  # one of LEVELS
    source: str  # repository:file, page or paper
    year: int  # in which the number was published
    verified: str  # one of SEEN
    unverified: tuple[str, ...]  # other fields of the row that the source does not state

    @property
    def architecture(self) -> str:
        """The whole name of the encoder, such as "ViT-B/16"."""
        return f"{self.model}{f'-{self.size}' if self.size else ''}{f'/{self.patch}' if self.patch else ''}"

    @property
    def name(self) -> str:
        """The method with what sets the run apart, such as "iBOT (block)" or "MAE (by mmpretrain)"."""
        more = ", ".join(word for word in (self.variant, self.run_by and f"by {self.run_by}") if word)
        return f"{self.key} ({more})" if more else self.key


QUERIES = [*(field.name for field in fields(Result)), "architecture"]
RANGES = ("epochs", "image_size", "accuracy", "patch", "year")  # a pair of numbers asks for these and all between


@cache
def rows() -> tuple[Result, ...]:
    """All rows of results.csv. Raises UserError for a row that is not as it should be."""
    return tuple(checked(read(row, Result)) for row in table("results.csv"))


def checked(one: Result) -> Result:
    """The row itself. Raises UserError where it holds what no result can."""
    for field, known in (("protocol", PROTOCOLS), ("target_level", LEVELS), ("verified", SEEN)):
        if getattr(one, field) not in known:
            raise unknown(f"{field} of {one.key} in results.csv:", getattr(one, field), known)
    if not 0 < one.accuracy <= 100:
        raise UserError(f"accuracy of {one.key} in results.csv is in per cent, between 0 and 100, not {one.accuracy}")
    if not one.source:
        raise UserError(
            f"{one.key} in results.csv, {one.accuracy}, has no source: name the file or the page where the number was read"
        )
    paper(one.key)  # UserError for a key that the catalogue does not have
    return one


def results(**query) -> list[Result]:
    """The results of which all of the query is true: `results(protocol="linear", architecture="ViT-B/16", extra=False)`.

    A query names a field of `Result`, or architecture; its value is what the row has, several values such as `key=["MAE", "iBOT"]`, a
    pair (least, most) for a number of RANGES, or True or False for extra (any, none). Raises UserError for a query, or for a text,
    that no row has; a number that no row has finds nothing.
    """
    for field, value in query.items():
        if field not in QUERIES:
            raise unknown("query of results", field, QUERIES)
        if field not in RANGES and not isinstance(value, bool):
            known = {text(have): str(have) for one in rows() for have in wanted(getattr(one, field))}
            for single in wanted(value):
                if text(single) not in known:
                    near = get_close_matches(text(single), known, n=1, cutoff=0.4)
                    hint = f"did you mean {known[near[0]]!r}? " if near else ""
                    raise UserError(
                        f"no result has {field} {single!r}: {hint}Known: {', '.join(sorted(filter(None, known.values())))}"
                    )
    return [one for one in rows() if all(matches(one, field, value) for field, value in query.items())]


def is_range(field: str, value) -> bool:
    """Whether a value of a query is a pair (least, most)."""
    return field in RANGES and isinstance(value, tuple) and len(value) == 2


def wanted(value) -> list:
    """The single values of a query, any of which will do."""
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]


def text(value) -> str:
    """A value in the form in which texts are compared: capitals do not matter."""
    return str(value).lower()


def matches(one: Result, field: str, value) -> bool:
    """Whether a row has what a part of a query asks for."""
    have = getattr(one, field)
    if field == "extra" and isinstance(value, bool):
        return bool(have) == value
    if field == "unverified":
        return set(wanted(value)) <= set(have)
    if is_range(field, value):
        return have is not None and value[0] <= have <= value[1]
    return text(have) in [text(single) for single in wanted(value)]


def comparable(
    *, protocol: str, architecture: str = "ViT-B/16", image_size: int = 224, epochs: tuple[int, int] | None = (300, 1600),
    extra: bool = False, rerun: bool = False, remembered: bool = False, **query,
) -> list[Result]:  # fmt: skip
    """What may be compared: one protocol, architecture and image size, no extra data, epochs within a band; one number a method, best first.

    epochs: (least, most), or None for any, also those not stated. extra: True takes extra data and other teachers in. rerun: True takes
    in what others than the method's authors ran; one such table has all its fine-tuned numbers more than a point below the authors'.
    remembered: True takes in numbers that were read nowhere. query: further fields, as of `results`. Where a method has several numbers,
    its authors' own counts first, then the longest pretraining, then the first in the file: no method is represented by its luckiest run.
    """
    ask = dict(protocol=protocol, architecture=architecture, image_size=image_size, **query)
    ask |= {} if epochs is None else {"epochs": epochs}
    ask |= {} if extra else {"extra": False}
    ask |= {} if rerun else {"run_by": ""}
    ask |= {} if remembered else {"verified": ["yes", "second-hand"]}
    first: dict[str, Result] = {}
    for one in sorted(results(**ask), key=lambda one: (bool(one.run_by), -(one.epochs or 0))):
        first.setdefault(one.key, one)
    return sorted(first.values(), key=lambda one: -one.accuracy)


def differences(a: Result, b: Result, *, band: float = 2.0) -> tuple[str, ...]:
    """The names of the fields that keep two results from being compared as methods; empty where nothing that is known does.

    band: epochs may differ by this factor; epochs that are not stated do not compare.
    """
    apart = [
        field
        for field in ("model", "size", "patch", "image_size", "protocol", "extra")
        if getattr(a, field) != getattr(b, field)
    ]
    if a.epochs is None or b.epochs is None or max(a.epochs, b.epochs) > band * min(a.epochs, b.epochs):
        apart.append("epochs")
    return tuple(apart)


def pairs(x: str, y: str, *, one_each: bool = True, remembered: bool = False, **query) -> list[tuple[Result, Result]]:
    """The same pretraining judged in two ways: pairs (by protocol x, by protocol y) of equal key, variant, run_by, architecture, image
    size, epochs and extra data, in the order of the file.

    one_each: one pair a method, chosen as `comparable` chooses. query: as of `results`, such as architecture="ViT-B/16".
    Raises UserError for an unknown protocol.
    """
    ask = query | ({} if remembered else {"verified": ["yes", "second-hand"]})
    second: dict[tuple, Result] = {}
    for one in results(protocol=y, **ask):
        second.setdefault(run_of(one), one)
    found = [(one, second[run_of(one)]) for one in results(protocol=x, **ask) if run_of(one) in second]
    if not one_each:
        return found
    first: dict[str, tuple[Result, Result]] = {}
    for pair in sorted(found, key=lambda pair: (bool(pair[0].run_by), -(pair[0].epochs or 0))):
        first.setdefault(pair[0].key, pair)
    return [pair for pair in found if pair in first.values()]


def run_of(one: Result) -> tuple:
    """What two results of the same pretraining have in common."""
    return one.key, one.variant, one.run_by, one.architecture, one.image_size, one.epochs, one.extra
