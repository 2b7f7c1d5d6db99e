"""Right answers to the build notebook, written in other ways than its solutions: functions by task."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from einops import einsum, rearrange, repeat


def patchify_by_reshape(images, patch_size):
    b, c, h, w = images.shape
    x = images.reshape(b, c, h // patch_size, patch_size, w // patch_size, patch_size)
    return x.permute(0, 2, 4, 3, 5, 1).reshape(b, -1, patch_size * patch_size * c)


def patchify_by_unfold(images, patch_size):
    columns = F.unfold(images, patch_size, stride=patch_size)  # (B, C·P·P, N)
    return rearrange(columns, "b (c k) n -> b n (k c)", c=images.shape[1])


def patchify_by_loop(images, patch_size):
    height, width = images.shape[2:]
    corners = [(y, x) for y in range(0, height, patch_size) for x in range(0, width, patch_size)]
    squares = [images[:, :, y : y + patch_size, x : x + patch_size] for y, x in corners]
    return torch.stack([square.permute(0, 2, 3, 1).flatten(1) for square in squares], dim=1)


def unpatchify_by_reshape(patches, patch_size, grid):
    x = patches.reshape(len(patches), *grid, patch_size, patch_size, -1)
    return x.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)


def unpatchify_by_fold(patches, patch_size, grid):
    columns = rearrange(patches, "b n (k c) -> b (c k) n", k=patch_size**2)
    return F.fold(columns, (grid[0] * patch_size, grid[1] * patch_size), patch_size, stride=patch_size)


def unpatchify_by_cat(patches, patch_size, grid):
    squares = patches.unflatten(2, (patch_size, patch_size, -1)).permute(1, 0, 4, 2, 3)  # (N, B, C, P, P)
    lines = [torch.cat(list(squares[r * grid[1] : (r + 1) * grid[1]]), dim=3) for r in range(grid[0])]
    return torch.cat(lines, dim=2)


def mask_by_scatter(noise, keep):
    order = torch.argsort(noise, dim=1)
    hidden = torch.ones_like(noise, dtype=torch.bool).scatter(1, order[:, :keep], False)
    places = torch.arange(noise.shape[1]).expand(noise.shape)
    return order[:, :keep], torch.empty_like(order).scatter(1, order, places), hidden


def mask_by_counting(noise, keep):
    places = (noise.unsqueeze(1) < noise.unsqueeze(2)).sum(-1)  # how many are lower
    return noise.topk(keep, dim=1, largest=False).indices, places, places >= keep


def mask_by_lists(noise, keep):
    ids, restored, hidden = [], [], []
    for row in noise.tolist():
        order = sorted(range(len(row)), key=row.__getitem__)
        ids.append(order[:keep])
        restored.append([order.index(n) for n in range(len(row))])
        hidden.append([n not in order[:keep] for n in range(len(row))])
    return torch.tensor(ids), torch.tensor(restored), torch.tensor(hidden)


def restore_by_index(visible, filler, restore_ids):
    rows = torch.arange(len(visible)).unsqueeze(1)
    line = torch.cat([visible, filler.repeat(len(visible), restore_ids.shape[1] - visible.shape[1], 1)], 1)
    return line[rows, restore_ids]


def restore_by_scatter(visible, filler, restore_ids):
    batch, keep, dim = visible.shape
    ids = restore_ids.argsort(1)[:, :keep]
    out = filler.expand(batch, restore_ids.shape[1], dim)
    return out.scatter(1, ids[..., None].expand(-1, -1, dim), visible)


def restore_by_where(visible, filler, restore_ids):
    keep = visible.shape[1]
    found = visible.take_along_dim(restore_ids.clamp(max=keep - 1).unsqueeze(-1), dim=1)
    return torch.where((restore_ids < keep).unsqueeze(-1), found, filler)


def restore_by_loop(visible, filler, restore_ids):
    keep = visible.shape[1]
    rows = [[visible[b, place] if place < keep else filler[0, 0] for place in row] for b, row in enumerate(restore_ids.tolist())]
    return torch.stack([torch.stack(row) for row in rows])


def attention_by_torch(q, k, v):
    return F.scaled_dot_product_attention(q, k, v)


def attention_by_einsum(q, k, v):
    scores = einsum(q * q.shape[-1] ** -0.5, k, "... i d, ... j d -> ... i j")
    return einsum(F.softmax(scores, -1), v, "... i j, ... j d -> ... i d")


def attention_by_exp(q, k, v):
    scores = torch.matmul(q, k.mT) / q.size(-1) ** 0.5
    weights = (scores - scores.amax(-1, keepdim=True)).exp()
    return weights / weights.sum(-1, keepdim=True) @ v


def positions_by_loop(dim, grid):
    quarter = dim // 4
    rates = [10000 ** (-i / quarter) for i in range(quarter)]
    places = [(r, c) for r in range(grid[0]) for c in range(grid[1])]
    lines = [[wave(place * w) for place in (c, r) for wave in (math.sin, math.cos) for w in rates] for r, c in places]
    return torch.tensor(lines)


def positions_by_numpy(dim, grid):
    w = 1 / 10000 ** (np.arange(dim // 4) / (dim / 4))
    row, col = np.indices(grid).reshape(2, -1)
    across, down = np.outer(col, w), np.outer(row, w)
    return torch.from_numpy(np.hstack([np.sin(across), np.cos(across), np.sin(down), np.cos(down)])).float()


def positions_by_repeat(dim, grid):
    w = torch.exp(-math.log(10000) * torch.arange(dim // 4).double() / (dim // 4))

    def along(count):
        angles = torch.arange(count)[:, None] * w
        return torch.cat([angles.sin(), angles.cos()], 1)

    across = repeat(along(grid[1]), "c d -> r c d", r=grid[0])
    down = repeat(along(grid[0]), "r d -> r c d", c=grid[1])
    return torch.cat([across, down], -1).flatten(0, 1).to(torch.float32)


def visible_by_index(vit, images, visible_ids):
    rows = torch.arange(len(images))[:, None]
    x = patchify_by_loop(images, vit.patch_size)[rows, visible_ids]
    x = vit.patch_embed(x) + vit.pos_embed.expand(len(images), -1, -1)[rows, visible_ids]
    for block in vit.blocks:
        x = block(x)
    return vit.norm(x)


def visible_after_embedding(vit, images, visible_ids):
    x = vit.patch_embed(patchify_by_reshape(images, vit.patch_size)) + vit.pos_embed  # each patch alone, so nothing leaks
    x = x.take_along_dim(visible_ids.unsqueeze(-1), dim=1)
    for block in vit.blocks:
        x = block(x)
    return vit.norm(x)


def visible_one_by_one(vit, images, visible_ids):
    out = []
    for image, ids in zip(images, visible_ids, strict=True):
        x = vit.patch_embed(patchify_by_reshape(image[None], vit.patch_size)[:, ids]) + vit.pos_embed[:, ids]
        for block in vit.blocks:
            x = block(x)
        out.append(vit.norm(x))
    return torch.cat(out)


def loss_by_weights(prediction, patches, hidden):
    std, mean = torch.std_mean(patches, -1, keepdim=True)
    errors = ((prediction - (patches - mean) / (std**2 + 1e-6) ** 0.5) ** 2).mean(-1)
    return (errors * hidden).sum() / hidden.sum()


def loss_of_the_hidden_alone(prediction, patches, hidden):
    mine, target = prediction[hidden], patches[hidden]  # (M, T) both
    target = (target - target.mean(1, keepdim=True)) * torch.rsqrt(target.var(1, keepdim=True) + 1e-6)
    return F.mse_loss(mine, target)


def loss_by_sums(prediction, patches, hidden):
    centred = patches - patches.mean(-1, keepdim=True)
    variance = centred.square().sum(-1, keepdim=True) / (patches.shape[-1] - 1)
    off = (prediction - centred / torch.sqrt(variance + 1e-6)).square().masked_fill(~hidden.unsqueeze(-1), 0)
    return off.sum() / (hidden.sum() * patches.shape[-1])


def step_that_clears_at_the_end(model, optimizer, images, step, steps, lr, warmup):
    factor = (step + 1) / warmup if step < warmup else 0.5 + 0.5 * math.cos((step - warmup) / (steps - warmup) * math.pi)
    for group in optimizer.param_groups:
        group.update(lr=lr * factor)
    loss = model(images)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    return loss.item()


def step_by_autograd(model, optimizer, images, step, steps, lr, warmup):
    climb = (step + 1) / max(1, warmup)
    fall = (1 + math.cos(math.pi * max(0, step - warmup) / (steps - warmup))) / 2
    for group in optimizer.param_groups:
        group["lr"] = lr * (climb if step < warmup else fall)
    loss = model(images)
    learnt = [p for p in model.parameters() if p.requires_grad]
    for p, slope in zip(learnt, torch.autograd.grad(loss, learnt), strict=True):
        p.grad = slope
    optimizer.step()
    return loss.detach().clone()


def step_that_clears_the_model(model, optimizer, images, step, steps, lr, warmup):
    rate = lr * (step + 1) / warmup if step < warmup else lr * math.cos(math.pi / 2 * (step - warmup) / (steps - warmup)) ** 2
    for n in range(len(optimizer.param_groups)):
        optimizer.param_groups[n]["lr"] = rate
    model.zero_grad()
    (loss := model(images)).backward()
    optimizer.step()
    with torch.no_grad():
        return loss * 1


RIGHT = {
    "build.1": [patchify_by_reshape, patchify_by_unfold, patchify_by_loop],
    "build.2": [unpatchify_by_reshape, unpatchify_by_fold, unpatchify_by_cat],
    "build.3": [mask_by_scatter, mask_by_counting, mask_by_lists],
    "build.4": [restore_by_index, restore_by_scatter, restore_by_where, restore_by_loop],
    "build.5": [attention_by_torch, attention_by_einsum, attention_by_exp],
    "build.8": [positions_by_loop, positions_by_numpy, positions_by_repeat],
    "build.10": [visible_by_index, visible_after_embedding, visible_one_by_one],
    "build.12": [loss_by_weights, loss_of_the_hidden_alone, loss_by_sums],
    "build.13": [step_that_clears_at_the_end, step_by_autograd, step_that_clears_the_model],
}
