"""Learning rate and weight decay: which step gets what, and which parameter gets none."""

import math

from torch import nn


def cosine(step: int, total: int, warmup: int) -> float:
    """The factor on the learning rate at a step, 0 to 1: a straight climb over the warm-up, then half a cosine to 0.

    step counts from 0, and the first step already moves: with warmup=4 the climb is 1/4, 2/4, 3/4, 1.
    """
    if step < warmup:
        return (step + 1) / warmup
    return (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup))) / 2


def decay_groups(module: nn.Module, weight_decay: float) -> list[dict]:
    """AdamW's parameter groups: what learns, with decay on matrices and tokens, and none on biases and norms.

    A part with `lr_scale` is a player of its own: two more groups, with that `scale` on the learning rate and its class as `player`, with
    a number where there are several of a class.
    """
    parts = [part for part in module.modules() if getattr(part, "lr_scale", None) is not None]
    theirs = {id(p): part for part in parts for p in part.parameters()}
    groups, kinds = [], [type(part).__name__ for part in parts]
    for number, player in enumerate((None, *parts)):
        learning = [p for p in module.parameters() if p.requires_grad and theirs.get(id(p)) is player]
        more = {}
        if player is not None:
            kind = kinds[number - 1]
            more = {"scale": player.lr_scale, "player": kind if kinds.count(kind) == 1 else f"{kind} {number}"}
        decayed = [p for p in learning if p.dim() > 1]
        spared = [p for p in learning if p.dim() <= 1]
        if learning or player is None:
            groups += [{"params": decayed, "weight_decay": weight_decay, "decays": True, **more}, {"params": spared, "weight_decay": 0.0, **more}]
    return groups
