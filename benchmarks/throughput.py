"""How fast is one training step of MAE, compared with other implementations? Forward, backward and AdamW, on normalised images.

    python benchmarks/throughput.py              all settings; on two CPU cores most of the time goes into compiling
    python benchmarks/throughput.py --smoke      tiny sizes, to see that it works

Ours and the peers take turns, A B C D, B C D A, …; a ratio is taken within each round, so that whatever else the machine
is doing hits both sides. Between the rounds one large matrix product is timed in the same precision; the
rate of the model's own operations is given as a fraction of its rate.
"""

import argparse
import statistics
from collections import deque
from pathlib import Path

import torch
from machine import RESULTS, kind, quartiles, seconds, write
from peers import Setting, build
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

SETTINGS = {
    "ViT-B/16 at 224": Setting(224, 16, "base", {"cpu": 4, "cuda": 256}),
    "ViT-T/4 at 32": Setting(32, 4, "tiny", {"cpu": 64, "cuda": 4096}, times=3),
}
SMOKE = {"micro/4 at 16": Setting(16, 4, "micro", {"cpu": 4, "cuda": 4})}
MODES = [(compiled, dtype) for compiled in (False, True) for dtype in (torch.float32, torch.bfloat16)]
SIDE = {"cpu": 1536, "cuda": 8192}  # of the matrices whose product is timed


def flops(model, images) -> int:
    """Operations of one training step for one image, forward and backward, in matrix products alone."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):  # the fused kernels hide theirs
        model(images).backward()
    model.zero_grad(set_to_none=True)
    return counter.get_total_flops() // len(images)


class Step:
    """One training step of one model, with the same optimiser for all."""

    def __init__(self, model, dtype):
        self.model, self.dtype = model, dtype
        learning = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(learning, lr=1e-5, betas=(0.9, 0.95), weight_decay=0.05, fused=True)

    def __call__(self, images) -> None:
        with torch.autocast(images.device.type, self.dtype, enabled=self.dtype != torch.float32):
            loss = self.model(images)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


def compete(models: dict, images, dtype, rounds: int, times: int) -> dict:
    """Let the models take turns: the images a second of each, the ratio of ours to each, and the rate of the matrix product."""
    device = images.device.type
    steps = {name: Step(model, dtype) for name, model in models.items()}
    square = torch.randn(2, SIDE[device], SIDE[device], device=device, dtype=dtype)
    first = {name: seconds(lambda step=step: step(images), device) for name, step in steps.items()}  # compiles
    for step in steps.values():
        step(images)
    taken, matmul = {name: [] for name in steps}, []
    order = deque(steps)
    for _ in range(rounds):
        matmul.append(seconds(lambda: square[0] @ square[1], device, 2))
        for name in order:
            taken[name].append(seconds(lambda step=steps[name]: step(images), device, times))
        order.rotate(-1)  # so that none always follows the same other
    ours = taken["minimim"]
    return {
        "images_per_second": {name: len(images) / statistics.median(t) for name, t in taken.items()},
        "ours_against": {
            name: quartiles([theirs / mine for mine, theirs in zip(ours, t, strict=True)])
            for name, t in taken.items()
            if name != "minimim"
        },
        "seconds_of_the_first_step": first,
        "matmul_per_second": 2 * SIDE[device] ** 3 / statistics.median(matmul),
        "rounds": rounds,
    }


def show(name: str, compiled: bool, dtype, batch: int, result: dict) -> None:
    """Print one setting in one mode."""
    how = f"{'compiled' if compiled else 'eager'} {str(dtype).removeprefix('torch.')}"
    print(f"\n{name}, {how}, batch {batch}")
    for peer, rate in result["images_per_second"].items():
        ratio = result["ours_against"].get(peer)
        words = f"   ours is {ratio['median']:.3f} times as fast ({ratio['low']:.3f} to {ratio['high']:.3f})" if ratio else ""
        print(f"  {peer:13} {rate:9.1f} images/s{words}")
    print(f"  ours does {result['share']:.0%} of the {result['matmul_per_second'] / 1e9:.0f} GFLOP/s of a large matrix product")


def main() -> None:
    parser = argparse.ArgumentParser(description="Time one training step of MAE, ours beside other implementations.")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=["cpu", "cuda"])
    parser.add_argument("--only", help="part of a setting's name")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, eager only")
    args = parser.parse_args()
    torch.set_num_threads(1 if args.smoke else 2)
    settings = SMOKE if args.smoke else {n: s for n, s in SETTINGS.items() if (args.only or "") in n}
    rounds = 2 if args.smoke else args.rounds
    measured = []
    for name, setting in settings.items():
        torch.manual_seed(args.seed)
        batch = setting.batch[args.device]
        images = torch.randn(batch, 3, setting.image_size, setting.image_size)
        models, absent = build(setting)
        work, images = flops(models["minimim"], images[:2]), images.to(args.device)
        for line in absent.values():
            print(line)
        models = {n: model.to(args.device).train() for n, model in models.items()}
        for compiled, dtype in MODES[: 2 if args.smoke else None]:
            if compiled:
                torch.compiler.reset()
                models = {n: model.compiled() for n, model in models.items()}
            times = 10 if args.device == "cuda" else setting.times
            result = compete(models, images, dtype, rounds, times)
            result["share"] = work * result["images_per_second"]["minimim"] / result["matmul_per_second"]
            show(name, compiled, dtype, batch, result)
            mode = {"setting": name, "compiled": compiled, "dtype": str(dtype).removeprefix("torch."), "batch": batch}
            measured.append({**mode, "flops_per_image": work, **result, "absent": absent})
            write("throughput", args.device, args.seed, {"device": kind(args.device), "measured": measured}, args.out)


if __name__ == "__main__":
    main()
