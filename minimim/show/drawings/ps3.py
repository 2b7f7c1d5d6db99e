"""Drawings for the statements of problem set 3: each shows its task's example, with its numbers worked out."""

import torch
from torch import nn

from minimim.show.drawing import INK, Drawing

GREY = "#777777"
HALO = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5}  # behind words on hatching


def back_in_place() -> Drawing:
    """ps3.1: tokens with the numbers of their places, padding among them, and the row of N places that they go to."""
    rows = ((("a", "b"), (2, 0), (True, True)), (("c", "?"), (3, 0), (True, False)))
    alt = "Putting tokens back in place. Tokens a and b have the ids 2 and 0 and go to the places 2 and 0; the other two places get the mask token m. Of the row c and padding, only c goes to its place, 3. Every place gets its position added."
    drawing = Drawing(23, 7.6, alt)
    for x, words in ((2.6, "latents, ids, valid"), (17.0, "result: a token and its position at each of N = 4 places")):
        drawing.text(x, 0.5, words, bold=True)
    for r, (tokens, ids, valid) in enumerate(rows):
        y, homes = 1.3 + 3.1 * r, {place: token for token, place, real in zip(tokens, ids, valid, strict=True) if real}
        for k, (token, place, real) in enumerate(zip(tokens, ids, valid, strict=True)):
            drawing.box(0.8 + 1.7 * k, y, 1.5, 1.0, "latent" if real else "hidden", token if real else "", bold=True)
            drawing.text(1.55 + 1.7 * k, y + 1.35, f"id {place}" if real else "any id", size=9)
            drawing.text(1.55 + 1.7 * k, y + 1.8, "valid" if real else "padding", size=8, color=GREY)
        for n in range(4):
            drawing.box(11.4 + 2.8 * n, y, 2.5, 1.0, "latent" if n in homes else "mask token", f"{homes.get(n, 'm')} + pos {n}")
            drawing.text(12.65 + 2.8 * n, y + 1.35, f"place {n}", size=9)
        drawing.arrow((4.6, y + 0.5), (11.1, y + 0.5), "each valid token to the place of its id", above=0.35)
    drawing.shape(2.6, 7.0, "B", "K", "D")
    drawing.shape(17.0, 7.0, "B", "N", "D")
    return drawing


def windows_and_targets() -> Drawing:
    """ps3.2: the four patches of the example, the mean and deviation of what their window shows, and the target."""
    patches, hidden = torch.tensor([[0.0, 2.0], [4.0, 6.0], [9.0, 9.0], [9.0, 9.0]]), torch.tensor([False, False, True, True])
    seen = patches[~hidden].flatten()
    mean, std = float(seen.mean()), float((seen.var() + 1e-6).sqrt())
    target = (patches - mean) / std
    alt = f"A window of 2 by 2 patches of two numbers. Its two visible patches hold {', '.join(f'{x:.0f}' for x in seen)}, so the mean is {mean:.0f} and the standard deviation {std:.2f}. Every patch of the window, hidden or visible, is brought to these: the target."
    drawing = Drawing(24, 6.6, alt)
    for x, words in ((3.0, "patches of one window"), (11.7, "what it shows"), (20.2, "target of all four")):
        drawing.text(x, 0.5, words, bold=True)
    for n in range(4):
        row, col = divmod(n, 2)
        x, y = 0.5 + 2.6 * col, 1.2 + 2.2 * row
        kind = "hidden" if hidden[n] else "visible"
        drawing.box(x, y, 2.4, 2.0, kind)
        drawing.text(x + 1.2, y + 1.0, ", ".join(f"{v:.0f}" for v in patches[n].tolist()), bold=True, bbox=HALO)
        drawing.box(17.2 + 3.1 * col, y, 2.9, 2.0, "target", ", ".join(f"{v:.2f}" for v in target[n].tolist()), size=9)
    drawing.arrow((5.9, 2.2), (8.4, 2.2), "visible only")
    drawing.tiles(8.6, 1.7, ["visible"] * len(seen), [f"{x:.0f}" for x in seen], side=1.0)
    drawing.text(11.7, 3.3, f"mean = {seen.sum():.0f} / {len(seen)} = {mean:.0f}")
    drawing.text(11.7, 4.1, f"variance = {float(((seen - mean) ** 2).sum()):.0f} / {len(seen) - 1} = {float(seen.var()):.2f}")
    drawing.text(11.7, 4.9, f"std = {std:.2f}")
    drawing.arrow((14.9, 3.4), (17.0, 3.4), "(x − 3) / 2.58" if (round(mean), round(std, 2)) == (3, 2.58) else "(x − mean) / std")
    drawing.text(12, 6.1, "a window without a visible patch takes mean and variance of all visible patches of its image", size=9, color=GREY)
    return drawing


