"""What the first lesson draws: pretraining and transfer, numbered patches, and why k-NN and a linear probe can disagree."""

from collections.abc import Sequence

import torch
from matplotlib.colors import hsv_to_rgb
from matplotlib.patches import Circle
from torch import Tensor

from minimim.data.images import Images
from minimim.errors import UserError
from minimim.evaluate.features import check_labels, extract, standardise
from minimim.evaluate.probe import covariance, fit, scores
from minimim.methods import Method
from minimim.show.drawing import INK, KINDS, Drawing
from minimim.show.pictures import fill_in

SIDE, FIRST, SECOND = 3.6, 1.5, 7.7  # units: of the pictures, and where the two rows begin
SHAPES = ("o", "s")  # of the two classes


def transfer(method: Method, image: Tensor, whole: Tensor, labelled: Images, *, noise: Tensor | None = None) -> Drawing:
    """Pretraining without labels, and what is kept of it: a masked image is filled in above, a whole one is named below.

    method: a trained one that predicts pixels. image: the masked one, whole: the other one, uint8 (C, H, W) both. labelled: images on
    whose features a linear layer learns their classes; its three best guesses for `whole` are drawn. noise: (1, N), of the mask.
    Raises UserError for images without labels.
    """
    noise = torch.rand(1, places_of(method, image), generator=torch.Generator().manual_seed(0)) if noise is None else noise
    done = fill_in(method, image[None], noise=noise)
    grid, hidden = method.encoder.grid(image[None]), done.mask[0]
    features, said = guesses(method, whole, labelled)
    best = said.topk(min(3, len(said)))
    alt = (
        "Two rows. Above, pretraining: an image with most patches hidden goes through encoder and decoder, and the prediction is compared with the image "
        f"itself; no label is used. Below, transfer: the same encoder turns a whole image into {len(features)} features, and a linear layer guesses a class from them."
    )
    drawing = Drawing(25, 11.9, alt)
    above, below = FIRST + SIDE / 2, SECOND + SIDE / 2
    drawing.text(0.4, 0.5, "1  Pretraining: many images, no labels", bold=True, size=12, at="left")
    drawing.patches(0.4, FIRST, SIDE, image, grid, hidden, gap=0.06)
    drawing.text(0.4 + SIDE / 2, FIRST + SIDE + 0.35, f"{int(hidden.sum())} of {len(hidden)} patches hidden")
    drawing.arrow((4.2, above), (5.5, above))
    drawing.box(5.6, above - 1, 3.4, 2, "lit", "encoder", size=12)
    drawing.arrow((9.1, above), (10.9, above), "latents")
    drawing.box(11, above - 1, 3.4, 2, "plain", "decoder", size=12)
    drawing.arrow((14.5, above), (15.8, above))
    for x, picture, kind in ((15.9, done.filled[0], "prediction"), (21, image, "target")):
        drawing.patches(x, FIRST, SIDE, picture, grid, left_out=hidden, gap=0.06)
        drawing.patches(x, FIRST, SIDE, picture, grid, left_out=~hidden, kind=kind, gap=0.06)
    drawing.text(15.9 + SIDE / 2, FIRST + SIDE + 0.35, "prediction")
    drawing.arrow((19.7, above), (20.9, above), "loss")
    drawing.arrow((20.9, above), (19.7, above))
    drawing.text(21 + SIDE / 2, FIRST + SIDE + 0.35, "target: the image itself")

    drawing.arrow((7.3, above + 1.1), (7.3, below - 1.1), dashed=True)
    drawing.text(7.6, (above + below) / 2 + 0.1, "kept, with its weights", at="left")
    drawing.text(12.7, above + 1.4, "only used in pretraining")
    drawing.text(0.4, SECOND - 0.75, "2  Transfer: few labels", bold=True, size=12, at="left")
    drawing.picture(0.4, SECOND, SIDE, whole)
    drawing.text(0.4 + SIDE / 2, SECOND + SIDE + 0.35, "a whole image")
    drawing.arrow((4.2, below), (5.5, below))
    drawing.box(5.6, below - 1, 3.4, 2, "lit", "encoder", size=12)
    drawing.arrow((9.1, below), (10.3, below))
    drawing.tiles(10.4, below - 1.8, ["latent"] * 4, [f"{value:.1f}" for value in features[:4].tolist()], side=0.85, down=True, gap=0.06, size=8)
    drawing.text(10.83, below + 1.97, "⋮", size=12)
    drawing.text(11.4, below + 2.15, f"{len(features)} features", at="left")
    drawing.arrow((11.4, below), (12.8, below))
    drawing.box(12.9, below - 1, 3.4, 2, "plain", "linear layer", size=12)
    drawing.text(14.6, below - 1.4, f"learnt from {len(labelled):,} labels")
    drawing.arrow((16.4, below), (17.6, below))
    for row, (score, number) in enumerate(zip(*(x.tolist() for x in best), strict=True)):
        top = below - 1.45 + 1.1 * row
        drawing.text(20.6, top + 0.35, labelled.classes[number], at="right", size=11, bold=row == 0)
        drawing.box(20.8, top, max(0.05, 2.6 * score), 0.7, "plain")
        drawing.text(20.95 + 2.6 * score, top + 0.35, f"{score:.2f}", at="left", size=9)
    return drawing


