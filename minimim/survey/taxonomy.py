"""The survey's taxonomy (arXiv 2408.06687v3, §3, its figure 4) as a tree, with every paper of the survey in its place.

There are six directions in which a paper can contribute (minimim.survey.definitions). A paper that contributes in one stands in §3.1 to
§3.6, and one that contributes in several stands in the branch that names them all, in §3.7 to §3.18. Where the survey's text and the
list of its authors (github.com/vladhondru25/MIM-Survey) place a paper differently, the tree follows the list, and `Paper.section` says
where the text tells of it.
"""

from dataclasses import dataclass

from minimim.errors import UserError
from minimim.survey.catalogue import Paper, papers

BRANCHES: tuple[
    tuple[str, str], ...
] = (  # (section, name), in the survey's order; §3.15 has two, and the last is in the list alone
    ("3.1", "masking strategy"),
    ("3.2", "target features"),
    ("3.3", "objective function"),
    ("3.4", "downstream task"),
    ("3.5", "theoretical analysis"),
    ("3.6", "model architecture"),
    ("3.7", "target features and objective function"),
    ("3.8", "model architecture and objective function"),
    ("3.9", "masking strategy and target features"),
    ("3.10", "masking strategy and model architecture"),
    ("3.11", "masking strategy and objective function"),
    ("3.12", "masking strategy and downstream task"),
    ("3.13", "target features and downstream task"),
    ("3.14", "model architecture and target features"),
    ("3.15", "objective function and theoretical analysis"),
    ("3.15", "downstream task and theoretical analysis"),
    ("3.16", "masking strategy, model architecture and objective function"),
    ("3.17", "masking strategy, target features and objective function"),
    ("3.18", "masking strategy, model architecture, downstream task and objective function"),
    ("", "downstream task, objective function and model architecture"),
)
WORDS = {  # direction → how a branch's name says it
    "masking": "masking strategy",
    "target": "target features",
    "objective": "objective function",
    "architecture": "model architecture",
    "task": "downstream task",
    "theory": "theoretical analysis",
}
FORERUNNERS = "named as forerunners in the introduction"
GROUPS = {1: "one contribution", 2: "two contributions", 3: "three or four contributions"}


@dataclass(frozen=True)
class Branch:
    """A node of the tree: a group of branches, or a branch with its papers."""

    name: str
    section: str = ""  # of the survey, "3.7"; empty where it has none
    papers: tuple[Paper, ...] = ()
    children: tuple["Branch", ...] = ()

    def walk(self) -> list[Paper]:
        """All papers of this node and of those below it, in the order of the tree."""
        return [*self.papers, *(one for child in self.children for one in child.walk())]


def taxonomy() -> Branch:
    """The survey's tree: its root, whose children are the branches by their number of contributions, and its forerunners.

    Every paper of the survey (`papers(in_survey=True)`) stands in it once.
    """
    inside = papers(in_survey=True)
    members = {name: tuple(one for one in inside if one.branch == name) for _, name in BRANCHES}
    nodes = [Branch(name, section, members[name]) for section, name in BRANCHES]
    groups = [
        Branch(title, "", (), tuple(n for n in nodes if min(len(named(n.name)), 3) == count))
        for count, title in GROUPS.items()
    ]
    before = Branch(FORERUNNERS, "1", tuple(one for one in inside if not one.branch))
    return Branch("Masked Image Modeling, as arXiv 2408.06687 sorts it", "3", (), (*groups, before))


def directions(paper: Paper) -> dict[str, bool]:
    """The six answers that a paper's branch stands for: {direction: whether the paper contributes in it}.

    Raises UserError for a paper that the survey does not place: those outside it, and its forerunners.
    """
    if not paper.branch:
        raise UserError(
            f"the survey gives {paper.key} no branch of its taxonomy: ask for the directions of a paper that has one"
        )
    return {direction: direction in named(paper.branch) for direction in WORDS}


def named(branch: str) -> list[str]:
    """The directions that the name of a branch names."""
    return [direction for direction, words in WORDS.items() if words in branch]
