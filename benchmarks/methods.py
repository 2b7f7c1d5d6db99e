"""Does every method learn? Each of the registry on the same images, encoder, number of images seen and batch, with floors beside it.

    python benchmarks/methods.py                          every method, seed 0, on scenes: hours on two CPU cores
    python benchmarks/methods.py --methods mae beit --seeds 0 1 2
    python benchmarks/methods.py --data cifar10 --device cuda
    python benchmarks/methods.py --precision bf16         three times as fast on a CPU with AVX512 for bf16
    python benchmarks/methods.py --methods mae --ratio 0.5
    python benchmarks/methods.py --methods ibot --without centring    a safeguard taken out: those of benchmarks/safeguards.py
    python benchmarks/methods.py --time                   how long a step of each takes: with nothing else running
    python benchmarks/methods.py --table                  only the table and the picture of what is there
    python benchmarks/methods.py --smoke                  tiny, to see that it works

For each method three learning rates (the recipe's own, 2e-3 and 8e-3, for 256 images a step) are tried for half of the steps and
judged, by the linear probe, on images of the train part that nothing else sees; the best one makes the whole run, which is measured on
the test part. A whole run whose linear probe is not two standard errors above its encoder's random weights, each read at its best
block and pooling, is made again four times as long, at that rate or at 2e-3, the higher one first, and at the other where that does not
beat them either; the validation part says which of the two counts. Seeds after the first, other ratios and options, and methods without
a safeguard take the rate that the method itself was given with the first seed, and make whole runs only; so do runs of more steps, whose
rates are tried for half of those.
Each run is a line of the results as soon as it ends, and a run whose line is there is not made again: stop and start at will.
"""

import argparse
import ast
import csv
import statistics
import time
from dataclasses import replace
from pathlib import Path

import torch
from machine import RESULTS, kind, machine, version, wait
from methods_measure import BATCH, Images, best_place, gflops, head_std, judged, measured, untrained
from safeguards import SAFEGUARDS, take_out

from minimim import evaluate, methods
from minimim.draws import mix
from minimim.errors import UserError, unknown
from minimim.train import train
from minimim.train.processes import pick_device, precision

SIZE = {"patch_size": 4, "size": "micro"}
RATES = (None, 2e-3, 8e-3)  # None is the recipe's own
STEPS = 600
COLUMNS = [  # new ones at the end: older lines are then shorter, and stay right
    "data", "method", "section", "seed", "stage", "steps", "lr", "chosen_by", "linear", "linear_se", "random_linear", "random_se", "knn",
    "shots20", "shots20_sd", "miou", "miou_se", "place_r2", "effective_rank", "std", "loss_first", "loss_last", "seconds",
    "gflops_a_step", "teacher", "machine", "torch", "best_at", "best_linear", "best_se", "random_best_at", "random_best", "precision", "variant", "head_std", "random_head_std",
]  # fmt: skip
FIRST = 0  # the seed with which rates are tried


