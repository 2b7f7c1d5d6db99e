"""Wrong answers to the build notebook's functions from 1 to 10, as people write them: task → (answer, part of what must be said)."""

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from right_build import attention_by_exp, patchify_by_reshape, positions_by_repeat, restore_by_index
from torch import Tensor


def patches_channels_first(images, patch_size):
    return F.unfold(images, patch_size, stride=patch_size).transpose(1, 2)


def patches_by_reshape_alone(images, patch_size):
    b, c, h, w = images.shape
    return images.reshape(b, h // patch_size * w // patch_size, patch_size * patch_size * c)


def patches_far_apart(images, patch_size):
    b, c, h, w = images.shape
    x = images.reshape(b, c, patch_size, h // patch_size, patch_size, w // patch_size)
    return x.permute(0, 3, 5, 2, 4, 1).reshape(b, -1, patch_size**2 * c)


def patches_of_the_first_image(images, patch_size):
    return patchify_by_reshape(images, patch_size)[0]


def images_channels_first(patches, patch_size, grid):
    return F.fold(patches.transpose(1, 2), (grid[0] * patch_size, grid[1] * patch_size), patch_size, stride=patch_size)


def images_by_view(patches, patch_size, grid):
    return patches.reshape(len(patches), -1, grid[0] * patch_size, grid[1] * patch_size)


def images_without_permute(patches, patch_size, grid):
    x = patches.reshape(len(patches), grid[0], grid[1], patch_size, patch_size, -1).permute(0, 5, 1, 2, 3, 4)
    return x.reshape(len(patches), -1, grid[0] * patch_size, grid[1] * patch_size)


def put(pattern, swap=False):
    def images(patches, patch_size, grid):
        rows, cols = grid[::-1] if swap else grid
        return rearrange(patches, pattern, r=rows, s=cols, p=patch_size, q=patch_size)

    return images


def mask_with_order(noise, keep):
    order = noise.argsort(1)
    return order[:, :keep], order, order.argsort(1) >= keep


def mask_of_the_high(noise, keep):
    order = (-noise).argsort(1)
    return order[:, :keep], order.argsort(1), order.argsort(1) >= keep


def mask_turned(noise, keep):
    order = noise.argsort(1)
    return order[:, :keep], order.argsort(1), order.argsort(1) < keep


def mask_in_the_line(noise, keep):
    hidden = torch.ones_like(noise, dtype=torch.bool)
    hidden[:, :keep] = False
    order = noise.argsort(1)
    return order[:, :keep], order.argsort(1), hidden


def mask_as_floats(noise, keep):
    order = noise.argsort(1)
    return order[:, :keep], order.argsort(1), (order.argsort(1) >= keep).float()


def mask_sorted(noise, keep):
    order = noise.argsort(1)
    return order[:, :keep].sort(1).values, order.argsort(1), order.argsort(1) >= keep


def mask_drawn_anew(noise, keep):
    order = torch.rand_like(noise).argsort(1)
    return order[:, :keep], order.argsort(1), order.argsort(1) >= keep


def mask_that_hides_keep(noise, keep):
    order = noise.argsort(1)
    return order[:, :-keep], order.argsort(1), order.argsort(1) >= noise.shape[1] - keep


def mask_without_hidden(noise, keep):
    order = noise.argsort(1)
    return order[:, :keep], order.argsort(1)


def line(visible, filler, restore_ids):
    return torch.cat([visible, filler.expand(len(visible), restore_ids.shape[1] - visible.shape[1], -1)], 1)


def restored_by_scatter(visible, filler, restore_ids):
    row = line(visible, filler, restore_ids)
    return torch.zeros_like(row).scatter_(1, restore_ids.unsqueeze(-1).expand_as(row), row)


def restored_with_fillers_first(visible, filler, restore_ids):
    row = torch.cat([filler.expand(len(visible), restore_ids.shape[1] - visible.shape[1], -1), visible], 1)
    return row.gather(1, restore_ids.unsqueeze(-1).expand_as(row))


def restored_without_filler(visible, filler, restore_ids):
    row = line(visible, 0 * filler, restore_ids)
    return row.gather(1, restore_ids.unsqueeze(-1).expand_as(row))


def restored_by_the_first(visible, filler, restore_ids):
    return line(visible, filler, restore_ids)[:, restore_ids[0]]


def restored_without_learning(visible, filler, restore_ids):
    return restore_by_index(visible, filler.detach(), restore_ids)


def restored_by_a_flat_gather(visible, filler, restore_ids):
    return line(visible, filler, restore_ids).gather(1, restore_ids)


def scores(q, k):
    return q @ k.transpose(-2, -1)


def encode_then_choose(vit, images, visible_ids):
    return vit(images).take_along_dim(visible_ids.unsqueeze(-1), 1)


def encoded(vit, images, ids, positions=True, norm=True):
    x = vit.patch_embed(patchify_by_reshape(images, vit.patch_size).take_along_dim(ids.unsqueeze(-1), 1))
    if isinstance(positions, Tensor):
        x = x + positions
    elif positions:
        x = x + vit.pos_embed[0][ids]
    for block in vit.blocks:
        x = block(x)
    return vit.norm(x) if norm else x


def encoded_without_learning(vit, images, visible_ids):
    with torch.no_grad():
        return encoded(vit, images, visible_ids)


WRONG = {
    "build.1": [
        (patches_channels_first, "one channel after the other"),
        (lambda images, patch_size: rearrange(images, "b c (r p) (s q) -> b (r s) (q p c)", p=patch_size, q=patch_size), "column by column, (q p c)"),
        (lambda images, patch_size: rearrange(images, "b c (r p) (s q) -> b (s r) (p q c)", p=patch_size, q=patch_size), "numbered column by column"),
        (patches_far_apart, "pixels that lie far apart"),
        (patches_by_reshape_alone, "a reshape alone"),
        (patches_of_the_first_image, "its shape is"),
        (lambda images, patch_size: rearrange(images, "b c (r p) (s q) -> b (r s) p q c", p=patch_size, q=patch_size), "merge their last three axes"),
        (lambda images, patch_size: patchify_by_reshape(images.mT, patch_size), "build.1: "),
        (lambda images, patch_size: rearrange(images, "b c (r p) (s q) -> b (r s) (p q c)", r=patch_size, s=patch_size), "build.1: "),
        (lambda images, size: patchify_by_reshape(images, size), "must take the arguments images, patch_size"),
    ],
    "build.2": [
        (images_channels_first, "read as (c p q)"),
        (put("b (r s) (q p c) -> b c (r p) (s q)"), "filled column by column"),
        (put("b (s r) (p q c) -> b c (r p) (s q)"), "laid down column by column"),
        (put("b (r s) (p q c) -> b c (p r) (q s)"), "are interleaved"),
        (put("b (r s) (p q c) -> b c (r p) (s q)", swap=True), "grid is (rows, cols)"),
        (put("b (r s) (p q c) -> b (r p) (s q) c"), "the channels came last"),
        (images_by_view, "a reshape alone"),
        (images_without_permute, "not brought into order in between"),
        (lambda patches, patch_size, grid: put("b (r s) (p q c) -> b c (r p) (s q)")(patches.detach(), patch_size, grid), "no gradient comes back"),
    ],
    "build.3": [
        (mask_with_order, "restore_ids is the order itself"),
        (mask_of_the_high, "keep the lowest"),
        (mask_turned, "hidden is turned round"),
        (mask_in_the_line, "which places in the shuffled order"),
        (mask_as_floats, "a 0/1 mask"),
        (mask_sorted, "visible_ids were sorted"),
        (mask_drawn_anew, "build.3: "),
        (mask_that_hides_keep, "`keep` patches were hidden"),
        (mask_without_hidden, "3 results were asked for"),
        (lambda noise, keep: mask_with_order(noise[:1].expand_as(noise), keep), "build.3: "),
    ],
    "build.4": [
        (line, "still in the shuffled order"),
        (restored_by_scatter, "(scatter)"),
        (restored_with_fillers_first, "the fillers stand before"),
        (restored_without_filler, "the hidden places are zero"),
        (restored_by_the_first, "the first sample's restore_ids"),
        (restored_without_learning, "no gradient reaches filler"),
        (restored_by_a_flat_gather, "gather needs an index of three axes"),
        (lambda visible, filler, restore_ids: torch.cat([visible, filler], 1), "expand the filler"),
        (lambda visible, filler, restore_ids: torch.cat([visible, filler.expand(len(visible), -1, -1)], 1), "one filler was put"),
    ],
    "build.5": [
        (lambda q, k, v: scores(q, k).softmax(-1) @ v, "not divided by √d"),
        (lambda q, k, v: (scores(q, k) / q.shape[-1]).softmax(-1) @ v, "divide by its square root"),
        (lambda q, k, v: (scores(q, k) / math.sqrt(q.shape[-2])).softmax(-1) @ v, "with the number of tokens"),
        (lambda q, k, v: (scores(q, k) / math.sqrt(q.shape[-1])).softmax(-2) @ v, "softmax runs over the queries"),
        (lambda q, k, v: (scores(q, k) / math.sqrt(q.shape[-1])).softmax(0) @ v, "softmax runs over the first axis"),
        (lambda q, k, v: scores(q, k) / math.sqrt(q.shape[-1]) @ v, "there is no softmax"),
        (lambda q, k, v: attention_by_exp(k, q, v), "queries and keys have changed places"),
        (lambda q, k, v: attention_by_exp(q, k, k), "the weights mix the keys"),
        (lambda q, k, v: (scores(q, k) / math.sqrt(q.shape[-1])).softmax(-1), "these are the weights"),
        (lambda q, k, v: scores(q, k).exp() / scores(q, k).exp().sum(-1, keepdim=True) @ v, "build.5: "),
        (lambda q, k, v: attention_by_exp(q.detach(), k, v), "no gradient reaches q"),
        (lambda q, k, v: q @ k.transpose(0, 1) @ v, "build.5: "),
    ],
    "build.8": [
        (lambda dim, grid: positions_by_repeat(dim, grid).roll(dim // 2, 1), "the row was written before the column"),
        (lambda dim, grid: rearrange(positions_by_repeat(dim, grid), "n (a w d) -> n (a d w)", a=2, w=2), "sines and cosines alternate"),
        (lambda dim, grid: rearrange(positions_by_repeat(dim, grid), "n (a w d) -> n a w d", a=2, w=2).flip(2).flatten(1), "the cosines come before the sines"),
        (lambda dim, grid: rearrange(positions_by_repeat(dim, grid), "(r c) d -> (c r) d", r=grid[0]), "build.8: "),
        (lambda dim, grid: positions_by_repeat(dim, (grid[0] + 1, grid[1] + 1)).view(grid[0] + 1, grid[1] + 1, dim)[1:, 1:].reshape(-1, dim), "counted from 1"),
        (lambda dim, grid: positions_by_repeat(dim, grid).double(), "turned torch.float32 numbers into torch.float64"),
        (lambda dim, grid: positions_by_repeat(dim, grid)[None], "its shape is"),
        (lambda dim, grid: positions_by_repeat(dim, grid[::-1]), "build.8: "),
        (lambda dim, grid: torch.randn(grid[0] * grid[1], dim), "build.8: "),
    ],
    "build.10": [
        (encode_then_choose, "attention has let the hidden ones through"),
        (lambda vit, images, visible_ids: encoded(vit, images, visible_ids, vit.pos_embed[:, : visible_ids.shape[1]]), "the first K places"),
        (lambda vit, images, visible_ids: encoded(vit, images, visible_ids, False), "no positions are added"),
        (lambda vit, images, visible_ids: encoded(vit, images, visible_ids, norm=False), "the last norm is missing"),
        (lambda vit, images, visible_ids: encoded(vit, images, visible_ids.sort(1).values), "in reading order"),
        (lambda vit, images, visible_ids: encoded(vit, images, visible_ids[:1].expand_as(visible_ids)), "the first sample's visible_ids"),
        (lambda vit, images, visible_ids: vit(images), "the latents of all patches"),
        (encoded_without_learning, "the number of weights that a gradient reaches"),
        (lambda vit, images, visible_ids: vit.encode(images, visible_ids), "has no attribute 'encode'"),
    ],
}  # fmt: skip
