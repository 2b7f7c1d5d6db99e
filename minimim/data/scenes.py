"""Scenes: the bundled garments at a random place, size and tint over a smooth coloured background, with exact truth.

On plain Fashion-MNIST raw pixels are hard to beat. In scenes they are not enough, because the class of a garment does not depend on
where it is, how large it is, what colour it has, or what is behind it.

Scene i of a split is a function of (seed, split, i) and of nothing else. All arithmetic is on whole numbers, with eight
bits for a fraction, so that a seed gives the same bytes on every machine.
"""

import numpy as np
import torch

from minimim.data.captions import caption
from minimim.data.fashion import CLASSES, SPLITS, arrays
from minimim.data.images import Images
from minimim.errors import UserError, unknown

COUNTS = {"train": 20_000, "test": 4_000}
TINTS = {  # the colour names of captions, as red, green, blue
    "red": (225, 55, 50),
    "orange": (240, 140, 40),
    "yellow": (235, 210, 60),
    "green": (80, 180, 75),
    "teal": (40, 170, 165),
    "blue": (65, 105, 225),
    "purple": (150, 80, 200),
    "pink": (240, 120, 175),
}
CHUNK = 500  # scenes painted at once
KNOTS = 3  # the background is smooth between KNOTS × KNOTS colours
SLOTS = 4 + 3 * KNOTS**2  # numbers drawn for the background and the count
PER_OBJECT = 8  # numbers drawn for each object
FIXED = {"size": (2,), "place": (3, 4), "tint": (5, 6, 7)}  # what can be the same in all scenes, besides the background, and which numbers it takes


def scenes(split="train", count: int | None = None, *, seed=0, image_size=32, objects: int | tuple[int, int] = 1, fixed=()) -> Images:
    """Draw scenes: images uint8 (n, 3, H, W), labels = the class of the nearest object, and truth of every object.

    count: how many, by default 20,000 train or 4,000 test; the first k of a larger set are the set of k. Train scenes
    use train garments only, test scenes test garments. image_size: H = W, or (H, W). objects: a number, or (low, high).
    truth, objects from the farthest to the nearest, −1 where there is none: class, garment, size, depth (0 = nearest)
    (n, objects), box (n, objects, 4) x0 y0 x1 y1 of the whole silhouette, segmentation (n, H, W) 0 = background and
    k = the k-th object's visible part, count (n,), tint (n, objects), caption, a list of n sentences.
    Raises UserError for an impossible split, size or number of objects.
    """
    if split not in SPLITS:
        raise unknown("split of scenes", split, SPLITS)
    size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    low, high = (objects, objects) if isinstance(objects, int) else objects
    if not 1 <= low <= high <= 20:
        raise UserError(f"a scene has from 1 to 20 objects, a number or (low, high); not {objects}")
    if min(size) < 16:
        raise UserError(f"a scene is at least 16 pixels high and wide, so that garments can be told; not {size}")
    for name in fixed:
        if name not in FIXED and name != "background":
            raise unknown("part of a scene that can be fixed", name, ["background", *FIXED])
    count = COUNTS[split] if count is None else count
    if count < 1:
        raise UserError(f"count must be 1 or more, not {count}")
    chunks = []
    for start in range(0, count, CHUNK):
        numbers = np.arange(start, min(start + CHUNK, count))
        chunks.append(paint(split, numbers, seed, size, low, high, fixed))
    images, truth = (
        {name: torch.from_numpy(np.concatenate([chunk[part][name] for chunk in chunks])) for name in chunks[0][part]}
        for part in (0, 1)
    )
    nearest = truth["class"].gather(1, truth["count"].unsqueeze(1) - 1).squeeze(1)  # (n,)
    truth["caption"] = [
        caption({name: rows[i].tolist() for name, rows in truth.items() if name != "segmentation"}, size, CLASSES, [*TINTS])
        for i in range(count)
    ]
    return Images(images["image"].permute(0, 3, 1, 2).contiguous(), nearest, CLASSES, truth)


