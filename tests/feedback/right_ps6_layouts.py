"""Right answers to problem set 6, task 5, targets and context, in many hands."""

import numpy as np
import torch


def layout_by_sets(corners, size, targets, context, noise, grid):
    def block(top, left, h, w):
        return {(r, c) for r in range(top, top + h) for c in range(left, left + w)}

    blocks = torch.zeros(len(corners), targets, *grid, dtype=torch.bool)
    free = []
    for b, places in enumerate(corners.tolist()):
        used: set = set()
        number = 0
        for r, c in places:
            if number == targets:
                break
            one = block(r, c, *size)
            if used.isdisjoint(one):
                used |= one
                blocks[b, number, r : r + size[0], c : c + size[1]] = True
                number += 1
        free.append([r * grid[1] + c for r, c in block(*context[b].tolist()) - used])
    keep = min(len(ids) for ids in free)
    visible = torch.zeros_like(noise).bool()
    for b, ids in enumerate(free):
        visible[b, sorted(ids, key=lambda n: noise[b, n].item())[:keep]] = True
    return blocks.flatten(2), visible


def layout_by_corners(corners, size, targets, context, noise, grid):
    """Two blocks of one size overlap if their corners are near in both directions."""
    blocks, visible = (
        torch.zeros(len(corners), targets, *grid, dtype=torch.bool),
        torch.zeros(len(corners), *grid, dtype=torch.bool),
    )
    for b in range(len(corners)):
        taken: list = []
        for r, c in corners[b].tolist():
            far = [abs(r - y) >= size[0] or abs(c - x) >= size[1] for y, x in taken]
            if all(far) and len(taken) < targets:
                blocks[b, len(taken), r : r + size[0], c : c + size[1]] = True
                taken.append((r, c))
        t, left, h, w = context[b].tolist()
        visible[b, t : t + h, left : left + w] = True
        visible[b] &= ~blocks[b].any(0)
    visible = visible.flatten(1)
    keep = visible.sum(1).amin()
    lower = (noise[:, None] < noise[:, :, None]) & visible[:, None]
    return blocks.flatten(2), visible & (lower.sum(-1) < keep)


def layout_all_images_at_once(corners, size, targets, context, noise, grid):
    """Candidate by candidate, all images side by side."""
    n = torch.arange(grid[0] * grid[1])
    row, col = n // grid[1], n % grid[1]

    def block(top, left, h, w):
        top, left = top[:, None], left[:, None]
        return (row >= top) & (row < top + h) & (col >= left) & (col < left + w)

    blocks, taken = torch.zeros(len(corners), targets, len(n), dtype=torch.bool), torch.zeros(len(corners), dtype=torch.long)
    for k in range(corners.shape[1]):
        one = block(corners[:, k, 0], corners[:, k, 1], *size)
        good = ~(one & blocks.any(1)).any(1) & (taken < targets)
        blocks[good, taken[good]] = one[good]
        taken += good
    top, left, h, w = context.T
    free = block(top, left, h[:, None], w[:, None]) & ~blocks.any(1)
    order = torch.where(free, noise, 2).argsort(1)[:, : int(free.sum(1).min())]
    return blocks, torch.zeros_like(free).scatter(1, order, True)


def layout_by_a_map_of_owners(corners, size, targets, context, noise, grid):
    """A table that says which target a patch belongs to, 0 = none."""
    owner = torch.zeros(len(corners), *grid, dtype=torch.long)
    free = torch.zeros(len(corners), *grid, dtype=torch.bool)
    for b in range(len(corners)):
        for r, c in corners[b].tolist():
            window = owner[b, r : r + size[0], c : c + size[1]]
            if not window.any() and int(owner[b].max()) < targets:
                window[:] = int(owner[b].max()) + 1
        t, left, h, w = context[b]
        free[b, t : t + h, left : left + w] = owner[b, t : t + h, left : left + w] == 0
    owner, free = owner.flatten(1), free.flatten(1)
    blocks = owner[:, None] == torch.arange(1, targets + 1)[:, None]
    rank = noise.masked_fill(~free, 9.0).argsort(1).argsort(1)
    return blocks, rank < free.sum(1).min()


def layout_in_numpy(corners, size, targets, context, noise, grid):
    blocks, free = np.zeros((len(corners), targets, *grid), bool), np.zeros((len(corners), *grid), bool)
    for b, places in enumerate(corners.numpy()):
        number = 0
        for r, c in places:
            place = (slice(r, r + size[0]), slice(c, c + size[1]))
            if number < targets and not blocks[b][(slice(None), *place)].any():
                blocks[b][(number, *place)] = True
                number += 1
        t, left, h, w = context[b].numpy()
        free[b, t : t + h, left : left + w] = True
        free[b] &= ~blocks[b].any(0)
    free = free.reshape(len(free), -1)
    order = np.argsort(np.where(free, noise.double().numpy(), np.inf), axis=1)
    visible = np.zeros_like(free)
    np.put_along_axis(visible, order[:, : free.sum(1).min()], True, axis=1)
    return torch.from_numpy(blocks.reshape(len(blocks), targets, -1)), torch.from_numpy(visible)


def layout_thresholds(corners, size, targets, context, noise, grid):
    """The K-th lowest noise of what is free is the limit."""
    blocks, _ = layout_by_sets(corners, size, targets, context, noise, grid)
    row, col = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij")
    free = torch.stack([(row >= t) & (row < t + h) & (col >= s) & (col < s + w) for t, s, h, w in context.tolist()]).flatten(
        1
    )
    free = free & ~blocks.any(1)
    keep = int(free.sum(1).min())
    limit = torch.stack(
        [n[f].sort().values[keep - 1] if keep else n.new_tensor(-1) for n, f in zip(noise, free, strict=True)]
    )
    return blocks, free & (noise <= limit[:, None])


RIGHT = {
    "ps6.5": [
        layout_by_sets,
        layout_by_corners,
        layout_all_images_at_once,
        layout_by_a_map_of_owners,
        layout_in_numpy,
        layout_thresholds,
    ],
}
