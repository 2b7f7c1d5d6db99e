"""What all widgets share: a picture with its words that is drawn anew whenever a control moves, and a board of patches to point at."""

import base64
import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from minimim.errors import UserError

try:
    import ipywidgets as widgets
except ImportError as error:
    raise UserError("widgets need ipywidgets, which is not there: pip install 'minimim[lab]'") from error

from minimim.show.widgets.paper import LINE, Paper

WRONG = "#a33c00"  # of a sentence that says what cannot be done, which also begins with a sign
BOARD = 8  # pixels around a board's picture


class Seen(NamedTuple):
    """What a widget shows: the picture, words for those who do not see it, the line below it; and whether that line is a complaint."""

    paper: Paper
    alt: str
    line: str = ""
    photo: bool = False
    wrong: bool = False


class Live(widgets.VBox):
    """A picture that follows its controls. Where no kernel runs, a notebook shows the picture with which it began.

    draw: makes what is to be seen from what the controls say; where it raises UserError, its sentence is shown and the picture
    stays; the first time, it is raised.
    rows: the controls, a list for each row; those in `quiet` change nothing that is seen. over: what lies over the picture, such as a board.
    """

    def __init__(self, draw: Callable[[], Seen], rows: Sequence[Sequence[widgets.Widget]], over: widgets.Widget | None = None, quiet: Sequence[widgets.Widget] = ()):
        self.draw, self.seen, self.waits, self.controls = draw, None, False, controls(rows)
        self.picture, self.line = widgets.HTML(), widgets.HTML()
        self.picture.layout = widgets.Layout(margin="0", overflow="auto hidden")
        stage = self.picture if over is None else stacked(self.picture, over)
        bars = [widgets.HBox(list(row), layout=widgets.Layout(flex_flow="row wrap", align_items="center", overflow="visible")) for row in rows]
        for control in self.controls:
            if control not in quiet and control.has_trait("value"):
                control.observe(self.redraw, "value")
        self.redraw()
        super().__init__([*bars, stage, self.line])

    def redraw(self, _=None) -> None:
        """Draw what the controls say now."""
        if self.waits:
            return
        try:
            self.seen = self.draw()
        except UserError as error:
            if self.seen is None:
                raise
            self.say(str(error), wrong=True)
            return
        image = self.seen.paper.image
        self.kind = "image/jpeg" if self.seen.photo else "image/png"
        self.content = base64.b64encode(self.seen.paper.content(self.seen.photo)).decode()
        # The size is given, so that nothing jumps; decoded at once, so that nothing flickers.
        self.picture.value = (
            f'<img alt="{html.escape(self.seen.alt)}" width="{image.width}" height="{image.height}" decoding="sync" draggable="false" '
            f'style="display:block;max-width:none" src="data:{self.kind};base64,{self.content}">'
        )
        self.say(self.seen.line, self.seen.wrong)

    def move(self, values: Mapping[widgets.Widget, object], options: Mapping[widgets.Widget, list] | None = None) -> None:
        """Give several controls their values, and to some other options first, and draw once."""
        self.waits = True
        for control, given in (options or {}).items():
            control.options = given
        for control, value in values.items():
            control.value = value
        self.waits = False
        self.redraw()

    def say(self, words: str, wrong: bool = False) -> None:
        """Show one line below the picture, which screen readers read aloud; a complaint looks different."""
        style = f' style="color:{WRONG};font-weight:bold"' if wrong else ""
        self.line.value = f'<div role="status"{style}>{"⚠ " * wrong}{html.escape(words)}</div>'

    def _repr_mimebundle_(self, **kwargs):
        still = {self.kind: self.content, "text/plain": f"[{self.seen.alt}]"}
        return (super()._repr_mimebundle_(**kwargs) or {}) | still, {self.kind: {"alt": self.seen.alt}}


def controls(rows: Iterable[widgets.Widget | Iterable]) -> list[widgets.Widget]:
    """The controls in rows and boxes, in the order of Tab."""
    found = []
    for each in rows:
        inside = each.children if isinstance(each, widgets.Box) else None if isinstance(each, widgets.Widget) else each
        found += [each] if inside is None else controls(inside)
    return found


def stacked(below: widgets.Widget, above: widgets.Widget) -> widgets.GridBox:
    """Two widgets in one place."""
    for each in (below, above):
        each.layout.grid_area = "1 / 1 / 2 / 2"
    return widgets.GridBox([below, above], layout=widgets.Layout(grid_template_columns="max-content", justify_items="flex-start", align_items="flex-start", overflow="auto hidden"))


def board(grid: tuple[int, int], side: int, point: Callable[[int, int], None]) -> widgets.GridBox:
    """A clear button over each patch of a picture that is so many pixels wide: point(row, col) is called when one is pressed.

    The mouse has these buttons; they are left out of the order of Tab, where `cursor` does the same with two sliders.
    """
    rows, cols = grid
    cell, clear = widgets.Layout(width=f"{side // cols}px", height=f"{side // rows}px", margin="0", padding="0", border="none"), widgets.ButtonStyle(button_color="transparent")
    buttons = []
    for row in range(rows):
        for col in range(cols):
            button = widgets.Button(tooltip=f"row {row}, column {col}", layout=cell, style=clear, tabbable=False)
            button.on_click(lambda _, row=row, col=col: point(row, col))
            buttons.append(button)
    columns = f"repeat({cols}, {side // cols}px)"
    return widgets.GridBox(buttons, layout=widgets.Layout(grid_template_columns=columns, grid_gap="0", margin=f"{LINE}px 0 0 {BOARD}px", overflow="hidden"))


def cursor(grid: tuple[int, int], row: int, col: int) -> tuple[widgets.IntSlider, widgets.IntSlider]:
    """Two sliders that name a patch."""
    return slider("row", row, 0, grid[0] - 1), slider("column", col, 0, grid[1] - 1)


def slider(description: str, value, low, high, step=None, **more) -> widgets.Widget:
    """A slider of whole numbers, or of others where a step below 1 is given."""
    make = widgets.IntSlider if step is None else widgets.FloatSlider
    return make(value=value, min=low, max=high, **({} if step is None else {"step": step}), description=description, layout=widgets.Layout(width="24em"), **more)


def choice(description: str, options: Iterable, value=None) -> widgets.Dropdown:
    """A list to choose from."""
    options = list(options)
    return widgets.Dropdown(options=options, value=options[0] if value is None else value, description=description, layout=widgets.Layout(width="17em"))
