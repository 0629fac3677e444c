"""Writes the files of this folder: small valid inputs, from which the harness makes broken ones.

    python -m tests.data.mutations.generate
"""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any

from tests.charsmap import charsmap
from tests.families import byte_level, sequence, split, template

HERE = Path(__file__).parent

Json = dict[str, Any]

LETTERS = ["a", "b", "c", "é", "日", "▁", "Ġ", " "]


def file(model: Json, **parts: Any) -> Json:
    """A tokenizer.json."""
    empty = dict.fromkeys(("truncation", "padding", "normalizer", "pre_tokenizer"))
    empty |= dict.fromkeys(("post_processor", "decoder"))
    return {"version": "1.0", "added_tokens": [], **empty, **parts, "model": model}


def added(number: int, content: str, **flags: bool) -> Json:
    """An added token."""
    names = ("single_word", "lstrip", "rstrip", "normalized", "special")
    return {"id": number, "content": content, **{name: flags.get(name, False) for name in names}}


def bpe(**options: Any) -> Json:
    """A BPE model with a few merges."""
    tokens = [*LETTERS, "ab", "abc", "Ġa", "Ġab", "<unk>", *(f"<0x{i:02X}>" for i in range(4))]
    merges = [["a", "b"], ["ab", "c"], ["Ġ", "a"], ["Ġa", "b"]]
    vocab = {token: number for number, token in enumerate(tokens)}
    return {"type": "BPE", "vocab": vocab, "merges": merges, **options}


def words(kind: str, **options: Any) -> Json:
    """A model that is a list of words."""
    tokens = ["[UNK]", "[CLS]", "[SEP]", *LETTERS, "##a", "##b", "##c", "ab", "##bc", "aba"]
    return {"type": kind, "vocab": {token: i for i, token in enumerate(tokens)}, **options}


def unigram(**options: Any) -> Json:
    """A Unigram model."""
    pieces = ["<unk>", *LETTERS, "ab", "▁a", "▁ab", "bc", "<0x61>"]
    vocab = [[piece, -1.5 - i / 7] for i, piece in enumerate(pieces)]
    return {"type": "Unigram", "unk_id": 0, "vocab": vocab, **options}


METASPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
NORMALIZERS = [
    {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
     "strip_accents": None, "lowercase": True},
    {"type": "Precompiled", "precompiled_charsmap": charsmap()},
    {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
    {"type": "Replace", "pattern": {"String": "b"}, "content": "bb"},
    {"type": "Strip", "strip_left": True, "strip_right": False},
    {"type": "Prepend", "prepend": "▁"},
    *({"type": name} for name in ("NFC", "NFD", "NFKC", "NFKD", "Nmt")),
    *({"type": name} for name in ("Lowercase", "StripAccents")),
]  # fmt: skip
PRE_TOKENIZERS = [
    {"type": "Punctuation", "behavior": "MergedWithPrevious"},
    {"type": "Digits", "individual_digits": True},
    {"type": "CharDelimiterSplit", "delimiter": "-"},
    {"type": "FixedLength", "length": 3},
    {"type": "Split", "pattern": {"String": "x"}, "behavior": "Removed", "invert": False},
    *({"type": name} for name in ("WhitespaceSplit", "UnicodeScripts", "BertPreTokenizer")),
]
DECODERS = [
    {"type": "ByteFallback"},
    {"type": "Fuse"},
    {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
    {"type": "CTC", "pad_token": "a", "word_delimiter_token": "b", "cleanup": True},
    {"type": "BPEDecoder", "suffix": "c"},
]
TRUNCATION = {
    "direction": "Right",
    "max_length": 5,
    "strategy": "LongestFirst",
    "stride": 1,
}
PADDING = {
    "strategy": {"Fixed": 6},
    "direction": "Left",
    "pad_to_multiple_of": 4,
    "pad_id": 0,
    "pad_type_id": 0,
    "pad_token": "[UNK]",
}
CLS_SEP = {"[CLS]": 1, "[SEP]": 2}

FILES: dict[str, Json] = {
    "byte_level": file(
        bpe(ignore_merges=True),
        pre_tokenizer=sequence(split(r"\p{N}{1,3}"), byte_level(prefix=True)),
        post_processor=byte_level(),
        decoder=byte_level(),
        added_tokens=[added(12, "<unk>", special=True), added(20, "ab ", normalized=True)],
    ),
    "sentencepiece_bpe": file(
        bpe(byte_fallback=True, unk_token="<unk>", fuse_unk=True),
        normalizer={"type": "Sequence", "normalizers": NORMALIZERS[4:6]},
        decoder={"type": "Sequence", "decoders": DECODERS},
        added_tokens=[added(0, "a", single_word=True, lstrip=True), added(30, "é", rstrip=True)],
    ),
    "marked_bpe": file(
        bpe(unk_token="<unk>", continuing_subword_prefix="a", end_of_word_suffix="c", dropout=0.1),
        pre_tokenizer={"type": "Whitespace"},
    ),
    "wordpiece": file(
        words("WordPiece", unk_token="[UNK]", continuing_subword_prefix="##",
              max_input_chars_per_word=100),
        normalizer={"type": "Sequence", "normalizers": NORMALIZERS[:4]},
        pre_tokenizer={"type": "BertPreTokenizer"},
        post_processor=template(["[CLS]", "A", "[SEP]"], [("A", 0), ("B", 1)], CLS_SEP),
        decoder={"type": "WordPiece", "prefix": "##", "cleanup": True},
        truncation=TRUNCATION,
        padding=PADDING,
    ),
    "wordlevel": file(
        words("WordLevel", unk_token="[UNK]"),
        normalizer={"type": "Sequence", "normalizers": NORMALIZERS[6:]},
        pre_tokenizer={"type": "Sequence", "pretokenizers": PRE_TOKENIZERS},
        post_processor={"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
    ),
    "unigram": file(
        unigram(byte_fallback=True),
        normalizer=NORMALIZERS[1],
        pre_tokenizer=METASPACE,
        decoder=METASPACE,
        post_processor={"type": "RobertaProcessing", "sep": ["b", 2], "cls": ["a", 1],
                        "trim_offsets": True, "add_prefix_space": False},
    ),
}  # fmt: skip


NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6


def field(number: int, value: int | float | bytes) -> bytes:
    """A field of a protobuf message."""
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    return varint(number << 3) + varint(value)


def varint(value: int) -> bytes:
    """An integer, seven bits a byte."""
    more = [value >> shift & 0x7F | 0x80 for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes([*more[:-1], more[-1] & 0x7F])


def sentencepiece_model(model_type: int, charsmap: bytes, *trainer: bytes) -> bytes:
    """The `.model` file of SentencePiece."""
    pieces = [("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL), ("日", USER_DEFINED)]
    pieces += [(piece, NORMAL) for piece in ("▁", "a", "b", "c", "é", "ab", "▁a", "▁ab", "bc", "abc")]
    pieces += [(f"<0x{byte:02X}>", BYTE) for byte in (0x0A, 0x61, 0xC3, 0xA9)]
    messages = [
        field(1, field(1, piece.encode()) + field(2, -1.5 - i / 7) + field(3, kind))
        for i, (piece, kind) in enumerate(pieces)
    ]
    messages.append(field(2, b"".join([field(3, model_type), *trainer])))
    messages.append(field(3, field(1, b"rule") + field(2, charsmap)))
    return b"".join(messages)


def main() -> None:
    """Writes every file."""
    for name, value in FILES.items():
        text = json.dumps(value, ensure_ascii=False, indent=1)
        (HERE / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    compiled = base64.b64decode(charsmap())
    (HERE / "charsmap.bin").write_bytes(compiled)
    bytes_too = [field(35, 1), field(40, 0), field(45, b"<unk>")]
    (HERE / "unigram.model").write_bytes(sentencepiece_model(1, compiled, *bytes_too))
    (HERE / "bpe.model").write_bytes(sentencepiece_model(2, b""))
    ranks = "".join(
        f"{base64.b64encode(token).decode()} {rank}\n"
        for rank, token in enumerate([*(bytes([i]) for i in range(256)), b"ab", b"abc", b" a"])
    )
    (HERE / "ranks.tiktoken").write_text(ranks, encoding="utf-8")


if __name__ == "__main__":
    main()
