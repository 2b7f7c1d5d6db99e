"""Which is faster on this machine, torch's fused attention or the plain products?

Once alone, forward and backward, by length and head width; and once in a whole training step of MAE micro/4 on images of 32
pixels, whose encoder reads 17 tokens and whose decoder reads 65.

    python benchmarks/attention.py            on a CPU some minutes
    python benchmarks/attention.py --smoke    tiny sizes, to see that it works

The two take turns, and the ratio is taken within each turn. layers.PLAIN_UP_TO is lower than these results alone suggest, because
in other measurements of a whole step, with torch's threads waiting less (minimim/threads.py), the plain products were slower at 65
tokens.
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from machine import RESULTS, kind, quartiles, seconds, write
from throughput import Step
from torch import Tensor

from minimim import data, layers, methods
from minimim.layers import attention_map

TOKENS = (17, 50, 65, 99, 129, 145, 197, 257)
WIDTHS = (16, 32, 64)
NUMBERS = {"cpu": 64 * 65 * 192, "cuda": 1024 * 197 * 768}  # in the queries of one call: batch × tokens × dim
HEADS = 4


def plain(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return attention_map(q, k) @ v


WAYS = {"fused": F.scaled_dot_product_attention, "plain": plain}


def step(attend, qkv: Tensor) -> None:
    """Forward and backward, with queries, keys and values as a block makes them: (B, T, 3, heads, d)."""
    mixed = attend(*qkv.permute(2, 0, 3, 1, 4).unbind(0)).transpose(1, 2).flatten(2)  # (B, T, D)
    mixed.backward(torch.ones_like(mixed))
    qkv.grad = None


def compare(tokens: int, width: int, dtype, device: str, rounds: int, numbers: int) -> dict:
    """Let the two take turns at one size."""
    batch = max(1, numbers // (tokens * HEADS * width))
    qkv = torch.randn(batch, tokens, 3, HEADS, width, device=device, dtype=dtype, requires_grad=True)
    taken = {name: [] for name in WAYS}
    for number in range(1 + rounds):  # the first is to warm up
        for name in sorted(WAYS, reverse=bool(number % 2)):
            took = seconds(lambda name=name: step(WAYS[name], qkv), device, 5)
            if number:
                taken[name].append(took)
    ratio = quartiles([fused / plain for fused, plain in zip(taken["fused"], taken["plain"], strict=True)])
    milliseconds = {name: 1e3 * quartiles(times)["median"] for name, times in taken.items()}
    return {"tokens": tokens, "head_width": width, "batch": batch, "milliseconds": milliseconds, "fused_to_plain": ratio}


def in_a_step(longest: int, rounds: int, device: str, batch: int) -> dict:
    """The time of a training step with fused attention alone, over that with the plain products for up to `longest` tokens."""
    torch.manual_seed(0)
    method = methods.create("mae", image_size=32, patch_size=4, size="micro").to(device).train()
    images, step = data.load("scenes", count=batch).images.to(device), Step(Loss(method), torch.float32)
    taken, limit = {name: [] for name in WAYS}, layers.PLAIN_UP_TO
    try:
        for number in range(1 + rounds):
            for name in sorted(WAYS, reverse=bool(number % 2)):
                layers.PLAIN_UP_TO = {"fused": 0, "plain": longest}[name]
                took = seconds(lambda: step(images), device, 4)
                if number:
                    taken[name].append(took)
    finally:
        layers.PLAIN_UP_TO = limit
    ratio = quartiles([mine / other for mine, other in zip(taken["fused"], taken["plain"], strict=True)])
    return {
        "plain_up_to": longest,
        "milliseconds": {n: 1e3 * quartiles(t)["median"] for n, t in taken.items()},
        "fused_to_plain": ratio,
    }


class Loss(torch.nn.Module):
    """A method whose result is its loss alone."""

    def __init__(self, method):
        super().__init__()
        self.method = method

    def forward(self, images: Tensor) -> Tensor:
        return self.method(images).loss


def main() -> None:
    parser = argparse.ArgumentParser(description="Time torch's fused attention beside the plain products.")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=["cpu", "cuda"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(1 if args.smoke else 2)
    rows = []
    for dtype in (torch.float32, torch.bfloat16):
        print(
            f"\n{str(dtype).removeprefix('torch.')}, {HEADS} heads: time of the fused kernel over that of the plain products"
        )
        for tokens in TOKENS[:2] if args.smoke else TOKENS:
            for width in WIDTHS[:1] if args.smoke else WIDTHS:
                numbers = 4096 if args.smoke else NUMBERS[args.device]
                row = compare(tokens, width, dtype, args.device, 3 if args.smoke else args.rounds, numbers)
                rows.append({"dtype": str(dtype).removeprefix("torch."), "heads": HEADS, **row})
                low, middle, high = (row["fused_to_plain"][part] for part in ("low", "median", "high"))
                print(
                    f"  {tokens:3} tokens, head width {width}, batch {row['batch']:3}: {middle:.2f} ({low:.2f} to {high:.2f})",
                    flush=True,
                )
    print("\na whole step in float32: time with the fused kernel alone over that with the plain products for short rows")
    whole = [
        in_a_step(longest, 2 if args.smoke else 2 * args.rounds, args.device, 4 if args.smoke else 64)
        for longest in (17, 65)
    ]
    for row in whole:
        low, middle, high = (row["fused_to_plain"][part] for part in ("low", "median", "high"))
        print(f"  plain up to {row['plain_up_to']} tokens: {middle:.3f} ({low:.3f} to {high:.3f})", flush=True)
    about = {"device": kind(args.device), "rounds": args.rounds, "measured": rows, "in_a_step": whole}
    write("attention", args.device, args.seed, about, args.out)


if __name__ == "__main__":
    main()
