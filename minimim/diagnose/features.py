"""Two causes of poor features: collapse, and a task that asks for something else."""

import math

import torch
from torch import Tensor

from minimim.data.views import normalize
from minimim.diagnose.verdict import Verdict
from minimim.evaluate.features import Features
from minimim.evaluate.probe import linear_probe
from minimim.evaluate.regression import regression_probe
from minimim.evaluate.spectrum import effective_rank, relative_std
from minimim.masking.mask import Mask


def collapse(features: Tensor, *, random: Tensor | None = None, head: Tensor | None = None, random_head: Tensor | None = None) -> Verdict:
    """Do images still get different features, in many directions? features: (n, D); random: those of the same images by
    an untrained encoder of the same kind, which show what this architecture begins with. head: (n, T), the output of the method's head
    for these images (`head_output`), and random_head, of an untrained method: prototypes collapse there long before the encoder.

    The two measures see different things. Where all images get nearly one vector, the small differences that are left can have many
    directions: the relative standard deviation shows such a collapse, and the effective rank does not.
    """
    numbers = {"effective_rank": effective_rank(features), "std": relative_std(features)}
    least_rank, least_std = 1 + 0.02 * min(features.shape), 0.02
    if random is not None:
        numbers |= {"random_rank": effective_rank(random), "random_std": relative_std(random)}
        least_rank = max(least_rank, 0.5 * numbers["random_rank"])
        least_std = max(least_std, 0.25 * numbers["random_std"])
    if head is not None:
        numbers |= {"head_rank": effective_rank(head), "head_std": relative_std(head)}
    least_head = 0.02
    if random_head is not None:
        numbers["random_head_std"] = relative_std(random_head)
        least_head = 0.25 * numbers["random_head_std"]
    said = f"effective rank {numbers['effective_rank']:.1f} of {features.shape[1]}, relative standard deviation {numbers['std']:.3f}"
    if random is not None:
        said += f" (random encoder: {numbers['random_rank']:.1f} and {numbers['random_std']:.3f})"
    if head is not None:
        said += f"; the head's answers: effective rank {numbers['head_rank']:.1f} of {head.shape[1]}, standard deviation {numbers['head_std']:.3f}"
    if numbers["std"] < least_std:
        full = numbers["effective_rank"] >= least_rank
        why = "the standard deviation shows it; the effective rank, of the small differences that are left, does not" if full else ""
        return Verdict(False, "; ".join(filter(None, ("collapse: all images get nearly the same features", said, why))), numbers)
    if numbers["effective_rank"] < least_rank:
        return Verdict(False, f"collapse: images differ along few directions only; {said}", numbers)
    if head is not None and numbers["head_std"] < least_head:
        return Verdict(False, f"collapse: the head gives all images nearly the same answer, and the features will follow; {said}", numbers)
    return Verdict(True, f"no collapse: {said}", numbers)


@torch.no_grad()
def head_output(method, images, batch_size: int = 100) -> Tensor | None:
    """The output of a method's head for each whole image, (n, T): its "cls" stream, or else the mean over its places; None for a
    head that predicts pixels alone, or several modalities, which differ as images do. images: Images with all that the method needs."""
    predicts = getattr(method.target, "predicts", None)
    if predicts == "several":
        return None
    training, device, rows = method.training, next(method.parameters()).device, []
    method.eval()
    for x in images.images.split(batch_size):
        encoded = method.encoder({"image": normalize(x.to(device))}, want=method.wanted(method.decoder))
        places = encoded.grid[0] * encoded.grid[1]
        shown = torch.zeros(len(x), places, dtype=torch.bool, device=device)
        answer = method.decoder(encoded, Mask(shown, visible=places), ~shown)
        if predicts == "pixels" and "cls" not in answer:
            break
        stream = answer.get("cls", next(iter(answer.values())))
        rows.append((stream if stream.dim() == 2 else stream.mean(dim=1)).float().cpu())
    method.train(training)
    return torch.cat(rows) if rows else None


def mismatch(features: tuple[Features, Features], random: tuple[Features, Features], where=None) -> Verdict:
    """Did pretraining help to tell classes apart? If not, and the features do predict place and size, it served another task.

    features, random: (train, test) of the encoder and of an untrained one. where: (train, test) numbers to regress, (n, T).
    """
    mine, floor = linear_probe(*features), linear_probe(*random)
    numbers = {"class": mine.value, "random_class": floor.value}
    said = f"classes {mine.value:.3f}, by a random encoder {floor.value:.3f}"
    if where is not None:
        numbers["place"] = regression_probe(features[0], where[0], features[1], where[1]).value
        said += f"; place and size R² {numbers['place']:.2f}"
    if mine.value - floor.value > 2 * math.hypot(mine.stderr, floor.stderr):
        return Verdict(True, f"the task helps to tell classes: {said}", numbers)
    known = numbers.get("place", 0.0) > 0.5
    why = "the features know where things are and not what: task mismatch" if known else "look for collapse, or train longer"
    return Verdict(False, f"no better at classes than a random encoder: {said}; {why}", numbers)
