"""Show a tokenizer's pipeline, its sizes, and what runs each part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.cli._table import table
from penstock.cli._tokenizer import TOKENIZER_HELP, load

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("tokenizer", help=TOKENIZER_HELP)


def run(options: argparse.Namespace) -> None:
    """Prints what the tokenizer is made of."""
    tokenizer = load(options.tokenizer)
    print(table(("stage", "component", "runs on"), tokenizer.description()))
    print()
    added = tokenizer.get_added_tokens_decoder()
    sizes = [
        ("vocabulary", f"{tokenizer.get_vocab_size(False):,}"),
        ("with added tokens", f"{tokenizer.get_vocab_size():,}"),
        ("added tokens", f"{len(added):,}"),
        ("special tokens", f"{sum(token.special for token in added.values()):,}"),
        ("added to a text", str(tokenizer.num_special_tokens_to_add(False))),
        ("added to a pair", str(tokenizer.num_special_tokens_to_add(True))),
    ]
    print(table(("size", "tokens"), sizes, right=(1,)))
