"""Checkpoints: whole or not there, read without harm, and refused in one sentence when they are not what was asked for."""

import errno
import resource
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from helpers import build, generator, raw
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import save_file

import minimim
from minimim.data import Images, OnDisk
from minimim.errors import UserError
from minimim.methods import create
from minimim.train import TrainConfig, checkpoint, state, train
from minimim.train.logbook import Logbook

NAMES = ["mae", "simmim", "data2vec", "ibot", "hpm"]


def some(seed=0):
    return {"a": torch.randn(30, 40, generator=generator(seed)), "n": torch.tensor(seed), "b": torch.arange(5) > 2}


def settings(**more):
    return TrainConfig(**{"epochs": 1, "batch_size": 4, "device": "cpu", **more})


def run(method, config=None, images=None, **more):
    return train(method, images or Images(raw(8)), config or settings(), bar=False, **more)


def refused(ask, *says):
    """The one sentence with which something is refused."""
    with pytest.raises(UserError) as caught:
        ask()
    text = str(caught.value)
    assert "\n" not in text and all(part in text for part in says), text
    return text


def files(folder):
    """Every file below a folder, byte for byte."""
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# Writing


def test_what_is_written_comes_back_from_the_file_and_from_its_folder(tmp_path):
    path = tmp_path / "new" / "folder" / "last.safetensors"
    checkpoint.write(path, some(), {"step": 3, "betas": (0.9, 0.95)})
    checkpoint.write(path, some(1), {"step": 4})  # the later one stays
    for place in (path, path.parent, str(path)):
        tensors, about = checkpoint.read(place)
        assert about == {"step": 4} and tensors.keys() == some().keys()
        assert all(torch.equal(tensors[name], t) and tensors[name].dtype == t.dtype for name, t in some(1).items())
    assert list(files(tmp_path)) == [path]


def half_way(error):
    """A save_file that writes some bytes and then meets an error."""

    def save_file(tensors, path, metadata):
        Path(path).write_bytes(b"half")
        raise error

    return save_file


