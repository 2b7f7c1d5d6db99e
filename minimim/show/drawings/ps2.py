"""Drawings for the statements of problem set 2: each shows its task's example, with its numbers."""

import torch

from minimim.show.drawing import Drawing

GREY = "#777777"
HALO = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5}  # behind words on hatching
TWO = ("#cfe8f7", "#fbe3b5")  # of two groups or windows


def padded_keys() -> Drawing:
    """ps2.1: one query and three keys of equal score, of which two are valid, or none."""
    values, cases = (2.0, 4.0, 9.0), ((True, True, False), (False, False, False))
    rows = []
    for valid in cases:
        count = sum(valid)
        weights = [1 / count if real else 0.0 for real in valid]
        rows.append((valid, weights, sum(w * v for w, v in zip(weights, values, strict=True))))
    alt = (
        "One query and three keys with equal scores, and values 2, 4 and 9. If the first two keys are valid and the third is padding, "
        f"the weights are one half, one half and 0, and the result is {rows[0][2]:g}. If no key is valid, all weights are 0, and so is the result."
    )
    drawing = Drawing(24, 5.6, alt)
    for x, words in ((3.2, "valid"), (10.1, "weights"), (17.0, "values"), (21.9, "result")):
        drawing.text(x, 0.5, words, bold=True)
    for r, (valid, weights, result) in enumerate(rows):
        y = 1.2 + 1.7 * r
        for s, (real, weight, value) in enumerate(zip(valid, weights, values, strict=True)):
            drawing.box(1.4 + 1.25 * s, y, 1.15, 1.15, "visible" if real else "hidden", "T" if real else "")
            drawing.box(8.3 + 1.25 * s, y, 1.15, 1.15, "lit" if weight else "plain", {0.5: "½", 0.0: "0"}[weight])
            drawing.box(15.2 + 1.25 * s, y, 1.15, 1.15, "latent" if real else "hidden")
            drawing.text(15.775 + 1.25 * s, y + 0.575, f"{value:g}", bbox=None if real else HALO)
        drawing.arrow((5.4, y + 0.575), (8.0, y + 0.575), "softmax" if any(valid) else "no key")
        drawing.text(13.6, y + 0.575, "×", size=14)
        drawing.arrow((19.2, y + 0.575), (20.9, y + 0.575), "sum")
        drawing.box(21.2, y, 1.4, 1.15, "latent", f"{result:g}", bold=True)
    for x, sizes in ((3.2, "BK"), (10.1, ("B", "heads", "N", "K")), (17.0, ("B", "heads", "K", "d")), (21.9, ("B", "heads", "N", "d"))):
        drawing.shape(x, 5.0, *sizes)
    return drawing


