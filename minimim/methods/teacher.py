"""The teacher: a slow average of past students that sees the whole image, and never learns by gradient."""

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

    momentum: (first, last); it climbs from one to the other along half a cosine over the run (BYOL, arXiv 2006.07733).
    norm: "eval", and the running statistics of its batch norms are the students'; or "batch", and it normalises by the batch that
    it sees, as MSN, CMAE, ConMIM and SiameseIM have it. share: modules that it and its students own together (MSN's prototypes).
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module | None = None, momentum=(0.996, 1.0), *, norm="eval", share=()):
        super().__init__()
        self.students = [encoder, decoder]  # a plain list: the teacher does not own them
        shared = {id(part): part for module in share for part in [module, *module.parameters(), *module.buffers()]}
        self.encoder, self.decoder = copy.deepcopy(self.students, dict(shared))
        self.momentum, self.norm = tuple(momentum), norm
        for parameter in self.parameters():
            if id(parameter) not in shared:
                parameter.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> "Teacher":
        """A teacher is always in eval mode, but for batch norms that take their own batch."""
        super().train(False)
        if self.norm == "batch":
            for module in self.modules():
                if isinstance(module, NORMS):
                    module.train(mode)
        return self

    def pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        """Each of its modules beside its student's."""
        return [(mine, s) for mine, s in zip([self.encoder, self.decoder], self.students, strict=True) if s is not None]

    def begin_again(self) -> None:
        """Be a copy of the students as they are now."""
        for mine, student in self.pairs():
            mine.load_state_dict(student.state_dict())

    @torch.no_grad()
    def after_step(self, progress: float) -> None:
        """Take one step towards the students."""
        first, last = self.momentum
        momentum = last - (last - first) * (1 + math.cos(math.pi * progress)) / 2
        for mine, student in self.pairs():
            pairs = [(m, s) for m, s in zip(mine.parameters(), student.parameters(), strict=True) if s.requires_grad and m is not s]
            torch._foreach_lerp_([m for m, _ in pairs], [s for _, s in pairs], 1 - momentum)
            if self.norm == "eval":
                for m, s in zip(mine.buffers(), student.buffers(), strict=True):
                    m.copy_(s)


class Seen:
    """What the teacher makes of one whole view, worked out when it is first asked for and then kept."""

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
        """The answers of the teacher's head."""
        return self.teacher.decoder(self.encoded)

    @torch.no_grad()
    def hidden(self, mask: Mask) -> Encoded:
        """The teacher's Encoded of the hidden patches alone, (B, M, D) in reading order: the counterpart of what the student saw."""
        rest = None if mask.visible is None else mask.hidden.shape[1] - mask.visible
        return self.teacher.encoder(self.inputs, Mask(~mask.hidden, visible=rest))
