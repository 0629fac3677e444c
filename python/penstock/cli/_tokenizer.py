"""The tokenizer that a command is given."""

from __future__ import annotations

from pathlib import Path

from penstock._tokenizer import Tokenizer

TOKENIZER_HELP = (
    "tokenizer.json, a folder that holds one, a .tiktoken file of a known encoding, "
    "the name of a repository on the Hugging Face Hub, or 'default'"
)


def load(name: str) -> Tokenizer:
    """Loads the tokenizer that `name` stands for, in the order of `TOKENIZER_HELP`."""
    path = Path(name)
    if name == "default" and not path.exists():
        return Tokenizer.from_default()
    if path.suffix == ".tiktoken":
        return Tokenizer.from_tiktoken(path)
    if path.is_file() or path.suffix == ".json":
        return Tokenizer.from_file(path)
    return Tokenizer.from_pretrained(name)
