"""Random pipelines: a whole tokenizer.json put together from all components, and texts for it.

Vocabularies are tiny and made of the same few characters as the texts, so that models have much to
decide: merges compete, pieces tie, words are unknown. A pipeline follows from its seed alone.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

from tests.charsmap import RULES, charsmap
from tests.families import CL100K, R50K, Json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BEHAVIORS = ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous")
MARK = "\u2581"
LETTERS = "aabbccdeXY"
ALPHABET = (
    [*LETTERS, *LETTERS, *LETTERS]
    + [" "] * 9
    + ["  ", "\n", "\t", "\r\n", "\u00a0", "\u3000", "\u200b", "\u2028", "\ufeff"]
    + [MARK, "_", "-", "'s", "'", "##", "``", "''", "<", ">", "!", "\u2026", "\u3002", "\u2e56"]
    + ["\u00e9", "e\u0301", "\u00c9", "\u0130", "\u00df", "\u01c5", "\ufb01", "\uff21", "\u00bd"]
    + ["\u4e2d", "\u6587", "\uf900", "\u3042", "\u30ab", "\u30fc", "\uac00", "\u1100\u1161"]
    + ["1", "2", "12", "\u0661", "\u00b2", "\u0301", "\u0301", "\u0316", "\u093c", "\u0928"]
    + ["\x00", "\x01", "\x7f", "\u00ad", "\u200d", "\ufffd", "\ue000", "\U0001f44d", "\U000e0100"]
    + ["\u0410", "\u03a3", "\u05d0", "\u0e33", "\U0001d15e", "\u0600", "\U0001f468\u200d\U0001f469"]
)
SPECIALS = (
    "[CLS]",
    "[SEP]",
    "<s>",
    "</s>",
    "[MASK]",
    "[PAD]",
    "[UNK]",
    "aa",
    "\u00c9b",
    " c",
    "b ",
)
PATTERNS = (
    r"\s+", r"\d", r"\w+", "[ab]", r"\p{L}+", r"(?=[A-Z])", r"x*", r"[^a]", "c", R50K, CL100K,
    r"'s|\p{P}", r"(?<=a)b", r" {2,}", r"\u2581", r"\b",
)  # fmt: skip


def flag(rng: random.Random) -> bool:
    """A coin."""
    return rng.random() < 0.5


def text_of(rng: random.Random, longest: int = 14) -> str:
    """A text of a few members of the alphabet, now and then with a special token."""
    parts = rng.choices(ALPHABET, k=rng.randint(0, longest))
    for _ in range(2):
        if rng.random() < 0.25:
            parts.insert(rng.randint(0, len(parts)), rng.choice(SPECIALS))
    return "".join(parts)


def pattern(rng: random.Random) -> Json:
    """A pattern, literal or not."""
    if flag(rng):
        return {"String": rng.choice(["a", "ab", " ", "``", ".", "\u00e9", MARK, "c", "  ", "-"])}
    return {"Regex": rng.choice(PATTERNS)}


def sequence(
    rng: random.Random, kind: str, key: str, parts: Sequence[Callable[[random.Random], Json]]
) -> Json | None:
    """Nothing, one of `parts`, or a few of them in order."""
    count = rng.choice([0, 1, 1, 1, 2, 2, 3])
    if count == 0:
        return None
    made = [rng.choice(parts)(rng) for _ in range(count)]
    if count == 1 and rng.random() < 0.8:
        return made[0]
    if count == 3 and rng.random() < 0.2:
        made = [made[0], {"type": kind, key: made[1:]}]
    return {"type": kind, key: made}


NORMALIZERS: list[Callable[[random.Random], Json]] = [
    lambda rng: {
        "type": "BertNormalizer",
        "clean_text": flag(rng),
        "handle_chinese_chars": flag(rng),
        "strip_accents": rng.choice([None, True, False]),
        "lowercase": flag(rng),
    },
    lambda rng: {"type": rng.choice(["NFC", "NFD", "NFKC", "NFKD"])},
    lambda rng: {"type": rng.choice(["Lowercase", "StripAccents", "Nmt"])},
    lambda rng: {"type": "Strip", "strip_left": flag(rng), "strip_right": flag(rng)},
    lambda rng: {
        "type": "Precompiled",
        "precompiled_charsmap": charsmap(
            dict(rng.sample(sorted(RULES.items()), rng.randint(1, len(RULES))))
        ),
    },
    lambda rng: {
        "type": "Replace",
        "pattern": pattern(rng),
        "content": rng.choice(["", " ", MARK, "b", "\u00e9a", "\u4e2d\u6587"]),
    },
    lambda rng: {
        "type": "Replace",
        "pattern": {"String": " "},
        "content": MARK,
    },
    lambda rng: {"type": "Prepend", "prepend": rng.choice([MARK, " ", "a", "\u00e9b", ""])},
    lambda rng: {"type": "ByteLevel"} if rng.random() < 0.3 else {"type": "Lowercase"},
]

PRE_TOKENIZERS: list[Callable[[random.Random], Json]] = [
    lambda rng: {"type": "BertPreTokenizer"},
    lambda rng: {
        "type": "ByteLevel",
        "add_prefix_space": flag(rng),
        "trim_offsets": flag(rng),
        "use_regex": flag(rng),
    },
    lambda rng: {
        "type": "Metaspace",
        "replacement": rng.choice([MARK, MARK, MARK, "_", "a"]),
        "prepend_scheme": rng.choice(["always", "first", "never"]),
        "split": flag(rng),
    },
    lambda rng: {"type": rng.choice(["Whitespace", "WhitespaceSplit"])},
    lambda rng: {"type": "CharDelimiterSplit", "delimiter": rng.choice(["a", " ", "\u00e9", "-"])},
    lambda rng: {"type": "Punctuation", "behavior": rng.choice(BEHAVIORS)},
    lambda rng: {"type": "Digits", "individual_digits": flag(rng)},
    lambda rng: {
        "type": "Split",
        "pattern": pattern(rng),
        "behavior": rng.choice(BEHAVIORS),
        "invert": flag(rng),
    },
    lambda rng: {"type": "UnicodeScripts"},
    lambda rng: {"type": "FixedLength", "length": rng.randint(1, 4)},
]

DECODERS: list[Callable[[random.Random], Json]] = [
    lambda rng: {
        "type": "ByteLevel",
        "add_prefix_space": flag(rng),
        "trim_offsets": flag(rng),
        "use_regex": flag(rng),
    },
    lambda rng: {
        "type": "WordPiece",
        "prefix": rng.choice(["##", "@", ""]),
        "cleanup": flag(rng),
    },
    lambda rng: {
        "type": "Metaspace",
        "replacement": rng.choice([MARK, "_"]),
        "prepend_scheme": rng.choice(["always", "first", "never"]),
        "split": flag(rng),
    },
    lambda rng: {"type": "BPEDecoder", "suffix": rng.choice(["</w>", "b", "</s>"])},
    lambda rng: {
        "type": "CTC",
        "pad_token": rng.choice(["[PAD]", "a"]),
        "word_delimiter_token": rng.choice(["|", "b"]),
        "cleanup": flag(rng),
    },
    lambda rng: {"type": rng.choice(["ByteFallback", "Fuse"])},
    lambda rng: {
        "type": "Strip",
        "content": rng.choice([" ", MARK, "a"]),
        "start": rng.randint(0, 2),
        "stop": rng.randint(0, 2),
    },
    lambda rng: {
        "type": "Replace",
        "pattern": pattern(rng),
        "content": rng.choice(["", " ", "x"]),
    },
]


def characters() -> list[str]:
    """Single characters of the alphabet, most of which a vocabulary may have."""
    return sorted({c for part in ALPHABET for c in part})


def pieces(rng: random.Random, count: int, alphabet: Sequence[str]) -> list[str]:
    """Distinct strings of a few characters."""
    made = {"".join(rng.choices(alphabet, k=rng.randint(1, 4))) for _ in range(count)}
    return sorted(made)


def spelled() -> list[str]:
    """GPT-2's characters for bytes."""
    import tokenizers

    return sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())


