"""The mistakes that people make in problem set 1, tasks 3 to 5, masks: what a check says of each, and a function that makes it."""

import torch
from torch import Tensor

from minimim.feedback.ps1 import truth
from minimim.masking import Mask
from minimim.patches import take

INVERTED = "it is True where a patch is visible; in this course True means hidden, see lesson 02"
ARGSORT = "argsort once gives the order, not the ranks: at place i stands which patch is the i-th, not how far up patch i is"
TURNED = "the second argsort sorts from high to low, and gives the ranks in reverse; both sort from low to high"


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
    TURNED: flat(lambda noise, visible: noise.argsort(-1).argsort(-1, descending=True) >= visible),
    INVERTED: flat(lambda noise, visible: ranks(noise) < visible),
    "one patch too many stays visible in each row: ranks begin at 0, so those below `visible` stay, and `visible` itself goes": flat(
        lambda noise, visible: ranks(noise) > visible
    ),
    "one patch too many is hidden in each row: the one of rank `visible` − 1 stays visible too": flat(
        lambda noise, visible: ranks(noise) >= visible - 1
    ),
    "argsort once, from high to low: that is an order, not the ranks, and the lowest noise stays visible": flat(
        lambda noise, visible: noise.argsort(-1, descending=True) >= visible
    ),
    "the patches are returned column by column; reading order goes row by row": lambda noise, visible: (
        (ranks(noise) >= visible).transpose(1, 2).flatten(1)
    ),
    "a threshold on the noise hides about as many as asked; the number in each row must be exact": flat(
        lambda noise, visible: noise >= visible / noise.shape[2]
    ),
    "the noise of all samples is ranked together; each row of each sample is ranked by itself": flat(
        lambda noise, visible: ranks(noise, 0) >= visible
    ),
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


def one_early(tokens, hidden, mask_token):
    place = ((~hidden).cumsum(1) - 2).clamp(min=0)  # (B, N)
    return torch.where(hidden.unsqueeze(-1), mask_token, take(tokens, place))


def down_the_batch(tokens, hidden, mask_token):
    place = ((~hidden).cumsum(0) - 1).clamp(0, tokens.shape[1] - 1)  # (B, N)
    return torch.where(hidden.unsqueeze(-1), mask_token, take(tokens, place))


def one_after_the_other(tokens, hidden, mask_token):
    out = mask_token.repeat(*hidden.shape, 1)  # (B, N, D)
    out[~hidden] = tokens.flatten(0, 1)[: int((~hidden).sum())]
    return out


def chosen_by_matrix(tokens, hidden, mask_token):
    number = ((~hidden).cumsum(1) - 1).unsqueeze(-1)  # (B, N, 1)
    pick = (number == torch.arange(tokens.shape[1])) & ~hidden.unsqueeze(-1)  # (B, N, Kmax)
    return pick.to(tokens.dtype) @ tokens + hidden.unsqueeze(-1) * mask_token


def chosen_by_product(tokens, hidden, mask_token):
    place = ((~hidden).cumsum(1) - 1).clamp(min=0)  # (B, N)
    return take(tokens, place) * ~hidden.unsqueeze(-1) + hidden.unsqueeze(-1) * mask_token


def by_position(tokens, hidden, mask_token):
    place = torch.arange(hidden.shape[1]).clamp(max=tokens.shape[1] - 1).expand_as(hidden)  # (B, N)
    return torch.where(hidden.unsqueeze(-1), mask_token, take(tokens, place))


def at_hidden_places(tokens, hidden, mask_token):
    place = (hidden.cumsum(1) - 1).clamp(0, tokens.shape[1] - 1)  # (B, N)
    return torch.where(hidden.unsqueeze(-1), take(tokens, place), mask_token)


RAGGED = {
    "the padding has come back as patches: a sample has as many tokens as it has visible places, and what stands behind "
    "them is nothing": padding_kept,
    "argsort once gives the order, not the ranks: for place i you need how many visible places come before it. (The order says "
    "where a token is to be written, and you read from there)": order_taken,
    "the tokens are chosen by a matrix of 0 and 1, which multiplies the padding by 0, and 0 · NaN is NaN: choose by an index": (
        chosen_by_matrix
    ),
    "at hidden places a token or padding is multiplied by 0, and 0 · NaN is NaN: choose by torch.where or by an index": (
        chosen_by_product
    ),
    "the tokens stand in front and the mask tokens behind; every token belongs at its own visible place": left_in_front,
    "tokens and padding stand in front as they came; every token belongs at its own visible place": padding_left_in_front,
    "the tokens went to the hidden places; True means hidden, see lesson 02": at_hidden_places,
    "each place takes the token after its own: cumsum counts the place itself, so the first visible one has 1, not 0": one_late,
    "each place takes the token before its own: the first visible place needs token 0, the second token 1": one_early,
    "the count runs down the batch; it runs along the places of a sample, cumsum(dim=1)": down_the_batch,
    "the tokens of all samples are used one after the other, padding among them: leave the padding of each sample out first": (
        one_after_the_other
    ),
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
    TURNED: windows(lambda noise: noise.argsort(1).argsort(1, descending=True), as_asked),
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
    "the second view begins one place too late in the line: it begins at place K − overlap": windows(
        ranks, lambda keep, overlap: keep - overlap + 1
    ),
    "the second view begins one place too early in the line: it begins at place K − overlap": windows(
        ranks, lambda keep, overlap: keep - overlap - 1
    ),
    "the second view keeps one patch too many: it ends before place 2K − overlap": windows(
        ranks, as_asked, lambda keep, overlap: keep + 1
    ),
    "the second view keeps one patch too few: it ends with place 2K − overlap − 1": windows(
        ranks, as_asked, lambda keep, overlap: keep - 1
    ),
    "both views are the same; the second begins `overlap` places before the first ends": windows(
        ranks, lambda keep, overlap: 0
    ),
    "the second view keeps only the shared patches; it too keeps K": windows(ranks, as_asked, lambda keep, overlap: overlap),
    "the highest noise is kept first; the order runs from the lowest": windows(lambda noise: ranks(-noise), as_asked),
    "the second view keeps patches by number, not by noise": lambda noise, overlap: (
        truth.two_views(noise, overlap)[0],
        windows(lambda noise: torch.arange(noise.shape[1]).expand_as(noise), as_asked)(noise, overlap)[1],
    ),
}
