"""The checks of the build notebook, 9 and 10: the ViT, and the encoding of the visible patches alone."""

import torch
from einops import rearrange
from torch import Tensor, nn

from minimim import encoders
from minimim.feedback.build import library
from minimim.feedback.build.modules import CLOSE, REACHED, Weights, drawn, gradients, load, reached, told, tried
from minimim.feedback.build.use import behind
from minimim.feedback.check import Task, only
from minimim.masking.mask import Mask
from minimim.patches import patchify, take

SIZES = ("image_size", "patch_size", "dim", "depth", "heads")


def vit_cases():
    for batch, *sizes in ((2, 8, 4, 8, 2, 2), (1, 6, 2, 12, 1, 3), (2, 12, 3, 4, 3, 1)):
        named = dict(zip(SIZES, sizes, strict=True))
        draw = torch.Generator().manual_seed(batch)
        images = torch.randn(batch, 3, sizes[0], sizes[0], generator=draw)
        words = f"images {tuple(images.shape)}, patch size {sizes[1]}, dim {sizes[2]}, depth {sizes[3]}, {sizes[4]} heads"
        yield words, named | {"weights": drawn(library.ViT(*sizes)), "images": images}


def theirs(image_size, patch_size, dim, depth, heads, weights: Weights) -> encoders.ViT:
    """The library's encoder with these weights: it keeps the patch embedding as the kernel of a convolution, (D, C, P, P)."""
    model = encoders.ViT(image_size, patch_size, (dim, depth, heads), cls=False)
    kernel = rearrange(weights["patch_embed.weight"], "d (p q c) -> d c p q", p=patch_size, q=patch_size)
    other = {name: x for name, x in weights.items() if not name.startswith("patch_embed.")}
    load("build.9", model, other | {"patch_embed.proj.weight": kernel, "patch_embed.proj.bias": weights["patch_embed.bias"]})
    return model


def vit_truth(image_size, patch_size, dim, depth, heads, weights, images) -> Tensor:
    """What the library's encoder says of all patches."""
    model = theirs(image_size, patch_size, dim, depth, heads, weights)
    return told(model, model(images).patches)


def as_vit(compute):
    """compute: (vit, images) → what a ViT of another build says."""

    def mistaken(image_size, patch_size, dim, depth, heads, weights, images):
        model = library.ViT(image_size, patch_size, dim, depth, heads)
        load("build.9", model, weights)
        return compute(model, images)

    return mistaken


def read(v: nn.Module, images: Tensor, *, positions="add", norm: bool = True, blocks=None, embed=None) -> Tensor:
    """What the ViT says with one of its steps done in another way."""
    x = v.patch_embed(patchify(images, v.patch_size)) if embed is None else embed(v, images)
    x = x + v.pos_embed if positions in ("add", "each") else x
    for block in v.blocks if blocks is None else blocks(v.blocks):
        x = block(x) + (v.pos_embed if positions == "each" else 0)
    x = x + v.pos_embed if positions == "last" else x
    return v.norm(x) if norm else x


def channels_first(v: nn.Module, images: Tensor) -> Tensor:
    patches = rearrange(images, "b c (r p) (s q) -> b (r s) (c p q)", p=v.patch_size, q=v.patch_size)
    return v.patch_embed(patches)


def several(blocks) -> nn.ModuleList:
    """The blocks of a ViT, where there are more than one."""
    only(len(blocks) > 1)
    return blocks


VIT = Task(
    "build.9", "ViT", vit_truth, vit_cases,
    mistakes={
        "no positions are added, so the encoder cannot tell where a patch stands":
            as_vit(lambda v, images: read(v, images, positions="")),
        "the positions are added after the blocks; they come right after the patch embedding":
            as_vit(lambda v, images: read(v, images, positions="last")),
        "the positions are added after each block again; add them once, after the patch embedding":
            as_vit(lambda v, images: read(v, images, positions="each")),
        "the last norm is missing: return norm(x)":
            as_vit(lambda v, images: read(v, images, norm=False)),
        "only the first block is run; x goes through all of them, one after the other":
            as_vit(lambda v, images: read(v, images, blocks=lambda blocks: several(blocks)[:1])),
        "only the last block counts: every block was given the embedded patches, not what the block before it made of them":
            as_vit(lambda v, images: read(v, images, blocks=lambda blocks: several(blocks)[-1:])),
        "the first block is run every time; take the next one":
            as_vit(lambda v, images: read(v, images, blocks=lambda blocks: [several(blocks)[0]] * len(blocks))),
        "the blocks are not run":
            as_vit(lambda v, images: read(v, images, blocks=lambda blocks: [])),
        "the patches are in (c p q) order; patchify gives (p q c)":
            as_vit(lambda v, images: read(v, images, embed=channels_first)),
        "the tokens were averaged; return one for each patch, (B, N, D)":
            as_vit(lambda v, images: read(v, images).mean(1)),
        "norm comes before the blocks; it comes last":
            as_vit(lambda v, images: read(v, images, norm=False, embed=lambda v, images: v.norm(v.patch_embed(patchify(images, v.patch_size)) + v.pos_embed) - v.pos_embed)),
    },
    adapt=tried("build.9", SIZES, ("images",)), left=gradients, close=CLOSE,
)  # fmt: skip


