"""The linear probe as papers do it: a head trained by LARS on a frozen encoder, which sees new random crops in every epoch.

`linear_probe` is the cached one. It asks the same question of features that are extracted once: dozens of times cheaper, and the
minimum of its loss is found, whereas the steps of LARS only approach one.
"""

import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from minimim.config import TrainConfig, option
from minimim.data.views import RandomViews
from minimim.draws import mix
from minimim.errors import UserError
from minimim.evaluate.classify import Classifier, learn, linear_head, view_size
from minimim.evaluate.features import check_labels, fingerprint
from minimim.evaluate.score import Score
from minimim.processes import world
from minimim.train.loop import steps_of


@dataclass
class OfficialConfig(TrainConfig):
    """The protocol of the MAE (arXiv 2111.06377, appendix A.1), with a batch that fits small sets.

    The paper has batch_size=16384 and lr=0.1, which makes 6.4 a step (0.1 · 16384 / 256). A step of LARS changes the weights by a
    fraction of their norm, whatever the batch. Runs on small sets take far fewer steps, so they keep the 6.4 (3.2 · 512 / 256);
    at lr=0.1 the head would hardly move.
    """

    epochs: float = option(90, "passes over the labelled images")
    batch_size: int = option(512, "images a step, over all processes and all accumulated parts")
    lr: float = option(3.2, "learning rate for 256 images a step; scaled with the batch size")
    warmup: float = option(1 / 9, "fraction of the run in which the learning rate rises")
    weight_decay: float = option(0.0, "weight decay")
    crop: float = option(0.08, "smallest part of the image that a training crop takes; 1 does not crop")
    flip: bool = option(True, "whether half of the training images are mirrored")
    pool: str = option("cls", "mean of the patches, or cls")

    def __post_init__(self):
        super().__post_init__()
        if not 0 < self.crop <= 1:
            raise UserError(f"crop must be above 0 and at most 1, not {self.crop}")


def official_probe(encoder: nn.Module, train, test, config: OfficialConfig | None = None, *, out=None, resume=False, bar=True) -> Score | None:
    """Test accuracy of BatchNorm without scale and shift, and a linear map, trained by LARS on the frozen encoder.

    The encoder is left alone. It sees images as large as the test images, in training too. out, resume: as `finetune`. None
    when the run was stopped before its end. details: steps, and the train loss of the last ones. With several processes, BatchNorm
    uses the images of each process alone, as in the official code.
    Raises UserError for labels that cannot be used, for pool="patches", for train and test images of sizes that do not go
    together, and for batches of one image.
    """
    check_labels(train, test)
    config = fitted(config or OfficialConfig(), len(train))
    size = view_size(encoder, train, test, config.crop)
    classes = int(train.labels.max()) + 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(mix(config.seed))
        head = nn.Sequential(nn.BatchNorm1d(encoder.dim, affine=False, eps=1e-6), linear_head(encoder.dim, classes))
    settings = {name: getattr(config, name) for name in ("crop", "flip", "pool")}
    model = Classifier(
        copy.deepcopy(encoder),
        head,
        views=RandomViews(size, scale=None if config.crop >= 1 else (config.crop, 1.0), flip=config.flip),
        pool=config.pool,
        optimizer_of=lars,
        spec={"probe": {"classes": classes, "image_size": size, **settings}, "weights": fingerprint(encoder)},
        classes=train.classes[:classes],
        frozen=True,
    )
    return learn(model, train, test, config, out=out, resume=resume, bar=bar)


def fitted(config: OfficialConfig, images: int) -> OfficialConfig:
    """The config for a number of train images: a larger batch is cut to it, and lr raised so that the rate of a step stays.

    Raises UserError for a batch that cannot be divided into its parts, and for parts of one image.
    """
    size = min(config.batch_size, images)
    config = replace(config, batch_size=size, lr=config.lr * config.batch_size / size)
    steps_of(images, config)
    if size // config.accumulate // world() < 2:
        raise UserError(
            f"the BatchNorm of this probe takes the mean and the variance of the images that it sees at once, and a batch of {size} in "
            f"{config.accumulate} part{'s' * (config.accumulate > 1)} on {world()} process{'es' * (world() > 1)} leaves it a single one: "
            "choose a larger batch_size, or fewer parts, so that it sees two or more"
        )
    return config


def lars(model: Classifier, config: OfficialConfig) -> "LARS":
    """LARS on the parameters that are trained, those of the head."""
    return LARS([p for p in model.parameters() if p.requires_grad], weight_decay=config.weight_decay)


class LARS(torch.optim.Optimizer):
    """Momentum SGD whose step on each matrix has the length of lr · trust · ‖weights‖ (You et al., arXiv 1708.03888);
    biases take plain steps. `found_inf` = 1 leaves everything as it is, as the fused optimisers of torch do.

    Differs as the official MAE's code does: lr is applied after the momentum, and weight decay is added before the norm is taken."""

    def __init__(self, params, lr=0.0, momentum=0.9, weight_decay=0.0, trust=0.001):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust": trust})
        self.found_inf = None

    @torch.no_grad()
    def step(self, closure=None) -> None:
        """Take one step with the gradients at hand."""
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                update = p.grad
                if p.dim() > 1:
                    update = update + group["weight_decay"] * p
                    length, size = p.norm(), update.norm()
                    update = update * torch.where((length > 0) & (size > 0), group["trust"] * length / size, 1.0)
                former = self.state[p].get("momentum", torch.zeros_like(p))
                momentum = group["momentum"] * former + update
                self.state[p]["momentum"] = self.unless_bad(momentum, former)
                p.copy_(self.unless_bad(p - group["lr"] * momentum, p))

    def unless_bad(self, new: Tensor, old: Tensor) -> Tensor:
        """The new values, or the old ones after a step whose gradient was not finite."""
        return new if self.found_inf is None else torch.where(self.found_inf > 0, old, new)
