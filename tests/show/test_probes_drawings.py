"""The drawings of how an encoder is judged show the features, votes and pixels that they were given."""

import pytest
import torch
from drawn import check
from matplotlib.colors import to_hex

import minimim
from minimim.errors import UserError
from minimim.show import frozen, overlap, regions, spotlit, votes
from minimim.show.drawing import KINDS
from minimim.show.drawings.probes import COLOURS

SCENES = minimim.data.load("scenes", "test", count=8)
CLASSES = SCENES.classes


def words(drawing):
    return [word.get_text() for word in drawing.words]


def test_the_table_that_is_drawn_holds_the_features():
    features = torch.linspace(-3, 3, 8 * 16).view(8, 16)
    drawing = frozen(SCENES.images, features, [CLASSES[label] for label in SCENES.labels], [("k-NN", "what is near?"), ("linear probe", "what can be read off?")])
    check(drawing)
    there = words(drawing)
    for n in range(3):
        row = [f"{value:.1f}".replace("-", "−") for value in features[n, :5].tolist()]
        assert any(there[k : k + 5] == row for k in range(len(there)))
    assert "(8, 16)" in there and "8 images" in there and "k-NN" in there and CLASSES[SCENES.labels[2]] in there
    with pytest.raises(UserError, match="not \\(7, 16\\)"):
        frozen(SCENES.images, features[:7], [], [])


def test_votes_are_counted_as_the_library_counts_them():
    cosines, labels = torch.tensor([0.90, 0.85, 0.84, 0.83, 0.5]), torch.tensor([8, 4, 4, 4, 1])
    drawing = votes(SCENES.images[0], SCENES.images[1:6], cosines, labels, CLASSES, truth=4)
    check(drawing)
    there = words(drawing)
    each = ((cosines - 0.9) / 0.07).exp()
    assert [f"{vote:.2f}" for vote in each] == ["1.00", "0.49", "0.42", "0.37", "0.00"]
    assert {"0.49", "0.42", "0.37", "1.28, the answer", "1.00"} <= set(there)  # three coats beat one nearer bag
    bars = [patch.get_width() for patch in drawing.axes.patches if patch.get_height() == 0.5]
    assert bars == pytest.approx([12, 12 / each[1:4].sum().item(), 12 * each[4].item() / each[1:4].sum().item()])
    one = [word for word in drawing.words if word.get_text() == "coat"]
    assert len(one) == 5 and sum(word.get_weight() == "bold" for word in one) == 4  # the test image's own name is not
    with pytest.raises(UserError, match="at most 6"):
        votes(SCENES.images[0], SCENES.images[:7], torch.ones(7), torch.zeros(7), CLASSES, truth=0)


def test_pixels_are_counted_and_coloured():
    truth, taken = torch.zeros(6, 6, dtype=torch.bool), torch.zeros(6, 6, dtype=torch.bool)
    truth[1:5, 1:4], taken[2:6, 2:4] = True, True
    drawing = overlap(truth, taken)
    check(drawing)
    assert {"right: 6", "missed: 6", "wrong: 2", "IoU = 6 / (6 + 6 + 2) = 0.43"} <= set(words(drawing))
    third = [to_hex(patch.get_facecolor()) for patch in drawing.axes.patches[72:108]]
    for kind, mask in (("lit", truth & taken), ("target", truth & ~taken), ("latent", taken & ~truth)):
        assert [colour == to_hex(KINDS[kind]["facecolor"]) for colour in third] == mask.flatten().tolist()
    with pytest.raises(UserError, match="something on them"):
        overlap(torch.zeros(4, 4, dtype=torch.bool), torch.zeros(4, 4, dtype=torch.bool))


def test_each_class_of_pixel_has_a_colour_of_its_own():
    maps = torch.arange(11, dtype=torch.uint8).view(1, 1, 11)
    painted = regions(maps)
    assert painted.shape == (1, 3, 1, 11) and painted.dtype == torch.uint8
    assert [tuple(painted[0, :, 0, n].tolist()) for n in range(11)] == list(COLOURS) and len(set(COLOURS)) == 11
    with pytest.raises(UserError, match="0 to 10, and these maps hold 0 to 11"):
        regions(torch.tensor([[[0, 11]]]))


def test_the_largest_weight_of_each_image_is_white():
    weights = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.25, 0.5, 0.25, 0.0]])
    light = spotlit(weights, (2, 2), 3)
    assert light.shape == (2, 3, 6, 6) and light.dtype == torch.uint8
    assert light[0, 0, 0, 0] == 63 and torch.all(light[0, :, 3:, 3:] == 255) and torch.all(light[1, :, :3, 3:] == 255) and light[1].min() == 0
