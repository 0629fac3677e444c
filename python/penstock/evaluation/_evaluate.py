"""The one call: `evaluate`. What it needs is imported when it is made."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.errors import MissingDependencyError, RunError, TaskError
from penstock.evaluation._builtin import find_task
from penstock.evaluation._options import Options
from penstock.evaluation._task import Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.evaluation._result import Result


def evaluate(
    model: Any,
    tokenizer: Any = None,
    tasks: Sequence[Task | str] | Task | str = (),
    *,
    output: str | os.PathLike[str] | None = None,
    batch_size: int = 8,
    max_batch_tokens: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    resume: bool = True,
    processes: int | None = None,
    progress: bool = True,
    threads: int | None = None,
    dtype: Any = "auto",
) -> Result:
    """Scores a model on tasks, over as many processes as there are.

    Alone, with `processes` (workers are started), or in each process of `torchrun` and
    `accelerate launch`: the batches are the same, so the scores are too, bit for bit, on like
    hardware and with as many threads in a process. With `output`, a run that was killed goes on
    where it stopped when the same call is made again, with any number of processes.

    Args:
        model: A model of transformers, or the folder or name of one.
        tokenizer: Its tokenizer: an object of transformers, a `penstock.Tokenizer`, a folder or a
            name; the model's folder when None.
        tasks: Tasks, names of built-in ones (`hellaswag=val.jsonl`), or TOML files.
        output: Folder for results, samples, and what a resumed run needs.
        batch_size: Rows in a batch.
        max_batch_tokens: Tokens in a batch, padding counted.
        limit: Rows of each task, from the first; all when None.
        seed: Seed of sampled generation.
        resume: Go on with what `output` holds; False starts anew.
        processes: Number of processes to start.
        progress: Show a progress bar for each task, on a terminal.
        threads: Threads of each process on the CPU; a resumed run keeps the number it began with.
        dtype: Type of the weights, for a model that is loaded here.

    Returns:
        The results; the same in every process.

    Raises:
        TaskError: A task, its data or the model do not fit together.
        RunError: The folder holds another run, or a process failed.
        FileError: A file cannot be read or written.

    Example:
        >>> evaluate("gpt2", tasks=["hellaswag=val.jsonl"])  # doctest: +SKIP
    """
    options = Options(
        output=None if output is None else Path(output),
        batch_size=batch_size,
        max_batch_tokens=max_batch_tokens,
        limit=limit,
        seed=seed,
        resume=resume,
        progress=progress,
        threads=threads,
        dtype=dtype,
    )
    found = _tasks(tasks)
    if processes is not None and processes < 1:
        raise TaskError(f"processes is {processes}; it must be at least 1")
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if processes is not None and world == 1 and processes > 1:
        from penstock.evaluation._launch import launch

        return launch(model, tokenizer, found, options, processes)
    if processes is not None and processes != world:
        raise RunError(f"processes is {processes}, but a launcher has started {world}")
    try:
        from penstock.evaluation._run import run
    except ImportError as error:
        message = f"evaluation needs {error.name}: pip install 'penstock[evaluate]'"
        raise MissingDependencyError(message) from error
    return run(model, tokenizer, found, options)


def _tasks(tasks: Sequence[Task | str] | Task | str) -> list[Task]:
    listed = [tasks] if isinstance(tasks, (str, Task)) else list(tasks)
    found = [find_task(task) if isinstance(task, str) else task for task in listed]
    if not found:
        raise TaskError("no task is given")
    names = [task.name for task in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise TaskError(f"two tasks are named {', '.join(twice)}")
    return found
