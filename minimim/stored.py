"""What benchmarks/methods.py has stored, as its tables, the lessons and minimim.survey read it: whatever seeds, lengths and variants are there."""

import csv
import statistics
from collections.abc import Mapping
from pathlib import Path

WHOLE = ("whole", "again")  # the stages that are runs in full; the others are trials of a rate, floors and timings


class Stored:
    """The lines of a results file, of one data set. floors: {name: its line, or the mean of each number over the seeds}."""

    def __init__(self, path: str | Path, data: str = "scenes"):
        with open(path, encoding="utf-8", newline="") as file:
            self.rows = in_one_precision([row for row in csv.DictReader(file, restval="") if row.get("data") == data])
        lines: dict[str, list[dict]] = {}
        for row in self.rows:
            if row["stage"] == "floor":
                lines.setdefault(row["method"], []).append(row)
        self.floors = {name: averaged(rows) for name, rows in lines.items()}

    def runs(self, method: str, variant: str = "") -> dict[int, list[dict]]:
        """{steps: the whole runs of a method, one line a seed}; of two runs that differ in their learning rate the one that the
        validation part prefers."""
        found = [row for row in self.rows if row["method"] == method and row["variant"] == variant and row["stage"] in WHOLE]
        best: dict[int, dict[str, dict]] = {}
        for row in sorted(found, key=lambda row: (int(row["steps"]), float(row.get("chosen_by") or 0))):
            best.setdefault(int(row["steps"]), {})[row["seed"]] = row
        return {steps: list(seeds.values()) for steps, seeds in best.items()}

    def longest(self, wanted: Mapping[str, tuple[str, str]]) -> tuple[int, dict[str, list[dict]]]:
        """A number of steps, and the whole runs of that length by name, to be compared with each other. wanted: {name: (method, variant)}.

        Every method without a variant has runs of that length: of those with the most seeds, the longest. A variant without one is left out.
        """
        found = {name: self.runs(*key) for name, key in wanted.items()}
        plain = [found[name] for name, (_, variant) in wanted.items() if not variant]
        steps = max(set.intersection(*map(set, plain)), key=lambda steps: (min(len(runs[steps]) for runs in plain), steps))
        return steps, {name: runs[steps] for name, runs in found.items() if steps in runs}

    def floors_of(self, what: str) -> dict[str, float]:
        """{name of a floor: its value in this column}, of those that have one."""
        return {name: float(row[what]) for name, row in self.floors.items() if row[what] != ""}

    def options(self, method: str, option: str) -> dict[str, dict[int, list[dict]]]:
        """{value: `runs`} of a method with another value of one option, such as mask_ratio, and nothing else changed."""
        variants = {
            row["variant"]
            for row in self.rows
            if row["method"] == method and row["variant"].startswith(f"{option}=") and "," not in row["variant"]
        }
        return {variant.partition("=")[2]: self.runs(method, variant) for variant in sorted(variants)}


def in_one_precision(rows: list[dict]) -> list[dict]:
    """The lines without those in fp32 of a method (and variant, and data set) that has whole runs in bf16."""

    def which(row: dict) -> tuple:
        return row["data"], row["method"], row["variant"]

    quick = {which(row) for row in rows if row.get("precision") == "bf16" and row["stage"] in WHOLE}
    return [row for row in rows if row.get("precision") == "bf16" or which(row) not in quick]


def averaged(rows: list[dict]) -> dict:
    """One line for several: the mean of every column that is a number in all of them, and the first line's text elsewhere."""
    line = dict(rows[0])
    for name in line if len(rows) > 1 else ():
        try:
            line[name] = f"{statistics.mean(float(row[name]) for row in rows):.5g}"
        except ValueError:
            continue  # text, or not measured
    return line


def over_seeds(rows: list[dict], what: str = "linear", error: str = "") -> tuple[float, float]:
    """The mean of a column over the lines, and its error: the standard deviation over the seeds, or the mean of the column `error`
    where that is larger."""
    values = [float(row[what]) for row in rows]
    test = [float(row[error]) for row in rows if error and row[error] != ""]
    return statistics.mean(values), max(
        statistics.stdev(values) if len(values) > 1 else 0.0, statistics.mean(test) if test else 0.0
    )
