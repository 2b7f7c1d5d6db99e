"""`minimim pretrain --from`: a training that begins with trained weights, what it takes of them, and that it is resumed."""

import shutil
from pathlib import Path

import pytest
import torch
from foreign import build_mae, official, timm
from helpers import build, raw
from safetensors.torch import save_file

import minimim
from minimim import checkpoint
from minimim.cli import main
from minimim.commands.weights import Start, begin
from minimim.errors import UserError
from minimim.methods import create

SETTINGS = ("--batch-size", 8, "--device", "cpu", "--lr", 1e-9)  # so small that the weights stay where they began


@pytest.fixture(autouse=True)
def images(tmp_path, monkeypatch):
    """A folder of its own, in which scenes are a few small images."""
    from minimim.data import Images

    monkeypatch.chdir(tmp_path)
    labels = torch.arange(16) % 2

    def load(name, split="train", *, image_size=None):
        side = image_size or 16
        height, width = (side, side) if isinstance(side, int) else side
        pixels = torch.nn.functional.interpolate(raw(16).float(), (height, width)).to(torch.uint8)
        return Images(pixels, labels, ("a", "b"))

    monkeypatch.setattr("minimim.commands.pretrain.load", load)


def ask(capsys, *arguments):
    code = main([str(a) for a in ("pretrain", *arguments, *SETTINGS)])
    told = capsys.readouterr()
    return code, told.out, told.err


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Trained weights of several methods, by name."""
    folder = tmp_path_factory.mktemp("weights")
    for name in ("mae", "simmim", "ibot", "hpm", "data2vec"):
        minimim.save(folder / f"{name}.safetensors", build(name))
    minimim.save(folder / "small.safetensors", build("mae", decoder_depth=1, mask_ratio=0.5))
    return folder


def near(one, other, names):
    for name in names:
        torch.testing.assert_close(one[name], other[name], atol=2e-3, rtol=0, msg=lambda text, name=name: f"{name}: {text}")


def weights_of(path):
    return {name.removeprefix("method."): t for name, t in checkpoint.read(path)[0].items() if name.startswith("method.")}


# What is carried over


@pytest.mark.parametrize("name", ["mae", "simmim", "ibot", "hpm", "data2vec"])
def test_the_same_method_takes_everything_and_the_sizes_and_options_with_it(capsys, kept, name):
    code, told, _ = ask(capsys, "--from", kept / f"{name}.safetensors", "--out", "further", "--epochs", 0.5)
    assert code == 0 and f"begins with all weights of {kept / name}.safetensors" in told
    then, now = (checkpoint.description(path) for path in (kept / f"{name}.safetensors", "further"))
    assert now["spec"] == then["spec"] and now["from"] == {"weights": str(kept / f"{name}.safetensors"), "carried": "all weights"}
    before = weights_of(kept / f"{name}.safetensors")
    near(weights_of("further"), before, [name for name in before if "centre" not in name and not name.startswith("target.")])


def test_the_recipes_options_are_those_of_the_weights_unless_others_are_asked_for(capsys, kept):
    assert ask(capsys, "--from", kept / "small.safetensors", "--out", "a")[0] == 0
    assert ask(capsys, "--from", kept / "small.safetensors", "--mask-ratio", 0.75, "--out", "b")[0] == 0
    specs = [checkpoint.description(name)["spec"] for name in "ab"]
    assert [spec["mask_ratio"] for spec in specs] == [0.5, 0.75] and {spec["decoder_depth"] for spec in specs} == {1}


def test_a_decoder_of_another_depth_begins_anew_and_that_is_said(capsys, kept):
    code, told, _ = ask(capsys, "--from", kept / "small.safetensors", "--decoder-depth", 2, "--out", "a")
    assert code == 0 and "begins with the encoder of" in told and checkpoint.description("a")["from"]["carried"] == "the encoder"
    before, now = weights_of(kept / "small.safetensors"), weights_of("a")
    near(now, before, [name for name in before if name.startswith("encoder.")])
    assert not torch.allclose(now["decoder.pred.weight"], before["decoder.pred.weight"], atol=1e-3)


@pytest.mark.parametrize("was, now", [("mae", "ibot"), ("mae", "data2vec"), ("mae", "hpm"), ("ibot", "mae"), ("ibot", "data2vec")])
def test_another_method_takes_the_encoder_and_its_teacher_begins_as_a_copy(kept, was, now):
    torch.manual_seed(1)
    method = create(now, image_size=16)
    assert begin(method, Start(minimim.load(kept / f"{was}.safetensors"), "there")) == "the encoder"
    trained = minimim.load(kept / f"{was}.safetensors").encoder.state_dict()
    near(method.encoder.state_dict(), trained, set(trained) - {"mask_token"})
    if method.teacher is not None:
        near(method.teacher.encoder.state_dict(), method.encoder.state_dict(), trained.keys() - {"mask_token"})


def test_the_optimiser_the_step_count_and_the_schedule_begin_anew(capsys, kept):
    ask(capsys, "--from", kept / "mae.safetensors", "--out", "a", "--epochs", 1)
    ask(capsys, "--from", "a", "--out", "b", "--epochs", 0.5)
    tensors, about = checkpoint.read("b")
    assert about["step"] == about["total"] == 1 and about["from"]["weights"] == "a"
    assert {int(t) for name, t in tensors.items() if name.endswith(".step")} == {1}


def test_positions_of_another_size_are_interpolated(capsys, kept):
    assert ask(capsys, "--from", kept / "mae.safetensors", "--image-size", 24, 16, "--out", "a")[0] == 0
    found = minimim.load("a")
    assert found.encoder.home_grid == (6, 4) and found.encoder.pos_embed.shape == (1, 25, 128) and found.decoder.pos_embed.shape[1] == 25
    before = minimim.load(kept / "mae.safetensors").encoder
    torch.testing.assert_close(found.encoder.pos_embed[0, 1:], before.positions((6, 4))[1][0])


@pytest.mark.parametrize("spell, carried", [(official, "all weights"), (timm, "the encoder")])
def test_foreign_weights_are_a_beginning_too(capsys, spell, carried):
    method = build_mae()
    save_file({n: t.contiguous() for n, t in spell(method).items()}, "w.safetensors")
    code, told, _ = ask(capsys, "--from", "w.safetensors", "--out", "a", "--epochs", 0.5)
    assert code == 0 and f"begins with {carried} of w.safetensors" in told
    own = method.state_dict()
    near(weights_of("a"), own, [name for name in own if carried == "all weights" or name.startswith("encoder.")])


# What does not fit


@pytest.mark.parametrize(
    "weights, more, says",
    [
        ("mae", ("--size", "tiny"), "are of size micro, and this run is of size tiny: give both the same"),
        ("mae", ("--patch-size", 2), "are of patch_size 4, and this run is of patch_size 2"),
        ("mae", ("--method", "mae", "--channels", 1), "are of channels 3, and this run is of channels 1"),
        ("mae", ("--method", "simmim"), "theirs is an encoder with a CLS token, and this run's has none"),
        ("simmim", ("--method", "mae"), "this run's is an encoder with a CLS token, and theirs has none"),
        ("nowhere", (), "there is no file"),
        ("mae", ("--key", "teacher"), "holds one method, and --key chooses among those of a foreign file"),
    ],
)
def test_what_does_not_fit_is_told_with_its_cause_before_anything_is_written(capsys, kept, tmp_path, weights, more, says):
    code, _, told = ask(capsys, "--from", kept / f"{weights}.safetensors", *more, "--out", "a")
    assert code == 2 and says in told and told.count("\n") == 1 and not (tmp_path / "a").exists()


def test_an_encoder_that_lacks_something_is_named(kept):
    start = Start(minimim.load(kept / "mae.safetensors"), "there")
    del start.method.encoder.blocks[3]
    with pytest.raises(UserError, match=r"there \(mae\) do not fit mae: they have nothing for encoder.blocks.3.attn.proj.bias, and it needs \(128,\)"):
        begin(create("mae", image_size=16), start)


def test_a_classifier_a_damaged_file_and_a_key_without_a_file_are_sentences(capsys, tmp_path):
    (tmp_path / "half.pth").write_bytes(b"half a file")
    assert "half.pth" in ask(capsys, "--from", "half.pth")[2]
    assert "give both, or neither" in ask(capsys, "--key", "teacher")[2]


# Resumed


def test_a_run_is_resumed_without_reading_the_weights_again(capsys, kept, tmp_path):
    shutil.copy(kept / "small.safetensors", "there.safetensors")
    straight = ("--from", "there.safetensors", "--epochs", 1)
    assert ask(capsys, *straight, "--out", "straight")[0] == 0
    assert "stopped after 1 of 2 steps" in ask(capsys, *straight, "--out", "stopped", "--max-minutes", 1e-9)[1]
    (tmp_path / "there.safetensors").unlink()
    shutil.copytree("stopped", "again")
    assert ask(capsys, "--epochs", 1, "--out", "stopped", "--resume")[0] == 0
    assert ask(capsys, *straight, "--out", "again", "--resume")[0] == 0
    one = checkpoint.read("straight")
    for other in (checkpoint.read("stopped"), checkpoint.read("again")):
        assert all(torch.equal(one[0][name], other[0][name]) for name in one[0]) and one[1] == other[1]
    assert one[1]["from"]["weights"] == "there.safetensors"


def test_a_run_is_not_resumed_under_the_name_of_other_weights(capsys, kept):
    assert ask(capsys, "--from", kept / "mae.safetensors", "--out", "a", "--max-minutes", 1e-9)[0] == 0
    code, _, told = ask(capsys, "--from", kept / "small.safetensors", "--out", "a", "--resume")
    assert code == 2 and f"the run in a began from {kept}/mae.safetensors, not from {kept}/small.safetensors" in told
    ask(capsys, "--image-size", 16, "--patch-size", 4, "--out", "b", "--max-minutes", 1e-9)
    code, _, told = ask(capsys, "--from", kept / "mae.safetensors", "--out", "b", "--resume")
    assert code == 2 and "the run in b began from random weights, not from" in told


def test_weights_may_be_named_in_another_way_where_a_run_is_resumed(capsys, kept):
    ask(capsys, "--image-size", 16, "--patch-size", 4, "--out", "b", "--max-minutes", 1e-9)
    assert ask(capsys, "--from", "b", "--out", "a", "--max-minutes", 1e-9)[0] == 0
    for same in ("b/last.safetensors", "./b/", Path("b").absolute()):
        assert ask(capsys, "--from", same, "--out", "a", "--resume", "--max-minutes", 1e-9)[0] == 0


@pytest.mark.parametrize("out", ["a", "my run"])
def test_the_refusal_to_resume_a_longer_training_names_the_way_and_the_way_works(capsys, out):
    assert ask(capsys, "--image-size", 16, "--patch-size", 4, "--epochs", 1, "--out", out)[0] == 0
    code, _, told = ask(capsys, "--image-size", 16, "--patch-size", 4, "--epochs", 3, "--out", out, "--resume")
    spelt = out if out == "a" else f"'{out}'"
    assert code == 2 and "was begun with epochs=1.0, not 3.0: resume it with the same options; for a longer" in told and f"--from {spelt}," in told
    assert ask(capsys, "--from", out, "--epochs", 3, "--out", "longer")[0] == 0
    assert checkpoint.description("longer")["step"] == 6
