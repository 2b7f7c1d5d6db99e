"""Full precision, for what rounding would spoil."""

from contextlib import nullcontext

import torch


def full_precision(device: str):
    """A context without autocast, so that nothing is computed in half precision; no effect on a device without autocast, such as meta."""
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()
