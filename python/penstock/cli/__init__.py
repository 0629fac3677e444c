"""The command line: `penstock encode | decode | inspect | train | generate | bench | demo`."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from penstock._native import __version__
from penstock.errors import PenstockError

if TYPE_CHECKING:
    from collections.abc import Sequence

# One module each, with `add_arguments(parser)` and `run(arguments)`; its docstring's first line is
# the help text.
_COMMANDS = ("encode", "decode", "inspect", "train", "generate", "evaluate", "bench", "demo")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit status: 0, 1 for an error, 130 for Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone (`| head`). Python would complain once more when it flushes at exit.
        sys.stdout = None
        return 0
    except (PenstockError, OSError) as error:
        print(f"penstock: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="penstock", description="Compiled tokenization.")
    parser.add_argument("--version", action="version", version=f"penstock {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in _COMMANDS:
        command = import_module(f"penstock.cli.{name}")
        summary = (command.__doc__ or "").splitlines()[0]
        subparser = commands.add_parser(name, help=summary, description=summary)
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser
