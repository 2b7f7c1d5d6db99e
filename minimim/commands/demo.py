"""minimim demo: from nothing to a pretrained and probed encoder, and a page that shows it."""

import os
import platform
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor

from minimim import checkpoint, evaluate, methods
from minimim.commands.probe import write_json
from minimim.config import TrainConfig, option
from minimim.draws import mix
from minimim.errors import UserError
from minimim.evaluate.compare import Scores
from minimim.methods import Method
from minimim.presets import images_of, preset
from minimim.prompt import typed
from minimim.show import fill_in, filling, report
from minimim.train import train
from minimim.train.loop import Run
from minimim.train.processes import pick_device
from minimim.train.state import decisive

LABELLED = 10_000  # training images whose labels the probes may see
RESULTS = "results.json"  # written last of all
ROWS = ("pretrained", "random_init", "raw_pixels")
MEANING = {
    "pretrained": "the encoder, pretrained without labels",
    "random_init": "the same encoder with random weights",
    "raw_pixels": "no encoder: the pixels themselves",
}


@dataclass
class Demo:
    """Pretrain a small masked autoencoder on the bundled scenes, probe it beside its baselines, and write report.html. Needs
    neither a GPU nor a network. After Ctrl-C, the same command goes on where it stopped."""

    seed: int = option(0, "random seed of the weights, the masks and the order of the images")
    out: str = option("", "folder for report.html, results.json and the checkpoint (runs/demo, or runs/demo-fast)")
    preset: str = option("demo", "the preset to run; its data must have labels")
    fast: bool = option(False, "shorten it to about a minute on a CPU, to see that it works; the figures are then worth nothing")
    device: str = option("auto", "auto, cpu, cuda or mps")
    tensorboard: bool = option(False, "also write curves and filled-in pictures for TensorBoard: tensorboard --logdir shows them")

    def run(self) -> int:
        """Run all four parts; print the table and where the report is."""
        out, seconds = Path(self.out or "runs/demo" + "-fast" * self.fast), {}
        pick_device(self.device)  # a device that is not there is told before the images are drawn
        base = preset(self.preset, self.fast)
        config = replace(base.train, seed=self.seed, device=self.device, tensorboard=self.tensorboard)

        say(f"1/4  images: {base.data}")
        with timed(seconds, "data"):
            images, test = images_of(base, "train"), images_of(base, "test")

        say(f"2/4  pretraining {base.method} ({base.size}) on {len(images):,} images without their labels, seed {self.seed}")
        torch.manual_seed(mix(self.seed))
        sizes = {"image_size": base.image_size, "patch_size": base.patch_size, "size": base.size}
        method = methods.create(base.method, **sizes, **base.options)
        resume = goes_on(out, method, config)
        with timed(seconds, "pretrain"):
            run = train(method, images, config, out=out, resume=resume, pictures=filling(images) if self.tensorboard else None)
        if not run.finished:
            say(f"stopped after {run.steps} of {run.total} steps: the same command goes on from there")
            return 130

        labelled = images.take(some(len(images), base.data))
        say(f"3/4  probing with {len(labelled):,} labels: linear probe and k-NN, on the encoder, the same encoder with random weights, and raw pixels")
        with timed(seconds, "evaluate"):
            scores = evaluate.compare(method, labelled, test, seed=mix(self.seed))
        say("4/4  pictures and report")
        with timed(seconds, "report"):
            results = self.results(scores, run, seconds, resume, len(labelled))
            write(out / "report.html", self.report(method, test, run, scores, results))
        results["seconds"] = {name: round(value, 1) for name, value in seconds.items()}
        write_json(str(out / RESULTS), results)
        print(f"\n{evaluate.table(scores)}\n\nthe report: {out / 'report.html'}")
        return 0

    def results(self, scores: Scores, run: Run, seconds: dict, resumed: bool, labels: int) -> dict:
        """Everything that was measured, and how."""
        rows = {kind: {name: round(scores[kind][name].value, 4) for name in ROWS} for kind in scores}
        return {
            **rows,
            "stderr": {kind: {name: round(scores[kind][name].stderr, 4) for name in ROWS} for kind in scores},
            "seconds": dict(seconds),
            "resumed": resumed,
            "labels": labels,
            "peak_memory_mib": peak_memory(),
            "steps": run.total,
            "final_loss": run.history[-1]["loss"],
            "command": typed("minimim", "demo", "--seed", str(self.seed), *self.words()),
            "seed": self.seed,
            "preset": asdict(preset(self.preset, self.fast)),
            "machine": {"device": str(self.device), "cores": os.cpu_count(), "system": platform.system(), "chip": platform.machine()},
            "versions": {name: version(name) for name in ("minimim", "torch", "torchvision", "numpy")}
            | {"python": platform.python_version()},
        }

    def words(self) -> list[str]:
        """The options, besides the seed, that make the figures what they are."""
        return [*(["--preset", self.preset] if self.preset != "demo" else []), *["--fast"] * self.fast]

    def report(self, method: Method, test, run: Run, scores: Scores, results: dict) -> str:
        """The page."""
        picks = test.take(slice(0, 8))
        filled = fill_in(method, picks.images, generator=torch.Generator(next(method.parameters()).device).manual_seed(self.seed))
        rows = [[MEANING[name], *(str(scores[kind][name]) for kind in scores)] for name in ROWS]
        ahead = scores["linear_probe"]["pretrained"].value - max(scores["linear_probe"][name].value for name in ROWS[1:])
        parts = [[name, f"{value:.0f} s"] for name, value in results["seconds"].items() if name != "report"]
        versions = ", ".join(f"{name} {number}" for name, number in results["versions"].items())
        return report.page(
            "A masked autoencoder, pretrained and probed",
            [
                ("Filled in", report.filled_rows(filled) + "<p>The model was not trained on these eight scenes.</p>"),
                (
                    "How good the features are",
                    report.table(["accuracy on test images", "linear probe", "k-NN"], rows, best=0)
                    + f"<p>Ten classes, {results['labels']:,} labels, {len(test):,} test images; ± is one standard error. The linear probe on the pretrained "
                    f"encoder is {100 * ahead:.1f} points above the better of the two baselines. All three were measured in the same way.</p>",
                ),
                ("Loss", report.curve(run.history)),
                (
                    "How",
                    report.table(["part", "time"], parts)
                    + f"<p><code>{results['command']}</code>, seed {self.seed}, {run.total:,} steps, "
                    f"{results['machine']['cores']} cores, peak memory {results['peak_memory_mib']:,} MiB; {versions}.</p>",
                ),
            ],
        )


