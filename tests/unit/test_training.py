"""What a trainer takes, and what it says about what it cannot take."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import penstock
import pyarrow
import pytest
from penstock.errors import FileError, MissingFileError, TextError, TrainingError

if TYPE_CHECKING:
    from collections.abc import Iterator

SPLIT = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}


def train(texts: Any = None, **options: Any) -> penstock.Tokenizer:
    options = {"pre_tokenizer": SPLIT, "vocab_size": 300, **options}
    return penstock.train_bpe(texts, **options)


def test_a_tokenizer_comes_out() -> None:
    tokenizer = train(["lower lower lowest"] * 3, special_tokens=["<s>"])
    assert tokenizer.encode("<s>lower").tokens == ["<s>", "lower"]
    assert tokenizer.get_added_tokens_decoder()[0].special
    assert tokenizer.decode(tokenizer.encode("<s>lower").ids) == "lower"


def test_words_may_come_counted() -> None:
    assert train({"ab": 3, "b": 1}).get_vocab() == {"a": 0, "b": 1, "ab": 2}


def test_special_tokens_twice_count_once() -> None:
    tokenizer = train(["ab"], special_tokens=["<s>", "<s>", "</s>"])
    assert tokenizer.get_vocab() == {"<s>": 0, "</s>": 1, "a": 2, "b": 3, "ab": 4}


def test_a_vocabulary_below_the_alphabet_is_the_alphabet() -> None:
    """As in the reference: nothing is merged."""
    assert train(["abc"], vocab_size=1).get_vocab() == {"a": 0, "b": 1, "c": 2}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("one text", "not a single str"),
        (b"bytes", "not a single bytes"),
        (7, "not int"),
        (["a", 7], r"not int \(item 1\)"),
        (["a", b"b"], r"not bytes \(item 1\)"),
        ([["a"], ["b", None]], r"not NoneType \(item 1\)"),
        (pyarrow.array([1, 2]), "strings"),
    ],
)
def test_what_is_no_text(texts: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        train(texts)


def test_nothing_to_train_on() -> None:
    with pytest.raises(TypeError, match="give texts or files"):
        train()


def test_lone_surrogates_name_their_row() -> None:
    with pytest.raises(TextError) as caught:
        train(["a"] * 70_000 + ["b\ud800"])
    assert (caught.value.row, caught.value.position) == (70_000, 1)
    assert "row 70000" in str(caught.value)
    with pytest.raises(TextError):
        train({"\udc00": 1})


def test_rows_without_value() -> None:
    with pytest.raises(TextError):
        train(pyarrow.array(["a", None]))


def test_what_an_iterator_raises_comes_through() -> None:
    class OwnError(Exception):
        pass

    def texts() -> Iterator[str]:
        yield "a"
        raise OwnError

    with pytest.raises(OwnError):
        train(texts())


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("vocab_size", -1),
        ("min_frequency", -1),
        ("limit_alphabet", -3),
        ("max_token_length", -1),
        ("vocab_size", 1 << 70),
    ],
)
def test_options_out_of_range(option: str, value: int) -> None:
    with pytest.raises(TrainingError, match=option) as caught:
        train(["a"], **{option: value})
    assert caught.value.option == option


def test_a_vocabulary_beyond_all_ids() -> None:
    with pytest.raises(ValueError, match="vocab_size"):
        train(["a"], vocab_size=1 << 22)


def test_options_of_another_type() -> None:
    with pytest.raises(TypeError, match="vocab_size must be an int"):
        train(["a"], vocab_size=3.5)
    with pytest.raises(TypeError):
        train(["a"], pre_tokenizer=7)


def test_special_tokens_of_another_type() -> None:
    with pytest.raises(TypeError, match="not a single str"):
        train(["a"], special_tokens="<s>")
    with pytest.raises(TypeError, match="special_tokens must be str, not int"):
        train(["a"], special_tokens=[3])
    with pytest.raises(TextError, match="special_tokens"):
        train(["a"], special_tokens=["\ud800"])
    with pytest.raises(TextError, match="end_of_word_suffix"):
        train(["a"], end_of_word_suffix="\udfff")


@pytest.mark.parametrize("count", [-1, 1 << 70, 2.5, "3"])
def test_counts_that_are_none(count: Any) -> None:
    with pytest.raises(TrainingError, match="the count of 'a'"):
        train({"a": count})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("shrinking_factor", 1.0),
        ("shrinking_factor", float("nan")),
        ("n_sub_iterations", 0),
        ("max_piece_length", 0),
        ("vocab_size", 3),
    ],
)
def test_options_of_unigram_out_of_range(option: str, value: float) -> None:
    with pytest.raises(TrainingError, match=option) as caught:
        penstock.train_unigram({"abcd": 1}, **{option: value})
    assert caught.value.option == option


def test_an_empty_corpus_is_a_vocabulary_of_what_was_named() -> None:
    options: dict[str, Any] = {"special_tokens": ["<unk>"]}
    for trained in (
        train([], **options),
        penstock.train_wordpiece([], **options),
        penstock.train_wordlevel([], **options),
        penstock.train_unigram([], unk_token="<unk>", **options),
    ):
        assert trained.get_vocab() == {"<unk>": 0}


def test_a_bar_shows_on_a_terminal() -> None:
    """The bar's stages, on a terminal of its own."""
    pty = pytest.importorskip("pty")
    script = (
        "import penstock; penstock.train_bpe({f'w{i}': 1 for i in range(3000)}, vocab_size=3000);"
        "penstock.train_unigram(['ab ' * 9, 'b'] * 9)"
    )
    parent, child = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", script], stderr=child)
    os.close(child)
    shown = b""
    # A terminal whose other end is closed raises, on Linux.
    with contextlib.suppress(OSError):
        while block := os.read(parent, 1 << 16):
            shown += block
    assert process.wait(timeout=60) == 0
    os.close(parent)
    for stage in (b"Count words", b"Compute merges", b"Find seeds", b"EM training"):
        assert stage in shown


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="missing"):
        train(files=[tmp_path / "missing.txt"])
    with pytest.raises(FileError):
        train(tmp_path)
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"fine\n" * 2_000_000 + b"\xff\n")
    with pytest.raises(TextError, match="invalid byte at 10000000") as caught:
        train(files=bad)
    assert caught.value.position == 10_000_000


