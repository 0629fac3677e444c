"""The command line: text in, ids out and back, tables, errors with a status and no partial file."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import penstock
import pytest

from tests.families import DATA, Json

TEXT = (
    "Hello world, it's 2026!\nna\u00efve \u4e2d\u6587 \U0001f600\n\n  indented <|endoftext|> line\n"
)


@pytest.fixture(scope="module")
def path(small_json: dict[str, Json], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer that adds tokens to a text, so that leaving them out shows."""
    file = tmp_path_factory.mktemp("cli") / "tokenizer.json"
    file.write_text(json.dumps(small_json["roberta"]), encoding="utf-8")
    return file


def penstock_command(*arguments: object, **options: object) -> subprocess.CompletedProcess[bytes]:
    """Runs `python -m penstock`."""
    command = [sys.executable, "-m", "penstock", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=120, **options)  # type: ignore[call-overload,no-any-return]


def output(*arguments: object, **options: object) -> bytes:
    """Standard output of a command that succeeds."""
    result = penstock_command(*arguments, **options)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout


def expected(path: Path, text: str = TEXT, special: bool = True) -> list[int]:
    return list(penstock.Tokenizer.from_file(path).encode(text, add_special_tokens=special).ids)


@pytest.mark.parametrize("form", ["plain", "gz", "zst", "stdin", "dash"])
def test_encode_reads(path: Path, tmp_path: Path, form: str) -> None:
    data = TEXT.encode()
    file = tmp_path / {"gz": "text.txt.gz", "zst": "text.txt.zst"}.get(form, "text.txt")
    if form == "zst":
        data = pytest.importorskip("zstandard").compress(data)
    file.write_bytes(gzip.compress(data) if form == "gz" else data)
    arguments = {"stdin": [], "dash": ["-"]}.get(form, [file])
    options = {"input": TEXT.encode()} if form in ("stdin", "dash") else {}
    got = output("encode", *arguments, "--tokenizer", path, **options)
    assert [int(word) for word in got.split()] == expected(path)


def test_encode_writes_an_array(path: Path, tmp_path: Path) -> None:
    first, second, ids = tmp_path / "a.txt", tmp_path / "b.txt", tmp_path / "ids.npy"
    first.write_text(TEXT, encoding="utf-8", newline="")
    second.write_text("second", encoding="utf-8")
    output("encode", first, second, "--tokenizer", path, "-o", ids)
    array = np.load(ids)
    assert array.dtype == np.uint32
    assert array.tolist() == expected(path) + expected(path, "second")
    assert {file.name for file in tmp_path.iterdir()} == {"a.txt", "b.txt", "ids.npy"}


def test_encode_lines(path: Path) -> None:
    lines = TEXT.removesuffix("\n").split("\n")
    got = output("encode", "--lines", "--tokenizer", path, input=TEXT.encode()).decode()
    rows = [[int(word) for word in row.split()] for row in got.removesuffix("\n").split("\n")]
    assert rows == [expected(path, line) for line in lines]


def test_encode_without_special_tokens(path: Path) -> None:
    got = output("encode", "--no-special-tokens", "--tokenizer", path, input=b"Hello")
    assert [int(word) for word in got.split()] == expected(path, "Hello", special=False)


def test_round_trip(path: Path, tmp_path: Path) -> None:
    ids = tmp_path / "ids.npy"
    output("encode", "--no-special-tokens", "-t", path, "-o", ids, input=TEXT.encode())
    assert output("decode", ids, "--tokenizer", path) == TEXT.encode()
    lines = output("encode", "--no-special-tokens", "-t", path, input=TEXT.encode())
    assert output("decode", "--tokenizer", path, input=lines) == TEXT.encode() + b"\n"


def test_empty_input(path: Path, tmp_path: Path) -> None:
    ids = tmp_path / "ids.npy"
    output("encode", "--no-special-tokens", "-t", path, "-o", ids, input=b"")
    assert np.load(ids).tolist() == []
    assert output("decode", ids, "-t", path) == b""


def test_inspect(path: Path) -> None:
    shown = output("inspect", path).decode()
    for word in ("ByteLevel", "BPE", "RobertaProcessing", "special"):
        assert word in shown, shown


def test_bench(path: Path) -> None:
    shown = output("bench", path, DATA / "training.txt").decode()
    for word in ("penstock", "tokenizers", "cold", "steady", "warm"):
        assert word in shown, shown


def test_demo() -> None:
    shown = output("demo").decode()
    assert "penstock" in shown


def test_help_and_version() -> None:
    assert penstock.__version__ in output("--version").decode()
    shown = output("--help").decode()
    for command in ("encode", "decode", "inspect", "bench"):
        assert command in shown
        assert output(command, "--help")
    assert penstock_command().returncode == 2
    assert penstock_command("no-such-command").returncode == 2


