"""Reports on the jobs: a list of what is done, a table of the results, a card for each checkpoint."""

import json
import shutil
from pathlib import Path
from statistics import fmean

from jobs import FLOORS, TRAINED, Job, settings

from minimim.errors import UserError
from minimim.train.logbook import read_metrics
from minimim.train.state import FREE

LOOSE = FREE | {"precision"}  # settings that the machine may choose: results under others are the same job's
LIMIT = 12e6  # bytes of a checkpoint that goes into the repository
TERMS = {
    "cifar10": "CIFAR-10 is by Krizhevsky (2009). Its owners state no licence: look at their terms before you do more than study with it.",
    "tiny-imagenet-50": "A part of Tiny-ImageNet. ImageNet's terms: non-commercial research and education only, and no handing on.",
    "scenes": "They are drawn from Fashion-MNIST (Zalando), MIT License.",
}
COLUMNS = ("what", "machine", "labels", "linear probe", "k-NN", "official probe", "fine-tuned", "from scratch")
COLUMNS += ("random encoder: linear, k-NN", "raw pixels: linear, k-NN", "seconds: pretraining, all")


def stored(path: Path) -> dict:
    """A JSON file's content, {} where there is no file. Raises UserError for a damaged one."""
    try:
        return json.loads(path.read_text()) if path.is_file() else {}
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path} is not whole JSON ({error}): put a whole copy in its place, or remove it to have its jobs done again"
        ) from error


def progress(folder: Path) -> Path:
    """The file with the record of a job under way."""
    return folder / "progress.json"


def small_checkpoint(folder: Path) -> Path:
    """The file of the weights that a job gives away."""
    return folder / f"{folder.name}.safetensors"


def known(job: Job, runs: Path, out: Path, kind: str) -> dict:
    """The record of a job: from the results of this kind of device, where these have its settings; else from its folder; else
    {}."""
    results = finished(job, out, kind)
    return results if results and not other_settings(job, results) else stored(progress(runs / job.name))


def finished(job: Job, out: Path, kind: str) -> dict:
    """The results of a job on this kind of device, if they are complete; else {}."""
    results = stored(out / f"{job.file}-{kind}.json")
    if job.at:
        rows = [row for row in results.get("runs", []) if (row["at"], row["seed"]) == (job.at, job.seed)]
        return {**rows[0], "done": list(job.stages)} if rows else {}
    return results if results.get("job") == job.name and set(job.stages) <= set(results["done"]) else {}


def other_settings(job: Job, record: dict) -> str:
    """The first difference of a record's preset from the job's present one, as "train.lr=0.008, not 0.004"; empty without one.
    A setting that is newer than the record does not count."""
    was, now = (flat(preset) for preset in (record.get("preset", {}), job.settings))
    return next((f"{name}={was[name]}, not {now[name]}" for name in was if name in now and was[name] != now[name]), "")


def flat(preset: dict) -> dict:
    """A preset's settings as a flat dict, without those that the machine may choose."""
    found = {name: value for name, value in preset.items() if name not in TRAINED}
    for stage in TRAINED:
        found |= {f"{stage}.{name}": value for name, value in preset.get(stage, {}).items() if name not in LOOSE}
    return found


def results_of(job: Job, out: Path) -> list[dict]:
    """The results of a job on every kind of device, with the kind."""
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
    for job in jobs:
        if not job.at:
            record = known(job, runs, out, kind)
            told = ", ".join(f"{stage} {state(job, stage, record, runs)}" for stage in job.stages)
            lines.append(f"{job.name:24} {told}{bracketed(aged(job, record, out, kind) + remarks(job, out, device))}")
    asked: dict[str, list[Job]] = {}
    for job in jobs:
        if job.at:
            asked.setdefault(job.at, []).append(job)
    for at, those in asked.items():
        if at == next(iter(asked)):
            lines.append(f"questions, {those[0].base.train.epochs:g} epochs each{bracketed(remarks(those[0], out, device))}")
        told = []
        for job in those:
            record = known(job, runs, out, kind)
            pretrained = state(job, "pretrain", record, runs)
            whole = set(job.stages) <= set(record.get("done", []))
            pretrained = "pretrained" if pretrained == "done" and not whole else pretrained
            told.append(f"seed {job.seed} {pretrained}{bracketed(aged(job, record, out, kind))}")
        lines.append(f"  {at:26} {', '.join(told)}")
    return "\n".join(lines)