FAILURES = [
    (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
    (SafetensorError("I/O error: No space left on device (os error 28)"), "the disk is full"),
    (PermissionError(errno.EACCES, "Permission denied"), "Permission denied"),
    (OSError(errno.EROFS, "Read-only file system"), "Read-only file system"),
]


@pytest.mark.parametrize("error, says", FAILURES, ids=lambda x: type(x).__name__)
def test_a_disk_that_refuses_costs_nothing_that_was_there(error, says, tmp_path, monkeypatch):
    path = tmp_path / "last.safetensors"
    checkpoint.write(path, some(), {})
    before = files(tmp_path)
    monkeypatch.setattr(checkpoint, "save_file", half_way(error))
    refused(lambda: checkpoint.write(path, some(1), {}), says, "is untouched", "free some space or choose another")
    assert files(tmp_path) == before
    text = refused(lambda: checkpoint.write(tmp_path / "other", some(1), {}), says)
    assert "untouched" not in text and files(tmp_path) == before


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_until_the_last_moment_the_old_file_is_there(function, tmp_path, monkeypatch):
    path = tmp_path / "last.safetensors"
    checkpoint.write(path, some(), {})
    before = files(tmp_path)

    def fail(*_):
        assert path.read_bytes() == before[path]
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(checkpoint.os, function, fail)
    refused(lambda: checkpoint.write(path, some(1), {}), "Input/output error", "is untouched")
    assert files(tmp_path) == before


@pytest.fixture
def small_files():
    """The system refuses to let any file grow past 64 KiB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_system_that_refuses_for_real(tmp_path, small_files):
    path = tmp_path / "last.safetensors"
    checkpoint.write(path, some(), {})
    before = files(tmp_path)
    refused(lambda: checkpoint.write(path, {"large": torch.zeros(2**16)}, {}), "File too large", "is untouched")
    assert files(tmp_path) == before


@pytest.mark.parametrize("what", ["weights", "run"])
def test_a_place_that_cannot_be_is_refused(what, tmp_path):
    write = {"weights": lambda path: checkpoint.write(path, some(), {}), "run": lambda path: run(build("mae"), out=path)}[
        what
    ]
    (tmp_path / "file").write_text("not a folder")
    refused(lambda: write(tmp_path / "file" / "run"), f"cannot write {tmp_path}/file/run", "choose another --out")
    assert files(tmp_path) == {tmp_path / "file": b"not a folder"}


def test_a_run_whose_disk_fills_up_keeps_its_last_checkpoint_and_goes_on_from_it(tmp_path, monkeypatch):
    config, straight = settings(epochs=3, save_every=0, lr=1e-2), build("mae")
    run(straight, config)
    save, left = checkpoint.save_file, [1, 2, 3]

    def fill(tensors, path, metadata):
        return save(tensors, path, metadata) if left.pop() > 1 else half_way(FAILURES[0][0])(tensors, path, metadata)

    monkeypatch.setattr(checkpoint, "save_file", fill)
    refused(lambda: run(build("mae"), config, out=tmp_path), "the disk is full", "last.safetensors is untouched")
    assert checkpoint.read(tmp_path)[1]["step"] == 2
    monkeypatch.undo()
    again = build("mae")
    assert run(again, config, out=tmp_path, resume=True).steps == 6
    assert all(torch.equal(again.state_dict()[name], t) for name, t in straight.state_dict().items())


def test_metrics_that_cannot_be_written_are_told_in_one_sentence_and_the_old_ones_stay(tmp_path):
    run(build("mae"), out=tmp_path)
    before = files(tmp_path)
    full = tmp_path / ".metrics.jsonl.partial"
    full.symlink_to("/dev/full")  # every write finds the disk full
    refused(lambda: run(build("mae"), out=tmp_path, resume=True), "metrics.jsonl: the disk is full", "is untouched")
    assert files(tmp_path) == before and not full.is_symlink()
    with Logbook(tmp_path / "other", settings(), 2, 0, 8, monitor=None, bar=False) as book:
        book.file = open("/dev/full", "w")  # noqa: SIM115
        refused(lambda: book.add({"step": 1}), "metrics.jsonl: the disk is full")


def test_a_run_saves_by_the_clock_and_at_its_end(tmp_path, monkeypatch):
    for every, expected in ((0, [1, 2, 3, 4, 4]), (1e9, [4])):
        steps = []
        monkeypatch.setattr(checkpoint, "write", lambda path, tensors, about, steps=steps: steps.append(about["step"]))
        run(build("mae"), settings(epochs=2, save_every=every), out=tmp_path / str(every))
        assert steps == expected


# Reading


def whole(tmp_path):
    path = tmp_path / "last.safetensors"
    minimim.save(path, build("mae"))
    return path


@pytest.mark.parametrize("left", [0, 1, 7, 8, 9, 1000, 0.5, -1])
def test_a_truncated_checkpoint_is_refused_and_left_as_it_is(left, tmp_path):
    path = whole(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: int(left * len(data)) if isinstance(left, float) else left])
    before = files(tmp_path)
    refused(lambda: minimim.load(path), str(path), "not a whole checkpoint", "damaged")
    refused(lambda: run(build("mae"), out=tmp_path, resume=True), "not a whole checkpoint")
    refused(lambda: run(build("mae"), out=tmp_path), "already holds a run")
    assert files(tmp_path) == before


@pytest.mark.parametrize("content", [b"hello\n", b"\x89PNG\r\n\x1a\n" + bytes(99), b"PK\x03\x04" + bytes(999), b"{}" * 50])
def test_another_kind_of_file_is_refused_and_left_as_it_is(content, tmp_path):
    path = tmp_path / "last.safetensors"
    path.write_bytes(content)
    refused(lambda: minimim.load(tmp_path), str(path), "another kind of file")
    refused(lambda: run(build("mae"), out=tmp_path, resume=True), "another kind of file")
    assert files(tmp_path) == {path: content}


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_foreign_weights_are_sent_to_interop(metadata, tmp_path):
    save_file(some(), tmp_path / "model.safetensors", metadata=metadata)
    before = files(tmp_path)
    refused(lambda: minimim.load(tmp_path / "model.safetensors"), "not written by minimim", "minimim.interop.load_file")
    assert files(tmp_path) == before


def test_where_there_is_nothing_it_is_said(tmp_path):
    for place in (tmp_path, tmp_path / "nowhere"):
        refused(lambda place=place: minimim.load(place), f"no checkpoint at {place}")
        refused(lambda place=place: run(build("mae"), out=place, resume=True), f"no checkpoint at {place}")
    refused(lambda: run(build("mae"), resume=True), "say which", "--out")
    assert files(tmp_path) == {}


def test_nothing_is_read_that_could_run_code():
    for file in (Path(minimim.__file__).parent / "train").glob("*.py"):
        assert "torch.load" not in file.read_text() and "pickle" not in file.read_text(), file.name


# Resuming what is not the same


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A finished run of two steps; nobody may change it."""
    folder = tmp_path_factory.mktemp("begun")
    run(build("mae"), out=folder)
    before = files(folder)
    yield folder
    assert files(folder) == before


def test_an_old_run_is_never_overwritten(begun):
    refused(lambda: run(build("mae"), out=begun), f"{begun} already holds a run", "--resume", "another --out")


@pytest.mark.parametrize(
    "method, says",
    [
        (lambda: build("simmim"), "name=mae, not simmim"),
        (lambda: build("mae", patch_size=8), "patch_size=4, not 8"),
        (lambda: build("mae", mask_ratio=0.5), "mask_ratio=its default, not 0.5"),
    ],
)
def test_another_method_or_another_shape_is_not_resumed(method, says, begun):
    refused(lambda: run(method(), out=begun, resume=True), f"the run in {begun} was begun with {says}: ")


def test_other_data_are_not_resumed(begun):
    refused(
        lambda: run(build("mae"), images=Images(raw(12)), out=begun, resume=True), "on 8 images, not 12", "the same data"
    )


def on_disk(top, shift=0):
    """Eight pictures in a folder, listed as the library lists them."""
    top.mkdir()
    for i in range(8):
        Image.new("RGB", (16, 16), (20 * i + shift, 0, 0)).save(top / f"{i + shift}.png")
    return OnDisk(sorted(str(file) for file in top.iterdir()), None, (), (16, 16))


@pytest.mark.parametrize("other", [Images(raw(8, seed=1)), Images(raw(8), torch.arange(8))])
def test_other_images_of_the_same_number_are_not_resumed(other, begun):
    refused(lambda: run(build("mae"), images=other, out=begun, resume=True), f"the run in {begun} was on other images", "the same data")


def test_pictures_on_disk_are_known_by_their_names_wherever_their_folder_lies(tmp_path):
    config = settings(workers=0)
    run(build("mae"), config, on_disk(tmp_path / "one"), out=tmp_path / "run")
    assert run(build("mae"), config, on_disk(tmp_path / "two"), out=tmp_path / "run", resume=True).finished
    refused(lambda: run(build("mae"), config, on_disk(tmp_path / "other", 1), out=tmp_path / "run", resume=True), "was on other images")


@pytest.mark.parametrize("without", ["then", "now"])
def test_a_run_whose_images_nobody_noted_is_resumed(without, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        if without == "then":
            patch.setattr("minimim.train.loop.digest", lambda data: None)
        run(build("mae"), out=tmp_path)
    if without == "then":
        tensors, about = checkpoint.read(tmp_path)
        del about["data"]  # as in former runs
        checkpoint.write(tmp_path / checkpoint.NAME, tensors, about)
    else:
        monkeypatch.setattr("minimim.train.loop.digest", lambda data: None)
    assert run(build("mae"), images=Images(raw(8, seed=1)), out=tmp_path, resume=True).finished


def test_every_label_and_images_from_all_over_the_set_are_noted():
    images, labels = raw(40), torch.arange(40)
    first = state.digest(Images(images, labels))
    again = state.digest(Images(images + (images < 64), labels.clone()))  # brighter by a quarter of a grey level
    assert again != first and state.alike(first, again) and state.digest([1, 2]) is None
    for i in range(40):
        assert not state.alike(first, state.digest(Images(images, torch.where(labels == i, 99, labels))))
    blackened = (Images(torch.where(labels.view(-1, 1, 1, 1) == i, 0, images), labels) for i in range(40))
    noted = [i for i, other in enumerate(blackened) if not state.alike(first, state.digest(other))]
    assert len(noted) == 16 and noted[0] == 0 and max(b - a for a, b in pairwise([*noted, 40])) == 3


OTHER = {"epochs": 2, "batch_size": 2, "lr": 1.0, "warmup": 0.3, "weight_decay": 0.1, "betas": (0.9, 0.99), "clip": 1.0}
OTHER |= {"seed": 1, "precision": "bf16", "weight_decay_end": 0.2}


@pytest.mark.parametrize("name, value", OTHER.items())
def test_an_option_that_changes_the_result_cannot_be_changed(name, value, begun):
    was = getattr(settings(), name)
    was, value_then = (list(v) if isinstance(v, tuple) else v for v in (was, value))
    ask = settings(**{name: value})
    refused(lambda: run(build("mae"), ask, out=begun, resume=True), f"begun with {name}={was}, not {value_then}")


def test_every_option_either_decides_the_result_or_may_be_changed(tmp_path):
    assert set(OTHER) | state.FREE == set(TrainConfig.__dataclass_fields__) and not set(OTHER) & state.FREE
    other = settings(workers=0, save_every=1.0, log_every=1, probe_every=1.0, accumulate=2, device="auto")
    begun = run(build("mae"), settings(max_minutes=1e-9), out=tmp_path)
    resumed = run(build("mae"), other, out=tmp_path, resume=True)
    assert begun.steps < resumed.steps == resumed.total and resumed.finished


def test_weights_alone_are_loaded_not_resumed(tmp_path):
    whole(tmp_path)
    refused(lambda: run(build("mae"), out=tmp_path, resume=True), "weights only", "minimim.load")


def test_a_method_of_ones_own_that_does_not_fit_is_refused_and_stays_as_it_is(begun):
    tensors = checkpoint.read(begun)[0]
    for other, says in [
        (create("mae", image_size=16, patch_size=8), "(1, 17, 128) for encoder.pos_embed, this one needs (1, 5, 128)"),
        (build("ibot"), "nothing for encoder.mask_token, this one needs (1, 1, 128)"),
        (build("mae").encoder, "nothing for cls_token, this one needs (1, 1, 128)"),
    ]:
        before = {name: t.clone() for name, t in other.state_dict().items()}
        refused(lambda other=other: state.load_method(other, tensors, begun), "of another method or shape", says)
        assert all(torch.equal(before[name], t) for name, t in other.state_dict().items())


def test_a_finished_run_can_be_resumed_and_nothing_moves(tmp_path):
    first, again = build("mae"), build("mae")
    run(first, settings(log_every=1), out=tmp_path)
    lines = (tmp_path / "metrics.jsonl").read_text()
    result = run(again, settings(log_every=1), out=tmp_path, resume=True)
    assert (result.finished, result.steps, result.total) == (True, 2, 2) and len(result.history) == 2
    assert (tmp_path / "metrics.jsonl").read_text() == lines
    assert all(torch.equal(first.state_dict()[name], t) for name, t in again.state_dict().items())


def test_a_metrics_file_that_a_kill_cut_short_is_read_up_to_the_cut(tmp_path):
    run(build("mae"), settings(log_every=1), out=tmp_path)
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text() + '{"step": 3, "lo')
    result = run(build("mae"), settings(log_every=1), out=tmp_path, resume=True)
    assert [line["step"] for line in result.history] == [1, 2] and len(path.read_text().splitlines()) == 2


# Weights of a trained method


@pytest.mark.parametrize("name", NAMES)
def test_a_method_that_was_saved_and_loaded_answers_bit_for_bit_the_same(name, tmp_path):
    more = {"mask_ratio": (0.2, 0.4)} if name == "ibot" else {"mask_ratio": 0.5}
    method = build(name, crop_scale=(0.5, 1.0), **more)
    run(method, settings(lr=1e-2))
    minimim.save(tmp_path / "sub" / "mine.safetensors", method, note="a try")
    loaded = minimim.load(tmp_path / "sub" / "mine.safetensors")
    assert not loaded.training and not loaded.encoder.training
    assert state.plain(loaded.spec) == state.plain(method.spec)
    for training in (False, True):
        method.train(training), loaded.train(training)
        one, two = (m(raw(seed=3), progress=0.5, generator=generator()) for m in (method, loaded))
        assert torch.equal(one.loss, two.loss) and torch.equal(one.mask, two.mask)
        assert torch.equal(one.prediction, two.prediction) and torch.equal(one.target, two.target)
    method.eval(), loaded.eval()
    assert torch.equal(method.encoder.features(raw()), loaded.encoder.features(raw()))
    assert method.state_dict().keys() == loaded.state_dict().keys()
    assert checkpoint.read(tmp_path / "sub" / "mine.safetensors")[1]["note"] == "a try"


@pytest.mark.parametrize("name", NAMES)
def test_weights_in_half_precision_take_half_the_file_and_come_back_in_fp32_within_it(name, tmp_path):
    method = build(name)
    whole, small = tmp_path / "whole.safetensors", tmp_path / "small.safetensors"
    minimim.save(whole, method)
    minimim.save(small, method, half=True, note="small")
    method.register_buffer("count", torch.tensor(70_001))
    minimim.save(tmp_path / "counting.safetensors", method, half=True)
    assert checkpoint.read(tmp_path / "counting.safetensors")[0]["method.count"].item() == 70_001
    del method.count
    loaded, saved = minimim.load(small).state_dict(), checkpoint.read(small)[0]
    for key, tensor in method.state_dict().items():
        assert loaded[key].dtype == tensor.dtype and torch.allclose(loaded[key], tensor, rtol=2**-11, atol=2**-25)
        assert torch.equal(loaded[key], saved[f"method.{key}"].to(tensor.dtype))
    spent = sum(tensor.nbytes for tensor in method.state_dict().values())
    assert whole.stat().st_size - small.stat().st_size > 0.49 * spent
    assert checkpoint.read(small)[1]["note"] == "small"


def test_a_run_can_be_loaded_from_its_folder(begun):
    method = build("mae")
    run(method)
    loaded = minimim.load(begun)
    assert all(torch.equal(loaded.state_dict()[name], t) for name, t in method.state_dict().items())


def test_a_method_put_together_by_hand_is_loaded_by_hand(tmp_path):
    method, again = build("mae"), create("mae", image_size=16)
    method.spec = None
    minimim.save(tmp_path / "mine.safetensors", method)
    refused(lambda: minimim.load(tmp_path / "mine.safetensors"), "put together by hand", "load_method")
    state.load_method(again, checkpoint.read(tmp_path / "mine.safetensors")[0], tmp_path)
    assert all(torch.equal(again.state_dict()[name], t) for name, t in method.state_dict().items())
