"""The five widgets: each control moved, the picture and its words seen to change with it, and wrong input answered by one sentence."""

import html
import io
import re
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

pytest.importorskip("ipywidgets")

import minimim
from minimim import show
from minimim.errors import UserError
from minimim.masking import Mask
from minimim.show.widgets import explorer, fill, targets, theatre


@pytest.fixture(scope="module")
def method():
    return minimim.load(minimim.bundled("mae-scenes")).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def encoder(method):
    return method.encoder


def by_name(live) -> dict:
    """The controls by what stands beside or on them."""
    return {control.description: control for control in live.controls if getattr(control, "description", "")}


def buttons(live) -> list:
    """The buttons that lie over the picture, in reading order."""
    return list(live.children[-2].children[1].children)


def words(live) -> str:
    """The alternative text that is on the page."""
    return html.unescape(re.search(r'<img alt="([^"]*)"', live.picture.value)[1])


def line(live) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", live.line.value))


def pixels(live) -> np.ndarray:
    return np.asarray(live.seen.paper.image)


def changes(live, act) -> None:
    """What is done changes the picture and its words."""
    before, said = pixels(live).copy(), words(live)
    act()
    assert not np.array_equal(pixels(live), before) and words(live) != said and words(live) == live.seen.alt


def moved(live, name: str, value) -> None:
    changes(live, lambda: setattr(by_name(live)[name], "value", value))


def complains(live, act, match: str) -> None:
    """What is done is answered by one sentence, and what was seen stays."""
    before, said = pixels(live).copy(), words(live)
    act()
    assert re.search(match, line(live)) and line(live).startswith("⚠") and "Traceback" not in live.line.value
    assert np.array_equal(pixels(live), before) and words(live) == said


def given(name: str, content: bytes):
    """What a browser sends of a file."""
    return ({"name": name, "type": "", "size": len(content), "content": memoryview(content), "last_modified": datetime.now(tz=UTC)},)


def a_picture() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.arange(60 * 90 * 3, dtype=np.uint8).reshape(60, 90, 3)).save(file, "PNG")
    return file.getvalue()


def test_the_explorer_hides_by_every_strategy(method):
    live = show.mask_explorer(method)
    seen = {}
    for name in explorer.STRATEGIES:
        by_name(live)["mask"].value = name
        assert name in words(live) and name in line(live) and not live.seen.wrong
        seen[name] = pixels(live).tobytes()
    assert len(set(seen.values())) == len(explorer.STRATEGIES) == 16


def test_the_explorer_has_every_masking_that_needs_no_training():
    from minimim import masking

    made = {type(make(0.75)) for make, _ in explorer.STRATEGIES.values()}
    others = {masking.AdversarialMasking, masking.FirstViewsMasking, masking.NoMasking, masking.PartlyAskedMasking, masking.VariableMasking, Mask}
    every = {each for name in masking.__all__ if isinstance(each := getattr(masking, name), type)}
    assert every - others <= made


def test_the_explorer_follows_ratio_draw_and_photograph_and_refuses_all_and_nothing(method):
    live = show.mask_explorer(method)
    assert "147 of 196 patches" in words(live)
    moved(live, "hidden", 0.5)
    assert "98 of 196 patches are hidden" in words(live)
    moved(live, "draw", 3)
    moved(live, "photograph", "cat")
    for ratio in (1.0, 0.0):
        complains(live, lambda ratio=ratio: setattr(by_name(live)["hidden"], "value", ratio), "between 0 and 1")
    moved(live, "hidden", 0.25)
    assert "49 of 196" in line(live)


