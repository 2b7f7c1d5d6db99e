"""What a teacher says of the patches in its last layer, of the whole image or of the hidden patches alone."""

import torch.nn.functional as F
from torch import nn

from minimim.encoders.encoded import Streams
from minimim.patches import put


class LastLayer(nn.Module):
    """The teacher's answer for each patch of the whole image, normed once more without weights (I-JEPA, arXiv 2301.08243)."""

    predicts = "features"

    def forward(self, content, teacher, mask=None, progress: float = 0.0) -> Streams:
        """{"patch": (B, N, D)} from what the teacher saw."""
        patches = teacher.encoded.patches  # (B, N, D)
        return {"patch": F.layer_norm(patches, patches.shape[-1:])}


class HiddenLatents(nn.Module):
    """What the teacher says of the hidden patches when it sees them and no others, through its head where it has one (Latent MIM,
    arXiv 2407.15837): the counterpart of what the student saw, so that neither can copy the other."""

    predicts = "features"
    reads_mask = True

    def forward(self, content, teacher, mask, progress: float = 0.0) -> Streams:
        """{"patch": (B, N, D)}, zeros at the visible places. Raises UserError when samples hide different numbers of patches."""
        encoded = teacher.hidden(mask)  # patches (B, M, D)
        head = teacher.teacher.decoder
        latents = encoded.patches if head is None else head(encoded)["patch"]  # (B, M, D)
        return {"patch": put(latents, mask.asked_ids(mask.hidden), mask.hidden.shape[1])}
