"""A sentence for each scene, made from its truth."""

import torch
from torch import Tensor

NOUNS = {"trouser": "pair of trousers"}  # where the class name does not read as a noun


def caption(truth: dict, size: tuple[int, int], classes, tints) -> str:
    """One scene in words, nearest object first: "a small red sneaker at the top left, in front of a large blue coat …"."""
    order = range(truth["count"] - 1, -1, -1)  # objects are listed from the farthest to the nearest
    return ", in front of ".join(describe(truth, k, size, classes, tints) for k in order)


def describe(truth: dict, k: int, size, classes, tints) -> str:
    """One object: its size, colour, class and place."""
    share = truth["size"][k] / min(size)
    large = "small" if share < 0.45 else "large" if share > 0.8 else "mid-sized"
    x0, y0, x1, y1 = truth["box"][k]
    column = ("left", "", "right")[min(2, 3 * (x0 + x1) // (2 * size[1]))]
    row = ("top", "", "bottom")[min(2, 3 * (y0 + y1) // (2 * size[0]))]
    place = f"at the {' '.join(filter(None, (row, column)))}" if row or column else "in the centre"
    name = classes[truth["class"][k]]
    return f"a {large} {tints[truth['tint'][k]]} {NOUNS.get(name, name)} {place}"


LENGTH = 16  # words that are read of a caption
WORDS = ["a", "small", "mid-sized", "large", "red", "orange", "yellow", "green", "teal", "blue", "purple", "pink", "at", "the", "top", "bottom", "left", "right", "in", "centre", "front", "of", "pair", "trousers", "t-shirt", "top", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle", "boot"]
VOCABULARY = {word: number for number, word in enumerate(dict.fromkeys(WORDS), start=2)}  # 0 = no word, 1 = a word of no scene


def encode(sentences: list[str], length: int = LENGTH) -> Tensor:
    """Sentences as ids of words, int64 (n, length): cut at the end or filled with 0."""
    ids = torch.zeros(len(sentences), length, dtype=torch.int64)
    for row, sentence in zip(ids, sentences, strict=True):
        words = sentence.lower().replace(",", " ").replace("/", " ").split()[:length]
        row[: len(words)] = torch.tensor([VOCABULARY.get(word, 1) for word in words], dtype=torch.int64)
    return ids
