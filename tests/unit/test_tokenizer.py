"""penstock.Tokenizer: construction, vocabulary, the shapes of what each call returns."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import penstock
import pytest
from penstock.errors import PenstockError

from tests.families import FAMILIES, R50K, Json
from tests.reference.bpe import byte_alphabet

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Pair

TEXT = "Hello world, it's 2026!\n  na\u00efve \u4e2d\u6587 <|endoftext|>"


def test_constructors_agree(small_json: dict[str, Json], tmp_path: Path) -> None:
    text = json.dumps(small_json["gpt2"])
    path = tmp_path / "tokenizer.json"
    path.write_text(text, encoding="utf-8")
    made = [
        penstock.Tokenizer.from_str(text),
        penstock.Tokenizer.from_buffer(text.encode()),
        penstock.Tokenizer.from_file(str(path)),
        penstock.Tokenizer.from_file(path),
        penstock.Tokenizer.from_pretrained(str(tmp_path)),
    ]
    ids = [tokenizer.encode(TEXT).ids for tokenizer in made]
    assert ids == [ids[0]] * len(made)


def test_string_merges_and_pair_merges_agree(gpt2: Pair, small_json: dict[str, Json]) -> None:
    value = json.loads(json.dumps(small_json["gpt2"]))
    merges = value["model"]["merges"]
    pairs = [m.split(" ") if isinstance(m, str) else m for m in merges]
    for form in (pairs, [" ".join(pair) for pair in pairs]):
        value["model"]["merges"] = form
        assert penstock.Tokenizer.from_str(json.dumps(value)).encode(TEXT).ids == (
            gpt2.ours.encode(TEXT).ids
        )


@pytest.mark.parametrize("key", ["type", "dropout", "unk_token", "fuse_unk", "byte_fallback"])
def test_a_model_may_leave_keys_out(key: str, gpt2: Pair, small_json: dict[str, Json]) -> None:
    value = json.loads(json.dumps(small_json["gpt2"]))
    value["model"].pop(key, None)
    tokenizer = penstock.Tokenizer.from_str(json.dumps(value))
    assert tokenizer.encode(TEXT).ids == gpt2.ours.encode(TEXT).ids


def test_encode_ids_is_a_uint32_array(tokenizer: penstock.Tokenizer) -> None:
    ids = tokenizer.encode_ids(TEXT)
    assert isinstance(ids, np.ndarray)
    assert ids.dtype == np.uint32
    assert ids.ndim == 1
    assert ids.tolist() == tokenizer.encode(TEXT).ids


def test_empty_text_and_empty_batch(tokenizer: penstock.Tokenizer) -> None:
    assert tokenizer.encode("").ids == []
    assert tokenizer.encode_batch([]) == []
    assert tokenizer.encode_ids("").shape == (0,)
    assert list(tokenizer.count_tokens([])) == []
    assert tokenizer.decode([]) == ""
    assert tokenizer.decode_batch([]) == []


def test_count_tokens_counts_without_special_tokens(small: Pair) -> None:
    texts = [TEXT, "", "a", TEXT * 20]
    want = [len(small.reference.encode(text, add_special_tokens=False)) for text in texts]
    assert list(small.ours.count_tokens(texts)) == want


def test_vocabulary_is_the_references(small: Pair) -> None:
    ours, reference = small.ours, small.reference
    for added in (True, False):
        assert ours.get_vocab(with_added_tokens=added) == reference.get_vocab(added)
        assert ours.get_vocab_size(with_added_tokens=added) == reference.get_vocab_size(added)
    for token_id in [*range(0, 3100, 7), 2**31, 2**32 - 1]:
        assert ours.id_to_token(token_id) == reference.id_to_token(token_id)
    for token in [*reference.get_vocab(), "no such token", ""]:
        assert ours.token_to_id(token) == reference.token_to_id(token)
    for pair in (True, False):
        assert ours.num_special_tokens_to_add(pair) == reference.num_special_tokens_to_add(pair)


def test_added_tokens_decoder_is_the_references(small: Pair) -> None:
    got, want = (t.get_added_tokens_decoder() for t in (small.ours, small.reference))
    assert list(got) == list(want)
    names = ("content", "single_word", "lstrip", "rstrip", "normalized", "special")
    for token_id, token in want.items():
        for name in names:
            assert getattr(got[token_id], name) == getattr(token, name)


def test_the_default_of_skip_special_tokens_is_true(tokenizer: penstock.Tokenizer) -> None:
    ids = tokenizer.encode("a<|endoftext|>b").ids
    assert tokenizer.decode(ids) == "ab"
    assert tokenizer.decode(ids, skip_special_tokens=False) == "a<|endoftext|>b"


def test_decode_accepts_lists_arrays_and_ragged(tokenizer: penstock.Tokenizer) -> None:
    ids = tokenizer.encode(TEXT).ids
    want = tokenizer.decode(ids)
    for kind in (np.uint32, np.int64, np.int32, np.uint16):
        assert tokenizer.decode(np.array(ids, dtype=kind)) == want
    assert tokenizer.decode(tuple(ids)) == want
    texts = [TEXT, "", "b"]
    ragged = tokenizer.encode_ragged(texts)
    assert tokenizer.decode_batch(ragged) == tokenizer.decode_batch(ragged.to_list())


def test_from_tiktoken_with_own_pattern_and_specials(tmp_path: Path, gpt2: Pair) -> None:
    """A rank file whose ranks are the ids of a small GPT-2: ids must be the same."""
    path = write_rank_file(tmp_path / "small.tiktoken", gpt2.reference.get_vocab(False))
    specials = {"<|endoftext|>": 0, "<|extra|>": 5000}
    tokenizer = penstock.Tokenizer.from_tiktoken(path, pattern=R50K, special_tokens=specials)
    text = "Hello world, it's 2026!\n  na\u00efve \u4e2d\u6587 "
    assert tokenizer.encode(text).ids == gpt2.ours.encode(text, add_special_tokens=False).ids
    assert tokenizer.encode("a<|extra|><|endoftext|>").ids[-2:] == [5000, 0]
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_from_tiktoken_refuses_what_is_not_a_rank_file(tmp_path: Path) -> None:
    for name, data in {
        "words": b"hello world\n",
        "base64": b"!!!! 1\n",
        "number": b"YQ== x\n",
        "negative": b"YQ== -1\n",
        "large": b"YQ== 99999999999999\n",
        "twice": b"YQ== 1\nYQ== 2\n",
        "rank-twice": b"YQ== 1\nYg== 1\n",
    }.items():
        path = tmp_path / f"{name}.tiktoken"
        path.write_bytes(data)
        with pytest.raises(PenstockError):
            penstock.Tokenizer.from_tiktoken(path, pattern=R50K, special_tokens={})


def write_rank_file(path: Path, vocab: dict[str, int]) -> Path:
    """The byte tokens of a byte-level vocabulary in tiktoken's form; tokens of other characters are
    left out."""
    import base64

    byte = {character: byte for byte, character in byte_alphabet().items()}
    lines = []
    for token, rank in sorted(vocab.items(), key=lambda item: item[1]):
        if token not in FAMILIES["gpt2"].specials and all(c in byte for c in token):
            data = base64.b64encode(bytes(byte[c] for c in token)).decode()
            lines.append(f"{data} {rank}\n")
    path.write_text("".join(lines), encoding="ascii")
    return path


def test_repr_names_the_parts(tokenizer: penstock.Tokenizer) -> None:
    assert "Tokenizer" in repr(tokenizer)