def visible_cases():
    for batch, keep, *sizes in ((2, 2, 8, 4, 8, 2, 2), (1, 5, 6, 2, 12, 1, 3), (3, 3, 12, 4, 4, 2, 1)):
        draw = torch.Generator().manual_seed(batch)
        vit = library.ViT(*sizes)
        load("build.10", vit, drawn(vit))
        images, count = torch.randn(batch, 3, sizes[0], sizes[0], generator=draw), (sizes[0] // sizes[1]) ** 2
        ids = torch.rand(batch, count, generator=draw).argsort(1)[:, :keep]
        yield f"images {tuple(images.shape)}, {keep} visible of {count} patches", {"vit": vit, "images": images, "visible_ids": ids}


def visible_truth(vit, images, visible_ids) -> Tensor:
    """What the library's encoder says under a mask that leaves these patches visible."""
    count, keep = vit.pos_embed.shape[1], visible_ids.shape[1]
    hidden = torch.ones(len(images), count, dtype=torch.bool).scatter(1, visible_ids, False)  # (B, N)
    rest = (~hidden).to(torch.uint8).argsort(dim=1, stable=True)[:, : count - keep]  # (B, N−K), the hidden ones
    mask = Mask(hidden, order=torch.cat([visible_ids, rest], dim=1), visible=keep)
    learnt = dict(vit.named_parameters())
    sizes = (images.shape[-1], vit.patch_size, vit.norm.weight.shape[0], len(vit.blocks), vit.blocks[0].attn.heads)
    model = theirs(*sizes, {name: x.detach() for name, x in learnt.items() if name != "pos_embed"})
    return told(model, model(images, mask).patches)


def visible_reached(result: Tensor, arguments: dict) -> dict[str, Tensor]:
    """How many weights of the ViT a gradient reaches."""
    return {REACHED: result.reached if hasattr(result, "reached") else reached(arguments["vit"], result)}


def encoded(v: nn.Module, images: Tensor, ids: Tensor, *, positions=None, norm: bool = True, after=None) -> Tensor:
    """What the ViT says of some patches with one of its steps done in another way."""
    x = v.patch_embed(take(patchify(images, v.patch_size), ids))
    x = x + (v.pos_embed[0][ids] if positions is None else positions)
    for block in v.blocks:
        x = block(x)
    return v.norm(x) if norm else x


def all_but_hidden_zero(v: nn.Module, images: Tensor, ids: Tensor) -> Tensor:
    patches = patchify(images, v.patch_size)
    seen = torch.zeros(patches.shape[:2]).scatter(1, ids, 1.0).unsqueeze(-1)
    x = v.patch_embed(patches * seen) + v.pos_embed
    for block in v.blocks:
        x = block(x)
    return take(v.norm(x), ids)


def same_for_all(v: nn.Module, images: Tensor, ids: Tensor) -> Tensor:
    only(len(images) > 1)
    return encoded(v, images, ids[:1].expand_as(ids))


ENCODE_VISIBLE = Task(
    "build.10", "encode_visible", visible_truth, visible_cases,
    mistakes={
        "the whole ViT has read all patches, and the visible tokens were taken afterwards: attention has let the hidden ones through. Take the visible patches before the blocks":
            lambda vit, images, visible_ids: take(vit(images), visible_ids),
        "the blocks have read all places, the hidden ones as zeros; the encoder must not see them at all, so take the visible patches before the blocks":
            lambda vit, images, visible_ids: all_but_hidden_zero(vit, images, visible_ids),
        "the visible patches got the positions of the first K places; each keeps the position of its own: pos_embed at visible_ids":
            lambda vit, images, visible_ids: encoded(vit, images, visible_ids, positions=vit.pos_embed[:, : visible_ids.shape[1]]),
        "no positions are added":
            lambda vit, images, visible_ids: encoded(vit, images, visible_ids, positions=0),
        "the last norm is missing":
            lambda vit, images, visible_ids: encoded(vit, images, visible_ids, norm=False),
        "the latents stand in reading order; they stand in the order of visible_ids, because restore counts on it":
            lambda vit, images, visible_ids: encoded(vit, images, visible_ids.sort(1).values),
        "the first sample's visible_ids were used for all":
            lambda vit, images, visible_ids: same_for_all(vit, images, visible_ids),
        "the blocks are not run":
            lambda vit, images, visible_ids: vit.norm(vit.patch_embed(take(patchify(images, vit.patch_size), visible_ids)) + vit.pos_embed[0][visible_ids]),
        "these are the latents of all patches; only those at visible_ids are asked for":
            lambda vit, images, visible_ids: vit(images),
    },
    left=visible_reached, close=CLOSE, adapt=behind,
)  # fmt: skip


TASKS = [VIT, ENCODE_VISIBLE]