def state(job: Job, stage: str, record: dict, runs: Path) -> str:
    """How far a stage has come, in a word."""
    if stage in record.get("done", []):
        return "done"
    lines = read_metrics(runs / job.name / stage)
    if not lines:
        return "begun" if stage in record.get("calls", {}) else "-"
    configs = {"pretrain": job.base.train, "official": job.base.probe}
    return f"{min(1.0, lines[-1]['epoch'] / configs.get(stage, job.base.finetune).epochs):.0%}"


def aged(job: Job, record: dict, out: Path, kind: str) -> list[str]:
    """What does not count of a job, because its settings have changed since."""
    notes = {"stored": finished(job, out, kind), "begun": record}
    return [f"{word} under other settings" for word, those in notes.items() if other_settings(job, those)]


def bracketed(notes: list[str]) -> str:
    """Remarks at a line's end."""
    return f" ({'; '.join(notes)})" if notes else ""


def remarks(job: Job, out: Path, device: str) -> list[str]:
    """Where there are results of a job, and why it is not done here."""
    kinds = sorted({result["kind"] for result in results_of(job, out)})
    notes = [f"results: {', '.join(kinds)}"] if kinds else []
    if no_gpu(job, kinds):
        notes.append("not run on a GPU")
    reason = job.why_not(device)
    return notes + ([f"skipped here: {reason}"] if reason else [])


def no_gpu(job: Job, kinds) -> bool:
    """Whether a job that is for a GPU has not been run on one."""
    return job.device == "cuda" and not set(kinds) - {"cpu"}


# The table


def table(jobs: list[Job], out: Path) -> str:
    """Markdown: a row for each job and kind of device, and for each setting of the questions, with those that were not run."""
    rows, missing, each = [], [], {}
    for job in jobs:
        each.setdefault(job.at or job.name, job)
    for job in each.values():
        results = results_of(job, out)
        kinds = sorted({result["kind"] for result in results})
        rows += [row(job, [result for result in results if result["kind"] == kind]) for kind in kinds]
        if not kinds or no_gpu(job, kinds):
            missing.append([title(job), "not run" + " on a GPU" * (job.device == "cuda")])
    questions = [words for words in missing if words[0].startswith("question: ")]
    if len(questions) == len(settings()):
        missing = [words for words in missing if words not in questions] + [
            [f"questions: {len(questions)} settings", questions[0][1]]
        ]
    rows += [words + [""] * (len(COLUMNS) - len(words)) for words in missing]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (COLUMNS, ["---"] * len(COLUMNS), *rows))


def title(job: Job) -> str:
    """A job in the words of the table."""
    return f"question: {job.at}" if job.at else job.name


def row(job: Job, results: list[dict]) -> list[str]:
    """The cells of one row; several results are the seeds of a question's run."""
    first, seeds = results[0], f", {len(results)} seed{'s' * (len(results) > 1)}" if job.at else ""
    if job.at:
        beside = [other for other in first["runs"] if other["floors"]]
        floors = {
            name: other["floors"][name]
            for name in FLOORS
            for other in beside
            if name in other["floors"] and fits(name, other, first)
        }
        measured = {name: [fmean(result[name][i] for result in results) for i in (0, 1)] for name in ("linear_probe", "knn")}
    else:
        floors = {name: {probe: rows[name] for probe, rows in first["scores"].items() if name in rows} for name in FLOORS}
        measured = {name: rows["pretrained"] for name, rows in first["scores"].items()} | first["figures"]
    named = ("linear_probe", "knn", "official", "finetune", "scratch")
    low = [
        ", ".join(f"{floors[name][probe][0]:.3f}" for probe in ("linear_probe", "knn")) if floors.get(name) else "–"
        for name in FLOORS
    ]
    took = [
        fmean(result["seconds"]["pretrain"] for result in results),
        fmean(sum(result["seconds"].values()) for result in results),
    ]
    cells = [figure(measured[name]) if name in measured else "–" for name in named]
    return [
        title(job) + seeds,
        machines(results),
        f"{first['labels']:,}",
        *cells,
        *low,
        ", ".join(f"{seconds:,.0f}" for seconds in took),
    ]


