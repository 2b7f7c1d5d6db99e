"""`minimim bench`: what it times, how it divides a step, and what it says."""

import re
from dataclasses import replace

import pytest
import torch

from minimim.cli import main, parse
from minimim.commands import bench
from minimim.commands.bench import Bench
from minimim.methods import create
from minimim.presets import PRESETS


@pytest.fixture(autouse=True)
def small_product(monkeypatch):
    """Small matrices, for time's sake."""
    monkeypatch.setattr(bench, "SIDE", dict.fromkeys(("cpu", "cuda", "mps"), 64))


def small(**train):
    return replace(PRESETS["demo"], image_size=16, train=replace(PRESETS["demo"].train, **train))


class Clock:
    """A clock that all but stands still until it is told to go on."""

    def __init__(self):
        self.time = 0.0

    def perf_counter(self):
        self.time += 1e-6
        return self.time

    def forward(self, seconds):
        self.time += seconds


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_step_is_divided_where_its_parts_end(monkeypatch, accumulate):
    clock, made = Clock(), create

    def slow(*args, **more):
        method = made(*args, **more)
        method.views.register_forward_hook(lambda *_: clock.forward(1))
        method.masking.register_forward_hook(lambda *_: clock.forward(2))
        method.decoder.register_forward_hook(lambda *_: clock.forward(4))
        method.encoder.patch_embed.proj.weight.register_hook(lambda _: clock.forward(8))  # the last gradient to come
        return method

    monkeypatch.setattr(bench, "time", clock)
    monkeypatch.setattr(bench.methods, "create", slow)
    monkeypatch.setattr(bench, "adamw", lambda *args, adamw=bench.adamw: hooked(adamw(*args), clock))
    timed = bench.time_setting(small(batch_size=4, accumulate=accumulate), torch.device("cpu"), torch.float32, False, 2)
    parts = dict(zip(bench.PARTS, (1 * accumulate, 6 * accumulate, 8 * accumulate, 16), strict=True))
    assert timed.parts == pytest.approx(parts, abs=1e-4)
    assert timed.rates == pytest.approx([4 / sum(parts.values())] * 2, rel=1e-4)


def test_the_rate_of_a_large_product_counts_a_multiplication_and_an_addition_a_pair(monkeypatch):
    times, seconds = [], bench.seconds

    def two_seconds(work, device):
        seconds(work, device)
        times.append(2.0)
        return 2.0

    monkeypatch.setattr(bench, "seconds", two_seconds)
    timed = bench.time_setting(small(batch_size=4), torch.device("cpu"), torch.float32, False, 2)
    assert timed.product == (64**3 + 64**3) / 2 and timed.rates == [2.0, 2.0]


def hooked(optimizer, clock):
    optimizer.register_step_pre_hook(lambda *_: clock.forward(16))
    return optimizer


def test_the_operations_of_an_image_are_those_of_the_products():
    dim, decoder_dim, pixels, visible, patches = 128, 64, 48, 4, 16

    def block(dim, tokens):  # qkv, proj, fc1, fc2, and the two products of attention
        return 12 * dim * dim * tokens + 2 * dim * tokens * tokens

    embed = visible * pixels * dim
    rest = 4 * block(dim, 1 + visible) + (1 + visible) * dim * decoder_dim
    rest += 2 * block(decoder_dim, 1 + patches) + (1 + patches) * decoder_dim * pixels
    # Each product costs two operations a pair, and twice as much again on the way back; pixels need no gradient.
    assert bench.flops(small(), torch.device("cpu")) == 2 * (2 * embed + 3 * rest)


def test_it_says_where_the_time_goes(capsys):
    assert main(["bench", "--batch-size", "4", "--image-size", "16", "--rounds", "2", "--precision", "fp32"]) == 0
    told = capsys.readouterr().out
    parts = {name: float(percent) for name, percent in re.findall(r"    (\w[\w ]+?) +[\d.]+ ms +(\d+)%", told)}
    assert tuple(parts) == bench.PARTS and sum(parts.values()) == pytest.approx(100, abs=2)
    assert "timed separately" in told and ("GiB" in told) == torch.cuda.is_available()


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_brings_its_method_sizes_options_and_batch(name):
    assert parse(["bench", "--preset", name]).wanted() == PRESETS[name]


