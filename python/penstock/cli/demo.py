"""See penstock at work on this machine: a sentence, then a few megabytes."""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import sysconfig
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from penstock._tokenizer import Tokenizer
from penstock.cli import _compare
from penstock.cli._ngrams import NgramModel
from penstock.cli._table import table
from penstock.sampling import Sampler, SamplingParams

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from numpy.typing import NDArray

_SENTENCE = "The penstock carries 3,000 litres a second. Öffne das Tor, 水 flows down → light!"

# The n-gram model's text, what is drawn from it, and the row of logits that is timed.
_MODEL_CHARACTERS = 1_000_000
_SAMPLED_TOKENS = 120
_LOGITS = 151_936
_SEED = 7

# Bytes of text for the throughput table: a few seconds for the reference.
_TEXT_BYTES = 8_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments: none."""


def run(_options: argparse.Namespace) -> None:
    """Prints a tokenized sentence, a throughput table and what to do next."""
    tokenizer = Tokenizer.from_default()
    print(
        f"A sentence, with the small tokenizer that ships with penstock "
        f"({tokenizer.get_vocab_size():,} tokens):\n"
    )
    _show_sentence(tokenizer)
    print("\nThroughput on Python's own standard library, which the tokenizer has not seen:\n")
    _show_throughput(tokenizer)
    print("\nText from a model of token triples, counted in that library, drawn by `Sampler`:\n")
    _show_sampling(tokenizer)
    command = _command()
    print(
        "\nNext:\n"
        f"  {command} inspect path/to/tokenizer.json        what runs in your tokenizer\n"
        f"  {command} bench path/to/tokenizer.json FILE     the table above, on your text\n"
        f"  {command} encode FILE -t default -o ids.npy     text to ids\n"
        "and README.md for the Python API in ten lines."
    )


def _show_sampling(tokenizer: Tokenizer) -> None:
    """Draws a text without torch, and times a step beside one in NumPy."""
    text = _standard_library()[:_MODEL_CHARACTERS]
    ids = tokenizer.encode_ids(text).tolist()
    model = NgramModel(ids, tokenizer.get_vocab_size())
    sampler = Sampler(SamplingParams(temperature=0.8, top_k=50, top_p=0.95), seed=_SEED)
    stream = tokenizer.decode_stream()
    context = ids[:2]
    print("  ", end="")
    for _ in range(_SAMPLED_TOKENS):
        token = int(sampler(model.logits(context)).tokens[0])
        context = [context[-1], token]
        print((stream.step(token) or "").replace("\n", "\n  "), end="", flush=True)
    logits = np.random.default_rng(_SEED).normal(size=_LOGITS).astype(np.float32) * 3
    ours = _microseconds(lambda: sampler(logits))
    naive = _microseconds(lambda: _numpy_step(logits))
    print(
        f"\n\nA step over {_LOGITS:,} logits (temperature, top-k, top-p, draw): {ours:,.0f} µs, "
        f"in NumPy {naive:,.0f} µs. The tokens are those that transformers and torch draw with\n"
        f"torch.manual_seed({_SEED})."
    )


def _numpy_step(logits: NDArray[np.float32]) -> int:
    """The same step as it is usually written."""
    scores = logits / np.float32(0.8)
    scores[scores < np.partition(scores, -50)[-50]] = -np.inf
    order = np.argsort(scores)
    probs = np.exp(scores[order] - scores.max())
    probs /= probs.sum()
    scores[order[np.cumsum(probs) <= 0.05]] = -np.inf
    probs = np.exp(scores - scores.max())
    return int(np.random.default_rng(0).choice(len(probs), p=probs / probs.sum()))


def _microseconds(step: Callable[[], object], repeats: int = 50) -> float:
    """Median time of a call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


def _command() -> str:
    """How a reader calls the program that runs now: `make demo` puts it in no place on the path."""
    return "penstock" if shutil.which("penstock") else os.path.relpath(sys.argv[0])


def _show_sentence(tokenizer: Tokenizer) -> None:
    encoding = tokenizer.encode(_SENTENCE)
    fields = zip(encoding.ids, encoding.tokens, encoding.offsets, strict=True)
    rows = [
        (str(token_id), token, f"{start}-{end}", repr(_SENTENCE[start:end]))
        for token_id, token, (start, end) in fields
    ]
    print(f"  {_SENTENCE}\n")
    print(table(("id", "token", "characters", "text"), rows, right=(0,)))
    print(f"\ndecoded again: {tokenizer.decode(encoding.ids)}")


def _show_throughput(tokenizer: Tokenizer) -> None:
    texts = _compare.documents(_standard_library())
    heading = ("MB/s", "cold", "steady", "warm")
    try:
        import tokenizers
    except ImportError:
        start = time.perf_counter()
        tokenizer.encode_ragged(texts)
        speed = sum(len(text.encode()) for text in texts) / (time.perf_counter() - start) / 1e6
        print(f"{speed:.1f} MB/s (install tokenizers to compare)")
        return
    reference = tokenizers.Tokenizer.from_file(
        str(Path(__file__).parents[1] / "data" / "default.json")
    )
    timings = _compare.compare(tokenizer, reference, texts)
    print(table(heading, _compare.rows(timings, texts), right=(1, 2, 3)))
    print(
        f"\n{len(texts):,} documents, {os.cpu_count()} cores, "
        f"tokenizers {tokenizers.__version__}; the ids are equal."
    )


def _standard_library() -> str:
    text: list[str] = []
    size = 0
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("**/*.py")):
        if "site-packages" in path.parts:
            continue
        try:
            text.append(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError):
            # Some of the library's own tests are broken on purpose.
            continue
        size += len(text[-1])
        if size >= _TEXT_BYTES:
            break
    return "".join(text)
