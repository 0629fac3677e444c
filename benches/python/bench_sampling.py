"""Cost of a sampled token, beside transformers and torch on the same logits.

Each pair is checked first: the tokens and the generator's state are equal. Times are CPU time of
one thread, medians; batches over two threads are wall-clock time. `--penalties` measures those over
a long context alone; `--all` adds them, the cost of a call on eight tokens, batches, and the loop
of `generate`. `--llama` and `--exllamav2` take a library each, built as `sampling_peers.py` says.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import penstock.transformers
import torch
import transformers
from penstock.sampling import Sampler, SamplingParams
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM
from transformers.generation import logits_process as stock

if TYPE_CHECKING:
    from collections.abc import Callable

sys.path.insert(0, str(Path(__file__).parents[2]))
from benches.python import sampling_peers as peers
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


def peer_seconds(step: peers.Step, allowed: torch.Tensor, repeats: int) -> float:
    """Median CPU time of a step of another library, which has to draw what the filters leave."""
    fill, draw = step
    times = []
    for _ in range(repeats):
        fill()
        start = time.thread_time_ns()
        token = draw()
        times.append(time.thread_time_ns() - start)
        if not allowed[token]:
            raise SystemExit(f"token {token} is one that the filters remove")
    return statistics.median(times) / 1e9


def measure(
    vocabulary: int, batch: int, kind: str, repeats: int, libraries: dict[str, Path]
) -> list[dict[str, Any]]:
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
        theirs = seconds(lambda: stock_step(rows), max(repeats // 20, 3))
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
        scores = sampler(rows, return_scores=True).scores[0] if batch == 1 else None
        for name, path in libraries.items() if scores is not None else ():
            step = getattr(peers, name)(path, rows[0].numpy(), params)
            # Their sums are rounded otherwise: at the border of top-p they may keep a token more.
            least = scores[scores > -math.inf].min() - 1e-3
            allowed = rows[0] / params.get("temperature", 1.0) >= least
            took = peer_seconds(step, allowed, max(repeats // 4, 5))
            out[-1][f"{name}_us"] = round(took * 1e6, 1)
        print(" ".join(f"{value!s:>10}" for key, value in out[-1].items() if key not in SAME))
    return out


SAME = ("vocabulary", "batch", "logits")


PENALTIES: dict[str, dict[str, Any]] = {
    "repetition": {"repetition_penalty": 1.1},
    "frequency": {"frequency_penalty": 0.1},
    "presence": {"presence_penalty": 0.1},
    "all": {"repetition_penalty": 1.1, "frequency_penalty": 0.1, "presence_penalty": 0.1},
}
# Rows that a cost is averaged over: where a border runs through thousands of tokens, what it takes
# to find it differs from row to row by more than a penalty.
PENALIZED_ROWS = 5


def penalized(rows: torch.Tensor, ids: torch.Tensor, params: dict[str, Any]) -> torch.Tensor:
    """What the penalties make of logits."""
    if "repetition_penalty" in params:
        processor = stock.RepetitionPenaltyLogitsProcessor(params["repetition_penalty"])
        rows = processor(ids, rows).contiguous()
    counts = torch.zeros_like(rows).scatter_add_(1, ids, torch.ones(ids.shape))
    lowered = rows - params.get("frequency_penalty", 0.0) * counts
    return torch.where(counts > 0, lowered - params.get("presence_penalty", 0.0), rows)


def measure_penalties(vocabulary: int, context: int, repeats: int) -> list[dict[str, Any]]:
    """What penalties add to a step, over ids at random and over ids as words come.

    The context grows by one token with each step, as in a loop; `first_us` is what the first step
    of a context adds, which counts all of it.
    """
    generator = torch.Generator().manual_seed(0)
    size = (1, context + repeats)
    uniform = torch.randint(vocabulary, size, generator=generator)
    ranks = torch.exp(torch.rand(size, generator=generator) * math.log(vocabulary))
    contexts = {"uniform": uniform, "power law": (ranks.long() * 7919) % vocabulary}
    out = []
    for kind in ("peaked", "mid", "flat"):
        many = logits(kind, PENALIZED_ROWS, vocabulary, generator).split(1)
        for options in ("top-k 50, top-p 0.95", "top-p 0.95"):
            params = CONFIGURATIONS[options]
            for ids_kind, ids in contexts.items():
                steps = list({"none": {}, **PENALTIES}.items())
                took = penalty_seconds(
                    [{**params, **more} for _, more in steps], many, ids, context
                )
                for (name, _), (step, first) in zip(steps, took, strict=True):
                    row = {"logits": kind, "options": options, "ids": ids_kind, "penalty": name}
                    row["penstock_us"] = round(step * 1e6, 1)
                    row["adds_us"] = round((step - took[0][0]) * 1e6, 1)
                    row["first_us"] = round((first - took[0][1]) * 1e6, 1)
                    out.append({**row, "distinct": len(ids[0, :context].unique())})
                print(
                    f"{kind}, {options}, {ids_kind} ids: {out[-len(steps)]['penstock_us']} µs;",
                    *(f"{row['penalty']} {row['adds_us']:+}" for row in out[1 - len(steps) :]),
                )
    return out


# Steps of one sampler before the next one's turn: what else the machine does falls on all of them.
TURN = 20


def penalty_seconds(
    options: list[dict[str, Any]], many: tuple[torch.Tensor, ...], ids: torch.Tensor, context: int
) -> list[tuple[float, float]]:
    """A step of a growing context, and its first one: medians, averaged over rows of logits."""
    samplers = [Sampler(SamplingParams(**params)) for params in options]
    steps: list[list[float]] = [[] for _ in options]
    firsts: list[list[float]] = [[] for _ in options]
    contexts = [ids[:, :length] for length in range(context, ids.shape[1])]
    for rows in many:
        for params, sampler in zip(options, samplers, strict=True):
            chain = transformers_step({name: params[name] for name in CLASSES if name in params})
            torch.manual_seed(1)
            expected = chain(penalized(rows, contexts[0], params))
            torch.manual_seed(1)
            if not torch.equal(sampler(rows, contexts[0]).tokens, expected):
                raise SystemExit(f"{params}: the tokens differ")
        times: list[list[int]] = [[] for _ in options]
        anew: list[list[int]] = [[] for _ in options]
        for first in range(0, len(contexts), TURN):
            for place, sampler in enumerate(samplers):
                sampler(rows, ids[:, 1:9])
                start = time.thread_time_ns()
                sampler(rows, contexts[first])
                anew[place].append(time.thread_time_ns() - start)
                for ids_so_far in contexts[first : first + TURN]:
                    start = time.thread_time_ns()
                    sampler(rows, ids_so_far)
                    times[place].append(time.thread_time_ns() - start)
        for place in range(len(options)):
            steps[place].append(statistics.median(times[place]))
            firsts[place].append(statistics.median(anew[place]))
    return [
        (statistics.mean(step) / 1e9, statistics.mean(first) / 1e9)
        for step, first in zip(steps, firsts, strict=True)
    ]


CALLS = 200


def measure_calls(repeats: int) -> dict[str, dict[str, float]]:
    """A call with eight tokens: what Python, the arrays and the generator's state cost.

    `kernel` is the compiled step alone, on an array and a state that are there already.
    """
    rows = torch.randn(1, 8)
    array, state = rows.numpy(), torch.get_rng_state().numpy()

    def each(call: Callable[[], Any]) -> float:
        def calls() -> None:
            for _ in range(CALLS):
                call()

        return seconds(calls, repeats) / CALLS * 1e6

    samplers = {
        "greedy": Sampler(SamplingParams(do_sample=False)),
        "seeded": Sampler(SamplingParams(top_k=5), seed=1),
        "torch's generator": Sampler(SamplingParams(top_k=5)),
    }
    out: dict[str, dict[str, float]] = {}
    for name, sampler in samplers.items():
        used = None if name == "greedy" else state
        call = each(lambda: sampler(rows))
        kernel = each(lambda: sampler._native.step(array, used, 16))
        out[name] = {
            "call": round(call, 1),
            "kernel": round(kernel, 1),
            "python": round(call - kernel, 1),
        }
        print(f"a call, vocabulary 8, {name}: {out[name]} µs")
    return out


def measure_batch(vocabulary: int, batch: int, repeats: int) -> list[dict[str, Any]]:
    """Wall-clock time of a row in a batch, over the threads that PENSTOCK_NUM_THREADS names."""
    rows = logits("peaked", batch, vocabulary, torch.Generator().manual_seed(0))
    out = []
    for name, params in CONFIGURATIONS.items():
        sampler, times = Sampler(SamplingParams(**params)), []
        for _ in range(repeats):
            start = time.perf_counter()
            sampler(rows)
            times.append(time.perf_counter() - start)
        row = {"options": name, "batch": batch, "vocabulary": vocabulary}
        threads = int(os.environ["PENSTOCK_NUM_THREADS"])
        microseconds = round(statistics.median(times) / batch * 1e6, 1)
        out.append({**row, "threads": threads, "penstock_us": microseconds})
        print("batch {batch}, {threads} threads, {options:24} {penstock_us}".format(**out[-1]))
    return out


def batches(vocabulary: int, batch: int) -> list[dict[str, Any]]:
    """The same over one thread and two, each in a process of its own."""
    out = []
    for threads in ("1", "2"):
        command = [sys.executable, __file__, "--batch-only", str(vocabulary), str(batch)]
        environment = {**os.environ, "PENSTOCK_NUM_THREADS": threads}
        result = subprocess.run(command, env=environment, capture_output=True, check=True)
        out += json.loads(result.stdout.splitlines()[-1])
    for one, two in zip(out[: len(CONFIGURATIONS)], out[len(CONFIGURATIONS) :], strict=True):
        ratio = one["penstock_us"] / two["penstock_us"]
        two["ratio"] = round(ratio, 2)
        print(
            f"batch {batch}: {one['options']:24} {one['penstock_us']} {two['penstock_us']} µs a row"
        )
    return out


def measure_generate(vocabulary: int, tokens: int, repeats: int) -> list[dict[str, Any]]:
    """A step of a small model: forward alone, with a draw, and `generate` with either sampler."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=256, intermediate_size=1024, num_hidden_layers=4,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=2048,
        pad_token_id=0, eos_token_id=None, bos_token_id=1,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    prompt = torch.randint(2, vocabulary, (1, 16))
    out = []
    for name, params in CONFIGURATIONS.items():
        sampler = Sampler(SamplingParams(**params))
        options = {"do_sample": True, "top_k": 0, **params, "max_new_tokens": tokens}

        def loop(choose: Any, steps: list[int], draws: list[int]) -> None:
            """Notes what each step took, and how much of it was the choice."""
            cache, ids = DynamicCache(config=config), prompt
            with torch.no_grad():
                for _ in range(tokens):
                    start = time.thread_time_ns()
                    step = model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
                    rows = step.logits[:, -1]
                    before = time.thread_time_ns()
                    ids = choose(rows)
                    end = time.thread_time_ns()
                    steps.append(end - start)
                    draws.append(end - before)

        fixed = prompt[:, :1]
        forward: list[int] = []
        with_sampler: list[int] = []
        draws: list[int] = []
        generated: dict[str, list[int]] = {"penstock": [], "stock": []}

        def generate(**more: Any) -> torch.Tensor:
            return model.generate(prompt, **more, **options)

        ours = {"custom_generate": penstock.transformers.sample}
        torch.manual_seed(3)
        expected = generate()
        torch.manual_seed(3)
        if not torch.equal(generate(**ours), expected):
            raise SystemExit(f"generate, {name}: the tokens differ")
        # In turn, so that what else the machine does falls on all of them.
        for _ in range(repeats):
            loop(lambda _: fixed, forward, [])
            loop(lambda rows: sampler(rows).tokens[:, None], with_sampler, draws)
            for key, more in (("penstock", ours), ("stock", {})):
                start = time.thread_time_ns()
                generate(**more)
                generated[key].append((time.thread_time_ns() - start) // tokens)
        medians = {
            "forward": statistics.median(forward),
            "with Sampler": statistics.median(with_sampler),
            "of which Sampler": statistics.median(draws),
            "generate, penstock": statistics.median(generated["penstock"]),
            "generate, stock": statistics.median(generated["stock"]),
        }
        row = {"vocabulary": vocabulary, "options": name}
        row |= {key: round(value / 1e3) for key, value in medians.items()}
        # The forward pass itself differs by more than a draw from run to run.
        percent = 100 * medians["of which Sampler"] / medians["forward"]
        row["sampling_percent"] = round(percent, 1)
        out.append(row)
        print(row)
    return out


def main() -> None:
    """Measures, prints a table, and writes JSON on request."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vocabularies", type=int, nargs="+", default=[32000, 151936])
    parser.add_argument("--batches", type=int, nargs="+", default=[1])
    parser.add_argument("--logits", nargs="+", default=["peaked", "mid", "flat"])
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--penalties", action="store_true", help="penalties alone")
    parser.add_argument("--batch-only", type=int, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--llama", type=Path, help="a library of llama.cpp's sampler")
    parser.add_argument("--exllamav2", type=Path, help="a library of exllamav2's sampling.cpp")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.batch_only:
        print(json.dumps(measure_batch(*options.batch_only, 5)))
        return
    libraries = {
        name: path
        for name, path in (("llama", options.llama), ("exllamav2", options.exllamav2))
        if path is not None
    }
    results = []
    for vocabulary in () if options.penalties else options.vocabularies:
        for batch in options.batches:
            for kind in options.logits:
                print(
                    f"vocabulary {vocabulary}, batch {batch}, {kind}; µs a row: ours, stock, ratio"
                )
                results += measure(vocabulary, batch, kind, options.repeats, libraries)
    more: dict[str, Any] = {}
    if options.all or options.penalties:
        more["penalties"] = measure_penalties(151936, 4096, options.repeats)
    if options.all:
        more["calls"] = measure_calls(options.repeats)
        more["batches"] = batches(151936, 64)
        more["generate"] = [
            row for vocabulary in (50257, 151936) for row in measure_generate(vocabulary, 16, 5)
        ]
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
            **more,
        }
        options.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
