"""The check of the build notebook, 11: the decoder."""

import torch
from torch import Tensor

from minimim.decoders import TransformerDecoder
from minimim.encoders.encoded import Encoded
from minimim.feedback.build import library
from minimim.feedback.build.modules import CLOSE, drawn, gradients, load, told, tried
from minimim.feedback.check import Task
from minimim.masking.mask import Mask

SIZES = ("encoder_dim", "target_dim", "grid", "dim", "depth", "heads")


def decoder_cases():
    for batch, keep, *sizes in ((2, 2, 6, 5, (2, 3), 8, 2, 2), (1, 4, 8, 12, (3, 3), 4, 1, 1), (3, 6, 4, 3, (2, 4), 12, 3, 3)):
        named, count = dict(zip(SIZES, sizes, strict=True)), sizes[2][0] * sizes[2][1]
        draw = torch.Generator().manual_seed(batch)
        latents = torch.randn(batch, keep, sizes[0], generator=draw)
        restore_ids = torch.rand(batch, count, generator=draw).argsort(1)
        words = f"latents {tuple(latents.shape)} of {count} patches, dim {sizes[3]}, depth {sizes[4]}, {sizes[5]} heads"
        yield words, named | {"weights": drawn(library.Decoder(*sizes)), "latents": latents, "restore_ids": restore_ids}


def decoder_truth(encoder_dim, target_dim, grid, dim, depth, heads, weights, latents, restore_ids) -> Tensor:
    """What the library's decoder predicts."""
    model = TransformerDecoder(encoder_dim, target_dim, grid, dim=dim, depth=depth, heads=heads)
    load("build.11", model, weights)
    order, keep = restore_ids.argsort(1), latents.shape[1]
    hidden = torch.ones(restore_ids.shape, dtype=torch.bool).scatter(1, order[:, :keep], False)
    return told(model, model(Encoded(latents, grid=grid), Mask(hidden, order=order, visible=keep))["patch"])


def predicted(d, latents, restore_ids, *, at="all", norm=True, token=1, back=library.restore, blocks=None) -> Tensor:
    """What a decoder predicts with one of its steps done in another way. at: which places get a position."""
    x, positions = d.embed(latents), d.pos_embed  # (B, K, D'), (1, N, D')
    if at == "visible":
        x = x + positions[0][restore_ids.argsort(1)[:, : x.shape[1]]]
    if at == "first":
        x = x + positions[:, : x.shape[1]]
    x = back(x, token * d.mask_token, restore_ids)
    x = x + positions if at == "all" else x
    for block in d.blocks if blocks is None else blocks(d.blocks):
        x = block(x)
    x = x + positions if at == "last" else x
    return d.pred(d.norm(x) if norm else x)


def as_decoder(**other):
    """A decoder with one of its steps done in another way."""

    def mistaken(encoder_dim, target_dim, grid, dim, depth, heads, weights, latents, restore_ids):
        model = library.Decoder(encoder_dim, target_dim, grid, dim, depth, heads)
        load("build.11", model, weights)
        after = other.get("after", lambda x, *_: x)
        given = {name: value for name, value in other.items() if name != "after"}
        return after(predicted(model, latents, restore_ids, **given), latents, restore_ids)

    return mistaken


def only_hidden(x: Tensor, latents: Tensor, restore_ids: Tensor) -> Tensor:
    """The predictions of the hidden patches, in reading order."""
    return x[restore_ids >= latents.shape[1]].view(len(x), -1, x.shape[2])


def unshuffled(x: Tensor, token: Tensor, restore_ids: Tensor) -> Tensor:
    return torch.cat([x, token.expand(len(x), restore_ids.shape[1] - x.shape[1], -1)], dim=1)


DECODER = Task(
    "build.11", "Decoder", decoder_truth, decoder_cases,
    mistakes={
        "no positions are added; all mask tokens are alike, so without positions every hidden patch gets the same prediction":
            as_decoder(at=""),
        "only the visible tokens got positions; the mask tokens need them most, so add them after restore":
            as_decoder(at="visible"),
        "positions were added before restore, so the visible tokens have those of the first K places; add them after it":
            as_decoder(at="first"),
        "the positions are added after the blocks; add them before, right after restore":
            as_decoder(at="last"),
        "the tokens are still in the shuffled order: use restore with restore_ids":
            as_decoder(back=unshuffled),
        "restore_ids was sorted once more; hand it to restore as it is":
            as_decoder(back=lambda x, token, ids: library.restore(x, token, ids.argsort(1))),
        "the mask token is zero; use the learnt self.mask_token":
            as_decoder(token=0),
        "the last norm is missing: pred(norm(x))":
            as_decoder(norm=False),
        "only the hidden patches are predicted; return one prediction for each patch, (B, N, T), and leave the choice to the loss":
            as_decoder(after=only_hidden),
        "only the first block is run; x goes through all of them":
            as_decoder(blocks=lambda blocks: blocks[:1]),
        "the blocks are not run":
            as_decoder(blocks=lambda blocks: []),
    },
    adapt=tried("build.11", SIZES, ("latents", "restore_ids")), left=gradients, close=CLOSE,
)  # fmt: skip


TASKS = [DECODER]