BAD: dict[str, tuple[list[str], bytes]] = {
    "no tokenizer file": (["encode", "-t", "{dir}/none.json"], b"x"),
    "tokenizer is not JSON": (["encode", "-t", "{dir}/text.txt"], b"x"),
    "no input file": (["encode", "{dir}/none.txt", "-t", "{path}"], b""),
    "input is not UTF-8": (["encode", "-t", "{path}"], b"ab\xff"),
    "broken gzip": (["encode", "{dir}/broken.gz", "-t", "{path}"], b""),
    "broken zstd": (["encode", "{dir}/broken.zst", "-t", "{path}"], b""),
    "ids are words": (["decode", "-t", "{path}"], b"1 2 three\n"),
    "negative id": (["decode", "-t", "{path}"], b"1 -2\n"),
    "huge id": (["decode", "-t", "{path}"], b"1 99999999999\n"),
    "array of floats": (["decode", "{dir}/floats.npy", "-t", "{path}"], b""),
    "broken array": (["decode", "{dir}/broken.npy", "-t", "{path}"], b""),
    "inspect nothing": (["inspect", "{dir}/none.json"], b""),
    "bench an empty file": (["bench", "{path}", "{dir}/empty.txt"], b""),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_are_one_line_and_status_1(path: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "text.txt").write_text("not json")
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "broken.gz").write_bytes(gzip.compress(b"hello" * 1000)[:20])
    (tmp_path / "broken.zst").write_bytes(b"(\xb5/\xfd\x00")
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY\x01\x00")
    np.save(tmp_path / "floats.npy", np.array([1.5]))
    arguments, data = BAD[name]
    filled = [word.format(dir=tmp_path, path=path) for word in arguments]
    result = penstock_command(*filled, input=data)
    message = result.stderr.decode()
    assert result.returncode == 1, (result.returncode, message)
    assert message.startswith("penstock: error: ")
    assert "Traceback" not in message
    assert message.count("\n") == 1


@pytest.mark.parametrize("target", ["missing/ids.npy", ".", "file/ids.npy"])
def test_an_output_that_cannot_be_written(path: Path, tmp_path: Path, target: str) -> None:
    (tmp_path / "file").write_text("")
    before = sorted(file.name for file in tmp_path.iterdir())
    result = penstock_command("encode", "-t", path, "-o", tmp_path / target, input=b"hello")
    assert result.returncode == 1
    assert b"Traceback" not in result.stderr
    assert sorted(file.name for file in tmp_path.iterdir()) == before


def test_a_failure_leaves_the_old_output(path: Path, tmp_path: Path) -> None:
    """The result takes its name only when it is whole."""
    ids = tmp_path / "ids.npy"
    ids.write_bytes(b"old")
    result = penstock_command("encode", "-t", path, "-o", ids, input=b"ab\xff")
    assert result.returncode == 1
    assert ids.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["ids.npy"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_leaves_no_file(path: Path, tmp_path: Path) -> None:
    text, ids = tmp_path / "text.txt", tmp_path / "ids.npy"
    text.write_text("abc defg hij klm 0123 ., " * 20_000)
    command = [sys.executable, "-m", "penstock", "encode", *[str(text)] * 3000, "-t", str(path)]
    with subprocess.Popen([*command, "-o", str(ids)], stderr=subprocess.PIPE) as process:
        try:
            deadline = time.monotonic() + 30
            while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
                time.sleep(0.02)
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode in (130, -signal.SIGINT), errors
    assert [file.name for file in tmp_path.iterdir()] == ["text.txt"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_an_error(path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "penstock", "encode", "-t", str(path)]
        result = subprocess.run(
            command, input=TEXT.encode() * 3000, stdout=full, stderr=subprocess.PIPE, timeout=60
        )
    assert result.returncode != 0
    assert b"Traceback" not in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_a_reader_that_leaves_is_no_error(path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        command = [sys.executable, "-m", "penstock", "encode", "-t", str(path)]
        result = subprocess.run(
            command, input=TEXT.encode() * 3000, stdout=write, stderr=subprocess.PIPE, timeout=60
        )
    finally:
        os.close(write)
    assert b"Traceback" not in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX terminals")
def test_a_progress_bar_only_on_a_terminal(path: Path, tmp_path: Path) -> None:
    import pty

    text = tmp_path / "text.txt"
    text.write_text(TEXT * 100, encoding="utf-8")
    arguments = ["encode", text, "-t", path, "-o", tmp_path / "ids.npy"]
    assert penstock_command(*arguments).stderr == b""
    pytest.importorskip("tqdm")
    primary, secondary = pty.openpty()
    command = [sys.executable, "-m", "penstock", *map(str, arguments)]
    process = subprocess.Popen(command, stderr=secondary, stdout=subprocess.DEVNULL)
    os.close(secondary)
    shown = b""
    while True:
        try:
            data = os.read(primary, 4096)
        except OSError:
            break
        if not data:
            break
        shown += data
    os.close(primary)
    assert process.wait(30) == 0
    assert b"%" in shown
