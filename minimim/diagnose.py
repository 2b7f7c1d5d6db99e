"""Is a run healthy? Each question is measured on the method itself, whatever its config says, and answered by a Verdict.

The survey (arXiv 2408.06687) names three signs of trouble; each has two causes, and a measurement that tells them apart:
    good loss, poor features     collapse | a task that asks for something else    effective rank and spread | two probes
    too good a reconstruction    a leak | too little masking                       noise under the mask | the hole-filler
    an unstable run              learning rate | architecture                      a rerun with one of them changed
"""

import math
import statistics
from dataclasses import dataclass

import torch
from torch import Tensor

from minimim.data.views import normalize
from minimim.errors import UserError
from minimim.evaluate.compare import floors
from minimim.evaluate.features import Features, extract
from minimim.evaluate.probe import linear_probe
from minimim.evaluate.regression import place_and_size, regression_probe
from minimim.evaluate.spectrum import effective_rank, feature_spread
from minimim.hole_filler import HoleFiller, visible_mean
from minimim.patches import patchify, unpatchify

__all__ = ["Verdict", "baseline", "checkup", "collapse", "effective_rank", "feature_spread", "gradient_by_block"]
__all__ += ["leak", "mismatch", "stability"]


@dataclass(frozen=True)
class Verdict:
    """healthy: whether nothing was found; words: what was found, for people; numbers: what the words rest on."""

    healthy: bool
    words: str
    numbers: dict[str, float]

    def __str__(self) -> str:
        return self.words


def collapse(features: Tensor, *, random: Tensor | None = None) -> Verdict:
    """Do images still get different features, in many directions? features: (n, D); random: those of the same images by
    an untrained encoder of the same kind, which says what this architecture begins with."""
    numbers = {"effective_rank": effective_rank(features), "spread": feature_spread(features)}
    least_rank, least_spread = 1 + 0.02 * min(features.shape), 0.02
    if random is not None:
        numbers |= {"random_rank": effective_rank(random), "random_spread": feature_spread(random)}
        least_rank = max(least_rank, 0.5 * numbers["random_rank"])
        least_spread = max(least_spread, 0.25 * numbers["random_spread"])
    said = f"effective rank {numbers['effective_rank']:.1f} of {features.shape[1]}, spread {numbers['spread']:.3f}"
    if random is not None:
        said += f" (random encoder: {numbers['random_rank']:.1f} and {numbers['random_spread']:.3f})"
    if numbers["spread"] < least_spread:
        return Verdict(False, f"collapse: all images get nearly the same features; {said}", numbers)
    if numbers["effective_rank"] < least_rank:
        return Verdict(False, f"collapse: images differ along few directions only; {said}", numbers)
    return Verdict(True, f"no collapse: {said}", numbers)


def mismatch(features: tuple[Features, Features], random: tuple[Features, Features], where=None) -> Verdict:
    """Did pretraining help to tell classes apart? If not, and where things are is told well, it served another task.

    features, random: (train, test) of the encoder and of an untrained one. where: (train, test) numbers to regress, (n, T).
    """
    mine, floor = linear_probe(*features), linear_probe(*random)
    numbers = {"class": mine.value, "random_class": floor.value}
    said = f"classes {mine.value:.3f}, by a random encoder {floor.value:.3f}"
    if where is not None:
        numbers["place"] = regression_probe(features[0], where[0], features[1], where[1]).value
        said += f"; place and size R² {numbers['place']:.2f}"
    if mine.value - floor.value > 2 * math.hypot(mine.stderr, floor.stderr):
        return Verdict(True, f"the task helps to tell classes: {said}", numbers)
    known = numbers.get("place", 0.0) > 0.5
    why = "the features know where things are and not what: task mismatch" if known else "look for collapse, or train longer"
    return Verdict(False, f"no better at classes than a random encoder: {said}; {why}", numbers)


def leak(method, images: Tensor, generator: torch.Generator | None = None) -> Verdict:
    """Does the method see, or get credit for, what it should not? Measured in eval mode on images (B, C, H, W).

    moved: how much the predictions of hidden places move, relative to their spread, when noise is put under the mask; 0
    when nothing leaks. visible_credit: the part of the loss's gradient that goes to predictions of visible places; 0 when
    only hidden ones count. home: change one visible patch of each image: the share of images whose prediction changes most
    at that very place; near 1 when ids are restored, near 1/N when not.
    """
    training, size = method.training, method.encoder.patch_size
    device = next(method.parameters()).device
    generator = generator or torch.Generator(device).manual_seed(0)
    clean, kept = normalize(images.to(device)), []

    def same(module, args, masks):  # every run under the masks of the first
        kept.append(masks)
        return kept[0]

    def answer(places: Tensor) -> Tensor:
        """The prediction with noise at these places, (B, N) bool."""
        changed = torch.where(places.unsqueeze(-1), noise, patches)  # (B, N, T)
        with torch.no_grad():
            return method(unpatchify(changed, size, method.encoder.grid(clean)), generator=generator).prediction

    handle = method.eval().masking.register_forward_hook(same)
    try:
        output = method(clean, generator=generator)
        (gradient,) = torch.autograd.grad(output.loss, output.prediction)  # (B, N, T)
        hidden, prediction = output.mask, output.prediction.detach()
        patches = patchify(clean, size)  # (B, N, T)
        noise = torch.randn(patches.shape, generator=generator, device=device)
        draw = torch.rand(hidden.shape, generator=generator, device=device).masked_fill(hidden, -1)
        place = draw.argmax(dim=1)  # (B,): a visible patch of each image
        moved = (answer(hidden) - prediction)[hidden]
        change = (answer(torch.arange(hidden.shape[1], device=device) == place.unsqueeze(1)) - prediction).square().sum(-1)
    finally:
        handle.remove()
        method.train(training)
    credit = gradient.abs().sum(-1)  # (B, N)
    numbers = {
        "moved": float(moved.square().mean().sqrt() / prediction[hidden].std().clamp(min=1e-12)),
        "visible_credit": float(credit[~hidden].sum() / credit.sum().clamp(min=1e-30)),
        "home": float((change.argmax(dim=1) == place).float().mean()),
    }
    found = []
    if numbers["moved"] > 1e-4:
        found.append(f"noise under the mask moves what is predicted there, by {numbers['moved']:.0%} of its spread")
    if numbers["visible_credit"] > 1e-4:
        found.append(f"{numbers['visible_credit']:.0%} of the loss's gradient goes to visible places")
    if numbers["home"] < 0.15:
        share = f"a changed patch shows most at its own place in {numbers['home']:.0%} of images"
        found.append(f"{share}: ids are not restored, or the encoder mixes its tokens up")
    healthy = "no leak: noise under the mask moves nothing, only hidden places count, and answers stand where they belong"
    return Verdict(not found, "leak: " + "; ".join(found) if found else healthy, numbers)


