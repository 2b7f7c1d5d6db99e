"""Do a job stage by stage; a stage is stopped when the time is up, and the next call goes on with it."""

import json
import shutil
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median

import torch
from jobs import EQUAL, QUESTIONS, Job, special
from machine import keep, kind, write
from report import card, finished, known, other_settings, progress, small_checkpoint, stored

import minimim
from minimim import checkpoint, evaluate, methods
from minimim.commands.demo import peak_memory
from minimim.data.named import pack_file
from minimim.draws import mix
from minimim.errors import UserError
from minimim.evaluate.compare import scored
from minimim.presets import Preset, images_of
from minimim.train import train

POINTS = 60  # of the loss curve that are kept
PACKED = {
    "cifar10": "cifar10, JPEG copies",
    "tiny-imagenet-50": "tiny-imagenet-50: the original JPEGs of 50 of the 200 classes",
}
LOADED: dict[tuple, object] = {}


class Clock:
    """The minutes of this call; 0 has no end."""

    def __init__(self, minutes: float):
        self.minutes, self.began, self.started = minutes, time.monotonic(), 0

    def left(self) -> float:
        """Minutes that are left, as TrainConfig.max_minutes takes them: 0 has no end."""
        return max(1e-9, self.minutes - (time.monotonic() - self.began) / 60) if self.minutes else 0.0

    def start(self) -> bool:
        """Whether another stage may begin. The first always may; in the last fifth of the time none may, as not
        every stage can be stopped."""
        may = not self.minutes or not self.started or self.left() > self.minutes / 5
        self.started += may
        return may


@dataclass
class Work:
    """A job under way. folder: where it is kept; out: where its results go; record: what is known so far."""

    job: Job
    folder: Path
    out: Path
    device: str
    clock: Clock
    record: dict

    def go(self) -> bool:
        """Do the stages that are left. Returns False when the time was up or Ctrl-C was pressed."""
        for stage in self.job.stages:
            if stage not in self.record["done"]:
                if not self.clock.start():
                    return False
                print(f"{self.job.name}: {stage}", flush=True)
                if not self.timed(stage):
                    return False
        if self.job.at:
            shutil.rmtree(self.folder, ignore_errors=True)  # of a question's run only its row is kept
        return True

    def timed(self, stage: str) -> bool:
        """Do a stage, or a piece of it, and add up its time over all calls; publish it when it is done. Returns whether it is."""
        if self.job.base.train.compile:
            torch.compiler.reset()  # each stage compiles its own; together they would pass torch's limit
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        self.labelled()  # read once a call, and no part of what a stage takes
        self.count_killed(stage)
        self.record["under_way"] = kind(self.device)
        self.keep()
        began = time.monotonic()
        try:
            done = getattr(self, stage)()
        finally:
            self.count(stage, time.monotonic() - began, self.record.pop("under_way"))
            peaks = self.record["peak_memory_gib"]
            most = torch.cuda.max_memory_allocated() / 2**30 if self.device == "cuda" else (peak_memory() or 0) / 2**10
            peaks[stage] = max(peaks.get(stage, 0.0), round(most, 2))
            self.keep()  # this piece is counted even if publishing fails
        if done:
            self.record["done"].append(stage)
            publish = self.publish_row if self.job.at else self.publish
            publish()  # before it is noted as done, so that nothing noted is unpublished
            self.keep()
        return done

    def count(self, stage: str, seconds: float, kind: str) -> None:
        """Add the time of a piece to a stage's, and the kind of device that did it to its calls."""
        took = self.record["seconds"]
        took[stage] = round(took.get(stage, 0.0) + seconds, 1)
        self.record["calls"].setdefault(stage, []).append(kind)

    def count_killed(self, stage: str) -> None:
        """Count a piece that was killed, up to its last checkpoint, since what came after that is done again. It began when the
        record was last kept; the difference of the two files' times holds even where both were copied to another machine."""
        kind, saved = self.record.pop("under_way", None), self.folder / stage / checkpoint.NAME
        if kind and saved.exists():
            seconds = saved.stat().st_mtime - progress(self.folder).stat().st_mtime
            if seconds > 0:
                self.count(stage, seconds, kind)

    def keep(self) -> None:
        """Write the record into the job's folder."""
        keep(progress(self.folder), json.dumps(self.record))

    def pretrain(self) -> bool:
        """Train the method, and save its weights in half precision, in which they are evaluated."""
        base = self.job.base
        torch.manual_seed(mix(self.job.seed))
        method = methods.create(base.method, **base.sizes, **base.options)
        run = train(method, images(base, "train"), self.told(base.train), **self.place("pretrain"))
        if run.finished:
            minimim.save(small_checkpoint(self.folder), method, half=True, job=self.job.name, seed=self.job.seed)
            lines = [line for line in run.history if "loss" in line]
            self.record |= {
                "steps": run.total,
                "parameters": sum(p.numel() for p in method.parameters()),
                "images_per_s": round(median(line["images_per_s"] for line in lines), 1),
                "waiting": round(fmean(line["waiting"] for line in lines), 4),
                "loss": thinned([[line["step"], round(line["loss"], 4)] for line in lines]),
            }
        return run.finished

    def probe(self) -> bool:
        """Linear probe and k-NN on the pretrained encoder's features."""
        return self.score({"pretrained": tuple(evaluate.extract(self.method().encoder, those) for those in self.labelled())})

    def floors(self) -> bool:
        """Linear probe and k-NN of the baselines that have learnt nothing."""
        found = evaluate.floors(self.method(), *self.labelled(), seed=mix(self.job.seed))
        return self.score({name: found[name] for name in self.job.floors})

    def official(self) -> bool:
        """The linear probe as papers do it."""
        return self.learn("official", evaluate.official_probe, self.method(), self.job.base.probe)

    def finetune(self) -> bool:
        """Fine-tuning."""
        return self.learn("finetune", evaluate.finetune, self.method(), self.job.base.finetune)

    def scratch(self) -> bool:
        """Fine-tuning of the same encoder with its random start: the floor of fine-tuning."""
        base = self.job.base
        torch.manual_seed(mix(self.job.seed))
        return self.learn(
            "scratch", evaluate.finetune, methods.create(base.method, **base.sizes, **base.options), base.finetune
        )

    def learn(self, stage: str, evaluation, method, config) -> bool:
        """An evaluation that trains, and so can be stopped and resumed."""
        score = evaluation(method.encoder, *self.labelled(), self.told(config), **self.place(stage))
        if score is not None:
            self.record["figures"][stage] = rounded(score)
        return score is not None

    def score(self, pairs: dict) -> bool:
        """Add the scores of both cached probes, for pairs of features, to the record."""
        for name, rows in scored(pairs, self.device).items():
            self.record["scores"].setdefault(name, {}).update({row: rounded(score) for row, score in rows.items()})
        return True

    def method(self) -> methods.Method:
        """The pretrained method, as anybody loads it."""
        return minimim.load(small_checkpoint(self.folder)).to(self.device)

    def labelled(self) -> tuple:
        """The labelled images to train on, and those to test on."""
        found, count = images(self.job.base, "train"), self.job.labels
        if count:
            found = found.take(torch.randperm(len(found), generator=torch.Generator().manual_seed(0))[:count])
        return found, images(self.job.base, "test")

    def told(self, config):
        """A stage's settings, with this call's seed, device and time."""
        return replace(config, seed=self.job.seed, device=self.device, max_minutes=self.clock.left())

    def place(self, stage: str) -> dict:
        """Where a stage that trains is kept, and whether there is something to go on from."""
        out = self.folder / stage
        return {"out": out, "resume": (out / checkpoint.NAME).exists(), "bar": sys.stderr.isatty()}

    def publish(self) -> None:
        """Write the results of the job, and its card."""
        labels, tested = (len(those) for those in self.labelled())
        about = {"job": self.job.name, "data": source(self.job.base.data), "labels": labels, "test_images": tested}
        path = write(self.job.file, self.device, self.job.seed, {**about, **self.record}, self.out)
        weights = small_checkpoint(self.folder)
        keep(weights.with_suffix(".md"), card(json.loads(path.read_text()), weights))

    def publish_row(self) -> None:
        """Add a question's run to the results of all questions, once it is done; its folder is not needed any more."""
        job, record = self.job, self.record
        if set(job.stages) - set(record["done"]):
            return

        def figures(name: str) -> dict:
            return {probe: rows[name] for probe, rows in record["scores"].items()}

        row = {
            "at": job.at,
            "method": job.base.method,
            "options": job.base.options,
            "seed": job.seed,
            **figures("pretrained"),
        }
        same = ("preset", "steps", "parameters", "seconds", "calls", "peak_memory_gib", "images_per_s", "waiting", "loss")
        row |= {name: record[name] for name in same}
        row["floors"] = {name: figures(name) for name in job.floors}
        before = stored(self.out / f"{job.file}-{kind(self.device)}.json").get("runs", [])
        rows = [*(other for other in before if (other["at"], other["seed"]) != (job.at, job.seed)), row]
        labels, tested = (len(those) for those in self.labelled())
        about = {"equal": EQUAL, "data": source(job.base.data), "labels": labels, "test_images": tested}
        about["questions"] = {
            name: {words: special(change) for words, change in those.items()} for name, those in QUESTIONS.items()
        }
        write(job.file, self.device, rows[0]["seed"], {**about, "runs": rows}, self.out)


