"""The segmentation probe: how well a linear map of each frozen token predicts the classes of the pixels that it covers.

One linear map takes every token to class scores, (n, N, D) → (n, classes, rows, cols). These are interpolated bilinearly to the
size of the image, (n, classes, H, W), and each pixel gets the class with the highest score. This is how self-supervised encoders are
usually compared without a decoder (DINOv2, arXiv 2304.07193, linear evaluation). The score is the mean IoU (intersection over union).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minimim.data.batches import in_order, positions, read
from minimim.data.beside import beside
from minimim.draws import mix
from minimim.errors import UserError
from minimim.evaluate.attentive import standard_tokens
from minimim.evaluate.compare import workplace
from minimim.evaluate.features import Features, check_alike, extract
from minimim.evaluate.score import Score
from minimim.methods import Method, anew
from minimim.patches import patchify
from minimim.train.schedule import cosine

PIXELS = 65_536  # about so many in a training step: 64 images of 32×32
RESAMPLED = 200  # bootstrap samples of the test images, for the standard error
IGNORED = -100  # torch's label of a pixel that does not count


def segmentation_probe(
    train: Features, train_maps: Tensor, test: Features, test_maps: Tensor, *,
    ignore: int | None = None, names=(), grid: tuple[int, int] | None = None, steps=400, lr=0.05, weight_decay=1e-3, seed=0, device="cpu",
) -> Score:  # fmt: skip
    """Mean IoU, 0 to 1, of a linear map of patch tokens, over the classes that the test maps show.

    train, test: from `extract(…, pool="patches")`, x (n, N, D), or from `patch_pixels`. maps: (n, H, W), the class of each pixel,
    0 to classes−1. ignore: a class that is neither learnt nor judged, such as "void". names: of the classes. grid: (rows, cols) of
    the tokens, by default the one whose places are square.

    Tokens are standardised by the train part. The map is learnt by Adam with decoupled decay along a cosine from zero; the problem
    is convex, and everything random follows from the seed. IoU = right / (right + missed + wrong) of a class, over all test pixels.
    stderr: from drawing the test images again 200 times (bootstrap), n: test images. details: iou of each class, and
    pixel_accuracy. Raises UserError for features that are not tokens or were made differently, and maps that do not fit them.
    """
    check_alike(train, test)
    for part, features, maps in (("train", train, train_maps), ("test", test, test_maps)):
        check_tokens(part, features, maps)
    grid = grid or square_places(train.x.shape[1], *train_maps.shape[1:])
    here, there = (truth(maps, ignore) for maps in (train_maps, test_maps))
    classes = max(len(names), int(max(here.max(), there.max())) + 1)
    if not bool((here >= 0).any()) or not bool((there >= 0).any()):
        raise UserError("every pixel of the train or of the test maps is ignored: there is nothing to learn or to judge")
    tokens, tested = (x.to(device) for x in standard_tokens(train.x, test.x))
    head = learn(tokens, here.to(device), classes, grid, steps=steps, lr=lr, weight_decay=weight_decay, seed=seed)
    counts = confusion(head, tested, there.to(device), classes, grid).cpu()  # (n, classes, classes)
    each, present = iou(counts.sum(dim=0))
    told = [names[c] if c < len(names) else str(c) for c in range(classes)]
    return Score(
        each[present].mean().item(),
        spread(counts, seed),
        len(test),
        {
            "iou": {told[c]: each[c].item() for c in range(classes) if present[c]},
            "pixel_accuracy": (counts.diagonal(dim1=1, dim2=2).sum() / counts.sum()).item(),
        },
    )


def compare_segmentation(method: Method, train, test, *, with_floors=True, layer=-1, seed: int = 0, workers: int | None = None, **how) -> dict[str, Score]:
    """Scores of the segmentation probe: "pretrained", of a method's encoder, and of its floors, "random_init", the same encoder with
    random weights, and "raw_pixels", the pixels of each patch.

    train, test: Images or OnDisk with truth["segmentation"], such as scenes or camvid. how: as `segmentation_probe` has it. Raises UserError
    for images without segmentation, and for floors of a method that was put together by hand.
    """
    pairs = {"pretrained": tokens_of(method.encoder, train, test, layer, workers)}
    if with_floors:
        if method.spec is None:
            raise UserError("a method that was put together by hand cannot be made anew for the random floor: compare it with_floors=False")
        pairs["random_init"] = tokens_of(anew(method, seed).encoder, train, test, layer, workers)
        pairs["raw_pixels"] = tuple(patch_pixels(images, method.encoder.patch_size, workers=workers) for images in (train, test))
    names = class_names(train)
    more = {"ignore": names.index("void") if "void" in names else None, "names": names, "seed": seed, "device": workplace(method), **how}
    maps = maps_of(train), maps_of(test)
    return {name: segmentation_probe(one, maps[0], other, maps[1], **more) for name, (one, other) in pairs.items()}


def tokens_of(encoder: nn.Module, train, test, layer: int, workers: int | None) -> tuple[Features, Features]:
    """The tokens of train and test images."""
    return tuple(extract(encoder, images, layer=layer, pool="patches", workers=workers) for images in (train, test))


def maps_of(images) -> Tensor:
    """The class of each pixel, uint8 (n, H, W); maps on disk are read into memory."""
    maps = beside(images, "segmentation")
    return maps if isinstance(maps, Tensor) else read(maps, torch.arange(len(maps)))


def class_names(images) -> tuple[str, ...]:
    """The name of each class of pixel: background and garments for scenes, else the set's classes, unless these name its image labels."""
    if "class" in images.truth:
        return ("background", *images.classes)
    return tuple(images.classes) if images.labels is None else ()


