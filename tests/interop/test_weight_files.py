"""Files of foreign weights: nothing in them runs, and what is not read is said in one sentence."""

import argparse
import collections
import datetime
import pickle
import types
import warnings
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import pytest
import torch
from foreign import assert_same, build_mae, official
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

import minimim
from minimim import interop
from minimim.errors import UserError


@pytest.mark.parametrize("wrap", [lambda w: w, lambda w: {"model": w}, lambda w: {"state_dict": w}])
def test_a_pytorch_checkpoint_is_read_with_or_without_its_wrapping(tmp_path, wrap):
    weights = official(build_mae())
    torch.save(wrap(weights), tmp_path / "w.pth")
    assert_same(interop.load_file(tmp_path / "w.pth"), weights)


def test_a_checkpoint_of_the_official_code_is_read_with_its_arguments(tmp_path):
    weights, arguments = official(build_mae()), argparse.Namespace(batch_size=64, model="mae_vit", betas=(0.9, 0.95))
    torch.save({"model": weights, "optimizer": {"state": {}}, "epoch": 3, "scaler": {}, "args": arguments}, tmp_path / "w.pth")
    assert_same(interop.load_file(str(tmp_path / "w.pth")), weights)
    assert argparse.Namespace not in torch.serialization.get_safe_globals()  # let in for this one file