@pytest.mark.parametrize("name", ["short.gz", "short.zst"])
def test_compressed_files_that_end_early(tmp_path: Path, name: str) -> None:
    import gzip

    import zstandard

    pack = gzip.compress if name.endswith("gz") else zstandard.compress
    path = tmp_path / name
    path.write_bytes(pack(os.urandom(4000).hex().encode())[:-9])
    with pytest.raises(FileError, match="not a whole"):
        train(files=path)
    path.write_bytes(b"not compressed at all")
    with pytest.raises(FileError):
        train(files=path)


def test_ctrl_c_stops_the_count_and_the_merges() -> None:
    """The signal's handler runs within the call, and what it raises ends it."""

    class StopError(Exception):
        pass

    def stop(_number: int, _frame: object) -> None:
        raise StopError

    def words() -> Iterator[str]:
        while True:
            yield "one and the other " * 1000

    before = signal.signal(signal.SIGUSR1, stop)
    try:
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        with pytest.raises(StopError):
            train(words())
        # A word of different letters: merging it takes a while.
        letters = "".join(chr(0x4E00 + i * i % 20_000) for i in range(2_000_000))
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        with pytest.raises(StopError):
            train({letters: 1}, vocab_size=2_000_000)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_threads_do_not_change_the_result() -> None:
    script = (
        "import penstock; lines = open('tests/data/training.txt', encoding='utf-8').readlines();"
        "split = {'type': 'ByteLevel', 'add_prefix_space': False, 'trim_offsets': True};"
        "tokenizer = penstock.train_bpe(lines * 40, vocab_size=700, pre_tokenizer=split,"
        " continuing_subword_prefix='##', limit_alphabet=60);"
        "print(sorted(tokenizer.get_vocab().items()))"
    )

    def run(threads: int) -> str:
        environment = {**os.environ, "PENSTOCK_NUM_THREADS": str(threads)}
        command = [sys.executable, "-c", script]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=True,
            env=environment,
            cwd=Path(__file__).parents[2],
        ).stdout

    assert run(1) == run(2) == run(7)
