"""minimim bench"""

import statistics
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from minimim import data, methods
from minimim.config import option
from minimim.errors import UserError, unknown
from minimim.train.loop import compile_parts
from minimim.train.processes import pick_device
from minimim.train.processes import precision as dtype_of
from minimim.train.step import Stepper, adamw


@dataclass
class Bench:
    """Time whole training steps of a method on this machine, augmentation and optimiser included, and say which setting
    is the fastest."""

    method: str = option("mae", "which; see `minimim methods`")
    image_size: int | tuple[int, ...] = option(32, "pixels: a side, or height and width")
    patch_size: int = option(4, "pixels of a patch's side")
    size: str = option("micro", "of the encoder: micro, tiny, small, base or large")
    batch_size: int = option(64, "images a step")
    rounds: int = option(10, "how often each setting is timed")
    precision: str = option("all", "all (fp32 and bf16), fp32 or bf16")
    compile: bool = option(False, "also time the compiled model; compiling takes a minute or more")
    device: str = option("auto", "auto, cpu, cuda or mps")
    options: dict = field(default_factory=dict)  # of the recipe

    def run(self) -> int:
        """Print images/s for each setting, the middle of all rounds with the slowest and the fastest, and what to ask for."""
        device = pick_device(self.device)
        images = data.load("scenes", count=self.batch_size, image_size=self.image_size).images.to(device)
        print(f"{self.method} {self.size}/{self.patch_size}, batch {self.batch_size}, {device}, {torch.get_num_threads()} threads")
        found = {}
        for name in self.precisions(device):
            for compiled in (False, True)[: 1 + self.compile]:
                rates = sorted(self.batch_size / s for s in self.seconds(images, dtype_of(name, device), compiled))
                flags = f"--precision {name}" + " --compile" * compiled
                found[flags] = statistics.median(rates)
                print(f"  {flags:28} {found[flags]:9.1f} images/s ({rates[0]:.1f} to {rates[-1]:.1f})")
        flags, flops = max(found, key=found.get), self.flops(images)
        print(f"  {flops / 1e9:.3f} GFLOP of matrix products an image, so {flops * found[flags] / 1e9:.0f} GFLOP/s at best")
        print(f"  fastest here: {flags}")
        return 0

    def precisions(self, device) -> list[str]:
        """Those to time: both, but bf16 only where the device has it. Raises UserError for a name that is none."""
        if self.precision not in ("all", "fp32", "bf16"):
            raise unknown("precision", self.precision, ["all", "fp32", "bf16"])
        if self.precision != "all":
            return [self.precision]
        names = ["fp32"]
        with suppress(UserError):
            dtype_of("bf16", device)
            names.append("bf16")
        return names

    def create(self, device) -> methods.Method:
        """A fresh method."""
        sizes = {"image_size": self.image_size, "patch_size": self.patch_size, "size": self.size}
        return methods.create(self.method, **sizes, **self.options).to(device).train()

    def seconds(self, images, dtype, compiled: bool) -> list[float]:
        """How long each step takes, after two to warm up."""
        method = self.create(images.device)
        if compiled:
            compile_parts(method)
        config = replace(method.defaults, batch_size=self.batch_size)
        step = Stepper(method, adamw(method, config), config, self.rounds + 2, dtype=dtype)
        taken = []
        for number in range(self.rounds + 2):
            began = time.perf_counter()
            step(number, [images])
            if images.device.type == "cuda":
                torch.cuda.synchronize()
            taken.append(time.perf_counter() - began)
        return taken[2:]

    def flops(self, images) -> int:
        """Operations of the matrix products of one step, forward and backward, an image."""
        method = self.create(images.device)
        with FlopCounterMode(display=False) as counter:
            method(images, generator=torch.Generator(images.device).manual_seed(0)).loss.backward()
        return counter.get_total_flops() // len(images)
