"""The way of a run: tasks, requests, batches, forward passes, parts, results.

- `_data`, `_samples`, `_kinds.plan`, `_plan.cut_batches`: the same on every process.
- Batch `k` of what is left runs on rank `k mod W`; there is no collective in the loop.
- Parts, outputs in order, `_kinds.score`, `_metrics`: on the first process.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
import transformers

from penstock._native import __version__
from penstock.errors import RunError, TaskError
from penstock.evaluation import _kinds
from penstock.evaluation._builtin import note_of
from penstock.evaluation._data import rows_of
from penstock.evaluation._draw import check_sampling
from penstock.evaluation._encode import TextEncoder, load_tokenizer
from penstock.evaluation._model import (
    CAUSAL,
    CLASSIFIER,
    Model,
    check_head,
    config_of,
    head_of,
    is_path,
    load_model,
    max_length_of,
    model_digest,
)
from penstock.evaluation._parts import (
    FORMAT,
    MANIFEST,
    RESULTS,
    Finished,
    PartWriter,
    read_json,
    read_parts,
    write_json,
    write_lines,
)
from penstock.evaluation._plan import Group, changed, digest, digest_all
from penstock.evaluation._progress import Bars
from penstock.evaluation._result import Result, results_of, sample_lines
from penstock.evaluation._samples import Sample, samples_of
from penstock.evaluation._score import Scorer
from penstock.evaluation._session import (
    TRAP_MESSAGE,
    Process,
    Session,
    trapped,
    warn,
)
from penstock.evaluation._task import Generation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from penstock.evaluation._options import Options
    from penstock.evaluation._task import Task

THREADS = "threads"


@dataclass(frozen=True)
class Ready:
    """A task with all that is known before the model runs."""

    task: Task
    samples: list[Sample]
    group: Group
    data_digest: str


def run(model: Any, tokenizer: Any, tasks: list[Task], options: Options) -> Result:
    """This process's share of a run, and the results of all of it."""
    if trapped():
        warn(TRAP_MESSAGE)
    process = Process.current()
    with Session(process, options.output) as session:
        return _run(session, model, tokenizer, tasks, options)


# ---------------------------------------------------------------------------- one process


def _run(
    session: Session, model: Any, tokenizer: Any, tasks: list[Task], options: Options
) -> Result:
    started = time.time()
    config = config_of(model)
    head = head_of(model, config)
    check_head(head, tasks)
    if tokenizer is None:
        if not is_path(model):
            raise TaskError("a model that is an object needs its tokenizer")
        tokenizer = model
    encoder = TextEncoder(load_tokenizer(tokenizer), config)
    max_length = max_length_of(config, encoder.stock)
    ready = [
        prepare(task, encoder, config, head=head, max_length=max_length, options=options)
        for task in tasks
    ]
    if session.process.is_main:
        for note in filter(None, map(note_of, tasks)):
            warn(note)
    with thread_count(session, options.threads, resume=options.resume) as threads:
        loaded = load_model(model, head, max_length, session.process.device, options.dtype)
        fingerprint = _fingerprint(ready, loaded, encoder, options)
        manifest = {"format": FORMAT, "fingerprint": fingerprint, THREADS: threads}
        groups = [item.group for item in ready]
        bars = Bars(
            [(item.task.name, len(item.samples)) for item in ready],
            shown=options.progress and session.process.is_main,
        )
        with bars:
            outputs = execute(
                session,
                groups,
                Scorer(loaded, encoder, options.seed),
                manifest,
                resume=options.resume,
                bars=bars,
            )
    if session.process.is_main:
        if outputs is not None:
            _finish(session, ready, outputs, manifest, loaded, options, time.time() - started)
        _clear_parts(session.folder.parts)
        session.tell("done", True)
    else:
        session.hear("done")
    result = Result.load(session.folder.path)
    return result if session.is_kept else replace(result, folder=None)


def prepare(
    task: Task, encoder: TextEncoder, config: Any, *, head: str, max_length: int, options: Options
) -> Ready:
    """Reads, renders, tokenizes and cuts into batches: all that can fail before the model runs.

    Raises:
        TaskError: A row is not right.
    """
    if isinstance(task, Generation) and task.sampling is not None:
        check_sampling(task.name, task.sampling)
    rows = rows_of(task, options.limit)
    samples = samples_of(task, rows, _classes(config))
    _check_classes(task, samples, config, head)
    group = _kinds.plan(task, samples, encoder, max_length, joint=head == CAUSAL)
    vocabulary = getattr(getattr(config, "text_config", None) or config, "vocab_size", None)
    if vocabulary is not None:
        group.check_vocabulary(int(vocabulary))
    group.cut(options.batch_size, options.max_batch_tokens)
    examples = [sample.requests for sample in samples[:1]] if task.few_shot else []
    return Ready(task, samples, group, digest_all(chain(rows, examples)))


