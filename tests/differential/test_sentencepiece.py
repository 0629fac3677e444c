"""SentencePiece models, beside what transformers makes of the same file."""

from __future__ import annotations

import io
import random
import shutil
from typing import TYPE_CHECKING, Any

import penstock
import pytest
import sentencepiece

from tests.compare import assert_same_bulk
from tests.conftest import SEED
from tests.families import DATA
from tests.random_text import random_strings

if TYPE_CHECKING:
    from pathlib import Path

    import tokenizers

KINDS: dict[str, dict[str, Any]] = {
    "unigram": {"model_type": "unigram"},
    "unigram-bytes": {"model_type": "unigram", "byte_fallback": True},
    "bpe": {"model_type": "bpe"},
    "bpe-bytes": {
        "model_type": "bpe",
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "split_digits": True,
    },
    "symbols": {
        "model_type": "bpe",
        "user_defined_symbols": ["<sep>", "the", "▁▁"],
        "control_symbols": ["<ctl>", "[CLS]"],
        "pad_id": 3,
        "unk_piece": "[UNK]",
        "bos_piece": "<bos>",
    },
    "without-bos": {"model_type": "unigram", "bos_id": -1, "eos_id": 1, "unk_id": 0},
    "characters": {"model_type": "char", "vocab_size": 150, "hard_vocab_limit": False},
}


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained on the spot."""
    options = {"vocab_size": 900, "hard_vocab_limit": False, **KINDS[request.param]}
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter((DATA / "training.txt").read_text(encoding="utf-8").splitlines()),
        model_writer=written,
        minloglevel=2,
        num_threads=1,
        **options,
    )
    path = tmp_path_factory.mktemp(request.param) / "tokenizer.model"
    path.write_bytes(written.getvalue())
    return path


def converted(path: Path) -> tokenizers.Tokenizer:
    """What transformers makes of a folder with nothing but this file."""
    transformers = pytest.importorskip("transformers")
    return transformers.TokenizersBackend.from_pretrained(str(path.parent))._tokenizer


def compare(path: Path) -> None:
    """The same file when written, the same ids, offsets and text."""
    ours, reference = penstock.Tokenizer.from_sentencepiece(path), converted(path)
    assert ours.to_str() == reference.to_str()
    texts = [*random_strings(SEED, 300), "  two  spaces ", "", "<sep>the <ctl>\t\n"]
    assert_same_bulk(ours, reference, texts, decode=True)


def test_trained_on_the_spot(model: Path) -> None:
    compare(model)


@pytest.mark.parametrize(
    "name", ["albert-base-v2/spiece.model", "t5-small/spiece.model", "llama-2/tokenizer.model"]
)
def test_real_models(fixtures: Path, tmp_path: Path, name: str) -> None:
    shutil.copy(fixtures / "tokenizers" / name, tmp_path / "tokenizer.model")
    compare(tmp_path / "tokenizer.model")


def test_damaged_models(model: Path, tmp_path: Path) -> None:
    """Any bytes give a tokenizer or a `LoadError`; cut short, a model never passes for a whole one
    unless it is one."""
    content = model.read_bytes()
    chance = random.Random(SEED)
    target = tmp_path / "damaged.model"
    for _ in range(150):
        damaged = bytearray(content)
        for _ in range(chance.choice([1, 3, 30])):
            at = chance.randrange(len(damaged))
            kind = chance.randrange(3)
            if kind == 0:
                damaged[at] = chance.randrange(256)
            elif kind == 1:
                del damaged[at : at + chance.randrange(1, 9)]
            else:
                damaged[at:at] = chance.randbytes(chance.randrange(1, 9))
        if chance.random() < 0.3:
            damaged = damaged[: chance.randrange(len(damaged))]
        target.write_bytes(damaged)
        try:
            tokenizer = penstock.Tokenizer.from_sentencepiece(target)
        except penstock.errors.PenstockError:
            continue
        try:
            tokenizer.decode(tokenizer.encode_ids("a damaged é model ▁ 漢"))
        except penstock.errors.PenstockError:
            continue


def test_what_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(penstock.errors.MissingFileError):
        penstock.Tokenizer.from_sentencepiece(tmp_path / "missing.model")
    target = tmp_path / "x.model"
    infinite = b"\x0a\x08\x0a\x01a\x15\x00\x00\x80\x7f"  # A piece with such a score.
    for content in (b"", b"\x0e", b"text", b"\x0a\x03\x0a\x01\xff", b"\x12\x02\x18\x01", infinite):
        target.write_bytes(content)
        with pytest.raises(penstock.errors.LoadError) as caught:
            penstock.Tokenizer.from_sentencepiece(target)
        assert caught.value.file == str(target)
