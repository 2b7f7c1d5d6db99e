"""Name what is left: masked pictures for a learner to name, beside a machine that gets the same ones."""

from dataclasses import dataclass, field

from torch import Tensor

from minimim.errors import unknown


@dataclass
class Question:
    """One masked picture, uint8 (C, H, W), the name that is right, and the mask that was used: its kind and its ratio."""

    picture: Tensor
    right: str
    kind: str
    ratio: float


@dataclass
class Game:
    """Questions in the order of asking, and the names given so far: answers maps the number of a question to a name."""

    questions: list[Question]
    names: tuple[str, ...]
    answers: dict[int, str] = field(default_factory=dict)

    def answer(self, name: str) -> None:
        """Name the next picture. Raises UserError for a name that is not among the choices."""
        if name not in self.names:
            raise unknown("name", name, self.names)
        if not self.over:
            self.answers[len(self.answers)] = name

    @property
    def over(self) -> bool:
        """Whether every picture has its name."""
        return len(self.answers) == len(self.questions)

    def play(self):
        """The widget: the next picture, ten buttons, and a box that takes the digit of a name as soon as it is typed."""
        import ipywidgets as widgets

        from minimim.show.pictures import png, strip

        image, line = widgets.Image(format="png"), widgets.Label()
        key = widgets.Text(placeholder="type a digit", layout=widgets.Layout(width="8em"))
        buttons = [widgets.Button(description=f"{digit} {name}") for digit, name in enumerate(self.names)]

        def show() -> None:
            number = min(len(self.answers), len(self.questions) - 1)
            image.value = png(strip([self.questions[number].picture[None]]), zoom=8)
            line.value = "done: run the next cells" if self.over else f"picture {number + 1} of {len(self.questions)}"

        def give(name: str) -> None:
            self.answer(name)
            show()

        def typed(change) -> None:
            digit, key.value = change["new"].strip(), ""
            if digit.isdecimal() and int(digit) < len(self.names):
                give(self.names[int(digit)])

        for name, button in zip(self.names, buttons, strict=True):
            button.on_click(lambda _, name=name: give(name))
        key.observe(typed, "value")
        show()
        rows = [widgets.HBox(buttons[start : start + 5]) for start in range(0, len(buttons), 5)]
        return widgets.VBox([line, image, key, *rows])


def score(questions: list[Question], answers: dict[int, str], by: str) -> dict:
    """How many were right among those answered, for each "ratio" or each "kind": value → (right, answered)."""
    tally = {}
    for number, name in answers.items():
        question = questions[number]
        right, asked = tally.get(getattr(question, by), (0, 0))
        tally[getattr(question, by)] = (right + (name == question.right), asked + 1)
    return dict(sorted(tally.items()))
