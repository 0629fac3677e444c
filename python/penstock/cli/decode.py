"""Turn token ids back into text."""

from __future__ import annotations

import io
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np

from penstock.cli._files import STDIN, read_bytes, replacing
from penstock.cli._tokenizer import TOKENIZER_HELP, load
from penstock.errors import FileError, TokenIdError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from numpy.typing import NDArray

# What every .npy file begins with.
_NPY_MAGIC = b"\x93NUMPY"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "file",
        nargs="?",
        default=STDIN,
        help="a .npy array, or text with one line of ids for each text (default: stdin)",
    )
    parser.add_argument("-t", "--tokenizer", required=True, help=TOKENIZER_HELP)
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write the text there (default: standard output)"
    )
    parser.add_argument(
        "--skip-special-tokens", action="store_true", help="leave special tokens out"
    )
    parser.add_argument("--strict", action="store_true", help="fail on an id that has no token")


def run(options: argparse.Namespace) -> None:
    """Decodes an array to one text, or every line of ids to a line of text."""
    with ExitStack() as stack:
        output = (
            stack.enter_context(replacing(options.output)) if options.output else sys.stdout.buffer
        )
        tokenizer = load(options.tokenizer)
        data = read_bytes(options.file)
        is_array = data.startswith(_NPY_MAGIC)
        for ids in [_array(data, options.file)] if is_array else _lines(data, options.file):
            text = tokenizer.decode(ids, options.skip_special_tokens, strict=options.strict)
            output.write(text.encode())
            if not is_array:
                output.write(b"\n")
        output.flush()


def _array(data: bytes, name: str) -> NDArray[np.generic]:
    try:
        array: NDArray[np.generic] = np.load(io.BytesIO(data), allow_pickle=False)
    except ValueError as error:
        raise FileError(None, f"not a whole .npy file: {error}", name) from error
    if array.dtype.kind not in "iu":
        raise FileError(None, f"holds {array.dtype}, not integers", name)
    return array.reshape(-1)


def _lines(data: bytes, name: str) -> Iterator[list[int]]:
    for number, line in enumerate(data.splitlines(), 1):
        try:
            yield [int(word) for word in line.split()]
        except ValueError as error:
            raise TokenIdError(
                f"{name}: line {number} holds something other than ids: {error}"
            ) from error
