#!/usr/bin/env python3
"""Tokenizers of transformers on penstock and on stock, side by side in one process.

    python benches/python/bench_transformers.py --fixtures DIR --tokenizers llama-3 \\
        --out benches/results/NAME.json

The calls stand in `tokenizer_calls.py`. Results are compared before anything is timed. Every text
is new to the engine that gets it. Times are CPU times with one thread each, the median of the
rounds; a ratio is stock by penstock, round by round. Loading runs in processes of its own, which
have loaded a small tokenizer before.

With `--peers`, the drop-ins of other packages run the same calls, as far as they support them:
`gigatoken.Tokenizer(tokenizer).as_hf()` and `fastokens.patch_transformers()`, which have to be
installed beside penstock. A ratio is then the peer's time by ours; where a peer's result is not
that of transformers, its row says so and has no time.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("PENSTOCK_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from inputs import cpu_name  # noqa: E402
from tokenizer_calls import CALLS, Call, Text  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Row = dict[str, Any]

LOAD = """
import gc, json, os, resource, sys, time, warnings
warnings.simplefilter("ignore")
engine, small, folder = sys.argv[1:]
if engine == "penstock":
    from penstock.transformers import AutoTokenizer
else:
    from transformers import AutoTokenizer
import transformers
transformers.logging.set_verbosity_error()
AutoTokenizer.from_pretrained(small)("warm", return_tensors="pt")
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
gc.collect()
before, start = resident(), time.process_time()
tokenizer = AutoTokenizer.from_pretrained(folder)
seconds = time.process_time() - start
tokenizer("a first call")
ready = time.process_time() - start
gc.collect()
print(json.dumps({"seconds": seconds, "first_call": ready, "bytes": resident() - before,
                  "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before}))
"""


def load_row(engine: str, small: Path, folder: Path, rounds: int) -> Row:
    """Time and memory of `from_pretrained`, in fresh processes."""
    runs = []
    for _ in range(rounds):
        command = [sys.executable, "-c", LOAD, engine, str(small), str(folder)]
        output = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
        runs.append(json.loads(output.stdout.splitlines()[-1]))
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def corpus(fixtures: Path, names: list[str]) -> str:
    """The corpora behind one another."""
    return "\n".join(
        (fixtures / "corpora" / f"{name}.txt").read_text(encoding="utf-8") for name in names
    )


def clock(function: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of one call, and its result."""
    gc.collect()
    gc.disable()
    start = time.process_time()
    result = function()
    seconds = time.process_time() - start
    gc.enable()
    return seconds, result


def equal(ours: Any, stock: Any) -> bool:
    """Whether two results hold the same, whatever integers their tensors are made of."""
    if hasattr(stock, "keys"):
        return ours.keys() == stock.keys() and all(equal(ours[key], stock[key]) for key in stock)
    if hasattr(stock, "shape"):
        return bool(ours.shape == stock.shape) and bool((ours == stock).all())
    if isinstance(stock, list) and any(hasattr(item, "shape") for item in stock[:1]):
        return len(ours) == len(stock) and all(map(equal, ours, stock))
    return bool(ours == stock)


def side_by_side(call: Call, ours: Any, other: Any, inputs: list[Any]) -> Row:
    """Checks the first input, then times each tokenizer on each of the others."""
    if not equal(call.run(ours, inputs[0]), call.run(other, inputs[0])):
        raise SystemExit(f"{call.name}: results differ")
    mine, theirs = [], []
    for number, value in enumerate(inputs[1:]):
        order = [(ours, mine), (other, theirs)]
        for tokenizer, times in order if number % 2 else reversed(order):
            seconds, result = clock(
                lambda tokenizer=tokenizer, value=value: call.run(tokenizer, value)
            )
            times.append(seconds)
            del result
    return {
        "calls": call.count(inputs[0]),
        "penstock_seconds": statistics.median(mine),
        "other_seconds": statistics.median(theirs),
        "ratio": statistics.median(b / a for a, b in zip(mine, theirs, strict=True)),
    }


def gigatoken(folder: Path, stock: Any) -> Any:
    """gigatoken's stand-in for a tokenizer."""
    import gigatoken as package

    return package.Tokenizer(stock).as_hf()


def fastokens(folder: Path, stock: Any) -> Any:
    """A tokenizer of transformers with the backend of fastokens."""
    import fastokens as package
    import transformers

    package.patch_transformers()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    finally:
        package.unpatch_transformers()
    tokenizer.pad_token, tokenizer.model_max_length = stock.pad_token, stock.model_max_length
    return tokenizer


PEERS = {"gigatoken": gigatoken, "fastokens": fastokens}


def beside(peer: str, folder: Path, text: Text, rounds: int) -> Iterator[Row]:
    """The calls of one tokenizer beside a peer's, as far as it supports them."""
    ours, stock = load_both(folder)
    try:
        theirs = PEERS[peer](folder, stock)
    except Exception as error:
        yield {"case": "none", "peer": peer, "reason": f"{type(error).__name__}: {error}"}
        return
    if getattr(theirs, "pad_token", None) is None:
        theirs.pad_token = stock.pad_token
    for call in CALLS:
        inputs = [call.make(text, stock) for _ in range(rounds + 1)]
        row: Row = {"case": call.name, "peer": peer}
        try:
            if equal(call.run(theirs, inputs[0]), call.run(stock, inputs[0])):
                row |= side_by_side(call, ours, theirs, inputs)
            else:
                row["reason"] = "its results are not those of transformers"
        except Exception as error:
            row["reason"] = f"{type(error).__name__}: {error}"
        yield row


def load_both(folder: Path) -> tuple[Any, Any]:
    """Our tokenizer and stock's, ready to pad and to truncate."""
    import transformers
    from penstock.transformers import AutoTokenizer

    transformers.logging.set_verbosity_error()
    stock = transformers.AutoTokenizer.from_pretrained(folder)
    ours = AutoTokenizer.from_pretrained(folder)
    for tokenizer in (ours, stock):
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token or [*tokenizer.all_special_tokens, "<pad>"][0]
        tokenizer.model_max_length = 1024
    return ours, stock


def measure(folder: Path, text: Text, rounds: int) -> Iterator[Row]:
    """All cases of one tokenizer."""
    from penstock.transformers import engine_of

    ours, stock = load_both(folder)
    report = engine_of(ours)
    if not report.native:
        yield {"case": "none", "reason": report.reason}
        return
    for call in CALLS:
        inputs = [call.make(text, stock) for _ in range(rounds + 1)]
        yield {"case": call.name, **side_by_side(call, ours, stock, inputs)}
    if engine_of(ours).fallbacks:
        raise SystemExit(f"stock ran instead of penstock: {engine_of(ours).fallbacks}")


def main() -> None:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fixtures", type=Path, required=True)
    parser.add_argument("--tokenizers", nargs="+", default=["llama-3", "gpt-oss-o200k"])
    parser.add_argument("--small", default="bert-base-cased", help="loaded first, to import")
    parser.add_argument("--corpora", nargs="+", default=["english", "web"])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--peers", nargs="*", choices=sorted(PEERS), default=[])
    parser.add_argument("--load", nargs="*", default=None, help="tokenizers whose loading is timed")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    import tokenizers
    import torch
    import transformers

    torch.set_num_threads(1)
    root = arguments.fixtures / "tokenizers"
    rows: list[Row] = []
    for name in arguments.tokenizers:
        text = Text(corpus(arguments.fixtures, arguments.corpora))
        for row in measure(root / name, text, arguments.rounds):
            rows.append({"tokenizer": name, **row})
            print(json.dumps(rows[-1]), flush=True)
        for peer in arguments.peers:
            text = Text(corpus(arguments.fixtures, arguments.corpora))
            for row in beside(peer, root / name, text, arguments.rounds):
                rows.append({"tokenizer": name, **row})
                print(json.dumps(rows[-1]), flush=True)
    for name in arguments.tokenizers if arguments.load is None else arguments.load:
        both = {
            engine: load_row(engine, root / arguments.small, root / name, max(arguments.rounds, 3))
            for engine in ("penstock", "stock")
        }
        ratios = {
            key: both["stock"][key] / max(both["penstock"][key], 1e-9) for key in both["stock"]
        }
        rows.append({"tokenizer": name, "case": "load", **both, "ratio": ratios})
        print(json.dumps(rows[-1]), flush=True)
    if arguments.out is not None:
        result = {
            "machine": {"cpu": cpu_name(), "python": platform.python_version()},
            "date": datetime.date.today().isoformat(),
            "command": " ".join(sys.argv),
            "versions": {
                "transformers": transformers.__version__,
                "tokenizers": tokenizers.__version__,
                "torch": torch.__version__,
            },
            "rows": rows,
        }
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
