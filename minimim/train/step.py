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


class Stepper:
    """Takes optimiser steps, and remembers the first one whose loss was not finite.

    method: whose after_step is called. model: what is called forward, the method or its DDP wrapper. total: steps of
    the whole run. dtype: of the matrix products.
    """

    def __init__(self, method: Method, optimizer, config: TrainConfig, total: int, *, model=None, dtype=torch.float32):
        self.method, self.optimizer, self.config, self.total = method, optimizer, config, total
        self.model, self.dtype = model or method, dtype
        self.learning = [p for group in optimizer.param_groups for p in group["params"]]
        self.device = self.learning[0].device
        self.first_bad = torch.full((), -1, device=self.device)  # the first step that was skipped, or −1

    def __call__(self, step: int, parts: list[Tensor | Inputs]) -> dict[str, Tensor]:
        """Take one step on this process's images, cut into as many parts as are accumulated.

        Each part counts the same: where samples hide different numbers of patches, that is not quite the whole batch.
        Everything random comes from (seed, step). Returns loss, grad_norm and the terms, on the device, unread.
        A step whose loss or gradient is not finite changes no weight.
        """
        config, progress = self.config, step / self.total
        torch.manual_seed(mix(config.seed, step, rank()))  # drop path
        losses, metrics = 0.0, {}
        for number, images in enumerate(parts):
            with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
                output = self.forward(images, number, len(parts), step, progress)
            (output.loss / len(parts)).backward()
            losses = losses + output.loss.detach() / len(parts)
            for name, value in output.metrics.items():
                metrics[name] = metrics.get(name, 0.0) + value / len(parts)

        norm = nn.utils.get_total_norm([p.grad for p in self.learning if p.grad is not None])
        if config.clip:
            nn.utils.clip_grads_with_norm_(self.learning, config.clip, norm)
        loss = summed(losses) / world()
        bad = ~(loss.isfinite() & norm.isfinite())
        self.first_bad = torch.where(bad & (self.first_bad < 0), step, self.first_bad)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(config, step, self.total) * group.get("scale", 1.0)
        self.optimizer.found_inf = bad.float()  # a fused optimiser leaves everything as it is when this is 1
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.method.after_step((step + 1) / self.total)
        return {"loss": loss, "grad_norm": norm, **metrics}

    def forward(self, images: Tensor | Inputs, number: int, parts: int, step: int, progress: float):
        """The output for one part. Draws are made for the whole batch; this part of it takes its own rows."""
        size = self.config.batch_size // parts  # of one part, over all processes
        first = number * size + size * rank() // world()
        count = len(next(iter(as_inputs(images).values())))
        generator = StepGenerator(
            self.device,
            seed=self.config.seed,
            step=step,
            rows=slice(first, first + count),
            total=self.config.batch_size,
        )
        last = number == parts - 1
        if self.model is not self.method:
            self.model.require_backward_grad_sync = last  # DDP averages gradients once a step
        return self.model(images, progress=progress, generator=generator)