def places_of(method: Method, image: Tensor) -> int:
    """How many patches an image, (C, H, W), has."""
    rows, cols = method.encoder.grid(image[None])
    return rows * cols


def guesses(method: Method, whole: Tensor, labelled: Images) -> tuple[Tensor, Tensor]:
    """The standardised features of an image, (C, H, W) → (D,), and the probability that a linear layer gives each class, (classes,)."""
    check_labels(labelled, labelled)
    one = Images(whole[None], None, labelled.classes)
    x, mine = standardise(extract(method.encoder, labelled).x, extract(method.encoder, one).x)
    weights = fit(x, labelled.labels, len(labelled.classes), 1e-2, covariance(x))
    return mine[0], scores(weights, mine)[0].softmax(dim=0)


def numbered(image: Tensor, grid: tuple[int, int]) -> Drawing:
    """An image, (C, H, W), in its patches, grid = (rows, columns) of them, with their numbers."""
    rows, cols = grid
    alt = f"A picture in {rows} by {cols} patches with their numbers, 0 in the upper left corner and {rows * cols - 1} in the lower right one."
    drawing = Drawing(cols * 1.25 + 0.4, rows * 1.25 + 0.4, alt)
    drawing.patches(0.25, 0.25, cols * 1.25 - 0.1, image, grid, gap=0.1, numbers=True)
    return drawing


