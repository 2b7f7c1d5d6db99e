"""A method of masked image modeling: five choices and one forward.

    method = what is hidden × which encoder × what is predicted × by which head × how it is compared
              masking         encoder      target              decoder        terms

`reconstruction` and `joint_embedding` are the survey's two schemes (arXiv 2408.06687): the same Method without and with
a teacher. Two papers differ in the parts that they pass; the forward pass is shared.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from minimim.config import TrainConfig
from minimim.data.views import Inputs, Views, as_inputs
from minimim.encoders.encoded import Encoded, Streams
from minimim.errors import UserError
from minimim.losses import Loss, Term, l2
from minimim.losses.term import check_terms, loss_name, module_of
from minimim.masking.mask import Mask
from minimim.methods.sums import Sums
from minimim.methods.teacher import NORMS, Seen, Teacher


@dataclass
class Output:
    """The result of a step. loss: a scalar to minimise; prediction, target: the first term's streams, such as (B, N, T), for the first
    view and its first mask, target None if that term has none; mask: that mask, (B, N) bool, True = hidden; metrics: scalars to watch,
    the loss of each term."""

    loss: Tensor
    prediction: Tensor
    target: Tensor | None
    mask: Tensor
    metrics: dict[str, Tensor]


class Method(nn.Module):
    """A pretraining method: one choice on each axis, and one forward pass for all methods.

    views: images → Views. masking: what is hidden. encoder: encodes the visible patches. decoder: the head. target: what is predicted, or
    None. terms: how it is compared, a list of Term. teacher: a Teacher, a Frozen, or None. defaults: a TrainConfig for it.
    needs: what the inputs must contain beside images, of "label", "depth", "segmentation" and "caption".

    Each part may also have `want` (what it requests of an encoder: "layers", "attention"), `prepare` (called before training),
    `after_step`, `own_loss` (a scalar that is added to the loss once in each step), `lr_scale` (its weights then form a group of their
    own, with this factor on the learning rate and with gradients clipped separately), and `whole_batch` (True if it compares all images
    of a batch). Raises UserError for a teacher whose student is no part of the method, and for terms that do not fit together.
    """

    spec: dict | None = None  # the arguments of `create`, saved with the weights, so that `minimim.load` can build it again

    def __init__(self, *, views, masking, encoder, decoder, target, terms, teacher=None, defaults=None, needs=()):
        super().__init__()
        check_terms(terms, target)
        self.views, self.masking, self.encoder, self.decoder = views, masking, encoder, decoder
        self.target, self.terms, self.teacher = target, terms, teacher
        self.losses = nn.ModuleList(filter(None, (module_of(term.loss) for term in terms)))
        self.defaults, self.needs = defaults or TrainConfig(), tuple(needs)
        own = {id(p) for part in self.children() if part is not teacher for p in part.parameters()}
        students = [student for student in getattr(teacher, "students", ()) if student is not None]
        if any(id(p) not in own for student in students for p in student.parameters()):
            raise UserError(
                "the teacher follows a student that is no part of this method, so it would be neither trained nor saved: "
                "give the method the same encoder and decoder objects as the teacher"
            )

    def forward(self, inputs: Tensor | Inputs, *, noise=None, progress: float = 0.0, generator=None, counts=None) -> Output:
        """Compute one step's loss: images (B, C, H, W), uint8 (augmented in training) or already normalised floats → Output.

        noise: random numbers for the masking, instead of a draw. progress: the fraction of the run that is over, 0 to 1.
        generator: the source of all random numbers. counts: from `count_scored`, if these images are a part of a larger batch.
        """
        views = self.views(as_inputs(inputs), generator)
        seen = self.taught(views)
        targets = Targets(self, views.content, seen, progress)
        sums, first = Sums(self.terms, counts), None
        for number, student in enumerate(views.student):
            for mask in self.masks(views, seen, number, progress, noise, generator):
                # Corrupted pixels are encoded without a mask; otherwise the encoder drops or replaces the hidden patches.
                if mask.inputs is None:
                    encoded = self.encoder(student, mask, want=self.wanted(self.decoder))
                else:
                    encoded = self.encoder(mask.inputs, want=self.wanted(self.decoder))
                made = targets.of(views.same[number], mask)
                for question in mask.scored:
                    prediction = self.answer(encoded, mask, question, views, number)
                    prediction |= self.latents(encoded)
                    sums.compare(prediction, made, views.same[number], mask, question)
                    first = first or (prediction, made[min(made)] if made else {}, mask)
                sums.add_extra("penalty", mask.penalty)
        sums.compare_views()
        for name, part in self.parts("own_loss"):
            sums.add_extra(type(part).__name__ if name.startswith("losses.") else name, part.own_loss())
        prediction, target, mask = first
        stream = self.terms[0].stream
        loss, metrics = sums.total()
        return Output(loss, prediction[stream], target.get(stream), mask.hidden, metrics)

    def taught(self, views: Views) -> list[Seen]:
        """The teacher's outputs for its views, which are computed when they are first read."""
        want = self.wanted(self.masking, self.target, getattr(self.teacher, "decoder", None))
        return [Seen(self.teacher, view, want) for view in views.teacher] if self.teacher else []

    def masks(self, views: Views, seen: list[Seen], number: int, progress: float, noise, generator) -> list[Mask]:
        """The masks of one student view; a guided masking gets the teacher's output for the same crop."""
        student, same = views.student[number], views.same[number]
        guide = seen[same] if same is not None and same < len(seen) else None
        return self.masking(student, self.encoder.grid(student), guide, progress, noise, generator, view=number)

    def answer(self, encoded: Encoded, mask: Mask, question: Tensor, views: Views, number: int) -> Streams:
        """The decoder's streams for one question; a decoder that wants "boxes" gets the crop boxes of the views."""
        if "boxes" not in getattr(self.decoder, "want", ()) or views.boxes is None:
            return self.decoder(encoded, mask, question)
        other = next((v for v in range(len(views.content)) if v != views.same[number]), 0)
        return self.decoder(encoded, mask, question, boxes=torch.stack([views.boxes[number], views.content_boxes[other]]))

    def latents(self, encoded: Encoded) -> Streams:
        """The encoder's own outputs that a term uses: "latent" (B, K, D), "latent_mean" and "latent_cls" (B, D)."""
        made = {"latent": lambda: encoded.patches, "latent_mean": lambda: encoded.pooled("mean"), "latent_cls": lambda: encoded.pooled("cls")}
        return {name: make() for name, make in made.items() if any(term.stream == name for term in self.terms)}

    def wanted(self, *parts) -> list[str]:
        """What these parts request of an encoder beside its latents: "layers", "attention"."""
        return sorted({word for part in parts for word in getattr(part, "want", ())} - {"boxes"})

    @torch.no_grad()
    def count_scored(self, inputs: Tensor | Inputs, *, progress: float = 0.0, generator=None) -> Tensor:
        """How many places each term will score in these images, (terms,), or 0 for a term with on="all". The images are not encoded, except
        by the teacher of a guided masking."""
        views = self.views(as_inputs(inputs), generator)
        counts = torch.zeros(len(self.terms), device=next(self.parameters()).device)
        seen = self.taught(views)
        for number in range(len(views.student)):
            for mask in self.masks(views, seen, number, progress, None, generator):
                pairs = {"same": views.same[number] is not None, "other": len(views.content) - (views.same[number] is not None)}
                for index, term in enumerate(self.terms):
                    for question in mask.scored if term.on != "all" else ():
                        counts[index] += term.places(mask, question).sum() * pairs.get(term.pair, 1)
        return counts

    def prepare(self, data, generator=None) -> None:
        """Before training, fit the parts that need the data, such as a tokenizer."""
        for _, part in self.parts("prepare"):
            part.prepare(data, generator)

    def after_step(self, progress: float) -> None:
        """After each optimiser step, update moving averages, centres and goals; they change nowhere else."""
        for _, part in self.parts("after_step"):
            part.after_step(progress)

    def parts(self, ability: str) -> list[tuple[str, nn.Module]]:
        """All submodules that have a method or attribute of this name, as (name, module); a teacher's own submodules are left out."""
        found = ((name, part) for name, part in self.named_modules() if part is not self and not name.startswith("teacher."))
        return [(name, part) for name, part in found if getattr(part, ability, None)]

    @property
    def uneven(self) -> bool:
        """Whether samples may score different numbers of places, so that the places of an accumulated batch must be counted first."""
        return bool(getattr(self.masking, "uneven", False)) or any(callable(term.on) for term in self.terms)

    @property
    def whole_batch(self) -> list[str]:
        """The names of all parts and losses that compare all images of a batch, for which accumulation over parts would change training."""
        parts = [type(part).__name__ for _, part in self.parts("whole_batch")]
        norms = [type(part).__name__ for part in self.modules() if isinstance(part, NORMS) and part.training]
        losses = {loss_name(term.loss) for term in self.terms if getattr(getattr(term.loss, "func", term.loss), "whole_batch", False)}
        return sorted({*parts, *norms, *losses})


