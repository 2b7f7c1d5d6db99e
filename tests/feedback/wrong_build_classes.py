"""Wrong answers to the build notebook's classes, as people write them: task → (class, part of what must be said)."""

import torch
import torch.nn.functional as F
from right_build import patchify_by_reshape, restore_by_index
from right_build_classes import BlockInOneLine, DecoderBySequential, HeadsByChunk, OwnMlp, ViTBySequential
from torch import nn


def heads(split=None, merge=None, scale=None, proj=True, **layers):
    """Attention in heads that does one thing in another way."""

    class Heads(nn.Module):
        def __init__(self, dim, heads):
            super().__init__()
            self.h = heads
            self.qkv, self.proj = layers.get("qkv", nn.Linear)(dim, 3 * dim), nn.Linear(dim, dim)

        def forward(self, x):
            b, t, dim = x.shape
            y = self.qkv(x)
            q, k, v = split(y, self.h) if split else y.view(b, t, 3, self.h, -1).permute(2, 0, 3, 1, 4)
            mixed = F.scaled_dot_product_attention(q, k, v, scale=scale and scale(dim, self.h))
            mixed = merge(mixed, x) if merge else mixed.transpose(1, 2).reshape(b, t, dim)
            return self.proj(mixed) if proj else mixed

    return Heads


def split_heads_first(y, heads):
    return y.view(*y.shape[:2], heads, 3, -1).permute(3, 0, 2, 1, 4)


def split_by_view(y, heads):
    return (part.reshape(len(y), heads, y.shape[1], -1) for part in y.chunk(3, -1))


class HeadsWithOtherNames(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, x):
        return self.out(x)


class HeadsWithoutLearning(HeadsByChunk):
    def forward(self, x):
        return super().forward(x).detach()


class HeadsWithOneArgument(HeadsByChunk):
    def __init__(self, dim):
        super().__init__(dim, 1)


def block(forward, eps=1e-6):
    """A block with a forward of its own."""

    class Block(BlockInOneLine):
        def __init__(self, dim, heads):
            super().__init__(dim, heads)
            self.norm1.eps = self.norm2.eps = eps

    Block.forward = forward
    return Block


def post_norm(self, x):
    x = self.norm1(x + self.attn(x))
    return self.norm2(x + self.mlp(x))


def without_first_residual(self, x):
    x = self.attn(self.norm1(x))
    return x + self.mlp(self.norm2(x))


def without_second_residual(self, x):
    x = x + self.attn(self.norm1(x))
    return self.mlp(self.norm2(x))


def residual_of_the_normed(self, x):
    x = self.norm1(x)
    x = x + self.attn(x)
    x = self.norm2(x)
    return x + self.mlp(x)


def side_by_side(self, x):
    return x + self.attn(self.norm1(x)) + self.mlp(self.norm2(x))


def one_norm(self, x):
    x = x + self.attn(self.norm1(x))
    return x + self.mlp(self.norm1(x))


class BlockWithLooseLayers(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.norm1, self.norm2, self.attn = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6), HeadsByChunk(dim, heads)
        self.mlp = [nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)]

    def forward(self, x):
        return x


def vit(forward=None, **changed):
    """A ViT with a forward or a part of its own."""

    class ViT(ViTBySequential):
        def __init__(self, image_size, patch_size, dim, depth, heads):
            super().__init__(image_size, patch_size, dim, depth, heads)
            for name, change in changed.items():
                setattr(self, name, change(getattr(self, name)))

    ViT.forward = forward or ViTBySequential.forward
    return ViT


def embedded(self, images):
    return self.patch_embed(patchify_by_reshape(images, self.patch_size))


def blocks_one_by_one(self, images):
    x = embedded(self, images) + self.pos_embed
    for block in self.blocks:
        y = block(x)
    return self.norm(y)


class ViTWithAList(nn.Module):
    def __init__(self, image_size, patch_size, dim, depth, heads):
        super().__init__()
        self.patch_embed, self.norm = nn.Linear(3 * patch_size**2, dim), nn.LayerNorm(dim, eps=1e-6)
        self.blocks = [BlockInOneLine(dim, heads) for _ in range(depth)]

    def forward(self, images):
        return images


def decoder(forward):
    class Decoder(DecoderBySequential):
        pass

    Decoder.forward = forward
    return Decoder


def lined_up(self, x):
    return torch.cat([x, self.mask_token.expand(len(x), self.pos_embed.shape[1] - x.shape[1], -1)], 1)


def finish(self, x):
    return self.pred(self.norm(self.blocks(x)))


def positions_before(self, latents, ids):
    x = self.embed(latents)
    return finish(self, restore_by_index(x + self.pos_embed[:, : x.shape[1]], self.mask_token, ids))


def predict_the_hidden(self, latents, ids):
    x = DecoderBySequential.forward(self, latents, ids)
    return x[ids >= latents.shape[1]].view(len(x), -1, x.shape[2])


