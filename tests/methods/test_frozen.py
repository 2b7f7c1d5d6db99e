"""Frozen teachers: described where the method is made, read where it is prepared, kept in what is saved, and said with every result."""

import json

import pytest
import torch
from helpers import build, calls, raw, toy
from torch import nn

import minimim
import minimim.commands.pretrain
from minimim import checkpoint
from minimim.cli import main
from minimim.data import scenes
from minimim.data.views import normalize
from minimim.errors import UserError
from minimim.methods import create
from minimim.methods.frozen import Frozen
from minimim.train import TrainConfig, train

SMALL = {"image_size": 16, "patch_size": 4}
SHORT = TrainConfig(epochs=1, batch_size=8, lr=0.02, warmup=0.0, device="cpu", log_every=1)


@pytest.fixture
def taught(tmp_path):
    """The file of a small method that may be a teacher, and the method."""
    method = build("mae")
    minimim.save(tmp_path / "teacher.safetensors", method)
    return str(tmp_path / "teacher.safetensors"), method


def eva(teacher="mae-scenes", **more):
    return create("eva", **{**SMALL, **more}, teacher=teacher)


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


# Made from a description, read in prepare


def test_nothing_but_the_description_is_read_before_prepare(monkeypatch):
    monkeypatch.setattr(checkpoint, "read", lambda path: pytest.fail("the weights were read"))
    method = eva()
    assert method.teacher.encoder.depth == 4 and not method.teacher.ready
    monkeypatch.undo()
    method.prepare(None)
    bundled = minimim.load(minimim.bundled("mae-scenes"))
    assert same(method.teacher.encoder, bundled.encoder)
    own = method.teacher.encoder(raw()).patches
    assert torch.equal(own, bundled.encoder(raw()).patches)


def test_the_student_begins_alike_whoever_teaches(tmp_path):
    minimim.save(tmp_path / "larger.safetensors", create("mae", image_size=16, patch_size=8))
    torch.manual_seed(3)
    one = eva()
    after = torch.rand(1)
    torch.manual_seed(3)
    other = eva(str(tmp_path / "larger.safetensors"))
    assert same(one.encoder, other.encoder) and torch.equal(after, torch.rand(1))


def test_a_teacher_that_was_not_read_refuses_to_look():
    method = eva()
    with pytest.raises(UserError, match=r"have not been read: call method.prepare\(data\)"):
        method(raw())
    method.prepare(None)
    assert method(raw()).loss.isfinite()


def test_it_never_changes_nor_leaves_eval_mode_nor_gets_a_gradient(taught):
    method = eva(taught[0])
    train(method, toy(), SHORT, bar=False)
    assert same(method.teacher.encoder, taught[1].encoder)
    assert not any(module.training for module in method.train().teacher.modules())
    method(raw()).loss.backward()
    assert all(p.grad is None and not p.requires_grad for p in method.teacher.parameters())
    assert isinstance(method.teacher, Frozen) and method.teacher.begin_again() is None


# A control that was never trained


def test_a_random_teacher_is_drawn_in_prepare_from_the_generator_alone():
    def taught_by(seed):
        torch.manual_seed(5)
        method = eva("random")
        method.prepare(None, torch.Generator().manual_seed(seed))
        return method, torch.rand(1)

    (one, after), (again, then), (other, _) = taught_by(0), taught_by(0), taught_by(1)
    assert same(one.teacher.encoder, again.teacher.encoder) and torch.equal(after, then)
    first, second, student = (each.blocks[0].attn.qkv.weight for each in (one.teacher.encoder, other.teacher.encoder, one.encoder))
    trained = minimim.load(minimim.bundled("mae-scenes")).encoder.blocks[0].attn.qkv.weight
    assert not any(torch.equal(first, weight) for weight in (second, student, trained)) and first.shape == trained.shape
    assert one.teacher.saw == "nothing: random weights (micro, patches of 4)" and not one.teacher.encoder.training


