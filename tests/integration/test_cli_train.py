"""`penstock train`: files in, a whole tokenizer.json out, or none."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import penstock
import pytest
import tokenizers
import zstandard

from tests.families import DATA
from tests.integration.test_cli import output, penstock_command

if TYPE_CHECKING:
    from pathlib import Path

TEXT = (DATA / "training.txt").read_bytes()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("train") / "corpus.txt"
    file.write_bytes(TEXT)
    return file


@pytest.mark.parametrize("model", ["bpe", "wordpiece", "unigram", "wordlevel"])
def test_every_model(corpus: Path, tmp_path: Path, model: str) -> None:
    """What is written loads into the reference, too, and encodes the same there."""
    file = tmp_path / "tokenizer.json"
    output("train", corpus, "--model", model, "--vocab-size", 900, "--output", file)
    ours = penstock.Tokenizer.from_file(file)
    reference = tokenizers.Tokenizer.from_file(str(file))
    assert ours.get_vocab() == reference.get_vocab()
    text = TEXT.decode()
    assert ours.encode(text).ids == reference.encode(text).ids
    assert json.loads(file.read_bytes()) == json.loads(reference.to_str())


@pytest.mark.parametrize("form", ["gz", "zst", "stdin", "dash"])
def test_compressed_files_and_standard_input(corpus: Path, tmp_path: Path, form: str) -> None:
    plain, other = tmp_path / "plain.json", tmp_path / "other.json"
    output("train", corpus, "-s", 400, "-o", plain)
    packed = tmp_path / f"corpus.txt.{form}"
    packed.write_bytes(zstandard.compress(TEXT) if form == "zst" else gzip.compress(TEXT))
    arguments = {"stdin": [], "dash": ["-"]}.get(form, [packed])
    output("train", *arguments, "-s", 400, "-o", other, input=TEXT)
    assert other.read_bytes() == plain.read_bytes()


def test_options_reach_the_trainer(corpus: Path, tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    options = [
        "--special-token",
        "<a>",
        "--special-token",
        "<b>",
        "--pre-tokenizer",
        '"Whitespace"',
    ]
    options += ["--min-frequency", "3", "--end-of-word-suffix", "</w>", "--decoder", "none"]
    output("train", corpus, "-s", 700, "-o", file, *options, "--normalizer", '{"type":"Lowercase"}')
    found = json.loads(file.read_bytes())
    assert found["model"]["end_of_word_suffix"] == "</w>"
    assert [token["content"] for token in found["added_tokens"]] == ["<a>", "<b>"]
    assert found["pre_tokenizer"] == {"type": "Whitespace"}
    assert found["normalizer"] == {"type": "Lowercase"}
    assert found["decoder"] is None
    expected = penstock.train_bpe(
        files=corpus,
        vocab_size=700,
        special_tokens=["<a>", "<b>"],
        min_frequency=3,
        end_of_word_suffix="</w>",
        normalizer={"type": "Lowercase"},
        pre_tokenizer={"type": "Whitespace"},
    )
    assert penstock.Tokenizer.from_file(file).get_vocab() == expected.get_vocab()


def test_like_another_tokenizer(corpus: Path, tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    output("train", corpus, "-s", 500, "-o", file, "--like", "default", "--special-token", "<x>")
    found, default = penstock.Tokenizer.from_file(file), penstock.Tokenizer.from_default()
    assert found.get_vocab_size() == 500
    assert found.pre_tokenizer == default.pre_tokenizer
    assert [token.content for token in found.get_added_tokens_decoder().values()] == [
        "<|endoftext|>",
        "<x>",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.txt", "-s", "300"], "missing.txt"),
        (["CORPUS", "-s", "-3"], "vocab_size must be from 0"),
        (["CORPUS", "-s", "10", "-m", "unigram"], "too small"),
        (["CORPUS", "-s", "300", "-m", "unigram", "--min-frequency", "2"], "no option min_freq"),
        (["CORPUS", "-s", "300", "--pre-tokenizer", "{"], "--pre-tokenizer: not JSON"),
        (["CORPUS", "-s", "300", "--pre-tokenizer", '"Nonsense"'], "Nonsense"),
        (["CORPUS", "-s", "300", "--like", "default", "-m", "bpe"], "--model cannot go"),
    ],
)
def test_errors_leave_no_file(
    corpus: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    arguments = [str(corpus) if argument == "CORPUS" else argument for argument in arguments]
    result = penstock_command("train", *arguments, "-o", tmp_path / "out.json", cwd=tmp_path)
    assert result.returncode == 1
    assert message in result.stderr.decode()
    assert "Traceback" not in result.stderr.decode()
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_cannot_be_written(corpus: Path, tmp_path: Path) -> None:
    result = penstock_command("train", corpus, "-s", 300, "-o", tmp_path / "no" / "out.json")
    assert result.returncode == 1
    assert "no/out.json" in result.stderr.decode()
