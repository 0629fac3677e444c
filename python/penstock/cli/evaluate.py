"""Score a model on tasks, over one or several processes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.errors import RunError

if TYPE_CHECKING:
    import argparse

    from penstock.evaluation import Result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("-m", "--model", metavar="DIR", help="folder or name of a model")
    parser.add_argument(
        "-t",
        "--task",
        action="append",
        default=[],
        metavar="NAME[=DATA]",
        help="a built-in task (see --list) or a .toml file, and its data: a file, or "
        "datasets:NAME[:CONFIG[:SPLIT]]; may be given several times",
    )
    parser.add_argument("--list", action="store_true", help="list the built-in tasks")
    parser.add_argument(
        "-o", "--output", metavar="DIR", help="folder for results; a run that was killed goes on"
    )
    parser.add_argument("--tokenizer", metavar="DIR", help="default: the model's")
    parser.add_argument("-n", "--processes", type=int, metavar="N", help="processes to start")
    parser.add_argument("-b", "--batch-size", type=int, default=8, metavar="ROWS")
    parser.add_argument("--max-batch-tokens", type=int, metavar="TOKENS")
    parser.add_argument("--limit", type=int, metavar="ROWS", help="first rows of each task only")
    parser.add_argument("--seed", type=int, default=0, help="of sampled generation")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of each process (CPU)")
    parser.add_argument("--dtype", default="auto", help="type of the weights (default: the file's)")
    parser.add_argument("--few-shot", type=int, metavar="N", help="examples before each prompt")
    parser.add_argument(
        "--compare", metavar="DIR", help="also show the differences to the run in another folder"
    )
    parser.add_argument(
        "--report",
        nargs="?",
        const="",
        metavar="FILE.html",
        help="write a page with distributions and the worst samples (default: in --output)",
    )
    parser.add_argument("--no-resume", action="store_true", help="start anew in the output folder")
    parser.add_argument("--no-progress", action="store_true", help="no progress bars")


def run(options: argparse.Namespace) -> None:
    """Runs the evaluation and prints the table, on the first process only."""
    if options.list:
        _list()
        return
    from dataclasses import replace

    from penstock.evaluation import Result, evaluate
    from penstock.evaluation._builtin import find_task

    _check(options)
    if options.task:
        tasks = [find_task(task) for task in options.task]
        if options.few_shot is not None:
            tasks = [replace(task, few_shot=options.few_shot) for task in tasks]
        result = evaluate(
            options.model,
            options.tokenizer,
            tasks,
            output=options.output,
            batch_size=options.batch_size,
            max_batch_tokens=options.max_batch_tokens,
            limit=options.limit,
            seed=options.seed,
            resume=not options.no_resume,
            processes=options.processes,
            progress=not options.no_progress,
            threads=options.threads,
            dtype=options.dtype,
        )
    else:
        result = Result.load(options.output)
    if int(os.environ.get("RANK", "0")) == 0:
        _show(result, options)


def _check(options: argparse.Namespace) -> None:
    """Refuses what would fail only once the work is done."""
    if not options.output and (options.compare or options.report is not None):
        raise RunError("--compare and --report need --output")
    if options.compare:
        from penstock.evaluation import Result

        Result.load(options.compare)
    if options.task and options.model:
        return
    if options.task or options.model or not (options.compare or options.report is not None):
        raise RunError("give --model and --task, or --list")


def _show(result: Result, options: argparse.Namespace) -> None:
    sys.stdout.write(f"{result}\n")
    if options.compare:
        from penstock.evaluation import compare

        sys.stdout.write(f"\n{compare(options.compare, options.output)}\n")
    if options.report is not None:
        from penstock.evaluation import write_report

        path = write_report(Path(options.output), options.report or None)
        sys.stdout.write(f"\nreport: {path}\n")


def _list() -> None:
    from penstock.cli._table import table
    from penstock.evaluation._builtin import TASK_SUMMARIES, TASKS

    rows = [(name, TASKS[name].kind, TASK_SUMMARIES[name]) for name in TASKS]
    sys.stdout.write(table(("task", "kind", "what it is"), rows) + "\n")
