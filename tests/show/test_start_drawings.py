"""What the first lesson draws says what its tensors say: who the neighbours are, what a probe learns, what the linear layer guesses."""

import pytest
import torch
from drawn import check

import minimim
from minimim.data.images import Images
from minimim.errors import UserError
from minimim.show import numbered, transfer, turned_down, two_directions
from minimim.show.drawings.start import guesses, probe, voted


@pytest.fixture(scope="module")
def method():
    return minimim.load(minimim.bundled("mae-scenes"))


@pytest.fixture(scope="module")
def train():
    return minimim.data.load("scenes", count=200)


def written(drawing):
    return [word.get_text() for word in drawing.words]


def test_transfer_draws_what_the_layer_guesses_and_how_much_was_hidden(method, train):
    test = minimim.data.load("scenes", "test", count=40)
    drawing = transfer(method, test.images[14], test.images[33], train)
    check(drawing)
    features, said = guesses(method, test.images[33], train)
    assert features.shape == (128,) and said.sum().item() == pytest.approx(1, abs=1e-5)
    words = written(drawing)
    assert train.classes[said.argmax()] in words and f"{said.max():.2f}" in words and f"{features[0]:.1f}" in words
    assert "48 of 64 patches hidden" in words and "learnt from 200 labels" in words and "128 features" in words


def test_the_linear_layer_of_transfer_has_learnt_its_labels(method, train):
    right = sum(int(guesses(method, train.images[n], train)[1].argmax() == train.labels[n]) for n in range(10))
    assert right >= 9
    with pytest.raises(UserError, match="no labels"):
        transfer(method, train.images[0], train.images[1], Images(train.images))


def test_patches_carry_their_numbers(train):
    drawing = numbered(train.images[0], (8, 8))
    check(drawing)
    assert written(drawing) == [str(n) for n in range(64)]


def test_neighbours_and_probe_are_those_of_the_points():
    points, labels, new = two_directions()
    drawing = turned_down(points, labels, new, classes=("boot", "trouser"))
    check(drawing)
    told = []
    for place in (new, torch.tensor([3.0, 0.2]), torch.tensor([-4.0, -0.5])):
        near = sorted(range(60), key=lambda n, place=place: (points[n] - place).norm().item())[:5]
        told.append(sum(int(labels[n] == 1) for n in near))
        words = written(turned_down(points, labels, place, classes=("boot", "trouser")))
        assert f"{told[-1]} of the 5 nearest of the new point have its class" in words
    assert told[0] < 3 and len(set(told)) > 1
    votes = []
    for n in range(60):
        others = sorted((m for m in range(60) if m != n), key=lambda m: (points[m] - points[n]).norm().item())[:5]
        votes.append(int(sum(int(labels[m]) for m in others) > 2) == int(labels[n]))
    assert sum(votes) == voted(points, labels, 5) and f"right on {sum(votes)} of 60 points" in written(drawing)
    weight, bias = probe(points, labels)
    assert ((points @ weight + bias > 0) == (labels == 1)).all() and abs(weight[1]) > 20 * abs(weight[0])
    assert "right on 60 of 60 points" in written(drawing) and points.std(dim=0)[0] > 10 * points.std(dim=0)[1]


def test_where_both_directions_vary_alike_nothing_is_drowned():
    points, labels, new = two_directions()
    level = points * torch.tensor([0.02, 1.0])
    assert "5 of the 5 nearest of the new point have its class" in written(turned_down(level, labels, new * torch.tensor([0.02, 1.0]), classes=("a", "b")))
    with pytest.raises(UserError, match=r"points are \(n, 2\)"):
        turned_down(torch.zeros(4, 3), labels[:4], new, classes=("a", "b"))