def _classes(config: Any) -> list[str]:
    names = getattr(config, "id2label", None) or {}
    return [str(names[key]) for key in sorted(names)]


def _check_classes(task: Task, samples: list[Sample], config: Any, head: str) -> None:
    if head != CLASSIFIER:
        return
    count = len(_classes(config))
    for index, sample in enumerate(samples):
        if sample.target >= count:
            message = f"the label {sample.target} is outside the model's {count} classes"
            raise TaskError(message, task.name, index)


@contextmanager
def thread_count(session: Session, wanted: int | None, *, resume: bool) -> Iterator[int]:
    """Runs with the thread count of the run: asked for, or that it began with, or the present."""
    before = torch.get_num_threads()
    manifest = read_json(session.folder.path / MANIFEST) if resume else None
    began = (manifest or {}).get(THREADS)
    threads = wanted or began or before
    if threads != before:
        torch.set_num_threads(threads)
    try:
        yield threads
    finally:
        if threads != before:
            torch.set_num_threads(before)


def _fingerprint(
    ready: list[Ready], model: Model, encoder: TextEncoder, options: Options
) -> dict[str, Any]:
    """All that the scores depend on, by name."""
    found: dict[str, Any] = {}
    for item in ready:
        name = item.task.name
        for key, value in item.task.config().items():
            found[f"task {name}: {key}"] = value
        found[f"task {name}: data"] = item.data_digest
        found[f"task {name}: batches"] = item.group.digest()
    return {
        **found,
        **base_fingerprint(model, encoder),
        "batch_size": options.batch_size,
        "max_batch_tokens": options.max_batch_tokens,
        "limit": options.limit,
        "seed": options.seed,
    }


