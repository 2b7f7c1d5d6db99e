"""The mistakes that people make in problem set 1: what a check says of each, and a function that makes it."""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from minimim.feedback.ps1 import truth
from minimim.masking import Mask
from minimim.patches import take

INVERTED = "it is True where a patch is visible; in this course True means hidden, see lesson 02"
ARGSORT = "argsort once gives the order, not the ranks: at place i stands which patch is the i-th, not how far up patch i is"


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
    "inside a tubelet rows and columns have changed places: (t, q, p, c), where (t, p, q, c) was asked": other_tubelets(
        f"{WHOLE} b (n r s) (t q p c)"
    ),
    "the tubelets are ordered by place first and time last; time comes first, then row, then column": other_tubelets(
        f"{WHOLE} b (r s n) (t p q c)"
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


BORDER = {
    "the patch pixels are in (c, p, q) order; MAE uses (p, q, c)": channels_first,
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


# ps1.3


def flat(choose):
    """A mask (B, N) from a rule on (noise, visible) that gives (B, rows, cols)."""
    return lambda noise, visible: choose(noise, visible).flatten(1)


def ranks(x: Tensor, dim: int = -1) -> Tensor:
    return x.argsort(dim).argsort(dim)


def whole_sample(noise, visible):
    return ranks(noise.flatten(1)) >= visible * noise.shape[1]


PER_ROW = {
    ARGSORT: flat(lambda noise, visible: noise.argsort(-1) >= visible),
    INVERTED: flat(lambda noise, visible: ranks(noise) < visible),
    "`visible` patches of a row are hidden; that many were to stay visible": flat(
        lambda noise, visible: ranks(noise) >= noise.shape[2] - visible
    ),
    "the highest noise stays visible; the lowest was asked for": flat(
        lambda noise, visible: ranks(noise) < noise.shape[2] - visible
    ),
    "the number is right in each column, and was asked for in each row: sort along the last axis": flat(
        lambda noise, visible: ranks(noise, 1) >= visible
    ),
    "the number is right in a sample as a whole, and not in each of its rows": whole_sample,
    "`visible` patches are left in the whole sample; that many were asked for in each row": lambda noise, visible: (
        ranks(noise.flatten(1)) >= visible
    ),
    "every row hides the same columns; each row goes by its own noise": flat(
        lambda noise, visible: (ranks(noise[:, :1]) >= visible).expand_as(noise)
    ),
    "every sample has the mask of the first; each goes by its own noise": flat(
        lambda noise, visible: (ranks(noise[:1]) >= visible).expand_as(noise)
    ),
}


# ps1.4


def mask_tokens(tokens, hidden, mask_token):
    """Padded tokens with mask tokens behind them, N in all."""
    return torch.cat([tokens, mask_token.expand(len(tokens), hidden.shape[1] - tokens.shape[1], -1)], dim=1)


def padding_kept(tokens, hidden, mask_token):
    return take(mask_tokens(tokens, hidden, mask_token), Mask(hidden).restore_ids)


def order_taken(tokens, hidden, mask_token):
    mixed = take(mask_tokens(tokens, hidden, mask_token), Mask(hidden).order)
    return torch.where(hidden.unsqueeze(-1), mask_token, mixed)


def left_in_front(tokens, hidden, mask_token):
    behind = torch.arange(hidden.shape[1]) >= (~hidden).sum(1, keepdim=True)  # (B, N)
    return truth.restore_ragged(tokens, behind, mask_token)


def padding_left_in_front(tokens, hidden, mask_token):
    return mask_tokens(tokens, hidden, mask_token)


def one_late(tokens, hidden, mask_token):
    place = (~hidden).cumsum(1).clamp(max=tokens.shape[1] - 1)  # (B, N)
    return torch.where(hidden.unsqueeze(-1), mask_token, take(tokens, place))


def by_position(tokens, hidden, mask_token):
    place = torch.arange(hidden.shape[1]).clamp(max=tokens.shape[1] - 1).expand_as(hidden)  # (B, N)
    return torch.where(hidden.unsqueeze(-1), mask_token, take(tokens, place))


def at_hidden_places(tokens, hidden, mask_token):
    place = (hidden.cumsum(1) - 1).clamp(0, tokens.shape[1] - 1)  # (B, N)
    return torch.where(hidden.unsqueeze(-1), take(tokens, place), mask_token)


RAGGED = {
    "the padding has come back as patches: a sample has as many tokens as it has visible places, and what stands behind "
    "them is nothing": padding_kept,
    "argsort once gives the order, not the ranks: for place i you need how many visible places come before it": order_taken,
    "the tokens stand in front and the mask tokens behind; every token belongs at its own visible place": left_in_front,
    "tokens and padding stand in front as they came; every token belongs at its own visible place": padding_left_in_front,
    "the tokens went to the hidden places; True means hidden, see lesson 02": at_hidden_places,
    "each place takes the token after its own: cumsum counts the place itself, so the first visible one has 1, not 0": one_late,
    "place i takes token i; the i-th token belongs at the i-th visible place": by_position,
    "hidden places hold zeros; they get the mask token": lambda tokens, hidden, mask_token: truth.restore_ragged(
        tokens, hidden, torch.zeros_like(mask_token)
    ),
    "every sample has the places of the first; each has its own": lambda tokens, hidden, mask_token: truth.restore_ragged(
        tokens, hidden[:1].expand_as(hidden), mask_token
    ),
}


# ps1.5


def windows(place, start, count=lambda keep, overlap: keep):
    """Two views that keep places 0 … K−1 and start … start + count − 1, where place is made from noise, K from N."""

    def mistaken(noise, overlap):
        keep = noise.shape[1] // 4
        at, first = place(noise), start(keep, overlap)
        return at >= keep, (at < first) | (at >= first + count(keep, overlap))

    return mistaken


def as_asked(keep, overlap):
    return keep - overlap


def both_inverted(noise, overlap):
    first, second = truth.two_views(noise, overlap)
    return ~first, ~second


def lowest_shared(noise, overlap):
    keep, place = noise.shape[1] // 4, ranks(noise)
    return place >= keep, (place >= overlap) & ((place < keep) | (place >= 2 * keep - overlap))


TWO_VIEWS = {
    ARGSORT: windows(lambda noise: noise.argsort(1), as_asked),
    f"both masks are turned round: {INVERTED}": both_inverted,
    "the views share K − overlap visible patches: the second begins `overlap` places before the first ends, not after it "
    "begins": windows(ranks, lambda keep, overlap: overlap),
    "the views share the right number, and not the right ones: of those that the first view keeps, the last in order are "
    "shared": lowest_shared,
    "the views share nothing: the second begins `overlap` places before the first ends": windows(
        ranks, lambda keep, overlap: keep
    ),
    "the second view keeps more than N/4: it too keeps K, the shared ones included": windows(
        ranks, as_asked, lambda keep, overlap: keep + overlap
    ),
    "the highest noise is kept first; the order runs from the lowest": windows(lambda noise: ranks(-noise), as_asked),
    "the second view keeps patches by number, not by noise": lambda noise, overlap: (
        truth.two_views(noise, overlap)[0],
        windows(lambda noise: torch.arange(noise.shape[1]).expand_as(noise), as_asked)(noise, overlap)[1],
    ),
}