def baseline(method, train: Tensor, test: Tensor, generator: torch.Generator | None = None) -> Verdict:
    """Does the method fill in better than the hole-filler, under the same masks? If not, too little may be hidden.

    train, test: images (n, C, H, W), uint8; the hole-filler is fitted on train. over_hole_filler: mean error on hidden
    patches over the hole-filler's; given_away: the part of the hidden content that the hole-filler explains, beyond the mean
    of the visible patches. Raises UserError for a method that does not predict pixels.
    """
    target = method.target
    if not hasattr(target, "normalize"):
        raise UserError(f"this method predicts {type(target).__name__}, not pixels: the hole-filler cannot stand beside it")
    training, device = method.training, next(method.parameters()).device
    generator = generator or torch.Generator(device).manual_seed(0)
    filler = HoleFiller(target.patch_size).fit(train.to(device), method.masking, generator)
    with torch.no_grad():
        output = method.eval()(test.to(device), generator=generator)
    method.train(training)
    clean, hidden = normalize(test.to(device)), output.mask
    raw = patchify(clean, target.patch_size)  # (B, N, T)
    guesses = {"hole_filler": filler.fill(raw, hidden, method.encoder.grid(clean)), "mean": visible_mean(raw, hidden).expand_as(raw)}
    if target.normalize:
        guesses = {name: (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True) + 1e-6).sqrt() for name, x in guesses.items()}
    guesses["method"] = output.prediction
    error = {name: float((x - output.target)[hidden].square().mean()) for name, x in guesses.items()}
    numbers = {"error": error["method"], "over_hole_filler": error["method"] / error["hole_filler"]}
    numbers["given_away"] = 1 - error["hole_filler"] / error["mean"]
    said = f"error on hidden patches {numbers['over_hole_filler']:.2f} times the hole-filler's"
    given = f"which explains {numbers['given_away']:.0%} of what is hidden from the neighbours alone"
    if numbers["over_hole_filler"] < 0.9:
        return Verdict(True, f"better than the neighbours: {said}, {given}", numbers)
    why = "too little masking" if numbers["given_away"] > 0.5 else "trained too little, or on too hard a mask"
    return Verdict(False, f"no better than the neighbours: {said}, {given}: {why}", numbers)


def gradient_by_block(method, images: Tensor, generator: torch.Generator | None = None) -> list[float]:
    """The gradient's norm in each block of the encoder, first block first, of one batch (B, C, H, W) in eval mode.

    Before the first step no learning rate has acted yet: what is uneven then is the architecture (arXiv 2002.04745). Even
    blocks acquit nobody: a deep post-norm encoder can begin even and get stuck all the same.
    """
    training = method.training
    loss = method.eval()(normalize(images.to(next(method.parameters()).device)), generator=generator).loss
    method.train(training)
    blocks = [[p for p in block.parameters() if p.requires_grad] for block in method.encoder.blocks]
    gradients = iter(torch.autograd.grad(loss, [p for block in blocks for p in block]))
    return [math.sqrt(sum(float(next(gradients).square().sum()) for _ in block)) for block in blocks]


def stability(history: list[dict]) -> Verdict:
    """Did the loss come down and stay down? history: dicts of step, loss, grad_norm and, where known, lr, as `train` gives.

    leap: the largest loss over the lowest one before it; leap_step; leap_rate: the learning rate then, over the highest of
    the run; fall: how far the loss came down after the first fifth of the run, as a part. Raises UserError for fewer than
    5 lines.
    """
    lines = [line for line in history if "loss" in line]
    if len(lines) < 5:
        raise UserError(f"5 lines with a loss are the least that can be judged, here are {len(lines)}: log more often")
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


def checkup(method, train, test, history: list[dict] | None = None) -> list[Verdict]:
    """Every question that can be asked of this method. train, test: labelled Images; history: of its run.

    Without a `spec` there is no random encoder to compare with, so the probes are left out. print(*checkup(…), sep="\\n").
    """
    mine = tuple(extract(method.encoder, images) for images in (train, test))
    fresh = floors(method, train, test)["random_init"] if method.spec else None
    found = [collapse(mine[1].x, random=fresh[1].x if fresh else None)]
    if fresh and train.labels is not None:
        boxed = "box" in train.truth and "box" in test.truth
        found.append(mismatch(mine, fresh, (place_and_size(train), place_and_size(test)) if boxed else None))
    found.append(leak(method, test.images[:64]))
    if hasattr(method.target, "normalize"):
        found.append(baseline(method, train.images[:2000], test.images[:1000]))
    return [*found, stability(history)] if history else found
