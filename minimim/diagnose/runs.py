"""Is a run stable? Each block's gradient before the first step; leaps, plateaus and overflows of the loss after it."""

import math
import statistics

import torch
from torch import Tensor

from minimim.data.views import Inputs, as_inputs, normalized
from minimim.diagnose.verdict import Verdict
from minimim.errors import UserError


def gradient_by_block(method, images: Tensor | Inputs, generator: torch.Generator | None = None) -> list[float]:
    """The gradient's norm in each block of the encoder, first block first, of one batch (B, C, H, W) in eval mode.

    Before the first step no learning rate has acted yet, so uneven gradients come from the architecture (arXiv 2002.04745). Even
    gradients do not show that a run will be stable: a deep post-norm encoder can begin with them and still get stuck.
    """
    training = method.training
    device = next(method.parameters()).device
    inputs = normalized({name: x.to(device) for name, x in as_inputs(images).items()})
    loss = method.eval()(inputs, generator=generator).loss
    method.train(training)
    blocks = [[p for p in block.parameters() if p.requires_grad] for block in method.encoder.blocks]
    gradients = iter(torch.autograd.grad(loss, [p for block in blocks for p in block]))
    return [math.sqrt(sum(float(next(gradients).square().sum()) for _ in block)) for block in blocks]


def stability(history: list[dict]) -> Verdict:
    """Did the loss come down and stay down? history: dicts of step, loss, grad_norm and, where known, lr, as `train` gives.

    leap: the largest ratio of a loss to the lowest one before it; leap_step: its step; leap_rate: the learning rate there, over the
    highest of the run; fall: 1 − the mean loss of the last fifth of the run over that of its second fifth; bad_step: the first step
    that is not finite. Raises UserError for fewer than 5 lines with a loss.
    """
    lines = [line for line in history if "loss" in line]
    if len(lines) < 5:
        raise UserError(f"a run is judged by 5 lines with a loss or more, and this one has {len(lines)}: log more often")
    steps, losses, norms = ([line[name] for line in lines] for name in ("step", "loss", "grad_norm"))
    bad = next((n for n in range(len(lines)) if not math.isfinite(losses[n] + norms[n])), None)
    good = losses[:bad]
    lowest = [min(good[: n + 1]) for n in range(len(good))]
    leaps = [here / before for here, before in zip(good[1:], lowest, strict=False)] or [1.0]
    at = leaps.index(max(leaps)) + 1
    numbers = {"leap": max(leaps), "leap_step": steps[at]}
    highest = max(line.get("lr", 0.0) for line in lines)
    if highest:
        numbers["leap_rate"] = lines[at].get("lr", 0.0) / highest
    leapt = f"the loss leapt to {numbers['leap']:.1f} times its lowest by step {steps[at]}"
    if bad is not None:
        numbers["bad_step"] = steps[bad]
        why = f"after {leapt}: look at the learning rate" if numbers["leap"] > 1.5 else (
            "without a leap before it: an overflow, look at the largest activation if the run is in half precision"
        )  # fmt: skip
        return Verdict(False, f"unstable: not finite at step {steps[bad]}, {why}", numbers)
    fifth = max(1, len(lines) // 5)
    numbers["fall"] = 1 - statistics.mean(losses[-fifth:]) / statistics.mean(losses[fifth : 2 * fifth])
    rerun = "rerun its beginning with an eighth of the learning rate, then with the usual architecture: what settles it is the cause"
    if numbers["leap"] > 1.5:
        where = f", at {numbers['leap_rate']:.0%} of the highest learning rate" if highest else ""
        return Verdict(False, f"unstable: {leapt}{where}: {rerun}", numbers)
    if numbers["fall"] < 0.05:
        return Verdict(False, f"stuck: after the first fifth the loss came down by {numbers['fall']:.1%}: {rerun}", numbers)
    return Verdict(True, f"stable: the loss came down by {numbers['fall']:.0%} after the first fifth, without a leap", numbers)