def test_a_random_teacher_stays_the_same_in_a_run_and_when_it_is_saved(tmp_path):
    method = eva("random")
    with pytest.raises(UserError, match="have not been read"):
        method(raw())
    method.prepare(None, torch.Generator().manual_seed(0))
    before = {name: tensor.clone() for name, tensor in method.teacher.state_dict().items()}
    train(method, toy(), SHORT, bar=False)  # draws it anew, by the run's seed
    drawn = {name: tensor.clone() for name, tensor in method.teacher.state_dict().items()}
    assert not torch.equal(before["encoder.blocks.0.attn.qkv.weight"], drawn["encoder.blocks.0.attn.qkv.weight"])
    minimim.save(tmp_path / "taught.safetensors", method)
    loaded = minimim.load(tmp_path / "taught.safetensors")
    loaded.prepare(None, torch.Generator().manual_seed(9))
    assert all(torch.equal(tensor, loaded.teacher.state_dict()[name]) for name, tensor in drawn.items())
    assert create(**json.loads(json.dumps(method.spec))).teacher.saw == method.teacher.saw


# Saved with the method


def test_a_method_loads_and_learns_on_where_its_teachers_file_is_gone(taught, tmp_path):
    path, teacher = taught
    method = eva(path)
    train(method, toy(), SHORT, bar=False, out=tmp_path / "run")
    (tmp_path / "teacher.safetensors").unlink()
    with pytest.raises(UserError, match="there is no teacher"):
        eva(path)
    loaded = minimim.load(tmp_path / "run")
    assert same(loaded.teacher.encoder, teacher.encoder) and loaded.teacher.ready
    assert torch.equal(loaded.teacher.encoder(raw()).patches, teacher.encoder(raw()).patches)
    train(loaded, toy(), SHORT, bar=False)  # prepare has nothing to read
    assert same(loaded.teacher.encoder, teacher.encoder)


def test_what_the_spec_says_is_json_and_makes_the_same_method_again(taught):
    method = eva(taught[0])
    spec = json.loads(json.dumps(method.spec))
    assert spec["teacher"]["weights"] == taught[0] and spec["teacher"]["spec"]["name"] == "mae" and spec["teacher"]["saw"]
    again = create(**spec)
    assert again.spec["teacher"] == spec["teacher"] and [p.shape for p in again.parameters()] == [p.shape for p in method.parameters()]
    again.prepare(None)  # from a dict too, where the file still is
    assert same(again.teacher.encoder, taught[1].encoder)


def test_a_method_saved_before_it_was_prepared_is_not_taken_for_one_that_was(taught, tmp_path):
    minimim.save(tmp_path / "early.safetensors", eva(taught[0]))
    loaded = minimim.load(tmp_path / "early.safetensors")
    assert not loaded.teacher.ready
    loaded.prepare(None)
    assert same(loaded.teacher.encoder, taught[1].encoder)


def test_a_file_that_holds_another_teacher_by_now_is_refused(taught):
    method = eva(taught[0])
    minimim.save(taught[0], create("mae", image_size=16, patch_size=8))
    with pytest.raises(UserError, match="no longer holds the teacher that it held"):
        method.prepare(None)
    gone = eva(taught[0], patch_size=8)
    checkpoint.find(taught[0]).unlink()
    with pytest.raises(UserError, match="there is no checkpoint"):
        gone.prepare(None)


def test_a_half_precision_file_is_read_and_a_teacher_of_a_teacher_is_left_out(taught, tmp_path):
    first = eva(taught[0])
    first.prepare(None)
    minimim.save(tmp_path / "second.safetensors", first, half=True)
    method = eva(str(tmp_path / "second.safetensors"))
    method.prepare(None)
    assert torch.allclose(method.teacher.encoder(raw()).patches, first.eval().encoder(raw()).patches, atol=0.02)
    assert not any("teacher.teacher" in name for name in method.state_dict())
    assert "its own teacher: mae (micro" in method.teacher.saw


# What it can and cannot be


@pytest.mark.parametrize(
    "teacher, sentence",
    [
        ("mae-scene", r"there is no teacher 'mae-scene': name a bundled checkpoint \(mae-scenes\), a run's folder"),
        ("runs/nowhere", "there is no teacher 'runs/nowhere'"),
        ("timm:", "there is no teacher 'timm:'"),
    ],
)
def test_a_teacher_that_is_not_there_is_told_in_one_sentence(teacher, sentence):
    with pytest.raises(UserError, match=sentence):
        eva(teacher)


def test_a_method_put_together_by_hand_cannot_be_a_teacher(tmp_path):
    method = build("mae")
    method.spec = None
    minimim.save(tmp_path / "hand.safetensors", method)
    with pytest.raises(UserError, match="no method that `create` could make again"):
        eva(str(tmp_path / "hand.safetensors"))
    checkpoint.write(tmp_path / "classifier.safetensors", {}, {"spec": {"encoder": {}, "classes": 2}})
    with pytest.raises(UserError, match="give a pretrained one"):
        eva(str(tmp_path / "classifier.safetensors"))


