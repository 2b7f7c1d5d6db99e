"""An encoder with a head for labels, as the training loop takes it: for fine-tuning, and for the linear probe as papers do it.

So both can be stopped and resumed, divide a batch into parts, and use several processes, like any other run.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from minimim.data.batches import in_order, rows
from minimim.errors import UserError
from minimim.evaluate.features import image_size
from minimim.evaluate.score import Score, accuracy
from minimim.methods import Output
from minimim.norms import BatchNorm
from minimim.patches import grid_of
from minimim.processes import rank, summed, together, world
from minimim.train import TrainConfig, train
from minimim.train.processes import join, pick_device
from minimim.train.trouble import explained

JUDGED = 500  # images at once


class Classifier(nn.Module):
    """An encoder and a head for labels: {"image": (B, C, H, W), "label": (B,)} in, a loss out.

    head: (B, D) → (B, classes). views: the augmentation. pool: mean or cls. smoothing: of the labels. mix: (images,
    labels) → the same, mixed, with labels (B, classes), or None. frozen: the encoder is not trained and stays in eval mode.
    optimizer_of: (classifier, config) → its optimiser. spec: what a run must agree on to be resumed. classes: the name of each
    label, so that `model.classes[model.scores(images).argmax(1)[0]]` names the first image; () where none are known.
    Raises UserError for pool="patches".
    """

    needs, teacher, decoder = ("label",), None, None  # what `train` asks of a method

    def __init__(self, encoder, head, *, views, pool, optimizer_of: Callable, spec: dict, classes=(), smoothing=0.0, mix=None, frozen=False):
        super().__init__()
        if pool == "patches":
            raise UserError('a classifier reads one vector an image: pool must be "mean" or "cls"')
        self.encoder, self.head, self.views, self.pool = encoder, head, views, pool
        self.optimizer_of, self.spec, self.classes = optimizer_of, spec, tuple(classes)
        self.smoothing, self.mix, self.frozen = smoothing, mix, frozen
        if frozen:
            encoder.requires_grad_(False)

    def train(self, mode: bool = True) -> "Classifier":
        """Set the mode. A frozen encoder stays in eval mode, and so does a batch norm that is not trained, because its statistics are
        those of the blocks below, which are not trained either."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        for norm in self.encoder.modules():
            if isinstance(norm, BatchNorm) and norm.weight is not None and not norm.weight.requires_grad:
                norm.eval()
        return self

    @property
    def whole_batch(self) -> list[str]:
        """Names of the modules whose output in training depends on the whole batch; with them, dividing a batch changes the result."""
        return sorted({type(norm).__name__ for norm in self.encoder.modules() if isinstance(norm, BatchNorm) and norm.training})

    def scores(self, images: Tensor) -> Tensor:
        """Class scores of images: (B, C, H, W), raw or normalised → (B, classes)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            look = self.encoder if self.training else self.encoder.forward  # not compiled anew for the test images, which are seen once
            features = look(images).pooled(self.pool)  # (B, D)
        return self.head(features.float() if self.frozen else features)

    def forward(self, inputs, *, noise=None, progress: float = 0.0, generator=None) -> Output:
        """One step's loss: cross-entropy, the mean over the batch of all processes."""
        labels = inputs["label"]
        images = self.views(inputs["image"], generator).student[0]["image"]
        if self.mix is not None and self.training:
            images, labels = self.mix(images, labels)  # (B, classes) from here on
        scores = self.scores(images).float()
        errors = F.cross_entropy(scores, labels, label_smoothing=self.smoothing, reduction="sum")
        count = summed(torch.full((), float(len(scores)), device=scores.device)) / world()
        right = scores.argmax(dim=1) == (labels if labels.dim() == 1 else labels.argmax(dim=1))
        return Output(errors / count, scores, labels, None, {"accuracy": right.sum() / count})

    def optimizer(self, config: TrainConfig):
        """The optimiser of what is trained, by `optimizer_of`."""
        return self.optimizer_of(self, config)

    def prepare(self, data, generator=None) -> None:
        """Do nothing: nothing is fitted before training."""

    def after_step(self, progress: float) -> None:
        """Do nothing: all parameters change by gradient."""


def linear_head(dim: int, classes: int) -> nn.Linear:
    """A linear layer (B, D) → (B, classes) that starts near zero."""
    head = nn.Linear(dim, classes)
    nn.init.trunc_normal_(head.weight, std=0.01)
    nn.init.zeros_(head.bias)
    return head


def view_size(encoder: nn.Module, train, test, crop: float) -> tuple[int, int]:
    """(H, W) of the images in training and in the test, which is that of the test images. Train images may be larger only where
    crops bring them to that size. Raises UserError for other sizes, and for one that does not divide into the encoder's patches."""
    here, there = image_size(train), image_size(test)
    if here != there and (crop >= 1 or min(a - b for a, b in zip(here, there, strict=True)) < 0):
        first, second = (f"{height}×{width}" for height, width in (here, there))
        raise UserError(
            f"the train images have {first} pixels and the test images {second}: load both at one image_size (only where "
            "training cuts crops may the train images be larger)"
        )
    grid_of(*there, encoder.patch_size)
    return there


def learn(model: Classifier, data, test, config: TrainConfig, *, out=None, resume=False, bar=True) -> Score | None:
    """Test accuracy of a classifier that is trained on labelled images; None when training was stopped before its end.

    details: steps, and the train loss of the last ones. Raises UserError as `train` does, such as for a batch larger than the data.
    """
    device = pick_device(config.device)
    join(device)
    run = train(model, data, config, out=out, resume=resume, bar=bar)
    if not run.finished:
        return None
    losses = [line["loss"] for line in run.history if "loss" in line]
    at_once = max(1, JUDGED // config.accumulate)
    here = replace(config, batch_size=JUDGED * world())  # so that an error of memory speaks of the test images
    with explained(here, device, run.path):
        return judge(model.eval(), test, at_once=at_once, workers=config.workers, steps=run.total, loss=losses[-1])


@torch.no_grad()
def judge(model: Classifier, test, *, at_once: int = JUDGED, workers: int | None = None, **details) -> Score:
    """Test accuracy; each process takes its own part of the images, with the first process's running statistics.

    at_once: images; workers: as `in_order` has them.
    """
    device = next(model.parameters()).device
    for buffer in model.buffers() if together() else ():
        dist.broadcast(buffer, 0)
    own = rows(len(test), rank(), world())
    parts = [model.scores(x).argmax(dim=1) for x in in_order(test.take(own), at_once, device, workers)]
    predicted = torch.zeros(len(test), dtype=torch.long, device=device)
    predicted[own] = torch.cat(parts)
    return accuracy(summed(predicted).cpu(), test.labels, **details)
