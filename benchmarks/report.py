"""What is known of the jobs, and how it is told: a list of what is done, a table of the results, a card for each checkpoint."""

import json
import shutil
from pathlib import Path
from statistics import fmean

from jobs import QUESTIONS, STAGES, Job, special

LIMIT = 12e6  # bytes of a checkpoint that goes into the repository
TERMS = {
    "cifar10": "CIFAR-10 (Krizhevsky, 2009). Its owners state no licence: look at their terms before you do more than study with it.",
    "tiny-imagenet-50": "a part of Tiny-ImageNet. ImageNet's terms hold: non-commercial research and education only, and the images are not handed on.",
    "scenes": "drawn from Fashion-MNIST (Zalando), MIT License.",
}
COLUMNS = ("what", "machine", "labels", "linear probe", "k-NN", "official probe", "fine-tuned", "from scratch")
COLUMNS += ("random encoder: linear, k-NN", "raw pixels: linear, k-NN", "seconds: pretraining, all")


def stored(path: Path) -> dict:
    """A JSON file's content, or nothing."""
    return json.loads(path.read_text()) if path.is_file() else {}


def progress(folder: Path) -> Path:
    """The file in which a job under way keeps what is known of it."""
    return folder / "progress.json"


def small_checkpoint(folder: Path) -> Path:
    """The weights that a job gives away."""
    return folder / f"{folder.name}.safetensors"


def known(job: Job, runs: Path, out: Path, kind: str) -> dict:
    """The record of a job: all of it from the results of this kind of device, else what its folder says, else nothing."""
    results = stored(out / f"{job.file}-{kind}.json")
    if job.at:
        rows = [row for row in results.get("runs", []) if (row["at"], row["seed"]) == (job.at, job.seed)]
        return {**rows[0], "done": list(job.stages)} if rows else stored(progress(runs / job.name))
    return results if set(job.stages) <= set(results.get("done", [])) else stored(progress(runs / job.name))


def results_of(job: Job, out: Path) -> list[dict]:
    """What the results of every kind of device say of a job, the kind among it."""
    found = []
    for path in sorted(out.glob(f"{job.file}-*.json")):
        content, kind = stored(path), path.stem.removeprefix(f"{job.file}-")
        if job.at:
            found += [{**content, **row, "kind": kind} for row in content.get("runs", []) if row["at"] == job.at]
        elif content.get("job") == job.name:
            found.append({**content, "kind": kind})
    return found


# The list


def listing(jobs: list[Job], runs: Path, out: Path, device: str, kind: str) -> str:
    """A line for each job, with what is done of each stage; one for each setting of the questions."""
    lines = []
    for job in (job for job in jobs if not job.at):
        record = known(job, runs, out, kind)
        lines.append(f"{job.name:20} {', '.join(f'{stage} {state(job, stage, record, runs)}' for stage in job.stages)}{elsewhere(job, out, device)}")
    settings = list(dict.fromkeys(job.at for job in jobs if job.at))
    if settings:
        lines.append("questions, 100 epochs each:")
    for at in settings:
        those = [job for job in jobs if job.at == at]
        told = ", ".join(f"seed {job.seed} {state(job, job.stages[-1], known(job, runs, out, kind), runs)}" for job in those)
        lines.append(f"  {at:26} {told}{elsewhere(those[0], out, device)}")
    return "\n".join(lines)


def state(job: Job, stage: str, record: dict, runs: Path) -> str:
    """How far a stage is."""
    if stage in record.get("done", []):
        return "done"
    configs = {"pretrain": job.base.train, "official": job.base.probe, "finetune": job.base.finetune, "scratch": job.base.finetune}
    lines = runs / job.name / ("pretrain" if job.at else stage) / "metrics.jsonl"
    if not lines.is_file():
        return "-"
    told = lines.read_text().splitlines()
    share = json.loads(told[-1])["epoch"] / configs["pretrain" if job.at else stage].epochs if told else 0.0
    return f"{min(share, 1.0):.0%}" + " trained" * bool(job.at)
