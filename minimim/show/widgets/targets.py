"""Target gallery: what a target keeps of a picture, and what it ignores when the picture changes."""

from collections.abc import Mapping
from functools import lru_cache

import torch
from torch import Tensor, nn
from torchvision.transforms.v2.functional import resize

import minimim
from minimim import data
from minimim.data.views import denormalize, normalize
from minimim.masking.frequency import spectrum
from minimim.patches import unpatchify
from minimim.show.drawings.targets import amplitudes, hog_glyphs, pca_colours
from minimim.show.widgets.live import BOARD, Live, Seen, choice, slider, widgets
from minimim.show.widgets.paper import LINE, Paper
from minimim.targets.handmade import HOG
from minimim.targets.pixels import Pixels

SIDE, PATCH, GRID = 336, 16, (14, 14)  # pixels of a picture on the page; of a photograph's patch, and how many there are
TINT = torch.tensor([1, 0.8, 0.6]).view(3, 1, 1)
CHANGES = {  # name → the whole of the change, of a picture in [0, 1]
    "darker": lambda x: 0.7 * x,
    "less contrast": lambda x: 0.25 + x / 2,
    "tinted": lambda x: x * TINT,
    "noise": lambda x: (x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1),
    "mirrored": lambda x: x.flip(-1),
}


def target_gallery(tokenizers: Mapping[str, nn.Module] | None = None, encoder=None) -> Live:
    """One target at a time of a photograph that you change: how it looks, and how far the change moves it.

    tokenizers: {name: fitted tokenizer of patches of 16 pixels}, if there are any. encoder: the frozen teacher, which sees the photograph
    in as many patches; by default that of the bundled MAE, trained on scenes alone.
    """
    photos = data.load("photos")
    encoder = (encoder or minimim.load(minimim.bundled("mae-scenes")).encoder).eval()
    targets = of_photographs(tokenizers or {}, encoder)
    known = lru_cache(2 * len(photos) * len(targets))(lambda name, n: targets[name][0](normalize(photos.images[n : n + 1])))
    what = widgets.Select(options=list(targets), value="HOG", rows=7, description="target", layout=widgets.Layout(width="19em"))
    which, change = choice("photograph", photos.classes, "cat"), choice("change", CHANGES)
    strength = slider("how much", 0.0, 0.0, 1.0, 0.1, readout_format=".0%")

    @torch.no_grad()
    def look() -> Seen:
        n, (read, paint, words) = photos.classes.index(which.value), targets[what.value]
        whole = photos.images[n] / 255  # (3, 224, 224), in [0, 1]
        photo = ((1 - strength.value) * whole + strength.value * CHANGES[change.value](whole)).mul(255).round().to(torch.uint8)
        before, other = known(what.value, n), known(what.value, (n + 1) % len(photos))
        now = read(normalize(photo[None])) if strength.value else before
        changed, told = "", "Choose a change, and how much of it"
        if strength.value:
            moved = float(distance(now, before) / distance(other, before))
            changed, told = f", {change.value} {strength.value:.0%}", f"The change moves it by {moved:.2f} of its distance from another photograph's target"
        paper = Paper(2 * SIDE + 3 * BOARD, SIDE + LINE + BOARD)
        paper.picture(BOARD, LINE, SIDE, photo, which.value + changed)
        paper.picture(SIDE + 2 * BOARD, LINE, SIDE, paint(now, before), what.value)
        paper.edge(SIDE + 2 * BOARD, LINE, SIDE, "target")
        alt = f"The photograph {which.value}{changed}, and beside it its target {what.value}: {words}.{f' {told}.' * bool(changed)}"
        return Seen(paper, alt, f"{what.value}: {words}. {told}", photo=True)

    return Live(look, [[what, widgets.VBox([which, change, strength])]])


def of_photographs(tokenizers: Mapping[str, nn.Module], encoder) -> dict:
    """The targets of a photograph: {name: (normalised (1, 3, H, W) → what is predicted, first axis patches; that, and that before a change
    → how it looks, uint8 (C, H, W); words)}."""
    hog, small = HOG(PATCH), GRID[0] * encoder.patch_size
    scaled = Pixels(PATCH, normalize=True)
    targets = {
        "pixels": (lambda x: Pixels(PATCH)({"image": x})["patch"][0], lambda t, _: denormalize(unpatchify(t[None], PATCH, GRID))[0], "as they are (SimMIM)"),
        "normalised pixels": (lambda x: scaled({"image": x})["patch"][0], lambda t, _: levels(t), "each patch less its mean, by its standard deviation (MAE)"),
        "HOG": (lambda x: hog({"image": x})["patch"][0], lambda t, _: hog_glyphs(t, GRID, hog.bins, hog.cells, cell=PATCH // hog.cells), "which way edges run (MaskFeat)"),
        "spectrum": (lambda x: torch.view_as_real(spectrum(x)[0]), lambda t, _: amplitudes(torch.view_as_complex(t)), "waves of the whole image (MFM)"),
    }
    for name, tokenizer in tokenizers.items():
        targets[name] = (
            lambda x, tokenizer=tokenizer: tokenizer.ids(x)[0],
            lambda t, _, tokenizer=tokenizer: denormalize(tokenizer.paint(t[None], GRID))[0],
            f"one of {tokenizer.codebook} codes a patch (BEiT)",
        )
    features = lambda x: encoder.features(resize(x, [small, small], antialias=True), pool="patches")[0]
    return targets | {"frozen teacher": (features, lambda t, before: pca_colours(t, GRID, PATCH, like=before), "what a network trained before makes of it (EVA), in three colours")}


def distance(a: Tensor, b: Tensor) -> Tensor:
    """How far two targets of as many patches are apart: the mean squared difference, of ids the fraction that differs."""
    return (a != b).float().mean() if a.dtype == torch.int64 else (a - b).square().mean()


def levels(patches: Tensor) -> Tensor:
    """Normalised patches, (N, P·P·C), as a picture around grey: uint8 (C, H, W)."""
    return (128 + 50 * unpatchify(patches[None], PATCH, GRID)[0]).round().clamp(0, 255).to(torch.uint8)
