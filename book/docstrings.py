"""The house's docstrings as Markdown: plain text with shapes such as (B, N, D), and what each name is, in sentences `name: what it is.`

Shapes become code, ids of papers become links, and the names that a function or class takes become a list.
"""

import inspect
import re
from collections.abc import Collection

SHAPE = re.compile(r"(?<![\w`])\((?:V, )?(?:[A-Z1…n]|[A-Z]\w? of all|of all)(?:[ ·×][\w·×−+ -]+?)?(?:(?:, [\w…·×/²−+ ]+)+|,)\)(?!`)")
PAPER = re.compile(r"(arXiv )?\b(\d{4}\.\d{5})(v\d)?\b")
CODE = re.compile(r"(`[^`\n]+`)")
SPECIAL = re.compile(r"([\\*_\[\]<>$#{}])")


def inline(words: str) -> str:
    """A line of a docstring: its code stays, shapes become code, papers become links, all else is plain text."""
    parts = []
    for n, part in enumerate(CODE.split(words)):
        if n % 2:
            parts.append(part)
            continue
        shapes = [f"`{shape[0]}`" for shape in SHAPE.finditer(part)]
        between = [plain(piece) for piece in SHAPE.split(part)]
        parts += [piece + shape for piece, shape in zip(between, [*shapes, ""], strict=True)]
    return "".join(parts)


def plain(words: str) -> str:
    """Text in which nothing is Markdown but the links to papers."""
    return PAPER.sub(r"[\g<0>](https://arxiv.org/abs/\2)", escaped(words))


def escaped(words: str) -> str:
    """Text in which nothing is Markdown."""
    return SPECIAL.sub(r"\\\1", words)


def markdown(docstring: str | None, names: Collection[str] = ()) -> str:
    """A docstring in Markdown. names: what the function or class takes; a sentence `name: …` about one of them becomes an item of a list."""
    blocks = re.split(r"\n{2,}", inspect.cleandoc(docstring or "").replace("\t", "    "))
    return "\n\n".join(filter(None, (block_of(block, names) for block in blocks)))


def block_of(block: str, names: Collection[str]) -> str:
    """A paragraph: text, a list of names, or what is set off by four spaces, which stays as it is."""
    if re.match(r" {4}", block):
        return "```text\n" + inspect.cleandoc(block) + "\n```"
    text = " ".join(block.split("\n")) if not re.search(r"^- ", block, re.MULTILINE) else block
    if not names:
        return inline(text)
    one = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    start = re.compile(rf"(?:^|(?<=[.;:)] ))((?:{one})(?:(?:, | and )(?:{one}))*): ")
    pieces = start.split(text)
    before, found = pieces[0].strip(), list(zip(pieces[1::2], pieces[2::2], strict=True))
    items, after = [], ""
    for name, what in found:
        what, cut, rest = what.partition(" Raises ") if name == found[-1][0] else (what, "", "")
        after = cut.strip() + " " + rest if cut else after
        items.append(f"- **{escaped(name)}**: {inline(what.strip().rstrip(';'))}")
    return "\n\n".join(filter(None, (inline(before), "\n".join(items), inline(after.strip()))))
