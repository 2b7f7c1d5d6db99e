"""Drawings for the statements of problem set 1: each shows its task's example, with its numbers."""

from minimim.show.drawing import Drawing

GREY = "#777777"
HALO = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5}  # behind words on hatching
TWO = ("#cfe8f7", "#fbe3b5")  # of two patches, tubelets or rows


def two_tubelets() -> Drawing:
    """ps1.1: the two frames of the example, the two boxes that are cut from them, and the row of numbers that each becomes."""
    tubelets = ((0, 1, 4, 5, 8, 9, 12, 13), (2, 3, 6, 7, 10, 11, 14, 15))
    alt = (
        "A video of two frames of 2 by 4 pixels, numbered 0 to 15. The left halves of both frames are tubelet 0, the right halves tubelet 1. "
        f"Each becomes one row of numbers, frame by frame and in a frame row by row: {'; '.join(' '.join(map(str, row)) for row in tubelets)}."
    )
    drawing = Drawing(24, 5.6, alt)
    drawing.text(5.55, 0.5, "video: 2 frames of 2×4 pixels", bold=True)
    for frame in range(2):
        for pixel in range(8):
            row, col = divmod(pixel, 4)
            drawing.box(0.6 + 5.3 * frame + 1.15 * col + 0.15 * (col > 1), 1.5 + 1.15 * row, 1.1, 1.1, "plain", str(8 * frame + pixel), fill=TWO[col // 2])
        drawing.text(2.95 + 5.3 * frame, 4.2, f"frame {frame}")
    drawing.shape(5.55, 5.0, "B", "F", "C", "H", "W")
    drawing.arrow((11.4, 2.6), (13.4, 2.6), "cut")
    drawing.text(18.6, 0.5, "tubelets: P = 2, t = 2", bold=True)
    for n, pixels in enumerate(tubelets):
        for place, pixel in enumerate(pixels):
            drawing.box(14.2 + 1.05 * place + 0.3 * (place > 3), 1.3 + 1.5 * n, 1.0, 1.0, "plain", str(pixel), fill=TWO[n])
        drawing.text(13.9, 1.8 + 1.5 * n, str(n), at="right")
    drawing.text(16.25, 4.2, "of frame 0")
    drawing.text(20.75, 4.2, "of frame 1")
    drawing.shape(18.6, 5.0, "B", "N", "t·P·P·C")
    return drawing


def image_with_border() -> Drawing:
    """ps1.2: the image of the example with its border of zeros, cut into two patches, and which of their pixels are real."""
    patches, real = ((1, 2, 4, 5), (3, 0, 6, 0)), ((True, True, True, True), (True, False, True, False))
    alt = (
        "An image of 2 by 3 pixels gets a column of zeros at the right, so that two patches of 2 by 2 pixels fit. Patch 0 holds 1 2 4 5, all real. "
        "Patch 1 holds 3 0 6 0, of which the two zeros are border and not real."
    )
    drawing = Drawing(24, 5.4, alt)
    drawing.text(2.3, 0.5, "image: 2×3", bold=True)
    for pixel in range(6):
        row, col = divmod(pixel, 3)
        drawing.box(0.6 + 1.15 * col, 1.3 + 1.15 * row, 1.1, 1.1, "plain", str(pixel + 1))
    drawing.shape(2.3, 4.6, "B", "C", "H", "W")
    drawing.arrow((4.3, 2.4), (6.3, 2.4), "border")
    for n in range(2):
        for place in range(4):
            row, col = divmod(place, 2)
            x, y = 6.6 + 2.5 * n + 1.15 * col, 1.3 + 1.15 * row
            drawing.box(x, y, 1.1, 1.1, "plain" if real[n][place] else "hidden", **({"fill": TWO[n]} if real[n][place] else {}))
            drawing.text(x + 0.55, y + 0.55, str(patches[n][place]), bbox=None if real[n][place] else HALO)
    drawing.text(8.95, 0.5, "two patches, P = 2", bold=True)
    drawing.arrow((11.8, 2.4), (13.2, 2.4), "cut")
    drawing.text(16.1, 0.5, "patches", bold=True)
    drawing.text(21.3, 0.5, "real", bold=True)
    for n in range(2):
        for place in range(4):
            there, y = real[n][place], 1.3 + 1.5 * n
            drawing.box(14.0 + 1.05 * place, y, 1.0, 1.0, "plain" if there else "hidden", **({"fill": TWO[n]} if there else {}))
            drawing.text(14.5 + 1.05 * place, y + 0.5, str(patches[n][place]), bbox=None if there else HALO)
            drawing.box(19.2 + 1.05 * place, y, 1.0, 1.0, "plain", "T" if there else "F", color="#333333" if there else GREY)
        drawing.text(13.7, 1.8 + 1.5 * n, str(n), at="right")
    drawing.shape(16.1, 4.6, "B", "N", "P·P·C")
    drawing.shape(21.3, 4.6, "B", "N", "P·P")
    return drawing


def lowest_of_each_row() -> Drawing:
    """ps1.3: the noise of the example, the two lowest of each row, and the mask as it is returned."""
    noise, visible = ((0.9, 0.1, 0.5, 0.3), (0.2, 0.8, 0.4, 0.6)), 2
    hidden = [[x not in sorted(row)[:visible] for x in row] for row in noise]
    alt = (
        f"A grid of 2 by 4 patches with a number of noise each. In each row the {visible} patches of lowest noise stay visible, the other {4 - visible} are hidden. "
        f"As one row of eight, the mask is {', '.join(str(x) for row in hidden for x in row)}."
    )
    drawing = Drawing(24, 4.8, alt)
    drawing.text(3.2, 0.5, "noise: lowest two lit", bold=True)
    drawing.text(11.0, 0.5, "hidden and visible", bold=True)
    drawing.text(19.2, 0.5, "mask, in reading order", bold=True)
    for r, row in enumerate(noise):
        for c, value in enumerate(row):
            y = 1.3 + 1.15 * r
            drawing.box(0.7 + 1.3 * c, y, 1.2, 1.1, "plain" if hidden[r][c] else "lit", f"{value}")
            drawing.box(8.7 + 1.15 * c, y, 1.1, 1.1, "hidden" if hidden[r][c] else "visible")
            drawing.box(14.8 + 1.1 * (4 * r + c), 1.9, 1.05, 1.1, "plain", "T" if hidden[r][c] else "F", color="#333333" if hidden[r][c] else GREY)
    drawing.arrow((6.2, 2.45), (8.4, 2.45), "per row")
    drawing.arrow((13.4, 2.45), (14.6, 2.45))
    drawing.shape(3.2, 4.2, "B", "rows", "cols")
    drawing.shape(19.2, 4.2, "B", "N")
    return drawing


def ragged_tokens() -> Drawing:
    """ps1.4: the two samples of the example, of which one keeps two patches and the other three, and where their tokens go."""
    samples = (("ab·", (False, True, True, False)), ("cde", (True, False, False, False)))
    alt = (
        "Two samples of four patches. The first has two tokens, a and b, and one place of padding; its patches 1 and 2 are hidden, so its result is a m m b. "
        "The second has three tokens, c d e; its patch 0 is hidden, so its result is m c d e. No padding is in the result."
    )
    drawing = Drawing(24, 5.2, alt)
    for x, words in ((2.3, "tokens, padded"), (10.3, "hidden"), (19.3, "result")):
        drawing.text(x, 0.5, words, bold=True)
    for r, (tokens, hidden) in enumerate(samples):
        y, left = 1.2 + 1.6 * r, iter(tokens)
        for k, token in enumerate(tokens):
            drawing.box(0.6 + 1.2 * k, y, 1.1, 1.1, "plain" if token == "·" else "latent", "?" if token == "·" else token, color=GREY if token == "·" else "#333333")
        for n, gone in enumerate(hidden):
            drawing.box(8.0 + 1.2 * n, y, 1.1, 1.1, "hidden" if gone else "visible")
            drawing.box(17.0 + 1.2 * n, y, 1.1, 1.1, "mask token" if gone else "latent", "m" if gone else next(left))
        drawing.text(6.2, y + 0.55, "and", color=GREY)
        drawing.arrow((13.2, y + 0.55), (16.7, y + 0.55), "back to the places")
    drawing.shape(2.3, 4.6, "B", "Kmax", "D")
    drawing.shape(10.3, 4.6, "B", "N")
    drawing.shape(19.3, 4.6, "B", "N", "D")
    return drawing


def views_from_one_line() -> Drawing:
    """ps1.5: the patches of the example, lined up by noise, and the stretch of the line that each view keeps."""
    noise, keep, overlap = (0.6, 0.1, 0.9, 0.3, 0.8, 0.2, 0.7, 0.5), 2, 1
    line = sorted(range(len(noise)), key=noise.__getitem__)
    views = line[:keep], line[keep - overlap : 2 * keep - overlap]
    alt = (
        f"Eight patches with a number of noise each, lined up from the lowest: {' '.join(map(str, line))}. View 1 keeps the first {keep} of the line, {views[0][0]} and {views[0][1]}. "
        f"View 2 begins {overlap} place before view 1 ends and keeps {views[1][0]} and {views[1][1]}. Both see patch {views[1][0]}."
    )
    drawing = Drawing(24.6, 7.0, alt)
    drawing.text(3.0, 1.1, "noise", at="right")
    drawing.text(3.0, 3.8, "the line", at="right")
    for n, value in enumerate(noise):
        drawing.box(3.4 + 1.3 * n, 0.6, 1.2, 1.0, "plain", f"{value}")
        drawing.text(4.0 + 1.3 * n, 2.0, f"patch {n}", size=8, color=GREY)
        drawing.box(3.4 + 1.3 * n, 3.3, 1.2, 1.0, "lit" if line[n] in views[0] + views[1] else "plain", str(line[n]), bold=line[n] in views[0] + views[1])
        drawing.text(4.0 + 1.3 * n, 2.95, f"{noise[line[n]]}", size=8, color=GREY)
    for n, start in enumerate((0, keep - overlap)):
        y = 5.0 + 0.75 * n
        drawing.box(3.4 + 1.3 * start, y, 1.3 * keep - 0.1, 0.6, "visible", f"view {n + 1}", size=9)
    drawing.arrow((14.2, 3.8), (16.0, 3.8))
    drawing.text(20.0, 0.6, "hidden and visible", bold=True)
    for n, view in enumerate(views):
        y = 1.6 + 2.4 * n
        for patch in range(8):
            drawing.box(16.4 + 0.95 * patch, y, 0.9, 0.9, "visible" if patch in view else "hidden", str(patch) if patch in view else "", size=9)
        drawing.text(20.2, y + 1.3, f"view {n + 1}", size=9)
    drawing.shape(20.2, 6.3, "B", "N")
    drawing.text(8.5, 6.45, f"K = {keep}, overlap = {overlap}", size=9, at="left", color=GREY)
    return drawing


STATEMENTS = {"ps1.1": two_tubelets, "ps1.2": image_with_border, "ps1.3": lowest_of_each_row, "ps1.4": ragged_tokens, "ps1.5": views_from_one_line}
