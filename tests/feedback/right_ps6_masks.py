"""Right answers to problem set 6, tasks 3 and 4, masks, in many hands."""

import math
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange, reduce

# ps6.3, right


def blocks_in_lists(sizes, corners, grid, count):
    rows, cols = grid
    out = torch.zeros(len(sizes), rows * cols, dtype=torch.bool)
    for b in range(len(sizes)):
        line = []
        for k in range(sizes.shape[1]):
            h, w = (int(n) for n in sizes[b, k])
            top = 1 + int(float(corners[b, k, 0]) * (rows - 2 - h + 1))
            left = 1 + int(float(corners[b, k, 1]) * (cols - 2 - w + 1))
            line += [r * cols + c for r in range(top, top + h) for c in range(left, left + w)]
        line += [r * cols + c for r in range(1, rows - 1) for c in range(1, cols - 1)]
        for n in list(dict.fromkeys(line))[:count]:
            out[b, n] = True
    return out


def blocks_one_patch_at_a_time(sizes, corners, grid, count):
    out = torch.zeros(len(sizes), *grid, dtype=torch.bool)
    for mask, shapes, places in zip(out, sizes.tolist(), corners.tolist(), strict=True):
        shapes, places = (
            [*shapes, [grid[0] - 2, grid[1] - 2]],
            [*places, [0.0, 0.0]],
        )  # the last one covers all inner patches
        for (h, w), (u, v) in zip(shapes, places, strict=True):
            top, left = 1 + math.floor(u * (grid[0] - 1 - h)), 1 + math.floor(v * (grid[1] - 1 - w))
            for r in range(top, top + h):
                for c in range(left, left + w):
                    if int(mask.sum()) < count:
                        mask[r, c] = True
    return out.flatten(1)


def blocks_in_the_inner_grid(sizes, corners, grid, count):
    """A mask without border, and the border around it at the end."""
    rows, cols = grid[0] - 2, grid[1] - 2
    places = (corners * (torch.tensor([rows, cols]) + 1 - sizes)).floor().long()
    inner = torch.zeros(len(sizes), rows, cols, dtype=torch.bool)
    for b in range(len(sizes)):
        for (h, w), (top, left) in zip(sizes[b].tolist(), places[b].tolist(), strict=True):
            new = torch.zeros(rows, cols, dtype=torch.bool)
            new[top : top + h, left : left + w] = True
            new &= ~inner[b]
            ids = new.flatten().nonzero().flatten()[: count - int(inner[b].sum())]
            inner[b].view(-1)[ids] = True
        ids = (~inner[b]).flatten().nonzero().flatten()[: count - int(inner[b].sum())]
        inner[b].view(-1)[ids] = True
    return F.pad(inner, (1, 1, 1, 1)).flatten(1)


def blocks_by_keys(sizes, corners, grid, count):
    """A key of stage and place in one number."""
    n = grid[0] * grid[1]
    row, col = torch.arange(n) // grid[1], torch.arange(n) % grid[1]
    top = 1 + (corners[..., 0] * (grid[0] - 1 - sizes[..., 0])).floor()[..., None]
    left = 1 + (corners[..., 1] * (grid[1] - 1 - sizes[..., 1])).floor()[..., None]
    there = (row >= top) & (row < top + sizes[..., :1]) & (col >= left) & (col < left + sizes[..., 1:])  # (B, R, N)
    number = torch.arange(sizes.shape[1])[:, None]
    stage = torch.where(there, number, sizes.shape[1]).amin(1)
    border = (row == 0) | (row == grid[0] - 1) | (col == 0) | (col == grid[1] - 1)
    key = (stage + border * (sizes.shape[1] + 1)) * n + torch.arange(n)
    out = torch.zeros(len(sizes), n, dtype=torch.bool)
    return out.scatter(1, key.argsort(1)[:, :count], True)


def blocks_by_sets(sizes, corners, grid, count):
    out = []
    for b in range(len(sizes)):
        taken: set = set()
        steps = []
        for (h, w), (u, v) in zip(sizes[b].tolist(), corners[b].tolist(), strict=True):
            t, left = 1 + int(u * (grid[0] - 1 - h)), 1 + int(v * (grid[1] - 1 - w))
            steps.append({(r, c) for r in range(t, t + h) for c in range(left, left + w)})
        steps.append(set(product(range(1, grid[0] - 1), range(1, grid[1] - 1))))
        for places in steps:
            taken |= set(sorted(places - taken)[: count - len(taken)])
        out.append([(r, c) in taken for r in range(grid[0]) for c in range(grid[1])])
    return torch.tensor(out)


def blocks_in_numpy(sizes, corners, grid, count):
    out = np.zeros((len(sizes), *grid), dtype=bool)
    for mask, shape, corner in zip(out, sizes.numpy(), corners.double().numpy(), strict=True):
        stage = np.full(grid, len(shape) + 1)
        stage[1:-1, 1:-1] = len(shape)
        for k in reversed(range(len(shape))):
            t, left = (1 + np.floor(corner[k] * (np.array(grid) - 1 - shape[k]))).astype(int)
            stage[t : t + shape[k, 0], left : left + shape[k, 1]] = k
        mask.flat[np.argsort(stage.flat, kind="stable")[:count]] = True
    return torch.from_numpy(out.reshape(len(out), -1))


