"""Several targets side by side."""

from torch import nn

from minimim.data.views import Inputs
from minimim.encoders.encoded import Streams
from minimim.errors import UserError


class SeveralTargets(nn.Module):
    """Several targets side by side, all their streams in one: SeveralTargets(Pixels(4), features=LayerMean(2)).

    A target that is given by name answers with its "patch" stream under that name, as a decoder of `Together` does. What they want
    of the teacher is wanted together; it reads the mask where one of them does, and `predicts` what the first one does, of which
    `patch_size` and `normalize` tell more, or "several" where all are given by name.
    """

    def __init__(self, *targets: nn.Module, **named: nn.Module):
        super().__init__()
        self.targets = nn.ModuleList([*targets, *named.values()])
        self.names = [None] * len(targets) + list(named)
        self.want = tuple(sorted({word for target in self.targets for word in getattr(target, "want", ())}))
        self.reads_mask = any(getattr(target, "reads_mask", False) for target in self.targets)
        for word in ("predicts", "patch_size", "normalize"):
            if hasattr(self.targets[0], word):
                setattr(self, word, getattr(self.targets[0], word))
        if not targets and len(named) > 1:
            self.predicts = "several"

    def forward(self, content: Inputs, teacher=None, mask=None, progress: float = 0.0) -> Streams:
        """The streams of all. Raises UserError where two give one of the same name."""
        streams = {}
        for name, target in zip(self.names, self.targets, strict=True):
            for stream, x in target(content, teacher, mask, progress).items():
                stream = name if name and stream == "patch" else stream
                if stream in streams:
                    raise UserError(f'two targets give a stream "{stream}": give one of them by name, as in SeveralTargets(first, name=second)')
                streams[stream] = x
        return streams