def patch_pixels(images, patch_size: int, batch_size: int = 200, workers: int | None = None) -> Features:
    """The pixels of each patch as its token, in [0, 1], (n, N, P·P·C): the baseline without an encoder."""
    rows = [patchify(x.float() / 255, patch_size) for x in in_order(images, batch_size, "cpu", workers)]
    return Features(torch.cat(rows), images.labels, f"raw pixels in patches of {patch_size}")


def learn(tokens: Tensor, maps: Tensor, classes: int, grid, *, steps: int, lr: float, weight_decay: float, seed: int) -> nn.Linear:
    """Train the linear map from zero: tokens (n, N, D), maps (n, H, W) → Linear(D, classes). Batches follow from the seed."""
    head = nn.Linear(tokens.shape[-1], classes).to(tokens.device)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    batch = min(len(tokens), max(1, round(PIXELS / maps[0].numel())))
    optimizer = torch.optim.AdamW([{"params": [head.weight]}, {"params": [head.bias], "weight_decay": 0.0}], lr=lr, weight_decay=weight_decay)
    for step in range(steps):
        ids = positions(step, batch, len(tokens), seed).to(tokens.device)  # (b,)
        for group in optimizer.param_groups:
            group["lr"] = lr * cosine(step, steps, 0)
        loss = F.cross_entropy(drawn_out(head(tokens[ids]), grid, maps.shape[1:]), maps[ids], ignore_index=IGNORED, reduction="sum")
        (loss / (maps[ids] != IGNORED).sum().clamp(min=1)).backward()
        optimizer.step()
        optimizer.zero_grad()
    return head.requires_grad_(False)


def drawn_out(scores: Tensor, grid: tuple[int, int], size) -> Tensor:
    """Scores of tokens, interpolated bilinearly to every pixel: (b, N, classes) → (b, classes, H, W)."""
    plane = scores.transpose(1, 2).unflatten(2, grid)  # (b, classes, rows, cols)
    return F.interpolate(plane, tuple(size), mode="bilinear", align_corners=False)


def confusion(head: nn.Linear, tokens: Tensor, maps: Tensor, classes: int, grid) -> Tensor:
    """The confusion matrix of each image, in pixels: (n, true class, predicted class), float64, without ignored pixels."""
    rows = []
    at_once = max(1, 4 * PIXELS // maps[0].numel())
    for x, those in zip(tokens.split(at_once), maps.split(at_once), strict=True):
        taken = drawn_out(head(x), grid, those.shape[1:]).argmax(dim=1)  # (b, H, W)
        image = torch.arange(len(x), device=x.device).view(-1, 1, 1)
        number = ((image * classes + those) * classes + taken)[those != IGNORED]
        rows.append(number.bincount(minlength=len(x) * classes**2).view(len(x), classes, classes).double())
    return torch.cat(rows)


def iou(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection over union of each class, and whether any true pixel is of it: (…, classes, classes) → (…, classes) twice."""
    right, shown, taken = counts.diagonal(dim1=-2, dim2=-1), counts.sum(dim=-1), counts.sum(dim=-2)
    return right / (shown + taken - right).clamp(min=1), shown > 0


def spread(counts: Tensor, seed: int) -> float:
    """The standard error of the mean IoU: its standard deviation over test sets drawn anew, with repetition, from the test images."""
    n = len(counts)
    drawn = torch.randint(n, (RESAMPLED, n), generator=torch.Generator().manual_seed(mix(seed)))
    times = torch.zeros(RESAMPLED, n, dtype=counts.dtype).scatter_add_(1, drawn, torch.ones(RESAMPLED, n, dtype=counts.dtype))
    each, present = iou((times @ counts.flatten(1)).unflatten(1, counts.shape[1:]))  # (RESAMPLED, classes)
    return ((each * present).sum(dim=1) / present.sum(dim=1).clamp(min=1)).std().item()


def truth(maps: Tensor, ignore: int | None) -> Tensor:
    """Maps as whole numbers, with IGNORED where a pixel does not count."""
    maps = maps.long()
    return maps if ignore is None else maps.masked_fill(maps == ignore, IGNORED)


def check_tokens(part: str, features: Features, maps: Tensor) -> None:
    """Raise UserError for features that are not tokens, and for maps that are not (n, H, W) whole numbers."""
    if features.x.dim() != 3:
        raise UserError(f'a segmentation probe reads tokens, (n, N, D), and the {part} features are {tuple(features.x.shape)}: extract them with pool="patches"')
    if maps.dim() != 3 or len(maps) != len(features) or maps.is_floating_point():
        raise UserError(f"the {part} maps must be ({len(features)}, H, W), the class of each pixel as a whole number, not {tuple(maps.shape)} {maps.dtype}")


def square_places(count: int, height: int, width: int) -> tuple[int, int]:
    """The grid (rows, cols) in which each of `count` tokens covers a square. Raises UserError where there is no such grid."""
    rows = max(1, round((count * height / width) ** 0.5))
    if count % rows:
        raise UserError(f"{count} tokens make no grid of squares over {height}×{width} pixels: say which as grid=(rows, cols)")
    return rows, count // rows