def test_what_is_asked_for_changes_a_preset():
    base = replace(PRESETS["demo"], train=replace(PRESETS["demo"].train, batch_size=32, accumulate=4))
    PRESETS["cut"] = base
    try:
        wanted = Bench(preset="cut", image_size=(16, 24), size="tiny", options={"mask_ratio": 0.5}).wanted()
        assert (wanted.image_size, wanted.size, wanted.patch_size) == ((16, 24), "tiny", base.patch_size)
        assert wanted.options == {**base.options, "mask_ratio": 0.5} and wanted.train == base.train
        assert Bench(preset="cut", batch_size=8).wanted().train == replace(base.train, batch_size=8)
        assert Bench(preset="cut", accumulate=1).wanted().train == replace(base.train, accumulate=1)
    finally:
        del PRESETS["cut"]


def test_another_method_keeps_the_batch_and_brings_the_rest():
    wanted = Bench(method="data2vec").wanted()
    assert wanted.method == "data2vec" and not wanted.options
    assert wanted.train == replace(create("data2vec").defaults, batch_size=PRESETS["demo"].train.batch_size)


def test_a_setting_is_timed_on_bytes_of_the_preset_s_shape(monkeypatch):
    seen = []
    monkeypatch.setattr(bench, "Stepper", recording(seen))
    what = replace(small(batch_size=6, accumulate=2), image_size=(8, 12), options={"channels": 2})
    timed = bench.time_setting(what, torch.device("cpu"), torch.float32, False, 3)
    assert len(timed.rates) == 3 and len(seen) == 8 and {len(parts) for parts in seen} == {2}
    for images in seen[0]:
        assert images.shape == (3, 2, 8, 12) and images.dtype == torch.uint8 and images.float().std() > 50


def recording(seen):
    class Recording(bench.Stepper):
        def __call__(self, step, parts):
            seen.append(parts)
            return super().__call__(step, parts)

    return Recording


def test_a_lack_of_memory_is_one_sentence(monkeypatch, capsys):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(bench, "time_setting", full)
    assert main(["bench", "--device", "cpu", "--batch-size", "8"]) == 2
    told = capsys.readouterr()
    assert "--accumulate 2" in told.err and "not timed" not in told.out


def test_a_setting_without_room_is_told_and_the_others_are_timed(monkeypatch, capsys):
    def full_in_fp32(what, device, dtype, *_):
        if dtype == torch.float32:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return bench.Timed([4.0], 8e9, dict.fromkeys(bench.PARTS, 0.25), None)

    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(bench, "flops", lambda *_: 4e8)
    monkeypatch.setattr(bench, "time_setting", full_in_fp32)
    assert main(["bench", "--device", "cpu", "--batch-size", "8"]) == 0
    told = capsys.readouterr().out
    assert re.search("--precision fp32 +not timed: the memory of cpu .*--accumulate 2", told)
    assert "fastest here: --precision bf16" in told


def test_the_fastest_is_the_one_with_the_best_middle(monkeypatch, capsys):
    rates = {torch.float32: [1.0, 5.0, 5.0], torch.bfloat16: [4.0, 4.0, 99.0]}
    parts = dict.fromkeys(bench.PARTS, 0.25)
    monkeypatch.setattr(bench, "flops", lambda *_: 4e8)
    monkeypatch.setattr(bench, "time_setting", lambda what, device, dtype, *_: bench.Timed(rates[dtype], 8e9, parts, 2**31))
    assert main(["bench", "--device", "cpu"]) == 0
    told = capsys.readouterr().out
    assert "fastest here: --precision fp32" in told and "5.0 images/s (1.0 to 5.0)" in told and "2.00 GiB" in told
    assert "0.400 GFLOP of" in told and "so 2 GFLOP/s" in told and "25% of the 8 GFLOP/s" in told
    assert told.count("250.00 ms   25%") == 4


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--preset", "dmo"], "did you mean 'demo'"),
        (["--method", "mea"], "did you mean 'mae'"),
        (["--batch-size", "8", "--accumulate", "3"], "cannot be cut into 3 equal parts"),
    ],
)
def test_a_mistake_gets_one_sentence(capsys, arguments, sentence):
    assert main(["bench", *arguments]) == 2
    assert sentence in capsys.readouterr().err
