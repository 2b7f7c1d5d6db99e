"""Several decoders, and several targets, side by side: no stream is lost, none is mistaken for another."""

import pytest
import torch
from torch import nn

from minimim.decoders import LinearDecoder, Together
from minimim.encoders import Encoded
from minimim.errors import UserError
from minimim.targets import Pixels, SeveralTargets

TOKENS = torch.arange(12.0).view(1, 3, 4)


class Says(nn.Module):
    """Answers with given streams, and remembers what it was told."""

    def __init__(self, want=(), **streams):
        super().__init__()
        self.want, self.said = want, {name: torch.full((1, 2), float(x)) for name, x in streams.items()}

    def forward(self, encoded, mask=None, question=None, boxes=None):
        self.told = (mask, question, boxes)
        return self.said


class Deaf(Says):
    """A decoder that takes no boxes."""

    def forward(self, encoded, mask=None, question=None):
        return super().forward(encoded, mask, question)


def numbers(streams):
    return {name: float(x[0, 0]) for name, x in streams.items()}


def test_streams_other_than_patch_survive_beside_those_that_are_renamed():
    decoder = Together(paint=Deaf(patch=1, cls=2), judge=Says(patch=3, parts=4), whole=Says(label=5))
    assert numbers(decoder(Encoded(TOKENS))) == {"paint": 1, "cls": 2, "judge": 3, "parts": 4, "label": 5}


def test_a_stream_whose_name_is_taken_is_told_apart_by_its_decoder():
    decoder = Together(paint=Says(patch=1, cls=2), judge=Says(cls=3), cls=Says(patch=4))
    assert numbers(decoder(Encoded(TOKENS))) == {"paint": 1, "cls": 4, "paint.cls": 2, "judge.cls": 3}


def test_decoders_together_want_what_any_of_them_wants_and_only_those_that_ask_are_told_of_boxes():
    asks, deaf, boxes = Says(("layers", "boxes"), parts=1), Deaf(("attention",), patch=2), torch.rand(2, 1, 4)
    decoder = Together(asks=asks, deaf=deaf, plain=LinearDecoder(4, 2))
    assert decoder.want == ("attention", "boxes", "layers")
    decoder(Encoded(TOKENS), "mask", "question", boxes=boxes)
    assert asks.told[:2] == ("mask", "question") and asks.told[2] is boxes and deaf.told == ("mask", "question", None)


class Gives(nn.Module):
    """A target that answers with given streams, and remembers what it was given."""

    def __init__(self, want=(), reads_mask=False, predicts=None, **streams):
        super().__init__()
        self.want, self.reads_mask, self.streams = want, reads_mask, streams
        if predicts:
            self.predicts = predicts

    def forward(self, content, teacher=None, mask=None, progress=0.0):
        self.given = (content, teacher, mask, progress)
        return self.streams


def test_several_targets_give_all_their_streams_and_hear_all_that_a_target_hears():
    first, second, named = Gives(predicts="pixels", patch=1), Gives(cls=2), Gives(predicts="hog", patch=3, extra=4)
    target = SeveralTargets(first, second, hog=named)
    assert target("content", "teacher", "mask", 0.5) == {"patch": 1, "cls": 2, "hog": 3, "extra": 4}
    assert first.given == second.given == named.given == ("content", "teacher", "mask", 0.5)
    assert target.predicts == "pixels" and not target.reads_mask and target.want == ()
    pixels = SeveralTargets(Pixels(4, normalize=True), Gives(cls=2))
    assert pixels.patch_size == 4 and pixels.normalize is True


def test_several_targets_want_and_read_what_any_of_them_does():
    target = SeveralTargets(Gives(want=("layers",)), Gives(want=("attention", "layers"), reads_mask=True))
    assert target.want == ("attention", "layers") and target.reads_mask


def test_two_targets_of_one_name_are_refused():
    with pytest.raises(UserError, match='two targets give a stream "patch": give one of them by name'):
        SeveralTargets(Pixels(4), Pixels(4, normalize=True))({"image": torch.randn(1, 3, 8, 8)})


def test_parts_of_several_targets_are_parts_of_the_method():
    """So that one that is fitted, or that moves after each step, is found by its ability."""
    target = SeveralTargets(Pixels(4), hog=Gives())
    assert [type(part).__name__ for part in target.modules()] == ["SeveralTargets", "ModuleList", "Pixels", "Gives"]