SPELLED = spelled()
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
CHARACTERS = characters()


def word_level(rng: random.Random) -> Json:
    """Whole words."""
    words = pieces(rng, 30, [*LETTERS, "\u00e9", MARK, " "]) + rng.sample(CHARACTERS, 20)
    vocab = [*rng.sample(SPECIALS, 3), "[UNK]", *words]
    return {"type": "WordLevel", "vocab": ids(rng, vocab), "unk_token": "[UNK]"}


def word_piece(rng: random.Random) -> Json:
    """Beginnings and continuations."""
    prefix = rng.choice(["##", "##", "@", ""])
    words = pieces(rng, 40, [*LETTERS, "\u00e9", "\u4e2d", MARK])
    rest = [prefix + word for word in pieces(rng, 30, [*LETTERS, "\u0301", "\u00e9"])]
    vocab = ["[UNK]", *words, *rest, *rng.sample(CHARACTERS, 25)]
    return {
        "type": "WordPiece",
        "vocab": ids(rng, vocab),
        "unk_token": "[UNK]",
        "continuing_subword_prefix": prefix,
        "max_input_chars_per_word": rng.choice([3, 10, 100]),
    }


def unigram(rng: random.Random) -> Json:
    """Pieces with scores, many of which tie."""
    fallback = rng.random() < 0.3
    listed = ["<unk>", *pieces(rng, 60, [*LETTERS, MARK, MARK, "\u00e9", "\u0301"])]
    listed += rng.sample(CHARACTERS, 30) + (BYTES if fallback else [])
    listed = list(dict.fromkeys(listed))
    score = rng.choice([lambda: -rng.random() * 10, lambda: -float(rng.randint(1, 4))])
    return {
        "type": "Unigram",
        "unk_id": 0,
        "vocab": [[piece, score()] for piece in listed],
        "byte_fallback": fallback,
    }


