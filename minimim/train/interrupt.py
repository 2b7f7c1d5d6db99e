"""Ctrl-C that waits for the end of the step, and a time limit."""

import signal
import threading
import time
from typing import Self

import torch

from minimim.processes import summed, together


class Interrupt:
    """While it is active, the first Ctrl-C (or SIGTERM) is only noted; the second interrupts at once, as usual.

    minutes: after this time the run stops as if Ctrl-C had been pressed; 0 is no limit.
    """

    def __init__(self, minutes: float = 0.0):
        self.end = time.monotonic() + 60 * minutes if minutes else float("inf")

    def __enter__(self) -> Self:
        self.pressed, self.former = 0, {}
        if threading.current_thread() is threading.main_thread():
            self.former = {number: signal.signal(number, self.remember) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self.former.items():
            signal.signal(number, handler)

    def remember(self, number: int, _frame) -> None:
        """Note the signal, and restore its usual handler."""
        self.pressed = number
        signal.signal(number, self.former[number])

    def asked(self, now: bool) -> bool:
        """Whether to stop after this step. Several processes agree on it together, when `now` is true for all of them."""
        wanted = bool(self.pressed) or time.monotonic() > self.end
        if not together():
            return wanted
        return now and bool(summed(torch.tensor(float(wanted), device=device_of_backend())) > 0)


def device_of_backend() -> str:
    """Where tensors must be for processes to exchange them."""
    return "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
