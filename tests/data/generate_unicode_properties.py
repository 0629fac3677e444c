"""Writes rust/core/src/unicode/properties.rs: asks the reference what it takes every code point for.

The components of `tokenizers` each carry Unicode tables of their own (the standard library it was
built with, the regex crate, `unicode_categories` of 2016, the scripts of SentencePiece). What counts
is how its wheel answers, so that is what is asked.

    python tests/data/generate_unicode_properties.py > rust/core/src/unicode/properties.rs
    rustfmt --edition 2024 rust/core/src/unicode/properties.rs
"""

from __future__ import annotations

import tokenizers
from tokenizers import normalizers, pre_tokenizers

BLOCK = 128
LAST = 0x110000
SPACE, NUMERIC, PUNCTUATION, WORD, OTHER, NONSPACING, BLANK = (1 << bit for bit in range(7))
CHARACTERS = [chr(code) for code in range(LAST) if not 0xD800 <= code < 0xE000]


def flags(characters: list[str] = CHARACTERS) -> list[int]:
    """The flags of every code point of these, the others 0."""
    table = [0] * LAST
    space = pre_tokenizers.WhitespaceSplit()
    numeric = pre_tokenizers.Digits(individual_digits=True)
    punctuation = pre_tokenizers.Punctuation("isolated")
    whitespace = pre_tokenizers.Whitespace()
    clean = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False
    )
    accents = normalizers.BertNormalizer(
        clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False
    )
    for c in characters:
        text = f"a{c}b"
        flag = SPACE if len(space.pre_tokenize_str(text)) == 2 else 0
        flag |= NUMERIC if len(numeric.pre_tokenize_str(text)) == 3 else 0
        flag |= PUNCTUATION if len(punctuation.pre_tokenize_str(text)) == 3 else 0
        pieces = len(whitespace.pre_tokenize_str(text))
        flag |= {1: WORD, 2: BLANK, 3: 0}[pieces]
        cleaned = clean.normalize_str(text)
        flag |= OTHER if cleaned == "ab" else 0
        flag |= NONSPACING if accents.normalize_str(text) == "ab" else 0
        table[ord(c)] = flag
    return table


def lowercase() -> list[tuple[int, str]]:
    """The characters beyond ASCII that lowercase changes, and what they become."""
    lower = normalizers.Lowercase()
    pairs = [(ord(c), lower.normalize_str(c)) for c in CHARACTERS if not c.isascii()]
    return [(code, text) for code, text in pairs if text != chr(code)]


def scripts() -> list[tuple[int, int]]:
    """Where the script changes: first code point and a number; 0 is any script."""
    cut = pre_tokenizers.UnicodeScripts()

    def differ(a: str, b: str) -> bool:
        # A space before a text that is all of one script would be a piece that is dropped.
        return len(cut.pre_tokenize_str(a + b)) == 2

    representatives: list[str] = []
    runs: list[tuple[int, int]] = []
    previous: str | None = None
    number = -1
    for c in CHARACTERS:
        gap = previous is not None and ord(c) != ord(previous) + 1
        is_any = not differ("a", c) and not differ("\u4e00", c)
        if is_any:
            found = 0
        elif number > 0 and not gap and not differ(representatives[number - 1], c):
            found = number
        else:
            same = (i for i, r in enumerate(representatives, 1) if not differ(r, c))
            found = next(same, 0)
            if found == 0:
                representatives.append(c)
                found = len(representatives)
        if found != number:
            runs.append((ord(c), found))
            number = found
        previous = c
    return runs


def main() -> None:
    """Prints the file."""
    table = flags()
    blocks: dict[tuple[int, ...], int] = {}
    index = [
        blocks.setdefault(tuple(table[start : start + BLOCK]), len(blocks))
        for start in range(0, LAST, BLOCK)
    ]
    while index[-1] == index[-2]:
        index.pop()
    assert len(blocks) <= 256
    print(
        f"// Written by tests/data/generate_unicode_properties.py from tokenizers "
        f"{tokenizers.__version__}. Do not edit."
    )
    print("//! What the reference takes every code point for.\n")
    print("/// Version of the reference that was asked.")
    print(f'pub const REFERENCE_VERSION: &str = "{tokenizers.__version__}";\n')
    print(f"/// Block of the code points `{BLOCK} * i ..`; behind the end, the last one goes on.")
    print(f"#[rustfmt::skip]\npub static INDEX: [u8; {len(index)}] = {rows(index)};\n")
    print("/// Flags of the code points of a block.")
    print(f"#[rustfmt::skip]\npub static BLOCKS: [[u8; {BLOCK}]; {len(blocks)}] = [")
    for block in blocks:
        print(f"{rows(list(block))},")
    print("];\n")
    pairs = lowercase()
    single = [(code, ord(text)) for code, text in pairs if len(text) == 1]
    more = [(code, text) for code, text in pairs if len(text) != 1]
    assert more == [(0x130, "i\u0307")], more
    print("/// Lowercase of the characters beyond ASCII that have another one, but for U+0130.")
    print(f"#[rustfmt::skip]\npub static LOWERCASE: [(u32, u32); {len(single)}] = [")
    for start in range(0, len(single), 8):
        print("    " + " ".join(f"(0x{a:X}, 0x{b:X})," for a, b in single[start : start + 8]))
    print("];\n")
    runs = scripts()
    print("/// First code point of each run of one script, and its number; 0 goes with any script.")
    print(f"#[rustfmt::skip]\npub static SCRIPTS: [(u32, u8); {len(runs)}] = [")
    for start in range(0, len(runs), 8):
        print("    " + " ".join(f"(0x{a:X}, {b})," for a, b in runs[start : start + 8]))
    print("];")


def rows(values: list[int]) -> str:
    """An array literal."""
    lines = [
        "    " + " ".join(f"{value}," for value in values[start : start + 32])
        for start in range(0, len(values), 32)
    ]
    return "[\n" + "\n".join(lines) + "\n]"


if __name__ == "__main__":
    main()