def bpe(rng: random.Random) -> Json:
    """Merges in an order that no training gives, over characters or spelled bytes."""
    on_bytes = flag(rng)
    alphabet = SPELLED if on_bytes else CHARACTERS
    alphabet = alphabet if flag(rng) else rng.sample(alphabet, len(alphabet) * 4 // 5)
    prefix = rng.choice([None, None, None, None, "##", ""])
    suffix = rng.choice([None, None, None, None, "</w>", ""])
    common = [*LETTERS[:6], "\u0120" if on_bytes else MARK, " " if not on_bytes else "\u0120"]
    tokens = list(dict.fromkeys([*alphabet, *common]))
    bases = list(tokens)
    if prefix:
        tokens += [prefix + token for token in bases]
    if suffix:
        tokens += [token + suffix for token in tokens]
    merges: list[list[str]] = []
    near = [token for token in tokens if any(c in token for c in common)][:60]
    for _ in range(rng.randint(0, 40)):
        left, right = rng.choice(near), rng.choice(near)
        cut = len(prefix) if prefix and right.startswith(prefix) else 0
        if prefix and not cut:
            continue
        if [left, right] in merges:
            continue
        merges.append([left, right])
        made = left + right[cut:]
        if made not in tokens:
            tokens.append(made)
        near.append(made)
    fallback = rng.random() < 0.3
    unk = rng.choice([None, "<unk>", "<unk>"])
    if fallback:
        tokens += BYTES
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": unk,
        "continuing_subword_prefix": prefix,
        "end_of_word_suffix": suffix,
        "fuse_unk": flag(rng),
        "byte_fallback": fallback,
        "ignore_merges": rng.random() < 0.3,
        "vocab": ids(rng, [*(["<unk>"] if unk else []), *tokens]),
        "merges": merges,
    }


def ids(rng: random.Random, tokens: Sequence[str]) -> dict[str, int]:
    """Numbers without gaps, in any order."""
    listed = list(dict.fromkeys(tokens))
    rng.shuffle(listed)
    return {token: number for number, token in enumerate(listed)}


MODELS = [word_level, word_piece, unigram, bpe, bpe]


def added_tokens(rng: random.Random) -> list[Json]:
    """A few added tokens with any flags."""
    names = ("single_word", "lstrip", "rstrip", "normalized", "special")
    return [
        {"id": 1000 + number, "content": content, **{name: flag(rng) for name in names}}
        for number, content in enumerate(rng.sample(SPECIALS, rng.choice([0, 0, 2, 4, 6])))
    ]


def post_processor(rng: random.Random, *, template: bool = True) -> Json | None:
    """Any of them, but no second template in a sequence: the reference panics on most texts."""
    kind = rng.randint(0, 6)
    if kind == 3 and not template:
        kind = 6
    cls, sep = ["[CLS]", rng.randint(0, 9)], ["[SEP]", rng.randint(0, 9)]
    offsets = {"trim_offsets": flag(rng), "add_prefix_space": flag(rng)}
    if kind == 0:
        return {"type": "BertProcessing", "sep": sep, "cls": cls}
    if kind == 1:
        return {"type": "RobertaProcessing", "sep": sep, "cls": cls, **offsets}
    if kind == 2:
        return {"type": "ByteLevel", **offsets, "use_regex": True}
    if kind == 3:
        special = {"SpecialToken": {"id": "[CLS]", "type_id": rng.randint(0, 2)}}
        a = {"Sequence": {"id": "A", "type_id": rng.randint(0, 2)}}
        b = {"Sequence": {"id": "B", "type_id": rng.randint(0, 2)}}
        single, pair = [special, a, special], [a, special, b]
        for parts in (single, pair):
            if flag(rng):
                parts.pop(parts.index(special))
            if flag(rng):
                parts.append(special)
        if rng.random() < 0.2:
            pair.reverse()
        special_tokens = {"[CLS]": {"id": "[CLS]", "ids": [3, 4], "tokens": ["[CLS]", "x"]}}
        return {
            "type": "TemplateProcessing",
            "single": single,
            "pair": pair,
            "special_tokens": special_tokens,
        }
    if kind == 4:
        made = [post_processor(rng, template=template)]
        templates = json.dumps(made).count("TemplateProcessing")
        made.append(post_processor(rng, template=template and not templates))
        return {"type": "Sequence", "processors": [part for part in made if part]}
    return None


