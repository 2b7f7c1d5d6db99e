"""minimim survey"""

import textwrap
from dataclasses import dataclass, fields

from minimim import survey
from minimim.config import argument, option
from minimim.errors import UserError, unknown
from minimim.survey.taxonomy import BRANCHES, FORERUNNERS, Branch

WIDTH = 110  # of printed lists
SECTION = {name: section for section, name in BRANCHES}
OF_ONE = ("paper", "similar")  # what needs the key of a paper
QUERY = ("masking", "target", "objective", "encoder", "modality", "scheme", "year", "recipe")
USED = {"papers": (*QUERY, "all"), "table": (*QUERY, "protocol"), "similar": ("texts",)}  # the options of each view


@dataclass
class Survey:
    """Ask the field, as arXiv 2408.06687 surveys it: its taxonomy with every paper in its place (tree), papers by what they hide, predict
    and compare (papers), all that is known of one (paper KEY), the papers whose titles are nearest to its title (similar KEY), and those
    results on ImageNet-1K that may be compared (table). KEY is a paper's short name, such as MAE, or its arXiv id."""

    what: tuple[str, ...] = argument("tree, papers, paper KEY, similar KEY or table")
    masking: str = option("", "papers that hide so, such as random, block, attention or learned")
    target: str = option("", "papers that predict this, such as pixels, tokens, hog, features or latents")
    objective: str = option("", "papers that compare so, such as regression, classification or contrastive")
    encoder: str = option("", "papers with this encoder, such as vit, swin or convnet")
    modality: str = option("", "papers on this, such as image, video, medical or points")
    scheme: str = option("", "reconstruction, contrastive, both or other")
    year: int | None = option(None, "papers of this year")
    recipe: str = option("", "the papers that a method of this library implements, such as mae")
    all: bool = option(False, "papers outside the survey too")
    protocol: str = option("fine-tuned", "results of this protocol: fine-tuned, linear, knn or attentive")
    texts: str = option("titles", "titles, keywords, or a file with a text for each paper: its key, a tab, and its abstract")

    def run(self) -> int:
        """Print what was asked for."""
        views = {"tree": tree, "papers": self.papers, "paper": card, "similar": self.similar, "table": self.table}
        what, key = self.what[0], " ".join(self.what[1:])
        if what not in views:
            raise unknown("view of the survey", what, views)
        if what in OF_ONE and not key:
            raise UserError(f"survey {what} needs the short name of a paper, such as minimim survey {what} MAE")
        if what not in OF_ONE and key:
            raise UserError(f"survey {what} takes no name, but there is '{key}': survey paper {key} tells of one paper")
        self.refuse_idle(what)
        print(views[what](key) if key else views[what]())
        return 0

    def refuse_idle(self, what: str) -> None:
        """Raise UserError for an option that would be ignored."""
        for field in fields(self)[1:]:
            if field.name not in USED.get(what, ()) and getattr(self, field.name) != field.default:
                places = [view for view, used in USED.items() if field.name in used]
                raise UserError(
                    f"--{field.name} has no effect on survey {what}: leave it out, or ask for survey {' or '.join(places)}"
                )

    def query(self) -> dict:
        """What the options ask of papers."""
        return {name: value for name in QUERY if (value := getattr(self, name))}

    def papers(self) -> str:
        """A line for each paper that was asked for."""
        found = survey.papers(**self.query(), **({} if self.all or self.recipe else {"in_survey": True}))
        lines = [line(one) for one in found]
        where = "of the catalogue" if self.all or self.recipe else "of the survey (--all adds those outside it)"
        return "\n".join([*lines, f"{counted(len(found), 'paper')} {where}; minimim survey paper KEY tells more"])

    def similar(self, key: str) -> str:
        """The papers whose texts are nearest to one's, nearest first."""
        from minimim.survey.clustering import similar  # needs scikit-learn only where it is used

        one = survey.paper(key)
        lines = [f"{one.key}: {one.title}", f"nearest by the TF-IDF of their {self.texts}, with the cosine similarity:"]
        return "\n".join([*lines, *(f"  {value:.2f} {line(other)}" for other, value in similar(key, texts=self.texts))])

    def table(self) -> str:
        """Results on ImageNet-1K of one protocol and encoder, best first, each with what the paper chose and where the number was read."""
        from minimim.survey.results import comparable, results

        asked = {one.key for one in survey.papers(**self.query())}
        found = [one for one in comparable(protocol=self.protocol) if one.key in asked]
        told = sum(one.key in asked for one in results(protocol=self.protocol))
        lines = [f"ImageNet-1K, {self.protocol}: ViT-B/16, 224 pixels, 300 to 1600 epochs, no extra data or teacher", ""]
        lines += (
            [f"{'method':16} {'top-1':>5} {'epochs':>6} {'year':>5}  {'hides':24} {'predicts':24} {'compares':24} source"]
            if found
            else []
        )
        for one in found:
            chosen = survey.paper(one.key)
            choices = (", ".join(getattr(chosen, f"{axis}_facets")) for axis in ("masking", "target", "objective"))
            row = f"{one.name:16} {one.accuracy:5.1f} {one.epochs or '':6} {one.year:5}  {' '.join(f'{choice:24}' for choice in choices)} {one.source}"
            lines.append(row)
        lines += [
            "",
            f"{len(found)} of {counted(told, 'number')} of this protocol; the others differ in encoder, epochs, data or who ran them, or are further runs of these methods",
        ]
        return "\n".join(lines)


