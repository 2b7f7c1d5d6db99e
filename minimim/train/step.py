"""One optimiser step, for every method: (forward, backward) × accumulation; clip; step; after_step."""

import torch
from torch import Tensor, nn

from minimim.config import TrainConfig
from minimim.data.views import Inputs, as_inputs
from minimim.draws import StepGenerator, mix
from minimim.methods import Method
from minimim.processes import rank, summed, world
from minimim.train.schedule import cosine, decay_groups


def adamw(method: Method, config: TrainConfig) -> torch.optim.AdamW:
    """The optimiser of a run, fused. Its learning rate is set before each step."""
    return torch.optim.AdamW(decay_groups(method, config.weight_decay), lr=0.0, betas=config.betas, fused=True)


def learning_rate(config: TrainConfig, step: int, total: int) -> float:
    """The learning rate of a step: lr · batch / 256 at its height, reached by the warm-up, left along a cosine."""
    return config.lr * config.batch_size / 256 * cosine(step, total, round(config.warmup * total))


def weight_decay(config: TrainConfig, step: int, total: int) -> float:
    """The weight decay of a step: constant, or from weight_decay to weight_decay_end along half a cosine."""
    first, last = config.weight_decay, config.weight_decay_end
    return first if last is None else last + (first - last) * cosine(step, total, 0)


class Stepper:
    """Takes optimiser steps, and remembers the first one whose loss was not finite.

    method: whose after_step is called. model: what is called forward, the method or its DDP wrapper. total: steps of
    the whole run. dtype: of the matrix products.
    """

    def __init__(self, method: Method, optimizer, config: TrainConfig, total: int, *, model=None, dtype=torch.float32):
        self.method, self.optimizer, self.config, self.total = method, optimizer, config, total
        self.model, self.dtype = model or method, dtype
        self.players: dict[str, list[Tensor]] = {}  # each is clipped by itself
        for group in optimizer.param_groups:
            self.players.setdefault(group.get("player", ""), []).extend(group["params"])
        self.learning = [p for theirs in self.players.values() for p in theirs]
        self.device = self.learning[0].device
        self.first_bad = torch.full((), -1, device=self.device)  # the first step that was skipped, or −1

    def __call__(self, step: int, parts: list[Tensor | Inputs]) -> dict[str, Tensor]:
        """Take one step on this process's images, cut into as many parts as are accumulated.

        Where samples hide different numbers of patches, they are counted over all parts first. Everything random comes from
        (seed, step). Returns loss, grad_norm and the terms, on the device, unread. A step whose loss or gradient is not finite
        changes no weight.
        """
        config, progress = self.config, step / self.total
        torch.manual_seed(mix(config.seed, step, rank()))  # drop path
        losses, metrics = 0.0, {}
        self.counts = self.count(step, parts, progress)
        for number, images in enumerate(parts):
            with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
                output = self.forward(images, number, len(parts), step, progress)
            (output.loss / len(parts)).backward()
            losses = losses + output.loss.detach() / len(parts)
            for name, value in output.metrics.items():
                metrics[name] = metrics.get(name, 0.0) + value / len(parts)

        norms = {}
        for player, learning in self.players.items():
            norms[player] = nn.utils.get_total_norm([p.grad for p in learning if p.grad is not None])
            if config.clip:
                nn.utils.clip_grads_with_norm_(learning, config.clip, norms[player])
        loss = summed(losses) / world()
        bad = ~(loss.isfinite() & torch.stack([norm.isfinite() for norm in norms.values()]).all())
        self.first_bad = torch.where(bad & (self.first_bad < 0), step, self.first_bad)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(config, step, self.total) * group.get("scale", 1.0)
            if config.weight_decay_end is not None and group.get("decays", group["weight_decay"]):
                group["weight_decay"] = weight_decay(config, step, self.total)
        self.optimizer.found_inf = bad.float()  # a fused optimiser leaves everything as it is when this is 1
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.method.after_step((step + 1) / self.total)
        others = {f"grad_norm {player}": norm for player, norm in norms.items() if player}
        return {"loss": loss, "grad_norm": norms[""], **others, **metrics}

    def count(self, step: int, parts: list, progress: float) -> Tensor | None:
        """How many places each term scores, over all parts and processes, as the mean of a part; None where all parts score alike."""
        if len(parts) == 1 or not getattr(self.method, "uneven", False):
            return None
        counts = [self.method.count_scored(x, progress=progress, generator=self.draws(x, n, len(parts), step)) for n, x in enumerate(parts)]
        return summed(torch.stack(counts).sum(0)) / len(parts)

    def draws(self, images: Tensor | Inputs, number: int, parts: int, step: int) -> StepGenerator:
        """Everything random for one part. Draws are made for the whole batch; this part of it takes its own rows."""
        size = self.config.batch_size // parts  # of one part, over all processes
        first = number * size + size * rank() // world()
        rows = slice(first, first + len(next(iter(as_inputs(images).values()))))
        return StepGenerator(self.device, seed=self.config.seed, step=step, rows=rows, total=self.config.batch_size)

    def forward(self, images: Tensor | Inputs, number: int, parts: int, step: int, progress: float):
        """The output for one part."""
        if self.model is not self.method:
            self.model.require_backward_grad_sync = number == parts - 1  # DDP averages gradients once a step
        counted = {} if self.counts is None else {"counts": self.counts}
        return self.model(images, progress=progress, generator=self.draws(images, number, parts, step), **counted)
