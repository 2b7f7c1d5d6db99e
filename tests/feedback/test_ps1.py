"""The checks and the hidden tests of problem set 1, fed with answers: right ones written in other ways pass, wrong ones are
rejected and their mistake is named, and what a lesson or the library holds does not earn full points."""

import re
import traceback

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from einops import rearrange, reduce, repeat
from graded import Graded, each, handed_on, mutants

from minimim.feedback import check
from minimim.feedback.check import WrongAnswer
from minimim.feedback.pictures import beside
from minimim.feedback.ps1 import tasks as ps1
from minimim.masking import Mask
from minimim.patches import patchify, take

TASKS = {task.name: task for task in ps1.TASKS}
SET = Graded("ps1", TASKS, __name__)


@pytest.fixture(autouse=True)
def drawn(monkeypatch):
    """What a check draws, (yours, expected), without the time that drawing takes."""
    pairs = []
    monkeypatch.setattr(ps1, "beside", lambda yours, expected, what="": pairs.append((yours, expected)))
    return pairs


def said(task, answer):
    """What the check says of an answer that it must not accept."""
    with pytest.raises(WrongAnswer) as wrong:
        check(task, answer)
    return str(wrong.value)


# Right answers


def tubelets_by_slices(video, patch_size, frames):
    _, time, _, height, width = video.shape
    corners = [(t, y, x) for t in range(0, time, frames) for y in range(0, height, patch_size) for x in range(0, width, patch_size)]
    boxes = [video[:, t : t + frames, :, y : y + patch_size, x : x + patch_size] for t, y, x in corners]
    return torch.stack([box.permute(0, 1, 3, 4, 2).flatten(1) for box in boxes], dim=1)


