"""The seven cases of the hunt: the very files, small, and each told from the others by the measurement that it is there for."""

import hashlib
import importlib.util
import math
import sys
from functools import cache

import pytest
import torch
from helpers import TOP

import minimim
from minimim import checkpoint, diagnose, evaluate
from minimim.errors import UserError
from minimim.feedback import sabotaged

SHA256 = {  # as scripts/build_sabotaged.py printed them
    "a": "c793b011b27bd2426b26aa39e822d6ba7f8d75df379cc2cdcb0d10069a6d90da",
    "b": "f225c6b5967c4ce338a354ab42f2afc76f55064d1da99c8e93973c16e7d03d66",
    "c": "a6d87762bb19143f400618bae9227437290870566045ebce8848d38337285ff1",
    "d": "72f225bec225d88176f7c83567738f4302ad28c05357c740cb800d03b13381ad",
    "e": "41e86b588046e6a6c29054c6c58854b174ebf68e378d651bfe7e1e5120affa4e",
    "f": "36422b25f6c984d04159fe120ed2ca5a019f957ef8b3419787bed5a4b6b3c8d7",
    "g": "191c5887316fc6f3401c16c535b1bbba3d85fbcccaf797a7a6ae6245cb09dd5a",
}
HEALTHY = "d"


@cache
def case(name):
    return sabotaged.case(name)


@cache
def scenes(split, count):
    return minimim.data.load("scenes", split, count=count)


@cache
def seen(name):
    """The numbers of the instruments, for one case."""
    images = scenes("test", 32).images
    numbers = diagnose.leak(case(name).method, images).numbers
    return numbers | {"std": diagnose.relative_std(evaluate.extract(case(name).method.encoder, scenes("test", 200)).x)}


def answer(name, noise):
    with torch.no_grad():
        return case(name).method(scenes("test", 32).images, noise=noise)


def alone(names, fault):
    """Whether a fault is found in one case, and it is the one that has it."""
    return list(names) == [name for name in sabotaged.NAMES if checkpoint.read(sabotaged.path(name))[1]["fault"] == fault]


def hidden_error(name):
    """Mean squared error of the hidden pixels, in normalised units."""
    output = answer(name, noise())
    return float((output.prediction - output.target)[output.mask].square().mean())


@cache
def near(name):
    """k-NN of what probes read."""
    parts = scenes("train", 2000), scenes("test", 1000)
    return evaluate.knn(*(evaluate.extract(case(name).method.encoder, images) for images in parts))


def noise():
    return torch.rand(32, 64, generator=torch.Generator().manual_seed(0))


def others(*names):
    return [name for name in sabotaged.NAMES if name not in names]


@pytest.mark.parametrize("name", sabotaged.NAMES)
def test_it_is_the_file_that_was_made_and_it_is_small(name):
    path = sabotaged.path(name)
    assert path.stat().st_size < 1e6
    assert hashlib.sha256(path.read_bytes()).hexdigest() == SHA256[name]
    tensors, about = checkpoint.read(path)
    assert about["command"] == "python scripts/build_sabotaged.py" and about["seed"] == 0
    assert all(tensor.dtype == torch.float16 and tensor.isfinite().all() for tensor in tensors.values())


def test_each_fault_is_there_once_and_the_script_makes_them_all():
    spec = importlib.util.spec_from_file_location("build_sabotaged", TOP / "scripts" / "build_sabotaged.py")
    script = importlib.util.module_from_spec(spec)
    sys.modules["build_sabotaged"] = script
    spec.loader.exec_module(script)
    stored = {name: checkpoint.read(sabotaged.path(name))[1]["fault"] for name in sabotaged.NAMES}
    assert stored == {name: recipe.fault for name, recipe in script.CASES.items()}
    assert sorted(stored.values()) == sorted(sabotaged.FAULTS)