def test_hidden_patches_are_hatched_and_visible_ones_are_the_photograph():
    photo = torch.randint(0, 256, (3, 224, 224), dtype=torch.uint8)
    hidden = torch.arange(196) % 3 == 0
    shown = np.asarray(explorer.seen("cat", "random", "", photo, hidden, None).paper.image)
    left = shown[24 : 24 + 336, 8 : 8 + 336]
    right = shown[24 : 24 + 336, 352 : 352 + 336]
    for n in (0, 1, 100, 195):
        where = np.s_[n // 14 * 24 : n // 14 * 24 + 24, n % 14 * 24 : n % 14 * 24 + 24]
        assert np.array_equal(left[where], right[where]) != bool(hidden[n])
        if hidden[n]:
            assert set(np.unique(right[where])) == {119, 187}


def test_live_fill_in_follows_ratio_picture_and_frame(method):
    live = show.live_fill_in(method)
    assert "48 of 64 patches are hidden" in line(live)
    moved(live, "hidden", 0.25)
    assert "16 of 64" in line(live)
    moved(live, "picture", "scene 3")
    moved(live, "row", 0)
    moved(live, "column", 7)
    assert "Framed: row 0, column 7" in words(live)
    complains(live, lambda: setattr(by_name(live)["hidden"], "value", 1.0), "between 0 and 1")
    moved(live, "hidden", 0.5)


def test_more_hidden_hides_what_was_hidden(method):
    live = show.live_fill_in(method)

    def visible():
        return {(row, col) for row, some in re.findall(r"row (\d): columns ([\d, ]+)", words(live).partition("Framed")[0]) for col in some.split(", ")}

    few = visible()
    by_name(live)["hidden"].value = 0.25
    assert few < visible()


def test_patches_are_painted_by_mouse_and_by_keyboard_alike(method):
    mouse, keys = show.live_fill_in(method), show.live_fill_in(method)
    changes(mouse, buttons(mouse)[2].click)
    by_name(keys)["row"].value, by_name(keys)["column"].value = 0, 2
    changes(keys, by_name(keys)["hide or show"].click)
    assert words(mouse) == words(keys) and "49 of 64" in line(mouse)
    changes(mouse, buttons(mouse)[2].click)
    assert "48 of 64" in line(mouse) and [button.tabbable for button in buttons(mouse)] == [False] * 64
    assert buttons(mouse)[10].tooltip == "row 1, column 2"


@pytest.mark.parametrize(("brush", "place", "count"), [(1, 27, 1), (2, 27, 4), (3, 27, 9), (3, 0, 4), (2, 63, 1)])
def test_a_wider_brush_paints_more_and_stays_on_the_picture(method, brush, place, count):
    live = show.live_fill_in(method)
    by_name(live)["show all"].click()
    by_name(live)["brush"].value = brush
    buttons(live)[place].click()
    assert line(live).startswith(f"{count} of 64 patches are hidden")


def test_with_all_or_nothing_hidden_it_says_so_and_can_be_painted_from_there(method):
    live = show.live_fill_in(method)
    changes(live, by_name(live)["hide all"].click)
    assert line(live).startswith("⚠ everything is hidden") and "Visible: none" in words(live)
    changes(live, buttons(live)[20].click)
    assert line(live).startswith("63 of 64")
    changes(live, by_name(live)["show all"].click)
    assert line(live).startswith("⚠ nothing is hidden")


def test_the_guess_is_the_methods_under_the_painted_mask(method):
    live = show.live_fill_in(method)
    by_name(live)["show all"].click()
    for place in (9, 10, 17):
        buttons(live)[place].click()
    hidden = torch.zeros(1, 64, dtype=torch.bool)
    hidden[0, [9, 10, 17]] = True
    image = minimim.data.load("scenes", "test", count=17).images[16:]
    guess = method.decoder(method.encoder(image, Mask(hidden)), Mask(hidden))["patch"]
    painted = minimim.data.views.denormalize(minimim.unpatchify(guess, 4, (8, 8)))[0]
    shown = pixels(live)[24 : 24 + 256, 272 : 272 + 256][4::8, 4::8].transpose(2, 0, 1)  # one pixel of each 8×8
    inside = np.s_[:, 5:7, 5:7]  # of patch 9, away from the dashed edge
    assert np.array_equal(shown[inside], painted.numpy()[inside]) and method.masking.ratio == 0.75


def test_a_picture_of_ones_own_is_filled_in_and_a_text_is_refused(method):
    live = show.live_fill_in(method)
    upload = by_name(live)["your picture"]
    changes(live, lambda: upload.set_trait("value", given("mine.png", a_picture())))
    assert by_name(live)["picture"].value == "mine.png" and "mine.png as the network sees it" in words(live)
    complains(live, lambda: upload.set_trait("value", given("notes.txt", b"no picture")), r"notes\.txt cannot be read as a picture: choose a PNG or JPEG file")
    complains(live, lambda: upload.set_trait("value", given("half.png", a_picture()[:200])), r"half\.png cannot be read as a picture")
    moved(live, "picture", "scene 1")
    changes(live, lambda: upload.set_trait("value", given("<b>.png", a_picture())))
    assert "<b>" not in live.picture.value and "<b>.png" in words(live)


def test_a_method_that_predicts_no_pixels_is_refused_at_once():
    with pytest.raises(UserError, match="not pixels"):
        show.live_fill_in(minimim.methods.create("maskfeat", image_size=32, patch_size=4, size="micro"))


def test_a_grey_method_takes_a_picture_in_grey():
    assert fill.read_own("mine.png", a_picture(), (28, 28), 1).shape == (1, 28, 28)


def test_the_lens_shows_each_head_of_the_patch_that_is_pointed_at(encoder):
    images = minimim.data.load("scenes", "test", count=4).images
    live = show.attention_lens(encoder, images)
    changes(live, buttons(live)[10].click)
    assert by_name(live)["row"].value == 1 and by_name(live)["column"].value == 2 and "row 1, column 2 framed" in words(live)
    moved(live, "row", 5)
    moved(live, "column", 6)
    moved(live, "block", 1)
    moved(live, "picture", 0)
    attention = encoder(images, want="attention:1").attention[0, :, 1:, 1:][:, 5 * 8 + 6]
    for head, each in enumerate(attention):
        most = int(each.argmax())
        assert f"head {head}: most to row {most // 8}, column {most % 8} ({float(each[most]):.2f})" in words(live)


def test_pointing_draws_once(encoder, monkeypatch):
    live = show.attention_lens(encoder, minimim.data.load("scenes", "test", count=2).images)
    drawn, draw = [], live.draw
    monkeypatch.setattr(live, "draw", lambda: drawn.append(1) or draw())
    buttons(live)[0].click()
    assert len(drawn) == 1


class Halves(nn.Module):
    """A tokenizer of two codes: is a patch bright?"""

    codebook = 2

    def ids(self, images):
        return (minimim.patchify(images, 16).mean(2) > 0).long()

    def paint(self, ids, grid):
        return minimim.unpatchify((ids * 2.0 - 1).unsqueeze(2).expand(-1, -1, 768), 16, grid)


def test_the_gallery_shows_every_target_and_follows_the_change(encoder):
    live = show.target_gallery({"halves": Halves()}, encoder)
    names = ["pixels", "normalised pixels", "HOG", "spectrum", "halves", "frozen teacher"]
    assert list(by_name(live)["target"].options) == names
    for name in names[::-1]:
        by_name(live)["how much"].value = 0.0
        by_name(live)["target"].value = name
        assert name in words(live) and "moves it" not in words(live)
        for change in targets.CHANGES:
            by_name(live)["change"].value = change
            moved(live, "how much", 1.0)
            assert f"{change} 100%" in words(live) and "moves it by" in words(live)
            by_name(live)["how much"].value = 0.0
    moved(live, "photograph", "rocket")


def test_the_gallery_measures_what_lesson_11_says(encoder):
    live = show.target_gallery(encoder=encoder)

    def far(name, change):
        by_name(live)["target"].value, by_name(live)["change"].value, by_name(live)["how much"].value = name, change, 1.0
        return float(re.search(r"moves it by ([\d.]+)", line(live))[1])

    assert far("HOG", "darker") < 0.02 and far("pixels", "darker") > 0.05
    assert far("HOG", "noise") > 2 * far("pixels", "noise")
    assert far("spectrum", "mirrored") > 0.2  # its amplitudes stay, its phases do not


def test_the_theatre_plays_the_stored_run():
    live = show.collapse_theatre()
    step, play = by_name(live)["step"], live.controls[0]
    assert step.value == step.max == 150 and "agreement alone the garments are nearly on one point" in words(live)
    moved(live, "step", 0)
    assert "close together and" in words(live)
    changes(live, lambda: play.set_trait("value", 40))
    assert step.value == 40 and "with InfoNCE the garments are spread out" in words(live) and "Step 40" in words(live)


def test_the_theatre_begins_alike_and_only_the_standard_deviation_tells():
    played = theatre.stored()
    assert list(played.names) == list(theatre.COLOURS) and np.array_equal(played.places[0, 0], played.places[1, 0])
    assert np.abs(played.places.astype(float)).max() <= 1 and len(played.pictures) == played.places.shape[2] == 60
    assert played.vector_std[0, -1] < 0.02 and played.vector_std[1, -1] > 0.6
    assert played.vector_rank[0, -1] > played.vector_rank[1, -1] > 15
    for key, (_, most) in theatre.CHARTS.items():
        assert 0 <= getattr(played, key).min() and getattr(played, key).max() <= most
