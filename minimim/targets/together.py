"""Several targets side by side."""

from torch import nn

from minimim.data.views import Inputs
from minimim.encoders.encoded import Streams
from minimim.errors import UserError


class SeveralTargets(nn.Module):
    """Several targets side by side, with the streams of all: SeveralTargets(Pixels(4), features=LayerMean(2)).

    The "patch" stream of a target that is given by name gets that name, as with decoders in `Together`. `want` is the union of what the
    targets want; `reads_mask` is True if it is for one of them; `predicts`, `patch_size` and `normalize` are those of the first target,
    but `predicts` is "several" if several are given and all by name.
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
        """The streams of all targets. Raises UserError if two have the same name."""
        streams = {}
        for name, target in zip(self.names, self.targets, strict=True):
            for stream, x in target(content, teacher, mask, progress).items():
                stream = name if name and stream == "patch" else stream
                if stream in streams:
                    raise UserError(f'two targets give a stream "{stream}": give one of them by name, as in SeveralTargets(first, name=second)')
                streams[stream] = x
        return streams
