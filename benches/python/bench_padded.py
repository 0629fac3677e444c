"""Padded matrices beside ragged arrays: the cost of `encode_padded` over `encode_ragged`.

    PENSTOCK_NUM_THREADS=1 python benches/python/bench_padded.py \
        --tokenizer tokenizer.json --text book.txt [--out benches/results/NAME.json]

Cuts the text into rows of so many tokens, compares every matrix with the ragged arrays, then times
the calls in turns and prints medians of CPU time, all texts warm. `documents` are 32 times as long
as `--tokens`, and truncated to it.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import penstock

sys.path.insert(0, str(Path(__file__).resolve().parent))

from inputs import cpu_name

if TYPE_CHECKING:
    from collections.abc import Callable


def rows_of(tokenizer: penstock.Tokenizer, text: str, rows: int, tokens: int) -> list[str]:
    """Texts of about `tokens` tokens each."""
    offsets = tokenizer.encode_ragged([text], add_special_tokens=False, offsets=True).offsets
    assert offsets is not None
    starts = range(0, min(len(offsets) - tokens, rows * tokens), tokens)
    return [text[offsets[at][0] : offsets[at + tokens - 1][1]] for at in starts]


def check(tokenizer: penstock.Tokenizer, texts: list[str]) -> None:
    """Raises unless the matrices hold what the ragged arrays hold."""
    ragged = tokenizer.encode_ragged(texts, offsets=True)
    assert ragged.offsets is not None
    for dtype in ("int64", "int32"):
        padded = tokenizer.encode_padded(texts, offsets=True, dtype=dtype)
        kept = padded["attention_mask"].astype(bool)
        np.testing.assert_array_equal(padded["input_ids"][kept], ragged.values)
        np.testing.assert_array_equal(padded["offset_mapping"][kept], ragged.offsets)


def median(call: Callable[[], Any], times: list[float]) -> None:
    """Appends the CPU time of a call, in milliseconds."""
    start = time.process_time()
    call()
    times.append((time.process_time() - start) * 1e3)


def fits(name: str, base: str) -> bool:
    """Whether a call is compared with that one."""
    return base == "ragged" or name.startswith(base) or ("offsets" in name and "offsets" in base)


def main() -> None:
    """Parses the arguments, runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--repeat", type=int, default=25)
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    tokenizer = penstock.Tokenizer.from_file(options.tokenizer)
    text = options.text.read_text(encoding="utf-8", errors="ignore")[:16_000_000]
    texts = rows_of(tokenizer, text, options.rows, options.tokens)
    check(tokenizer, texts)
    documents = [" ".join(texts[at : at + 32]) for at in range(0, len(texts), 32)]
    short = [row[: options.tokens] for row in tokenizer.encode_ragged(documents).to_list()]
    fixed: dict[str, Any] = {
        "max_length": options.tokens,
        "truncation": True,
        "padding": "max_length",
    }
    calls: dict[str, Callable[[], Any]] = {
        "ragged": lambda: tokenizer.encode_ragged(texts),
        "padded": lambda: tokenizer.encode_padded(texts),
        "padded, fixed": lambda: tokenizer.encode_padded(texts, **fixed),
        "padded, no types": lambda: tokenizer.encode_padded(texts, token_type_ids=False),
        "padded, int32": lambda: tokenizer.encode_padded(texts, dtype="int32"),
        "ragged, offsets": lambda: tokenizer.encode_ragged(texts, offsets=True),
        "padded, offsets": lambda: tokenizer.encode_padded(texts, offsets=True),
        "padded, offsets, int32": lambda: tokenizer.encode_padded(
            texts, offsets=True, dtype="int32"
        ),
        "documents": lambda: tokenizer.encode_ragged(documents),
        "documents, truncated": lambda: tokenizer.encode_padded(documents, **fixed),
    }
    found = tokenizer.encode_padded(documents, **fixed)
    for row, kept, expected in zip(found["input_ids"], found["attention_mask"], short, strict=True):
        if tokenizer.num_special_tokens_to_add(False) == 0:
            np.testing.assert_array_equal(row[kept.astype(bool)], expected)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(options.repeat):
        for name, call in calls.items():
            median(call, times[name])
    figures = {name: round(statistics.median(values), 3) for name, values in times.items()}
    for name, milliseconds in figures.items():
        base = figures[
            next(base for base in ("documents", "ragged, offsets", "ragged") if fits(name, base))
        ]
        print(f"{name:24} {milliseconds:8.2f} ms  {base / milliseconds:6.2f} of ragged speed")
    if options.out:
        result = {
            "date": datetime.date.today().isoformat(),
            "machine": cpu_name(),
            "command": " ".join(sys.argv),
            "tokenizer": options.tokenizer.parent.name,
            "rows": len(texts),
            "tokens": options.tokens,
            "milliseconds": figures,
        }
        options.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
