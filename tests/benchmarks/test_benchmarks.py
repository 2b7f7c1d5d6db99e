"""The benchmarks run by their command, keep what they saw, and race models that do the same."""

import functools
import json
import runpy
import sys

import pytest
import torch
from helpers import TOP, generator

from minimim.interop import load
from minimim.threads import COUNT

pytestmark = pytest.mark.slow

BENCHMARKS = TOP / "benchmarks"


@pytest.fixture
def peers(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import peers

    return peers


def run(script, out, monkeypatch):
    """What `python benchmarks/<script> --smoke` writes, by the name of the file."""
    threads, path = torch.get_num_threads(), BENCHMARKS / script
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setattr(sys, "argv", [str(path), "--smoke", "--device", "cpu", "--out", str(out)])
    try:
        runpy.run_path(str(path), run_name="__main__")
    finally:
        torch.set_num_threads(threads)
    return {path.stem: json.loads(path.read_text()) for path in out.glob("*.json")}


def test_throughput_sets_ours_beside_every_peer(tmp_path, monkeypatch, capsys):
    written = run("throughput.py", tmp_path, monkeypatch)["throughput-cpu"]
    assert written["command"].startswith("python benchmarks/throughput.py --smoke") and written["seed"] == 0
    told = capsys.readouterr().out
    for mode in written["measured"]:
        names = {"minimim", "transformers", "timm", "lightly"} - set(mode["absent"])
        assert set(mode["images_per_second"]) == names and set(mode["ours_against"]) == names - {"minimim"}
        assert all(r["low"] <= r["median"] <= r["high"] for r in mode["ours_against"].values())
        assert mode["share"] > 0 and all(why in told for why in mode["absent"].values())
    assert [mode["dtype"] for mode in written["measured"]] == ["float32", "bfloat16"]


def test_cost_falls_with_the_mask_ratio_and_climbs_with_the_size(tmp_path, monkeypatch):
    written = run("cost.py", tmp_path, monkeypatch)
    work = {name: [row["flops_per_image"] for row in written[f"cost-{name}-cpu"]["measured"]] for name in ("mask", "size")}
    assert work["mask"] == sorted(work["mask"], reverse=True) and len(set(work["mask"])) == 5
    assert work["size"] == sorted(set(work["size"]))
    assert written["cost-probe-cpu"]["measured"][0]["accuracy"] > 0.2  # of 10 classes


def test_attention_lets_both_ways_take_turns_at_every_size(tmp_path, monkeypatch):
    written = run("attention.py", tmp_path, monkeypatch)["attention-cpu"]
    measured, whole = written["measured"], written["in_a_step"]
    assert [row["plain_up_to"] for row in whole] == [17, 65] and all(row["fused_to_plain"]["low"] > 0 for row in whole)
    sizes = [(row["dtype"], row["tokens"], row["head_width"]) for row in measured]
    assert len(sizes) == len(set(sizes)) == 4 and all(row["batch"] * row["tokens"] * 64 <= 4096 for row in measured)
    for row in measured:
        low, middle, high = (row["fused_to_plain"][part] for part in ("low", "median", "high"))
        assert 0 < low <= middle <= high and set(row["milliseconds"]) == {"fused", "plain"}


def test_waiting_measures_every_setting_alone_and_beside_busy_processes(tmp_path, monkeypatch):
    written = run("waiting.py", tmp_path, monkeypatch)["waiting-cpu"]
    assert [row["busy"] for row in written["measured"]] == [busy for busy in (0, 1, 2) for _ in written["settings"]]
    assert {row["setting"] for row in written["measured"]} == set(written["settings"]) >= {"torch's own", f"count {int(COUNT):,}"}
    for row in written["measured"]:
        assert len(row["every_turn"]) == written["turns"] == 1 and row["every_turn"][0] > 0
        assert (row["to_torchs_own"] == 1) or row["setting"] != "torch's own"


def test_quality_measures_each_recipe_once_and_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    written = run("quality.py", tmp_path, monkeypatch)["quality-cpu"]
    assert [row["options"]["normalize_target"] for row in written["runs"]] == [False, True]
    assert set(written["floors"]) == {"random_init", "raw_pixels"}
    for row in written["runs"]:
        assert row["loss"][-1][0] == written["steps"] and row["hidden_error_over_hole_filler"] > 0 and len(row["off"]) == 3
    (tmp_path / "quality-cpu.json").write_text(json.dumps(written | {"runs": written["runs"][1:]}))
    capsys.readouterr()
    again = run("quality.py", tmp_path, monkeypatch)["quality-cpu"]
    assert capsys.readouterr().out.count("seed ") == 1 and len(again["runs"]) == len(written["runs"])
    assert again["runs"][-1]["loss"] == written["runs"][0]["loss"]


@pytest.mark.parametrize("able", ["AVX512", "AVX2"])
def test_speed_switches_each_measure_alone_and_writes_after_every_round(able, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: able)
    written = run("speed.py", tmp_path, monkeypatch)["speed-cpu"]
    assert set(written["gains"]) == {"memory", "bf16", "fused", "unread", "visible"}  # compiling takes too long here
    ratios = [r for gain in written["gains"].values() for r in (gain["alone"], gain["off_alone"])]
    assert all(0 < r["low"] <= r["median"] <= r["high"] for r in (*ratios, written["all_together"], written["minimim"]))
    assert all(r["low"] < r["high"] for r in ratios)  # each of two different settings
    every = {"memory", "bf16", "fused", "unread", "visible"}
    full = every if able == "AVX512" else every - {"bf16"}  # which only slows such a CPU
    alone = [{"visible"}, set(), *({"visible", m} for m in every - {"visible"})]
    timed = [set(name.split()) - {"none"} for name in written["images_per_second"]]
    assert {"minimim"} in timed and all(s in timed for s in (full, *alone, *(full ^ {m} for m in every)))
    assert len(timed) == 13 and set(written["together"].split()) == full - {"visible"} and written["rounds"] == 2 and "the method's own gain" in written["gains"]["visible"]["about"]
    assert capsys.readouterr().out.count("written to") == 1  # the first of the two rounds has no quartiles


@pytest.fixture
def speed(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import speed

    return speed


def test_a_turn_of_the_plain_loop_times_whole_waves_of_its_workers(speed):
    assert all(speed.STEPS[device] % max(1, workers) == 0 for device, workers in speed.WORKERS.items())


def test_both_models_of_speed_are_compiled_for_the_sizes_that_they_have(speed, monkeypatch):
    monkeypatch.setattr(torch._dynamo.config, "automatic_dynamic_shapes", True)
    seen = []

    def backend(graph, inputs):
        seen.append(any(isinstance(x, torch.SymInt) for x in inputs))
        return graph

    torch.compiler.reset()
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=backend))
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    for measures in ({"visible", "compile"}, {"compile"}):
        speed.build("micro", frozenset(measures), "cpu")(images)
    assert len(seen) >= 4 and not any(seen)