def groups_of_heads() -> Drawing:
    """ps2.2: four heads of queries, two groups of keys and values, and what the heads give where there is one key."""
    heads, values = 4, (5, 7)
    group = [head // (heads // len(values)) for head in range(heads)]
    alt = (
        "Four heads of queries and two groups of keys and values. Heads 0 and 1 look at group 0, heads 2 and 3 at group 1. "
        f"With one key in each group, of the values {values[0]} and {values[1]}, the heads give {', '.join(str(values[g]) for g in group)}."
    )
    drawing = Drawing(24, 6.6, alt)
    for x, words in ((3.0, "queries"), (11.6, "keys and values"), (20.6, "result")):
        drawing.text(x, 0.5, words, bold=True)
    for head, at in enumerate(group):
        y = 1.1 + 1.15 * head
        drawing.box(1.6, y, 2.8, 0.95, "plain", f"head {head}", fill=TWO[at])
        drawing.arrow((4.5, y + 0.475), (9.4, 2.1 + 2.3 * at - 0.25 + 0.5 * (head % 2)))
        drawing.arrow((13.8, 2.1 + 2.3 * at - 0.25 + 0.5 * (head % 2)), (19.0, y + 0.475))
        drawing.box(19.2, y, 2.8, 0.95, "plain", f"{values[at]}", fill=TWO[at], bold=True)
    for n, value in enumerate(values):
        drawing.box(9.5, 1.3 + 2.3 * n, 4.2, 1.6, "plain", f"group {n}\nvalue {value}", fill=TWO[n])
    drawing.shape(3.0, 6.1, "B", "heads", "N", "d")
    drawing.shape(11.6, 6.1, "B", "groups", "K", "d")
    drawing.shape(20.6, 6.1, "B", "heads", "N", "d")
    return drawing


def two_windows() -> Drawing:
    """ps2.3: the grid of the example in its two windows, the means of their tokens, and the result in reading order."""
    rows, cols, side = 2, 4, 2
    window = [n % cols // side for n in range(rows * cols)]
    means = [sum(n for n in range(rows * cols) if window[n] == w) / side**2 for w in range(cols // side)]
    result = [means[w] for w in window]
    alt = (
        f"A grid of {rows} by {cols} tokens, numbered in reading order, in two windows of 2 by 2: tokens 0, 1, 4, 5 and tokens 2, 3, 6, 7. "
        f"With equal scores each token gives the mean of its window, {means[0]:g} or {means[1]:g}, in reading order: {', '.join(f'{x:g}' for x in result)}."
    )
    drawing = Drawing(24, 6.2, alt)
    drawing.text(3.5, 0.5, "tokens on their grid", bold=True)
    drawing.text(11.0, 0.5, "attention inside a window", bold=True)
    drawing.text(19.3, 0.5, "result on the grid", bold=True)
    for n in range(rows * cols):
        row, col = divmod(n, cols)
        for x, words in ((1.0, str(n)), (16.7, f"{result[n]:g}")):
            drawing.box(x + 1.25 * col + 0.2 * (col >= side), 1.6 + 1.25 * row, 1.2, 1.2, "plain", words, fill=TWO[window[n]])
        drawing.box(3.9 + 2.1 * n, 4.9, 2.0, 0.8, "plain", f"{n}: {result[n]:g}", fill=TWO[window[n]], size=9)
    for w, mean in enumerate(means):
        own = [n for n in range(rows * cols) if window[n] == w]
        drawing.box(8.0, 1.5 + 1.5 * w, 6.0, 1.1, "plain", f"({' + '.join(map(str, own))}) / 4 = {mean:g}", fill=TWO[w])
    drawing.arrow((6.4, 2.85), (7.8, 2.85))
    drawing.arrow((14.2, 2.85), (16.4, 2.85))
    drawing.text(3.5, 5.3, "returned:", at="right")
    return drawing


def place_in_thirds() -> Drawing:
    """ps2.4: the six tokens of the grid (2, 1, 3), and the row of the table that belongs to token 5."""
    frames, cols, token = 2, 3, 5
    places = (token // cols, 0, token % cols)
    angles = torch.tensor(places, dtype=torch.float64)  # the only rate is 1
    numbers = torch.stack([angles.sin(), angles.cos()], dim=1).flatten().tolist()
    alt = (
        f"A video of {frames} frames of 1 by {cols} tokens, numbered frame by frame. Token {token} is frame {places[0]}, row {places[1]}, column {places[2]}. "
        f"Its row of the table has a third for each of these, sine and cosine: {', '.join(f'{x:.3f}' for x in numbers)}."
    )
    drawing = Drawing(24, 5.0, alt)
    drawing.text(4.6, 0.5, "tokens: frame, row, column", bold=True)
    for n in range(frames * cols):
        drawing.box(0.8 + 1.2 * n + 0.6 * (n >= cols), 1.5, 1.1, 1.1, "lit" if n == token else "plain", str(n), bold=n == token)
    for frame in range(frames):
        drawing.text(2.55 + 4.2 * frame, 3.0, f"frame {frame}", size=9)
    drawing.arrow((8.7, 2.05), (10.4, 2.05), f"token {token}")
    for third, (name, place) in enumerate(zip(("frame", "row", "column"), places, strict=True)):
        x = 10.7 + 4.4 * third
        drawing.text(x + 2.0, 0.5, f"{name} = {place}", bold=True)
        for wave, word in enumerate(("sin", "cos")):
            drawing.box(x + 2.0 * wave, 1.5, 1.95, 1.1, "plain", f"{numbers[2 * third + wave]:.3f}", fill=("#cfe8f7", "#e3f3ec", "#fbe3b5")[third])
            drawing.text(x + 0.98 + 2.0 * wave, 3.0, f"{word} {place}", size=9)
    drawing.text(4.6, 4.3, "grid (2, 1, 3), dim = 6, one rate: w₀ = 1", size=9, color=GREY)
    drawing.shape(17.2, 4.3, "frames·rows·cols", "dim")
    return drawing


def what_is_read() -> Drawing:
    """ps2.5: the two samples of the example, with their positions added, the hidden ones dropped, and filled up to one length."""
    samples = ((False, True, False, False), (True, True, True, False))
    longest = max(hidden.count(False) for hidden in samples)
    alt = (
        "Two samples of the tokens a b c d with the positions 0 1 2 3. The first hides b, so the encoder reads a register, a+0, c+2 and d+3, all valid. "
        "The second hides a, b and c, so it reads a register, d+3, and two zeros that are not valid."
    )
    drawing = Drawing(24, 5.8, alt)
    drawing.text(4.7, 0.5, "tokens and positions", bold=True)
    drawing.text(17.0, 0.5, "x: what the encoder reads, and valid", bold=True)
    for r, hidden in enumerate(samples):
        y = 1.2 + 1.9 * r
        for n, gone in enumerate(hidden):
            drawing.box(0.8 + 2.0 * n, y, 1.9, 1.1, "hidden" if gone else "latent")
            drawing.text(1.75 + 2.0 * n, y + 0.55, f"{'abcd'[n]}+{n}", bbox=HALO if gone else None)
        drawing.arrow((9.0, y + 0.55), (11.6, y + 0.55), "the visible")
        kept = [f"{'abcd'[n]}+{n}" for n, gone in enumerate(hidden) if not gone]
        for place, words in enumerate(["register", *kept, *["0"] * (longest - len(kept))]):
            kind = "lit" if place == 0 else "latent" if words != "0" else "hidden"
            drawing.box(11.9 + 2.6 * place, y, 2.5, 1.1, kind)
            drawing.text(13.15 + 2.6 * place, y + 0.55, words, bbox=HALO if kind == "hidden" else None)
            drawing.text(13.15 + 2.6 * place, y + 1.4, "F" if kind == "hidden" else "T", size=9, color=GREY if kind == "hidden" else "#333333")
    drawing.shape(4.7, 5.2, "B", "N", "D")
    drawing.shape(17.0, 5.2, "B", "R+Kmax", "D")
    return drawing


STATEMENTS = {"ps2.1": padded_keys, "ps2.2": groups_of_heads, "ps2.3": two_windows, "ps2.4": place_in_thirds, "ps2.5": what_is_read}
