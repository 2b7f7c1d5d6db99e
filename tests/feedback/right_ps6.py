"""Right answers to problem set 6, tasks 1 and 2, targets, in many hands."""

import math
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange

# ps6.1, right


def hog_pixel_by_pixel(across, down, patch_size, cells, margin, bins):
    """Every pixel goes to all cells that it is in reach of."""
    batch, rows, cols = across.shape
    high, wide = patch_size // cells[0], patch_size // cells[1]
    out = torch.zeros(batch, rows // high, cols // wide, bins, dtype=across.dtype)
    for b, y, x in product(range(batch), range(rows), range(cols)):
        right, below = float(across[b, y, x]), float(down[b, y, x])
        place = math.atan2(below, right) % math.pi / (math.pi / bins)
        low = int(place)
        for r, c in product(range(rows // high), range(cols // wide)):
            near = r * high - margin <= y < (r + 1) * high + margin and c * wide - margin <= x < (c + 1) * wide + margin
            if near:
                out[b, r, c, low % bins] += math.hypot(right, below) * (low + 1 - place)
                out[b, r, c, (low + 1) % bins] += math.hypot(right, below) * (place - low)
    x = rearrange(out, "b (u r) (v c) n -> b (u v) (r c n)", r=cells[0], c=cells[1])
    return F.normalize(x, dim=-1, eps=1e-20)


def hog_by_tents(across, down, patch_size, cells, margin, bins):
    """A direction's weight is a tent around it: 1 − how far away it is, round the half turn."""
    turn = torch.atan2(down, across).unsqueeze(1) / math.pi * bins
    apart = (turn - torch.arange(bins, dtype=across.dtype).view(1, -1, 1, 1)) % bins
    weight = (1 - torch.minimum(apart, bins - apart)).clamp(min=0)
    if bins == 1:
        weight = torch.ones_like(weight)
    maps = weight * torch.hypot(across, down).unsqueeze(1)
    high, wide = patch_size // cells[0], patch_size // cells[1]
    kernel = torch.ones(bins, 1, high + 2 * margin, wide + 2 * margin, dtype=across.dtype)
    sums = F.conv2d(maps, kernel, stride=(high, wide), padding=margin, groups=bins)
    x = rearrange(sums, "b n (u r) (v c) -> b (u v) (r c n)", r=cells[0], c=cells[1])
    return x / x.norm(dim=-1, keepdim=True).clamp(min=1e-20)


def hog_window_by_window(across, down, patch_size, cells, margin, bins):
    votes = (across**2 + down**2).sqrt()
    place = (torch.atan2(down, across) * bins / math.pi) % bins
    place = torch.where(place >= bins, 0, place)
    low = place.floor()
    maps = torch.zeros(*across.shape, bins, dtype=across.dtype)
    for b in range(bins):
        maps[..., b] = torch.where(low == b, votes * (low + 1 - place), 0) + torch.where(
            (low + 1) % bins == b, votes * (place - low), 0
        )
    high, wide = patch_size // cells[0], patch_size // cells[1]
    patches = []
    for top in range(0, across.shape[1], patch_size):
        for left in range(0, across.shape[2], patch_size):
            numbers = [
                maps[:, max(0, y - margin) : y + high + margin, max(0, x - margin) : x + wide + margin].sum((1, 2))
                for y in range(top, top + patch_size, high)
                for x in range(left, left + patch_size, wide)
            ]
            patches.append(torch.cat(numbers, dim=1))
    x = torch.stack(patches, 1)
    length = x.square().sum(-1, keepdim=True).sqrt()
    return torch.where(length > 0, x / length, 0)


def hog_running_sums(across, down, patch_size, cells, margin, bins):
    """Sums over boxes from running sums of running sums."""
    turn = torch.atan2(down, across) / math.pi * bins
    low, votes = turn.floor(), torch.hypot(across, down)
    rows, cols = across.shape[1:]
    maps = torch.zeros(len(across), bins, rows, cols, dtype=torch.float64)
    maps.scatter_add_(1, (low.long() % bins)[:, None], (votes * (low + 1 - turn))[:, None].double())
    maps.scatter_add_(1, ((low.long() + 1) % bins)[:, None], (votes * (turn - low))[:, None].double())
    table = F.pad(maps.cumsum(2).cumsum(3), (1, 0, 1, 0))
    high, wide = patch_size // cells[0], patch_size // cells[1]
    starts = [torch.arange(0, side, step) for side, step in ((rows, high), (cols, wide))]
    (t, e), (left, r) = (
        ((s - margin).clamp(min=0), (s + step + margin).clamp(max=side))
        for s, step, side in zip(starts, (high, wide), (rows, cols), strict=True)
    )
    box = table[:, :, e][..., r] - table[:, :, t][..., r] - table[:, :, e][..., left] + table[:, :, t][..., left]
    x = rearrange(box, "b n (u r) (v c) -> b (u v) (r c n)", r=cells[0], c=cells[1]).clamp(min=0)
    return F.normalize(x, dim=-1, eps=1e-30).to(across.dtype)


def hog_unfolded(across, down, patch_size, cells, margin, bins):
    angle = torch.rad2deg(torch.atan2(down, across))
    angle = torch.where(angle < 0, angle + 180, angle)
    place = angle * bins / 180
    low = place.floor()
    part = place - low
    votes = (across * across + down * down).sqrt()
    weights = votes[..., None] * (
        F.one_hot(low.long().remainder(bins), bins) * (1 - part)[..., None]
        + F.one_hot((low.long() + 1).remainder(bins), bins) * part[..., None]
    )
    high, wide = patch_size // cells[0], patch_size // cells[1]
    padded = F.pad(weights, (0, 0, margin, margin, margin, margin))
    sums = padded.unfold(1, high + 2 * margin, high).unfold(2, wide + 2 * margin, wide).sum((-1, -2))  # (B, ., ., bins)
    x = rearrange(sums, "b (u r) (v c) n -> b (u v) (r c n)", r=cells[0], c=cells[1])
    total = x.norm(dim=-1, keepdim=True)
    return x / (total + (total == 0))


def hog_in_numpy(across, down, patch_size, cells, margin, bins):
    a, d = across.double().numpy(), down.double().numpy()
    place = np.mod(np.arctan2(d, a), np.pi) * bins / np.pi
    low = np.floor(place).astype(int)
    votes = np.hypot(a, d)
    maps = np.zeros((*a.shape, bins))
    at = np.indices(a.shape)
    np.add.at(maps, (*at, low % bins), votes * (low + 1 - place))
    np.add.at(maps, (*at, (low + 1) % bins), votes * (place - low))
    high, wide = patch_size // cells[0], patch_size // cells[1]
    padded = np.pad(maps, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    sums = np.stack(
        [
            np.stack(
                [
                    padded[:, y : y + high + 2 * margin, x : x + wide + 2 * margin].sum((1, 2))
                    for x in range(0, a.shape[2], wide)
                ],
                1,
            )
            for y in range(0, a.shape[1], high)
        ],
        1,
    )
    x = rearrange(sums, "b (u r) (v c) n -> b (u v) (r c n)", r=cells[0], c=cells[1])
    length = np.linalg.norm(x, axis=-1, keepdims=True)
    return torch.from_numpy(x / np.where(length > 0, length, 1)).to(across.dtype)


# ps6.2, right


def revive_by_cdist(codes, latents, usage, momentum, threshold):
    """Integers and halves are exact here too."""
    apart = torch.cdist(latents, codes, compute_mode="donot_use_mm_for_euclid_dist")
    counts = F.one_hot(apart.argmin(1), len(codes)).sum(0)
    new = usage.lerp(counts.to(usage.dtype), 1 - momentum)
    dead = (new < threshold).nonzero().flatten().tolist()
    living = [k for k in range(len(codes)) if k not in dead]
    fresh, out = new[living].mean(), codes.clone()
    moved = torch.zeros(len(codes), dtype=torch.bool)
    for k in dead:
        away = torch.cdist(latents, out[living], compute_mode="donot_use_mm_for_euclid_dist").amin(1)
        if away.max() == 0:
            break
        out[k] = latents[(away == away.max()).nonzero()[0, 0]]
        new[k], moved[k] = fresh, True
        living.append(k)
    return out, new, moved


def revive_in_lists(codes, latents, usage, momentum, threshold):
    table, points = [tuple(c) for c in codes.tolist()], [tuple(x) for x in latents.tolist()]

    def far(x, places):
        return min(sum((a - b) ** 2 for a, b in zip(x, place, strict=True)) for place in places)

    choices = [min(range(len(table)), key=lambda k, x=x: far(x, [table[k]])) for x in points]
    new = [momentum * u + (1 - momentum) * choices.count(k) for k, u in enumerate(usage.tolist())]
    alive = [table[k] for k, u in enumerate(new) if not u < threshold]
    fresh = sum(u for u in new if not u < threshold) / len(alive)
    moved = [False] * len(table)
    for k, u in enumerate(list(new)):
        if u < threshold:
            best = max(points, key=lambda x: far(x, alive))
            if far(best, alive) > 0:
                table[k], new[k], moved[k] = best, fresh, True
                alive.append(best)
    return torch.tensor(table, dtype=codes.dtype), torch.tensor(new, dtype=usage.dtype), torch.tensor(moved)


def revive_with_infinities(codes, latents, usage, momentum, threshold):
    """Dead codes are infinitely far until they are revived."""
    apart = (latents[:, None] - codes[None]).pow(2).sum(2)
    counts = torch.stack([(apart.argmin(1) == k).sum() for k in range(len(codes))])
    new = usage * momentum + counts * (1 - momentum)
    dead, out, final = new < threshold, codes.clone(), new.clone()
    apart[:, dead] = torch.inf
    moved = torch.zeros_like(dead)
    for k in range(len(codes)):
        nearest = apart.min(1).values
        if dead[k] and nearest.max() > 0:
            out[k] = latents[nearest.argmax()]
            apart[:, k] = (latents - out[k]).pow(2).sum(1)
            moved[k] = True
    final[moved] = new[~dead].mean()
    return out, final, moved


def revive_recursively(codes, latents, usage, momentum, threshold):
    counts = torch.zeros_like(usage)
    for x in latents:
        counts[((codes - x) ** 2).sum(1).argmin()] += 1
    new = momentum * usage + (1 - momentum) * counts
    dead = new < threshold

    def go_on(places, left):
        if not left:
            return []
        away = ((latents[:, None] - places) ** 2).sum(-1).amin(1)
        if not away.any():
            return []
        best = latents[away.argmax()]
        return [(left[0], best), *go_on(torch.cat([places, best[None]]), left[1:])]

    out, final, moved = codes.clone(), new.clone(), torch.zeros_like(dead)
    for k, place in go_on(codes[~dead], dead.nonzero().flatten().tolist()):
        out[k], final[k], moved[k] = place, new[~dead].mean(), True
    return out, final, moved


def revive_in_float64(codes, latents, usage, momentum, threshold):
    out, new, moved = revive_with_infinities(codes.double(), latents.double(), usage, momentum, threshold)
    return out.to(codes.dtype), new, moved


def revive_with_numpy(codes, latents, usage, momentum, threshold):
    c, x = codes.numpy().copy(), latents.numpy()
    apart = ((x[:, None] - c) ** 2).sum(-1)
    new = momentum * usage.numpy() + (1 - momentum) * np.bincount(apart.argmin(1), minlength=len(c))
    dead = np.flatnonzero(new < threshold)
    fresh, away = np.delete(new, dead).mean(), np.delete(apart, dead, axis=1).min(1)
    moved = np.zeros(len(c), dtype=bool)
    for k in dead:
        if away.max() > 0:
            c[k], new[k], moved[k] = x[away.argmax()], fresh, True
            away = np.minimum(away, ((x - c[k]) ** 2).sum(-1))
    return torch.from_numpy(c), torch.from_numpy(new).to(usage.dtype), torch.from_numpy(moved)


RIGHT = {
    "ps6.1": [hog_by_tents, hog_pixel_by_pixel, hog_window_by_window, hog_running_sums, hog_unfolded, hog_in_numpy],
    "ps6.2": [
        revive_by_cdist,
        revive_in_lists,
        revive_with_infinities,
        revive_recursively,
        revive_in_float64,
        revive_with_numpy,
    ],
}
