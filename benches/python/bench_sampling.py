"""Cost of a sampled token, beside transformers and torch on the same logits.

Each pair is checked first: the tokens and the generator's state are equal. Times are CPU time of
one thread, medians.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers
from penstock.sampling import Sampler, SamplingParams
from transformers.generation import logits_process as stock

if TYPE_CHECKING:
    from collections.abc import Callable

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.logits import logits

CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "greedy": {"do_sample": False},
    "top-k 50, top-p 0.95": {"temperature": 0.8, "top_k": 50, "top_p": 0.95},
    "top-p 0.95": {"temperature": 0.8, "top_p": 0.95},
    "top-p 0.95, min-p 0.05": {"temperature": 0.8, "top_p": 0.95, "min_p": 0.05},
    "temperature": {"temperature": 0.8},
}
CLASSES = {
    "temperature": stock.TemperatureLogitsWarper,
    "top_k": stock.TopKLogitsWarper,
    "top_p": stock.TopPLogitsWarper,
    "min_p": stock.MinPLogitsWarper,
}


def transformers_step(params: dict[str, Any]) -> Callable[[torch.Tensor], torch.Tensor]:
    """A step of `generate`: the processors, softmax and multinomial."""
    if not params.get("do_sample", True):
        return lambda rows: torch.argmax(rows, dim=-1)
    chain = stock.LogitsProcessorList(
        [make(params[name]) for name, make in CLASSES.items() if name in params]
    )
    return lambda rows: torch.multinomial(torch.softmax(chain(None, rows), -1), 1)[:, 0]


def seconds(run: Callable[[], Any], repeats: int) -> float:
    """Median CPU time of a call."""
    run()
    times = []
    for _ in range(repeats):
        start = time.thread_time_ns()
        run()
        times.append(time.thread_time_ns() - start)
    return statistics.median(times) / 1e9


def measure(vocabulary: int, batch: int, kind: str, repeats: int) -> list[dict[str, Any]]:
    """One row for each configuration."""
    rows = logits(kind, batch, vocabulary, torch.Generator().manual_seed(0))
    out = []
    for name, params in CONFIGURATIONS.items():
        sampler, stock_step = Sampler(SamplingParams(**params)), transformers_step(params)
        torch.manual_seed(1)
        expected, state = stock_step(rows), torch.get_rng_state()
        torch.manual_seed(1)
        if not torch.equal(sampler(rows).tokens, expected):
            raise SystemExit(f"{name}: the tokens differ")
        if not torch.equal(torch.get_rng_state(), state):
            raise SystemExit(f"{name}: the generator's states differ")
        ours = seconds(lambda: sampler(rows), repeats)
        theirs = seconds(lambda: stock_step(rows), max(repeats // 10, 5))
        out.append(
            {
                "vocabulary": vocabulary,
                "batch": batch,
                "logits": kind,
                "options": name,
                "penstock_us": round(ours * 1e6 / batch, 1),
                "transformers_us": round(theirs * 1e6 / batch, 1),
                "ratio": round(theirs / ours, 1),
            }
        )
        print("{options:24} {penstock_us:9} {transformers_us:10} {ratio:7}".format(**out[-1]))
    return out


def main() -> None:
    """Measures, prints a table, and writes JSON on request."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vocabularies", type=int, nargs="+", default=[32000, 151936])
    parser.add_argument("--batches", type=int, nargs="+", default=[1])
    parser.add_argument("--logits", nargs="+", default=["peaked", "mid", "flat"])
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = []
    for vocabulary in options.vocabularies:
        for batch in options.batches:
            for kind in options.logits:
                print(
                    f"vocabulary {vocabulary}, batch {batch}, {kind}; µs a row: ours, stock, ratio"
                )
                results += measure(vocabulary, batch, kind, options.repeats)
    if options.output:
        commit = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False
        ).stdout.strip()
        report = {
            "command": " ".join(["python", *sys.argv]),
            "commit": commit,
            "machine": platform.processor() or platform.machine(),
            "cpu": torch.backends.cpu.get_cpu_capability(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "rows": results,
        }
        options.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