class Targets:
    """The target streams of the content views, detached and computed when they are first needed: once for each view, or for each of its
    masks if the target has `reads_mask`."""

    def __init__(self, method: Method, content: list[Inputs], seen: list[Seen], progress: float):
        self.target, self.content, self.seen, self.progress = method.target, content, seen, progress
        self.pairs = {term.pair for term in method.terms}
        self.made: dict[int, Streams] = {}

    @torch.no_grad()
    def of(self, same: int | None, mask: Mask) -> dict[int, Streams]:
        """The targets that the terms need for one student view, whose own content view is `same`: {number of content view: streams}."""
        wanted = [v for v in range(len(self.content)) if ("same" if v == same else "other") in self.pairs]
        if getattr(self.target, "reads_mask", False):
            return {v: self.make(v, mask) for v in wanted}
        for v in wanted:
            if v not in self.made:
                self.made[v] = self.make(v, mask)
        return {v: self.made[v] for v in wanted}

    def make(self, view: int, mask: Mask) -> Streams:
        """The target's streams for one content view."""
        return self.target(self.content[view], self.seen[view] if view < len(self.seen) else None, mask, self.progress)


def reconstruction(*, views, masking, encoder, decoder, target, loss: Loss = l2, on="scored", **more) -> Method:
    """The survey's first scheme: predict the hidden content of the image itself. Arguments as for Method, with one term on "patch"."""
    terms = [Term("patch", loss, on=on)]
    return Method(
        views=views, masking=masking, encoder=encoder, decoder=decoder, target=target, terms=terms, **more
    )


def joint_embedding(*, views, masking, encoder, decoder, target, terms, momentum, teach_decoder=False, **more) -> Method:
    """The survey's second scheme: predict the features that a teacher computes from the whole image. Arguments as for Method.

    momentum: (first, last) of the teacher. teach_decoder: whether the teacher has a head, too, an average of the student's.
    """
    teacher = Teacher(encoder, decoder if teach_decoder else None, momentum)
    return Method(
        views=views, masking=masking, encoder=encoder, decoder=decoder, target=target, terms=terms, teacher=teacher, **more
    )
