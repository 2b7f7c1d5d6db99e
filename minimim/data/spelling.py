"""Names of folders: which of them name a part of a set, and which look alike to a reader without being the same."""

import re
from collections import defaultdict
from collections.abc import Iterable
from unicodedata import category, normalize

PARTS = {
    "train": {"train", "training", "trn", "trainval"},
    "val": {"val", "valid", "validation", "validate", "validating", "dev", "devel", "development", "eval", "evaluation", "holdout", "heldout"},
    "test": {"test", "tests", "testing", "tst"},
}
JOINED = r"(sets?|data|images?|imgs?|pictures?|pics|split|part|(19|20)\d\d)+"  # as in test_set, images_train, val2017


def part_of(name: str) -> str | None:
    """The part of a set that a folder's name stands for, "train", "val" or "test", in any case and with what is often joined
    to it ("Training_Set", "VAL2017"); None for any other name."""
    plain = re.sub(r"[\W_]", "", normalize("NFKC", name).casefold())
    plain = re.sub(f"^{JOINED}|{JOINED}$", "", plain)
    return next((part for part, words in PARTS.items() if plain in words), None)


def parts_among(names: Iterable[str]) -> dict[str, str]:
    """Those of some folders' names that stand for a part of a set, and for which.

    Where there are not two parts among them by `part_of`, names that differ in the part's word alone count as well, as
    "seg_train" and "seg_test", or "trainA" and "testA".
    """
    names = list(names)
    known = {name: part_of(name) for name in names if part_of(name)}
    if "train" in known.values() and len(set(known.values())) > 1:
        return known
    split = {name: found for name in names if (found := part_within(name))}
    rests = {rest for part, rest in split.values() if part == "train"} & {rest for part, rest in split.values() if part != "train"}
    return {name: part for name, (part, rest) in split.items() if rest in rests} or known


def part_within(name: str) -> tuple[str, str] | None:
    """The part that one of the words in a name stands for, and its other words: "seg_train" → ("train", "seg")."""
    words = [word.casefold() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", normalize("NFKC", name))]
    told = [(part, word) for word in words for part in PARTS if word in PARTS[part]]
    if len(told) != 1:
        return None
    words.remove(told[0][1])
    return told[0][0], " ".join(words)


def class_name(folder: str) -> str:
    """The name of the class in a folder: letters with accents in one piece (NFC), since disks differ in how they keep them."""
    return normalize("NFC", folder)


def looks(name: str) -> str:
    """What a reader sees of a name: without case, blanks, signs of no width, and kinds of the same letter."""
    return "".join(c for c in normalize("NFKC", name).casefold() if not c.isspace() and category(c) != "Cf")


def look_alikes(names: Iterable[str]) -> list[list[str]]:
    """Groups of different names that look alike, each told apart by `spelt`."""
    groups = defaultdict(set)
    for name in names:
        groups[looks(name)].add(name)
    return [[spelt(name) for name in sorted(group)] for group in groups.values() if len(group) > 1]


def spelt(name: str) -> str:
    """A name in quotes, with the code points of what cannot be told by eye: blanks, and all that is not ASCII."""
    points = [f"U+{ord(c):04X}" for c in name if c.isspace() or not c.isascii()]
    return f"'{name}'" + (f" ({' '.join(points)})" if points else "")


def told_apart(names: Iterable[str], among: Iterable[str]) -> list[str]:
    """Names for a message: as they are, or `spelt` beside the names that look like them."""
    among, told = set(among), []
    for name in names:
        others = sorted(other for other in among if other != name and looks(other) == looks(name))
        told.append(f"{spelt(name)}, which is not {' or '.join(map(spelt, others))}" if others else name)
    return told
