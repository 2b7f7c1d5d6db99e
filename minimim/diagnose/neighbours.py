"""Do its visible neighbours give a hidden patch away?"""

import torch
from torch import Tensor

from minimim.data.views import Inputs, as_inputs, normalize
from minimim.diagnose.verdict import Verdict
from minimim.errors import UserError
from minimim.hole_filler import HoleFiller, visible_mean
from minimim.patches import patchify
from minimim.targets import Pixels


def baseline(method, train: Tensor, test: Tensor | Inputs, generator: torch.Generator | None = None) -> Verdict:
    """Does the method fill in better than the hole-filler, under the same masks? If not, too little may be hidden.

    train, test: images (n, C, H, W), uint8, test with all that the method needs; the hole-filler is fitted on train.
    over_hole_filler: the mean squared error on hidden patches, divided by the hole-filler's. given_away: the fraction of the error of
    the mean of the visible patches that the hole-filler removes. Raises UserError for a method that does not predict pixels.
    """
    if getattr(method.target, "predicts", None) != "pixels":
        raise UserError(f"this method predicts {type(method.target).__name__}, not pixels, so it cannot be compared with the hole-filler: leave this out")
    target = next(part for part in method.target.modules() if isinstance(part, Pixels))
    training, device = method.training, next(method.parameters()).device
    generator = generator or torch.Generator(device).manual_seed(0)
    method.eval()
    filler = HoleFiller(target.patch_size).fit(train.to(device), guided(method), generator)
    with torch.no_grad():
        output = method({name: x.to(device) for name, x in as_inputs(test).items()}, generator=generator)
    method.train(training)
    clean, hidden = normalize(as_inputs(test)["image"].to(device)), output.mask
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


def guided(method):
    """The method's masking as the hole-filler calls it; a guided masking gets the teacher's output for the images."""

    def masks(inputs, grid, generator=None):
        with torch.no_grad():
            views = method.views(inputs, generator)
            return method.masks(views, method.taught(views), 0, 0.0, None, generator)

    return masks