@pytest.mark.parametrize("name", sabotaged.NAMES)
def test_a_case_has_its_name_a_method_in_eval_mode_and_its_curve(name):
    found = case(name)
    assert found.name == name and not any(module.training for module in found.method.modules())
    assert len(found.history) >= 25 and set(found.history[0]) == {"step", "loss", "grad_norm", "lr"}
    assert all(math.isfinite(x) for line in found.history for x in line.values())
    output = answer(name, noise())
    assert output.prediction.shape[:2] == output.mask.shape == (32, 64) and output.mask.sum() == 32 * 48


def test_a_letter_that_is_none_is_told():
    with pytest.raises(UserError, match="unknown case 'h'"):
        sabotaged.case("h")


# the measurement that proves each


def test_noise_under_the_mask_moves_one_alone():
    assert alone([name for name in sabotaged.NAMES if seen(name)["moved"] > 0.05], "leak")
    assert all(seen(name)["moved"] < 1e-4 for name in others("e"))


def test_the_loss_of_one_alone_gives_nothing_for_what_is_hidden():
    assert alone([name for name in sabotaged.NAMES if seen(name)["visible_credit"] > 0.99], "loss on visible")
    assert all(seen(name)["visible_credit"] < 0.9 for name in others("g"))
    assert seen(HEALTHY)["visible_credit"] == 0


def test_the_order_of_reading_moves_one_alone():
    moves = {}
    for name in sabotaged.NAMES:
        one = answer(name, noise())
        two = answer(name, one.mask.float() - noise())
        assert torch.equal(one.mask, two.mask)
        moves[name] = float((one.prediction - two.prediction).norm() / one.prediction.norm())
    assert alone([name for name, moved in moves.items() if moved > 0.3], "ids not restored")
    assert all(moved < 1e-4 for name, moved in moves.items() if name != "c")


def test_features_are_something_else_than_the_latents_in_one_alone():
    images, apart = scenes("test", 32).images, {}
    with torch.no_grad():
        for name in sabotaged.NAMES:
            encoder = case(name).method.encoder
            latents = encoder(images).patches.mean(1)
            apart[name] = float((encoder.features(images) - latents).norm() / latents.norm())
    assert alone([name for name, distance in apart.items() if distance > 0.2], "untrained features")
    assert all(distance < 1e-5 for name, distance in apart.items() if name != "a")


def test_a_block_takes_the_size_of_its_input_away_in_one_alone():
    grown = {}
    with torch.no_grad():
        for name in sabotaged.NAMES:
            encoder = case(name).method.encoder
            x = torch.randn(1, 4, encoder.dim, generator=torch.Generator().manual_seed(0))
            grown[name] = min(float(block(1000 * x).norm() / block(x).norm()) for block in encoder.blocks)
    assert alone([name for name, times in grown.items() if times < 5], "post-norm")
    assert all(times > 50 for name, times in grown.items() if name != "f"), grown


def test_images_are_alike_in_one_alone():
    stds = {name: seen(name)["std"] for name in sabotaged.NAMES}
    assert alone([name for name, std in stds.items() if std < 0.25], "collapse")
    assert stds["b"] < 0.5 * min(std for name, std in stds.items() if name != "b"), stds


# what makes them look alike


def test_the_untrained_features_belong_to_a_method_that_fills_in_as_well_as_the_healthy_one():
    assert hidden_error("a") < 1.25 * hidden_error(HEALTHY)
    assert near("a").value < near(HEALTHY).value - 2 * near(HEALTHY).stderr


def test_the_picture_is_bad_where_ids_are_not_restored_and_where_the_loss_is_on_the_visible():
    assert min(hidden_error("c"), hidden_error("g")) > 2 * hidden_error(HEALTHY)
    assert near("c").value > near("a").value + 2 * near("a").stderr  # the encoder is a good one


def test_curves_that_are_low_are_those_of_the_leak_the_copy_and_the_collapse():
    last = {name: case(name).history[-1]["loss"] for name in sabotaged.NAMES}
    assert max(last[name] for name in "beg") < 0.5 * last[HEALTHY]
    assert last["f"] > 1.3 * last[HEALTHY] and abs(last["c"] / last[HEALTHY] - 1) < 0.3
