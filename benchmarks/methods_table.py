"""The table and the picture of benchmarks/methods.py, made from its results alone."""

import statistics
from pathlib import Path

from minimim.methods import RECIPES, SECTIONS, names
from minimim.stored import in_one_precision

FLOORS = ("raw pixels", "random init", "eva's teacher")
HOW = (
    "Made by `python benchmarks/methods.py` from the lines of the CSV beside it. Every method: the same images, ViT micro/4 (spark: a convnet), "
    "64 images a step, and the best of three learning rates on a validation part. Linear, k-NN and 20 labels a class: accuracy on the test "
    "images (of scenes 4,000), with up to 5,000 labels; ± is one standard error, or the spread of seeds where there are several. supmae saw the labels, clip and "
    "multimae more than images. Its own random weights are those of the very encoder. The features are the mean of the last block's patches; the "
    "best place is the block and pooling (mean or CLS) that the probe reads best, chosen without the test images. All columns but the last "
    "two are after 600 steps. Where a method did not beat its random weights in those, it was run four times as long: the last two columns. "
    "ms a step: the median of twenty training steps of 64 images with nothing else running, by `--time`."
)
SHOWN = {  # column → its heading
    "linear": "linear", "random_linear": "its random weights", "best_linear": "linear, best place", "random_best": "random weights, best place",
    "knn": "k-NN", "shots20": "20 labels", "miou": "mean IoU", "place_r2": "place and size R²", "effective_rank": "effective rank", "std": "standard deviation",
}  # fmt: skip


def runs_of(rows: list[dict], method: str, *stages: str) -> list[dict]:
    """For each seed the run of these stages that counts: where there are several, the one that the validation part prefers."""
    found: dict[str, dict] = {}
    for row in rows:
        if row["method"] == method and row["stage"] in stages:
            other = found.setdefault(row["seed"], row)
            found[row["seed"]] = max(other, row, key=lambda one: float(one["chosen_by"] or 0))
    return list(found.values())


def shown(runs: list[dict], column: str) -> str:
    """The mean over the seeds, with their spread or else the run's own standard error; a dash for what was not measured."""
    values = [float(run[column]) for run in runs if run[column]]
    if not values:
        return "–"
    digits = 1 if column == "effective_rank" else 3
    if len(values) > 1:
        return f"{statistics.mean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}"
    error = runs[0].get({"linear": "linear_se", "random_linear": "random_se", "shots20": "shots20_sd", "miou": "miou_se", "best_linear": "best_se"}.get(column, ""))
    return f"{values[0]:.{digits}f}" + (f" ± {float(error):.{digits}f}" if error else "")


def usual(rows: list[dict]) -> list[dict]:
    """Without runs of other options, or of more steps than the shortest whole run."""
    plain = [row for row in rows if not row.get("variant")]
    least = min((int(row["steps"]) for row in plain if row["stage"] == "whole"), default=0)
    return [row for row in plain if row["stage"] != "whole" or int(row["steps"]) == least]


def by_data(rows: list[dict]) -> dict[str, list[dict]]:
    """{data set: its lines}, scenes first: numbers of two data sets are never beside each other. A method that was run in bf16 is shown by
    these runs alone."""
    rows = in_one_precision(rows)
    found = sorted({row["data"] for row in rows}, key=lambda name: (name != "scenes", name))
    return {name: [row for row in rows if row["data"] == name] for name in found}


def table(rows: list[dict]) -> str:
    """Markdown, for each data set: the floors, then the methods by the survey's sections, what is missing as missing, on other data than
    scenes left out; then longer runs, and those of methods that were changed."""
    parts = [HOW]
    for data, some in by_data(rows).items():
        parts += ["", f"**{data}**", "", *comparison(usual(some), whole=data == "scenes"), *others(some)]
    return "\n".join(parts)


