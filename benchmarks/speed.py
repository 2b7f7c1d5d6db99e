"""How much does each measure speed up a training loop? MAE on images of 32 pixels, with its augmentation.

    python benchmarks/speed.py                   micro/4 on a CPU, tiny/4 on a GPU
    python benchmarks/speed.py --no-compile      without torch.compile, which takes most of the time on a CPU
    python benchmarks/speed.py --smoke           tiny sizes, to see that it works

The plain loop is what one writes first: a DataLoader over PIL images with torchvision's transforms, fp32, no compiling,
AdamW on one tensor after the other, and the loss read after every step. Each measure is switched on alone over that loop, and
switched off alone from all together; settings take turns, and a ratio is taken within each round. On a CPU without AVX512
bf16 costs time instead of saving it: there it is measured, but is not part of "all together".

That the encoder sees only the visible quarter is a gain of MAE and not of the loop: it holds in the plain loop too, so it is
not part of "all together". Its ratio is against the same model whose encoder also reads a mask token at every hidden place.
"""

import argparse
import statistics
from collections import deque
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from machine import RESULTS, kind, quartiles, seconds, write
from PIL import Image
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision import transforms

from minimim import data, methods
from minimim.data.batches import batches
from minimim.data.views import MEAN, STD
from minimim.encoders import ViT
from minimim.train.loop import compile_parts
from minimim.train.processes import slow_bf16
from minimim.train.step import Stepper, adamw

IMAGE_SIZE, PATCH_SIZE, CROP = 32, 4, (0.2, 1.0)
SIZES = {"cpu": "micro", "cuda": "tiny"}
BATCH = {"cpu": 64, "cuda": 1024}
WORKERS = {"cpu": 0, "cuda": 8}  # of the plain loop's DataLoader
STEPS = {"cpu": 4, "cuda": 3 * WORKERS["cuda"]}  # timed as one, each turn: workers deliver in waves

MEASURES = {
    "memory": "images in the device's memory, augmented there as a batch",
    "bf16": "matrix products in bf16",
    "fused": "fused AdamW",
    "compile": "torch.compile of encoder and decoder",
    "unread": "nothing waits: the loss is not read after every step",
    "visible": "the encoder sees only the visible quarter (the method's own gain, not the loop's)",
}
PLAIN = frozenset({"visible"})


