"""Papers to be sorted by hand into the survey's six directions: a reader's own labelling, beside those that are stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from minimim.errors import unknown
from minimim.show.charts import Table
from minimim.survey.catalogue import Paper
from minimim.survey.definitions import DEFINITIONS
from minimim.survey.held_out import Labelling


@dataclass
class Sorting:
    """Papers in the order of asking, and the answers so far: {key: {direction: yes or no}}."""

    papers: Sequence[Paper]
    answers: Labelling = field(default_factory=dict)

    def answer(self, *directions: str) -> None:
        """Say in which directions the next paper contributes; in none of the others. Raises UserError for an unknown direction."""
        for name in directions:
            if name not in DEFINITIONS:
                raise unknown("direction", name, DEFINITIONS)
        if not self.over:
            self.answers[self.papers[len(self.answers)].key] = {name: name in directions for name in DEFINITIONS}

    @property
    def over(self) -> bool:
        """Whether every paper has been sorted."""
        return len(self.answers) == len(self.papers)

    def sheet(self) -> Table:
        """All titles with their numbers, for sorting on paper."""
        return Table(("number", "title"), [(n, one.title) for n, one in enumerate(self.papers, 1)])

    def against(self, others: Mapping[str, Labelling]) -> Table:
        """In how many of the sorted papers the reader and each other labelling agree, direction by direction; a dash before all are sorted,
        and papers that the other does not have do not count."""

        def cell(other: Labelling, name: str) -> str:
            both = [key for key in self.answers if key in other]
            if not self.over or not both:
                return "-"
            return f"{sum(self.answers[key][name] == other[key][name] for key in both)} of {len(both)}"

        return Table(("you agree with", *DEFINITIONS), [(who, *(cell(other, name) for name in DEFINITIONS)) for who, other in others.items()])

    def form(self):
        """The widget: the next title, a switch for each direction with its definition, and a button that goes on."""
        import ipywidgets as widgets

        line = widgets.Label()
        switches = {name: widgets.ToggleButton(description=name, tooltip=text) for name, text in DEFINITIONS.items()}
        ready = widgets.Button(description="next", button_style="primary")

        def show() -> None:
            number = len(self.answers)
            line.value = "done: run the next cell" if self.over else f"{number + 1} of {len(self.papers)}: {self.papers[number].title}"
            for switch in switches.values():
                switch.value = False

        def go_on(_) -> None:
            self.answer(*(name for name, switch in switches.items() if switch.value))
            show()

        ready.on_click(go_on)
        show()
        return widgets.VBox([line, widgets.HBox(list(switches.values())[:3]), widgets.HBox(list(switches.values())[3:]), ready])
