"""The page of methods: the survey's tree, and of every method its five choices, its paper, and what differs from it."""

from book.docstrings import inline, markdown
from minimim.commands.methods import choices, headline
from minimim.methods import RECIPES, SECTIONS, create, names, options

HEAD = """# The tree of methods

Every method is five choices: what is hidden, which encoder, what is predicted, by which head, and how it is compared. The survey
(arXiv [2408.06687](https://arxiv.org/abs/2408.06687)) sorts methods by which of these they change. Each name works as `--method NAME` and as `minimim.methods.create("NAME")`.

"""


def place(section: str) -> str:
    """A section of the survey in words."""
    return SECTIONS[section] if section == "beyond" else f"§{section} {SECTIONS[section]}"


def page() -> str:
    """The tree, each name a link to its card below."""
    sections = [section for section in SECTIONS if any(RECIPES[name].section == section for name in names())]
    tree, cards = "", ""
    for section in sections:
        tree += f"- {place(section)}\n"
        cards += f"## {place(section)}\n\n"
        for name in (name for name in names() if RECIPES[name].section == section):
            tree += f"  - [`{name}`](#method-{name}) {inline(headline(name))}\n"
            cards += card(name)
    return HEAD + tree + "\n" + cards


def card(name: str) -> str:
    """One method: headline, a table of its choices, what its docstring says besides, and its options."""
    lines = [line.strip().partition(": ") for line in choices(create(name))]
    rows = "".join(f"| {what} | {inline(which)} |\n" for what, _, which in lines)
    first, _, rest = RECIPES[name].__doc__.partition("\n\n")
    given = ", ".join(f"`{option}={value}`" for option, value in options(name).items())
    table = f"| choice | made by |\n| --- | --- |\n{rows}"
    return f"(method-{name})=\n### {name}\n\n{markdown(first)}\n\n{table}\n{markdown(rest)}\n\nOptions: {given}\n\n"
