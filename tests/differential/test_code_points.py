"""Every code point: the tables that were asked of the reference, and every component that looks at
characters.

When parity is required the tables are compared at every code point, and the components at every one
of planes 0, 1 and 14 and a sample of the others; by default a sample of all.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.compare import assert_same_bulk
from tests.conftest import REQUIRE_PARITY, Pair
from tests.data import generate_unicode_properties as generator
from tests.differential.test_components import NORMALIZERS, PRE_TOKENIZERS, variant

if TYPE_CHECKING:
    from tests.families import Json

PROPERTIES = Path(__file__).parents[2] / "rust/core/src/unicode/properties.rs"
ROW = 16
"""Code points a text."""


def code_points() -> list[int]:
    """The code points of this run."""
    dense, sparse = (1, 61) if REQUIRE_PARITY else (23, 1009)
    inhabited = [*range(0, 0x20000, dense), *range(0xE0000, 0xE1000, dense)]
    empty = [*range(0x20000, 0xE0000, sparse), *range(0xE1000, 0x110000, sparse)]
    low = range(0x3400) if REQUIRE_PARITY else range(0, 0x3400, 5)
    points = sorted({*inhabited, *empty, *low})
    return [point for point in points if not 0xD800 <= point < 0xE000]


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Each code point beside letters, a mark and itself."""
    points = code_points()
    rows = [points[start : start + ROW] for start in range(0, len(points), ROW)]
    return [" ".join(f"a{chr(c)}B{chr(c)}\u0301" for c in row) for row in rows]


def numbers(text: str) -> list[int]:
    """The numbers of an array literal."""
    return [int(number, 0) for number in re.findall(r"0x[0-9A-F]+|\d+", text)]


def table(name: str) -> list[int]:
    """The numbers of a table of properties.rs."""
    source = PROPERTIES.read_text(encoding="utf-8")
    match = re.search(rf"pub static {name}: [^=]*= (.*?);\n", source, re.DOTALL)
    assert match is not None
    return numbers(match.group(1))


def test_the_tables_are_what_the_reference_says() -> None:
    index, blocks = table("INDEX"), table("BLOCKS")
    size = generator.BLOCK
    everything = [ord(c) for c in generator.CHARACTERS]
    points = everything if REQUIRE_PARITY else code_points()
    want = generator.flags([chr(point) for point in points])
    for point in points:
        got = blocks[index[point // size] * size + point % size]
        assert got == want[point], f"U+{point:04X}"


@pytest.mark.skipif(not REQUIRE_PARITY, reason="takes ten seconds")
def test_lowercase_and_scripts_are_what_the_reference_says() -> None:
    flat = table("LOWERCASE")
    pairs = dict(zip(flat[::2], flat[1::2], strict=True))
    want = {code: text for code, text in generator.lowercase() if code != 0x130}
    assert {code: chr(lower) for code, lower in pairs.items()} == want
    flat = table("SCRIPTS")
    assert list(zip(flat[::2], flat[1::2], strict=True)) == generator.scripts()


CHARACTERWISE = [
    name
    for name in PRE_TOKENIZERS
    if name.startswith(("bert", "whitespace", "punctuation", "digits", "scripts", "metaspace-al"))
]


@pytest.mark.parametrize("name", sorted(NORMALIZERS))
def test_normalizers(small_json: dict[str, Json], texts: list[str], name: str) -> None:
    pair = variant(small_json, normalizer=NORMALIZERS[name])
    assert_same_bulk(pair.ours, pair.reference, texts)


@pytest.mark.parametrize("name", CHARACTERWISE)
def test_pre_tokenizers(small_json: dict[str, Json], texts: list[str], name: str) -> None:
    pair = variant(small_json, pre_tokenizer=PRE_TOKENIZERS[name])
    assert_same_bulk(pair.ours, pair.reference, texts)


@pytest.mark.parametrize("name", ["t5-small", "xlm-roberta-base", "albert-base-v2"])
def test_published_charsmaps(
    small_json: dict[str, Json], fixtures: Path, texts: list[str], name: str
) -> None:
    path = fixtures / "tokenizers" / name / "tokenizer.json"
    normalizer = json.loads(path.read_text(encoding="utf-8"))["normalizer"]
    value = json.loads(json.dumps(small_json["gpt2"]))
    pair = Pair.load(name, json.dumps({**value, "normalizer": normalizer}))
    assert_same_bulk(pair.ours, pair.reference, texts)