def others(rows: list[dict]) -> list[str]:
    """The lines of a table of the whole runs that the comparison leaves out, each beside the method as it is where that ran as long."""
    left = [row for row in rows if row["stage"] == "whole" and row not in usual(rows)]
    if not left:
        return []
    columns = SHOWN | {"head_std": "standard deviation of the head's answers", "random_head_std": "of random weights'"}
    headings = ["method", "changed", "steps", "seeds", *columns.values(), "lr"]
    lines = ["", "Longer runs, and methods with something changed:", "", "| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
    lengths = {(row["method"], row["steps"]) for row in left}
    there = [row for row in rows if row["stage"] == "whole" and (row["method"], row["steps"]) in lengths]
    for name, steps, variant in sorted({(row["method"], int(row["steps"]), row["variant"]) for row in there}):
        runs = [row for row in there if (row["method"], row["steps"], row["variant"]) == (name, str(steps), variant)]
        cells = [name, variant or "as it is", str(steps), str(len(runs)), *(shown(runs, column) for column in columns), runs[0]["lr"]]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def comparison(rows: list[dict], whole: bool) -> list[str]:
    """The lines of the table of methods. whole: methods without a run are lines too."""
    headings = ["§", "method", *SHOWN.values(), "lr", "ms a step", "GFLOP a step", "longer: lr and steps", "longer: linear, best place"]
    lines = ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
    for name in (*FLOORS, *names()):
        runs, longer = runs_of(rows, name, "floor", "whole"), runs_of(rows, name, "again")
        section = RECIPES[name].section if name in RECIPES else ""
        if not runs:
            lines += [f"| {section} | {name} |" + " missing |" * (len(SHOWN) + 5)] * whole
            continue
        cells = [shown(runs, column) for column in SHOWN]
        step, gflops = runs_of(rows, name, "time"), runs[0]["gflops_a_step"]
        cells += [runs[0]["lr"] or "–", f"{1000 * float(step[0]['seconds']):.0f}" if step else "–", f"{float(gflops):.1f}" if gflops else "–"]
        cells += [f"{longer[0]['lr']}, {longer[0]['steps']}" if longer else "–", shown(longer, "best_linear")]
        lines.append(f"| {section} | {name} | " + " | ".join(cells) + " |")
    return lines


def draw(rows: list[dict], path: Path) -> None:
    """A picture of each data set: that of scenes at this path, the others beside it."""
    for data, some in by_data(rows).items():
        draw_one(usual(some), data, path if data == "scenes" else path.with_stem(f"{path.stem}-{data}"))


def draw_one(rows: list[dict], data: str, path: Path) -> None:
    """A line for each method: its linear probe at its best place beside that of its own random weights, and after a longer run where
    there is one."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    there = [name for name in names() if runs_of(rows, name, "whole")]
    if not there:
        return
    figure, axes = plt.subplots(figsize=(9, 1.5 + 0.28 * len(there)), layout="constrained")
    for place, name in enumerate(reversed(there)):
        whole, longer = runs_of(rows, name, "whole"), runs_of(rows, name, "again")
        for runs, column, error, style in (
            (whole, "random_best", "random_se", {"fmt": "o", "color": "0.6"}),
            (whole, "best_linear", "best_se", {"fmt": "D", "color": "C0"}),
            (longer, "best_linear", "best_se", {"fmt": "D", "color": "C0", "markerfacecolor": "white"}),
        ):
            if runs:
                values, errors = ([float(run[key]) for run in runs] for key in (column, error))
                axes.errorbar(statistics.mean(values), place, xerr=statistics.mean(errors), markersize=5, **style)
    for number, name in enumerate(FLOORS):
        runs = runs_of(rows, name, "floor")
        if runs:
            axes.axvline(float(runs[0]["linear"]), color=f"C{number + 1}", linestyle=("--", ":", "-.")[number], label=name)
    axes.set_yticks(range(len(there)), [f"{name}  ({SECTIONS[RECIPES[name].section]})" for name in reversed(there)], fontsize=8)
    axes.set_xlabel(f"linear probe on {data} at the best place, test accuracy\n(circle: random weights; diamond: after 600 steps; hollow diamond: after 2,400)")
    axes.legend(loc="lower right", fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)
