"""Where heads look, by how an encoder was trained: the measures by hand, the encoders, the command, and the stored runs."""

import json
import runpy
import sys

import pytest
import torch
from helpers import TOP

BENCHMARKS = TOP / "benchmarks"


@pytest.fixture
def looks(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import attention_by_method

    return attention_by_method


def test_the_distance_of_even_attention_is_the_mean_distance_and_of_attention_to_oneself_zero(looks):
    even = torch.full((2, 3, 4, 4), 0.25)
    assert looks.distance(even, (2, 2)).tolist() == pytest.approx([(2 + 2**0.5) / 4] * 3)
    assert looks.distance(torch.eye(4).expand(2, 1, 4, 4), (2, 2)).tolist() == [0.0]


def test_heads_differ_by_the_fraction_that_they_place_elsewhere(looks):
    one, other = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.25, 0.75, 0.0])
    maps = torch.stack([one.expand(3, 3), other.expand(3, 3)]).unsqueeze(0)  # (1, 2, 3, 3)
    assert looks.difference(maps).item() == pytest.approx(0.75)
    assert looks.difference(maps[:, [0, 0]]).item() == 0.0


def test_what_is_covered_is_counted_over_each_garment(looks):
    weights = torch.tensor([[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]])
    garment = torch.tensor([[True, False, True, False], [True, False, False, False]])
    assert looks.covered(weights, garment, 0.5).tolist() == [0.5, 0.0]


@pytest.mark.parametrize("name", ["mae", "contrast", "labels"])
def test_all_encoders_are_of_one_size_and_learn_in_every_block(looks, name):
    torch.manual_seed(0)
    method = looks.made(name).train()
    encoder = method.encoder
    assert (encoder.dim, encoder.depth, encoder.heads) == (128, 4, 4) and encoder.cls_token is not None
    images = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8)
    method({"image": images, "label": torch.arange(8)}, generator=torch.Generator().manual_seed(0)).loss.backward()
    assert all(block.attn.qkv.weight.grad.abs().sum() > 0 for block in encoder.blocks)


def test_the_stored_runs_are_one_for_each_encoder_and_seed(looks):
    stored = json.loads((BENCHMARKS / "results" / "attention-by-method-cpu.json").read_text())
    there = [(run["encoder"], run["seed"]) for run in stored["runs"]]
    assert len(set(there)) == len(there) and {name for name, _ in there} <= set(looks.RATES)
    for run in stored["runs"]:
        assert len(run["distance"]) == 4 and all(len(heads) == 4 for heads in run["distance"]) and len(run["difference"]) == 4


@pytest.mark.slow
def test_the_command_makes_each_run_once(looks, tmp_path, monkeypatch):
    for _ in range(2):
        monkeypatch.setattr(sys, "argv", ["attention_by_method.py", "--smoke", "--device", "cpu", "--out", str(tmp_path)])
        runpy.run_path(str(BENCHMARKS / "attention_by_method.py"), run_name="__main__")
    runs = json.loads((tmp_path / "attention-by-method-cpu.json").read_text())["runs"]
    assert [run["encoder"] for run in runs] == list(looks.RATES)
