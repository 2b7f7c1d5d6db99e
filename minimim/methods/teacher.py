"""The teacher: a moving average of past students that sees the whole image and gets no gradient."""

import copy
import math
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import nn

from minimim.data.views import Inputs
from minimim.encoders.encoded import Encoded, Streams
from minimim.masking.mask import Mask
from minimim.norms import BatchNorm

NORMS = (BatchNorm, nn.modules.batchnorm._BatchNorm)


class Teacher(nn.Module):
    """An exponential moving average of an encoder and, where the target needs one, of its head.

    encoder, decoder: the students. momentum: (first, last); it goes from first to last along half a cosine over the run (BYOL, arXiv
    2006.07733). norm: "eval" if its batch norms use the running statistics of the student's, or "batch" if they use the statistics of
    the teacher's own batch, as in MSN, CMAE, ConMIM and SiameseIM. share: modules that teacher and students own together (MSN's
    prototypes).
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module | None = None, momentum=(0.996, 1.0), *, norm="eval", share=()):
        super().__init__()
        self.students = [encoder, decoder]  # in a plain list, so that the teacher does not own them
        shared = {id(part): part for module in share for part in [module, *module.parameters(), *module.buffers()]}
        self.encoder, self.decoder = copy.deepcopy(self.students, dict(shared))
        self.momentum, self.norm = tuple(momentum), norm
        for parameter in self.parameters():
            if id(parameter) not in shared:
                parameter.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> "Teacher":
        """Stay in eval mode, except for batch norms if norm="batch"."""
        super().train(False)
        if self.norm == "batch":
            for module in self.modules():
                if isinstance(module, NORMS):
                    module.train(mode)
        return self

    def pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        """Its encoder and decoder, each with its student: [(mine, student)]."""
        return [(mine, s) for mine, s in zip([self.encoder, self.decoder], self.students, strict=True) if s is not None]

    def begin_again(self) -> None:
        """Copy the present weights of the students."""
        for mine, student in self.pairs():
            mine.load_state_dict(student.state_dict())

    @torch.no_grad()
    def after_step(self, progress: float) -> None:
        """Move each weight by 1 − momentum of the way to the student's; progress: the fraction of the run that is over."""
        first, last = self.momentum
        momentum = last - (last - first) * (1 + math.cos(math.pi * progress)) / 2
        for mine, student in self.pairs():
            pairs = [(m, s) for m, s in zip(mine.parameters(), student.parameters(), strict=True) if s.requires_grad and m is not s]
            torch._foreach_lerp_([m for m, _ in pairs], [s for _, s in pairs], 1 - momentum)
            if self.norm == "eval":
                for m, s in zip(mine.buffers(), student.buffers(), strict=True):
                    m.copy_(s)


class Seen:
    """The teacher's output for one whole view, computed when it is first read and then kept."""

    def __init__(self, teacher: nn.Module, inputs: Inputs, want: Sequence[str] = ()):
        self.teacher, self.inputs, self.want = teacher, inputs, want

    @cached_property
    @torch.no_grad()
    def encoded(self) -> Encoded:
        """The teacher's Encoded of all patches."""
        return self.teacher.encoder(self.inputs, want=self.want)

    @cached_property
    @torch.no_grad()
    def streams(self) -> Streams:
        """The streams of the teacher's head."""
        return self.teacher.decoder(self.encoded)

    @torch.no_grad()
    def hidden(self, mask: Mask) -> Encoded:
        """The teacher's Encoded of the hidden patches alone, (B, M, D) in reading order; the student saw the others."""
        rest = None if mask.visible is None else mask.hidden.shape[1] - mask.visible
        return self.teacher.encoder(self.inputs, Mask(~mask.hidden, visible=rest))
