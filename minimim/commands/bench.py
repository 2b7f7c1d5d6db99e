"""minimim bench"""

import gc
import statistics
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace

import torch
from torch.autograd.graph import register_multi_grad_hook
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from minimim import methods
from minimim.config import option
from minimim.errors import UserError, unknown
from minimim.presets import Preset, preset
from minimim.train.loop import compile_parts, steps_of
from minimim.train.processes import pick_device, slow_bf16
from minimim.train.processes import precision as dtype_of
from minimim.train.step import Stepper, adamw
from minimim.train.trouble import explained

PARTS = ("views", "forward", "backward", "optimiser and the rest")
SIDE = {"cuda": 8192}  # of the square matrices whose product is timed; 1536 elsewhere


@dataclass
class Timed:
    """Measurements of one setting. rates: images/s of each step, sorted; product: FLOP/s of a large matrix product in
    the same precision; parts: seconds of each part of a step; memory: bytes at the peak of a step, on CUDA."""

    rates: list[float]
    product: float
    parts: dict[str, float]
    memory: int | None


@dataclass
class Bench:
    """Time whole training steps of a method on this machine, augmentation and optimiser included, and say which setting
    is the fastest and where its time goes. The images are random numbers."""

    preset: str = option("demo", "a named run, for its method, sizes and batch; the other options change it")
    method: str | None = option(None, "the method, see `minimim methods`")
    image_size: int | tuple[int, ...] | None = option(None, "pixels: a side, or height and width")
    patch_size: int | None = option(None, "side of a patch in pixels")
    size: str | None = option(None, "size of the encoder: micro, tiny, small, base or large")
    batch_size: int | None = option(None, "images a step")
    accumulate: int | None = option(None, "parts into which a batch is divided when it does not fit")
    rounds: int = option(10, "how many times each setting is timed")
    precision: str = option("all", "all (fp32 and bf16), fp32 or bf16")
    compile: bool = option(False, "also time the compiled model; compiling takes a minute or more")
    device: str = option("auto", "auto, cpu, cuda or mps")
    options: dict = field(default_factory=dict)  # of the recipe

    def run(self) -> int:
        """Print images/s for each setting (the median of all rounds, the slowest and the fastest) and which setting to choose; and of the
        fastest its operations a second, how the time of a step divides, and on CUDA its memory. A setting that cannot be timed is
        named and left out; raises UserError if none can."""
        if self.rounds < 1:
            raise UserError(f"rounds must be 1 or more, not {self.rounds}")
        device, what = pick_device(self.device), self.wanted()
        batch, parts = what.train.batch_size, what.train.accumulate
        cut = f" in {parts} parts" if parts > 1 else ""
        print(f"{what.method} {what.size}/{what.patch_size}, batch {batch}{cut}, {device}, {torch.get_num_threads()} threads")
        found, failed = {}, {}
        for name in self.precisions(device):
            for compiled in (False, True)[: 1 + self.compile]:
                flags = f"--precision {name}" + " --compile" * compiled
                try:
                    with explained(what.train, device, None):
                        found[flags] = timed = time_setting(what, device, dtype_of(name, device), compiled, self.rounds)
                except UserError as error:  # such as fp32 that takes more memory than there is, where bf16 may do
                    failed[flags] = str(error)  # the words alone: the error itself would hold on to the memory
                    continue
                rate = statistics.median(timed.rates)
                print(f"  {flags:28} {rate:9.1f} images/s ({timed.rates[0]:.1f} to {timed.rates[-1]:.1f})")
        if not found:
            raise UserError(next(iter(failed.values())))
        for flags, why in failed.items():
            print(f"  {flags:28} not timed: {why}")
        best = max(found, key=lambda flags: statistics.median(found[flags].rates))
        work = flops(what, device)
        rate, product = work * statistics.median(found[best].rates), found[best].product
        print(f"  {work / 1e9:.3f} GFLOP of matrix products an image, so {rate / 1e9:.0f} GFLOP/s at best:")
        print(f"  {rate / product:.0%} of the {product / 1e9:.0f} GFLOP/s of one large matrix product in that precision")
        print(f"  fastest here: {best}")
        tell_parts(found[best].parts)
        if found[best].memory:
            print(f"  a step takes {found[best].memory / 2**30:.2f} GiB of memory at its peak")
        return 0

    def wanted(self) -> Preset:
        """The preset with the options that were given. Raises UserError for an unknown name, and for a batch that cannot be divided into
        its parts."""
        base = preset(self.preset)
        options, train = {**base.options, **self.options}, base.train
        if self.method not in (None, base.method):  # another method brings its own settings of training, except for the batch
            options, train = self.options, replace(methods.create(self.method).defaults, batch_size=train.batch_size)
        train = replace(train, **self.asked("batch_size", "accumulate"))
        steps_of(train.batch_size, train)
        return replace(base, **self.asked("method", "image_size", "patch_size", "size"), options=options, train=train)

    def asked(self, *names: str) -> dict:
        """Those of these options that were given."""
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def precisions(self, device) -> list[str]:
        """The precisions to time: both, but bf16 only where the device has it and is fast in it. Raises UserError for an unknown name."""
        if self.precision not in ("all", "fp32", "bf16"):
            raise unknown("precision", self.precision, ["all", "fp32", "bf16"])
        if self.precision != "all":
            return [self.precision]
        names = ["fp32"]
        if slow_bf16(device):
            print("  bf16 is left out: this CPU has no AVX512, and emulates bf16 slowly; --precision bf16 times it all the same")
            return names
        with suppress(UserError):
            dtype_of("bf16", device)
            names.append("bf16")
        return names