def truncation(rng: random.Random) -> Json | None:
    """Off, mostly."""
    if rng.random() < 0.7:
        return None
    return {
        "direction": rng.choice(["Left", "Right"]),
        "max_length": rng.randint(0, 12),
        "strategy": rng.choice(["LongestFirst", "OnlyFirst", "OnlySecond"]),
        "stride": rng.choice([0, 0, 1, 2, 5]),
    }


def padding(rng: random.Random) -> Json | None:
    """Off, mostly."""
    if rng.random() < 0.75:
        return None
    return {
        "strategy": rng.choice(["BatchLongest", {"Fixed": rng.randint(0, 12)}]),
        "direction": rng.choice(["Left", "Right"]),
        "pad_to_multiple_of": rng.choice([None, None, 4]),
        "pad_id": rng.randint(0, 5),
        "pad_type_id": rng.randint(0, 2),
        "pad_token": "[PAD]",
    }


def pipeline(seed: str) -> tuple[Json, random.Random]:
    """The tokenizer.json of a seed, and the generator to draw its texts from."""
    rng = random.Random(f"penstock pipeline:{seed}")
    value: Json = {
        "version": "1.0",
        "truncation": truncation(rng),
        "padding": padding(rng),
        "added_tokens": added_tokens(rng),
        "normalizer": sequence(rng, "Sequence", "normalizers", NORMALIZERS),
        "pre_tokenizer": sequence(rng, "Sequence", "pretokenizers", PRE_TOKENIZERS),
        "post_processor": post_processor(rng),
        "decoder": sequence(rng, "Sequence", "decoders", DECODERS),
        "model": rng.choice(MODELS)(rng),
    }
    return value, rng


def known(rng: random.Random, seed: str) -> Json:
    """As [`pipeline`], with the normalizer and pre-tokenizer of a published tokenizer."""
    value, _ = pipeline(seed)
    value["normalizer"], value["pre_tokenizer"] = rng.choice(PUBLISHED)(rng)
    return value


def _metaspace(scheme: str, *, split: bool = True) -> Json:
    return {
        "type": "Metaspace",
        "replacement": MARK,
        "prepend_scheme": scheme,
        "split": split,
    }


def _sequence(kind: str, *parts: Any) -> Json:
    return {"type": "Sequence", kind: list(parts)}


_SPACES = {"type": "Replace", "pattern": {"String": " "}, "content": MARK}
_RUNS = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}
_QUOTES = [
    {"type": "Replace", "pattern": {"String": quotes}, "content": '"'} for quotes in ("``", "''")
]
_WORDS = _sequence("pretokenizers", {"type": "WhitespaceSplit"}, _metaspace("always"))

PUBLISHED: list[Callable[[random.Random], tuple[Json | None, Json | None]]] = [
    lambda rng: (NORMALIZERS[0](rng), {"type": "BertPreTokenizer"}),
    lambda rng: (NORMALIZERS[4](rng), _WORDS),
    lambda rng: (
        _sequence(
            "normalizers",
            *_QUOTES,
            {"type": "NFKD"},
            {"type": "StripAccents"},
            {"type": "Lowercase"},
            NORMALIZERS[4](rng),
            _RUNS,
        ),
        _WORDS,
    ),
    lambda rng: (NORMALIZERS[4](rng), _metaspace("always", split=flag(rng))),
    lambda rng: (
        _sequence("normalizers", NORMALIZERS[4](rng), NORMALIZERS[3](rng), _RUNS),
        _metaspace(rng.choice(["always", "first"]), split=True),
    ),
    lambda rng: (_sequence("normalizers", {"type": "Prepend", "prepend": MARK}, _SPACES), None),
    lambda rng: (_SPACES, None),
    lambda rng: (None, _metaspace("first", split=False)),
    lambda rng: (None, _metaspace(rng.choice(["first", "always"]), split=True)),
    lambda rng: (
        _sequence(
            "normalizers",
            {"type": "NFC"},
            {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
            {"type": "Lowercase"},
        ),
        None,
    ),
]
"""The parts around the model that published tokenizers have, and which may take a faster path."""
