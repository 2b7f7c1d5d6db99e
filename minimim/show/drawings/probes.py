"""How an encoder is judged: one table of features that stays as it is, neighbours that vote, and regions that overlap."""

from collections.abc import Sequence

import torch
from torch import Tensor

from minimim.errors import UserError
from minimim.show.drawing import Drawing

ROWS, COLUMNS = 3, 5  # of a table of features, those that are drawn
MOST = 6  # neighbours that fit the page
COLOURS = (  # of the background and of ten classes, for maps of pixels
    (225, 225, 225), (31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189),
    (140, 86, 75), (227, 119, 194), (90, 90, 90), (188, 189, 34), (23, 190, 207),
)  # fmt: skip


def frozen(images: Tensor, features: Tensor, names: Sequence[str], instruments: Sequence[tuple[str, str]]) -> Drawing:
    """From images to numbers of quality: features are worked out once, by an encoder that stays as it is, and every instrument reads the same table.

    images: uint8 (n, C, H, W). features: theirs, (n, D). names: of their classes. instruments: (name, what it asks), at most four.
    ROWS images and COLUMNS features of each are drawn. Raises UserError for features of other images.
    """
    if features.dim() != 2 or len(features) != len(images):
        raise UserError(f"{len(images)} images have features (n, D) with n = {len(images)}, not {tuple(features.shape)}")
    drawing = Drawing(
        25, 9.4,
        f"Images go through an encoder whose weights stay as they are and become a table with a row of {features.shape[1]} features for each. "
        f"The same table is read by {', '.join(name for name, _ in instruments)}.",
    )  # fmt: skip
    step = 2.75
    for n in range(ROWS):
        drawing.picture(0.5, 0.7 + n * step, 2.3, images[n])
    drawing.text(1.65, 0.7 + ROWS * step + 0.15, f"{len(images):,} images")
    drawing.arrow((3.0, 4.6), (4.5, 4.6))
    drawing.box(4.6, 3.5, 3.2, 2.2, "lit")
    drawing.text(6.2, 4.3, "encoder", size=12, bold=True)
    drawing.text(6.2, 4.95, "weights fixed")
    drawing.arrow((7.9, 4.6), (9.1, 4.6))
    for n in range(ROWS):
        top = 1.4 + n * step
        shown = [f"{value:.1f}".replace("-", "−") for value in features[n, :COLUMNS].tolist()]
        drawing.tiles(9.2, top, ["latent"] * COLUMNS, shown, side=0.95, gap=0.05, size=9)
        drawing.text(14.4, top + 0.48, "…", size=12)
        drawing.text(15.0, top + 0.48, names[n], at="left")
    drawing.text(12.4, 0.6, "table X: a row of features an image", bold=True)
    drawing.shape(12.4, 0.7 + ROWS * step + 0.15, *features.shape)
    drawing.arrow((17.2, 4.6), (18.2, 4.6))
    drawing.text(21.5, 0.6, "read by", bold=True)
    for n, (name, asks) in enumerate(instruments):
        drawing.box(18.3, 1.2 + n * 1.9, 6.4, 1.6)
        drawing.text(21.5, 1.7 + n * 1.9, name, size=11)
        drawing.text(21.5, 2.3 + n * 1.9, asks, size=9)
    return drawing


def votes(query: Tensor, neighbours: Tensor, cosines: Tensor, labels: Tensor, classes: Sequence[str], *, truth: int, temperature: float = 0.07) -> Drawing:
    """One vote of k-NN in numbers: the nearest images, how near they are, what each vote counts, and the sums (Wu et al., arXiv 1805.01978).

    query: uint8 (C, H, W). neighbours: (k, C, H, W), nearest first. cosines, labels: (k,). truth: the query's label. Votes are
    exp(cosine / temperature), drawn in parts of the first. Raises UserError for more than MOST neighbours.
    """
    if len(neighbours) > MOST:
        raise UserError(f"{len(neighbours)} neighbours do not fit the page: give at most {MOST}")
    weights = ((cosines - cosines[0]) / temperature).exp()  # (k,)
    sums = {int(label): weights[labels == label].sum().item() for label in labels.unique()}
    order = sorted(sums, key=sums.get, reverse=True)
    drawing = Drawing(
        25, 7.4 + 0.75 * len(order),
        f"A test image, in truth {classes[truth]}, and its {len(neighbours)} nearest training images with their classes. Each votes for its class, "
        f"near ones more, and {classes[order[0]]} gets the most.",
    )  # fmt: skip
    side, left, step = 2.9, 4.9, 3.35
    drawing.picture(0.5, 1.1, side, query)
    drawing.text(0.5 + side / 2, 0.5, "test image", bold=True)
    drawing.text(0.5 + side / 2, 1.5 + side, classes[truth])
    drawing.text(left + step * len(neighbours) / 2, 0.5, f"its {len(neighbours)} nearest training images", bold=True)
    for name, row in (("class", 0), ("cosine", 1), ("vote", 2)):
        drawing.text(left - 0.3, 1.5 + side + 0.65 * row, name if row else "", at="right", size=9, color="#555555")
    for n, image in enumerate(neighbours):
        x = left + n * step
        drawing.picture(x, 1.1, side, image)
        drawing.text(x + side / 2, 1.5 + side, classes[int(labels[n])], bold=int(labels[n]) == truth)
        drawing.text(x + side / 2, 2.15 + side, f"{cosines[n]:.2f}")
        drawing.text(x + side / 2, 2.8 + side, f"{weights[n]:.2f}")
    scale = 12 / max(sums.values())
    for n, label in enumerate(order):
        top = 3.9 + side + 0.75 * n
        drawing.text(left - 0.3, top + 0.25, classes[label], at="right", bold=label == truth)
        drawing.box(left, top, sums[label] * scale, 0.5, "lit" if n == 0 else "plain")
        drawing.text(left + sums[label] * scale + 0.3, top + 0.25, f"{sums[label]:.2f}" + (", the answer" if n == 0 else ""), at="left")
    return drawing


