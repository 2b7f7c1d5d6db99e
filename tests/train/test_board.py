"""What TensorBoard shows of a run is read back by TensorBoard's own reader: every number of metrics.jsonl, and the pictures."""

import builtins
import itertools
import sys
from types import SimpleNamespace

import pytest
import torch
from helpers import build, raw
from PIL import Image
from tensor_board import curves_of, read_back
from test_train import Toy, data, run, settings

from minimim.data import Images
from minimim.errors import UserError
from minimim.methods import names
from minimim.show import filling
from minimim.train import board, checkpoint, logbook
from minimim.train.interrupt import Interrupt


def test_every_number_of_every_line_is_a_point_of_a_curve(tmp_path):
    result = run(build("mae"), settings(tensorboard=True, log_every=3, probe_every=1), out=tmp_path, monitor=lambda method: {"knn": 0.5})
    curves, shots = read_back(tmp_path)
    assert curves == curves_of(logbook.read_metrics(tmp_path)) == curves_of(result.history)
    assert {"loss", "lr", "grad_norm", "knn", "images_per_s"} <= set(curves) and not shots
    assert [step for step, _ in curves["loss"]] == [3, 6, 9, 10]


def test_the_pictures_are_those_of_the_method_at_a_tenth_of_the_run_each(tmp_path):
    method, images = build("mae"), data(40)
    run(method, settings(tensorboard=True, epochs=4), images, out=tmp_path, pictures=filling(images, 3))  # 20 steps
    _, shots = read_back(tmp_path)
    assert [step for step, _ in shots] == list(range(2, 21, 2))
    last = filling(images, 3)(method)
    assert shots[-1][1].tobytes() == last.numpy().tobytes() != shots[0][1].tobytes()
    assert last.shape == (8 * 52, 8 * 52, 3)  # three rows of three, 16 pixels and a gap of 2 each, eight times as large


def test_a_run_that_is_stopped_and_resumed_has_each_point_once(tmp_path, monkeypatch):
    images = data(40)
    config = settings(tensorboard=True, epochs=4, log_every=3)  # 20 steps
    with monkeypatch.context() as stopping:
        steps = itertools.count(1)
        stopping.setattr(Interrupt, "asked", lambda self, now: next(steps) in (3, 4, 7))  # after a line, after pictures, and after neither
        for part in range(3):
            run(build("mae"), config, images, out=tmp_path, resume=part > 0, pictures=filling(images))
    kept = (tmp_path / checkpoint.NAME).read_bytes()  # at step 7
    with monkeypatch.context() as killing:  # what it does after its last checkpoint is lost to a kill, but its curves are written
        killing.setattr(checkpoint, "write", lambda *_: None)
        run(build("mae"), config, images, out=tmp_path, resume=True, pictures=filling(images))
    assert checkpoint.description(tmp_path)["step"] == 7 and (tmp_path / checkpoint.NAME).read_bytes() == kept
    run(build("mae"), config, images, out=tmp_path, resume=True, pictures=filling(images))
    curves, shots = read_back(tmp_path)
    assert curves == curves_of(logbook.read_metrics(tmp_path))
    assert [step for step, _ in curves["loss"]] == [3, 6, 9, 12, 15, 18, 20] and [step for step, _ in shots] == list(range(2, 21, 2))


def test_a_run_that_gets_its_curves_only_when_it_is_resumed_has_them_whole(tmp_path, monkeypatch):
    with monkeypatch.context() as stopping:
        stopping.setattr(Interrupt, "asked", lambda self, now: now)
        stopping.setattr("minimim.train.loop.CHECK_EVERY", 4)
        run(build("mae"), settings(), out=tmp_path)
    run(build("mae"), settings(tensorboard=True), out=tmp_path, resume=True)
    assert read_back(tmp_path)[0] == curves_of(logbook.read_metrics(tmp_path))


def test_without_the_option_there_is_no_tensorboard(tmp_path):
    run(build("mae"), settings(), out=tmp_path)
    assert (tmp_path / "metrics.jsonl").exists() and not (tmp_path / board.FOLDER).exists()