def draw(seed: int, split: str, numbers: np.ndarray, slots: int) -> np.ndarray:
    """Random whole numbers in [0, 2³²), (n, slots) int64: a hash of (seed, split, scene, slot), splitmix64's finaliser."""
    with np.errstate(over="ignore"):
        state = np.uint64((2 * seed + SPLITS.index(split)) % 2**64) * np.uint64(0x9E3779B97F4A7C15)
        state = scramble(state + numbers.astype(np.uint64)[:, None] * np.uint64(0xD1342543DE82EF95))
        state = scramble(state + np.arange(1, slots + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    return (state >> np.uint64(32)).astype(np.int64)


def scramble(state: np.ndarray) -> np.ndarray:
    """Mix the bits of 64-bit numbers."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def between(random: np.ndarray, low, high) -> np.ndarray:
    """Whole numbers from low to high, both included, from random ones in [0, 2³²)."""
    return low + (random * (np.asarray(high) - low + 1) >> 32)


def paint(split: str, numbers: np.ndarray, seed: int, size, low: int, high: int, fixed=()) -> tuple[dict, dict]:
    """Some scenes: {"image": (n, H, W, 3)} and their truth."""
    n, (height, width) = len(numbers), size
    random = draw(seed, split, numbers, SLOTS + PER_OBJECT * high)
    for name in fixed:
        columns = range(SLOTS - 1) if name == "background" else [SLOTS + PER_OBJECT * k + slot for k in range(high) for slot in FIXED[name]]
        random[:, list(columns)] = 2**31  # the middle of what could be drawn
    canvas = background(random[:, : SLOTS - 1], size)  # (n, H, W, 3)
    count = between(random[:, SLOTS - 1], low, high)
    segmentation = np.zeros((n, height, width), np.uint8)
    truth = {name: np.full((n, high), -1) for name in ("class", "garment", "size", "depth", "tint")}
    truth["box"] = np.full((n, high, 4), -1)
    side = min(size)
    smallest, largest = (side * 12 // 20, side * 19 // 20) if high == 1 else (side * 3 // 10, side * 6 // 10)
    for k in range(high):
        r = random[:, SLOTS + PER_OBJECT * k : SLOTS + PER_OBJECT * (k + 1)].T  # (8, n)
        there = k < count  # (n,)
        # The first object's class goes through all ten in every ten scenes, from a drawn beginning.
        turn = draw(seed, split, numbers // 10, 1)[:, 0] + numbers if k == 0 else between(r[0], 0, 9)
        kind = turn % 10
        pool = arrays()[f"{split}_labels"]
        members = np.stack([np.flatnonzero(pool == c) for c in range(10)])  # (10, per class)
        garment = members[kind, between(r[1], 0, members.shape[1] - 1)]
        scale = between(r[2], smallest, largest)
        left, top = between(r[3], 0, width - scale), between(r[4], 0, height - scale)
        tint = between(r[5], 0, len(TINTS) - 1)
        grey = resized(arrays()[f"{split}_images"][garment], top, left, scale, size)  # (n, H, W)
        alpha = np.minimum(255, 5 * grey) * there[:, None, None]
        colour = tinted(grey, tint, r[6:8])  # (n, H, W, 3)
        canvas = (canvas * (255 - alpha[..., None]) + colour * alpha[..., None] + 127) // 255
        solid = alpha > 127
        segmentation[solid] = k + 1
        found = {"class": kind, "garment": garment, "size": scale, "depth": count - 1 - k, "tint": tint}
        for name, value in found.items():
            truth[name][there, k] = value[there]
        truth["box"][there, k] = boxes(solid)[there]
    return {"image": canvas.astype(np.uint8)}, {**truth, "segmentation": segmentation, "count": count}


def background(random: np.ndarray, size) -> np.ndarray:
    """Smooth pale colour: a few knots around one colour, blended along both axes: (n, H, W, 3)."""
    n = len(random)
    base = between(random[:, 0:3], 40, 215)  # (n, 3)
    knots = base[:, None] + between(random[:, 3 : 3 + 3 * KNOTS**2], -60, 60).reshape(n, KNOTS**2, 3)
    grid = (255 - (255 - knots) * 3 // 5).clip(0, 255).reshape(n, KNOTS, KNOTS, 3)
    down, across = (weights(length) for length in size)  # (H, KNOTS), (W, KNOTS)
    rows = np.einsum("hk,nkjc->nhjc", down, grid)  # (n, H, KNOTS, 3), eight bits of fraction
    return np.einsum("wj,nhjc->nhwc", across, rows) >> 16  # (n, H, W, 3)


def weights(length: int) -> np.ndarray:
    """How much each knot counts at each pixel, in parts of 256, smooth at the knots: (length, KNOTS)."""
    place = (2 * np.arange(length) + 1) * (KNOTS - 1) * 128 // length  # in parts of 256 of a stretch between knots
    knot, part = np.minimum(place // 256, KNOTS - 2), place % 256
    part = part * part * (768 - 2 * part) >> 16  # 3t² − 2t³
    table = np.zeros((length, KNOTS), np.int64)
    table[np.arange(length), knot] = 256 - part
    table[np.arange(length), knot + 1] = part
    return table


def resized(garments: np.ndarray, top, left, scale, size) -> np.ndarray:
    """Garments (n, 28, 28) at their place and size on the canvas, 0 elsewhere: (n, H, W), bilinear, 2×2 samples a pixel."""
    padded = np.pad(garments.astype(np.int32), ((0, 0), (1, 1), (1, 1)))  # (n, 30, 30)
    taps = []
    for start, length in ((top, size[0]), (left, size[1])):
        sample = 2 * np.arange(2 * length) + 1 - 4 * start[:, None]  # (n, 2·length), in quarters of a pixel
        place = sample * (28 * 64) // scale[:, None] - 128 + 256  # source pixel, padded, eight bits of fraction
        place = place.clip(0, 29 * 256 - 1)
        taps.append((place >> 8, (place & 255).astype(np.int32)))
    (row, down), (col, across) = taps
    each = np.arange(len(garments))[:, None]
    lines = padded[each, row] * (256 - down)[..., None] + padded[each, row + 1] * down[..., None] >> 8  # (n, 2H, 30)
    lines = lines.transpose(0, 2, 1)  # (n, 30, 2H)
    fine = lines[each, col] * (256 - across)[..., None] + lines[each, col + 1] * across[..., None] >> 8  # (n, 2W, 2H)
    n, wide, high = fine.shape
    return fine.reshape(n, wide // 2, 2, high // 2, 2).sum((2, 4)).transpose(0, 2, 1) >> 2  # (n, H, W)


def tinted(grey: np.ndarray, tint: np.ndarray, random: np.ndarray) -> np.ndarray:
    """Grey (n, H, W) as a colour from a dark to a light shade of the tint: (n, H, W, 3)."""
    colour = np.array(list(TINTS.values()))[tint] + between(random[0], -15, 15)[:, None]  # (n, 3)
    pale = colour * 4 // 5 + between(random[1], 0, 20)[:, None]
    deep, pale = (x.clip(0, 255)[:, None, None] for x in (colour // 5, pale))
    return deep + (pale - deep) * grey[..., None] // 255


def boxes(solid: np.ndarray) -> np.ndarray:
    """x0, y0, x1, y1 (past the end) of what is True: (n, H, W) → (n, 4)."""
    ends = []
    for axis in (1, 2):  # over rows: which columns; over columns: which rows
        line = solid.any(axis)
        ends.append((line.argmax(1), line.shape[1] - line[:, ::-1].argmax(1)))
    (x0, x1), (y0, y1) = ends
    return np.stack([x0, y0, x1, y1], axis=1)
