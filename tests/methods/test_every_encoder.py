"""What every method of the registry promises, III: its encoder can be probed and fine-tuned, and the command line trains it."""

import pytest
import torch
from every_method import NAMES, SMALL, data, settings, small

import minimim.commands.pretrain
from minimim.cli import main
from minimim.evaluate import FinetuneConfig, extract, finetune, knn, linear_probe
from minimim.methods import options
from minimim.train import train


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


def test_its_encoder_can_be_probed_and_fine_tuned(name):
    method = small(name)
    train(method, data(), settings(method, steps=1), bar=False)
    features = extract(method.encoder, data()), extract(method.encoder, data(12, "test"))
    assert features[0].x.shape == (24, method.encoder.dim) and features[0].x.isfinite().all()
    assert linear_probe(*features).n == knn(*features).n == 12
    tokens = method.encoder.features(data().images[:2], pool="patches")
    rows, cols = method.encoder.grid({"image": data().images[:2]})
    assert tokens.shape == (2, rows * cols, method.encoder.dim)
    start = {n: p.clone() for n, p in method.encoder.named_parameters()}
    score = finetune(method.encoder, data(), data(12, "test"), FinetuneConfig(epochs=1, batch_size=12, device="cpu"), bar=False)
    assert 0 <= score.value <= 1 and all(torch.equal(p, start[n]) for n, p in method.encoder.named_parameters())


def test_the_command_line_trains_it_and_says_what_it_can_be_told(name, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(minimim.commands.pretrain, "load", lambda *args, **more: data())
    told = [word for option, value in SMALL.get(name, {}).items() for word in (f"--{option.replace('_', '-')}", str(value))]
    more = ["--patch-size", "4", "--epochs", "1", "--batch-size", "12", "--device", "cpu", "--out", str(tmp_path / "run")]
    assert main(["pretrain", "--method", name, *more, *told]) == 0
    assert "the encoder is in" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["pretrain", "--method", name, "--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0 and all(f"--{option.replace('_', '-')}" in text for option in options(name))