def one_image_one_vote() -> Drawing:
    """ps3.3: the three images of the example, the errors and weights of their patches, and the two means one after the other."""
    errors = torch.tensor([[1.0, 4.0, 1.0], [9.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    weights, hidden = torch.tensor([[1.0, 1.0, 2.0], [5.0, 1.0, 1.0], [1.0, 1.0, 1.0]]), torch.tensor([[1, 1, 1], [1, 0, 0], [0, 0, 0]]).bool()
    some = (weights * hidden).sum(dim=1) > 0
    each = (weights * errors * hidden).sum(dim=1)[some] / (weights * hidden).sum(dim=1)[some]
    alt = f"Three images of three patches. In image 1 all are hidden, and the weighted mean of its errors is {each[0]:g}; in image 2 one is hidden, and its loss is {each[1]:g}; image 3 hides nothing and is left out. The loss is the mean of the two, {each.mean():g}."
    drawing = Drawing(22, 7.0, alt)
    for x, words in ((4.9, "errors × weights of the patches"), (13.2, "loss of each image"), (19.4, "loss of the batch")):
        drawing.text(x, 0.5, words, bold=True)
    told = iter(each.tolist())
    for r in range(3):
        y = 1.2 + 1.8 * r
        drawing.text(1.0, y + 0.6, f"image {r + 1}")
        for n in range(3):
            drawing.box(2.2 + 2.0 * n, y, 1.85, 1.2, "hidden" if hidden[r, n] else "visible")
            if hidden[r, n]:
                drawing.text(3.1 + 2.0 * n, y + 0.6, f"{errors[r, n]:g} × {weights[r, n]:g}", bold=True, bbox=HALO)
        drawing.arrow((8.3, y + 0.6), (10.0, y + 0.6))
        if some[r]:
            up, down = float((weights * errors * hidden)[r].sum()), float((weights * hidden)[r].sum())
            drawing.box(10.2, y, 6.0, 1.2, "plain", f"{up:g} / {down:g} = {next(told):g}")
            drawing.path((16.2, y + 0.6), (16.9, y + 0.6), (16.9, 3.0), (17.4, 3.0))
        else:
            drawing.box(10.2, y, 6.0, 1.2, "plain", "left out: nothing is hidden", color=GREY)
    drawing.box(17.5, 2.3, 3.9, 1.4, "lit", f"({each[0]:g} + {each[1]:g}) / 2\n= {each.mean():g}")
    return drawing


def plan_of_a_run() -> Drawing:
    """ps3.4: the rates of the six steps of the example, and which of the parameters of its model decay."""
    total, warmup, fall, peak, decay = 6, 2, 3, 0.3, 0.05
    model = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8))
    rates = [peak * min(1.0, (s + 1) / warmup, (total - s) / fall) for s in range(total)]
    alt = f"The plan of a run of {total} steps: the rates {', '.join(f'{r:.2g}' for r in rates)} climb for {warmup} steps, stay at {peak:g}, and fall for {fall}. Of a Linear and a LayerNorm, only the weight of the Linear decays, by {decay:g}."
    drawing = Drawing(24, 7.2, alt)
    drawing.text(6.2, 0.5, "the rate of each step", bold=True)
    drawing.axes.plot([1.2, 11.4], [5.5, 5.5], color=INK, linewidth=1)
    for s, rate in enumerate(rates):
        tall = rate / peak * 3.6
        kind = "visible" if s < warmup else "lit" if s < total - fall else "plain"
        drawing.box(1.4 + 1.65 * s, 5.5 - tall, 1.4, tall, kind, f"{rate:.2g}")
        drawing.text(2.1 + 1.65 * s, 5.85, f"s = {s}", size=9)
    for x, words in ((2.95, f"warmup = {warmup}"), (5.4, "peak"), (8.7, f"fall = {fall}")):
        drawing.text(x, 6.6, words, size=9, color=GREY)
    drawing.text(18.6, 0.5, "the decay of each parameter", bold=True)
    for n, (name, _) in enumerate(model.named_parameters()):
        layer = type(model[int(name.split(".")[0])]).__name__
        falls = isinstance(model[int(name.split(".")[0])], nn.Linear) and name.endswith("weight")
        y = 1.3 + 1.2 * n
        drawing.box(13.6, y, 6.4, 1.0, "lit" if falls else "plain", f"{layer}.{name.split('.')[1]}", code=True, size=9)
        drawing.arrow((20.0, y + 0.5), (21.4, y + 0.5))
        drawing.text(22.4, y + 0.5, f"{decay if falls else 0:g}", bold=falls)
    return drawing


def step_in_parts() -> Drawing:
    """ps3.5: the two parts of the example on their way to one step."""
    targets, rate, most = ([3.0], [1.0, 1.0, 1.0]), 0.1, 1.0
    count = sum(map(len, targets))
    loss = sum(x * x for part in targets for x in part) / count
    shares = [-2 * sum(part) / count for part in targets]
    norm = abs(sum(shares))
    clipped = sum(shares) * min(1.0, most / norm)
    alt = f"A step in two parts. Part 1 hides one patch, part 2 three, and both divide by {count}. Their gradients {shares[0]:g} and {shares[1]:g} add up to {sum(shares):g}; the norm {norm:g} is clipped to {most:g}; loss and norm are finite, so the weight moves from 0 to {-rate * clipped:g}."
    drawing = Drawing(25, 6.4, alt)
    for x, words in ((3.2, "parts of one batch"), (10.0, "backward of each"), (14.6, "gradient"), (18.0, "clip"), (22.2, "step")):
        drawing.text(x, 0.5, words, bold=True)
    for r, part in enumerate(targets):
        y = 1.4 + 2.2 * r
        drawing.tiles(0.6, y, ["target"] * len(part), [f"{x:g}" for x in part], side=1.1)
        drawing.text(0.6, y + 1.5, f"{len(part)} hidden", size=9, at="left", color=GREY)
        drawing.arrow((4.3, y + 0.55), (7.9, y + 0.55), "one at a time")
        drawing.box(8.0, y, 4.0, 1.1, "plain", f"−2 · {sum(part):g} / {count} = {shares[r]:g}")
        drawing.path((12.0, y + 0.55), (12.9, y + 0.55), (12.9, 3.0), (13.5, 3.0))
    drawing.box(13.6, 2.4, 2.0, 1.2, "latent", f"{sum(shares):g}", bold=True)
    drawing.arrow((15.6, 3.0), (16.9, 3.0))
    drawing.box(17.0, 2.4, 2.0, 1.2, "latent", f"{clipped:g}", bold=True)
    drawing.text(18.0, 4.0, f"norm {norm:g} > {most:g}", size=9)
    drawing.arrow((19.0, 3.0), (20.4, 3.0))
    drawing.box(20.5, 2.4, 3.6, 1.2, "lit", f"w: 0 → {-rate * clipped:g}", bold=True)
    drawing.text(22.3, 4.25, "if loss and norm are finite,\nelse nothing moves", size=9)
    drawing.text(9.9, 5.9, f"loss = (9 + 1 + 1 + 1) / {count} = {loss:g}: the mean over all hidden patches of all parts", size=9, color=GREY)
    return drawing


def a_flat_window() -> Drawing:
    """ps3.W1: a window whose only visible patch is black and flat, and what is asked about it."""
    alt = "A window of 2 by 2 patches. The only visible one is black and flat, and a hidden one is white. With the mean 0 and the standard deviation √10⁻⁶ its target is asked for, then its error, the loss of the batch, and the pull on the prediction."
    drawing = Drawing(20, 5.6, alt)
    drawing.text(2.5, 0.5, "a window of 2×2", bold=True)
    for n in range(4):
        row, col = divmod(n, 2)
        drawing.box(0.5 + 2.05 * col, 1.1 + 2.05 * row, 1.95, 1.95, "hidden" if n else "plain")
        if not n:
            drawing.axes.patches[-1].set_facecolor("#111111")
    drawing.text(1.45, 2.05, "0", color="white", bold=True)
    drawing.text(3.5, 2.05, "1", bold=True, bbox=HALO)
    drawing.arrow((5.0, 3.1), (7.6, 3.1), "std = √10⁻⁶")
    drawing.box(7.7, 2.5, 4.6, 1.2, "target", "target of the white patch: ?", size=9)
    drawing.arrow((12.4, 3.1), (14.4, 3.1))
    drawing.box(14.5, 2.5, 5.0, 1.2, "lit", "error, loss, pull: ?", size=9)
    drawing.text(13.5, 4.6, "other patches of the batch: errors of about 1", size=9, color=GREY)
    return drawing


STATEMENTS = {"ps3.1": back_in_place, "ps3.2": windows_and_targets, "ps3.3": one_image_one_vote, "ps3.4": plan_of_a_run, "ps3.5": step_in_parts, "ps3.W1": a_flat_window}
