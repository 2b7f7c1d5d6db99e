"""The numbers in the appendix of the page on scale are those that were counted, worked out or stored."""

import json
import math
import re

import pytest
import torch
from helpers import TOP

from minimim import methods
from minimim.commands.bench import flops
from minimim.presets import PRESETS, preset
from minimim.train.schedule import cosine

RESULTS = TOP / "benchmarks" / "results"
PAGE = (TOP / "docs" / "scale.md").read_text().partition("## Appendix to the capstone")[2]


def stored(name):
    return json.loads((RESULTS / f"{name}.json").read_text())


def row(start):
    (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| {start}")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def block(tokens, dim):
    return 24 * tokens * dim**2 + 4 * tokens**2 * dim


def by_hand(what):
    """Operations of a step on one image by the page's formula, and the encoder's part of the forward pass."""
    with torch.device("meta"):
        method = methods.create(what.method, **what.sizes, **what.options)
    n, encoder, decoder = math.prod(method.encoder.home_grid), method.encoder, method.decoder
    k, pixels, width = n - int(0.75 * n), 3 * what.patch_size**2, decoder.pred.in_features
    patches, inside = 2 * k * pixels * encoder.dim, encoder.depth * block(1 + k, encoder.dim)
    behind = 2 * (1 + k) * encoder.dim * width + len(decoder.blocks) * block(1 + n, width) + 2 * (1 + n) * width * pixels
    return 3 * (patches + inside + behind) - patches, inside / (patches + inside + behind)


@pytest.mark.parametrize("name", ["cifar10-cpu", "cifar10", "imagenet"])
def test_operations_are_those_of_the_formula(name):
    count, part = by_hand(preset(name))
    _, told, share = row(f"`{name}`")
    assert told in (f"{count:,}", f"{count / 1e9:.2f} billion") and share == f"{part:.0%}".replace("%", " %")


def test_the_formula_gives_what_torch_counts():
    assert by_hand(preset("cifar10-cpu"))[0] == flops(preset("cifar10-cpu"), "cpu") == 129_246_720
    counted = {line["setting"]: line["flops_per_image"] for line in stored("throughput-cpu")["measured"]}
    assert by_hand(preset("cifar10"))[0] == counted["ViT-T/4 at 32"] and by_hand(preset("imagenet"))[0] == counted["ViT-B/16 at 224"]
    minutes = by_hand(preset("imagenet"))[0] * 1_281_167 * 1600 / (0.40 * 989e12) / 60
    assert abs(minutes / 5000 - 1) < 0.01 and PRESETS["imagenet"].needs["pretrain"].minutes["H100"] == 5000


def test_gains_are_those_that_were_measured():
    keys = {"images in memory": "memory", "bf16": "bf16", "fused AdamW": "fused", "torch.compile": "compile", "the loss is read": "unread", "the encoder reads": "visible"}
    for start, key in keys.items():
        cells = row(start)[2:]
        for cell, name in zip(cells, ("speed-cpu", "speed-cpu-avx2"), strict=True):
            gains = stored(name)["gains"].get(key)
            assert cell == (f"{gains['alone']['median']:.2f}, {gains['off_alone']['median']:.2f}" if gains else "not measured"), (start, name)


def test_protocols_have_their_accuracies_and_lars_its_reach():
    rows = {line["protocol"]: line["accuracy"] for line in stored("protocols-cpu")["rows"]}
    told = [float(number) for number in re.findall(r"^\| [^|]+ \| (0\.\d{3}) \|$", PAGE, re.MULTILINE)]
    assert len(told) == len(rows) and all(abs(a - b) < 0.00051 for a, b in zip(told, rows.values(), strict=True))
    assert {f"{max(line['stderr'] for line in stored('protocols-cpu')['rows']):.3f}"} == set(re.findall(r"standard error (0\.\d+)", PAGE))
    reach = {rate: sum(0.01 * rate * cosine(s, 880, 880 // 9) for s in range(880)) for rate in (0.2, 6.4)}
    assert f"R is {reach[0.2]:.2f}" in PAGE and f"At 6.4, R is {reach[6.4]:.0f}" in PAGE


def test_the_run_on_cifar10_has_its_stored_accuracies():
    run = stored("cifar10-cpu")
    cached, figures = run["scores"]["linear_probe"]["pretrained"][0], run["figures"]
    words = " ".join(PAGE.split())
    assert f"cached probe {cached:.3f}, official probe {figures['official'][0]:.3f}, fine-tuned {figures['finetune'][0]:.3f}, fine-tuned from a random start {figures['scratch'][0]:.3f}" in words
