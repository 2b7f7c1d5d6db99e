"""What the widgets share: what stays in a notebook, what is drawn when, and how a complaint is shown."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

widgets = pytest.importorskip("ipywidgets")

from minimim import show
from minimim.errors import UserError
from minimim.show.widgets.live import Live, Seen, board, controls, slider
from minimim.show.widgets.paper import Paper, enlarged, hatched

WIDGETS = [name for file, names in show.NAMES.items() if file.startswith("widgets.") for name in names]


def counting():
    """A widget that draws a number, and refuses 3."""
    number = slider("number", 1, 0, 5)

    def draw():
        if number.value == 3:
            raise UserError("3 & <more> cannot be drawn")
        paper = Paper(200, 150)
        paper.words(100, 75, str(number.value), size=40)
        return Seen(paper, f'the "number" {number.value}', f"{number.value} < 6")

    return number, Live(draw, [[number, widgets.VBox([widgets.Text(description="word")])]])


def test_a_notebook_keeps_the_first_picture_with_its_words():
    _, live = counting()
    data, about = live._repr_mimebundle_()
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert picture.size == (200, 150) and about == {"image/png": {"alt": 'the "number" 1'}}
    assert "application/vnd.jupyter.widget-view+json" in data and data["text/plain"] == '[the "number" 1]'


def test_what_is_said_is_text_and_no_markup():
    number, live = counting()
    assert 'alt="the &quot;number&quot; 1"' in live.picture.value and "1 &lt; 6" in live.line.value
    number.value = 3
    assert "3 &amp; &lt;more&gt; cannot be drawn" in live.line.value and 'role="status"' in live.line.value
    assert "1" in live.seen.alt
    number.value = 4
    assert "cannot" not in live.line.value and "4" in live.seen.alt


def test_what_cannot_be_drawn_at_first_is_raised():
    def draw():
        raise UserError("not this one")

    with pytest.raises(UserError, match="not this one"):
        Live(draw, [])


def test_several_controls_move_with_one_drawing():
    number, live = counting()
    word, drawn = live.controls[1], []
    live.draw = lambda: drawn.append((number.value, word.value)) or live.seen
    live.move({number: 2, word: "two"})
    assert drawn == [(2, "two")]


def test_controls_are_found_in_boxes_in_the_order_of_tab():
    a, b, c = (widgets.IntSlider() for _ in range(3))
    assert controls([[a, widgets.VBox([widgets.HBox([b])])], c]) == [a, b, c]


def test_a_board_tells_which_patch_was_pointed_at():
    pointed = []
    each = board((2, 3), 60, lambda row, col: pointed.append((row, col)))
    for button in each.children:
        button.click()
    assert pointed == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert each.children[0].layout.width == "20px" and each.children[0].layout.height == "30px"


def test_hatching_covers_the_hidden_patches_alone():
    picture = torch.full((3, 32, 32), 10, dtype=torch.uint8)
    hidden = torch.tensor([True, False, False, False])
    shown = hatched(picture, hidden, (2, 2))
    assert set(shown[:, :16, :16].unique().tolist()) == {119, 187} and bool((shown[:, 16:] == 10).all() and (shown[:, :16, 16:] == 10).all())


def test_small_pictures_are_enlarged_in_squares_and_grey_ones_get_three_channels():
    picture = torch.arange(4, dtype=torch.uint8).view(1, 2, 2)
    assert torch.equal(enlarged(picture, 4), picture.repeat_interleave(2, 1).repeat_interleave(2, 2).expand(3, -1, -1))
    assert enlarged(torch.zeros(3, 32, 32, dtype=torch.uint8), 100).shape == (3, 100, 100)


def test_pictures_that_overlap_keep_what_is_darker():
    paper = Paper(20, 20)
    dark, pale = (Image.new("RGB", (10, 10), colour) for colour in ("#202020", "#e0e0e0"))
    paper.darken(2, 2, dark)
    paper.darken(5, 5, pale)
    shown = np.asarray(paper.image)[..., 0]
    assert shown[3, 3] == shown[8, 8] == 0x20 and shown[14, 14] == 0xE0 and shown[0, 0] == 255


@pytest.mark.parametrize("name", WIDGETS)
def test_each_widget_fits_a_page_has_words_and_names_its_controls(name):
    live = getattr(show, name)()
    image = live.seen.paper.image
    assert image.width <= 800 and len(live.seen.alt) > 60 and not live.seen.wrong
    assert len(live.seen.paper.content(live.seen.photo)) < 100_000
    named = [control for control in live.controls if not isinstance(control, widgets.HTML)]
    assert all(control.description for control in named) and len({control.description for control in named}) == len(named)
    assert isinstance(getattr(show, name).__doc__, str) and all(getattr(control, "tabbable", None) is None for control in named)


def test_there_are_five():
    assert WIDGETS == ["mask_explorer", "live_fill_in", "attention_lens", "target_gallery", "collapse_theatre"]