def overlap(truth: Tensor, taken: Tensor, name: str = "garment") -> Drawing:
    """Intersection over union in pixels that can be counted: truth and taken, (H, W) bool both.

    Below: the pixels that are right, missed and wrong, and right / (right + missed + wrong). Raises UserError for maps that differ
    in shape or show nothing.
    """
    if truth.shape != taken.shape or not bool((truth | taken).any()):
        raise UserError(f"two maps (H, W) of one shape are compared, with something on them, not {tuple(truth.shape)} and {tuple(taken.shape)}")
    rows, cols = truth.shape
    right, missed, wrong = (int(x.sum()) for x in (truth & taken, truth & ~taken, ~truth & taken))
    iou = right / (right + missed + wrong)
    cell = 4.8 / max(rows, cols)
    drawing = Drawing(
        23, 8.4,
        f"Three grids of pixels: the true {name}, what was taken for it, and both. {right} pixels are right, {missed} missed and {wrong} wrong, "
        f"so the intersection over union is {iou:.2f}.",
    )  # fmt: skip
    panels = (("truth", truth), (f"taken for {name}", taken), ("both", truth | taken))
    for panel, (words, map_) in enumerate(panels):
        x = 0.8 + panel * 7.6
        drawing.text(x + cols * cell / 2, 0.6, words, bold=True)
        for r in range(rows):
            for c in range(cols):
                is_right = bool(truth[r, c] & taken[r, c])
                if panel < 2:
                    kind = ("target", "latent")[panel] if map_[r, c] else "plain"
                else:
                    kind = "lit" if is_right else "target" if truth[r, c] else "latent" if taken[r, c] else "plain"
                drawing.box(x + c * cell, 1.1 + r * cell, cell, cell, kind)
    for n, (kind, words) in enumerate((("lit", f"right: {right}"), ("target", f"missed: {missed}"), ("latent", f"wrong: {wrong}"))):
        drawing.box(0.8 + n * 4, 6.9, 0.6, 0.6, kind)
        drawing.text(1.6 + n * 4, 7.2, words, at="left")
    drawing.text(13.2, 7.2, f"IoU = {right} / ({right} + {missed} + {wrong}) = {iou:.2f}", size=12, at="left")
    return drawing


def regions(maps: Tensor) -> Tensor:
    """The class of each pixel as a picture: (n, H, W), 0 = background, which is pale, and 1 to 10 in ten colours → uint8 (n, 3, H, W)."""
    if maps.min() < 0 or maps.max() >= len(COLOURS):
        raise UserError(f"there are colours for the classes 0 to {len(COLOURS) - 1}, and these maps hold {int(maps.min())} to {int(maps.max())}")
    return torch.tensor(COLOURS, dtype=torch.uint8)[maps.long()].permute(0, 3, 1, 2).contiguous()


def spotlit(weights: Tensor, grid: tuple[int, int], side: int) -> Tensor:
    """Weights of patches as pictures, white where an image's largest is: (n, N) → uint8 (n, 3, rows·side, cols·side)."""
    light = (255 * weights / weights.amax(dim=1, keepdim=True)).to(torch.uint8).unflatten(1, grid)  # (n, rows, cols)
    return light.repeat_interleave(side, 1).repeat_interleave(side, 2).unsqueeze(1).expand(-1, 3, -1, -1)
