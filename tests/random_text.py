"""Random hostile strings in bulk, from a seed: what hypothesis does well for thousands, for
millions.

A string is a few pieces joined. Pieces come from lists of things tokenizers like to disagree on:
characters of every Unicode category (unassigned ones too), contractions in every case, white space
of every kind, digits of several scripts, combining marks, runs, pieces of special tokens, ordinary
words.
"""

from __future__ import annotations

import functools
import random
import unicodedata
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CONTRACTIONS = [
    quote + tail
    for quote in ("'", "\u2019", "\uff07", "''", " '")
    for tail in ("s", "S", "t", "re", "RE", "rE", "ve", "VE", "m", "M", "ll", "LL", "lL", "d", "D")
] + ["'\u017f", "'\u212a", "'s\u0301", "'lls", "'", "'r", "'v", "'l", "'R", "'\u0130"]

BLANKS = [
    " ", "  ", "   ", "       ", "\t", "\t\t", "\n", "\n\n", "\r", "\r\n", "\r\n\r\n", "\n ", " \n",
    "\n\t", " \r\n ", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x1f", "\x85", "\u00a0", "\u1680",
    "\u180e", "\u2000", "\u2003", "\u2009", "\u200a", "\u200b", "\u2028", "\u2029", "\u202f",
    "\u205f", "\u2060", "\u3000", "\ufeff",
]  # fmt: skip

NUMBERS = [
    "0", "1", "12", "123", "1234", "12345678901", "3.14", "1,000", "-1", "0x1F", "1e-9",
    "2026-01-31", "\u00b2", "\u00bd", "\u0661\u0662\u0663\u0664", "\u06f1\u06f2",
    "\u0967\u0968\u0969\u096a", "\uff11\uff12\uff13\uff14", "\u2167", "\u2460", "\u3007",
    "\U0001d7d8\U0001d7d9", "\u0e51\u0e52", "\U000104a0",
]  # fmt: skip

COMPOSED = [
    "e\u0301", "E\u0301", "n\u0303", "a\u0302\u0323", "\u1e9b\u0323", "\u212b", "\u2126", "\ufb01",
    "\u1100\u1161\u11a8", "\uac00\u11a8", "\u0f71\u0f72", "\u0958", "\u2adc", "\u0344", "\u1f71",
    "\u0301", "\u0301\u0301", "\u0316\u0301", "\u05e9\u05c1\u05b8", "\u0627\u0654", "\u0928\u093c",
    "\U0001d15e", "\U0001109a", "\u200d", "\ufe0f", "\u20e3",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f44d\U0001f3fd", "\U0001f1eb\U0001f1f7",
    "1\ufe0f\u20e3",
]  # fmt: skip

WORDS = [
    "a", "A", "I", "the", " the", " The", "Hello", " world", " WORLD", "HelloWorld", "helloWorld",
    "HTTPServer", "iPhone", " tokenization", "don't", " I'll", "THEY'RE", "\u00e9t\u00e9",
    " na\u00efve", "\u00dcber", "stra\u00dfe", "\u01c5x", "\u043f\u0440\u0438\u0432\u0435\u0442",
    " \u041c\u0418\u0420", "\u03b3\u03b5\u03b9\u03ac", "\u05e9\u05dc\u05d5\u05dd",
    "\u0645\u0631\u062d\u0628\u0627", "\u0939\u093f\u0928\u094d\u0926\u0940",
    "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35", "\u4e2d\u6587", "\u65e5\u672c\u8a9e",
    "\u3072\u3089\u304c\u306a", "\u30ab\u30bf\u30ab\u30ca\u30fc", "\ud55c\uad6d\uc5b4",
    "\u12a0\u121b\u122d\u129b", "\u10e5\u10d0\u10e0\u10d7", "\ua9b2\ua9ae", "\U00010400\U00010428",
    "\u02b0\u02b1", "\u00aa",
]  # fmt: skip

