"""One picture from a file: which files are pictures, and their pixels, upright, in RGB, at the wanted size.

A picture of more than 8 bits a channel rarely states which number is white. Where it is certain, the picture is scaled without a
warning; otherwise the brightest pixel counts as white, and a warning says so.
"""

from collections.abc import Iterable

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

NO_PICTURES = {"BUFR", "EPS", "FITS", "GRIB", "HDF5", "IPTC", "MPEG", "PDF", "WMF"}  # drawings, films, tables: Pillow's names
UNREAD = {  # what viewers open as pictures, and Pillow does not, or not everywhere
    *(".ai", ".avif", ".avifs", ".cdr", ".dcm", ".emf", ".eps", ".exr", ".fit", ".fits", ".heic", ".heics", ".heif", ".hif"),
    *(".jxl", ".jxr", ".kra", ".ora", ".psb", ".svg", ".svgz", ".wdp", ".webp", ".wmf", ".xcf"),
    *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".iiq", ".kdc", ".mrw", ".nef", ".nrw", ".orf", ".pef"),
    *(".raf", ".raw", ".rw2", ".sr2", ".srf", ".srw", ".x3f"),
}
GUESSED = "by the brightest pixel"  # how white is found where nothing says it
FLAT = 1 / 8  # a picture that would take a smaller part of the way from black to white is spread over the whole way


def endings() -> frozenset[str]:
    """Endings of the pictures that Pillow reads here, in lower case: all that are registered with it, by its plugins too."""
    Image.init()  # fills Image.OPEN: no plugin is registered before it is asked for
    kinds = {*Image.OPEN, "MPO"} - NO_PICTURES  # MPO, of two-eyed cameras, is opened as JPEG
    return frozenset(ending for ending, kind in Image.registered_extensions().items() if kind in kinds)


def decoded(source, size: tuple[int, int]) -> tuple[Tensor, str]:
    """One picture, a path or an open file, upright, RGB on white, cut to the shape from its middle: uint8 (3, H, W); and how
    its white was guessed, "" where there was nothing to guess.

    A JPEG with at least twice the pixels on both sides is decoded at a half, a quarter or an eighth of its size. Of a film,
    the first picture. Raises ValueError for pixels that are no numbers, and what Pillow raises for broken files.
    """
    with Image.open(source) as picture:
        draft = picture.draft("RGB", (max(size), max(size)))
        width, height = draft[1][2:] if draft else picture.size  # a draft's last row and column may be parts of a pixel
        bits = bits_of(picture)
        upright = ImageOps.exif_transpose(picture)
        if upright.size != picture.size:
            width, height = height, width
        upright, guess = eight_bits(upright, bits)
        if "A" in upright.getbands() or "transparency" in upright.info:
            upright = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
        scale = min(height / size[0], width / size[1])
        left, top = max(0, (width - size[1] * scale) / 2), max(0, (height - size[0] * scale) / 2)
        middle = (left, top, width - left, height - top)
        picture = upright.convert("RGB").resize((size[1], size[0]), Image.Resampling.BICUBIC, middle)
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous(), guess  # (H, W, 3) → (3, H, W)


def bits_of(picture: Image.Image) -> int:
    """The bits of each channel that are used in a file just opened, where that is certain; otherwise 0."""
    if picture.mode.startswith("I") and picture.format == "PPM":
        return 16  # Pillow has scaled it so
    if 8 < getattr(picture, "tag_v2", {}).get(258, (8,))[0] < 16:  # a TIFF's BitsPerSample
        return picture.tag_v2[258][0]
    upper = any(";16" in str(tile[3]) for tile in picture.tile)  # of 16 bits a colour Pillow keeps the upper 8
    return 0 if upper or picture.mode[0] in "IF" else 8


def eight_bits(picture: Image.Image, bits: int) -> tuple[Image.Image, str]:
    """A picture with 8 bits a channel, and how white was guessed, if it was. bits: as `bits_of` has them."""
    if picture.mode[0] in "IF":
        values = np.asarray(picture).astype(np.float64)  # (H, W)
        if not np.isfinite(values).all():
            raise ValueError("some of its pixels are not finite numbers, but NaN or infinite")
        black, white, guess = span(values.min(), values.max(), picture.mode, bits)
        values = (values - black) * (255 / max(white - black, 1e-9))
        return Image.fromarray(values.round().clip(0, 255).astype(np.uint8)), guess
    greatest = [high for _, high in np.reshape(picture.getextrema(), (-1, 2))]  # one a channel, transparency the last
    if bits or not 0 < max(greatest[: len(greatest) - ("A" in picture.mode)]) < 16:
        return picture, ""
    # Only 12 bits of the 16 were used, so of the upper 8 there are 4 that say something.
    return picture.point([17 * min(v, 15) if high < 16 else v for high in greatest for v in range(256)]), "as 12 bits"


def span(low: float, high: float, mode: str, bits: int) -> tuple[float, float, str]:
    """The numbers that are black and white in a picture with numbers from low to high, and how that was guessed, if it was."""
    if bits or low == high == 0:
        return 0, 2 ** (bits or 8) - 1, ""
    if low < -0.1 * abs(high) or high > 65535:
        return min(low, 0), high, "from its smallest to its greatest number"
    if mode == "F" and high < 2 and high - low > FLAT:  # from 0 to 1; resampling leaves a little more
        return 0, 1, ""
    used = next(bits for bits in (8, 10, 12, 14, 16) if high < 2**bits)
    guess = "" if used == 16 and mode.startswith("I;16") else f"as {used} bits"
    if guess and low < high and high - low < FLAT * 2**used:
        return low, high, "from its smallest to its greatest number"
    return 0, 2**used - 1, guess


def one_colour(image: Tensor) -> bool:
    """Whether all pixels of an image (C, H, W) are alike."""
    return bool((image == image[:, :1, :1]).all())


def by_ending(counts: Iterable[tuple[str, int]]) -> str:
    """Counts of files in words, the most first.

    >>> by_ending({".svg": 1, ".heic": 20}.items())
    '20 .heic, 1 .svg'
    """
    return ", ".join(f"{count} {ending}" for ending, count in sorted(counts, key=lambda item: (-item[1], item[0])))