WRONG_CLASSES = {
    "build.6": [
        (heads(split_heads_first), "were split as (heads, 3, d)"),
        (heads(split_by_view), "build.6: "),
        (heads(merge=lambda mixed, x: mixed.reshape(x.shape)), "merged by a reshape alone"),
        (heads(merge=lambda mixed, x: mixed.permute(0, 2, 3, 1).flatten(2)), "(d heads) order"),
        (heads(scale=lambda dim, heads: dim**-0.5), "divided by √D"),
        (heads(scale=lambda dim, heads: 1.0), "not divided by √d"),
        (heads(proj=False), "proj is not applied"),
        (heads(lambda y, heads: y.unsqueeze(1).chunk(3, -1)), "there is only one head"),
        (heads(qkv=lambda dim, wide: nn.Linear(dim, wide, bias=False)), "qkv has no bias"),
        (HeadsWithOtherNames, "a parameter qkv.weight is missing; yours are q.weight"),
        (HeadsWithoutLearning, "the number of weights that a gradient reaches: yours is 0"),
        (HeadsWithOneArgument, "must be built with the arguments dim, heads"),
        (lambda dim, heads: nn.functional, "must be an nn.Module"),
    ],
    "build.7": [
        (block(post_norm), "(post-norm)"),
        (block(without_first_residual), "x is not added to what attention gives"),
        (block(without_second_residual), "x is not added to what the MLP gives"),
        (block(residual_of_the_normed), "x itself was replaced by its norm"),
        (block(side_by_side), "the x from before attention"),
        (block(one_norm), "norm1 is used twice"),
        (block(BlockInOneLine.forward, eps=1e-5), "eps of 1e-5"),
        (BlockWithLooseLayers, "a parameter mlp.fc1.weight is missing"),
        (type("Block", (BlockInOneLine,), {"forward": lambda self, x: self.nowhere(x)}), "has no attribute 'nowhere'"),
    ],
    "build.9": [
        (vit(lambda self, images: self.norm(self.blocks(embedded(self, images)))), "no positions are added"),
        (vit(lambda self, images: self.blocks(embedded(self, images) + self.pos_embed)), "the last norm is missing"),
        (vit(lambda self, images: self.norm(self.blocks(embedded(self, images)) + self.pos_embed)), "added after the blocks"),
        (vit(lambda self, images: ViTBySequential.forward(self, images).mean(1)), "the tokens were averaged"),
        (vit(blocks_one_by_one), "only the last block counts"),
        (vit(lambda self, images: self.norm(self.blocks[0](embedded(self, images) + self.pos_embed))), "only the first block is run"),
        (vit(blocks=lambda blocks: nn.Sequential(*[blocks[0]] * len(blocks))), "build.9: "),
        (vit(blocks=lambda blocks: blocks[:1]), "there must be `depth` blocks"),
        (vit(pos_embed=lambda table: 0 * table), "no positions are added"),
        (vit(patch_embed=lambda linear: nn.Conv2d(3, linear.out_features, 2, 2)), "patch_embed.weight has the shape"),
        (ViTWithAList, "a module does not look into a plain list"),
    ],
    "build.11": [
        (decoder(lambda self, latents, ids: finish(self, restore_by_index(self.embed(latents), self.mask_token, ids))), "no positions are added"),
        (decoder(positions_before), "positions were added before restore"),
        (decoder(lambda self, latents, ids: finish(self, lined_up(self, self.embed(latents)) + self.pos_embed)), "still in the shuffled order"),
        (decoder(lambda self, latents, ids: DecoderBySequential.forward(self, latents, ids.argsort(1))), "restore_ids was sorted once more"),
        (decoder(lambda self, latents, ids: finish(self, restore_by_index(self.embed(latents), 0 * self.mask_token, ids) + self.pos_embed)), "the mask token is zero"),
        (decoder(predict_the_hidden), "only the hidden patches are predicted"),
        (decoder(lambda self, latents, ids: finish(self, restore_by_index(self.embed(latents), self.mask_token.data, ids) + self.pos_embed)), "a gradient reaches"),
        (decoder(lambda self, latents, ids: self.pred(self.blocks(restore_by_index(self.embed(latents), self.mask_token, ids) + self.pos_embed))), "the last norm is missing"),
    ],
}  # fmt: skip


class DecoderWhosePositionsLearn(DecoderBySequential):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        table = self.pos_embed
        del self.pos_embed
        self.pos_embed = nn.Parameter(table)


class DecoderWithAMaskTokenThatStays(DecoderBySequential):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.mask_token.requires_grad = False


def sized(parent):
    """A class with the parameters of a decoder's constructor."""

    class Decoder(parent):
        def __init__(self, encoder_dim, target_dim, grid, dim, depth, heads):
            super().__init__(encoder_dim, target_dim, grid, dim, depth, heads)

    return Decoder


WRONG_CLASSES["build.11"] += [
    (sized(DecoderWhosePositionsLearn), "pos_embed would be learnt"),
    (sized(DecoderWithAMaskTokenThatStays), "mask_token would not be learnt"),
]
WRONG_CLASSES["build.7"] += [(type("Block", (BlockInOneLine,), {"mlp": OwnMlp(4), "forward": lambda self, x: x}), "build.7: ")]
