"""The last layer of a teacher as the target, for the whole image or for the hidden patches alone."""

import torch.nn.functional as F
from torch import nn

from minimim.encoders.encoded import Streams
from minimim.patches import put


class LastLayer(nn.Module):
    """The teacher's last layer for each patch of the whole image, through a LayerNorm without weights (I-JEPA, arXiv 2301.08243)."""

    predicts = "features"

    def forward(self, content, teacher, mask=None, progress: float = 0.0) -> Streams:
        """{"patch": (B, N, D)} from the teacher's latents."""
        patches = teacher.encoded.patches  # (B, N, D)
        return {"patch": F.layer_norm(patches, patches.shape[-1:])}


class HiddenLatents(nn.Module):
    """The teacher's latents of the hidden patches, of which it sees no others, through its head if it has one (Latent MIM, arXiv
    2407.15837). Student and teacher see disjoint sets of patches."""

    predicts = "features"
    reads_mask = True

    def forward(self, content, teacher, mask, progress: float = 0.0) -> Streams:
        """{"patch": (B, N, D)}, zeros at the visible places. Raises UserError if samples hide different numbers of patches."""
        encoded = teacher.hidden(mask)  # patches (B, M, D)
        head = teacher.teacher.decoder
        latents = encoded.patches if head is None else head(encoded)["patch"]  # (B, M, D)
        return {"patch": put(latents, mask.asked_ids(mask.hidden), mask.hidden.shape[1])}