PUNCTUATION = [
    ".", ",", "!", "?", "...", "!!!", "?!", "//", "/", "/\n", "--", "->", "=>", "==", "!=", "::",
    ";", ":", "()", "[]", "{}", '"', "`", "```", "_", "__init__", "#", "##", "@", "$", "%", "^",
    "&", "*", "+", "~", "|", "<", ">", "<|", "|>", "\\", "\\n", "\u2014", "\u2026", "\u201c",
    "\u201d", "\u3002", "\uff0c", "\u20ac", "\u00a9", "\u2212", "\u00b1", "\ufffd", "\u0000",
    "\u007f", ".\n", ")\r\n", " .", " ,", " (", " \u2014",
]  # fmt: skip

SPECIALS = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>", "</s>", "<pad>", "<unk>", "<mask>",
    " <mask>", "<mask> ", "<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>",
    "<|start_header_id|>", "<|startoftranscript|>", "<|notimestamps|>", "<|0.02|>",
    "<|0.00|><|30.00|>", "<tool_call>", "</tool_call>", "<|fim_prefix|>",
    "<\uff5cbegin\u2581of\u2581sentence\uff5c>", "<\uff5cfim\u2581hole\uff5c>", "<|start|>",
    "<|message|>", "<|return|>", "<|endofprompt|>", "<|padding|>",
]  # fmt: skip
SPECIAL_LOOKALIKES = [
    "<|endoftext", "endoftext|>", "<|ENDOFTEXT|>", "<|endoftext|", "<|im_start", "<mas", "<mask",
    "mask>", "< mask>", "<|begin_of_text|", "<|0.0", "<|0.02|", "<<|endoftext|>>", "<\uff5c",
    "\uff5c>", "[MASK]", "<|>", "<||>",
]  # fmt: skip

RUNS = ["a", "A", " ", "\n", "0", "!", "=", "\u0301", "\u4e2d", "ab", "'s", "\t", "_", " a", "\r\n"]


@functools.cache
def characters_by_category() -> dict[str, list[str]]:
    """Every code point but the surrogates, by general category."""
    table: dict[str, list[str]] = defaultdict(list)
    for code in range(0x110000):
        if not 0xD800 <= code < 0xE000:
            table[unicodedata.category(chr(code))].append(chr(code))
    return dict(table)


def characters_of_every_category(count: int) -> list[str]:
    """`count` characters of each category, spread evenly over it."""
    return [
        characters[index * len(characters) // count]
        for characters in characters_by_category().values()
        for index in range(count)
    ]


def _pools(rng: random.Random, specials: Sequence[str]) -> list[tuple[float, list[str]]]:
    """Weighted pools of pieces; characters and runs are drawn anew for each seed."""
    table = characters_by_category()
    characters = [rng.choice(table[rng.choice(sorted(table))]) for _ in range(4000)]
    ascii_pieces = [
        "".join(chr(rng.randint(32, 126)) for _ in range(rng.randint(1, 8))) for _ in range(1000)
    ]
    runs = [
        rng.choice(RUNS) * rng.choice([2, 3, 5, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130])
        for _ in range(300)
    ]
    special = list(specials) + SPECIAL_LOOKALIKES
    return [
        (0.12, CONTRACTIONS),
        (0.16, BLANKS),
        (0.08, NUMBERS),
        (0.06, COMPOSED),
        (0.18, WORDS),
        (0.11, PUNCTUATION),
        (0.03, special),
        (0.17, characters),
        (0.07, ascii_pieces),
        (0.02, runs),
    ]


def random_strings(
    seed: int, count: int, specials: Sequence[str] = SPECIALS, *, pieces: int = 8
) -> list[str]:
    """`count` strings of up to `2 * pieces` pieces each, the same for the same arguments.

    `specials` are the tokens that may appear whole; give an empty list where the reference reads
    none.
    """
    rng = random.Random(f"penstock:{seed}")
    pools = _pools(rng, specials)
    flat = [piece for _, pool in pools for piece in pool]
    weights = [share / len(pool) for share, pool in pools for _ in pool]
    lengths = rng.choices(range(1, 2 * pieces + 1), k=count)
    parts: Iterator[str] = iter(rng.choices(flat, weights, k=sum(lengths)))
    return ["".join(next(parts) for _ in range(length)) for length in lengths]
