"""See penstock at work on this machine: a sentence, then a few megabytes."""

from __future__ import annotations

import os
import sysconfig
import time
from pathlib import Path
from typing import TYPE_CHECKING

from penstock._tokenizer import Tokenizer
from penstock.cli import _compare
from penstock.cli._table import table

if TYPE_CHECKING:
    import argparse

_SENTENCE = "The penstock carries 3,000 litres a second. Öffne das Tor, 水 flows down → light!"

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
    print(
        "\nNext:\n"
        "  penstock inspect path/to/tokenizer.json        what runs in your tokenizer\n"
        "  penstock bench path/to/tokenizer.json FILE     the table above, on your text\n"
        "  penstock encode FILE -t default -o ids.npy     text to ids\n"
        "  README.md                                      the Python API in ten lines"
    )


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
