"""Drawings for the statements of problem set 4: each shows its task's example, with its numbers worked out, or the runs that it compares."""

import torch

from minimim.show.drawing import Drawing
from minimim.show.drawings.ps3 import GREY


def gain_by_garment() -> Drawing:
    """ps4.1: the four images of the example, what is left over on each, and the sums over garments in both cases."""
    scores, garments = torch.tensor([[1.0, 0.0, 0.0, 1.0], [1.0, 1.0, 1.0, 0.0]]), ((0, 1, 2, 3), (0, 1, 1, 2))
    apart = scores[1] - scores[0]
    left = apart - apart.mean()
    alt = f"Two encoders on four images. Their differences are {', '.join(f'{x:g}' for x in apart)}, the gain {apart.mean():g}, and {', '.join(f'{x:g}' for x in left)} are left over. With four garments each is a sum of its own; where images 1 and 2 share a garment, theirs are added first."
    drawing = Drawing(23, 8.4, alt)
    for n, words in enumerate(("image", "encoder 0", "encoder 1", "difference", "left over")):
        drawing.text(1.9, 0.6 + 1.0 * n, words, bold=n > 2)
    for n in range(4):
        x = 4.0 + 1.7 * n
        drawing.text(x + 0.75, 0.6, str(n))
        for r, values in enumerate((scores[0], scores[1], apart, left)):
            drawing.box(x, 1.2 + r, 1.5, 0.8, "lit" if r == 3 else "plain", f"{float(values[n]):g}")
    drawing.text(12.6, 3.6, f"gain = mean = {apart.mean():g}", at="left")
    drawing.text(12.6, 4.6, "difference − gain", at="left", size=9, color=GREY)
    for r, garment in enumerate(garments):
        y = 5.9 + 1.3 * r
        sums = torch.zeros(max(garment) + 1).index_add(0, torch.tensor(garment), left)
        error = float(sums.square().sum().sqrt()) / len(left)
        drawing.text(3.7, y + 0.4, "four garments" if r == 0 else "1 and 2 share one", at="right", size=9)
        for g, value in enumerate(sums.tolist()):
            members = [n for n, home in enumerate(garment) if home == g]
            wide = 1.7 * len(members) - 0.2
            drawing.box(4.0 + 1.7 * members[0], y, wide, 0.8, "latent", f"{value:g}")
        drawing.text(12.6, y + 0.4, f"error = √({float(sums.square().sum()):g}) / {len(left)} = {error:.3f}", at="left")
    return drawing


def lowest_noise() -> Drawing:
    """ps4.2: labels and noise of the example, sorted within each class, and what one draw takes."""
    labels, noise, per_class = torch.tensor([1, 0, 1, 0, 1]), torch.tensor([0.5, 0.3, 0.1, 0.2, 0.4]), 2
    chosen = [[n for n in noise.argsort().tolist() if labels[n] == c][:per_class] for c in (0, 1)]
    said = [" and ".join(map(str, those)) for those in chosen]
    alt = f"Five images with the labels {', '.join(map(str, labels.tolist()))} and a noise for each. In class 0 the images with the lowest noise are {said[0]}, in class 1 {said[1]}, in ascending order of noise: the result of one draw."
    drawing = Drawing(23, 5.6, alt)
    kinds = ("latent", "mask token")
    for r, words in enumerate(("image", "label", "noise")):
        drawing.text(1.2, 1.1 + 1.1 * r, words, bold=True)
    for n in range(len(labels)):
        x = 2.5 + 1.6 * n
        drawing.text(x + 0.7, 1.1, str(n))
        drawing.box(x, 1.7, 1.4, 0.9, kinds[labels[n]], str(int(labels[n])))
        drawing.box(x, 2.8, 1.4, 0.9, "lit" if n in chosen[labels[n]] else "plain", f"{noise[n]:g}")
    drawing.text(6.4, 4.6, f"lit: the {per_class} lowest of each class", size=9, color=GREY)
    drawing.arrow((10.9, 2.7), (13.2, 2.7))
    for c in (0, 1):
        drawing.text(14.6, 1.9 + 1.5 * c, f"class {c}")
        for k, n in enumerate(chosen[c]):
            drawing.box(16.0 + 1.5 * k, 1.4 + 1.5 * c, 1.3, 1.0, kinds[c], str(n), bold=True)
    drawing.shape(17.4, 4.6, "draws", "classes", "per_class")
    return drawing


