"""Drawings for the statements of problem set 6: each shows its task's example, with its numbers worked out."""

import math

import torch
import torch.nn.functional as F
from matplotlib import colormaps
from matplotlib.colors import to_hex
from torch import Tensor

from minimim.show.drawing import INK, Drawing
from minimim.show.drawings.ps3 import GREY, HALO

BLUE, RED = "#0072b2", "#d55e00"
GRADIENTS = (((3, 0), (4, 45)), ((4, 90), (0, 0)))  # (length, degrees) of the pixels of ps6.1
CODES, LATENTS, USAGE = (0, 10, 99, 98), (0, 2, 9, 14, 15), (4.0, 2.0, 0.5, 0.5)


def votes(pixels: list[tuple[float, float]]) -> list[float]:
    """Votes of gradients, (length, degrees), for the directions 0° and 90°."""
    found = [0.0, 0.0]
    for length, degrees in pixels:
        found[0] += length * (1 - degrees / 90)
        found[1] += length * degrees / 90
    return found


def cells_that_reach() -> Drawing:
    """ps6.1: the gradients of the example's four pixels, what its two cells sum with margin 0 and 1, and the numbers of the patch."""
    columns = [[GRADIENTS[r][c] for r in (0, 1)] for c in (0, 1)]
    everything = columns[0] + columns[1]
    found = {0: [votes(column) for column in columns], 1: [votes(everything)] * 2}
    lengths = {margin: sum(x * x for cell in cells for x in cell) for margin, cells in found.items()}
    results = {margin: [x / math.sqrt(lengths[margin]) for cell in cells for x in cell] for margin, cells in found.items()}
    alt = "A patch of 2 by 2 pixels with a gradient in each, cut into a left and a right cell. " + " ".join(
        f"With margin {margin} the cells have the votes {', '.join(f'{x:g}' for x in found[margin][0])} and {', '.join(f'{x:g}' for x in found[margin][1])} for 0° and 90°, and the patch is {', '.join(f'{x:.3f}' for x in results[margin])}."
        for margin in found
    )
    drawing = Drawing(25, 9.0, alt)
    for x, words in ((2.9, "gradients of four pixels"), (10.3, "what each cell reaches"), (17.0, "its votes"), (21.9, "the patch, length 1")):
        drawing.text(x, 0.5, words, bold=True)
    for r in (0, 1):
        for c in (0, 1):
            (length, degrees), x, y = GRADIENTS[r][c], 0.5 + 2.45 * c, 1.4 + 3.2 * r
            drawing.box(x, y, 2.35, 3.1, "visible")
            if length:
                angle, scale = math.radians(degrees), 0.42
                dx, dy = scale * length * math.cos(angle), scale * length * math.sin(angle)
                drawing.arrow((x + 1.15 - dx / 2, y + 1.2 - dy / 2), (x + 1.15 + dx / 2, y + 1.2 + dy / 2), color=BLUE)
            drawing.text(x + 1.17, y + 2.65, f"length {length}" + (f", {degrees}°" if length else ""), size=8)
    for row, margin in enumerate(found):
        y = 1.5 + 3.7 * row
        drawing.text(6.2, y + 1.3, f"margin {margin}", size=10, at="left")
        for cell, values in enumerate(found[margin]):
            x = 8.5 + 2.9 * cell
            for n in range(4):
                reached = margin or n % 2 == cell
                drawing.box(x + 1.1 * (n % 2), y + 1.1 * (n // 2), 1.0, 1.0, "lit" if reached else "plain")
            drawing.text(x + 1.05, y + 2.6, ("left cell", "right cell")[cell], size=8, color=GREY)
            for d, value in enumerate(values):
                drawing.box(15.5 + 1.6 * d, y + 1.2 * cell, 1.5, 1.05, "plain", f"{value:g}")
            drawing.text(15.35, y + 0.52 + 1.2 * cell, ("left", "right")[cell], size=8, color=GREY, at="right")
        for d, name in enumerate(("0°", "90°")):
            drawing.text(16.25 + 1.6 * d, y - 0.3, name, size=8, color=GREY)
        drawing.arrow((13.75, y + 1.12), (14.45, y + 1.12))
        drawing.arrow((18.8, y + 1.12), (19.75, y + 1.12))
        for n, value in enumerate(results[margin]):
            drawing.box(19.9 + 2.05 * (n % 2), y + 1.2 * (n // 2), 1.95, 1.05, "target", f"{value:.3f}")
        drawing.text(21.9, y + 2.75, f"divided by √{lengths[margin]:g}", size=9)
    drawing.text(12.5, 8.6, "the gradient of 4 at 45° gives 2 to each direction", size=9, color=GREY)
    return drawing


def to_the_farthest() -> Drawing:
    """ps6.2: codes and latents of the example on a line, the distances to the nearest that lives, and the two moves."""
    counts = [sum(min(range(4), key=lambda k, x=x: (x - CODES[k]) ** 2) == n for x in LATENTS) for n in range(4)]
    usage = [0.5 * u + 0.5 * n for u, n in zip(USAGE, counts, strict=True)]
    living = [CODES[k] for k in range(4) if usage[k] >= 1]
    fresh = sum(u for u in usage if u >= 1) / len(living)
    rows, moved = [], []
    for _ in range(2):
        away = [min((x - c) ** 2 for c in living) for x in LATENTS]
        rows.append((list(living), away))
        moved.append(LATENTS[away.index(max(away))])
        living.append(moved[-1])
    alt = f"Latents at {', '.join(map(str, LATENTS))} and codes at 0 and 10 on a line; the codes 2 and 3, at 99 and 98, are dead. The squared distances to the living are {', '.join(map(str, rows[0][1]))}, so code 2 moves to {moved[0]}; then they are {', '.join(map(str, rows[1][1]))}, and code 3 moves to {moved[1]}."
    drawing = Drawing(25, 9.4, alt)
    for n, words in enumerate(("code", "usage before", "count", "new usage")):
        drawing.text(1.8, 0.7 + 0.95 * n, words, size=9, bold=n == 3)
    for k in range(4):
        dead = usage[k] < 1
        for n, words in enumerate((f"{k}, at {CODES[k]}", f"{USAGE[k]:g}", str(counts[k]), f"{usage[k]:g}")):
            drawing.box(3.7 + 2.6 * k, 0.3 + 0.95 * n, 2.5, 0.8, "lit" if n == 3 and dead else "latent" if not n else "plain", words, size=9)
    drawing.text(14.5, 3.55, "below the threshold 1: codes 2 and 3 are dead", at="left", size=9)
    drawing.text(14.5, 0.7, "new usage = 0.5 · before + 0.5 · count", at="left", size=9, color=GREY)
    for step, (alive, away) in enumerate(rows):
        y = 5.0 + 2.3 * step
        drawing.text(1.8, y + 0.2, f"code {2 + step}:", size=10, bold=True)
        drawing.axes.plot([3.5, 20.5], [y + 0.2, y + 0.2], color=INK, linewidth=1)
        for place in alive:
            drawing.axes.plot(4.0 + place, y + 0.2, "s", color="#56b4e9", markeredgecolor=INK, markersize=13, zorder=3)
        for x, far in zip(LATENTS, away, strict=True):
            chosen = x == moved[step]
            drawing.axes.plot(4.0 + x, y + 0.2, "o", color=RED if chosen else INK, markersize=6, zorder=4)
            drawing.text(4.0 + x, y - 0.45, str(x), size=8, color=GREY)
            drawing.text(4.0 + x, y + 0.95, str(far), size=9, bold=chosen, color=RED if chosen else INK)
        drawing.text(20.8, y + 0.2, f"moves to {moved[step]}", at="left", bold=True, color=RED)
        drawing.text(20.8, y + 0.95, f"its usage: {fresh:g}", at="left", size=9)
        drawing.text(1.8, y + 0.95, "distance²", size=8, color=GREY)
    drawing.text(12, 9.0, "squares: codes that live; dots: latents, with their squared distance to the nearest square", size=9, color=GREY)
    return drawing


def rectangles_inside() -> Drawing:
    """ps6.3: the places of the example's two rectangles in a grid of 5×6, and what is hidden with count 6."""
    rows, cols, count = 5, 6, 6
    rectangles, numbers = ((2, 2), (1, 3)), ((0.0, 0.75), (0.4, 0.0))
    corners = [(1 + int(u * (rows - 1 - h)), 1 + int(v * (cols - 1 - w))) for (h, w), (u, v) in zip(rectangles, numbers, strict=True)]
    covered = [[(r, c) for r in range(t, t + h) for c in range(left, left + w)] for (t, left), (h, w) in zip(corners, rectangles, strict=True)]
    order = list(dict.fromkeys(covered[0] + covered[1]))[:count]
    told = [f"{h}×{w} at row {t}, column {left}" for (h, w), (t, left) in zip(rectangles, corners, strict=True)]
    alt = f"A grid of {rows} by {cols} patches whose border may not be hidden. Rectangle 0 is {told[0]}, rectangle 1 is {told[1]}; they share a patch. With count {count} the patches {', '.join(str(r * cols + c) for r, c in order)} are hidden in this order."
    drawing = Drawing(25, 7.8, alt)
    panels = (("rectangle 0", covered[0]), ("rectangle 1", covered[1]), (f"hidden, count {count}", order))
    for n, (title, places) in enumerate(panels):
        x, y = 0.6 + 8.3 * n, 1.2
        drawing.text(x + 3.3, 0.6, title, bold=True)
        for r in range(rows):
            for c in range(cols):
                inner = 0 < r < rows - 1 and 0 < c < cols - 1
                here = (r, c) in places
                kind = "hidden" if n == 2 and here else "lit" if here else "plain" if inner else "visible"
                drawing.box(x + 1.1 * c, y + 1.0 * r, 1.0, 0.92, kind)
                if n == 2 and here:
                    drawing.text(x + 1.1 * c + 0.5, y + r + 0.46, str(order.index((r, c)) + 1), bold=True, bbox=HALO)
        if n < 2:
            (h, w), (u, v), (t, left) = rectangles[n], numbers[n], corners[n]
            free = rows - 1 - h, cols - 1 - w
            drawing.text(x + 3.3, 6.7, f"rows: {u:g} · {free[0]} → place {t - 1}, so row {t}", size=9)
            drawing.text(x + 3.3, 7.25, f"columns: {v:g} · {free[1]} → place {left - 1}, so column {left}", size=9)
        else:
            drawing.text(x + 3.3, 6.7, "numbers: the order in which they are hidden;", size=9)
            drawing.text(x + 3.3, 7.25, "grey: the border, which stays visible", size=9)
    return drawing


def object_hint_others() -> Drawing:
    """ps6.4: map and noise of the example, the object, the hint in it, and the mask."""
    importance, noise, top, hint, count = (0.5, 0.9, 0.8, 0.1, 0.7, 0.2), (0.2, 0.6, 0.3, 0.9, 0.8, 0.4), 3, 1, 4
    object_ = sorted(range(6), key=lambda n: -importance[n])[:top]
    hints = sorted(object_, key=lambda n: noise[n])[:hint]
    others = sorted(set(range(6)) - set(object_), key=lambda n: noise[n])[: count - (top - hint)]
    hidden = sorted((set(object_) - set(hints)) | set(others))
    alt = f"Six patches with their importance and noise. The object is the {top} most important, patches {', '.join(map(str, sorted(object_)))}; of these patch {hints[0]} has the lowest noise and is the hint. The rest of the object is hidden, and of the others those with the lowest noise, {', '.join(map(str, sorted(others)))}: in all {', '.join(map(str, hidden))}."
    drawing = Drawing(25, 6.6, alt)
    heat = colormaps["YlOrBr"]
    panels = ("importance: the object", "noise: the hint in it", "noise: the others", f"hidden, count {count}")
    for k, title in enumerate(panels):
        x, y = 0.5 + 6.2 * k, 1.3
        drawing.text(x + 2.7, 0.6, title, bold=True)
        for n in range(6):
            left, up = x + 1.8 * (n % 3), y + 1.8 * (n // 3)
            inside = (object_, hints, others, hidden)[k]
            kind = "hidden" if k == 3 and n in hidden else "lit" if n in inside or (k == 3 and n in hints) else "plain"
            fill = ""
            if k == 0:
                fill = to_hex(heat(0.75 * importance[n]))
            aside = (k == 1 and n not in object_) or (k == 2 and n in object_)
            drawing.box(left, up, 1.7, 1.7, "visible" if aside else kind, fill=fill)
            words = "" if aside else f"{(importance, noise, noise)[k][n]:g}" if k < 3 else "hint" if n in hints else ""
            if words:
                drawing.text(left + 0.85, up + 0.85, words, bold=n in inside or k == 3)
            drawing.text(left + 0.3, up + 0.28, str(n), size=7, color=GREY, **({"bbox": HALO} if k == 3 and n in hidden else {}))
        if k < 3:
            drawing.arrow((x + 5.45, 3.1), (x + 6.1, 3.1))
    notes = (f"top = {top}: the largest", f"hint = {hint}: the lowest noise\nof the object stays visible", f"{count} − ({top} − {hint}) = {len(others)} are missing: the\nlowest noise outside the object", f"exactly {count}, and the hint\nis not among them")
    for k, words in enumerate(notes):
        drawing.text(3.2 + 6.2 * k, 5.75, words, size=9)
    return drawing


def one_after_the_other() -> Drawing:
    """ps6.5: the three candidates of the example, which become targets, and the context without them."""
    rows, cols, size, wanted = 3, 5, (1, 2), 2
    candidates, (top, left, high, wide) = ((0, 3), (0, 2), (2, 0)), (0, 1, 3, 4)
    taken, panels = [], []
    for r, c in candidates:
        one = {(r + a, c + b) for a in range(size[0]) for b in range(size[1])}
        shared = {place for other in taken for place in other} & one
        panels.append((one, set().union(*taken), shared))
        if not shared and len(taken) < wanted:
            taken.append(one)
    gone = set().union(*taken)
    free = {(r, c) for r in range(top, top + high) for c in range(left, left + wide)} - gone
    told = [", ".join(str(r * cols + c) for r, c in sorted(one)) for one in taken]
    alt = f"A grid of {rows} by {cols}. The first candidate, patches {told[0]}, becomes target 0. The second shares a patch with it and is passed over. The third, patches {told[1]}, becomes target 1. The context is a block of {high} by {wide}; without the targets {len(free)} patches are free."
    drawing = Drawing(25, 5.6, alt)
    side = 1.05
    for n in range(4):
        x, y = 0.4 + 6.2 * n, 1.3
        drawing.text(x + 2.7, 0.6, f"candidate {n}: {candidates[n]}" if n < 3 else "context, and what is free", bold=True, size=9)
        for r in range(rows):
            for c in range(cols):
                place = (r, c)
                if n < 3:
                    one, before, shared = panels[n]
                    kind = "lit" if place in shared else "target" if place in before or (place in one and not shared) else "prediction" if place in one else "plain"
                else:
                    kind = "target" if place in gone else "latent" if place in free else "plain"
                drawing.box(x + side * c, y + side * r, side - 0.08, side - 0.08, kind, str(r * cols + c), size=8)
        words = "its patches are in no target:\na free patch of the context is shown"
        if n < 3:
            words = "shares a patch with target 0:\npassed over" if panels[n][2] else f"shares no patch: target {taken.index(panels[n][0])}"
        else:
            words = f"a block of {high}×{wide}, minus the targets:\n{len(free)} free patches"
        drawing.text(x + 2.6, 5.05, words, size=9)
    return drawing


def room(side: int = 64) -> Tensor:
    """A made-up depth map in metres, (side, side): a wall, a floor, a box in front, and holes (0) beside its edge and in the wall."""
    row, col = torch.meshgrid(torch.arange(side).float() / side, torch.arange(side).float() / side, indexing="ij")
    depth = torch.where(row > 0.45, (2.7 / (row - 0.115)).clamp(max=8), torch.full_like(row, 8.0))
    depth = torch.where((row > 0.3) & (row < 0.8) & (col > 0.28) & (col < 0.55), 2.0 + 1.2 * (col - 0.28), depth)
    depth[(row > 0.3) & (row < 0.8) & (col >= 0.55) & (col < 0.6)] = 0
    depth[(row > 0.1) & (row < 0.25) & (col > 0.7) & (col < 0.85)] = 0
    return depth


def coloured(x: Tensor, holes: Tensor, low: float, high: float) -> Tensor:
    """Numbers (H, W) as colours, holes in white: (3, H, W) uint8."""
    colours = torch.tensor(colormaps["viridis"](((x - low) / (high - low)).clamp(0, 1).numpy())[..., :3]).permute(2, 0, 1)
    return (255 * torch.where(holes, 1.0, colours)).round().to(torch.uint8)


def one_map_many_targets() -> Drawing:
    """ps6.W1: a made-up depth map with holes, three quarters of its patches hidden, and the question what the target is."""
    depth = room()
    holes = depth == 0
    picture = coloured(depth, holes, 0.5, 8)
    hidden = torch.rand(64, generator=torch.Generator().manual_seed(3)).argsort().argsort() < 48
    patch = depth[24:48, 28:44]
    near, far = float(patch[patch > 0].min()), float(patch[patch > 0].max())
    alt = f"A made-up depth map of a room, with a box in front of a wall and floor, and white holes where the camera saw nothing. Three quarters of its patches, here 8 by 8, are hidden. A part at the edge of the box holds depths from {near:.1f} to {far:.1f} metres and a hole. What should be predicted from it?"
    drawing = Drawing(25, 7.4, alt)
    drawing.picture(0.5, 1.2, 5.0, picture)
    drawing.text(3.0, 0.6, "blue is near, yellow far", bold=True)
    drawing.patches(7.2, 1.2, 5.0, picture, (8, 8), hidden)
    drawing.text(9.7, 0.6, "what the encoder reads", bold=True)
    drawing.picture(14.3, 1.2, 3.4, F.interpolate(coloured(patch, patch == 0, 0.5, 8)[None].float(), scale_factor=4, mode="nearest")[0].to(torch.uint8))
    drawing.box(14.3, 1.2, 3.4, 5.1, "plain", fill="none")
    drawing.text(16.0, 0.6, "at the edge of the box", bold=True)
    drawing.text(15.7, 6.85, f"{near:.1f} m to {far:.1f} m, and a hole", size=9)
    drawing.text(3.0, 6.85, "white: the camera saw nothing", size=9)
    drawing.text(9.7, 6.85, "three quarters of 8×8 hidden", size=9)
    drawing.arrow((5.7, 3.7), (7.0, 3.7))
    drawing.arrow((18.0, 3.7), (19.3, 3.7))
    for n, words in enumerate(("metres?", "log metres?", "1 / metres?", "which mean?", "holes?", "which loss?")):
        drawing.box(19.5, 1.2 + 0.88 * n, 4.6, 0.78, "target", words, size=9)
    return drawing


STATEMENTS = {"ps6.1": cells_that_reach, "ps6.2": to_the_farthest, "ps6.3": rectangles_inside, "ps6.4": object_hint_others, "ps6.5": one_after_the_other, "ps6.W1": one_map_many_targets}