def create(what: Preset, device) -> methods.Method:
    """A fresh method."""
    sizes = {"image_size": what.image_size, "patch_size": what.patch_size, "size": what.size}
    return methods.create(what.method, **sizes, **what.options).to(device).train()


def random_images(what: Preset, count: int, device) -> torch.Tensor:
    """Random bytes of the preset's size, (count, C, H, W)."""
    height, width = (what.image_size,) * 2 if isinstance(what.image_size, int) else what.image_size
    shape = (count, what.options.get("channels", 3), height, width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, device=device)


def time_setting(what: Preset, device, dtype, compiled: bool, rounds: int) -> Timed:
    """Time steps after two to warm up, whole and then in parts, with a large matrix product after each whole one."""
    gc.collect()  # what the last setting held would count as memory of this one
    method, config = create(what, device), what.train
    if compiled:
        compile_parts(method)
    take = Stepper(method, adamw(method, config), config, 2 * rounds + 2, dtype=dtype)
    images = [random_images(what, config.batch_size // config.accumulate, device)] * config.accumulate
    side = SIDE.get(device.type, 1536)
    square = torch.randn(side, side, device=device, dtype=dtype)
    numbers = iter(range(2 * rounds + 2))

    def step() -> None:
        take(next(numbers), images)

    memory = None
    for work in (step, lambda: square @ square):
        work()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    step()
    if device.type == "cuda":
        memory = torch.cuda.max_memory_allocated(device) - square.nbytes
    taken, products = [], []
    for _ in range(rounds):
        taken.append(seconds(step, device))
        products.append(seconds(lambda: square @ square, device))
    parts = time_parts(take, step, rounds)
    rates = sorted(config.batch_size / s for s in taken)
    return Timed(rates, 2 * side**3 / statistics.median(products), parts, memory)


def time_parts(take: Stepper, step, rounds: int) -> dict[str, float]:
    """Seconds of each part of a step, the middle of all rounds, waiting for the device between the parts."""
    marks, method = [], take.method

    def mark(*_) -> None:
        wait(take.device)
        marks.append(time.perf_counter())

    hooks = [
        method.views.register_forward_pre_hook(mark),
        method.views.register_forward_hook(mark),
        method.register_forward_hook(mark),
        register_multi_grad_hook(take.learning, mark),  # when the last gradient is there
    ]
    seen = []
    for _ in range(rounds):
        marks.clear()
        whole = seconds(step, take.device)
        pieces = [marks[i : i + 4] for i in range(0, len(marks), 4)]  # one for each part that is accumulated
        spans = [sum(piece[k + 1] - piece[k] for piece in pieces) for k in range(3)]
        seen.append([*spans, whole - sum(spans)])
    for hook in hooks:
        hook.remove()
    return dict(zip(PARTS, map(statistics.median, zip(*seen, strict=True)), strict=True))


def tell_parts(parts: dict[str, float]) -> None:
    """How a step's time divides, a line each."""
    print("  where its time goes (timed separately, with a wait for the device between the parts):")
    for name, value in parts.items():
        print(f"    {name:26} {1000 * value:9.2f} ms {value / sum(parts.values()):5.0%}")


def seconds(work, device) -> float:
    """How long it takes, until the device has finished."""
    wait(device)
    began = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - began


def wait(device) -> None:
    """Wait until the device has finished."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def flops(what: Preset, device) -> int:
    """Operations of the matrix products of one step, forward and backward, an image; attention's too."""
    method, images = create(what, device), random_images(what, 2, device)
    generator = torch.Generator(device).manual_seed(0)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):  # the fused kernels hide theirs
        method(images, generator=generator).loss.backward()
    return counter.get_total_flops() // len(images)
