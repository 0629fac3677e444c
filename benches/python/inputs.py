"""Tokenizers and texts of the benchmark: found below the fixtures folder, or generated from a
seed."""

from __future__ import annotations

import base64
import json
import os
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

CL100K = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
R50K = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
O200K = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_CONTRACTION}"
    rf"|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_CONTRACTION}"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
RANK_FILES = {"cl100k_base": CL100K, "o200k_base": O200K, "r50k_base": R50K, "p50k_base": R50K}

WARM_UP = 64_000
"""Bytes of another text that a process encodes before its first timed call; with threads, four
times as many."""

SHORT = 50
"""Bytes of a short text."""

ADVERSARIAL: dict[str, Callable[[int], str]] = {
    "one-letter": lambda size: "a" * size,
    "spaces": lambda size: " " * size,
    "letters": lambda size: _random("abcdefghijklmnopqrstuvwxyz", size),
    "digits": lambda size: _random("0123456789", size),
    "punctuation": lambda size: _random("!@#$%^&*()-+=[]{}<>?/\\|~`.,;:", size),
    "latin-1": lambda size: _random([chr(code) for code in range(256)], size * 2 // 3),
    "emoji": lambda size: (
        "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466" * (size // 25)
    ),
    "han": lambda size: _random([chr(code) for code in range(0x4E00, 0x9FFF)], size // 3),
}
"""Hostile texts of about `size` bytes: no breaks, or nothing but breaks."""

# Peers differ on literal special tokens, and rightly so: some read them, some do not. The texts
# hold none.
_SPECIAL = re.compile(
    rb"<(?=\||\xef\xbd\x9c)|<(?=/?(?:s|pad|unk|mask|tool_call|think)>)"
    rb"|\[(?=(?:CLS|SEP|PAD|UNK|MASK)\])"
)


def _random(alphabet: str | list[str], size: int) -> str:
    return "".join(random.Random(3).choices(alphabet, k=size))


def byte_alphabet() -> dict[int, str]:
    """GPT-2's printable stand-in for each byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    stand_ins = {byte: chr(byte) for byte in printable}
    return stand_ins | {byte: chr(256 + index) for index, byte in enumerate(others)}


@dataclass(frozen=True)
class Source:
    """One tokenizer as a tokenizer.json; `ranks` is the tiktoken file it was made from, if any."""

    name: str
    json: Path
    ranks: Path | None = None

    def parts(self) -> tuple[dict[bytes, int], str, bool]:
        """Ranks, pattern and whether NFC goes first, for peers that are built like tiktoken."""
        value = json.loads(self.json.read_text(encoding="utf-8"))
        pre = value["pre_tokenizer"]
        steps = pre.get("pretokenizers", [pre])
        patterns = [step["pattern"]["Regex"] for step in steps if step["type"] == "Split"]
        if len(patterns) > 1:
            raise UnableError("has several split patterns")
        normalizer = (value["normalizer"] or {}).get("type")
        if normalizer not in (None, "NFC"):
            raise UnableError(f"has a normalizer {normalizer}")
        byte = {character: byte for byte, character in byte_alphabet().items()}
        added = {token["content"] for token in value["added_tokens"]}
        ranks = {
            bytes(byte[c] for c in token): token_id
            for token, token_id in value["model"]["vocab"].items()
            if token not in added and all(c in byte for c in token)
        }
        return ranks, (patterns or [R50K])[0], normalizer == "NFC"


class UnableError(Exception):
    """A peer cannot do this; the row says so, and nothing fails."""


def find_source(fixtures: Path, name: str, work: Path) -> Source:
    """A folder of the fixtures, or a path to a tokenizer.json; rank files are converted once, into
    `work`."""
    if name.endswith(".json"):
        return Source(Path(name).parent.name, Path(name))
    folder = fixtures / "tokenizers" / name
    if (folder / "tokenizer.json").exists():
        return Source(name, folder / "tokenizer.json")
    ranks = folder / f"{name}.tiktoken"
    target = work / f"{name}.json"
    if not target.exists():
        target.write_text(json.dumps(_to_json(ranks, RANK_FILES[name])), encoding="utf-8")
    return Source(name, target, ranks)


def _to_json(path: Path, pattern: str) -> dict[str, Any]:
    """A tokenizer.json with the semantics of a rank file: every pair that joins to a token is a
    merge, by rank."""
    lines = (line.split() for line in path.read_bytes().splitlines() if line)
    ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    alphabet = byte_alphabet()
    name = {token: "".join(alphabet[byte] for byte in token) for token in ranks}
    merges: list[list[str]] = []
    for token in sorted(ranks, key=lambda token: ranks[token]):
        cuts = [(token[:cut], token[cut:]) for cut in range(1, len(token))]
        known = [(a, b) for a, b in cuts if a in ranks and b in ranks]
        known.sort(key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))
        merges += [[name[a], name[b]] for a, b in known]
    own = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    split = {
        "type": "Split",
        "pattern": {"Regex": pattern},
        "behavior": "Isolated",
        "invert": False,
    }
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": True,
        "vocab": {name[token]: rank for token, rank in ranks.items()},
        "merges": merges,
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, own]},
        "post_processor": None,
        "decoder": own,
        "model": model,
    }


@dataclass(frozen=True)
class Sizes:
    """How much text each case takes."""

    document: int = 10_000_000
    batch: int = 4000
    short: int = 100_000
    adversarial: int = 1_000_000


def corpus(fixtures: Path, name: str) -> bytes:
    """One text file of the corpora, special tokens broken up."""
    for suffix in (".txt", ".jsonl"):
        path = fixtures / "corpora" / f"{name}{suffix}"
        if path.exists():
            return _SPECIAL.sub(lambda match: match.group() + b" ", path.read_bytes())
    raise SystemExit(f"no corpus {name!r} below {fixtures / 'corpora'}")


def texts(fixtures: Path, case: str, part: int, sizes: Sizes) -> list[str]:
    """The texts of a case such as `batch:english`; parts 0 and 1 are different texts of the same
    kind."""
    mode, _, name = case.partition(":")
    if mode == "adversarial":
        return [ADVERSARIAL[name](sizes.adversarial)]
    data = corpus(fixtures, name)
    half = (len(data) - 4 * WARM_UP) // 2
    data = data[part * half : (part + 1) * half]
    if mode == "doc":
        return [_text(data[: sizes.document])]
    if mode == "batch":
        rng = random.Random(part)
        return _cut(data, (rng.randint(1000, 5000) for _ in range(sizes.batch)))
    return _cut(data, (SHORT for _ in range(sizes.short)))


def warm_up(fixtures: Path, case: str, threads: int) -> list[str]:
    """Text of another kind, in pieces of the case's size."""
    mode, _, name = case.partition(":")
    other = "code_mixed" if name.startswith("english") else "english"
    data = corpus(fixtures, other)[-WARM_UP * (1 if threads == 1 else 4) :]
    size = {"doc": len(data), "batch": 2000, "short": SHORT}[mode]
    return [_text(data[start : start + size]) for start in range(0, len(data), size)]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "ignore")


def _cut(data: bytes, lengths: Iterable[int]) -> list[str]:
    pieces, start = [], 0
    for length in lengths:
        if start + length > len(data):
            break
        pieces.append(_text(data[start : start + length]))
        start += length
    return pieces


def cpu_name() -> str:
    """The processor's name as the system gives it."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            return next(
                line.split(":", 1)[1].strip() for line in file if line.startswith("model name")
            )
    except (OSError, StopIteration):
        return os.uname().machine if hasattr(os, "uname") else "unknown"
