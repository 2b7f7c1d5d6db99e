"""Paper for pictures that follow a hand: composed of arrays and encoded by pillow, because drawing them by matplotlib takes too long."""

import io
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import matplotlib
import numpy as np
import torch
from PIL import Image, ImageChops, ImageDraw, ImageFont
from torch import Tensor

from minimim.show.drawing import EDGES, INK

LINE = 24  # pixels that a line of words takes
HATCH = ((187, 187, 187), (119, 119, 119))  # a hidden patch: its grey, and that of its strokes
FRAME = "#0072b2"  # around the patch that is pointed at
SIDES = {"left": "lm", "center": "mm", "right": "rm"}  # which side of words is at a place, as pillow says it


class Paper:
    """White paper of so many pixels on which pictures, words and lines are placed."""

    def __init__(self, width: int, height: int):
        self.image = Image.new("RGB", (width, height), "white")
        self.pen = ImageDraw.Draw(self.image)

    def picture(self, x: int, y: int, side: int, picture: Tensor, name: str) -> None:
        """A picture, uint8 (C, H, W), so many pixels wide and high; small ones in squares. name: on the line above it."""
        self.image.paste(Image.fromarray(np.ascontiguousarray(enlarged(picture, side).permute(1, 2, 0).numpy())), (x, y))
        self.words(x + side // 2, y - LINE // 2, name)

    def darken(self, x: int, y: int, picture: Image.Image) -> None:
        """Put a picture on what is there, of which the darker stays: dark things on white may overlap."""
        box = (x, y, x + picture.width, y + picture.height)
        self.image.paste(ImageChops.darker(self.image.crop(box), picture), box)

    def words(self, x: int, y: int, words: str, *, at: str = "center", size: int = 13, bold: bool = False) -> None:
        """A line of words whose middle is at y; at: which side of it is at x."""
        self.pen.text((x, y), words, fill=INK, font=font(size, bold), anchor=SIDES[at])

    def frame(self, x: int, y: int, width: int, height: int) -> None:
        """A blue frame with a white edge, seen on dark and on bright."""
        self.pen.rectangle((x - 2, y - 2, x + width + 1, y + height + 1), outline="white", width=5)
        self.pen.rectangle((x - 1, y - 1, x + width, y + height), outline=FRAME, width=3)

    def edge(self, x: int, y: int, side: int, kind: str) -> None:
        """The edge of a picture that is a prediction, dashed, or a target, green."""
        corners = [(x, y), (x + side - 1, y), (x + side - 1, y + side - 1), (x, y + side - 1), (x, y)]
        if kind == "target":
            self.pen.line(corners, fill=EDGES[kind]["edgecolor"], width=3)
            return
        for (left, top), (right, low) in pairwise(corners):
            for n in range(0, side, 10):
                ends = [(left + (right - left) * k // side, top + (low - top) * k // side) for k in (n, min(side, n + 6))]
                self.pen.line(ends, fill=INK, width=2)

    def content(self, photo: bool = False) -> bytes:
        """The file: PNG, or JPEG for a photo."""
        file = io.BytesIO()
        self.image.save(file, **({"format": "JPEG", "quality": 85} if photo else {"format": "PNG", "compress_level": 1}))
        return file.getvalue()


def hatched(picture: Tensor, hidden: Tensor, grid: tuple[int, int]) -> Tensor:
    """A picture with its hidden patches hatched: uint8 (C, H, W), hidden (N,) bool → uint8 (3, H, W)."""
    height, width = picture.shape[-2:]
    where = hidden.view(grid).repeat_interleave(height // grid[0], 0).repeat_interleave(width // grid[1], 1)  # (H, W)
    return torch.where(where, strokes(height, width), picture)


@lru_cache(maxsize=8)
def strokes(height: int, width: int) -> Tensor:
    """Hatching of so many pixels: uint8 (3, H, W)."""
    down, across = torch.arange(height).unsqueeze(1), torch.arange(width)
    return torch.where((down + across) % 8 < 1, *(torch.tensor(grey, dtype=torch.uint8).view(3, 1, 1) for grey in HATCH[::-1]))


def enlarged(picture: Tensor, side: int) -> Tensor:
    """A square picture, uint8 (C, H, W), at so many pixels a side: small ones in squares, others smoothly. uint8 (3, side, side)."""
    picture = picture.expand(3, -1, -1)
    if side % picture.shape[-1] == 0:
        return picture.repeat_interleave(side // picture.shape[-1], 1).repeat_interleave(side // picture.shape[-1], 2)
    image = Image.fromarray(np.ascontiguousarray(picture.permute(1, 2, 0).numpy())).resize((side, side), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


@lru_cache(maxsize=8)
def font(size: int, bold: bool):
    """The typeface of the course's drawings."""
    file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")
    return ImageFont.truetype(str(file), size)