def test_images_that_it_cannot_cut_are_refused_when_the_method_is_made():
    with pytest.raises(UserError, match="18×18 .* patches of 4"):
        create("eva", image_size=18, patch_size=3)
    assert create("eva", image_size=(16, 24), patch_size=8).encoder.home_grid == (2, 3)


def test_grey_images_are_shown_in_colour_to_a_teacher_of_colours():
    grey = raw(channels=1)
    method = eva(channels=1)
    method.prepare(None)
    watched = calls(method.teacher.encoder)
    method.eval()(grey)
    expected = normalize(grey.expand(-1, 3, -1, -1))
    assert torch.allclose(watched[0][0][0]["image"], expected, atol=1e-5)
    with pytest.raises(UserError, match="images of 3 channels, and these have 2"):
        method.teacher.encoder(torch.randn(2, 2, 16, 16))


# What it has seen


def test_what_a_teacher_saw_is_read_from_its_checkpoint(tmp_path):
    method = build("clip")
    train(method, scenes("train", 16, image_size=16), SHORT, bar=False, out=tmp_path, note={"data_name": "scenes"})
    assert eva(str(tmp_path)).teacher.saw == "clip (micro, patches of 4), trained on 16 images of scenes and their captions"
    assert eva().teacher.saw == "mae (micro, patches of 4), trained on images of scenes without labels"
    assert build("ibot").teacher is not None and not hasattr(build("ibot").teacher, "saw")


def test_a_run_that_was_stopped_or_begun_from_others_says_so(tmp_path):
    header = {"kind": "run", "spec": build("mae").spec, "images": 2000, "step": 5, "total": 9, "from": {"weights": "runs/a", "carried": "all weights"}}
    checkpoint.write(tmp_path / checkpoint.NAME, {}, header)
    assert eva(str(tmp_path)).teacher.saw == "mae (micro, patches of 4), trained on 2,000 images without labels, 5 of 9 steps, begun from runs/a"


def test_the_command_line_says_it_with_every_run_and_every_probe(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(minimim.commands.pretrain, "load", lambda *args, **more: scenes("train", 16, image_size=16))
    more = ["--patch-size", "4", "--epochs", "1", "--batch-size", "8", "--device", "cpu", "--out", str(tmp_path / "run")]
    assert main(["pretrain", "--method", "eva", *more]) == 0
    assert "the teacher: mae (micro, patches of 4), trained on images of scenes without labels\n" in capsys.readouterr().out
    assert checkpoint.description(tmp_path / "run")["data_name"] == "scenes"
    command = type("Probe", (), {"weights": "", "checkpoint": str(tmp_path / "run"), "key": "", "image_size": None, "preset": None, "fast": False})
    minimim.commands.probe.ready(command, "cpu")
    assert "its teacher: mae (micro" in capsys.readouterr().out


def test_a_run_is_resumed_where_its_teachers_file_is_gone(taught, tmp_path, monkeypatch):
    monkeypatch.setattr(minimim.commands.pretrain, "load", lambda *args, **more: scenes("train", 16, image_size=16))
    more = ["--patch-size", "4", "--epochs", "1", "--batch-size", "8", "--device", "cpu", "--out", str(tmp_path / "run")]
    assert main(["pretrain", "--method", "eva", "--teacher", taught[0], *more]) == 0
    (tmp_path / "teacher.safetensors").unlink()
    assert main(["pretrain", "--method", "eva", "--teacher", taught[0], *more, "--resume"]) == 0
    assert main(["pretrain", "--method", "eva", "--teacher", str(tmp_path / "other"), *more, "--resume"]) == 2


def test_weights_of_another_run_bring_their_teacher_only_where_the_method_is_the_same(taught, tmp_path):
    """Begun with --from: a teacher that is named is read, whatever came along; one that came with the spec is kept."""
    path, other = taught
    first = eva(path)
    first.prepare(None)
    minimim.save(tmp_path / "another.safetensors", create("mae", **SMALL))
    named = eva(str(tmp_path / "another.safetensors"))
    named.load_state_dict(first.state_dict())
    named.prepare(None)
    assert not same(named.teacher.encoder, other.encoder)
    kept = create(**first.spec)
    kept.load_state_dict(first.state_dict())
    nn.init.zeros_(other.encoder.norm.weight)
    minimim.save(path, other)
    kept.prepare(None)
    assert same(kept.teacher, first.teacher)
