"""Targets from a teacher that sees the whole image and is an average of past students."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minimim.encoders.encoded import Streams
from minimim.processes import summed


class LayerMean(nn.Module):
    """The mean of the outputs of the teacher's last blocks, with a LayerNorm on each output and on the mean (data2vec, arXiv 2202.03555).

    count: how many of the last blocks. The LayerNorms have no parameters.
    """

    want, predicts = ("layers",), "features"

    def __init__(self, count: int):
        super().__init__()
        self.count = count

    def forward(self, content, teacher, mask=None, progress: float = 0.0) -> Streams:
        """{"patch": (B, N, D)} from the teacher's layers."""
        layers = [encoded.patches for encoded in teacher.encoded.layers[-self.count :]]
        mean = torch.stack([F.layer_norm(x, x.shape[-1:]) for x in layers]).mean(dim=0)  # (B, N, D)
        return {"patch": F.layer_norm(mean, mean.shape[-1:])}


class CentredPrototypes(nn.Module):
    """The teacher's soft assignment to prototypes, centred and sharpened (DINO, arXiv 2104.14294; iBOT, 2111.07832).

    softmax((scores − centre) / temperature): subtracting the centre, a moving average of past scores, prevents that one prototype gets
    all assignments; the low temperature prevents that assignments become uniform. Patches and CLS each have a centre.
    prototypes: how many. temperature: (first, last), growing linearly over the fraction `warmup` of the run. momentum: of the centres.
    """

    predicts = "prototypes"

    def __init__(self, prototypes: int, *, temperature=(0.04, 0.07), warmup=0.3, momentum=0.9):
        super().__init__()
        self.temperature, self.warmup, self.momentum = temperature, warmup, momentum
        for name in ("patch", "cls"):
            self.register_buffer(f"{name}_centre", torch.zeros(prototypes))
        self.seen = {}  # name → (sum of scores, how many), since the last step

    def forward(self, content, teacher, mask=None, progress: float = 0.0) -> Streams:
        """{"patch": (B, N, prototypes), "cls": (B, prototypes)}; rows sum to one."""
        first, last = self.temperature
        temperature = first + (last - first) * min(1.0, progress / self.warmup)
        answer = {}
        for name, scores in teacher.streams.items():
            answer[name] = ((scores - self.get_buffer(f"{name}_centre")) / temperature).softmax(dim=-1)
            if self.training:
                self.note(name, scores)
        return answer

    def note(self, name: str, scores: Tensor) -> None:
        """Add these scores to the sum from which the centres are updated."""
        scores = scores.detach().flatten(0, -2).to(self.get_buffer(f"{name}_centre").dtype)
        total, count = self.seen.get(name, (0, 0))
        self.seen[name] = (total + scores.sum(dim=0), count + len(scores))

    def after_step(self, progress: float) -> None:
        """Move the centres towards the mean score of all processes; a mean that is not finite is ignored."""
        for name, (total, count) in self.seen.items():
            centre = self.get_buffer(f"{name}_centre")
            everyone = summed(torch.cat([total, total.new_full((1,), count)]))  # (prototypes + 1,)
            mean = everyone[:-1] / everyone[-1]
            centre.lerp_(torch.where(mean.isfinite(), mean, centre), 1 - self.momentum)
        self.seen = {}
