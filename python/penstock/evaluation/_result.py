"""What a run found: metrics with standard errors, as an object, as files, as a table."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.errors import RunError
from penstock.evaluation import _kinds
from penstock.evaluation._metrics import LOWER_IS_BETTER
from penstock.evaluation._parts import RESULTS, read_json
from penstock.evaluation._task import Task

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from penstock.evaluation._kinds import Scored
    from penstock.evaluation._plan import Group
    from penstock.evaluation._samples import Sample

TaskScores = tuple[Task, "Sequence[Sample]", "Sequence[Sequence[Scored]]", "Group"]


@dataclass(frozen=True)
class Metric:
    """One metric of one task.

    Attributes:
        name: Its name, with the name of the filter where a task has several
            (`exact_match,strict-match`).
        value: The metric over all samples.
        stderr: Its standard error; NaN for a single sample.
        higher_is_better: Which way is better.
    """

    name: str
    value: float
    stderr: float
    higher_is_better: bool


@dataclass(frozen=True)
class TaskResult:
    """The results of one task.

    Attributes:
        name: The task.
        kind: Its kind.
        metrics: Its metrics by name.
        samples: Number of samples.
        truncated: Samples whose prompt or text was cut.
        few_shot: Examples before each prompt.
    """

    name: str
    kind: str
    metrics: dict[str, Metric]
    samples: int
    truncated: int
    few_shot: int

    def __getitem__(self, metric: str) -> float:
        """The value of a metric."""
        return self.metrics[metric].value


@dataclass(frozen=True, repr=False)
class Result:
    """The results of a run, by task.

    Attributes:
        tasks: Results by task.
        seconds: Wall time of the process that put the run together, from the start that ended it.
        fingerprint: All that the scores depend on.
        config: Model, dtype, batch size, seed, processes and the like.
        folder: Where results and samples are, if the run has a folder of its own.
        raw: The contents of `results.json`.
    """

    tasks: dict[str, TaskResult]
    seconds: float
    fingerprint: dict[str, Any]
    config: dict[str, Any]
    folder: Path | None
    raw: dict[str, Any]

    @staticmethod
    def load(folder: str | os.PathLike[str]) -> Result:
        """Reads the results of a complete run.

        Raises:
            RunError: The folder holds none.
        """
        path = Path(folder)
        raw = read_json(path / RESULTS)
        if not isinstance(raw, dict) or "results" not in raw or "fingerprint" not in raw:
            raise RunError(f"{path} holds no complete run: there are no results of ours")
        tasks = {name: _task_result(name, raw) for name in raw["results"]}
        seconds = raw["total_evaluation_time_seconds"]
        return Result(tasks, seconds, raw["fingerprint"], raw["config"], path, raw)

    def to_dict(self) -> dict[str, Any]:
        """The contents of `results.json`, a form that users of lm-eval know."""
        return dict(self.raw)

    def __getitem__(self, task: str) -> TaskResult:
        """The results of a task."""
        return self.tasks[task]

    def __str__(self) -> str:
        """A table of all metrics."""
        head = ("task", "n-shot", "metric", "", "value", "±", "samples")
        rows = []
        for task in self.tasks.values():
            for number, metric in enumerate(task.metrics.values()):
                first = number == 0
                rows.append(
                    (
                        task.name if first else "",
                        str(task.few_shot) if first else "",
                        metric.name,
                        "↑" if metric.higher_is_better else "↓",
                        shown(metric.value),
                        "" if math.isnan(metric.stderr) else shown(metric.stderr),
                        str(task.samples) if first else "",
                    )
                )
        lines = [table(head, rows, right=(1, 4, 5, 6))]
        cut = [f"{task.name} {task.truncated}" for task in self.tasks.values() if task.truncated]
        if cut:
            lines.append(f"samples cut to fit the model's context: {', '.join(cut)}")
        return "\n".join(lines)

    __repr__ = __str__


def _task_result(name: str, raw: dict[str, Any]) -> TaskResult:
    values = raw["results"][name]
    metrics = {}
    for key, value in values.items():
        metric, comma, filter_ = key.partition(",")
        if not comma or metric.endswith("_stderr"):
            continue
        shown_name = metric if filter_ == "none" else key
        stderr = values[f"{metric}_stderr,{filter_}"]
        metrics[shown_name] = Metric(
            shown_name,
            float(value),
            math.nan if stderr == "N/A" else float(stderr),
            raw["higher_is_better"][name][metric],
        )
    return TaskResult(
        name,
        raw["configs"][name]["kind"],
        metrics,
        raw["n-samples"][name]["effective"],
        raw["n-samples"][name]["truncated"],
        raw["n-shot"][name],
    )


def results_of(
    scored: Sequence[TaskScores],
    manifest: dict[str, Any],
    config: dict[str, Any],
    seconds: float,
) -> dict[str, Any]:
    """The contents of `results.json`."""
    results: dict[str, dict[str, Any]] = {}
    higher: dict[str, dict[str, bool]] = {}
    for task, _, found, _ in scored:
        results[task.name] = {"alias": task.name}
        higher[task.name] = {}
        for (metric, filter_), items in items_of(found).items():
            estimate = _kinds.estimate(task, metric, items)
            stderr = estimate.stderr
            results[task.name][f"{metric},{filter_}"] = estimate.value
            results[task.name][f"{metric}_stderr,{filter_}"] = (
                "N/A" if math.isnan(stderr) else stderr
            )
            higher[task.name][metric] = metric not in LOWER_IS_BETTER
    return {
        "results": results,
        "configs": {task.name: {"task": task.name, **task.config()} for task, *_ in scored},
        "n-shot": {task.name: task.few_shot for task, *_ in scored},
        "higher_is_better": higher,
        "n-samples": {
            task.name: {
                "original": len(samples),
                "effective": len(samples),
                "truncated": group.truncated,
            }
            for task, samples, _, group in scored
        },
        "config": config,
        "fingerprint": manifest["fingerprint"],
        "total_evaluation_time_seconds": seconds,
    }


def items_of(found: Sequence[Sequence[Scored]]) -> dict[tuple[str, str], list[Any]]:
    """What each metric of each filter is computed from, in the order of the samples."""
    items: dict[tuple[str, str], list[Any]] = {}
    for sample in found:
        for scored in sample:
            for metric, item in scored.items.items():
                items.setdefault((metric, scored.filter), []).append(item)
    return items


def sample_lines(
    samples: Sequence[Sample],
    answers: Sequence[Any],
    found: Sequence[Sequence[Scored]],
) -> Iterator[str]:
    """The lines of `samples_TASK.jsonl`, with the fields of lm-eval's."""
    for index, (sample, answer, filters) in enumerate(zip(samples, answers, found, strict=True)):
        doc = json.dumps(sample.row, indent=2, ensure_ascii=False, default=str)
        for scored in filters:
            line = {
                "doc_id": index,
                "doc": sample.row,
                "target": sample.target,
                "arguments": {
                    f"gen_args_{number}": {f"arg_{k}": text for k, text in enumerate(request)}
                    for number, request in enumerate(sample.requests)
                },
                "resps": [[part] for part in answer],
                "filtered_resps": scored.filtered,
                "filter": scored.filter,
                "metrics": list(scored.items),
                "doc_hash": _hash(doc),
                "prompt_hash": _hash(sample.requests[0][0]),
                "target_hash": _hash(str(sample.target)),
                **scored.items,
            }
            yield json.dumps(line, ensure_ascii=False, default=str)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def shown(value: float) -> str:
    """A number with four digits that matter."""
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if size >= 1e6 or 0 < size < 1e-4:
        return f"{value:.3e}"
    return f"{value:.4f}" if size < 1000 else f"{value:.2f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Lays rows out under a head; the columns in `right` are aligned to the right."""
    widths = [max(len(line[column]) for line in (head, *rows)) for column in range(len(head))]
    lines = [head, ["─" * width for width in widths], *rows]

    def cell(column: int, text: str) -> str:
        return text.rjust(widths[column]) if column in right else text.ljust(widths[column])

    return "\n".join(
        "  ".join(cell(column, text) for column, text in enumerate(line)).rstrip() for line in lines
    )