def test_protocols_measure_each_setting_once(tmp_path, monkeypatch, capsys):
    written = run("protocols.py", tmp_path, monkeypatch)["protocols-cpu"]
    rows = {row["protocol"]: row for row in written["rows"]}
    assert len(rows) == len(written["rows"]) == 8 and {"cached", "official"} < set(rows) and written["labels"] == 300
    assert all(0 <= row["accuracy"] <= 1 and row["stderr"] > 0 and row["machine"] == written["machine"] for row in rows.values())
    assert len({row["accuracy"] for row in rows.values()}) > 1
    (tmp_path / "protocols-cpu.json").write_text(json.dumps(written | {"rows": written["rows"][1:]}))
    capsys.readouterr()
    again = run("protocols.py", tmp_path, monkeypatch)["protocols-cpu"]["rows"]
    assert capsys.readouterr().out.count("seed ") == 1 and again[0]["protocol"] == "cached" and again[1:] == written["rows"][1:]


def test_the_operations_that_are_counted_are_those_of_the_products(peers):
    from throughput import flops

    setting = peers.Setting(16, 4, "micro", {})
    dim, decoder_dim, pixels, visible, patches = 128, 64, 48, 4, 16

    def block(dim, tokens):  # qkv, proj, fc1, fc2, and the two products of attention
        return 12 * dim * dim * tokens + 2 * dim * tokens * tokens

    embed = visible * pixels * dim
    rest = 4 * block(dim, 1 + visible) + (1 + visible) * dim * decoder_dim
    rest += 2 * block(decoder_dim, 1 + patches) + (1 + patches) * decoder_dim * pixels
    # Each product costs two operations a pair, and twice as much again on the way back; pixels need no gradient.
    assert flops(peers.Ours(setting), torch.randn(2, 3, 16, 16)) == 2 * (2 * embed + 3 * rest)


@pytest.mark.parametrize("name", ["transformers", "timm", "lightly"])
def test_a_peer_computes_our_loss_and_our_gradient(peers, name):
    pytest.importorskip(name)
    setting = peers.Setting(16, 4, "micro", {})
    ours, theirs = peers.Ours(setting).double(), peers.PEERS[name](setting).double()
    with torch.no_grad():
        for p in theirs.parameters():
            p.add_(0.05 * torch.randn_like(p))
    loaded = load(ours.method, official(theirs, name))
    assert loaded.decoder and not loaded.ignored
    images = torch.randn(3, 3, 16, 16, generator=generator(), dtype=torch.float64)
    noise = torch.rand(3, 16, generator=generator(1), dtype=torch.float64)
    one, two = ours(images, noise=noise), theirs(images, noise=noise)
    torch.testing.assert_close(one, two, rtol=1e-10, atol=0)
    assert not torch.allclose(one, ours(images, noise=1 - noise))
    one.backward(), two.backward()
    mine = ours.method.encoder.patch_embed.proj.weight.grad
    other = next(p.grad for n, p in theirs.named_parameters() if n.endswith(("proj.weight", "projection.weight")))
    torch.testing.assert_close(mine, other, rtol=1e-8, atol=1e-12)


def official(model, name):
    """A peer's weights in a spelling that minimim reads."""
    weights = model.state_dict()
    if name == "transformers":
        return {n.removeprefix("model."): p for n, p in weights.items()}
    if name == "timm":
        return weights
    renamed = {"embed.": "decoder_embed.", "pred.": "decoder_pred.", "decoder.mask_token": "mask_token"}
    renamed |= {"decoder.": "decoder_", "encoder.vit.": ""}
    spelt = {}
    for n, p in weights.items():
        if n != "encoder.mask_token":  # lightly's encoder carries one that MAE does not use
            old = next(prefix for prefix in renamed if n.startswith(prefix))
            spelt[renamed[old] + n.removeprefix(old)] = p
    return spelt