def base_fingerprint(model: Model, encoder: TextEncoder) -> dict[str, Any]:
    """What the scores depend on beside tasks."""
    return {
        **model_digest(model.module),
        "tokenizer": encoder.digest(),
        "dtype": model.dtype,
        "device": model.device.type,
        "penstock": __version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


# ---------------------------------------------------------------------------- batches


def execute(
    session: Session,
    groups: Sequence[Group],
    scorer: Scorer,
    manifest: dict[str, Any],
    *,
    resume: bool,
    bars: Bars,
    everywhere: bool = False,
) -> list[list[Any]] | None:
    """Runs what is left of all batches on all processes.

    Args:
        session: The processes.
        groups: The batches.
        scorer: Runs one.
        manifest: What the run is.
        resume: Go on with what the folder holds.
        bars: Shows progress.
        everywhere: Give every process the outputs.

    Returns:
        On the first process the outputs of all units, group by group; None if the folder has the
        results already, and on the other processes.

    Raises:
        RunError: The folder holds another run, processes differ, or one failed.
    """
    process = session.process
    name = digest(manifest["fingerprint"])
    left = _agree(session, groups, manifest, name, resume=resume)
    if left is None:
        return None
    session.done.extend([0.0] * len(groups))
    for index, batches in enumerate(left):
        known = set(range(len(groups[index].batches))) - set(batches)
        if process.is_main:
            session.done[index] = sum(map(groups[index].weight, known))
    part = session.folder.parts / f"{session.name}-{process.rank}.jsonl"
    writer = PartWriter(part, name)
    bars.watch(session.counts)
    try:
        for index, group in enumerate(groups):
            for batch in left[index][process.rank :: process.world]:
                session.check()
                writer.append(index, batch, scorer.run(group, group.rows(batch)))
                session.done[index] += group.weight(batch)
                bars.refresh()
    finally:
        writer.close()
    session.tell(f"ran-{process.rank}", True)
    if not process.is_main and not everywhere:
        return None
    for rank in range(process.world):
        session.hear(f"ran-{rank}", meanwhile=bars.refresh)
    bars.complete()
    outputs = _merge(session, groups, name)
    if everywhere:
        # Nobody tidies up before all have read.
        session.tell(f"merged-{process.rank}", True)
        for rank in range(process.world):
            session.hear(f"merged-{rank}")
    return outputs


def _agree(
    session: Session, groups: Sequence[Group], manifest: dict[str, Any], name: str, *, resume: bool
) -> list[list[int]] | None:
    """Which batches are left, as the first process found it; None if the run is complete.

    Raises:
        RunError: The folder holds another run, or this process would run something else.
    """
    process, folder = session.process, session.folder
    if process.is_main:
        before = folder.manifest()
        if not resume and before is not None:
            folder.clear()
            folder.parts.mkdir(exist_ok=True)
            before = None
        if before is None:
            write_json(folder.path / MANIFEST, manifest, indent=1)
        else:
            _refuse_other(folder.path, before, manifest)
        complete = folder.results() is not None
        finished = {} if complete else read_parts(folder.parts, name, _size_of(groups))
        session.tell(
            "start",
            {
                "manifest": manifest,
                "complete": complete,
                "left": [
                    [batch for batch in range(len(group.batches)) if (index, batch) not in finished]
                    for index, group in enumerate(groups)
                ],
            },
        )
    start = session.hear("start")
    if digest(start["manifest"]["fingerprint"]) != name:
        differing = changed(start["manifest"]["fingerprint"], manifest["fingerprint"], _short)
        message = f"rank {process.rank} would run something else than rank 0: {_listed(differing)}"
        raise RunError(message, differing)
    left: list[list[int]] | None = None if start["complete"] else start["left"]
    return left


def _refuse_other(path: Path, before: dict[str, Any], manifest: dict[str, Any]) -> None:
    # Through JSON, so that both have its types.
    import json

    now = json.loads(json.dumps(manifest, default=str))
    differing = changed(before["fingerprint"], now["fingerprint"], _short)
    if before[THREADS] != now[THREADS]:
        differing[THREADS] = (before[THREADS], now[THREADS])
    if differing:
        message = (
            f"{path} holds another run, and scores of two runs are not mixed: {_listed(differing)}."
            " Name another output folder, or start anew there with resume=False (--no-resume)"
        )
        raise RunError(message, differing)


def _listed(differing: dict[str, tuple[object, object]], most: int = 5) -> str:
    shown = [f"{name} was {old}, is {new}" for name, (old, new) in differing.items()]
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return "; ".join(shown[:most]) + more


def _short(value: Any) -> str:
    text = "absent" if value is None else str(value)
    return f"{text[:12]}…" if len(text) == 64 and text.isalnum() else text[:60]


def _size_of(groups: Sequence[Group]) -> Any:
    def size_of(group: int, batch: int) -> int | None:
        if 0 <= group < len(groups) and 0 <= batch < len(groups[group].batches):
            return len(groups[group].batches[batch])
        return None

    return size_of


def _merge(session: Session, groups: Sequence[Group], name: str) -> list[list[Any]]:
    """Outputs of all units, each exactly once.

    Raises:
        RunError: A batch is missing.
    """
    finished: Finished = read_parts(session.folder.parts, name, _size_of(groups))
    outputs: list[list[Any]] = []
    for index, group in enumerate(groups):
        rows: list[Any] = [None] * len(group.units)
        for batch, units in enumerate(group.batches):
            if (index, batch) not in finished:
                message = f"batch {batch} of {group.name} is missing from {session.folder.parts}"
                raise RunError(message)
            for unit, row in zip(units, finished[index, batch], strict=True):
                rows[unit] = row
        outputs.append(rows)
    return outputs


# ---------------------------------------------------------------------------- results


def _finish(
    session: Session,
    ready: list[Ready],
    outputs: list[list[Any]],
    manifest: dict[str, Any],
    model: Model,
    options: Options,
    seconds: float,
) -> None:
    """Writes samples, then results, which say that the run is complete; then drops the parts."""
    path = session.folder.path
    scored = []
    for item, rows in zip(ready, outputs, strict=True):
        answers = list(_kinds.responses(item.group, rows, item.samples))
        tokens = item.group.options.get("tokens", [0] * len(answers))
        found = [
            _kinds.score(item.task, sample, answer, count)
            for sample, answer, count in zip(item.samples, answers, tokens, strict=True)
        ]
        write_lines(
            path / f"samples_{item.task.name}.jsonl",
            sample_lines(item.samples, answers, found),
        )
        scored.append((item.task, item.samples, found, item.group))
    results = results_of(
        scored,
        manifest,
        {
            "model": str(getattr(model.module, "name_or_path", "")),
            "model_class": type(model.module).__name__,
            "model_num_parameters": sum(p.numel() for p in model.module.parameters()),
            "dtype": model.dtype,
            "device": str(model.device.type),
            "batch_size": options.batch_size,
            "max_batch_tokens": options.max_batch_tokens,
            "limit": options.limit,
            "seed": options.seed,
            "processes": session.process.world,
            "threads": manifest[THREADS],
        },
        seconds,
    )
    write_json(path / RESULTS, results, indent=2)


def _clear_parts(parts: Path) -> None:
    """Removes what the results hold by now; a run that was killed here had not."""
    for file in parts.glob("*.jsonl"):
        file.unlink(missing_ok=True)
