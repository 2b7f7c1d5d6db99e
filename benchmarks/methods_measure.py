"""The images of benchmarks/methods.py, and what it measures of a trained encoder on them: probes at every place, random weights beside
them, and operations."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from minimim import data, evaluate
from minimim.data.batches import batches, in_order
from minimim.data.beside import beside
from minimim.diagnose import effective_rank, head_output, relative_std

BATCH = 64  # images a step
IMAGES, LABELLED, JUDGED = 10_000, 5_000, 2_000  # seen in pretraining; with labels for the probes; to choose a rate by
SEGMENTED = 1_000  # of those with labels, for the segmentation probe
UNTRAINED = {}  # what `untrained` has measured so far


class Images:
    """The parts of a data set that the benchmark uses: seen without labels, labelled, judged by, tested by."""

    def __init__(self, name: str, smoke: bool):
        count, labelled, judged, tested = (320, 300, 64, 64) if smoke else (IMAGES, LABELLED, JUDGED, None)
        whole = in_colour(data.load(name, count=count + judged) if name == "scenes" else data.load(name))
        test = in_colour(data.load(name, "test", **({"count": tested or 4000} if name == "scenes" else {})))
        whole = whole.take(slice(0, count + judged)) if smoke else whole
        self.name, self.test = name, test.take(slice(0, tested)) if tested else test
        self.seen, self.judge = whole.take(slice(0, len(whole) - judged)), whole.take(slice(len(whole) - judged, len(whole)))
        self.labelled = self.seen.take(slice(0, labelled))


def in_colour(images: data.Images) -> data.Images:
    """Grey images as three equal channels: the bundled teacher has three, and so all methods get the same images."""
    return replace(images, images=images.images.expand(-1, 3, -1, -1).contiguous()) if images.images.shape[1] == 1 else images


def linear(encoder, fit, test):
    """The linear probe of an encoder."""
    return evaluate.linear_probe(*(evaluate.extract(encoder, part) for part in (fit, test)))


@torch.no_grad()
def everywhere(encoder, images, places) -> dict:
    """What `evaluate.extract` gives for each place (block, pooling), from one pass over the images."""
    rows = {place: [] for place in places}
    for x in in_order(images, 200, next(encoder.parameters()).device):
        layers = encoder(x, want=("layers",)).layers
        for layer, pool in places:
            rows[layer, pool].append(layers[layer].pooled(pool).float().cpu())
    return {place: evaluate.Features(torch.cat(row), images.labels, str(place)) for place, row in rows.items()}


def best_place(encoder, fit, test, blocks=None) -> tuple[str, evaluate.Score]:
    """The block and the pooling whose features the linear probe reads best, chosen without the test images, and what it reads there:
    a method whose head is one linear map, or whose loss is on CLS alone, does not keep its best in the mean of the last block."""
    blocks = range(encoder.depth) if blocks is None else blocks
    places = [(layer, pool) for layer in blocks for pool in (("mean", "cls") if encoder.cls_token is not None else ("mean",))]
    fitted, tested = (everywhere(encoder, part, places) for part in (fit, test))
    found = {f"{pool} of block {layer + 1}": evaluate.linear_probe(fitted[layer, pool], tested[layer, pool]) for layer, pool in places}
    at = max(found, key=lambda name: found[name].details["held_out"])
    return at, found[at]


def measured(pair, encoder, images: Images) -> dict:
    """Every probe of one pair of features (labelled, test), and of an encoder's patches where there are some."""
    probe, shots = evaluate.linear_probe(*pair), evaluate.low_shot(*pair, shots=(20,))[20]
    row = {"linear": probe.value, "linear_se": probe.stderr, "knn": evaluate.knn(*pair).value, "shots20": shots.value, "shots20_sd": shots.details["std"]}
    row |= {"effective_rank": effective_rank(pair[1].x[:2000]), "std": relative_std(pair[1].x[:2000])}
    if "box" in images.test.truth:
        where = [evaluate.place_and_size(part) for part in (images.labelled, images.test)]
        row["place_r2"] = evaluate.regression_probe(pair[0], where[0], pair[1], where[1]).value
    if encoder is not None and "segmentation" in images.test.truth:
        fit, test = images.labelled.take(slice(0, SEGMENTED)), images.test
        patches, there = (evaluate.extract(encoder, part, pool="patches") for part in (fit, test))
        score = evaluate.segmentation_probe(patches, beside(fit, "segmentation"), there, beside(test, "segmentation"))
        row |= {"miou": score.value, "miou_se": score.stderr}
    return row


def head_std(method, images) -> float | str:
    """How different the answers of the head for these images are, each made of unit length: 0 where all are alike, 1 where they lie
    evenly; nothing for a head that predicts pixels."""
    answers = head_output(method, images)
    return "" if answers is None else relative_std(F.normalize(answers, dim=-1))


def untrained(encoder, images: Images) -> dict:
    """What the linear probe reads of random weights; most methods have the same encoder, which is then measured once a command."""
    key = images.name, b"".join(tensor.detach().cpu().numpy().tobytes() for tensor in encoder.state_dict().values())
    if key not in UNTRAINED:
        floor, (at, best) = linear(encoder, images.labelled, images.test), best_place(encoder, images.labelled, images.test)
        UNTRAINED[key] = {"random_linear": floor.value, "random_se": floor.stderr, "random_best_at": at, "random_best": best.value}
    return UNTRAINED[key]


def gflops(method, images: Images) -> float:
    """Operations of the matrix products of one step of the batch, forward and backward, in 10⁹."""
    part = next(batches(images.seen, 4, needs=method.needs, device=next(method.parameters()).device))
    method.train()
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        method(part, generator=torch.Generator(next(method.parameters()).device).manual_seed(0)).loss.backward()
    method.zero_grad()
    method.eval()
    return counter.get_total_flops() / 4 * BATCH / 1e9


def judged(method, images: Images) -> dict:
    """What the linear probe reads, on the validation part, at the best place of the middle and the last block."""
    halfway_and_last = (method.encoder.depth // 2 - 1, method.encoder.depth - 1)
    at, score = best_place(method.encoder, images.labelled, images.judge, halfway_and_last)
    return {"chosen_by": score.value, "best_at": at}
