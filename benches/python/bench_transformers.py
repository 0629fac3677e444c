#!/usr/bin/env python3
"""Tokenizers of transformers on penstock and on stock, side by side in one process.

    python benches/python/bench_transformers.py --fixtures DIR --tokenizers llama-3 \\
        --out benches/results/NAME.json

Results are compared before anything is timed. Every text is new to the engine that gets it. Times
are CPU times with one thread each, the median of the rounds; a ratio is stock by penstock, round by
round. Loading runs in processes of its own, which have loaded a small tokenizer before.

With `--peers`, the drop-ins of other packages run the same calls, as far as they support them:
`gigatoken.Tokenizer(tokenizer).as_hf()` and `fastokens.patch_transformers()`, which have to be
installed beside penstock. A ratio is then the peer's time by ours; where a peer's result is not
that of transformers, its row says so and has no time.
"""

from __future__ import annotations

import argparse
import copy
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

if TYPE_CHECKING:
    from collections.abc import Callable

Row = dict[str, Any]
ROWS = 1000
CHARACTERS = 2300
"""About 512 tokens of English."""


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


class Text:
    """Pieces of a text, each given out once."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0

    def take(self, count: int, size: int) -> list[str]:
        """`count` new pieces of `size` characters."""
        end = self.place + count * size
        if end > len(self.text):
            raise SystemExit("the corpora are too small for this many rounds")
        pieces = [self.text[start : start + size] for start in range(self.place, end, size)]
        self.place = end
        return pieces


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
    """Every column of two batches, or two lists of texts."""
    if hasattr(stock, "keys"):
        return list(ours) == list(stock) and all(
            bool((ours[key] == stock[key]).all())
            if hasattr(stock[key], "shape")
            else ours[key] == stock[key]
            for key in stock
        )
    return bool(ours == stock)


def side_by_side(
    name: str,
    ours: Callable[[Any], Any],
    stock: Callable[[Any], Any],
    inputs: list[Any],
) -> Row:
    """Checks the first input, then times each engine on each of the others."""
    if not equal(ours(inputs[0]), stock(inputs[0])):
        raise SystemExit(f"{name}: results differ")
    mine, theirs = [], []
    for number, value in enumerate(inputs[1:]):
        order = [(ours, mine), (stock, theirs)]
        for function, times in order if number % 2 else reversed(order):
            seconds, result = clock(lambda function=function, value=value: function(value))
            times.append(seconds)
            del result
    return {
        "case": name,
        "penstock_seconds": statistics.median(mine),
        "stock_seconds": statistics.median(theirs),
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


def lists(tokenizer: Any) -> Callable[[Any], Any]:
    """A call that returns lists, all of which are looked at."""
    return lambda batch: dict(tokenizer(batch))


def one_by_one(tokenizer: Any) -> Callable[[Any], Any]:
    """A call for each text."""
    return lambda texts: [tokenizer(one)["input_ids"] for one in texts]


def tensors_one_by_one(tokenizer: Any) -> Callable[[Any], Any]:
    """A call for each text, whose ids come as a tensor."""
    return lambda texts: [
        tokenizer(one, return_tensors="pt")["input_ids"].tolist() for one in texts
    ]


def beside(peer: str, folder: Path, text: Text, rounds: int) -> list[Row]:
    """The cases of one tokenizer that a peer supports."""
    ours, stock = load_both(folder)
    try:
        theirs = PEERS[peer](folder, stock)
    except Exception as error:
        return [{"case": "none", "peer": peer, "reason": f"{type(error).__name__}: {error}"}]
    if getattr(theirs, "pad_token", None) is None:
        theirs.pad_token = stock.pad_token
    options = {"padding": True, "truncation": True, "max_length": 1024, "return_tensors": "pt"}
    calls: dict[str, Callable[[Any], Callable[[Any], Any]]] = {
        "batch 1000x512, tensors": lambda engine: lambda batch: engine(batch, **options),
        "batch 1000x512, lists": lists,
        "single 20 tokens": one_by_one,
        "single 20 tokens, cut": lambda engine: (
            lambda texts: [
                engine(one, truncation=True, max_length=512)["input_ids"] for one in texts
            ]
        ),
        "single 20 tokens, tensors": tensors_one_by_one,
        "single 20 tokens, encode": lambda engine: (
            lambda texts: [engine.encode(one) for one in texts]
        ),
        "decode 20 tokens": lambda engine: lambda rows: [engine.decode(row) for row in rows],
        "batch_decode 1000x512": lambda engine: engine.batch_decode,
        "pad 1000x512, tensors": lambda engine: (
            lambda rows: engine.pad(copy.copy(rows), return_tensors="pt")
        ),
    }
    found = []
    batches: list[Any] = []
    for name, call in calls.items():
        if name.startswith("single"):
            inputs = [text.take(ROWS, 90) for _ in range(rounds + 1)]
        elif name.startswith("decode"):
            inputs = [stock(text.take(ROWS, 90))["input_ids"] for _ in range(rounds + 1)]
        elif name.startswith(("batch_decode", "pad")):
            inputs = [stock(batch)["input_ids"] for batch in batches]
        else:
            inputs = batches = [text.take(ROWS, CHARACTERS) for _ in range(rounds + 1)]
        if name.startswith("pad"):
            inputs = [[{"input_ids": ids} for ids in rows] for rows in inputs]
        row: Row = {"case": name, "peer": peer}
        found.append(row)
        try:
            right = call(stock)(inputs[0])
            if not equal(call(theirs)(inputs[0]), right):
                row["reason"] = "its results are not those of transformers"
                continue
        except Exception as error:
            row["reason"] = f"{type(error).__name__}: {error}"
            continue
        timed = side_by_side(name, call(ours), call(theirs), inputs)
        row |= {
            "penstock_seconds": timed["penstock_seconds"],
            "peer_seconds": timed["stock_seconds"],
            "ratio": timed["ratio"],
        }
    return found


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


def measure(folder: Path, text: Text, rounds: int) -> list[Row]:
    """All cases of one tokenizer."""
    from penstock.transformers import engine_of

    ours, stock = load_both(folder)
    report = engine_of(ours)
    if not report.native:
        return [{"case": "none", "reason": report.reason}]
    batches = [text.take(ROWS, CHARACTERS) for _ in range(rounds + 1)]
    tensors = {"padding": True, "truncation": True, "return_tensors": "pt"}
    rows = [
        side_by_side(
            "batch 1000x512, tensors", lambda b: ours(b, **tensors), lambda b: stock(b, **tensors),
            batches,
        )
    ]  # fmt: skip
    batches = [text.take(ROWS, CHARACTERS) for _ in range(rounds + 1)]
    rows.append(side_by_side("batch 1000x512, lists", lists(ours), lists(stock), batches))
    encoded = [stock(batch) for batch in batches]
    ids = [batch["input_ids"] for batch in encoded]
    rows.append(side_by_side("batch_decode 1000x512", ours.batch_decode, stock.batch_decode, ids))
    features = [
        [
            {"input_ids": row, "attention_mask": mask}
            for row, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)
        ]
        for batch in encoded
    ]
    rows.append(
        side_by_side(
            "pad 1000x512, tensors",
            lambda f: ours.pad(copy.copy(f), return_tensors="pt"),
            lambda f: stock.pad(copy.copy(f), return_tensors="pt"),
            features,
        )
    )
    short = [text.take(ROWS, 90) for _ in range(rounds + 1)]

    rows.append(side_by_side("single 20 tokens", one_by_one(ours), one_by_one(stock), short))
    short = [text.take(ROWS, 90) for _ in range(rounds + 1)]

    rows.append(
        side_by_side(
            "single 20 tokens, tensors", tensors_one_by_one(ours), tensors_one_by_one(stock), short
        )
    )
    if engine_of(ours).fallbacks:
        raise SystemExit(f"stock ran instead of penstock: {engine_of(ours).fallbacks}")
    return rows


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