def tubelets_by_reshape(video, patch_size, frames):
    b, t, c, h, w = video.shape
    x = video.reshape(b, t // frames, frames, c, h // patch_size, patch_size, w // patch_size, patch_size)
    return x.permute(0, 1, 4, 6, 2, 5, 7, 3).reshape(b, -1, frames * patch_size * patch_size * c)


def tubelets_by_einops(video, patch_size, frames):
    cut = rearrange(video, "b (n t) c (r p) (s q) -> b n r s t p q c", t=frames, p=patch_size, q=patch_size)
    return rearrange(cut, "b n r s ... -> b (n r s) (...)")


def tubelets_by_tensor_unfold(video, patch_size, frames):
    x = video.unfold(1, frames, frames).unfold(3, patch_size, patch_size).unfold(4, patch_size, patch_size)
    return x.permute(0, 1, 3, 4, 5, 6, 7, 2).flatten(4).flatten(1, 3)


def tubelets_by_f_unfold(video, patch_size, frames):
    b, t, c, h, w = video.shape
    columns = F.unfold(video.reshape(b, t * c, h, w), patch_size, stride=patch_size)
    return rearrange(columns, "b (n t c k) l -> b (n l) (t k c)", n=t // frames, t=frames, c=c)


def tubelets_by_patchify(video, patch_size, frames):
    patches = patchify(video.flatten(0, 1), patch_size)  # frame by frame
    return rearrange(patches, "(b n t) l d -> b (n l) (t d)", b=len(video), t=frames)


def tubelets_by_numpy(video, patch_size, frames):
    b, t, c, h, w = video.shape
    x = video.numpy().reshape(b, t // frames, frames, c, h // patch_size, patch_size, w // patch_size, patch_size)
    return torch.from_numpy(np.ascontiguousarray(x.transpose(0, 1, 4, 6, 2, 5, 7, 3)).reshape(b, -1, frames * patch_size**2 * c))


def tubelets_not_contiguous(video, patch_size, frames):
    return tubelets_by_einops(video, patch_size, frames).transpose(0, 1).contiguous().transpose(0, 1)


def need(images, patch_size):
    return [-side % patch_size for side in images.shape[-2:]]


def border_by_pad(images, patch_size):
    down, right = need(images, patch_size)
    inside = F.pad(torch.ones_like(images[:, :1]), (0, right, 0, down)).bool()
    return patchify(F.pad(images, (0, right, 0, down)), patch_size), patchify(inside, patch_size)


def border_by_canvas(images, patch_size):
    b, c, h, w = images.shape
    rows, cols = -(-h // patch_size), -(-w // patch_size)
    canvas = torch.zeros(b, c, rows * patch_size, cols * patch_size, dtype=images.dtype)
    canvas[:, :, :h, :w] = images
    real = torch.zeros(b, rows * patch_size, cols * patch_size, dtype=torch.bool)
    real[:, :h, :w] = True
    cut = {"r": rows, "s": cols}
    return rearrange(canvas, "b c (r p) (s q) -> b (r s) (p q c)", **cut), rearrange(
        real, "b (r p) (s q) -> b (r s) (p q)", **cut
    )


def border_by_cat(images, patch_size):
    down, right = need(images, patch_size)
    b, c, h, w = images.shape
    images = torch.cat([images, images.new_zeros(b, c, down, w)], dim=2)
    images = torch.cat([images, images.new_zeros(b, c, h + down, right)], dim=3)
    inside = (torch.arange(h + down) < h).view(-1, 1) & (torch.arange(w + right) < w)
    return patchify(images, patch_size), patchify(inside.expand(b, 1, -1, -1), patch_size)


def border_by_f_unfold(images, patch_size):
    down, right = need(images, patch_size)
    padded = F.pad(images, (0, right, 0, down))
    inside = F.pad(torch.ones_like(images[:, :1]), (0, right, 0, down))
    patches = F.unfold(padded, patch_size, stride=patch_size)  # (B, C·P·P, N)
    return rearrange(patches, "b (c k) n -> b n (k c)", c=images.shape[1]), F.unfold(
        inside, patch_size, stride=patch_size
    ).transpose(1, 2) == 1


def border_by_loop(images, patch_size):
    h, w = images.shape[-2:]
    patches, real = [], []
    for y in range(0, h, patch_size):
        for x in range(0, w, patch_size):
            piece = images[:, :, y : y + patch_size, x : x + patch_size]
            patch = images.new_zeros(*images.shape[:2], patch_size, patch_size)
            mark = torch.zeros(len(images), patch_size, patch_size, dtype=torch.bool)
            patch[:, :, : piece.shape[2], : piece.shape[3]] = piece
            mark[:, : piece.shape[2], : piece.shape[3]] = True
            patches.append(patch.movedim(1, -1).flatten(1))
            real.append(mark.flatten(1))
    return torch.stack(patches, 1), torch.stack(real, 1)


def border_by_numpy(images, patch_size):
    down, right = need(images, patch_size)
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (0, down), (0, right)))
    inside = np.pad(np.ones((len(images), 1, *images.shape[-2:]), dtype=bool), ((0, 0), (0, 0), (0, down), (0, right)))
    return [patchify(torch.from_numpy(x), patch_size) for x in (padded, inside)]  # a list is as good as a tuple


def border_by_nan(images, patch_size):
    down, right = need(images, patch_size)
    patches = patchify(F.pad(images, (0, right, 0, down), value=float("nan")), patch_size)
    return patches.nan_to_num(0), ~patches[..., :: images.shape[1]].isnan()


def rows_by_ranks(noise, visible):
    return rearrange(noise.argsort(-1).argsort(-1) >= visible, "b r s -> b (r s)")


def rows_by_scatter(noise, visible):
    hidden = torch.ones_like(noise, dtype=torch.bool)
    return hidden.scatter(2, noise.argsort(2)[..., :visible], False).flatten(1)


def rows_by_topk(noise, visible):
    ids = noise.topk(visible, dim=-1, largest=False).indices
    return ~F.one_hot(ids, noise.shape[-1]).sum(-2).bool().flatten(1)


def rows_by_threshold(noise, visible):
    return (noise > noise.kthvalue(visible, dim=-1, keepdim=True).values).reshape(len(noise), -1)


def rows_by_sorted_copy(noise, visible):
    return (noise > noise.sort(dim=-1).values[..., visible - 1 : visible]).flatten(1)


def rows_by_counting(noise, visible):
    lower = noise.unsqueeze(-2) < noise.unsqueeze(-1)  # (B, rows, cols, cols)
    return (reduce(lower.long(), "b r i j -> b (r i)", "sum") >= visible).bool()


def rows_by_loop(noise, visible):
    hidden = torch.ones(noise.shape, dtype=torch.bool)
    for sample, grid in zip(noise, hidden, strict=True):
        for line, row in zip(sample.tolist(), grid, strict=True):
            for place in sorted(range(len(line)), key=line.__getitem__)[:visible]:
                row[place] = False
    return hidden.view(len(noise), -1)


def rows_by_numpy(noise, visible):
    order = np.argsort(noise.numpy(), axis=-1)
    hidden = np.ones(noise.shape, dtype=bool)
    np.put_along_axis(hidden, order[..., :visible], False, axis=-1)
    return torch.from_numpy(hidden.reshape(len(noise), -1))


def ragged_by_gather(tokens, hidden, mask_token):
    place = ((~hidden).cumsum(1) - 1).clamp(min=0)
    return torch.where(hidden[..., None], mask_token, take(tokens, place))


def ragged_by_take_along_dim(tokens, hidden, mask_token):
    place = (~hidden).long().cumsum(1).sub(1).clamp(0).unsqueeze(-1)
    return tokens.take_along_dim(place, dim=1).masked_fill(hidden.unsqueeze(-1), 0) + hidden.unsqueeze(-1) * mask_token


def ragged_by_boolean_index(tokens, hidden, mask_token):
    kept = torch.arange(tokens.shape[1]) < (~hidden).sum(1, keepdim=True)
    out = mask_token.repeat(*hidden.shape, 1)
    out[~hidden] = tokens[kept]
    return out


def ragged_by_loop(tokens, hidden, mask_token):
    out = torch.empty(*hidden.shape, tokens.shape[2], dtype=tokens.dtype)
    for b in range(len(hidden)):
        used = iter(tokens[b])
        for n in range(hidden.shape[1]):
            out[b, n] = mask_token if hidden[b, n] else next(used)
    return out


def ragged_by_sample(tokens, hidden, mask_token):
    out = []
    for mine, where in zip(tokens, hidden, strict=True):
        full = repeat(mask_token, "d -> n d", n=len(where)).clone()
        full[~where] = mine[: int((~where).sum())]
        out.append(full)
    return torch.stack(out)


def ragged_by_ranks(tokens, hidden, mask_token):
    ranks = hidden.long().argsort(dim=1, stable=True).argsort(1)  # visible ones first, in reading order
    padded = F.pad(tokens, (0, 0, 0, hidden.shape[1] - tokens.shape[1]))
    return torch.where(hidden.unsqueeze(-1), mask_token, padded.take_along_dim(ranks.unsqueeze(-1), 1))


def ragged_by_matrix(tokens, hidden, mask_token):
    number = (~hidden).cumsum(1) - 1
    pick = (number.unsqueeze(-1) == torch.arange(tokens.shape[1])) & ~hidden.unsqueeze(-1)  # (B, N, Kmax)
    return pick.to(tokens.dtype) @ tokens + hidden.unsqueeze(-1) * mask_token


def ragged_without_padding(tokens, hidden, mask_token):
    real = torch.arange(tokens.shape[1]) < (~hidden).sum(1, keepdim=True)
    place = ((~hidden).cumsum(1) - 1).clamp(min=0)
    clean = torch.where(real.unsqueeze(-1), tokens, 0)
    return take(clean, place) * ~hidden.unsqueeze(-1) + hidden.unsqueeze(-1) * mask_token


def ragged_by_flat_index(tokens, hidden, mask_token):
    every = torch.cat([tokens.flatten(0, 1), mask_token[None]])  # (B·Kmax + 1, D)
    first = torch.arange(len(tokens)).unsqueeze(1) * tokens.shape[1]
    return every[torch.where(hidden, len(every) - 1, first + (~hidden).cumsum(1) - 1)]


def ragged_by_masked_scatter(tokens, hidden, mask_token):
    real = torch.arange(tokens.shape[1]) < (~hidden).sum(1, keepdim=True)
    return mask_token.expand(*hidden.shape, -1).masked_scatter(~hidden.unsqueeze(-1), tokens[real])


def ragged_by_scatter(tokens, hidden, mask_token):
    ids = hidden.to(torch.uint8).argsort(dim=1, stable=True)[:, : tokens.shape[1]]  # (B, Kmax) places of the tokens, then hidden ones
    out = mask_token.expand(*hidden.shape, -1).contiguous()
    out = out.scatter(1, ids.unsqueeze(-1).expand_as(tokens), tokens)
    return torch.where(hidden.unsqueeze(-1), mask_token, out)


def views_by_ranks(noise, overlap):
    keep = noise.shape[1] // 4
    ranks = noise.argsort(1).argsort(1)
    return ranks >= keep, ~((ranks >= keep - overlap) & (ranks < 2 * keep - overlap))


def views_by_scatter(noise, overlap):
    keep, order = noise.shape[1] // 4, noise.argsort(1)
    hidden = torch.ones_like(noise, dtype=torch.bool)
    return tuple(hidden.scatter(1, order[:, a : a + keep], False) for a in (0, keep - overlap))


def views_by_index(noise, overlap):
    keep, order = noise.shape[1] // 4, noise.argsort(1)
    views = torch.ones(2, *noise.shape, dtype=torch.bool)
    rows = torch.arange(len(noise))[:, None]
    views[0, rows, order[:, :keep]] = False
    views[1, rows, order[:, keep - overlap : 2 * keep - overlap]] = False
    return views[0], views[1]


def views_by_sets(noise, overlap):
    keep, n = noise.shape[1] // 4, noise.shape[1]
    masks = ([], [])
    for line in noise.tolist():
        order = sorted(range(n), key=line.__getitem__)
        for mask, start in zip(masks, (0, keep - overlap), strict=True):
            shown = set(order[start : start + keep])
            mask.append([place not in shown for place in range(n)])
    return tuple(torch.tensor(mask) for mask in masks)


def views_by_topk(noise, overlap):
    keep = noise.shape[1] // 4
    order = noise.topk(2 * keep - overlap, largest=False).indices
    hidden = torch.ones(noise.shape, dtype=torch.bool)
    return [hidden.scatter(1, ids, False) for ids in (order[:, :keep], order[:, keep - overlap :])]


def views_by_thresholds(noise, overlap):
    keep, line = noise.shape[1] // 4, noise.sort(1).values
    last = line[:, keep - 1 : keep]
    start, end = line[:, keep - overlap : keep - overlap + 1], line[:, 2 * keep - overlap - 1 : 2 * keep - overlap]
    return noise > last, (noise < start) | (noise > end)


def views_by_counting(noise, overlap):
    keep = noise.shape[1] // 4
    ranks = (noise[:, None] < noise[:, :, None]).sum(-1)
    second = (ranks + overlap - keep).clamp(-1, keep)
    return ranks // keep != 0, (second < 0) | (second == keep)


def views_by_take_along_dim(noise, overlap):
    keep = noise.shape[1] // 4
    places = noise.argsort(1).argsort(1)
    in_line = torch.arange(noise.shape[1]).expand_as(noise)
    start = keep - overlap
    return (in_line >= keep).take_along_dim(places, 1), ((in_line < start) | (in_line >= start + keep)).take_along_dim(places, 1)


RIGHT = {
    "ps1.1": [
        tubelets_by_slices, tubelets_by_reshape, tubelets_by_einops, tubelets_by_tensor_unfold, tubelets_by_f_unfold,
        tubelets_by_patchify, tubelets_by_numpy, tubelets_not_contiguous,
    ],
    "ps1.2": [
        border_by_pad, border_by_canvas, border_by_cat, border_by_f_unfold, border_by_loop, border_by_numpy, border_by_nan,
    ],
    "ps1.3": [
        rows_by_ranks, rows_by_scatter, rows_by_topk, rows_by_threshold, rows_by_sorted_copy, rows_by_counting, rows_by_loop,
        rows_by_numpy,
    ],
    "ps1.4": [
        ragged_by_gather, ragged_by_take_along_dim, ragged_by_boolean_index, ragged_by_loop, ragged_by_sample, ragged_by_ranks,
        ragged_by_scatter, ragged_without_padding, ragged_by_flat_index, ragged_by_masked_scatter,
    ],
    "ps1.5": [
        views_by_ranks, views_by_scatter, views_by_index, views_by_sets, views_by_topk, views_by_thresholds, views_by_counting,
        views_by_take_along_dim,
    ],
}  # fmt: skip


@pytest.mark.parametrize(("task", "answer"), each(RIGHT))
def test_a_right_answer_passes_and_earns_all_points_however_it_is_written(task, answer, capsys):
    check(task, answer)
    assert re.fullmatch(rf"{task}: right, on \d+ inputs\n", capsys.readouterr().out)
    assert SET.points(task, answer) == SET.full(task)


# Wrong answers, each with what must be said of it


def cut(pattern):
    return lambda video, patch_size, frames: rearrange(video, pattern, t=frames, p=patch_size, q=patch_size)


def tubelets_by_view(video, patch_size, frames):
    b, t, _, h, w = video.shape
    return video.reshape(b, t // frames * (h // patch_size) * (w // patch_size), -1)


def tubelets_permuted_channels_last_but_two(video, patch_size, frames):
    b, t, c, h, w = video.shape
    x = video.reshape(b, t // frames, frames, c, h // patch_size, patch_size, w // patch_size, patch_size)
    return x.permute(0, 1, 4, 6, 2, 3, 5, 7).flatten(4).flatten(1, 3)


def real_from_values(images, patch_size):
    patches, _ = border_by_pad(images, patch_size)
    return patches, (patches.unflatten(2, (-1, images.shape[1])) != 0).all(-1)


def real_from_first_channel(images, patch_size):
    patches, _ = border_by_pad(images, patch_size)
    return patches, patches[..., :: images.shape[1]] != 0


def without_second_remainder(images, patch_size):
    h, w = images.shape[-2:]
    pad = (0, patch_size - w % patch_size, 0, patch_size - h % patch_size)
    return patchify(F.pad(images, pad), patch_size), patchify(F.pad(torch.ones_like(images[:, :1]), pad), patch_size) == 1


def real_if_positive(images, patch_size):
    patches, _ = border_by_pad(images, patch_size)
    return patches, patches.unflatten(2, (-1, images.shape[1])).amax(-1) > 0


def real_by_meshgrid(images, patch_size):
    """"xy" gives (cols, rows)."""
    patches, _ = border_by_pad(images, patch_size)
    h, w = (side + more for side, more in zip(images.shape[-2:], need(images, patch_size), strict=True))
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="xy")  # (w, h) each
    inside = ((y < images.shape[2]) & (x < images.shape[3])).reshape(1, 1, h, w)
    return patches, patchify(inside.expand(len(images), -1, -1, -1), patch_size)


def marked(images, patch_size, border):
    down, right = need(images, patch_size)
    return patchify(F.pad(images, (0, right, 0, down), value=border), patch_size)[..., :: images.shape[1]] != border


def marked_by_minus_one(images, patch_size):
    down, right = need(images, patch_size)
    patches = patchify(F.pad(images, (0, right, 0, down), value=-1.0), patch_size)
    real = patches[..., :: images.shape[1]] != -1
    return patches * (patches != -1), real


def top_left(images, patch_size):
    down, right = need(images, patch_size)
    both = F.pad(torch.cat([images, torch.ones_like(images[:, :1])], 1), (right, 0, down, 0))
    return patchify(both[:, :-1], patch_size), patchify(both[:, -1:], patch_size).bool()


def edges_repeated(images, patch_size):
    down, right = need(images, patch_size)
    return patchify(F.pad(images, (0, right, 0, down), mode="replicate"), patch_size), border_by_pad(images, patch_size)[1]


def by_unfold_alone(images, patch_size):
    down, right = need(images, patch_size)
    patches = F.unfold(F.pad(images, (0, right, 0, down)), patch_size, stride=patch_size).transpose(1, 2)
    return patches, border_by_pad(images, patch_size)[1]


def whole_patches_only(images, patch_size):
    h, w = (side // patch_size * patch_size for side in images.shape[-2:])
    patches = patchify(images[..., :h, :w], patch_size)
    return patches, torch.ones(*patches.shape[:2], patch_size**2, dtype=torch.bool)


def zero_one_real(images, patch_size):
    patches, real = border_by_pad(images, patch_size)
    return patches, real.float()


def real_for_each_value(images, patch_size):
    patches, real = border_by_pad(images, patch_size)
    return patches, repeat(real, "b n k -> b n (k c)", c=images.shape[1])


def swapped_pad(images, patch_size):
    down, right = need(images, patch_size)
    return patchify(F.pad(images, (0, down, 0, right)), patch_size), None


def rows_all_at_once(noise, visible):
    """Rows are kept apart by adding their number, which is enough for noise between 0 and 1 only."""
    rows = torch.arange(noise.shape[1])[:, None]
    ranks = (noise + rows).flatten(1).argsort(1).argsort(1).view_as(noise)
    return (ranks - rows * noise.shape[2] >= visible).flatten(1)


def uniform_restore(tokens, hidden, mask_token):
    """As in lesson 02, where all samples keep the same number."""
    fill = mask_token.expand(len(tokens), hidden.shape[1] - tokens.shape[1], -1)
    return take(torch.cat([tokens, fill], dim=1), Mask(hidden).restore_ids)


def shuffled_once(tokens, hidden, mask_token):
    fill = mask_token.expand(len(tokens), hidden.shape[1] - tokens.shape[1], -1)
    order = hidden.long().argsort(dim=1, stable=True)
    mixed = torch.cat([tokens, fill], dim=1).take_along_dim(order.unsqueeze(-1), 1)
    return torch.where(hidden.unsqueeze(-1), mask_token, mixed)


def in_front(tokens, hidden, mask_token):
    out = mask_token.repeat(*hidden.shape, 1)
    for b, k in enumerate((~hidden).sum(1).tolist()):
        out[b, :k] = tokens[b, :k]
    return out


def all_in_front(tokens, hidden, mask_token):
    out = mask_token.repeat(*hidden.shape, 1)
    out[:, : tokens.shape[1]] = tokens
    return out


def count_from_one(tokens, hidden, mask_token):
    place = (~hidden).cumsum(1).clamp(max=tokens.shape[1] - 1)
    return torch.where(hidden.unsqueeze(-1), mask_token, take(tokens, place))


def multiplied(tokens, hidden, mask_token):
    place = ((~hidden).cumsum(1) - 1).clamp(min=0)
    return take(tokens, place) * (~hidden)[..., None] + mask_token * hidden[..., None]


def where_nothing_stands(tokens, hidden, mask_token):
    out = ragged_by_gather(tokens, hidden, torch.zeros_like(mask_token))
    return torch.where((out == 0).all(-1, keepdim=True), mask_token, out)


@torch.no_grad()
def without_a_graph(tokens, hidden, mask_token):
    return ragged_by_gather(tokens, hidden, mask_token)


def count_below(tokens, hidden, mask_token):
    place = ((~hidden).cumsum(1) - 2).clamp(min=0)
    return torch.where(hidden.unsqueeze(-1), mask_token, take(tokens, place))


def count_down(tokens, hidden, mask_token):
    place = ((~hidden).cumsum(0) - 1).clamp(0, tokens.shape[1] - 1)
    return torch.where(hidden.unsqueeze(-1), mask_token, take(tokens, place))


def run_on(tokens, hidden, mask_token):
    out, every, used = mask_token.repeat(*hidden.shape, 1), tokens.flatten(0, 1), 0
    for b in range(len(hidden)):
        for n in range(hidden.shape[1]):
            if not hidden[b, n]:
                out[b, n] = every[used]
                used += 1
    return out


def zeros_at_hidden(tokens, hidden, mask_token):
    return ragged_by_gather(tokens, hidden, mask_token) * ~hidden.unsqueeze(-1)


def first_sample_for_all(tokens, hidden, mask_token):
    return ragged_by_gather(tokens, hidden[:1].expand_as(hidden), mask_token)


def at_hidden_places(tokens, hidden, mask_token):
    place = (hidden.cumsum(1) - 1).clamp(0, tokens.shape[1] - 1)
    return torch.where(~hidden.unsqueeze(-1), mask_token, take(tokens, place))


def single_precision(tokens, hidden, mask_token):
    out = torch.zeros(*hidden.shape, tokens.shape[2])
    out[:] = ragged_by_gather(tokens, hidden, mask_token)
    return out


def view_pairs(first, second):
    """Two views from rules on (ranks, K, overlap) that say what is visible."""

    def answer(noise, overlap):
        ranks, keep = noise.argsort(1).argsort(1), noise.shape[1] // 4
        return ~first(ranks, keep, overlap), ~second(ranks, keep, overlap)

    return answer


def first_view(ranks, keep, overlap):
    return ranks < keep


def once_sorted(noise, overlap):
    order, keep = noise.argsort(1), noise.shape[1] // 4
    return order >= keep, (order < keep - overlap) | (order >= 2 * keep - overlap)


def views_by_numbers(noise, overlap):
    """Right only where no two samples hold the same number."""
    keep, line = noise.shape[1] // 4, noise.sort(1).values
    return tuple(~torch.isin(noise, line[:, a : a + keep].flatten()) for a in (0, keep - overlap))


WRONG = {
    "ps1.1": [
        (cut("b (n t) c (r p) (s q) -> b (n r s) (c t p q)"), "(c, t, p, q) order"),
        (tubelets_permuted_channels_last_but_two, "the patch pixels are in (c, p, q) order; MAE uses (p, q, c)"),
        (cut("b (n t) c (r p) (s q) -> b (n r s) (p q t c)"), "time comes first"),
        (cut("b (n t) c (r p) (s q) -> b (n r s) (t q p c)"), "rows and columns have changed places"),
        (cut("b (n t) c (r p) (s q) -> b (r s n) (t p q c)"), "ordered by place first and time last"),
        (cut("b (n t) c (r p) (s q) -> b (n s r) (t p q c)"), "column by column"),
        (cut("b (n t) c (p r) (q s) -> b (n r s) (t p q c)"), "pixels that lie far apart"),
        (cut("b (t n) c (r p) (s q) -> b (n r s) (t p q c)"), "frames that lie far apart"),
        (tubelets_by_view, "a reshape alone keeps the order in memory"),
        (cut("b (n t) c (r p) (s q) -> b (n r s) (p q c t)"), "time comes last inside a tubelet"),
        (cut("b (n t) c (r p) (s q) -> b (r n s) (t p q c)"), "time stands between row and column"),
        (lambda video, patch_size, frames: tubelets_by_numpy(video.flip(1), patch_size, frames), "values differ"),
        (lambda video, patch_size, frames: tubelets_by_slices(video, frames, patch_size), "on a video of"),
        (lambda video, patch_size, frames: tubelets_by_einops(video[:1], patch_size, frames), "its shape is"),
        (lambda video, patch_size, frames: patchify(video[:, 0], patch_size), "its shape is"),
        (lambda video, patch_size, frames: tubelets_by_einops(video.float(), patch_size, frames), "float64 numbers into"),
        (lambda video, patch_size, frames: video.view(1, -1), "its shape is"),
        (lambda video, patch_size, frames: tubelets_by_einops(video.mul_(1.5), patch_size, frames), "changed its argument video"),
        (lambda video, patch_size, frames: tubelets_by_einops(video, patch_size, frames).tolist(), "returned list"),
    ],
    "ps1.2": [
        (by_unfold_alone, "the patch pixels are in (c, p, q) order; MAE uses (p, q, c)"),
        (real_from_values, "a black pixel of the image is real too"),
        (real_from_first_channel, "a black pixel of the image is real too"),
        (real_if_positive, "a pixel of 0 or below is real too"),
        (real_by_meshgrid, "rows and columns changed round"),
        (marked_by_minus_one, "values differ"),
        (lambda images, patch_size: (border_by_pad(images, patch_size)[0], marked(images, patch_size, 3.0)), "values differ"),
        (lambda images, patch_size: (border_by_pad(images, patch_size)[0], real_if_positive(images + 9, patch_size)[1] | True), "True everywhere"),
        (without_second_remainder, "P − H % P is P there"),
        (top_left, "at the top and left"),
        (edges_repeated, "repeats the edge"),
        (whole_patches_only, "pixels of the image are lost"),
        (lambda images, patch_size: (border_by_pad(images, patch_size)[0], ~border_by_pad(images, patch_size)[1]), "on the border"),
        (zero_one_real, "result 2 of 2: a 0/1 mask"),
        (real_for_each_value, "result 2 of 2: its shape is"),
        (lambda images, patch_size: border_by_pad(images, patch_size)[0], "2 results were asked for, in a tuple"),
        (swapped_pad, "raised UserError in its line"),
        (lambda images, patch_size: (patchify(images, patch_size), None), "raised UserError in its line"),
    ],
    "ps1.3": [
        (lambda noise, visible: (noise.argsort(-1) >= visible).flatten(1), "argsort once gives the order, not the ranks"),
        (lambda noise, visible: ~rows_by_ranks(noise, visible), "in this course True means hidden"),
        (lambda noise, visible: rows_by_ranks(noise, visible).long(), "a 0/1 mask"),
        (lambda noise, visible: (noise.argsort(-1).argsort(-1, descending=True) >= visible).flatten(1), "the second argsort sorts from high to low"),
        (lambda noise, visible: (noise.argsort(-1, descending=True) >= visible).flatten(1), "argsort once, from high to low"),
        (lambda noise, visible: rows_by_ranks(noise, visible + 1), "one patch too many stays visible"),
        (lambda noise, visible: (noise >= noise.sort(-1).values[..., visible - 1, None]).flatten(1), "one patch too many is hidden"),
        (lambda noise, visible: (noise > visible / noise.shape[-1]).flatten(1), "a threshold on the noise"),
        (lambda noise, visible: rows_by_ranks(noise, visible).unflatten(1, noise.shape[1:]).mT.flatten(1), "column by column"),
        (lambda noise, visible: (noise.argsort(0).argsort(0) >= visible).flatten(1), "the noise of all samples is ranked together"),
        (lambda noise, visible: rows_all_at_once(noise, visible), "values differ"),
        (lambda noise, visible: ~torch.isin(noise, noise.sort(-1).values[..., :visible].flatten()).flatten(1), "values differ"),
        (lambda noise, visible: rows_by_ranks(-noise, visible), "the highest noise stays visible"),
        (lambda noise, visible: ~rows_by_ranks(-noise, visible), "`visible` patches of a row are hidden"),
        (lambda noise, visible: (noise.argsort(1).argsort(1) >= visible).flatten(1), "right in each column"),
        (lambda noise, visible: noise.flatten(1).argsort(1).argsort(1) >= visible * noise.shape[1], "in a sample as a whole"),
        (lambda noise, visible: noise.flatten(1).argsort(1).argsort(1) >= visible, "left in the whole sample"),
        (lambda noise, visible: rows_by_ranks(noise[:1].expand_as(noise), visible), "the mask of the first"),
        (lambda noise, visible: rows_by_ranks(noise[:, :1].expand_as(noise), visible), "every row hides the same columns"),
        (lambda noise, visible: rows_by_ranks(noise, visible).view_as(noise), "its shape is"),
        (lambda noise, visible: rows_by_ranks(torch.rand_like(noise), visible), "values differ"),
    ],
    "ps1.4": [
        (uniform_restore, "the padding has come back as patches"),
        (shuffled_once, "argsort once gives the order, not the ranks"),
        (ragged_by_matrix, "a matrix of 0 and 1, which multiplies the padding by 0"),
        (where_nothing_stands, "values differ"),
        (multiplied, "at hidden places a token or padding is multiplied by 0"),
        (lambda tokens, hidden, mask_token: ragged_by_gather(tokens.detach(), hidden, mask_token), "no gradient reaches tokens"),
        (lambda tokens, hidden, mask_token: ragged_by_gather(tokens, hidden, mask_token.data), "no gradient reaches mask_token"),
        (lambda tokens, hidden, mask_token: torch.tensor(ragged_by_gather(tokens, hidden, mask_token).tolist(), dtype=tokens.dtype), "no gradient"),
        (without_a_graph, "no gradient comes back from the result"),
        (count_below, "the token before its own"),
        (count_down, "the count runs down the batch"),
        (run_on, "one after the other, padding among them"),
        (lambda tokens, hidden, mask_token: ragged_by_gather(tokens, hidden, mask_token[:1]), "values differ"),
        (lambda tokens, hidden, mask_token: ragged_by_gather(tokens.nan_to_num_(0, 0, 0), hidden, mask_token), "changed its argument tokens"),
        (in_front, "every token belongs at its own visible place"),
        (all_in_front, "tokens and padding stand in front"),
        (count_from_one, "cumsum counts the place itself"),
        (zeros_at_hidden, "hidden places hold zeros"),
        (first_sample_for_all, "every sample has the places of the first"),
        (at_hidden_places, "tokens went to the hidden places; True means hidden"),
        (lambda tokens, hidden, mask_token: take(tokens, (~hidden).cumsum(1)), "raised RuntimeError in its line"),
        (single_precision, "float64 numbers into"),
        (lambda tokens, hidden, mask_token: tokens, "its shape is"),
    ],
    "ps1.5": [
        (once_sorted, "argsort once gives the order, not the ranks"),
        (lambda noise, overlap: tuple(~mask for mask in views_by_ranks(noise, overlap)), "both masks are turned round"),
        (view_pairs(first_view, lambda r, k, o: (r >= o) & (r < k + o)), "the views share K − overlap"),
        (view_pairs(first_view, lambda r, k, o: (r < o) | ((r >= k) & (r < 2 * k - o))), "not the right ones"),
        (view_pairs(first_view, lambda r, k, o: (r >= k) & (r < 2 * k)), "the views share nothing"),
        (view_pairs(first_view, lambda r, k, o: (r >= k - o) & (r < 2 * k)), "keeps more than N/4"),
        (lambda noise, overlap: views_by_ranks(noise.argsort(1).argsort(1, descending=True).float(), overlap), "the second argsort"),
        (view_pairs(first_view, lambda r, k, o: (r > k - o) & (r <= 2 * k - o)), "begins one place too late"),
        (view_pairs(first_view, lambda r, k, o: (r >= k - o - 1) & (r < 2 * k - o - 1)), "begins one place too early"),
        (view_pairs(first_view, lambda r, k, o: (r >= k - o) & (r <= 2 * k - o)), "keeps one patch too many"),
        (view_pairs(first_view, lambda r, k, o: (r >= k - o) & (r < 2 * k - o - 1)), "keeps one patch too few"),
        (view_pairs(first_view, lambda r, k, o: (r >= k - o) & (r < k)), "keeps only the shared patches"),
        (view_pairs(lambda r, k, o: r <= k, lambda r, k, o: (r >= k - o) & (r < 2 * k - o)), "result 1 of 2"),
        (lambda noise, overlap: views_by_ranks(noise, overlap)[::-1], "result 1 of 2"),
        (lambda noise, overlap: views_by_ranks(noise.sort(1).values, overlap), "values differ"),
        (views_by_numbers, "result 1 of 2"),
        (lambda noise, overlap: views_by_ranks(noise, overlap)[:1], "2 results were asked for"),
        (lambda noise, overlap: views_by_ranks(-noise, overlap), "the order runs from the lowest"),
        (lambda noise, overlap: tuple(mask.int() for mask in views_by_ranks(noise, overlap)), "result 1 of 2: a 0/1 mask"),
        (lambda noise, overlap: torch.stack(views_by_ranks(noise, overlap)), "2 results were asked for, in a tuple"),
        (view_pairs(first_view, first_view), "both views are the same"),
    ],
}


@pytest.mark.parametrize(("task", "case"), each(WRONG))
def test_a_wrong_answer_is_rejected_its_mistake_is_named_and_it_loses_points(task, case):
    answer, words = case
    message = said(task, answer)
    assert message.startswith(f"{task}: ") and words in message
    assert SET.loses(task, answer)


def test_every_check_is_fed_at_least_six_right_and_six_wrong_answers():
    assert all(len(RIGHT[name]) >= 6 and len(WRONG[name]) >= 6 for name in TASKS)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_mistake_with_a_name_is_a_mistake_and_is_called_by_its_own(task):
    for sentence, mistaken in task.mistakes.items():
        assert said(task.name, mistaken) == f"{task.name}: {sentence}"
        assert SET.loses(task.name, handed_on(mistaken, __name__)), sentence


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_check_tries_batch_one_and_other_kinds_of_input(task):
    first = [next(iter(arguments.values())) for _, arguments in task.cases()]
    assert any(len(x) == 1 for x in first) and any(len(x) > 1 for x in first)
    assert any(x.dtype == torch.float64 for x in first) and any(not x.is_contiguous() for x in first)
    assert len({x.shape[1:] for x in first}) >= 4


def test_nothing_of_the_truth_shows_in_a_traceback():
    for answer in (uniform_restore, in_front, lambda tokens, hidden, mask_token: 1 / 0):
        try:
            check("ps1.4", answer)
        except WrongAnswer as wrong:
            shown = "".join(traceback.format_exception(wrong))
            assert "truth.py" not in shown and "During handling" not in shown
            assert wrong._render_traceback_() == [str(wrong)]


def test_yours_is_drawn_beside_the_expected_one_where_the_shapes_agree(drawn):
    for task, answer in [
        ("ps1.1", WRONG["ps1.1"][0][0]), ("ps1.2", top_left), ("ps1.3", WRONG["ps1.3"][0][0]), ("ps1.4", in_front), ("ps1.5", once_sorted),
    ]:  # fmt: skip
        drawn.clear()
        said(task, answer)
        [(yours, expected)] = drawn
        assert yours.shape == expected.shape and not torch.equal(yours, expected)
    drawn.clear()
    said("ps1.4", lambda tokens, hidden, mask_token: tokens)
    assert not drawn


def test_the_picture_has_both_in_the_scale_of_the_expected_one(monkeypatch):
    figures = []
    plt.switch_backend("agg")
    monkeypatch.setattr(plt, "show", lambda: figures.append(plt.gcf()))
    beside(torch.tensor([[0.0, 9.0]]), torch.tensor([[1.0, 3.0]]), "what they show")
    yours, expected = figures[0].axes
    assert (yours.get_title(), expected.get_title()) == ("yours", "expected")
    assert yours.images[0].get_array().tolist() == [[0, 1]] and expected.images[0].get_array().tolist() == [[0, 1]]
    assert not plt.get_fignums()


# The graded cells


def test_the_set_has_twenty_points_fourteen_of_them_by_tests_one_for_each_behaviour():
    assert [mark["points"] for _, mark in SET.cells] == [1] * 14
    assert [mark["points"] for _, mark in SET.marked if mark["grade"] and mark["solution"]] == [3, 3]


@pytest.mark.parametrize("name", TASKS)
def test_the_check_and_the_graded_cells_agree_on_answers_that_are_spoilt(name):
    made = mutants(TASKS[name], RIGHT[name][0], __name__)
    assert not {words: told for words, answer in made.items() if (told := SET.disagree(name, answer))}


def test_a_result_that_no_gradient_passes_through_loses_that_point_alone():
    def detached(tokens, hidden, mask_token):
        return ragged_by_gather(tokens, hidden, mask_token).detach()

    assert "no gradient comes back" in said("ps1.4", detached)
    assert SET.lost("ps1.4", detached) == {"ps1-4-gradients"}


FROM_LESSONS = """
import minimim
from minimim.masking import GridMasking, Mask, RandomMasking, mask_by_noise
from minimim.patches import patchify, take
"""
BORROWED = {
    "imports": """
from minimim.patches import patchify as tubelets, patchify as patches_with_border
from minimim.masking import mask_by_noise as mask_per_row, mask_by_noise as two_views
from minimim.patches import take as restore_ragged
""",
    "patchify and mask_by_noise in the set's own signature": FROM_LESSONS
    + """
def tubelets(video, patch_size, frames):
    return patchify(video[:, 0], patch_size)
def patches_with_border(images, patch_size):
    patches = patchify(images, patch_size)
    return patches, torch.ones(*patches.shape[:2], patch_size**2, dtype=torch.bool)
def mask_per_row(noise, visible):
    return mask_by_noise(noise.flatten(1), visible).hidden
def restore_ragged(tokens, hidden, mask_token):
    rest = mask_token.expand(len(tokens), hidden.shape[1] - tokens.shape[1], -1)
    return take(torch.cat([tokens, rest], dim=1), Mask(hidden).restore_ids)
def two_views(noise, overlap):
    return mask_by_noise(noise, noise.shape[1] // 4).hidden, mask_by_noise(noise, noise.shape[1] // 4).hidden
""",
    "the lessons' own lines": FROM_LESSONS
    + """
def tubelets(video, patch_size, frames):
    return patchify(video.flatten(1, 2), patch_size)
def patches_with_border(images, patch_size):
    images = images[..., : images.shape[2] // patch_size * patch_size, : images.shape[3] // patch_size * patch_size]
    patches = rearrange(images, "b c (r p) (s q) -> b (r s) (p q c)", p=patch_size, q=patch_size)
    return patches, torch.ones(*patches.shape[:2], patch_size**2, dtype=torch.bool)
def mask_per_row(noise, visible):
    noise = noise.flatten(1)
    return noise.argsort(1).argsort(1) >= visible
def restore_ragged(tokens, hidden, mask_token):
    order = hidden.to(torch.uint8).argsort(dim=1, stable=True)
    rest = mask_token.expand(len(tokens), hidden.shape[1] - tokens.shape[1], -1)
    return torch.cat([tokens, rest], dim=1).take_along_dim(order.argsort(1).unsqueeze(-1), 1)
def two_views(noise, overlap):
    return mask_by_noise(noise, noise.shape[1] // 4).hidden, mask_by_noise(-noise, noise.shape[1] // 4).hidden
""",
    "the library's maskings": FROM_LESSONS
    + """
def mask_per_row(noise, visible):
    b, r, s = noise.shape
    masking = RandomMasking(1 - visible / s)
    return masking({"image": noise}, (r, s), noise=noise.flatten(1))[0].hidden
def two_views(noise, overlap):
    return tuple(RandomMasking(0.75)({"image": noise}, (1, noise.shape[1]), noise=noise)[0].hidden for _ in range(2))
""",
    "the truth of the checks": "from minimim.feedback.ps1.truth import (\n"
    "    mask_per_row, patches_with_border, restore_ragged, tubelets, two_views)",
}


@pytest.mark.parametrize("name", BORROWED)
def test_what_lessons_and_library_hold_earns_full_points_in_no_task(name):
    defined = SET.names(BORROWED[name])
    assert not [task.name for task in TASKS.values() if task.function in defined and not SET.loses(task.name, defined[task.function])]


def test_each_graded_cell_tells_wrong_answers_apart():
    telling = set()
    for name, wrong in WRONG.items():
        for answer, _ in wrong:
            lost = SET.lost(name, answer)
            telling |= lost if len(lost) < len(SET.of(name)) else set()
    assert telling == {mark["grade_id"] for _, mark in SET.cells}
