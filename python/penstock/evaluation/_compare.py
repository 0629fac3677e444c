"""Two runs side by side, with differences over the samples that they share."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.errors import RunError
from penstock.evaluation import _kinds
from penstock.evaluation._metrics import standard_error
from penstock.evaluation._parts import read_json
from penstock.evaluation._result import Result, shown, table
from penstock.evaluation._task import KINDS, Task

if TYPE_CHECKING:
    import os
    from pathlib import Path


@dataclass(frozen=True)
class Difference:
    """One metric of two runs.

    Attributes:
        task: The task.
        metric: The metric.
        first: Its value in the first run.
        second: Its value in the second run.
        stderr: Standard error of `second - first`, sample by sample: what both runs find hard or
            easy does not blur it.
        samples: Number of samples.
    """

    task: str
    metric: str
    first: float
    second: float
    stderr: float
    samples: int

    @property
    def difference(self) -> float:
        """Second minus first."""
        return self.second - self.first

    @property
    def p_value(self) -> float:
        """Chance of a difference at least as large if there were none (two-sided, normal)."""
        if math.isnan(self.stderr):
            return math.nan
        if self.stderr == 0:
            return 1.0 if self.difference == 0 else 0.0
        return math.erfc(abs(self.difference) / self.stderr / math.sqrt(2))


@dataclass(frozen=True)
class Comparison:
    """Differences of two runs; printed as a table.

    Attributes:
        first: Folder of the first run.
        second: Folder of the second run.
        differences: Task by task, metric by metric.
        skipped: Tasks that only one run has, or has over other samples, and why.
    """

    first: str
    second: str
    differences: list[Difference]
    skipped: dict[str, str]

    def __str__(self) -> str:
        """A table of all metrics."""
        rows = [
            (
                item.task,
                item.metric,
                shown(item.first),
                shown(item.second),
                f"{'+' if item.difference >= 0 else ''}{shown(item.difference)}",
                "" if math.isnan(item.stderr) else shown(item.stderr),
                "" if math.isnan(item.p_value) else f"{item.p_value:.3f}",
                str(item.samples),
            )
            for item in self.differences
        ]
        head = ("task", "metric", "A", "B", "B - A", "±", "p", "samples")
        lines = [f"A: {self.first}", f"B: {self.second}", table(head, rows, right=range(2, 8))]
        lines += [f"{task}: not compared, {why}" for task, why in self.skipped.items()]
        return "\n".join(lines)


def compare(first: str | os.PathLike[str], second: str | os.PathLike[str]) -> Comparison:
    """Compares two complete runs, sample by sample.

    Raises:
        RunError: A folder holds no complete run, or the runs share nothing.
    """
    runs = [Result.load(folder) for folder in (first, second)]
    differences: list[Difference] = []
    skipped: dict[str, str] = {}
    for name in dict.fromkeys([*runs[0].tasks, *runs[1].tasks]):
        missing = [run for run in runs if name not in run.tasks]
        if missing:
            skipped[name] = f"it is not in {missing[0].folder}"
            continue
        rows = [_samples(run, name) for run in runs]
        if _identity(rows[0]) != _identity(rows[1]):
            skipped[name] = "the samples are not the same"
            continue
        differences += _differences(name, runs, rows)
    if not differences:
        reasons = "; ".join(f"{task}: {why}" for task, why in skipped.items())
        raise RunError(f"{first} and {second} share no samples ({reasons})")
    return Comparison(str(first), str(second), differences, skipped)


def _samples(run: Result, task: str) -> list[dict[str, Any]]:
    if run.folder is None:
        raise RunError("a run without a folder has no samples")
    path: Path = run.folder / f"samples_{task}.jsonl"
    try:
        with path.open(encoding="utf-8", errors="surrogatepass") as file:
            return [json.loads(line) for line in file]
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error


def _identity(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(row["doc_id"], row["filter"], row["doc_hash"], row["target_hash"]) for row in rows]


def _differences(
    name: str, runs: list[Result], rows: list[list[dict[str, Any]]]
) -> list[Difference]:
    task = _task(name, runs[0])
    found = []
    for filter_ in dict.fromkeys(row["filter"] for row in rows[0]):
        pairs = [[row for row in run if row["filter"] == filter_] for run in rows]
        for metric in pairs[0][0]["metrics"]:
            if metric not in pairs[1][0]:
                continue
            first, second = (
                _kinds.estimate(task, metric, [row[metric] for row in run]) for run in pairs
            )
            shown_name = metric if filter_ == "none" else f"{metric},{filter_}"
            stderr = standard_error(np.subtract(second.influence, first.influence))
            found.append(
                Difference(name, shown_name, first.value, second.value, stderr, len(pairs[0]))
            )
    return found


def _task(name: str, run: Result) -> Task:
    """The task's kind, and the one option that its metrics need."""
    config = run.raw["configs"][name]
    options = {"positive": config["positive"]} if "positive" in config else {}
    return KINDS[config["kind"]](name=name, **options)


def load_samples(folder: Path, task: str) -> list[dict[str, Any]]:
    """The samples of a task of a complete run."""
    if read_json(folder / "results.json") is None:
        raise RunError(f"{folder} holds no complete run")
    return _samples(Result.load(folder), task)
