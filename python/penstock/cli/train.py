"""Train a tokenizer on text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import penstock
from penstock._training import train_new
from penstock.cli._files import STDIN, replacing
from penstock.cli._tokenizer import TOKENIZER_HELP, load
from penstock.errors import TrainingError

if TYPE_CHECKING:
    import argparse

_BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
_METASPACE = {
    "type": "Metaspace",
    "replacement": "▁",
    "prepend_scheme": "always",
    "split": True,
}
_BERT_NORMALIZER = {
    "type": "BertNormalizer",
    "clean_text": True,
    "handle_chinese_chars": True,
    "strip_accents": None,
    "lowercase": True,
}

# What a model is usually trained with: the parts of a tokenizer.json, and special tokens.
_USUAL: dict[str, dict[str, Any]] = {
    "bpe": {
        "pre_tokenizer": _BYTE_LEVEL,
        "post_processor": _BYTE_LEVEL | {"trim_offsets": False},
        "decoder": _BYTE_LEVEL,
        "special_tokens": ["<|endoftext|>"],
    },
    "wordpiece": {
        "normalizer": _BERT_NORMALIZER,
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "special_tokens": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
        "unk_token": "[UNK]",
    },
    "unigram": {
        "pre_tokenizer": _METASPACE,
        "decoder": _METASPACE,
        "special_tokens": ["<unk>", "<s>", "</s>"],
        "unk_token": "<unk>",
    },
    "wordlevel": {
        "pre_tokenizer": {"type": "Whitespace"},
        "special_tokens": ["<unk>"],
        "unk_token": "<unk>",
    },
}

_PARTS = ("normalizer", "pre_tokenizer", "post_processor", "decoder")

# Options that are handed on as they are, when given: name, type, help.
_TRAINER_OPTIONS: tuple[tuple[str, type, str], ...] = (
    ("min_frequency", int, "leave out what occurs less often"),
    ("limit_alphabet", int, "characters that the alphabet may have (bpe, wordpiece)"),
    ("max_token_length", int, "characters that a merged token may have (bpe)"),
    ("continuing_subword_prefix", str, "mark of symbols within a word (bpe, wordpiece)"),
    ("end_of_word_suffix", str, "mark of a word's last symbol (bpe, wordpiece)"),
    ("shrinking_factor", float, "share of pieces that stays at each pruning (unigram)"),
    ("n_sub_iterations", int, "rounds of fitting between prunings (unigram)"),
    ("max_piece_length", int, "characters that a piece may have (unigram)"),
    ("seed_size", int, "pieces to start with (unigram)"),
    ("unk_token", str, "token of what the vocabulary lacks"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="UTF-8 text, plain, .gz or .zst; '-' or none: standard input; each line is a text",
    )
    parser.add_argument("-m", "--model", choices=_USUAL, help="kind of model (default: bpe)")
    parser.add_argument("-s", "--vocab-size", type=int, required=True, help="number of tokens")
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="tokenizer.json")
    parser.add_argument(
        "--like", metavar="TOKENIZER", help=f"take the whole pipeline of another: {TOKENIZER_HELP}"
    )
    parser.add_argument(
        "--special-token",
        action="append",
        metavar="TOKEN",
        help="special token, the first with id 0; may be repeated (default: the model's usual ones,"
        " or those of --like)",
    )
    for part in _PARTS:
        parser.add_argument(
            f"--{part.replace('_', '-')}",
            metavar="JSON",
            help=f"{part} as in a tokenizer.json, or 'none' (default: the model's usual one)",
        )
    for name, kind, text in _TRAINER_OPTIONS:
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, help=text)
    parser.add_argument(
        "-q",
        "--quiet",
        action="store_true",
        help="no progress bar; without a terminal there is none",
    )


def run(options: argparse.Namespace) -> None:
    """Trains, and writes the tokenizer under its name when it is complete."""
    given = {
        name: getattr(options, name)
        for name, _, _ in _TRAINER_OPTIONS
        if getattr(options, name) is not None
    }
    given["show_progress"] = not options.quiet
    files = [Path(name) for name in options.files or [STDIN]]
    train = _like if options.like else _new
    # The output is opened first: a path that cannot be written must not cost the work.
    with replacing(options.output) as output:
        try:
            tokenizer = train(options, files, given)
        except TypeError as error:
            if "unexpected keyword" not in str(error):
                raise
            name = str(error).split("'")[1]
            raise TrainingError(f"this kind of model has no option {name}", name) from error
        output.write(tokenizer.to_str(pretty=True).encode())


def _new(
    options: argparse.Namespace, files: list[Path], given: dict[str, Any]
) -> penstock.Tokenizer:
    model = options.model or "bpe"
    usual = dict(_USUAL[model])
    for part in _PARTS:
        usual[part] = _part(part, getattr(options, part), usual.get(part))
    if options.special_token is not None:
        usual["special_tokens"] = options.special_token
    if model == "bpe" and usual["pre_tokenizer"] == _BYTE_LEVEL:
        usual["initial_alphabet"] = penstock.byte_level_alphabet()
    train = getattr(penstock, f"train_{model}")
    tokenizer: penstock.Tokenizer = train(
        files=files, vocab_size=options.vocab_size, **usual | given
    )
    return tokenizer


def _like(
    options: argparse.Namespace, files: list[Path], given: dict[str, Any]
) -> penstock.Tokenizer:
    for name in ("model", *_PARTS):
        if getattr(options, name) is not None:
            flag = "--" + name.replace("_", "-")
            raise TrainingError(f"{flag} cannot go with --like, which decides it", name)
    special = options.special_token
    size = options.vocab_size
    return train_new(load(options.like), files, size, new_special_tokens=special, **given)


def _part(name: str, text: str | None, usual: Any) -> Any:
    if text is None:
        return usual
    if text == "none":
        return None
    try:
        part = json.loads(text)
    except ValueError as error:
        raise TrainingError(f"--{name.replace('_', '-')}: not JSON: {error}", name) from error
    return {"type": part} if isinstance(part, str) else part
