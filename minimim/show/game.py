"""Name what is left: masked pictures for a learner to name, beside a machine that gets the same ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from minimim.data.images import Images
from minimim.errors import unknown
from minimim.show.charts import curves
from minimim.show.drawing import Shown
from minimim.show.grids import gallery
from minimim.show.pictures import grey_out


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

    def sheet(self, across: int = 6) -> Shown:
        """All the pictures with their numbers, for a game on paper."""
        numbers = range(1, len(self.questions) + 1)
        starts = range(0, len(self.questions), across)
        rows = {f"{n + 1}-{min(n + across, len(self.questions))}": n for n in starts}
        return gallery(
            {name: torch.stack([q.picture for q in self.questions[n : n + across]]) for name, n in rows.items()},
            under={name: list(numbers)[n : n + across] for name, n in rows.items()},
            alt=f"{len(self.questions)} masked pictures with numbers, each to be named as one of: {', '.join(self.names)}.",
        )

    def against(self, machines: Mapping[str, Mapping[float, tuple[float, float]]]) -> Shown:
        """The accuracy at each mask ratio, of machines and, once the game is over, of who played it.

        machines: {name: {ratio: (accuracy, standard error)}}.
        """
        lines = {name: tuple(zip(*((100 * ratio, *both) for ratio, both in sorted(at.items())), strict=True)) for name, at in machines.items()}
        who = ""
        if self.over:
            mine = score(self.questions, self.answers, "ratio")
            lines[f"you ({min(asked for _, asked in mine.values())} pictures a point)"] = ([100 * ratio for ratio in mine], [right / asked for right, asked in mine.values()])
            who = " Your own line is among them."
        chance = 1 / len(self.names)
        return curves(lines, floors={"chance": chance}, marks=True, ticks=sorted({100 * q.ratio for q in self.questions}), across="hidden patches (%)", up="accuracy ± standard error", alt=f"Accuracy against the mask ratio for {', '.join(machines)}, and chance.{who}")

    def play(self):
        """The widget: the next picture, ten buttons, and a box that takes the digit of a name as soon as it is typed."""
        import ipywidgets as widgets

        from minimim.show.pictures import png, strip

        image, line = widgets.Image(format="png", layout=widgets.Layout(align_self="flex-start")), widgets.Label()  # at its own size, not the page's
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


def deal(images: Images, maskings: Mapping[str, Callable], ratios: Sequence[float], patch_size: int, generator: torch.Generator) -> Game:
    """A game on labelled images in random order: one question an image, the ratios in turns, and the kinds of masks in turns.

    maskings: {kind: what makes a masking of a ratio}. generator: of the order and of the masks.
    """
    settings = [(kind, ratio) for kind in maskings for ratio in ratios]
    grid = tuple(side // patch_size for side in images.images.shape[-2:])
    questions = []
    for n, i in enumerate(torch.randperm(len(images.labels), generator=generator).tolist()):
        kind, ratio = settings[n % len(settings)]
        image = images.images[i : i + 1]
        (mask,) = maskings[kind](ratio)({"image": image}, grid, generator=generator)
        questions.append(Question(grey_out(image, mask.hidden, patch_size)[0], images.classes[images.labels[i]], kind, ratio))
    return Game(questions, images.classes)


def score(questions: list[Question], answers: dict[int, str], by: str) -> dict:
    """How many were right among those answered, for each "ratio" or each "kind": value → (right, answered)."""
    tally = {}
    for number, name in answers.items():
        question = questions[number]
        right, asked = tally.get(getattr(question, by), (0, 0))
        tally[getattr(question, by)] = (right + (name == question.right), asked + 1)
    return dict(sorted(tally.items()))