def pixel_methods():
    return [name for name in names() if getattr(build(name).target, "predicts", None) == "pixels"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mae", "cmae", "hpm", "maegan", "supmae"])
def test_looking_changes_nothing(name, tmp_path):
    assert name in pixel_methods()
    images = Images(raw(24), torch.arange(24) % 3)
    ended = []
    for looks in (False, True):
        method = build(name)
        run(method, settings(tensorboard=looks, lr=1e-3), images, out=tmp_path / str(looks), pictures=filling(images))
        ended.append(method.state_dict())
    assert all(torch.equal(ended[1][name], tensor) for name, tensor in ended[0].items())
    assert bool(read_back(tmp_path / "True")[1]) == (name != "supmae")  # which needs labels for a step


@pytest.mark.parametrize("name", ["data2vec", "supmae"])
def test_what_cannot_be_painted_is_left_out(name):
    assert filling(data())(build(name)) is None


def test_pictures_on_disk_are_cropped_to_the_size_of_the_method(tmp_path):
    from minimim.data.files import folder

    (tmp_path / "one").mkdir()
    for number, picture in enumerate(raw(8)):
        Image.fromarray(picture.permute(1, 2, 0).repeat_interleave(2, 0).repeat_interleave(2, 1).numpy()).save(tmp_path / "one" / f"{number}.png")
    there = folder(tmp_path, "train", (20, 20), in_memory=False)
    assert filling(there, 4)(build("mae")).shape == (8 * 52, 8 * 70, 3)


def test_a_run_without_a_folder_and_one_without_the_package_are_refused_before_anything_is_done(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="--tensorboard writes its curves into the run's folder, and there is none: give --out"):
        run(Toy(), settings(tensorboard=True))
    importing = builtins.__import__

    def without(name, *more):
        if name.startswith("torch.utils.tensorboard"):
            raise ModuleNotFoundError("No module named 'tensorboard'")
        return importing(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match="No module named 'tensorboard'.: install it by python -m pip install tensorboard, or leave"):
        run(Toy(), settings(tensorboard=True), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


class Full:
    """A TensorBoard writer whose disk is full from some number on."""

    def __init__(self, left):
        self.left, self.seen = left, []

    def __call__(self, place, purge_step):
        return self

    def add_scalar(self, name, value, step):
        if len(self.seen) == self.left:
            raise OSError(28, "No space left on device")
        self.seen.append((name, value, step))

    def flush(self):
        pass

    def close(self):
        self.seen.append("closed")


@pytest.mark.parametrize("left", [0, 7])
def test_a_tensorboard_that_cannot_write_is_left_alone_and_the_run_goes_on(left, tmp_path, monkeypatch):
    writer, asked = Full(left), []
    monkeypatch.setattr(board, "summary_writer", lambda: writer)
    with pytest.warns(UserWarning, match="TensorBoard cannot write .*No space left") as warned:
        result = run(Toy(), settings(tensorboard=True), out=tmp_path, pictures=asked.append)
    assert len(asked) == left // 7  # a line has six numbers, so that the second one breaks, and nothing is painted afterwards
    assert result.finished and len(warned) == 1 and len(writer.seen) == left
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 10


def test_tensorboard_draws_every_number_in_the_order_of_the_lines_and_is_closed(tmp_path, monkeypatch):
    writer = Full(left=-1)
    monkeypatch.setattr(board, "summary_writer", lambda: writer)
    history = run(Toy(), settings(tensorboard=True), out=tmp_path).history
    drawn = [(name, value, line["step"]) for line in history for name, value in line.items() if name != "step"]
    assert writer.seen == [*drawn, "closed"]


def test_a_tensorboard_that_cannot_even_begin_does_not_stop_the_run(tmp_path, monkeypatch):
    def refuse(place, **_):
        raise PermissionError(13, "Permission denied", str(place))

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=refuse))
    with pytest.warns(UserWarning, match="TensorBoard cannot write .*Permission denied"):
        assert run(Toy(), settings(tensorboard=True), out=tmp_path).finished


def test_parts_of_a_run_that_begin_in_one_second_are_read_in_their_order(tmp_path, monkeypatch):
    numbers = itertools.count(30, -1)  # each part has a smaller process number than the one before it, by which names of one second are sorted
    monkeypatch.setattr("os.getpid", lambda: next(numbers))
    for start in (0, 4):
        part = board.Board(tmp_path, start, 8, [])
        for step in range(start + 1, start + 5):
            part.add({"step": step, "loss": float(step)})
        part.close()
    assert read_back(tmp_path)[0]["loss"] == [(step, float(step)) for step in range(1, 9)]
