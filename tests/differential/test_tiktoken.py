"""tiktoken rank files, against the tiktoken library and against their tokenizer.json form in
`tokenizers`."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import penstock
import pytest
import tokenizers

from tests import corpora, ledger
from tests.compare import BATCH, assert_same_bulk, shrink
from tests.conftest import RANDOM_STRINGS, SEED
from tests.families import CL100K, DATA, O200K, R50K, Json, byte_level, sequence, split
from tests.random_text import random_strings
from tests.reference.bpe import byte_alphabet

if TYPE_CHECKING:
    from pathlib import Path

tiktoken = pytest.importorskip("tiktoken")

PATTERNS = {"cl100k_base": CL100K, "o200k_base": O200K}
OPENAI_PATTERNS = {
    "cl100k_base": (
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
        r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
    ),
    "o200k_base": O200K,
}
"""As tiktoken itself writes them: possessive, and in Oniguruma's own syntax `{1,3}+` would mean
something else."""

SPECIALS = {
    "cl100k_base": {
        "<|endoftext|>": 100257,
        "<|fim_prefix|>": 100258,
        "<|fim_middle|>": 100259,
        "<|fim_suffix|>": 100260,
        "<|endofprompt|>": 100276,
    },
    "o200k_base": {"<|endoftext|>": 199999, "<|endofprompt|>": 200018},
}


@dataclass(frozen=True)
class Ranks:
    """One rank file, loaded by us and by tiktoken."""

    name: str
    path: Path
    ours: penstock.Tokenizer
    tiktoken: Any

    @classmethod
    def load(cls, path: Path, pattern: str) -> Ranks:
        name = path.stem
        encoding = tiktoken.Encoding(
            name, pat_str=pattern, mergeable_ranks=read_ranks(path), special_tokens=SPECIALS[name]
        )
        ours = penstock.Tokenizer.from_tiktoken(
            path, pattern=pattern, special_tokens=SPECIALS[name]
        )
        return cls(name, path, ours, encoding)

    def assert_same_ids(self, texts: list[str]) -> None:
        """Ids without special tokens: tiktoken reads `<|endoftext|>` as ordinary text here, so
        texts hold none."""
        for start in range(0, len(texts), BATCH):
            part = texts[start : start + BATCH]
            want = self.tiktoken.encode_ordinary_batch(part, num_threads=2)
            got = self.ours.encode_ragged(part, add_special_tokens=False)
            flat = np.fromiter((i for row in want for i in row), np.uint32)
            if not np.array_equal(got.values, flat):
                raise AssertionError(self._first_difference(part))

    def _first_difference(self, texts: list[str]) -> str:
        def differs(text: str) -> bool:
            return bool(self.ours.encode_ids(text).tolist() != self.tiktoken.encode_ordinary(text))

        small = shrink(next(text for text in texts if differs(text)), differs)
        got, want = self.ours.encode_ids(small).tolist(), self.tiktoken.encode_ordinary(small)
        return f"{small!r}: ours {got}, tiktoken {want}"


def read_ranks(path: Path) -> dict[bytes, int]:
    """Token bytes -> rank."""
    lines = (line.split() for line in path.read_bytes().splitlines() if line)
    return {base64.b64decode(token): int(rank) for token, rank in lines}


def without_specials(text: str) -> str:
    """Breaks up what looks like a special token."""
    return text.replace("<|", "< |")


@pytest.fixture(scope="module")
def ranks(rank_file: Path) -> Ranks:
    return Ranks.load(rank_file, PATTERNS[rank_file.stem])


def test_corpora(ranks: Ranks, fixtures: Path) -> None:
    for path in corpora.files(fixtures):
        texts = corpora.documents(without_specials(corpora.read(path)))
        ranks.assert_same_ids(texts)
        ledger.record(ranks.name, "corpora: ids and offsets", texts)


def test_random_strings(ranks: Ranks, fixtures: Path) -> None:
    base = SEED + 1_000_000 * (20 + len(ranks.name))
    for start in range(0, RANDOM_STRINGS, 10_000):
        count = min(10_000, RANDOM_STRINGS - start)
        texts = [without_specials(text) for text in random_strings(base + start, count, [])]
        ranks.assert_same_ids(texts)
        ledger.record(ranks.name, "random strings", texts)


def test_openai_patterns(rank_file: Path) -> None:
    """The pattern in tiktoken's own spelling gives tiktoken's ids."""
    ranks = Ranks.load(rank_file, OPENAI_PATTERNS[rank_file.stem])
    ranks.assert_same_ids([without_specials(text) for text in random_strings(SEED, 5000, [])])


def test_special_tokens(ranks: Ranks) -> None:
    specials = list(SPECIALS[ranks.name])
    for text in random_strings(SEED + 5, 3000, specials):
        want = ranks.tiktoken.encode(text, allowed_special="all")
        assert ranks.ours.encode(text).ids == want, text
        assert ranks.ours.decode(want, skip_special_tokens=False) == text


def test_decode(ranks: Ranks) -> None:
    for text in random_strings(SEED + 6, 2000, []):
        ids = ranks.tiktoken.encode_ordinary(text)
        for part in (ids, ids[1:], ids[:-1], ids[::-1]):
            assert ranks.ours.decode(part) == ranks.tiktoken.decode(part, errors="replace")


def test_against_the_tokenizer_json_form(ranks: Ranks) -> None:
    """Every pair of tokens that joins to a token as a merge, by rank: what a converter writes."""
    reference = tokenizers.Tokenizer.from_str(
        json.dumps(to_json(read_ranks(ranks.path), PATTERNS[ranks.name]))
    )
    texts = [without_specials(text) for text in random_strings(SEED + 7, 10_000, [])]
    assert_same_bulk(ranks.ours, reference, texts, add_special_tokens=False)


def check_conversion(path: Path, pattern: str, count: int) -> None:
    """The tokenizer that transformers makes of a rank file: the same when written, and in use."""
    convert = pytest.importorskip("transformers.convert_slow_tokenizer")
    specials = ["<|endoftext|>", "<|x|>"]
    reference = convert.TikTokenConverter(
        str(path), pattern=pattern, extra_special_tokens=specials
    ).converted()
    first = max(read_ranks(path).values()) + 1
    ours = penstock.Tokenizer.from_tiktoken(
        path,
        pattern=pattern,
        special_tokens={token: first + i for i, token in enumerate(specials)},
    )
    assert ours.to_str() == reference.to_str()
    texts = [*random_strings(SEED + 9, count, specials), "", "<|x|> a<|endoftext|>"]
    assert_same_bulk(ours, reference, texts, decode=True)


def test_a_small_file_as_transformers_converts_it() -> None:
    check_conversion(DATA / "mutations" / "ranks.tiktoken", CL100K, 2000)


def test_as_transformers_converts_it(rank_file: Path) -> None:
    check_conversion(rank_file, PATTERNS[rank_file.stem], 5000)


def to_json(ranks: dict[bytes, int], pattern: str) -> Json:
    """A tokenizer.json with the semantics of a rank file."""
    alphabet = byte_alphabet()
    name = {token: "".join(alphabet[byte] for byte in token) for token in ranks}
    merges = []
    for token in sorted(ranks, key=lambda token: ranks[token]):
        cuts = [(token[:cut], token[cut:]) for cut in range(1, len(token))]
        known = [(a, b) for a, b in cuts if a in ranks and b in ranks]
        known.sort(key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))
        merges += [[name[a], name[b]] for a, b in known]
    own = byte_level(use_regex=False)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": sequence(split(pattern), own),
        "post_processor": None,
        "decoder": own,
        "model": {
            "type": "BPE",
            "ignore_merges": True,
            "vocab": {name[token]: rank for token, rank in ranks.items()},
            "merges": merges,
        },
    }


def test_r50k(fixtures: Path, tmp_path: Path) -> None:
    """GPT-2's vocabulary as a rank file: the ids of r50k and p50k, whose pattern is GPT-2's."""
    path = fixtures / "tokenizers" / "gpt2" / "tokenizer.json"
    gpt2 = penstock.Tokenizer.from_file(path)
    byte = {character: byte for byte, character in byte_alphabet().items()}
    lines = [
        base64.b64encode(bytes(byte[c] for c in token)) + b" %d\n" % rank
        for token, rank in sorted(gpt2.get_vocab().items(), key=lambda item: item[1])
        if token != "<|endoftext|>"
    ]
    rank_path = tmp_path / "r50k_base.tiktoken"
    rank_path.write_bytes(b"".join(lines))
    for pattern in (
        R50K,
        r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s",
    ):
        ours = penstock.Tokenizer.from_tiktoken(
            rank_path, pattern=pattern, special_tokens={"<|endoftext|>": 50256}
        )
        texts = random_strings(SEED + 8, 5000)
        assert ours.encode_ragged(texts).to_list() == gpt2.encode_ragged(texts).to_list()