# ps6.4, right


def hint_in_lists(importance, patch_size, noise, count, top, hint):
    p, n = patch_size, noise.shape[1]
    cols = importance.shape[2] // p
    hidden, hints = (torch.zeros(len(noise), n, dtype=torch.bool) for _ in range(2))
    for b in range(len(noise)):
        worth = [
            importance[b, k // cols * p : k // cols * p + p, k % cols * p : k % cols * p + p].mean().item() for k in range(n)
        ]
        order = sorted(range(n), key=lambda k: -worth[k])
        inside, outside = order[:top], order[top:]
        inside.sort(key=lambda k: noise[b, k].item())
        outside.sort(key=lambda k: noise[b, k].item())
        hints[b, inside[:hint]] = True
        hidden[b, inside[hint:] + outside[: count - (top - hint)]] = True
    return hidden, hints


def hint_by_topk(importance, patch_size, noise, count, top, hint):
    worth = F.avg_pool2d(importance[:, None].double(), patch_size).flatten(1)
    first = worth.sort(dim=1, descending=True, stable=True).indices
    hidden, hints = torch.zeros_like(noise).bool(), torch.zeros_like(noise).bool()
    for b in range(len(noise)):
        inside, outside = first[b, :top], first[b, top:]
        near = inside[noise[b, inside].topk(hint, largest=False).indices]
        hints[b, near] = True
        hidden[b, inside] = True
        hidden[b, near] = False
        hidden[b, outside[noise[b, outside].topk(count - top + hint, largest=False).indices]] = True
    return hidden, hints


def hint_in_one_order(importance, patch_size, noise, count, top, hint):
    """Hidden come first: the object without the hint, others by noise, the hint last."""
    worth = reduce(importance, "b (r p) (c q) -> b (r c)", "mean", p=patch_size, q=patch_size)
    inside = torch.zeros_like(noise).bool().scatter(1, (-worth).argsort(dim=1, stable=True)[:, :top], True)
    hints = torch.zeros_like(inside).scatter(1, torch.where(inside, noise, 2).argsort(1)[:, :hint], True)
    key = torch.where(hints, 2, torch.where(inside, -1, noise))
    return torch.zeros_like(inside).scatter(1, key.argsort(1)[:, :count], True), hints


def hint_by_comparing(importance, patch_size, noise, count, top, hint):
    """A patch's rank is how many come before it."""
    worth = importance.unfold(1, patch_size, patch_size).unfold(2, patch_size, patch_size).mean((-1, -2)).flatten(1)
    n = torch.arange(noise.shape[1])
    before = (worth[:, None] > worth[:, :, None]) | ((worth[:, None] == worth[:, :, None]) & (n < n[:, None]))
    inside = before.sum(-1) < top
    lower = noise[:, None] < noise[:, :, None]
    hints = inside & ((lower & inside[:, None]).sum(-1) < hint)
    others = ~inside & ((lower & ~inside[:, None]).sum(-1) < count - top + hint)
    return (inside & ~hints) | others, hints


def hint_in_numpy(importance, patch_size, noise, count, top, hint):
    b, h, w = importance.shape
    worth = (
        importance.double()
        .numpy()
        .reshape(b, h // patch_size, patch_size, w // patch_size, patch_size)
        .mean((2, 4))
        .reshape(b, -1)
    )
    u, hidden, hints = noise.numpy(), np.zeros(noise.shape, bool), np.zeros(noise.shape, bool)
    for i in range(b):
        order = np.argsort(-worth[i], kind="stable")
        inside, outside = order[:top], order[top:]
        inside, outside = inside[np.argsort(u[i, inside])], outside[np.argsort(u[i, outside])]
        hints[i, inside[:hint]] = True
        hidden[i, inside[hint:]] = True
        hidden[i, outside[: count - (top - hint)]] = True
    return torch.from_numpy(hidden), torch.from_numpy(hints)


def hint_by_two_sorts(importance, patch_size, noise, count, top, hint):
    """By noise, then stably by whether a patch belongs to the object."""
    worth = rearrange(importance, "b (r p) (c q) -> b (r c) (p q)", p=patch_size, q=patch_size).mean(-1)
    inside = worth.argsort(dim=1, descending=True, stable=True).argsort(1) < top
    order = noise.argsort(1)
    order = order.gather(
        1, (~inside).gather(1, order).byte().argsort(dim=1, stable=True)
    )  # the object by noise, then the others
    place = order.argsort(1)
    return (place >= hint) & (place < hint + count), place < hint


RIGHT = {
    "ps6.3": [
        blocks_in_lists,
        blocks_one_patch_at_a_time,
        blocks_in_the_inner_grid,
        blocks_by_keys,
        blocks_by_sets,
        blocks_in_numpy,
    ],
    "ps6.4": [hint_in_lists, hint_by_topk, hint_in_one_order, hint_by_comparing, hint_in_numpy, hint_by_two_sorts],
}