class Results:
    """The lines of a file, one a run. A line is written in one piece, so several commands may write to one file."""

    def __init__(self, path: Path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        if lines[:1] != [",".join(COLUMNS) + "\n"]:
            path.write_text(",".join(COLUMNS) + "\n" + "".join(lines[1:]))

    def rows(self) -> list[dict]:
        with self.path.open(newline="") as file:
            return list(csv.DictReader(file, restval=""))

    def find(self, **what) -> list[dict]:
        return [row for row in self.rows() if all(row[key] == str(value) for key, value in what.items())]

    def add(self, row: dict) -> None:
        values = [f"{value:.5g}" if isinstance(value, float) else str(value) for value in (row.get(name, "") for name in COLUMNS)]
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerow(values)


class Variant:
    """A method as it is, with other options, or without one of its safeguards; `words` name it in the results."""

    def __init__(self, ratio: float | None = None, without: str | None = None, options: list[str] = ()):
        self.options = dict(one.split("=", 1) for one in options) | ({} if ratio is None else {"mask_ratio": str(ratio)})
        self.without = without
        said = [f"{key}={value}" for key, value in self.options.items()] + ([f"without {without}"] if without else [])
        self.words = ", ".join(said)

    def create(self, name: str, images: Images):
        options = {key: read_option(name, key, value) for key, value in self.options.items()}
        method = methods.create(name, image_size=tuple(images.seen.images.shape[-2:]), **SIZE, **options)
        if self.without:
            take_out(self.without, name, method)
        return method


def read_option(name: str, key: str, text: str):
    """The value of a method's option as Python reads it. Raises UserError for an option that is not there."""
    if key not in methods.options(name):
        raise unknown(f"option of {name}", key, methods.options(name))
    return ast.literal_eval(text)


def pretrain(name: str, images: Images, seed: int, steps: int, lr: float | None, how: dict, variant: Variant):
    """A method after so many steps, and what its run told. how: on which device and in which precision."""
    torch.manual_seed(mix(seed))
    method = variant.create(name, images)
    config = replace(method.defaults, epochs=steps * BATCH / len(images.seen), batch_size=BATCH, seed=seed, log_every=max(1, steps // 20), **how)
    run = train(method, images.seen, config if lr is None else replace(config, lr=lr), bar=False)
    if not run.finished:
        raise SystemExit(130)  # stopped by hand: no line, and the next call makes this run anew
    return method.eval(), {"loss_first": run.history[0]["loss"], "loss_last": run.history[-1]["loss"], "seconds": run.seconds, "lr": lr or config.lr}


def whole_run(name: str, images: Images, seed: int, steps: int, lr: float, how: dict, stage: str, variant: Variant) -> dict:
    """Pretrain once and measure everything."""
    method, told = pretrain(name, images, seed, steps, lr, how, variant)
    pair = tuple(evaluate.extract(method.encoder, part) for part in (images.labelled, images.test))
    at, best = best_place(method.encoder, images.labelled, images.test)
    told |= judged(method, images) | {"best_at": at, "best_linear": best.value, "best_se": best.stderr}
    random, some = methods.anew(method, mix(seed)).eval(), images.test.take(slice(0, 2000))
    told |= untrained(random.encoder, images) | {"head_std": head_std(method, some), "random_head_std": head_std(random, some)}
    row = measured(pair, method.encoder, images) | told | {"stage": stage, "steps": steps}
    return row | {"gflops_a_step": gflops(method, images), "teacher": getattr(method.teacher, "saw", "")}


def one_method(name: str, images: Images, seed: int, steps: int, how: dict, results: Results, variant: Variant, plain: bool) -> None:
    """Try the rates, run the best, and run it longer where it does not beat its random weights. plain: the first seed, of the usual
    length, and nothing changed; otherwise whole runs are all that is made, at a rate that was tried already where there is one."""
    same = {"data": images.name, "method": name, "section": methods.RECIPES[name].section, "seed": seed, "variant": variant.words}
    same |= {"machine": machine(how["device"]), "torch": version("torch"), "precision": how["precision"]}
    key = {"data": images.name, "method": name, "precision": how["precision"]}
    best = rate_of(name, images, steps, how, results, key, same)
    runs = [("whole", steps, best)]
    # what learns slowly looks best where it has hardly moved: the longer run is made at a rate at which it does move, and then at the best
    runs += [("again", 4 * steps, rate) for rate in sorted({best, RATES[1]}, reverse=True) if plain]
    key |= {"seed": seed, "variant": variant.words}
    for stage, length, rate in runs:
        if stage == "again" and any(learnt(row) for row in results.find(**key) if row["stage"] == "again" or int(row["steps"]) == steps):
            return
        if not results.find(**key, stage=stage, steps=length, lr=f"{rate:.5g}"):
            row = whole_run(name, images, seed, length, rate, how, stage, variant)
            results.add(same | row)
            tell(name, row | {"variant": variant.words})


def rate_of(name: str, images: Images, steps: int, how: dict, results: Results, key: dict, same: dict) -> float:
    """The learning rate of a method's whole runs of so many steps: the best of those tried for half of them, with the first seed."""
    own = methods.create(name, image_size=tuple(images.seen.images.shape[-2:]), **SIZE).defaults.lr
    for rate in dict.fromkeys(rate or own for rate in RATES):
        if results.find(**key, stage="try", steps=steps // 2, lr=f"{rate:.5g}"):
            continue
        row = {"stage": "try", "steps": steps // 2, "lr": rate, "variant": "", "seed": FIRST}
        try:
            method, told = pretrain(name, images, FIRST, steps // 2, rate, how, Variant())
            row |= told | judged(method, images)
        except UserError as error:  # such as a loss that is not finite: this rate is too high
            row |= {"chosen_by": 0.0, "teacher": str(error)}
        results.add(same | row)
        tell(name, row)
    tried = results.find(**key, stage="try", steps=steps // 2)
    return float(max(tried, key=lambda row: float(row["chosen_by"]))["lr"])


def learnt(row: dict) -> bool:
    """Whether a run's linear probe is above its random weights, each at its best place, by two standard errors of the difference."""
    gap = float(row["best_linear"]) - float(row["random_best"])
    return gap > 2 * (float(row["best_se"]) ** 2 + float(row["random_se"]) ** 2) ** 0.5


def timed(name: str, images: Images, seed: int, how: dict, results: Results, steps: int = 20) -> None:
    """A line with the seconds of a training step: the median of so many, after five that warm up."""
    key = {"data": images.name, "method": name, "seed": seed, "stage": "time", "precision": how["precision"]}
    if not results.find(**key):
        method = methods.create(name, image_size=tuple(images.seen.images.shape[-2:]), **SIZE)
        config = replace(method.defaults, epochs=(steps + 5) * BATCH / len(images.seen), batch_size=BATCH, seed=seed, log_every=1, **how)
        history = train(method, images.seen, config, bar=False).history
        row = {"steps": steps, "seconds": statistics.median(BATCH / line["images_per_s"] for line in history[5:])}
        results.add(key | row | {"machine": machine(how["device"]), "torch": version("torch")})
        print(f"{name}: {row['seconds']:.3f} s a step", flush=True)


def floors(images: Images, seed: int, device, results: Results) -> None:
    """Raw pixels, the ViT's random weights, and the teacher that eva takes by default."""
    makers = {
        "raw pixels": lambda: (tuple(evaluate.raw_pixels(part) for part in (images.labelled, images.test)), None),
        "random init": lambda: of_encoder(methods.create("mae", image_size=tuple(images.seen.images.shape[-2:]), **SIZE).encoder.to(device)),
        "eva's teacher": lambda: of_encoder(taught(images, device)),
    }

    def of_encoder(encoder):
        return tuple(evaluate.extract(encoder.eval(), part) for part in (images.labelled, images.test)), encoder

    for name, make in makers.items():
        if not results.find(data=images.name, method=name, seed=seed):
            torch.manual_seed(mix(seed))
            row = measured(*make(), images) | {"stage": "floor"}
            results.add({"data": images.name, "method": name, "seed": seed, "machine": machine(device.type), "torch": version("torch")} | row)
            tell(name, row)


def taught(images: Images, device):
    """The frozen teacher of eva, its weights read."""
    teacher = methods.create("eva", image_size=tuple(images.seen.images.shape[-2:]), **SIZE).teacher
    teacher.prepare(images.seen)
    return teacher.encoder.to(device)


def tell(name: str, row: dict) -> None:
    """One line about a run."""
    said = [f"{key} {row[key]:.3f}" for key in ("chosen_by", "linear", "random_linear", "knn", "shots20", "miou", "effective_rank") if key in row]
    wait(row.get("device", "cpu"))
    name += f" {row['variant']}" if row.get("variant") else ""
    print(f"{time.strftime('%H:%M:%S')} {name}, {row['stage']}, lr {row.get('lr', 0) or 0:.3g}: {', '.join(said)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--methods", nargs="+", default=methods.names())
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--data", default="scenes")
    parser.add_argument("--steps", type=int, default=STEPS, help="of a whole run, 64 images each")
    parser.add_argument("--ratio", type=float, help="hide this fraction of the patches, in place of the recipe's")
    parser.add_argument("--option", nargs="+", default=[], metavar="NAME=VALUE", help="other options of the method, as Python writes them")
    parser.add_argument("--without", choices=sorted(SAFEGUARDS), help="take a safeguard out of the method")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", help="of the training: fp32 or bf16; the probes are always fp32")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("--time", action="store_true", help="train no method; only measure how long a step of each takes, with nothing else running")
    parser.add_argument("--table", action="store_true", help="run nothing; only the table and the picture of what is there")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, to see that it works")
    args = parser.parse_args()
    device = pick_device(args.device)
    how = {"device": device.type, "precision": {torch.bfloat16: "bf16", torch.float32: "fp32"}[precision(args.precision, device)]}
    results, variant = Results(args.out / f"methods-{kind(device.type)}.csv"), Variant(args.ratio, args.without, args.option)
    if not args.table:
        images = Images(args.data, args.smoke)
        for seed in args.seeds:
            if not args.time:
                floors(images, seed, device, results)
            for name in args.methods:
                if args.time:
                    timed(name, images, seed, how, results)
                else:
                    plain = seed == FIRST and args.steps == STEPS and not variant.words
                    one_method(name, images, seed, 4 if args.smoke else args.steps, how, results, variant, plain)
    from methods_table import draw, table  # the picture needs matplotlib, the runs do not

    text = table(results.rows())
    print(text)
    results.path.with_suffix(".md").write_text(text + "\n")
    draw(results.rows(), results.path.with_suffix(".png"))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(str(error)) from None
