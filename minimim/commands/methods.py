"""minimim methods"""

from dataclasses import dataclass

from minimim.config import option
from minimim.losses.term import loss_name
from minimim.methods import RECIPES, SECTIONS, Method, create, names, options
from minimim.survey import papers


@dataclass
class Methods:
    """List the methods as the survey sorts them: the tree of its sections, each with the methods of this library."""

    card: str = option("", "the name of a method: print its paper, its five choices, what differs from the paper, and its options")

    def run(self) -> int:
        """Print the tree, or one card."""
        print(card(self.card) if self.card else tree())
        return 0


def tree() -> str:
    """Every method under its section of the survey, with the first words of what it is."""
    lines = ["Masked Image Modeling, as arXiv 2408.06687 sorts it"]
    sections = [section for section in SECTIONS if any(RECIPES[name].section == section for name in names())]
    for section in sections:
        last = section == sections[-1]
        number = "" if section == "beyond" else f"§{section} "
        lines.append(f"{'└' if last else '├'}─ {number}{SECTIONS[section]}")
        members = [name for name in names() if RECIPES[name].section == section]
        for name in members:
            lines.append(f"{' ' if last else '│'}  {'└' if name == members[-1] else '├'}─ {name:11} {headline(name)}")
    lines.append("minimim methods --card NAME tells more; minimim pretrain --method NAME trains it")
    return "\n".join(lines)


def headline(name: str) -> str:
    """The title, authors and paper of a method, from the beginning of its docstring."""
    before, paper, _ = " ".join(RECIPES[name].__doc__.split()).partition(RECIPES[name].paper)
    return f"{before}{paper})"


def card(name: str) -> str:
    """All about one method. Raises UserError for an unknown one."""
    told = options(name)
    method = create(name)
    where = SECTIONS[RECIPES[name].section]
    place = where if RECIPES[name].section == "beyond" else f"§{RECIPES[name].section} {where}"
    lines = [f"{name}: {' '.join(RECIPES[name].__doc__.partition(chr(10) * 2)[0].split())}", f"  place: {place}", f"  paper: {written(name)}", *choices(method)]
    rest = RECIPES[name].__doc__.partition("\n\n")[2]
    lines += ["", *(line.strip() for line in rest.strip().splitlines())] if rest.strip() else []
    return "\n".join([*lines, "", "options: " + ", ".join(f"{option}={value}" for option, value in told.items())])


def written(name: str) -> str:
    """The papers of the catalogue that a method implements; a method of your own may have none."""
    found = [one.key for one in papers() if name in one.recipes]
    return ", ".join(f"minimim survey paper {key}" for key in found) or "not in the catalogue of papers"


def choices(method: Method) -> list[str]:
    """The five choices of a method, and its teacher, a line each."""
    terms = [f"{term.name or term.stream}: {term.weight:g} × {loss_name(term.loss)}" for term in method.terms]
    made = {
        "what is hidden": type(method.masking).__name__,
        "which encoder": type(method.encoder).__name__,
        "what is predicted": "nothing" if method.target is None else type(method.target).__name__,
        "by which head": type(method.decoder).__name__,
        "how it is compared": "; ".join(terms),
        "teacher": "none" if method.teacher is None else type(method.teacher).__name__,
        "needs": ", ".join(("images", *(f"{name}s" for name in method.needs))),
    }
    return [f"  {what}: {which}" for what, which in made.items()]