class Pictures(Dataset):
    """PIL images, and the transforms that a plain loop gives each of them."""

    def __init__(self, images: torch.Tensor):
        self.pictures = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images]
        self.transform = transforms.Compose(
            [
                transforms.RandomResizedCrop(IMAGE_SIZE, scale=CROP),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.transform(self.pictures[index])


def build(size: str, measures: frozenset, device: str) -> methods.Method:
    """An MAE whose encoder reads the visible patches alone, or every place."""
    method = methods.create("mae", image_size=IMAGE_SIZE, patch_size=PATCH_SIZE, size=size, crop_scale=CROP)
    if "visible" not in measures:
        method.encoder = ViT(IMAGE_SIZE, PATCH_SIZE, size, hidden="token")
    if "compile" in measures:
        # torch takes all modules for one function, and would compile the second for sizes that vary, which is slower.
        torch._dynamo.config.automatic_dynamic_shapes = False
        compile_parts(method)
    return method.to(device).train()


class Loop:
    """A training loop with some of the measures that make it fast."""

    def __init__(self, measures: frozenset, method: methods.Method, batch: int, workers: int, pictures: Pictures, stream):
        self.measures, self.method, self.batch, self.workers = measures, method, batch, workers
        self.pictures, self.stream = pictures, stream
        self.device = next(method.parameters()).device
        how = {"fused": True} if "fused" in measures else {"foreach": False, "fused": False}
        learning = [p for p in method.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(learning, lr=1e-5, betas=(0.9, 0.95), weight_decay=0.05, **how)
        self.losses = []

    def feed(self, steps: int):
        """The next `steps` batches."""
        self.method.views.train("memory" in self.measures)  # the plain loop's images have been augmented already
        if "memory" in self.measures:
            return islice(self.stream, steps)
        sampler = RandomSampler(self.pictures, replacement=True, num_samples=steps * self.batch)
        return iter(DataLoader(self.pictures, self.batch, sampler=sampler, num_workers=self.workers))

    def step(self, images: torch.Tensor) -> None:
        """One training step on images: bytes that are on the device, or floats that are not yet."""
        images = images.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled="bf16" in self.measures):
            loss = self.method(images).loss
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        if "unread" not in self.measures:
            self.losses.append(loss.item())


class Ours(Loop):
    """The step of `minimim.train`, with everything that it does besides: gradient norm, schedule, the watch for numbers
    that are not finite."""

    def __init__(self, *args):
        super().__init__(*args)
        config = replace(self.method.defaults, batch_size=self.batch, lr=1e-5)
        dtype = torch.bfloat16 if "bf16" in self.measures else torch.float32
        self.take, self.number = Stepper(self.method, adamw(self.method, config), config, 10**6, dtype=dtype), 0

    def step(self, images: torch.Tensor) -> None:
        self.take(self.number, [images])
        self.number += 1


def turn(loop: Loop, steps: int) -> float:
    """Seconds a step in the steady state: the first batches, which a loader's workers read ahead, are not timed."""
    ahead = 1 + loop.workers
    feed = loop.feed(ahead + steps)
    for images in islice(feed, ahead):
        loop.step(images)
    return seconds(lambda: loop.step(next(feed)), loop.device.type, steps)


def wanted(measures: list, full: frozenset) -> list[frozenset]:
    """Every set of measures that is timed: the plain loop, all together, and each measure switched in either."""
    return list(dict.fromkeys([PLAIN, full, *(base ^ {m} for base in (PLAIN, full) for m in measures)]))


def gains(taken: dict, measures: list, full: frozenset) -> dict:
    """What each measure gains, alone and when it is the last to be added; and what all gain together."""

    def ratio(slow, fast) -> dict:
        return quartiles([s / f for s, f in zip(taken[slow], taken[fast], strict=True)])

    return {
        "gains": {
            m: {"about": MEASURES[m], "alone": ratio(PLAIN - {m}, PLAIN | {m}), "off_alone": ratio(full - {m}, full | {m})}
            for m in measures
        },
        "together": spelt(full - PLAIN),
        "all_together": ratio(PLAIN, full),
        "minimim": ratio(PLAIN, "minimim"),
    }


def spelt(measures: frozenset | str) -> str:
    """The name of a setting in the results."""
    return measures if isinstance(measures, str) else " ".join(m for m in MEASURES if m in measures) or "none"


def show(result: dict) -> None:
    """Print the gains."""

    def told(r: dict) -> str:
        return f"{r['median']:6.2f} ({r['low']:.2f} to {r['high']:.2f})"

    print(f"\n{'times as fast':60}{'switched on alone':24}switched off alone")
    for gain in result["gains"].values():
        print(f"{gain['about'].partition(' (')[0]:60}{told(gain['alone']):24}{told(gain['off_alone'])}")
    print(f"{'all measures of the loop against the plain loop':60}{told(result['all_together'])}")
    print(f"{'the step of minimim.train against the plain loop':60}{told(result['minimim'])}")


def main() -> None:
    parser = argparse.ArgumentParser(description="How much each measure speeds up a training loop.")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=["cpu", "cuda"])
    parser.add_argument("--setting", choices=["micro", "tiny"], help="size of the encoder")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, eager only")
    args = parser.parse_args()
    torch.set_num_threads(1 if args.smoke else 2)
    torch.manual_seed(args.seed)
    size = args.setting or SIZES[args.device]
    batch = 4 if args.smoke else args.batch_size or BATCH[args.device]
    steps, rounds = (1, 2) if args.smoke else (STEPS[args.device], max(2, args.rounds))
    measures = [m for m in MEASURES if m != "compile" or not (args.no_compile or args.smoke)]
    full = frozenset(measures) - ({"bf16"} if slow_bf16(args.device) else set())

    images = data.load("scenes", count=8 * batch, seed=args.seed)
    pictures, stream = Pictures(images.images), batches(images, batch, seed=args.seed, device=args.device)
    built = {}  # settings that differ in their loop alone share a model, so that it is compiled once
    loops = {}
    for setting in (*wanted(measures, full), "minimim"):
        those = full if setting == "minimim" else setting
        model = those & {"visible", "compile"}
        if model not in built:
            built[model] = build(size, model, args.device)
        loop = Ours if setting == "minimim" else Loop
        loops[setting] = loop(those, built[model], batch, WORKERS[args.device], pictures, stream)
    print(f"MAE {size}/{PATCH_SIZE} at {IMAGE_SIZE}, batch {batch}, {len(loops)} settings; each first warms up and compiles")
    for setting, loop in loops.items():
        print(f"  {spelt(setting)}: {1000 * turn(loop, 1):.1f} ms")
    taken, order = {setting: [] for setting in loops}, deque(loops)
    for number in range(rounds):
        for setting in order:
            taken[setting].append(turn(loops[setting], steps))
        order.rotate(-1)  # so that none always follows the same other
        if number == 0:
            continue  # one round has no quartiles
        about = {"size": size, "patch_size": PATCH_SIZE, "image_size": IMAGE_SIZE, "batch": batch, "steps_a_turn": steps}
        about |= {"workers": WORKERS[args.device], "rounds": number + 1}
        rates = {spelt(setting): batch / statistics.median(t) for setting, t in taken.items()}
        result = gains(taken, measures, full)
        results = {"device": kind(args.device), **about, **result, "images_per_second": rates}
        write("speed", args.device, args.seed, results, args.out)
    show(result)


if __name__ == "__main__":
    main()
