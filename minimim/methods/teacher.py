"""The teacher: a slow average of past students that sees the whole image, and never learns by gradient."""

import copy
import math
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import nn

from minimim.data.views import Inputs
from minimim.decoders import Streams
from minimim.vit import Encoded


class Teacher(nn.Module):
    """An exponential moving average of an encoder and, where the target needs one, of its head.

    momentum: (first, last); it climbs from one to the other along half a cosine over the run (BYOL, arXiv 2006.07733).
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module | None = None, momentum=(0.996, 1.0)):
        super().__init__()
        self.students = [encoder, decoder]  # a plain list: the teacher does not own them
        self.encoder, self.decoder = copy.deepcopy(encoder), copy.deepcopy(decoder)
        self.momentum = tuple(momentum)
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> "Teacher":
        """A teacher is always in eval mode."""
        return super().train(False)

    def begin_again(self) -> None:
        """Be a copy of the students as they are now."""
        for mine, student in zip([self.encoder, self.decoder], self.students, strict=True):
            if student is not None:
                mine.load_state_dict(student.state_dict())

    @torch.no_grad()
    def after_step(self, progress: float) -> None:
        """Take one step towards the students."""
        first, last = self.momentum
        momentum = last - (last - first) * (1 + math.cos(math.pi * progress)) / 2
        for mine, student in zip([self.encoder, self.decoder], self.students, strict=True):
            if student is not None:
                pairs = [(m, s) for m, s in zip(mine.parameters(), student.parameters(), strict=True) if s.requires_grad]
                torch._foreach_lerp_([m for m, _ in pairs], [s for _, s in pairs], 1 - momentum)


class Seen:
    """What the teacher makes of one whole view, worked out when it is first asked for and then kept."""

    def __init__(self, teacher: Teacher, inputs: Inputs, want: Sequence[str] = ()):
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
