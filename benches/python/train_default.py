"""Trains the small tokenizer that ships in the package, on text of this repository only.

Its corpus is `default_corpus.txt`, written for the purpose, and the project's own sources and
documents. The pipeline is that of Llama 3: the pattern of cl100k, then byte-level BPE.

    python benches/python/train_default.py
"""

from __future__ import annotations

import json
from pathlib import Path

import penstock

ROOT = Path(__file__).parents[2]
OUTPUT = ROOT / "python" / "penstock" / "data" / "default.json"
VOCABULARY = 4096
LARGEST_FILE = 300_000

# The prose is repeated: there is less of it than of code, and more of it in what people encode.
PROSE_REPEATS = 8

PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def corpus() -> list[str]:
    """Returns the texts, generated files left out."""
    prose = (Path(__file__).parent / "default_corpus.txt").read_text("utf-8")
    paths = [*ROOT.glob("*.md"), *ROOT.glob("python/**/*.py"), *ROOT.glob("rust/*/src/**/*.rs")]
    sources = [path for path in sorted(paths) if path.name != "tables.rs"]
    return [prose] * PROSE_REPEATS + [path.read_text("utf-8") for path in sources]


def main() -> None:
    """Trains and writes the tokenizer."""
    byte_level = {
        "type": "ByteLevel",
        "add_prefix_space": True,
        "trim_offsets": True,
        "use_regex": True,
    }
    split = {
        "type": "Split",
        "pattern": {"Regex": PATTERN},
        "behavior": "Isolated",
        "invert": False,
    }
    tokenizer = penstock.train_bpe(
        corpus(),
        vocab_size=VOCABULARY,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=penstock.byte_level_alphabet(),
        pre_tokenizer={
            "type": "Sequence",
            "pretokenizers": [split, byte_level | {"add_prefix_space": False, "use_regex": False}],
        },
        post_processor=byte_level | {"trim_offsets": False},
        decoder=byte_level,
        show_progress=False,
    )
    contents = json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":"))
    if len(contents.encode()) > LARGEST_FILE:
        raise SystemExit(f"{len(contents.encode())} bytes: the package has room for {LARGEST_FILE}")
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(contents, "utf-8")
    print(f"{OUTPUT}: {tokenizer.get_vocab_size()} tokens, {len(contents.encode()):,} bytes")


if __name__ == "__main__":
    main()