def tree() -> str:
    """The survey's tree, with the keys of the papers of each branch."""
    root = survey.taxonomy()
    lines = [f"{root.name}: {counted(len(root.walk()), 'paper')}"]
    for group in root.children:
        last = group is root.children[-1]
        lines.append(f"{'└' if last else '├'}─ {group.name} ({len(group.walk())})")
        side = "   " if last else "│  "
        for branch in group.children or [group]:
            if group.children:
                lines.append(f"{side}{'└' if branch is group.children[-1] else '├'}─ {heading(branch)}")
            inner = side + ("   " if not group.children or branch is group.children[-1] else "│  ")
            lines += textwrap.wrap(
                ", ".join(starred(one) for one in branch.papers), WIDTH, initial_indent=inner, subsequent_indent=inner
            )
    return "\n".join([*lines, "* this library implements it; minimim survey paper KEY tells more"])


def heading(branch: Branch) -> str:
    """The name of a branch, with its section and its number of papers."""
    return f"{f'§{branch.section} ' if branch.section else ''}{branch.name} ({len(branch.papers)})"


def starred(one: survey.Paper) -> str:
    """The key of a paper, with a star if a method of this library implements it."""
    return one.key + ("*" if one.recipes else "")


def line(one: survey.Paper) -> str:
    """A paper on one line."""
    return f"{one.key:20} {one.year} {one.title}"


def card(key: str) -> str:
    """All that is known of one paper."""
    one = survey.paper(key)
    title = one.title if one.title.lower().startswith(one.key.lower()) else f"{one.key}: {one.title}"
    lines = [title, f"  {', '.join(filter(None, (one.first_author, one.venue, str(one.year))))}"]
    lines += [f"  {name}: {text}" for name, text in told(one).items() if text]
    return "\n".join(lines)


def told(one: survey.Paper) -> dict[str, str]:
    """What a card says of a paper, by name; what was not verified is marked."""
    facts = {"arXiv": one.arxiv_id, "in the taxonomy": place(one), "scheme": marked(one, "scheme")}
    for name, axis in (
        ("hides", "masking"),
        ("predicts", "target"),
        ("encoder", "encoder"),
        ("decoder", "decoder"),
        ("compares", "objective"),
    ):
        words = ", ".join(getattr(one, f"{axis}_facets", ()))
        facts[name] = marked(one, axis) + (f" [{words}]" if words else "")
    facts["on"] = one.modality
    scores = {"fine-tuned": one.finetuned, "linear": one.linear, "epochs": one.epochs}
    facts["ImageNet-1K, ViT-B/16"] = ", ".join(f"{name} {value}" for name, value in scores.items() if value is not None)
    facts["other numbers"] = one.numbers
    facts["in this library"] = ", ".join(f"{name} (minimim methods --card {name})" for name in one.recipes)
    return facts | {"code": one.code, "read in": one.source}


def place(one: survey.Paper) -> str:
    """Where a paper stands in the survey."""
    if not one.in_survey:
        return "outside the survey"
    if not one.branch:
        return FORERUNNERS
    section = SECTION[one.branch]
    elsewhere = f", and told of in §{one.section}" if one.section not in ("", section) else ""
    return f"{f'§{section} ' if section else ''}{one.branch}{elsewhere}"


def marked(one: survey.Paper, name: str) -> str:
    """A field of a paper, with a mark where it was not verified."""
    text = getattr(one, name)
    return f"{text} (not verified)" if text and name in one.unverified else text


def counted(number: int, noun: str) -> str:
    """A number with its noun: 1 paper, 2 papers."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