def goes_on(out: Path, method: Method, config: TrainConfig) -> bool:
    """Whether this demo was begun in a folder and stopped before its end. A finished demo, with whatever seed, is removed to make
    room for the new one.

    Raises UserError where the folder holds another run.
    """
    if not (out / checkpoint.NAME).exists():
        return False
    try:
        then = checkpoint.description(out)
    except UserError as error:
        raise UserError(f"{error}; move it away, or choose another --out") from error
    was, asked = decisive(then), decisive({"spec": method.spec, "config": asdict(config)})
    other = {name for name in asked if was[name] != asked[name]}
    if not other - {"seed"} and (out / RESULTS).exists():
        for name in (checkpoint.NAME, RESULTS):
            (out / name).unlink()
        return False
    if other:
        raise UserError(f"{out} already holds a run with another {min(other)} than this demo's: move it away, or choose another --out")
    return True


def some(count: int, name: str) -> slice | Tensor:
    """Which images' labels the probes may see. Scenes are drawn in random order, so the first are as good as any; other sets may be
    sorted by class."""
    if name == "scenes":
        return slice(0, LABELLED)
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))[:LABELLED]


def peak_memory() -> int | None:
    """The most memory that this process has used, in MiB, or None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(most / 2**20) if sys.platform == "darwin" else round(most / 2**10)


@contextmanager
def timed(seconds: dict, name: str):
    """Note how long a part took."""
    began = time.monotonic()
    yield
    seconds[name] = time.monotonic() - began


def say(text: str) -> None:
    """Print a line without delay."""
    print(text, flush=True)


def write(path: Path, text: str) -> None:
    """Write a text file. Raises UserError where that cannot be."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error}; choose another --out") from error
