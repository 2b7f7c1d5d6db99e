"""Fine-tuning: the whole encoder learns the labels, its early layers more slowly than its late ones."""

import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from minimim.config import option
from minimim.data.batches import in_order, positions, read
from minimim.data.views import RandomViews
from minimim.draws import StepGenerator, mix
from minimim.errors import UserError
from minimim.evaluate.features import check_labels
from minimim.evaluate.score import Score, accuracy
from minimim.train.processes import pick_device, precision
from minimim.train.schedule import cosine


@dataclass
class FinetuneConfig:
    """How an encoder is fine-tuned; the defaults follow the MAE's fine-tuning (arXiv 2111.06377), shortened."""

    epochs: float = option(20, "passes over the labelled images")
    batch_size: int = option(128, "images a step")
    lr: float = option(1e-3, "learning rate of the last layer for 256 images a step")
    layer_decay: float = option(0.75, "each earlier block learns this much more slowly")
    weight_decay: float = option(0.05, "decay of weights; biases and norms have none")
    warmup: float = option(0.1, "part of the run in which the learning rate climbs")
    drop_path: float = option(0.1, "share of samples whose last block is left out; less in earlier ones")
    smoothing: float = option(0.1, "label smoothing")
    crop: float = option(0.5, "smallest part of the image that a training crop takes; 1 does not crop")
    pool: str = option("mean", "mean of the patches, or cls")
    seed: int = option(0, "everything random follows from this number")
    device: str = option("auto", "auto, cpu, cuda or mps")
    precision: str = option("auto", "auto, fp32 or bf16")


class Classifier(nn.Module):
    """An encoder and a linear head on its features."""

    def __init__(self, encoder: nn.Module, classes: int, pool: str):
        super().__init__()
        self.encoder, self.pool = encoder, pool
        self.head = nn.Linear(encoder.dim, classes)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) → scores (B, classes)."""
        return self.head(self.encoder.features(images, pool=self.pool))


def finetune(encoder: nn.Module, train, test, config: FinetuneConfig | None = None, *, bar=True) -> Score:
    """Test accuracy after fine-tuning a copy of the encoder on labelled Images; the encoder itself is left alone.

    details: the train loss of the last steps. Raises UserError for labels that cannot be used, and for pool="patches".
    """
    config = config or FinetuneConfig()
    check_labels(train, test)
    if config.pool == "patches":
        raise UserError('fine-tuning reads one vector an image: pool must be "mean" or "cls"')
    device = pick_device(config.device)
    dtype = precision(config.precision, device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(mix(config.seed))
        model = Classifier(copy.deepcopy(encoder), int(train.labels.max()) + 1, config.pool).to(device).train()
        set_drop_path(model.encoder, config.drop_path)
        batch = min(config.batch_size, len(train))
        total = max(1, round(config.epochs * len(train) / batch))
        optimizer = torch.optim.AdamW(groups(model, config), lr=0.0)
        scale = None if config.crop >= 1 else (config.crop, 1.0)
        size = tuple(read(train, torch.tensor([0])).shape[-2:])
        views = RandomViews(size, scale=scale)
        recent = []
        for step in tqdm(range(total), desc="fine-tuning", disable=not bar):
            ids = positions(step, batch, len(train), config.seed)
            images, labels = read(train, ids).to(device), train.labels[ids].to(device)
            draws = StepGenerator(device, seed=config.seed, step=step, rows=slice(0, batch), total=batch)
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                output = model(views(images, draws).student[0]["image"])
            loss = F.cross_entropy(output.float(), labels, label_smoothing=config.smoothing)
            optimizer.zero_grad()
            loss.backward()
            rate = config.lr * batch / 256 * cosine(step, total, round(config.warmup * total))
            for group in optimizer.param_groups:
                group["lr"] = rate * group["scale"]
            optimizer.step()
            recent = [*recent[-19:], loss.detach()]
    model.eval()
    with torch.inference_mode():
        predicted = torch.cat([model(x).argmax(dim=1).cpu() for x in in_order(test, 500, device)])
    return accuracy(predicted, test.labels, loss=float(torch.stack(recent).mean()), steps=total)


def groups(model: Classifier, config: FinetuneConfig) -> list[dict]:
    """AdamW's groups with a `scale` on the learning rate: layer_decay^(layers above), and no decay on biases and norms.

    The head and the last norm are the top; the patch embedding and the tokens lie below the first block.
    """
    depth = len(model.encoder.blocks)
    found: dict[tuple, list] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        parts = name.split(".")
        if parts[:2] == ["encoder", "blocks"]:
            above = depth - int(parts[2])
        else:
            above = 0 if parts[0] == "head" or parts[1] == "norm" else depth + 1
        found.setdefault((above, parameter.dim() > 1), []).append(parameter)
    return [
        {"params": those, "scale": config.layer_decay**above, "weight_decay": config.weight_decay * decays}
        for (above, decays), those in found.items()
    ]


def set_drop_path(encoder: nn.Module, rate: float) -> None:
    """Give the encoder's blocks drop path, from 0 at the first to `rate` at the last."""
    for index, block in enumerate(encoder.blocks):
        block.drop_path.rate = rate * index / max(1, len(encoder.blocks) - 1)
