"""Turn text into token ids."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.cli._files import STDIN, read_text, replacing
from penstock.cli._npy import NpyWriter
from penstock.cli._progress import progress
from penstock.cli._tokenizer import TOKENIZER_HELP, load

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from penstock._tokenizer import Tokenizer

# Characters of lines that go into one call with --lines: enough to keep every core busy, little
# enough to report on.
_BATCH_CHARACTERS = 1 << 23


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="UTF-8 text, plain, .gz or .zst; '-' or none: standard input",
    )
    parser.add_argument("-t", "--tokenizer", required=True, help=TOKENIZER_HELP)
    parser.add_argument(
        "-o", "--output", metavar="IDS.npy", help="write all ids, in order, as one uint32 array"
    )
    parser.add_argument(
        "--lines", action="store_true", help="every line is a text of its own (default: every file)"
    )
    parser.add_argument(
        "--no-special-tokens", action="store_true", help="do not let the post-processor add tokens"
    )


def run(options: argparse.Namespace) -> None:
    """Encodes the files; without an output file, prints one line of ids for each text."""
    names = options.files or [STDIN]
    with ExitStack() as stack:
        # The output is opened first: a path that cannot be written must not cost the work.
        writer = (
            NpyWriter(stack.enter_context(replacing(options.output))) if options.output else None
        )
        tokenizer = load(options.tokenizer)
        sizes = {name: Path(name).stat().st_size for name in names if name != STDIN}
        advance = stack.enter_context(
            progress(sum(sizes.values()) if len(sizes) == len(names) else None)
        )
        for name in names:
            for ids in _encode_file(tokenizer, name, options):
                if writer:
                    writer.write(ids)
                else:
                    sys.stdout.write(" ".join(map(str, ids.tolist())) + "\n")
            advance(sizes.get(name, 0))
        if writer:
            writer.close()


def _encode_file(
    tokenizer: Tokenizer, name: str, options: argparse.Namespace
) -> Iterator[NDArray[np.uint32]]:
    special = not options.no_special_tokens
    text = read_text(name)
    if not options.lines:
        # A ragged call, unlike a single one, can be stopped with Ctrl-C.
        yield tokenizer.encode_ragged([text], add_special_tokens=special).values
        return
    for lines in _batches(text.removesuffix("\n").split("\n") if text else []):
        ragged = tokenizer.encode_ragged(lines, add_special_tokens=special)
        if options.output:
            yield ragged.values
        else:
            yield from ragged


def _batches(lines: list[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line) + 1
        if size >= _BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