def begin(job: Job, runs: Path, out: Path, device: str, clock: Clock) -> Work:
    """A job as it stands: done, under way, or not begun. Raises UserError where it was begun with another seed or preset."""
    record = {"seed": job.seed, "preset": job.settings, "done": [], "calls": {}, "seconds": {}, "peak_memory_gib": {}}
    record |= {"scores": {}, "figures": {}}
    other = other_settings(job, finished(job, out, kind(device)))
    if other:
        print(f"{job.name}: done anew, as its results are stored under other settings ({other})", flush=True)
    record |= known(job, runs, out, kind(device))
    if record["seed"] != job.seed:
        raise UserError(
            f"{job.name} was begun with seed {record['seed']}: for another, choose another --runs and another --out"
        )
    other = other_settings(job, record)
    if other:
        raise UserError(f"{job.name} was begun with {other}: choose another --runs, or remove {runs / job.name}")
    return Work(job, runs / job.name, out, device, clock, record)


def thinned(curve: list) -> list:
    """At most POINTS of a curve's points, evenly apart, and its last."""
    return [*curve[: -1 : -(-len(curve) // (POINTS - 1))], curve[-1]]


def rounded(score) -> list[float]:
    """An accuracy and its standard error."""
    return [round(score.value, 4), round(score.stderr, 4)]


def images(base: Preset, split: str):
    """Labelled images, read once a call."""
    key = (base.data, base.image_size, base.count, split)
    if key not in LOADED:
        LOADED[key] = images_of(base, split)
    return LOADED[key]


def source(name: str) -> str:
    """What the images are, in words: the original set, or the content of a pack of it."""
    return PACKED[name] if pack_file(name, "train") else name