def two_directions(count: int = 60, seed: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """Points for `turned_down` that vary twenty times as much in the first direction as in the second, which alone tells their class:
    points (count, 2), labels (count,), 0 and 1 in turn, and a new point of class 1, (2,)."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    wide = 10 * torch.rand(count, generator=generator) - 5
    narrow = 0.24 * (2 * labels - 1) + 0.08 * torch.randn(count, generator=generator)
    return torch.stack([wide, narrow], dim=1), labels, torch.tensor([-1.4, 0.24])


def turned_down(points: Tensor, labels: Tensor, new: Tensor, *, classes: Sequence[str], names: tuple[str, str] = ("colour", "class"), k: int = 5) -> Drawing:
    """Why k-NN and a linear probe can disagree: two directions of features, of which the wider one says nothing about the class.

    points: (n, 2), their first direction across, their second one up. labels: (n,), 0 or 1, names in `classes`. new: (2,), a
    further point, of class 1. names: what the two directions hold. k: how many neighbours vote. Left: the k nearest of the new point.
    Right: the number that a linear probe, fitted to these points by least squares, makes of each point. Below each, how many of the
    points it names rightly (k-NN: each by the others). Raises UserError for points of another shape.
    """
    if points.dim() != 2 or points.shape[1] != 2 or new.shape != (2,):
        raise UserError(f"a plane has two directions: points are (n, 2) and the new one (2,), not {tuple(points.shape)} and {tuple(new.shape)}")
    points, new = points.float(), new.float()
    near = (points - new).norm(dim=1).topk(k, largest=False).indices  # (k,)
    agree = int((labels[near] == 1).sum())
    weight, bias = probe(points, labels)
    score = points @ weight + bias  # (n,)
    by_neighbours, by_probe = voted(points, labels, k), int(((score > 0) == (labels == 1)).sum())
    alt = (
        f"Left: points of two classes in a plane. They vary much in {names[0]} and little in {names[1]}, so the {k} points nearest to a new one share its {names[0]}, "
        f"and only {agree} of them its class. Right: a linear probe gives {names[0]} a weight near zero, and the number that it makes of a point tells the class."
    )
    drawing = Drawing(25, 8.6, alt)
    middle = (points.min(dim=0).values + points.max(dim=0).values) / 2
    scale = 12.2 / float(points[:, 0].max() - points[:, 0].min())  # units of the drawing for one of the features, the same both ways
    hue = (points[:, 0] - points[:, 0].min()) / (points[:, 0].max() - points[:, 0].min())  # (n,)

    def place(x: Tensor) -> Tensor:
        return torch.stack([7.7 + (x[..., 0] - middle[0]) * scale, 4.3 - (x[..., 1] - middle[1]) * scale], dim=-1)

    drawing.text(7.7, 0.5, "k-NN: both directions count by how much they vary", bold=True, size=11)
    drawing.text(7.7, 1.2, f"{agree} of the {k} nearest of the new point have its class")
    here, reach = place(new), float((points[near] - new).norm(dim=1).max()) * scale
    drawing.axes.add_patch(Circle(tuple(here.tolist()), reach + 0.22, facecolor=KINDS["lit"]["facecolor"], edgecolor=INK, linewidth=1.6, zorder=2))
    scatter(drawing, place(points), labels, hue)
    drawing.arrow((1.2, 6.7), (14.2, 6.7))
    drawing.text(7.7, 7.05, f"{names[0]}: varies much")
    drawing.arrow((1.0, 6.4), (1.0, 2.0))
    drawing.text(0.6, 4.3, f"{names[1]}: varies little", rotation=90)

    share = weight.abs() / weight.abs().sum()
    drawing.text(20, 0.5, "linear probe: a learnt weight for each", bold=True, size=11)
    drawing.text(20, 1.2, f"weights: {share[0]:.2f} for {names[0]}, {share[1]:.2f} for {names[1]}")
    stretch = 4.2 / float(score.max() - score.min())
    centre = float(score.max() + score.min()) / 2
    across = torch.linspace(-3.4, 3.4, len(points))[torch.randperm(len(points), generator=torch.Generator().manual_seed(0))]  # (n,), only to keep points apart
    scatter(drawing, torch.stack([20 + across, 4.3 - (score - centre) * stretch], dim=-1), labels, hue)
    star(drawing, here)
    star(drawing, torch.tensor([20.0, 4.3 - (float(new @ weight + bias) - centre) * stretch]))
    border = 4.3 + centre * stretch
    drawing.axes.plot([16.5, 23.5], [border, border], color=INK, linestyle="--", linewidth=1.4)
    drawing.text(23.7, border, "0", at="left", size=9)
    drawing.arrow((16.2, 6.7), (16.2, 2.0))
    drawing.text(15.8, 4.3, "the probe's number", rotation=90)

    for x, right in ((7.7, by_neighbours), (20, by_probe)):
        drawing.text(x, 7.65, f"right on {right} of {len(points)} points", bold=True)
    for n, (name, marker) in enumerate(zip(classes, SHAPES, strict=True)):
        drawing.axes.scatter(6.5 + 3.5 * n, 8.3, s=60, marker=marker, color="#777777")
        drawing.text(6.9 + 3.5 * n, 8.3, name, at="left")
    star(drawing, torch.tensor([13.5, 8.3]))
    drawing.text(14, 8.3, f"a new point, in truth {classes[1]}", at="left")
    return drawing


def voted(points: Tensor, labels: Tensor, k: int) -> int:
    """How many points get their own class, 0 or 1, by a vote of the k nearest others: (n, D), (n,)."""
    apart = torch.cdist(points, points).fill_diagonal_(torch.inf)  # (n, n)
    votes = labels[apart.topk(k, dim=1, largest=False).indices].float().mean(dim=1)  # (n, k) → (n,)
    return int(((votes > 0.5) == (labels == 1)).sum())


def probe(points: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The least-squares linear probe of two classes: points (n, D), labels (n,) → weights (D,), bias (); above 0 is class 1."""
    ones = torch.cat([points, torch.ones(len(points), 1)], dim=1)  # (n, D+1)
    found = torch.linalg.lstsq(ones, (2.0 * labels - 1).unsqueeze(1)).solution[:, 0]  # (D+1,)
    return found[:-1], found[-1]


def scatter(drawing: Drawing, places: Tensor, labels: Tensor, hue: Tensor) -> None:
    """Points of two classes, each with a shape of its own, in colours that say where they lie in the first direction: hue (n,), 0 to 1."""
    shades = hsv_to_rgb([(0.83 * x, 0.75, 0.85) for x in hue.tolist()])
    for label, marker in enumerate(SHAPES):
        x, y = places[labels == label].T.tolist()
        drawing.axes.scatter(x, y, s=60, marker=marker, c=shades[(labels == label).numpy()], edgecolor=INK, linewidth=0.6, zorder=3)


def star(drawing: Drawing, place: Tensor) -> None:
    """The new point."""
    drawing.axes.scatter(*place.tolist(), s=260, marker="*", color="white", edgecolor=INK, linewidth=1.4, zorder=4)
