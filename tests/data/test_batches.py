"""The stream of batches: addressed by step, nothing lost or repeated, alike for every number of processes and workers."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader

from minimim.data import Images, OnDisk
from minimim.data.batches import batches, fits, in_order, positions, read, rows, shuffled


def numbered(n):
    """Images that carry their own number."""
    return Images(torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1).expand(n, 3, 2, 4).contiguous())


def numbers(stream, count):
    """The numbers of the images in the first batches of a stream."""
    return [batch[:, 0, 0, 0].tolist() for batch in itertools.islice(stream, count)]


@pytest.fixture
def disk(tmp_path):
    """Twelve pictures on disk, and the same in memory."""
    pixels = torch.randint(0, 256, (12, 3, 6, 8), dtype=torch.uint8)
    files = [tmp_path / f"{i}.png" for i in range(12)]
    for file, image in zip(files, pixels, strict=True):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(file)
    return OnDisk(files, None, (), (6, 8)), Images(pixels)


@pytest.mark.parametrize("free, there", [(3 * 240 + 3, True), (3 * 240, False), (100, False)])
def test_images_go_to_a_gpu_whole_when_a_third_of_its_free_memory_holds_them(monkeypatch, free, there):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 10**9))
    images = numbered(10).images  # 240 bytes
    assert fits(images, torch.device("cuda")) == there and fits(images, torch.device("cpu"))
    assert not fits(images.float(), torch.device("cuda"))  # four bytes each


@given(st.integers(1, 40), st.integers(1, 60), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_batch_s_is_the_s_th_stretch_of_the_epochs_laid_end_to_end(n, batch_size, seed):
    line = torch.cat([shuffled(n, seed, epoch) for epoch in range(5 * batch_size // n + 1)])
    for step in (4, 0, 2):  # in any order: the place is all that counts
        expected = line[step * batch_size : (step + 1) * batch_size]
        assert torch.equal(positions(step, batch_size, n, seed), expected)


@given(st.integers(1, 40), st.integers(1, 60), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_after_as_many_steps_as_there_are_images_each_was_seen_equally_often(n, batch_size, seed):
    seen = torch.cat([positions(step, batch_size, n, seed) for step in range(n)])
    assert torch.equal(seen.bincount(minlength=n), torch.full((n,), batch_size))
    for epoch in seen.split(n):  # and within each epoch once
        assert sorted(epoch.tolist()) == list(range(n))


def test_each_epoch_and_each_seed_has_an_order_of_its_own():
    orders = {tuple(shuffled(30, seed, epoch).tolist()) for seed in range(4) for epoch in range(4)}
    assert len(orders) == 16 and all(sorted(order) == list(range(30)) for order in orders)


@given(st.integers(1, 64), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_rows_cut_a_batch_without_gap_or_overlap_and_nearly_evenly(batch_size, world):
    parts = [list(range(batch_size))[rows(batch_size, rank, world)] for rank in range(world)]
    assert list(itertools.chain(*parts)) == list(range(batch_size))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("world", [1, 2, 3])
def test_processes_see_together_what_one_sees(world):
    data = numbered(23)
    one = numbers(batches(data, 8, seed=5), 10)
    ranks = [numbers(batches(data, 8, seed=5, rank=rank, world=world), 10) for rank in range(world)]
    assert [list(itertools.chain(*parts)) for parts in zip(*ranks, strict=True)] == one


def test_a_stream_that_starts_later_goes_on_as_the_one_that_was_stopped():
    data = numbered(23)
    whole = numbers(batches(data, 8, seed=5), 12)
    for start in (0, 1, 3, 11):  # 3 is in the middle of an epoch
        assert numbers(batches(data, 8, seed=5, start=start, stop=12), 99) == whole[start:]


def test_a_stream_gives_the_images_of_its_positions_as_bytes():
    data = Images(torch.randint(0, 256, (9, 3, 2, 4), dtype=torch.uint8))
    for step, batch in enumerate(batches(data, 4, seed=2, stop=6)):
        assert batch.dtype == torch.uint8 and torch.equal(batch, data.images[positions(step, 4, 9, 2)])


def test_a_stream_has_no_end_of_its_own():
    assert len(numbers(batches(numbered(2), 1), 500)) == 500


@pytest.mark.parametrize("workers", [0, 2])
def test_images_on_disk_stream_as_those_in_memory(disk, workers):
    for place in ({}, {"start": 2}, {"rank": 1, "world": 2}):
        one, two = (list(batches(data, 5, seed=3, stop=7, workers=workers, **place)) for data in disk)
        assert len(one) == len(two) == 7 - place.get("start", 0)
        assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_no_stream_touches_the_global_generator(disk):
    state = torch.get_rng_state()
    for data in disk:
        list(batches(data, 5, stop=3))
        list(in_order(data, 5, workers=0))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_large_batch_is_read_in_pieces_and_arrives_whole(disk, workers, monkeypatch):
    monkeypatch.setattr("minimim.data.batches.PIECE", 2)
    asked, loader = [], DataLoader.__init__

    def watched(self, data, batch_sampler, **more):
        loader(self, data, batch_sampler=(asked.append(len(ids)) or ids for ids in batch_sampler), **more)

    monkeypatch.setattr(DataLoader, "__init__", watched)
    on_disk, in_memory = (list(batches(data, 5, stop=3, workers=workers)) for data in disk)
    assert len(on_disk) == 3 and all(a.equal(b) for a, b in zip(on_disk, in_memory, strict=True))
    assert asked == 3 * [2, 2, 1]
    assert torch.cat(list(in_order(disk[0], 5, workers=workers))).equal(disk[1].images)


@pytest.mark.parametrize("workers", [0, 2])
def test_for_evaluation_each_image_comes_once_and_in_order(disk, workers):
    for data in disk:
        parts = list(in_order(data, 5, workers=workers))
        assert [len(part) for part in parts] == [5, 5, 2] and torch.equal(torch.cat(parts), disk[1].images)


def test_reading_at_places_is_the_same_from_disk_and_from_memory(disk):
    places = torch.tensor([3, 0, 3, 11])
    for data in disk:
        assert torch.equal(read(data, places), disk[1].images[places])


def test_the_shuffle_of_an_epoch_does_not_change_when_it_was_cut():
    before = shuffled(10, 0, 0).clone()
    positions(0, 25, 10, 0).zero_()
    positions(0, 4, 10, 0)
    assert torch.equal(shuffled(10, 0, 0), before)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("place", [{}, {"start": 3}, {"rank": 1, "world": 3}])
def test_each_image_comes_with_its_own_label_where_labels_are_asked_for(disk, workers, place):
    labels = 10 * torch.arange(12)
    for data in disk:
        data.labels = labels
        plain = list(batches(data, 5, seed=3, stop=7, **place))
        named = list(batches(data, 5, seed=3, stop=7, workers=workers, needs=("label",), **place))
        assert len(plain) == len(named) == 7 - place.get("start", 0)
        for images, both in zip(plain, named, strict=True):
            assert set(both) == {"image", "label"} and torch.equal(both["image"], images) and both["label"].dtype == torch.int64
            for image, label in zip(images, both["label"], strict=True):
                assert torch.equal(disk[1].images[int(label) // 10], image)
