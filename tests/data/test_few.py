"""A few labelled images of each class."""

import pytest
import torch
from helpers import raw

from minimim.data import Images, OnDisk
from minimim.data.images import few
from minimim.errors import UserError

LABELS = torch.tensor([0, 3, 1, 0, 0, 1, 3, 0, 1, 0, 3, 0, 7])  # six, three, three and one


def sets():
    """The same labels on images in memory and on disk; the number of each image is its truth, or its file."""
    return [
        Images(raw(13), LABELS, tuple("abcdefgh"), {"number": torch.arange(13)}),
        OnDisk([f"{i}.png" for i in range(13)], LABELS, tuple("abcdefgh"), (16, 16)),
    ]


def numbers(images):
    return images.truth["number"].tolist() if isinstance(images, Images) else [int(file.removesuffix(".png")) for file in images.files]


@pytest.mark.parametrize("shots", [1, 2, 3, 100])
def test_a_few_of_each_class_are_taken_or_all_where_there_are_fewer(shots):
    for images in sets():
        taken = few(images, shots)
        assert type(taken) is type(images) and taken.classes == images.classes
        assert taken.labels.bincount().tolist() == [min(shots, count) for count in LABELS.bincount().tolist()]
        found = numbers(taken)
        assert len(set(found)) == len(found) == len(taken) and torch.equal(taken.labels, LABELS[found])
        if isinstance(images, Images):
            assert torch.equal(taken.images, images.images[found])


def test_they_are_drawn_by_the_seed_alone_and_alike_in_memory_and_on_disk():
    state = torch.get_rng_state()
    drawn = {seed: [numbers(few(images, 2, seed=seed)) for images in sets() for _ in range(2)] for seed in range(6)}
    assert all(all(one == found[0] for one in found) for found in drawn.values())
    assert len({tuple(found[0]) for found in drawn.values()}) > 3
    assert {number for found in drawn.values() for number in found[0] if LABELS[number] == 0} == {0, 3, 4, 7, 9, 11}  # none is never drawn
    assert torch.equal(torch.get_rng_state(), state)


def test_more_shots_hold_the_fewer():
    images = sets()[0]
    assert set(numbers(few(images, 1))) < set(numbers(few(images, 2))) < set(numbers(few(images, 3)))


def test_without_labels_or_for_less_than_one_it_is_refused():
    with pytest.raises(UserError, match="only where there are labels: put each class in a folder"):
        few(Images(raw(4)), 2)
    for shots in (0, -1):
        with pytest.raises(UserError, match=f"shots must be 1 or more, not {shots}"):
            few(sets()[0], shots)
