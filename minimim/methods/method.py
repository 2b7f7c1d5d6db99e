"""A method of masked image modeling: five choices and one forward.

    method = what is hidden × who looks × what is predicted × by what head × how it is compared
              masking         encoder      target              decoder        terms

`reconstruction` and `joint_embedding` are the survey's two schemes (arXiv 2408.06687): the same Method without and with
a teacher. What differs between two papers is what they pass, not what they copy.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from minimim.config import TrainConfig
from minimim.data.views import Inputs, as_inputs
from minimim.losses import Loss, Term, l2
from minimim.masking.mask import Mask
from minimim.methods.teacher import Seen, Teacher
from minimim.processes import summed, world


@dataclass
class Output:
    """What a step gives. loss: scalar to minimise; prediction, target: the first term's streams, (B, N, T), of the first
    view under its first mask; mask: that mask, (B, N) bool, True = hidden; metrics: scalars to watch, one a term."""

    loss: Tensor
    prediction: Tensor
    target: Tensor
    mask: Tensor
    metrics: dict[str, Tensor]


class Method(nn.Module):
    """One choice on each axis, joined by one forward.

    views: images → Views. masking: what is hidden. encoder: who looks. decoder: the head. target: what is predicted.
    terms: how it is compared, a list of Term. teacher: a Teacher, or None. defaults: the TrainConfig to begin with.
    """

    spec: dict | None = None  # how `create` made it: saved with the weights, so that `minimim.load` can make it again

    def __init__(self, *, views, masking, encoder, decoder, target, terms, teacher=None, defaults=None):
        super().__init__()
        self.views, self.masking, self.encoder, self.decoder = views, masking, encoder, decoder
        self.target, self.terms, self.teacher = target, terms, teacher
        self.defaults = defaults or TrainConfig()
        self.want = sorted({*getattr(masking, "want", ()), *getattr(target, "want", ())})  # asked of the teacher

    def forward(self, inputs: Tensor | Inputs, *, noise=None, progress: float = 0.0, generator=None) -> Output:
        """One step's loss: images (B, C, H, W), uint8 (augmented in training) or already normalised floats.

        noise: the masking's own, instead of a draw. progress: how much of the run is behind us, 0 to 1.
        generator: everything random comes from it.
        """
        views = self.views(as_inputs(inputs), generator)
        seen = [Seen(self.teacher, view, self.want) for view in views.teacher] if self.teacher else []
        sums, first = Sums(self.terms), None
        for number, student in enumerate(views.student):
            guide = seen[number] if number < len(seen) else None
            grid = self.encoder.grid(student)
            for mask in self.masking(student, grid, guide, progress, noise, generator):
                # Corrupted pixels are seen whole; otherwise the encoder leaves out or replaces what is hidden.
                encoded = self.encoder(student, mask) if mask.inputs is None else self.encoder(mask.inputs)
                targets = self.targets(views.content, seen, number, mask, progress)
                for question in mask.scored:
                    prediction = self.decoder(encoded, mask, question)
                    sums.compare(prediction, targets, number, mask, question)
                    first = first or (prediction, targets[min(targets)], mask)
                sums.add_penalty(mask.penalty)
        prediction, target, mask = first
        stream = self.terms[0].stream
        loss, metrics = sums.total()
        return Output(loss, prediction[stream], target.get(stream), mask.hidden, metrics)

    def targets(self, content, seen, number: int, mask: Mask, progress: float) -> dict:
        """The target streams that the terms need for one student view: {view number: streams}, detached."""
        pairs = {term.pair for term in self.terms}
        wanted = [v for v in range(len(content)) if ("same" if v == number else "other") in pairs]
        with torch.no_grad():
            return {v: self.target(content[v], seen[v] if v < len(seen) else None, mask, progress) for v in wanted}

    def prepare(self, data, generator=None) -> None:
        """Before training: let a target that must be fitted, such as a tokenizer, see the data."""
        for part in self.parts("prepare"):
            part.prepare(data, generator)

    def after_step(self, progress: float) -> None:
        """After each optimiser step: the only place where averages, centres and queues move."""
        for part in self.parts("after_step"):
            part.after_step(progress)

    def parts(self, ability: str) -> list[nn.Module]:
        """The choices that can do something."""
        return [part for part in (self.masking, self.target, self.teacher) if hasattr(part, ability)]


class Sums:
    """The running sum of each term's errors over views, masks and questions, and of how many places were scored."""

    def __init__(self, terms: list[Term]):
        self.terms, self.penalties = terms, []
        self.errors = {index: [] for index in range(len(terms))}
        self.counts = {index: [] for index in range(len(terms))}

    def compare(self, prediction, targets: dict, number: int, mask: Mask, question: Tensor) -> None:
        """Add the errors of one answer, each term against its target of the same or of every other view."""
        made = {}  # stream → the errors that its term has just made, for terms that are `against` them
        for index, term in enumerate(self.terms):
            for view, streams in targets.items():
                if (view == number) != (term.pair == "same"):
                    continue
                target = made[term.against] if term.against else streams[term.stream]
                answer = prediction[term.stream]
                if target.is_floating_point():
                    answer = answer.to(target.dtype)  # under bf16, losses are still taken in fp32
                errors = term.loss(answer, target, question)
                made[term.stream] = errors.detach()
                where = term.where(errors, mask, question)
                self.errors[index].append(torch.where(where, errors, 0).sum())
                self.counts[index].append(where.sum())

    def add_penalty(self, penalty: Tensor | None) -> None:
        """Keep what a masking wants added to the loss."""
        if penalty is not None:
            self.penalties.append(penalty)

    def total(self) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and each part of it by name. Errors are divided by the scored count of all processes: then the mean
        of their gradients, which DDP takes, is the gradient of the whole batch."""
        loss, metrics = sum(self.penalties), {}
        for index, term in enumerate(self.terms):
            count = summed(torch.stack(self.counts[index]).sum()) / world()
            mean = torch.stack(self.errors[index]).sum() / count.clamp(min=1 / world())
            loss = loss + term.weight * mean
            name = term.stream if term.stream not in metrics else f"{term.stream} {index}"
            metrics[name] = mean.detach()
        return loss, metrics


def reconstruction(*, views, masking, encoder, decoder, target, loss: Loss = l2, on="scored", **more) -> Method:
    """The survey's first scheme: predict the hidden content of this very image."""
    terms = [Term("patch", loss, on=on)]
    return Method(
        views=views, masking=masking, encoder=encoder, decoder=decoder, target=target, terms=terms, **more
    )


def joint_embedding(*, views, masking, encoder, decoder, target, terms, momentum, teach_decoder=False, **more) -> Method:
    """The survey's second scheme: agree with what a teacher makes of the whole image.

    teach_decoder: whether the teacher answers through a head of its own, an average of the student's.
    """
    teacher = Teacher(encoder, decoder if teach_decoder else None, momentum)
    return Method(
        views=views, masking=masking, encoder=encoder, decoder=decoder, target=target, terms=terms, teacher=teacher, **more
    )
