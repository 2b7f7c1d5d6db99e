"""Fine-tuning: an encoder, or its last blocks, is trained on labels, with smaller learning rates for earlier layers."""

import copy
from dataclasses import asdict, dataclass, fields, replace

import torch
from torch import nn
from torchvision.transforms import v2

from minimim import checkpoint
from minimim.config import TrainConfig, option
from minimim.data.views import RandomViews
from minimim.draws import mix
from minimim.errors import UserError
from minimim.evaluate.classify import Classifier, learn, linear_head, view_size
from minimim.evaluate.features import check_labels, fingerprint
from minimim.evaluate.score import Score
from minimim.methods import create
from minimim.train.state import load_method


@dataclass
class FinetuneConfig(TrainConfig):
    """How an encoder is fine-tuned; the defaults follow the MAE's fine-tuning (arXiv 2111.06377), shortened and without
    mixup and cutmix, from which short runs on small data do not gain."""

    epochs: float = option(20, "passes over the labelled images")
    batch_size: int = option(128, "images a step, over all processes and all accumulated parts")
    lr: float = option(1e-3, "learning rate of the last layer for 256 images a step")
    warmup: float = option(0.1, "fraction of the run in which the learning rate rises")
    betas: tuple[float, float] = option((0.9, 0.999), "AdamW's decay rates for the averages of the gradient and of its square")
    layer_decay: float = option(0.75, "factor on the learning rate from each block to the one before it")
    blocks: int = option(-1, "how many of the last blocks learn, the rest is frozen; -1 is everything, 0 the head alone")
    drop_path: float = option(0.1, "fraction of samples for which the last block is left out; smaller for earlier blocks")
    smoothing: float = option(0.1, "label smoothing")
    mixup: float = option(0.0, "strength of mixup, 0.8 in the MAE's recipe; 0 does not mix")
    cutmix: float = option(0.0, "strength of cutmix, 1 in the MAE's recipe; with both, each batch draws one")
    crop: float = option(0.5, "smallest part of the image that a training crop takes; 1 does not crop")
    flip: bool = option(True, "whether half of the training images are mirrored: not for letters and digits")
    pool: str = option("mean", "mean of the patches, or cls")

    def __post_init__(self):
        super().__post_init__()
        for name in ("mixup", "cutmix", "smoothing"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name} must be from 0 to 1, not {getattr(self, name)}")
        if not 0 <= self.drop_path < 1:
            raise UserError(f"drop_path must be from 0 to below 1, not {self.drop_path}")
        for name in ("layer_decay", "crop"):
            if not 0 < getattr(self, name) <= 1:
                raise UserError(f"{name} must be above 0 and at most 1, not {getattr(self, name)}")


def finetune(encoder: nn.Module, train, test, config: FinetuneConfig | None = None, *, out=None, resume=False, bar=True) -> Score | None:
    """Test accuracy after fine-tuning a copy of the encoder on labelled Images; the encoder itself is left alone.

    It learns from views as large as the test images, whatever the size that the encoder was pretrained at; larger train images
    are for its crops. out: a folder for checkpoints and metrics.jsonl, from which `resume` goes on. None when the run was
    stopped before its end. details: steps, and the train loss of the last ones. `load_classifier(out)` is the fine-tuned model.
    Differs from the official recipe: no random augmentation of colours, no random erasing, and the mean is taken over
    normed patches. Raises UserError for labels that cannot be used, for pool="patches", for more blocks than there are, and for
    train and test images of sizes that do not go together.
    """
    config = config or FinetuneConfig()
    check_labels(train, test)
    if not -1 <= config.blocks <= len(encoder.blocks):
        raise UserError(f"blocks must be how many of the last {len(encoder.blocks)} blocks learn, or -1 for everything, not {config.blocks}")
    config = replace(config, batch_size=min(config.batch_size, len(train)))
    size = view_size(encoder, train, test, config.crop)
    classes = int(train.labels.max()) + 1
    model = classifier(encoder, classes, config, size, train.classes[:classes])
    return learn(model, train, test, config, out=out, resume=resume, bar=bar)


