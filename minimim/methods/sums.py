"""The sums of a step: the errors of each term over views, masks and questions, and the number of places that were scored."""

import torch
from torch import Tensor

from minimim.encoders.encoded import Streams
from minimim.errors import UserError
from minimim.losses.term import Term
from minimim.masking.mask import Mask
from minimim.precision import full_precision
from minimim.processes import summed, world


class Sums:
    """The errors of one step, summed for each term.

    terms: a list of Term. counts: how many places each term scores in the whole batch, if these images are a part of one
    (`Method.count_scored`); by default they are counted here. Errors are computed in fp32 at least, for every precision of the encoder.
    """

    def __init__(self, terms: list[Term], counts: Tensor | None = None):
        self.terms, self.known = terms, counts
        self.errors = {index: [] for index in range(len(terms))}
        self.counts = {index: [] for index in range(len(terms))}
        self.views = {index: [] for index, term in enumerate(terms) if term.pair == "views"}
        self.extras: dict[str, list[Tensor]] = {}

    def compare(self, answers: Streams, targets: dict[int, Streams], same: int | None, mask: Mask, question: Tensor) -> None:
        """Add the errors of one answer, each term against its target of the same or of every other view, or against none."""
        made = {}  # (stream, view) → the errors that its term has just computed, for terms that are `against` them
        for index, term in enumerate(self.terms):
            answer = stream_of(answers, term)
            if term.pair == "views":
                self.views[index].append(answer)
            elif term.pair is None:
                self.add(index, answer, None, mask, question)
            else:
                for view, streams in targets.items():
                    if (view == same) == (term.pair == "same"):
                        target = made[term.against, view] if term.against else target_of(streams, term)
                        made[term.stream, view] = self.add(index, answer, target, mask, question).detach()

    def compare_views(self) -> None:
        """Add the errors of the terms that compare the predictions for all student views with each other.

        Raises UserError if these differ in shape.
        """
        for index, answers in self.views.items():
            if len({answer.shape for answer in answers}) > 1:
                shapes = ", ".join(str(tuple(answer.shape)) for answer in answers)
                raise UserError(f'the term on "{self.terms[index].stream}" compares views, and their answers are not alike: {shapes}')
            self.add(index, torch.stack(answers), None, None, None)

    def add(self, index: int, answer: Tensor, target: Tensor | None, mask: Mask | None, question: Tensor | None) -> Tensor:
        """Add the errors of one comparison, (B, N) or (B,), and return them."""
        term = self.terms[index]
        with full_precision(answer.device.type):
            wide = torch.promote_types(answer.dtype, torch.float32)
            if target is not None and target.is_floating_point():
                check_shapes(term, answer, target)
                wide = torch.promote_types(wide, target.dtype)
                target = target.to(wide)
            errors = term.loss(answer.to(wide), target, question)
        where = term.where(errors, mask, question)
        self.errors[index].append(torch.where(where, errors, 0).sum())
        self.counts[index].append(where.sum())
        return errors

    def add_extra(self, name: str, value: Tensor | None) -> None:
        """Add a scalar to the loss, if it is not None: a masking's penalty, or a part's own loss."""
        if value is not None:
            self.extras.setdefault(name, []).append(value)

    def total(self) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and each term of it by name. Errors are divided by the number of scored places of all processes, so that the mean
        of their gradients, which DDP takes, is the gradient of the whole batch. Raises UserError for a term that compared nothing."""
        loss, metrics = sum(value for values in self.extras.values() for value in values), {}
        for index, term in enumerate(self.terms):
            if not self.counts[index]:
                met = "the same view, and no student view shows what a content view does"
                if term.pair == "other":
                    met = "every other view, and there is only one: let the views be two or more"
                raise UserError(f'the term on "{term.stream}" compares with {met}')
            count = summed(torch.stack(self.counts[index]).sum())
            count = (count if self.known is None else torch.where(self.known[index] > 0, self.known[index], count)) / world()
            mean = torch.stack(self.errors[index]).sum() / count.clamp(min=1 / world())
            loss = loss + term.weight * mean
            name = term.name or term.stream
            metrics[name if name not in metrics else f"{name} {index}"] = mean.detach()
        for name, values in self.extras.items():
            metrics[name] = sum(value.detach() for value in values)
        return loss, metrics


def check_shapes(term: Term, answer: Tensor, target: Tensor) -> None:
    """Raise UserError if torch would silently broadcast one of the two over the other, although both have as many dimensions."""
    spread = any(a != t and 1 in (a, t) for a, t in zip(answer.shape, target.shape, strict=False))
    if answer.dim() == target.dim() and spread:
        shapes = f"an answer {tuple(answer.shape)} with a target {tuple(target.shape)}"
        raise UserError(f'the term on "{term.stream}" compares {shapes}: let the decoder answer in the shape of the target')


def stream_of(answers: Streams, term: Term) -> Tensor:
    """The prediction that a term uses. Raises UserError if there is no stream of its name."""
    if term.stream not in answers:
        raise UserError(f'a term is about the stream "{term.stream}", and the decoder answers {sorted(answers)}: rename one of the two')
    return answers[term.stream]


def target_of(targets: Streams, term: Term) -> Tensor:
    """The target that a term uses. Raises UserError if there is no stream of its name."""
    if term.stream not in targets:
        raise UserError(f'a term is about the stream "{term.stream}", and the target gives {sorted(targets)}: rename one of the two')
    return targets[term.stream]