def machines(results: list[dict]) -> str:
    """The machine that came last, and every kind of device that did a piece, where there are several."""
    kinds = sorted({kind for result in results for calls in result.get("calls", {}).values() for kind in calls})
    return results[0]["machine"] + (f" (pieces on {', '.join(kinds)})" if len(kinds) > 1 else "")


def fits(floor: str, other: dict, run: dict) -> bool:
    """Whether a floor that one run of the questions measured is another's too: pixels are the same for all, encoders by method."""
    return floor == "raw_pixels" or other["method"] == run["method"]


def figure(pair: list[float]) -> str:
    """An accuracy with its standard error."""
    return f"{pair[0]:.3f} ± {pair[1]:.3f}"


# The card


def card(results: dict, weights: Path) -> str:
    """What a checkpoint is, in markdown, from the results of its job."""
    preset, side, batch = results["preset"], results["preset"]["image_size"], results["preset"]["train"]["batch_size"]
    options = ", ".join(f"{option}={value}" for option, value in preset["options"].items()) or "the recipe's own"
    pieces = len(results["calls"]["pretrain"])
    return f"""# {results["job"]}: {preset["method"]} on {preset["data"]}

An encoder pretrained without labels, and its decoder: recipe {preset["method"]}, ViT {preset["size"]}/{preset["patch_size"]}, {side}×{side} pixels,
options: {options}. {results["parameters"]:,} parameters, kept in half precision: {weights.stat().st_size / 1e6:.1f} MB.

```python
import minimim
encoder = minimim.load("{weights.name}").encoder  # in fp32 again
features = encoder.features(images)  # (B, 3, {side}, {side}) uint8 → (B, D)
```

- Made by `{results["command"]}`, seed {results["seed"]}: {results["steps"]:,} steps of {batch} images,
  {results["seconds"]["pretrain"]:,.0f} s in {pieces} piece{"s" * (pieces > 1)} on {machines([results])}; minimim {results["versions"]["minimim"]}, torch {results["versions"]["torch"]}.
- Images: {results["data"]}. {TERMS[preset["data"]]}
- Limits: made to be studied. One seed, one small set, images of {side} pixels; what its features are worth on other images was not measured.

Accuracy on {results["test_images"]:,} test images after learning from {results["labels"]:,} labels, measured on these very weights; ± is one standard
error from the size of the test set.

{figures(results)}
"""


def figures(results: dict) -> str:
    """The card's table: each evaluation beside its floors."""
    rows = [["", "pretrained", "random encoder", "raw pixels"], ["---"] * 4]
    for probe, words in (("linear_probe", "linear probe"), ("knn", "k-NN")):
        seen = results["scores"].get(probe, {})
        rows.append([words, *(figure(seen[of]) if of in seen else "not yet" for of in ("pretrained", *FLOORS))])
    official, tuned, scratch = (
        figure(results["figures"][name]) if name in results["figures"] else "not yet"
        for name in ("official", "finetune", "scratch")
    )
    rows += [["linear probe as papers do it", official, "–", "–"], ["fine-tuned", tuned, scratch, "–"]]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def copy_small(jobs: list[Job], runs: Path, to: Path) -> str:
    """Copy the checkpoints that are small enough, with their cards; what was done, in words."""
    told = []
    for job in jobs:
        weights = small_checkpoint(runs / job.name)
        if job.at or not weights.is_file():
            continue
        if weights.stat().st_size > LIMIT:
            told.append(
                f"{weights} is left where it is: {weights.stat().st_size / 1e6:.0f} MB are more than {LIMIT / 1e6:.0f}"
            )
            continue
        words = weights.with_suffix(".md")
        if not words.is_file():
            told.append(f"{weights} is left where it is: it has no card yet, as its job was killed before it wrote one")
            continue
        to.mkdir(parents=True, exist_ok=True)
        told += [f"copied to {shutil.copy(file, to)}" for file in (weights, words)]
    return "\n".join(told) or f"there is no checkpoint in {runs} yet"