def load_classifier(path) -> Classifier:
    """A fine-tuned model, in eval mode, from the folder or the checkpoint that `finetune` wrote: `.scores(images)`, (B, classes);
    `.classes`, their names; `.views.image_size`, (H, W) of the images that it learnt from.

    Raises UserError for any other checkpoint, and for an encoder that was not made by `methods.create`.
    """
    tensors, about = checkpoint.read(path)
    spec = (about.get("spec") or {}).get("classifier")
    if not spec or not spec["encoder"]:
        raise UserError(f"{path} does not hold a fine-tuned model that can be made again: give what `minimim finetune --out` wrote")
    config = FinetuneConfig(**{name: value for name, value in spec.items() if name not in ("encoder", "classes", "names", "image_size")})
    model = classifier(create(**spec["encoder"]).encoder, spec["classes"], config, spec.get("image_size"), spec.get("names", ()))
    load_method(model, tensors, path)
    return model.eval()


def classifier(encoder: nn.Module, classes: int, config: FinetuneConfig, size=None, names=()) -> Classifier:
    """A copy of the encoder with a fresh head for so many classes, of these names, ready to be fine-tuned on views of a size, (H, W),
    by default the encoder's own."""
    size = tuple(size or (side * encoder.patch_size for side in encoder.home_grid))
    settings = {name: value for name, value in asdict(config).items() if name not in {f.name for f in fields(TrainConfig)}}
    what = {"encoder": getattr(encoder, "spec", None), "classes": classes, "names": tuple(names), "image_size": size}
    spec = {"classifier": {**what, **settings}, "weights": fingerprint(encoder)}
    encoder = copy.deepcopy(encoder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(mix(config.seed))
        head = linear_head(encoder.dim, classes)
    freeze(encoder, config.blocks)
    set_drop_path(encoder, config.drop_path)
    scale = None if config.crop >= 1 else (config.crop, 1.0)
    return Classifier(
        encoder,
        head,
        views=RandomViews(size, scale=scale, flip=config.flip),
        pool=config.pool,
        optimizer_of=adamw,
        spec=spec,
        classes=names,
        smoothing=config.smoothing,
        mix=mixing(classes, config.mixup, config.cutmix),
    )


def mixing(classes: int, mixup: float, cutmix: float):
    """torchvision's MixUp (arXiv 1710.09412) and CutMix (arXiv 1905.04899), one of them drawn for each batch; or None."""
    mixes = [v2.MixUp(alpha=mixup, num_classes=classes)] if mixup else []
    mixes += [v2.CutMix(alpha=cutmix, num_classes=classes)] if cutmix else []
    return v2.RandomChoice(mixes) if mixes else None


def freeze(encoder: nn.Module, blocks: int) -> None:
    """Let only the last blocks and the last norm learn (partial fine-tuning, arXiv 2111.06377 §4.3), or everything for -1.

    Positions are never trained, nor is the mask token, because nothing is hidden in fine-tuning."""
    encoder.requires_grad_(blocks < 0)
    for fixed in filter(lambda p: p is not None, (encoder.pos_embed, encoder.mask_token)):
        fixed.requires_grad_(False)
    if blocks > 0:
        encoder.blocks[-blocks:].requires_grad_(True)
        if encoder.norm is not None:
            encoder.norm.requires_grad_(True)


def set_drop_path(encoder: nn.Module, rate: float) -> None:
    """Set drop path in the blocks that learn, rising from 0 at the encoder's first block to `rate` at its last, where a block has any."""
    for index, block in enumerate(encoder.blocks):
        if not hasattr(block, "drop_path"):
            continue
        learns = next(block.parameters()).requires_grad
        block.drop_path.rate = rate * index / max(1, len(encoder.blocks) - 1) if learns else 0.0


def adamw(model: Classifier, config: FinetuneConfig) -> torch.optim.AdamW:
    """AdamW with layer decay, fused."""
    return torch.optim.AdamW(groups(model, config), lr=0.0, betas=config.betas, fused=True)


def groups(model: Classifier, config: FinetuneConfig) -> list[dict]:
    """AdamW's groups with a `scale` on the learning rate, layer_decay^(layers above); biases, norms and the CLS token have no decay.

    The head and the last norm are the top layer; what belongs to no block, such as the patch embedding, lies below the first block.
    """
    encoder, depth = model.encoder, len(model.encoder.blocks)
    layers = {id(p): depth - index for index, block in enumerate(encoder.blocks) for p in block.parameters()}
    layers |= {id(p): 0 for part in (model.head, encoder.norm) if part is not None for p in part.parameters()}
    found: dict[tuple, list] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            decays = parameter.dim() > 1 and parameter is not encoder.cls_token
            found.setdefault((layers.get(id(parameter), depth + 1), decays), []).append(parameter)
    return [
        {"params": those, "scale": config.layer_decay**above, "weight_decay": config.weight_decay * decays, "decays": decays}
        for (above, decays), those in found.items()
    ]