class Evil:
    """A pickle that leaves a mark when it is opened."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize(
    "content",
    [
        lambda evil: evil,
        lambda evil: {"model": {**official(build_mae()), "extra": evil}},
        lambda evil: {"model": official(build_mae()), "args": argparse.Namespace(evil=evil)},
    ],
)
@pytest.mark.parametrize("save", [torch.save, lambda x, path: path.write_bytes(pickle.dumps(x, protocol=2))])
def test_an_evil_pickle_is_refused_and_never_runs(error, tmp_path, save, content, suffix):
    path, mark = tmp_path / f"w{suffix}", tmp_path / "mark"
    save(content(Evil(mark)), path)
    assert f"{path} is refused" in error(interop.load_file, path)
    assert not mark.exists()


def test_the_evil_pickle_would_leave_its_mark(tmp_path):
    torch.save(Evil(tmp_path / "mark"), tmp_path / "w.pth")
    torch.load(tmp_path / "w.pth", weights_only=False)
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize("content", [[1, 2], {"model": {"a": torch.zeros(1), "b": 3}}, torch.zeros(3), {"epoch": 3}])
def test_a_file_without_a_state_dict_is_refused(error, tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    assert "holds no state dict" in error(interop.load_file, tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["none.pth", "none.safetensors", "."])
def test_a_file_that_is_not_there_is_said_to_be_not_there(error, tmp_path, name):
    assert "there is no file" in error(interop.load_file, tmp_path / name)


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory):
    """The bytes of a small good file of each kind, and a place to write."""
    place = tmp_path_factory.mktemp("damaged")
    weights = {"a": torch.arange(6.0), "b": torch.ones(2, 2)}
    torch.save(weights, place / "zip.pth")
    torch.save(weights, place / "old.pth", _use_new_zipfile_serialization=False)
    save_file(weights, place / "w.safetensors")
    return {path.name: path.read_bytes() for path in place.iterdir()}, place


@settings(max_examples=150, deadline=None)
@given(kind=st.sampled_from(["zip.pth", "old.pth", "w.safetensors"]), data=st.data())
def test_a_damaged_file_is_refused_or_read_and_nothing_else(whole_files, kind, data):
    files, place = whole_files
    content = files[kind]
    how = data.draw(st.sampled_from(["cut", "changed", "something else"]))
    if how == "cut":
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    elif how == "changed":
        at = data.draw(st.integers(0, len(content) - 1))
        content = content[:at] + data.draw(st.binary(min_size=1, max_size=4)) + content[at + 1 :]
    else:
        content = data.draw(st.binary(max_size=200))
    path = place / kind
    path.write_bytes(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert isinstance(interop.load_file(path), dict)
    except UserError as refused:
        assert str(path) in str(refused)


# A little more than tensors, and a little less than weights


def test_what_is_harmless_in_the_arguments_is_let_in(tmp_path):
    weights = official(build_mae())
    arguments = argparse.Namespace(
        output_dir=Path("runs") / "one", data=PureWindowsPath("C:/data"), lr=np.float64(0.1), seed=np.int64(3), ratio=np.float32(0.5),
        best=np.array(0.5)[()], norm_pix_loss=False,
    )  # fmt: skip
    torch.save({"model": weights, "args": arguments, "best": np.float64(83.1)}, tmp_path / "w.pth")
    before = set(map(str, torch.serialization.get_safe_globals()))
    loaded = interop.load_file(tmp_path / "w.pth")
    assert_same(loaded, weights)
    assert loaded.says == {"normalize_target": False}
    assert set(map(str, torch.serialization.get_safe_globals())) == before  # let in for this one file


@pytest.mark.parametrize("module", ["pathlib", "pathlib._local"])
@pytest.mark.parametrize("name", ["PosixPath", "WindowsPath"])
def test_paths_of_another_system_are_let_in(tmp_path, module, name):
    line = f"c{module}\n{name}\n".encode()  # what the pickle says of a class
    torch.save({"model": official(build_mae()), "args": PurePosixPath("a")}, tmp_path / "new.pth", _use_new_zipfile_serialization=False)
    content = (tmp_path / "new.pth").read_bytes()
    written = next(w for w in (b"cpathlib\nPurePosixPath\n", b"cpathlib._local\nPurePosixPath\n") if w in content)
    (tmp_path / "w.pth").write_bytes(content.replace(written, line))
    assert_same(interop.load_file(tmp_path / "w.pth"), official(build_mae()))


@pytest.mark.parametrize("held", [
    np.random.get_state(), np.zeros(3), np.array(["a"]), np.str_("a"), collections.defaultdict(list, a=[1]), collections.defaultdict(float),
    types.SimpleNamespace(lr=1.0), datetime.timedelta(1), datetime.datetime(2020, 1, 1), torch.device("cuda:0"), torch.float16, {1, 2},
], ids=lambda held: type(held).__name__)  # fmt: skip
def test_what_training_codes_leave_beside_the_tensors_is_let_in(tmp_path, held):
    torch.save({"model": official(build_mae()), "epoch": 3, "state": {"held": [held]}}, tmp_path / "w.pth")
    assert_same(interop.load_file(tmp_path / "w.pth"), official(build_mae()))


def test_a_container_does_not_let_in_what_it_holds(error, tmp_path):
    for held in (np.array([Evil(tmp_path / "mark")], dtype=object), collections.defaultdict(list, a=Evil(tmp_path / "mark"))):
        torch.save({"model": official(build_mae()), "state": held}, tmp_path / "w.pth")
        assert "is refused: besides tensors it holds" in error(interop.load_file, tmp_path / "w.pth")
    assert not (tmp_path / "mark").exists()


def test_the_name_of_a_file_does_not_decide_what_is_in_it(tmp_path):
    weights = official(build_mae())
    save_file(weights, tmp_path / "w.pth")
    torch.save(weights, tmp_path / "w.safetensors")
    for name in ("w.pth", "w.safetensors"):
        assert_same(interop.load_file(tmp_path / name), weights)


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    torch.save(official(build_mae()), tmp_path / "w.pth")
    assert_same(interop.load_file("~/w.pth"), official(build_mae()))


def test_a_whole_network_is_refused_with_the_way_to_its_weights(error, tmp_path):
    torch.save(build_mae(), tmp_path / "w.pth")
    text = error(interop.load_file, tmp_path / "w.pth")
    assert "minimim.methods.method.Method" in text and "of a whole network, .state_dict()" in text


class Settings:
    """Of the training code of somebody else."""


def test_what_is_not_harmless_is_named_and_how_to_save_without_it(error, tmp_path):
    weights = official(build_mae())
    torch.save({"model": weights, "args": Settings()}, tmp_path / "w.pth")
    text = error(interop.load_file, tmp_path / "w.pth")
    assert f"{__name__}.Settings" in text and "torch.save(torch.load(FILE, weights_only=False)" in text
    torch.save(torch.load(tmp_path / "w.pth", weights_only=False)["model"], tmp_path / "w.pth")  # as it says
    assert_same(interop.load_file(tmp_path / "w.pth"), weights)


def test_files_that_are_no_weights_are_told_what_they_are(error, tmp_path):
    for name in ("model.safetensors.index.json", "model-00001-of-00002.safetensors"):
        (tmp_path / name).write_text("{}")
        assert "cut into several files" in error(interop.load_file, tmp_path / name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "w.pt")
    assert "TorchScript" in error(interop.load_file, tmp_path / "w.pt")
    torch.save({"optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": []}, "step": 3}, tmp_path / "w.pth")
    assert "it holds optimizer, step" in error(interop.load_file, tmp_path / "w.pth")
    minimim.save(tmp_path / "ours.safetensors", build_mae())
    assert "minimim.load" in error(interop.load_file, tmp_path / "ours.safetensors")
    assert "it is a folder" in error(interop.load_file, tmp_path)


def test_the_wrappers_of_deepspeed_and_lightning_are_opened(tmp_path):
    weights = official(build_mae())
    spelt = {"state_dict": {f"model.{name}": t for name, t in weights.items()}, "hyper_parameters": {"norm_pix_loss": True}, "epoch": 1}
    for content in ({"module": weights, "global_steps": 3, "optimizer": None}, spelt):
        torch.save(content, tmp_path / "w.pth")
        assert_same(interop.load_file(tmp_path / "w.pth"), weights)
    assert interop.load_file(tmp_path / "w.pth").says == {"normalize_target": True}
