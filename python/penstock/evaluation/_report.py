"""A page for people: one HTML file with the table, score distributions and the worst samples."""

from __future__ import annotations

import html
import json
import math
from typing import TYPE_CHECKING, Any

from penstock.evaluation._compare import load_samples
from penstock.evaluation._parts import write_lines
from penstock.evaluation._result import Result, TaskResult, shown

if TYPE_CHECKING:
    import os
    from pathlib import Path

WORST = 10
"""Samples shown of each task."""
_BINS = 24
_TEXT = 600
"""Characters of a text that are shown."""

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --bar: #3a7ca5; --soft: #8888; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: left; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
td.t { white-space: pre-wrap; overflow-wrap: anywhere; vertical-align: top; font-size: .85rem; }
rect { fill: var(--bar); } text { font-size: 10px; fill: currentColor; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; font-size: .85rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
"""


def write_report(folder: Path, path: str | os.PathLike[str] | None = None) -> Path:
    """Writes the report of a complete run.

    Args:
        folder: The run.
        path: Where the page goes; `report.html` in the folder when None.

    Raises:
        RunError: The folder holds no complete run.
        FileError: The page cannot be written.
    """
    from pathlib import Path as RealPath

    target = folder / "report.html" if path is None else RealPath(path)
    result = Result.load(folder)
    title = f"Evaluation of {result.config['model'] or result.config['model_class']}"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_safe(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{_safe(title)}</h1>",
        _metrics(result),
    ]
    for task in result.tasks.values():
        parts += _task(task, load_samples(folder, task.name))
    parts += ["<h2>How it was made</h2>", _facts(result), "</body></html>"]
    write_lines(target, parts)
    return target


def _metrics(result: Result) -> str:
    rows = [
        f"<tr><td>{_safe(task.name)}</td><td>{_safe(metric.name)}"
        f" {'↑' if metric.higher_is_better else '↓'}</td><td class=n>{shown(metric.value)}</td>"
        f"<td class=n>{'' if math.isnan(metric.stderr) else shown(metric.stderr)}</td>"
        f"<td class=n>{task.few_shot}</td><td class=n>{task.samples}</td></tr>"
        for task in result.tasks.values()
        for metric in task.metrics.values()
    ]
    head = (
        "<tr><th>task</th><th>metric</th><th class=n>value</th><th class=n>±</th>"
        "<th class=n>n-shot</th><th class=n>samples</th></tr>"
    )
    return f"<table>{head}{''.join(rows)}</table>"


def _task(task: TaskResult, samples: list[dict[str, Any]]) -> list[str]:
    first = samples[0]["filter"]
    scored = [(badness(task.kind, s), s) for s in samples if s["filter"] == first]
    what = _WHAT[task.kind]
    worst = sorted(scored, key=lambda item: (-item[0], item[1]["doc_id"]))[:WORST]
    return [
        f"<h2>{_safe(task.name)}</h2>",
        f"<p>{what}</p>",
        histogram([value for value, _ in scored]),
        "<table><tr><th class=n>row</th><th class=n>score</th><th>asked</th><th>right</th>"
        "<th>answered</th></tr>",
        *(_sample(value, sample) for value, sample in worst),
        "</table>",
    ]


_WHAT = {
    "perplexity": "Bits per byte of each document; the worst first.",
    "multiple_choice": "How much likelier than the right choice the best wrong one is, in nats"
    " (above 0 the answer is wrong; of a single choice: how unlikely it is); the worst first.",
    "classification": "How far the right class lies below the best other one, in logits (above 0"
    " the answer is wrong); the worst first.",
    "generation": "Share of metrics that are not met; the worst first.",
}


def badness(kind: str, sample: dict[str, Any]) -> float:
    """How bad a sample is, on its kind's own scale."""
    if kind == "perplexity":
        total, size = next(
            (sample[name] for name in ("bits_per_byte", "byte_perplexity") if name in sample),
            sample[sample["metrics"][0]],
        )
        return float(-total / max(1, size) / math.log(2))
    if kind == "generation":
        values = [float(sample[name]) for name in sample["metrics"]]
        return 1 - sum(values) / len(values)
    row = sample["resps"][0][0]
    values = row if kind == "classification" else [part[0][0] for part in sample["resps"]]
    right = values[sample["target"]]
    others = [value for index, value in enumerate(values) if index != sample["target"]]
    return float(max(others) - right) if others else float(-right)


def histogram(values: list[float]) -> str:
    """A picture of how values are spread."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return "<p>No finite scores.</p>"
    low, high = min(finite), max(finite)
    width = (high - low) / _BINS or 1.0
    counts = [0] * _BINS
    for value in finite:
        counts[min(_BINS - 1, int((value - low) / width))] += 1
    most = max(counts)
    bars = "".join(
        f'<rect x="{20 + 25 * n}" y="{100 - 90 * count / most:.1f}" width="23"'
        f' height="{90 * count / most:.1f}"><title>{count}</title></rect>'
        for n, count in enumerate(counts)
    )
    marks = ((20, "start", low), (320, "middle", (low + high) / 2), (620, "end", high))
    labels = "".join(
        f'<text x="{x}" y="114" text-anchor="{anchor}">{shown(value)}</text>'
        for x, anchor, value in marks
    )
    return (
        '<svg viewBox="0 0 640 120" role="img" aria-label="distribution of scores">'
        f"{bars}{labels}</svg>"
    )


def _sample(value: float, sample: dict[str, Any]) -> str:
    asked = sample["arguments"]["gen_args_0"]["arg_0"]
    right = sample["target"]
    arguments = list(sample["arguments"].values())
    if (
        isinstance(right, int)
        and len(sample["resps"]) == len(arguments)
        and "arg_1" in arguments[0]
    ):
        right = arguments[right]["arg_1"]
    answered = sample["filtered_resps"]
    if isinstance(answered, list) and len(answered) == len(arguments) and "arg_1" in arguments[0]:
        best = max(range(len(answered)), key=lambda n: answered[n][0])
        answered = arguments[best]["arg_1"]
    cells = "".join(f"<td class=t>{_cut(text)}</td>" for text in (asked, right, answered))
    return f"<tr><td class=n>{sample['doc_id']}</td><td class=n>{shown(value)}</td>{cells}</tr>"


def _facts(result: Result) -> str:
    facts = {**result.config, "seconds": round(result.seconds, 1), **result.fingerprint}
    rows = "".join(
        f"<dt>{_safe(key)}</dt><dd>{_cut(value)}</dd>"
        for key, value in facts.items()
        if value not in (None, "", [], {})
    )
    return f"<dl>{rows}</dl>"


def _cut(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    # The end of a prompt is what was asked.
    return _safe(text if len(text) <= _TEXT else f"… {text[-_TEXT:]}")


def _safe(value: Any) -> str:
    return html.escape(str(value).encode("utf-8", "replace").decode())
