"""The mistakes that people make in problem set 1, tasks 1 and 2, patches: what a check says of each, and a function that makes
it."""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from minimim.feedback.ps1 import truth


def other_tubelets(pattern: str):
    """Tubelets as another einops pattern would cut them."""

    def mistaken(video, patch_size, frames):
        return rearrange(video, pattern, t=frames, p=patch_size, q=patch_size)

    return mistaken


WHOLE = "b (n t) c (r p) (s q) ->"
TUBELETS = {
    "the pixels of a tubelet are in (c, t, p, q) order; channels come last here, (t, p, q, c)": other_tubelets(
        f"{WHOLE} b (n r s) (c t p q)"
    ),
    "the patch pixels are in (c, p, q) order; MAE uses (p, q, c), and a tubelet (t, p, q, c)": other_tubelets(
        f"{WHOLE} b (n r s) (t c p q)"
    ),
    "the pixels of a tubelet are in (p, q, t, c) order; time comes first, (t, p, q, c)": other_tubelets(
        f"{WHOLE} b (n r s) (p q t c)"
    ),
    "time comes last inside a tubelet, (p, q, c, t); it comes first, (t, p, q, c)": other_tubelets(
        f"{WHOLE} b (n r s) (p q c t)"
    ),
    "inside a tubelet rows and columns have changed places: (t, q, p, c), where (t, p, q, c) was asked": other_tubelets(
        f"{WHOLE} b (n r s) (t q p c)"
    ),
    "the tubelets are ordered by place first and time last; time comes first, then row, then column": other_tubelets(
        f"{WHOLE} b (r s n) (t p q c)"
    ),
    "time stands between row and column in the order of the tubelets; it comes first": other_tubelets(
        f"{WHOLE} b (r n s) (t p q c)"
    ),
    "the tubelets are ordered column by column; the row comes before the column": other_tubelets(
        f"{WHOLE} b (n s r) (t p q c)"
    ),
    "a tubelet takes pixels that lie far apart: a side splits into (r p), r patches of p pixels, not (p r)": other_tubelets(
        "b (n t) c (p r) (q s) -> b (n r s) (t p q c)"
    ),
    "a tubelet takes frames that lie far apart: time splits into (n t), n tubelets of t frames, not (t n)": other_tubelets(
        "b (t n) c (r p) (s q) -> b (n r s) (t p q c)"
    ),
    "a reshape alone keeps the order in memory, and the pixels of a tubelet do not lie side by side there: split the "
    "sides, then bring the axes into order, then merge": lambda video, patch_size, frames: video.reshape(
        len(video), -1, frames * patch_size**2 * video.shape[2]
    ),
}


# ps1.2


def framed(images, patch_size, *, pad=None, mode="constant", value=0.0):
    """Patches and real pixels where the border is put otherwise. pad: (left, right, top, bottom) from the two needs."""
    down, right = (-side % patch_size for side in images.shape[-2:])
    pad = pad(right, down) if pad else (0, right, 0, down)
    more = {"value": value} if mode == "constant" else {}
    images, inside = F.pad(images, pad, mode=mode, **more), F.pad(torch.ones_like(images[:, :1]), pad)
    patches, real = (
        rearrange(x, "b c (r p) (s q) -> b (r s) (p q c)", p=patch_size, q=patch_size) for x in (images, inside)
    )
    return patches, real.bool()


def channels_first(images, patch_size):
    patches, real = truth.patches_with_border(images, patch_size)
    return rearrange(patches, "b n (p q c) -> b n (c p q)", p=patch_size, q=patch_size), real


def not_black(images, patch_size):
    patches, _ = truth.patches_with_border(images, patch_size)
    return patches, rearrange(patches != 0, "b n (k c) -> b n k c", k=patch_size**2).any(-1)


def border_marked(images, patch_size):
    patches, real = truth.patches_with_border(images, patch_size)
    return patches, ~real


def cut_off(images, patch_size):
    height, width = (side // patch_size * patch_size for side in images.shape[-2:])
    return truth.patches_with_border(images[..., :height, :width], patch_size)


def always_a_border(images, patch_size):
    down, right = (patch_size - side % patch_size for side in images.shape[-2:])
    return framed(images, patch_size, pad=lambda *_: (0, right, 0, down))


def with_real(change):
    """A mistake: the patches are right, and real is change(real (B, rows, cols, P, P))."""

    def mistaken(images, patch_size):
        patches, real = truth.patches_with_border(images, patch_size)
        rows = -(-images.shape[2] // patch_size)
        cut = {"r": rows, "p": patch_size}
        grid = rearrange(real, "b (r s) (p q) -> b r s p q", **cut)
        return patches, rearrange(change(grid), "b r s p q -> b (r s) (p q)")

    return mistaken


def turned(real: Tensor) -> Tensor:
    """real built as (cols, rows) and read as (rows, cols)."""
    rows, cols, size = real.shape[1], *real.shape[2:4]
    whole = rearrange(real, "b r s p q -> b (s q) (r p)").reshape(len(real), rows * size, cols * size)
    return rearrange(whole, "b (r p) (s q) -> b r s p q", p=size, q=size)


def other_patches(pattern: str):
    """A mistake: patches and real are right but for the order, `b n (p q) c` → pattern; r s are the rows and columns."""

    def mistaken(images, patch_size):
        rows = -(-images.shape[2] // patch_size)
        patches, real = truth.patches_with_border(images, patch_size)
        cut = {"r": rows, "p": patch_size, "q": patch_size}
        return rearrange(patches, f"b (r s) (p q c) -> b {pattern} c)", **cut), rearrange(
            real, f"b (r s) (p q) -> b {pattern})", **cut
        )

    return mistaken


BORDER = {
    "the patch pixels are in (c, p, q) order; MAE uses (p, q, c)": channels_first,
    "rows and columns of pixels have changed places inside the patches": other_patches("(r s) (q p"),
    "the patches are ordered column by column; the row comes before the column": other_patches("(s r) (p q"),
    'real has rows and columns changed round, as torch.meshgrid(…, indexing="xy") or a swapped H and W gives it': with_real(
        turned
    ),
    "real is True everywhere; it is False on the border": with_real(torch.ones_like),
    "a pixel of 0 or below is real too: real follows from the sizes, not from the values": lambda images, patch_size: (
        truth.patches_with_border(images, patch_size)[0],
        truth.patches_with_border(images.amax(1, keepdim=True), patch_size)[0] > 0,
    ),
    "a black pixel of the image is real too: real follows from the sizes, not from the values": not_black,
    "real is True on the border; True was asked for pixels of the image": border_marked,
    "pixels of the image are lost: a side that does not divide is filled up, not cut off": cut_off,
    "a side that divides already needs no border: P − H % P is P there, not 0": always_a_border,
    "the border is at the top and left; it was asked for at the bottom and right": lambda images, patch_size: framed(
        images, patch_size, pad=lambda right, down: (right, 0, down, 0)
    ),
    "the border is on both sides; it was asked for at the bottom and right": lambda images, patch_size: framed(
        images, patch_size, pad=lambda right, down: (right // 2, right - right // 2, down // 2, down - down // 2)
    ),
    "the border repeats the edge of the image; zeros were asked for": lambda images, patch_size: framed(
        images, patch_size, mode="replicate"
    ),
    "the border is filled with ones; zeros were asked for": lambda images, patch_size: framed(images, patch_size, value=1.0),
}
