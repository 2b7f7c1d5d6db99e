"""Where rounding matters more than speed."""

from contextlib import nullcontext

import torch


def full_precision(device: str):
    """Within it, nothing is computed in half precision; the meta device, which computes nothing, knows no precision."""
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()