def choosing_without_a_fold() -> Drawing:
    """ps4.3: the two layers and three folds of the example: the choice on all folds, and the choice again without each of them."""
    table = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.5]])
    alt = "Two layers and their scores in three folds. On all folds layer 1 has the higher mean and is chosen. Then the choice is made again without each fold, and the layer that wins there is scored on the fold that was left out; the mean of these three scores is the nested score."
    drawing = Drawing(25, 7.4, alt)
    titles = ("all folds: choose", "without fold 0", "without fold 1", "without fold 2")
    nested = []
    for n, title in enumerate(titles):
        x, out = 1.9 + 5.9 * n, n - 1
        drawing.text(x + 2.2, 0.6, title, bold=True)
        others = [f for f in range(3) if f != out]
        means = table[:, others].mean(dim=1)
        best = int((means == means.max()).nonzero()[0])
        for layer in (0, 1):
            for fold in range(3):
                tried = fold == out and layer == best
                kind = "lit" if tried else "hidden" if fold == out else "latent" if layer == best else "plain"
                words = f"{float(table[layer, fold]):g}" if tried or fold != out else ""
                drawing.box(x + 1.5 * fold, 1.3 + 1.2 * layer, 1.4, 1.1, kind, words, bold=tried)
            if not n:
                drawing.text(1.0, 1.85 + 1.2 * layer, f"layer {layer}", size=9)
        for fold in range(3):
            drawing.text(x + 0.7 + 1.5 * fold, 4.05, f"fold {fold}", size=8, color=GREY)
        drawing.text(x + 2.2, 4.75, f"means {', '.join(f'{float(m):.2g}' for m in means)}: layer {best}", size=9)
        if n:
            nested.append(float(table[best, out]))
            drawing.text(x + 2.2, 5.4, f"on fold {out} it gets {nested[-1]:g}", size=9)
    drawing.text(16.2, 6.5, f"nested score = ({' + '.join(f'{x:g}' for x in nested)}) / 3 = {sum(nested) / 3:.3f}", bold=True)
    return drawing


def a_box_asked_twice() -> Drawing:
    """ps4.4: the image of the example and the same with noise under its mask, in front of two black boxes."""
    pixels, hidden, noise = torch.tensor([5, 7]), torch.tensor([False, True]), torch.tensor([0, 1])
    other = torch.where(hidden, noise, pixels)
    boxes = {"sums all pixels": lambda x: int(x.sum()), "sums the visible": lambda x: int(x[~hidden].sum())}
    said = {name: (box(pixels), box(other)) for name, box in boxes.items()}
    alt = "A black box is asked twice, about an image and about the same with noise in its hidden pixel, under the same mask. " + " ".join(f"One that {name} answers {a} and {b}: {'it moves' if a != b else 'it does not move'}." for name, (a, b) in said.items())
    drawing = Drawing(24, 6.4, alt)
    for x, words in ((2.6, "the same mask, twice"), (17.4, "answers")):
        drawing.text(x, 0.5, words, bold=True)
    for r, (name, values) in enumerate((("image", pixels), ("noise under the mask", other))):
        y = 1.2 + 2.3 * r
        for n in (0, 1):
            drawing.box(0.8 + 1.6 * n, y, 1.5, 1.5, "visible")
            drawing.text(1.55 + 1.6 * n, y + 0.75, str(int(values[n])), bold=True, size=12)
            if hidden[n]:
                drawing.box(0.8 + 1.6 * n, y, 1.5, 0.32, "hidden")
        drawing.text(4.3, y + 0.75, name, at="left", size=9)
        drawing.path((8.1, y + 0.75), (8.9, y + 0.75), (8.9, 2.95 + 0.3 * (2 * r - 1)), (9.7, 2.95 + 0.3 * (2 * r - 1)))
    drawing.box(9.8, 1.9, 3.2, 2.1, "plain", "predict\n?", bold=True)
    drawing.arrow((13.0, 2.95), (14.3, 2.95))
    for r, (name, (a, b)) in enumerate(said.items()):
        y = 1.2 + 2.3 * r
        drawing.text(14.5, y + 0.2, f"a box that {name}", at="left", size=9)
        drawing.tiles(14.5, y + 0.6, ["prediction"] * 2, [a, b], side=1.2)
        drawing.text(17.4, y + 1.2, "they differ: it moves" if a != b else "equal: it does not", at="left", size=9)
    drawing.text(2.3, 5.9, "hatched edge: hidden", size=9, color=GREY)
    return drawing


