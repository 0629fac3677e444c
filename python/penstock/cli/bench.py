"""Measure a tokenizer on a text, beside `tokenizers`, ids checked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.cli import _compare
from penstock.cli._files import read_text
from penstock.cli._table import table
from penstock.cli._tokenizer import TOKENIZER_HELP, load
from penstock.errors import MissingDependencyError, TextError

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("tokenizer", help=TOKENIZER_HELP)
    parser.add_argument(
        "file", metavar="FILE", help="UTF-8 text, plain, .gz or .zst; '-': standard input"
    )


def run(options: argparse.Namespace) -> None:
    """Prints a table of throughputs."""
    texts = _compare.documents(read_text(options.file))
    if not texts:
        raise TextError(f"{options.file}: there is no text in it")
    tokenizer = load(options.tokenizer)
    timings = _compare.compare(tokenizer, _reference(options.tokenizer), texts)
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    print(
        f"{megabytes:.1f} MB in {len(texts):,} documents, {os.cpu_count()} cores; "
        "the ids are equal\n"
    )
    print(table(("MB/s", "cold", "steady", "warm"), _compare.rows(timings, texts), right=(1, 2, 3)))
    print("\ncold: first call · steady: second text of the same kind · warm: that text again")


def _reference(name: str) -> object:
    """The reference tokenizer of the same file."""
    try:
        import tokenizers
    except ImportError as error:
        raise MissingDependencyError(
            "the comparison needs tokenizers: pip install tokenizers"
        ) from error
    path = Path(name)
    if name == "default" and not path.exists():
        path = Path(__file__).parents[1] / "data" / "default.json"
    if path.is_dir():
        path = path / "tokenizer.json"
    if path.suffix == ".tiktoken":
        raise MissingDependencyError(
            "tokenizers does not read tiktoken files: give a tokenizer.json"
        )
    return (
        tokenizers.Tokenizer.from_file(str(path))
        if path.is_file()
        else tokenizers.Tokenizer.from_pretrained(name)
    )