def three_pairs() -> Drawing:
    """ps4.5: the three things that are asked, each as the healthy way beside another."""
    alt = "Three questions. Are the predictions equal when the same visible patches are read in two orders? Are encoder.features the mean of the latents? Do the norms of a block stand before attention, inside the branch, or behind the sum?"
    drawing = Drawing(25, 7.6, alt)
    order = (2, 5, 7)
    for n, title in enumerate(("0  ids not restored?", "1  untrained features?", "2  post-norm?")):
        x = 0.4 + 8.3 * n
        drawing.box(x, 0.2, 7.8, 7.1)
        drawing.text(x + 3.9, 0.75, title, bold=True)
    for r, names in enumerate((order, order[::-1])):
        drawing.tiles(0.9, 1.6 + 2.3 * r, ["latent"] * 3, names, side=1.0)
        drawing.arrow((4.3, 2.1 + 2.3 * r), (5.6, 2.1 + 2.3 * r))
        drawing.box(5.7, 1.6 + 2.3 * r, 2.1, 1.0, "prediction", "prediction", size=8)
    drawing.text(4.3, 6.2, "the same visible patches, read\nin two orders: equal predictions?", size=9)
    for r, words in enumerate(("encoder.features", "mean of the latents")):
        y = 1.6 + 2.3 * r
        drawing.box(9.2, y, 1.9, 1.0, "visible", "images", size=8)
        drawing.arrow((11.1, y + 0.5), (12.2, y + 0.5))
        drawing.box(12.3, y, 3.7, 1.0, "latent", words, size=8)
    drawing.text(12.6, 6.2, "two ways to one vector:\nthe same direction, the same length?", size=9)
    for r, (name, parts) in enumerate((("pre-norm", ("norm", "attention", "+")), ("post-norm", ("attention", "+", "norm")))):
        y, x = 1.9 + 2.3 * r, 18.3
        drawing.text(17.3, y - 0.65, name, size=9, at="left")
        drawing.text(17.5, y + 0.5, "x", bold=True)
        drawing.arrow((17.7, y + 0.5), (x, y + 0.5))
        for k, part in enumerate(parts):
            wide = {"attention": 2.1, "norm": 1.4, "+": 0.7}[part]
            drawing.box(x, y, wide, 1.0, "lit" if part == "norm" else "plain", part, size=8)
            if part == "+":
                drawing.path((17.95, y + 0.5), (17.95, y - 0.25), (x + wide / 2, y - 0.25), (x + wide / 2, y))
            drawing.arrow((x + wide, y + 0.5), (x + wide + 0.35, y + 0.5))
            x += wide + 0.35
    drawing.text(20.9, 6.2, "which of the two does a block do?\n(the MLP's half is alike)", size=9)
    return drawing


def where_to_measure() -> Drawing:
    """ps4.6: the way of one image through a method, with the places at which something can be measured."""
    alt = "The way of an image through a method, with five places to measure: noise under the mask, the order of the visible patches, the blocks of the encoder, its features beside a fresh encoder's, and the credit of the loss at each place."
    drawing = Drawing(25, 6.4, alt)
    parts = (("images", "visible"), ("mask", "hidden"), ("encoder", "latent"), ("decoder", "prediction"), ("loss", "plain"))
    for n, (name, kind) in enumerate(parts):
        x = 0.6 + 5.0 * n
        drawing.box(x, 0.6, 3.4, 1.3, kind)
        drawing.text(x + 1.7, 1.25, name, bold=True, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5})
        if n:
            drawing.arrow((x - 1.6, 1.25), (x, 1.25))
    measures = ("noise where it\nhides: does the\nprediction move?", "the visible ones\nin another order:\nequal?", "features, blocks:\nrelative std, probe,\nsize of the output", "on the hidden\npatches: how large\nis the error?", "credit: which\nplaces does it\ncount?")
    for n, words in enumerate(measures):
        x = 0.6 + 5.0 * n
        drawing.arrow((x + 1.7, 3.4), (x + 1.7, 2.0))
        drawing.box(x - 0.3, 3.4, 4.0, 2.3, "lit", words, size=9)
    return drawing


STATEMENTS = {"ps4.1": gain_by_garment, "ps4.2": lowest_noise, "ps4.3": choosing_without_a_fold, "ps4.4": a_box_asked_twice, "ps4.5": three_pairs, "ps4.6": where_to_measure}
