"""Several gloo processes: the bytes of one, whoever dies, whenever."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers
from penstock.cli import main
from penstock.errors import RunError, TaskError
from penstock.evaluation import Generation, MultipleChoice, Perplexity, evaluate

from tests.conftest import REQUIRE_PARITY
from tests.evaluation_models import sentences, write_jsonl
from tests.evaluation_workers import Kill, run_ranks

if TYPE_CHECKING:
    from tests.evaluation_models import Models

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills processes")

ROWS = 13
"""Divides by none of 2, 3 and 7; nor do its batches."""


def tasks() -> list[Any]:
    text = iter(sentences(20 * ROWS, 21))
    choices = [
        {"prompt": next(text), "choices": [next(text) for _ in range(4)], "label": n % 4}
        for n in range(ROWS)
    ]
    prompts = [{"prompt": next(text), "target": "x"} for _ in range(ROWS)]
    documents = [{"text": text} for text in sentences(ROWS, 22, 40, 200)]
    return [
        MultipleChoice(name="choice", data=choices),
        Perplexity(name="text", data=documents),
        Generation(
            name="drawn", data=prompts, max_new_tokens=5, sampling={"temperature": 0.8, "top_k": 30}
        ),
    ]


@pytest.fixture(scope="module")
def arguments(models: Models) -> dict[str, Any]:
    return {
        "model": str(models.gpt2),
        "tasks": tasks(),
        "batch_size": 5,
        "seed": 3,
        "progress": False,
    }


@pytest.fixture(scope="module")
def alone(arguments: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    evaluate(**arguments, output=folder)
    torch.set_num_threads(before)
    return folder


def check_same(folder: Path, alone: Path) -> None:
    """The same bytes of samples, the same metrics."""
    names = sorted(path.name for path in alone.glob("samples_*"))
    assert sorted(path.name for path in folder.glob("samples_*")) == names
    assert len(names) == 3
    for name in names:
        assert (folder / name).read_bytes() == (alone / name).read_bytes(), name
    ours, theirs = (json.loads((f / "results.json").read_text()) for f in (folder, alone))
    assert ours["results"] == theirs["results"]
    assert not list(folder.glob(".*.tmp"))
    assert not list((folder / "parts").glob("*.jsonl"))


@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_any_number_of_processes(
    world: int, arguments: dict[str, Any], alone: Path, tmp_path: Path
) -> None:
    arguments = {**arguments, "output": tmp_path / "run"}
    outcome = run_ranks(world, arguments, tmp_path / "ranks")
    assert outcome.codes == [0] * world, outcome.errors
    check_same(tmp_path / "run", alone)


def test_several_nodes(arguments: dict[str, Any], alone: Path, tmp_path: Path) -> None:
    """Each with local ranks from 0; the folder is shared."""
    arguments = {**arguments, "output": tmp_path / "run"}
    outcome = run_ranks(4, arguments, tmp_path / "ranks", nodes=2)
    assert outcome.codes == [0] * 4, outcome.errors
    check_same(tmp_path / "run", alone)


def test_a_folder_that_is_not_shared(arguments: dict[str, Any], tmp_path: Path) -> None:
    patch = """
from penstock.evaluation._session import Session
if rank == 1:
    meet = Session._meet
    def elsewhere(self):
        name, path = meet(self)
        return name, path + "-on-another-machine"
    Session._meet = elsewhere
"""
    arguments = {**arguments, "output": tmp_path / "run"}
    outcome = run_ranks(2, arguments, tmp_path / "ranks", patch=patch, nodes=2, lost_after=2.0)
    assert outcome.codes == [1, 1]
    assert "is not shared: this process (rank 1) does not see it" in str(outcome.errors[1])
    assert "rank 1 is gone" in str(outcome.errors[0])


KILLS = [
    *(Kill(rank, "before") for rank in (0, 1, 2)),
    *(Kill(rank, "in", after) for rank in (0, 1, 2) for after in (0, 2)),
    *(Kill(rank, "between", after) for rank in (0, 1, 2) for after in (0, 3)),
    Kill(0, "merging"),
    Kill(0, "merging", 1),
    Kill(0, "results"),
    Kill(0, "clearing"),
    Kill(1, "waiting"),
    Kill(2, "waiting"),
]
SOME = [Kill(1, "in", 1), Kill(0, "between", 2), Kill(0, "merging", 1)]


@pytest.mark.parametrize(
    "kill", KILLS if REQUIRE_PARITY else SOME, ids=lambda k: f"{k.where}-{k.rank}-{k.after}"
)
def test_a_killed_run_goes_on(
    kill: Kill, arguments: dict[str, Any], alone: Path, tmp_path: Path
) -> None:
    """After the death of one of three, at another number of processes."""
    arguments = {**arguments, "output": tmp_path / "run"}
    outcome = run_ranks(3, arguments, tmp_path / "ranks", kill=kill)
    assert -signal.SIGKILL in outcome.codes, outcome
    if kill.where != "waiting":  # the first rank may have been quicker
        assert (tmp_path / "run" / "results.json").exists() == (kill.where == "clearing")
    world = 1 + (kill.rank + kill.after) % 2
    outcome = run_ranks(world, arguments, tmp_path / "ranks")
    assert outcome.codes == [0] * world, outcome.errors
    check_same(tmp_path / "run", alone)


def test_killed_again_and_again(arguments: dict[str, Any], alone: Path, tmp_path: Path) -> None:
    """What was finished before each death is not run again."""
    arguments = {**arguments, "output": tmp_path / "run"}
    for _ in range(3):
        outcome = run_ranks(2, arguments, tmp_path / "ranks", kill=Kill(0, "between"))
        assert outcome.codes[0] == -signal.SIGKILL
    kept = sum(
        len(path.read_text().splitlines()) - 1
        for path in (tmp_path / "run" / "parts").glob("*.jsonl")
    )
    assert kept >= 3
    outcome = run_ranks(1, arguments, tmp_path / "ranks")
    assert outcome.codes == [0], outcome.errors
    check_same(tmp_path / "run", alone)


def test_the_others_notice_a_death_by_themselves(arguments: dict[str, Any], tmp_path: Path) -> None:
    """Also without a launcher that ends them, nobody waits forever."""
    arguments = {**arguments, "output": tmp_path / "run"}
    outcome = run_ranks(
        2,
        arguments,
        tmp_path / "ranks",
        kill=Kill(1, "between", 1),
        end_all=False,
        lost_after=4.0,
    )
    assert outcome.codes == [1, -signal.SIGKILL]
    assert isinstance(outcome.errors[0], RunError)
    assert "rank 1 is gone" in str(outcome.errors[0])


@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_of_one_rank_is_that_of_all(
    failing: int, arguments: dict[str, Any], tmp_path: Path
) -> None:
    patch = f"""
from penstock.evaluation._score import Scorer
if rank == {failing}:
    def run(self, group, units):
        raise MemoryError("no room for 7 rows")
    Scorer.run = run
"""
    arguments = {**arguments, "output": tmp_path / "run"}
    outcome = run_ranks(2, arguments, tmp_path / "ranks", patch=patch)
    assert outcome.codes == [1, 1]
    assert isinstance(outcome.errors[failing], MemoryError)
    other = outcome.errors[1 - failing]
    assert isinstance(other, RunError)
    assert str(other) == f"rank {failing} failed: MemoryError: no room for 7 rows"
    assert other.rank == failing


def test_ranks_that_would_run_different_things(arguments: dict[str, Any], tmp_path: Path) -> None:
    """A node with other weights, say."""
    patch = """
from penstock.evaluation import _run
if rank == 1:
    load = _run.load_model
    def other(*arguments):
        model = load(*arguments)
        model.module.transformer.wte.weight.data[3, 3] += 1
        return model
    _run.load_model = other
"""
    arguments = {**arguments, "output": tmp_path / "run"}
    outcome = run_ranks(2, arguments, tmp_path / "ranks", patch=patch)
    assert outcome.codes == [1, 1]
    assert "rank 1 would run something else than rank 0: model weights" in str(outcome.errors[1])


def test_a_bad_row_is_said_by_one(arguments: dict[str, Any], tmp_path: Path) -> None:
    rows = [{"prompt": "a", "choices": ["b", "c"], "label": 0}, {"prompt": "a"}]
    bad = {**arguments, "tasks": [MultipleChoice(name="t", data=rows)], "output": tmp_path / "run"}
    outcome = run_ranks(2, bad, tmp_path / "ranks")
    assert outcome.codes == [1, 1]
    kinds = sorted(type(error).__name__ for error in outcome.errors.values())
    assert kinds in (["RunError", "TaskError"], ["TaskError", "TaskError"])
    assert all("t, row 1" in str(error) for error in outcome.errors.values())


def test_a_folder_that_will_not_do(arguments: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("")
    outcome = run_ranks(2, {**arguments, "output": tmp_path / "run"}, tmp_path / "ranks")
    assert outcome.codes == [1, 1]
    assert "holds something else" in str(outcome.errors[0])
    assert "rank 0 failed" in str(outcome.errors[1])


# ---------------------------------------------------------------------------- our own launcher


def test_processes_from_python(arguments: dict[str, Any], alone: Path, tmp_path: Path) -> None:
    """A model and a tokenizer that are objects go to the workers too."""
    model = transformers.AutoModelForCausalLM.from_pretrained(arguments["model"])
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments["model"])
    objects = {**arguments, "model": model, "tokenizer": tokenizer}
    result = evaluate(**objects, output=tmp_path / "run", processes=2, threads=1)
    check_same(tmp_path / "run", alone)
    assert result.config["processes"] == 2


@pytest.mark.skipif(not REQUIRE_PARITY, reason="starts two interpreters for one message")
def test_an_error_comes_back_from_processes(arguments: dict[str, Any]) -> None:
    bad = {**arguments, "tasks": [MultipleChoice(name="t", data=[{}])]}
    with pytest.raises(TaskError, match="t, row 0"):
        evaluate(**bad, processes=2)


def command(*words: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *map(str, words)],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """A task of which two processes have enough to do that one can be killed."""
    text = iter(sentences(2400, 5, 30, 60))
    rows = [
        {"prompt": next(text), "choices": [next(text), next(text)], "label": 0} for _ in range(800)
    ]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    (tmp_path / "long.toml").write_text('kind = "multiple_choice"\ndata = "rows.jsonl"\n')
    return ["--task", str(tmp_path / "long.toml"), "--batch-size", "2", "--threads", "1"]


def workers_of(launcher: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == launcher:
            found.append(int(path.parent.name))
    return sorted(found)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
@pytest.mark.skipif(not REQUIRE_PARITY, reason="two minutes on a busy machine")
def test_a_killed_worker_ends_the_command(models: Models, files: list[str], tmp_path: Path) -> None:
    words = ["-m", "penstock", "evaluate", "-m", models.gpt2, *files, "-o", tmp_path / "run"]
    process = command(*words, "--processes", 2)
    try:
        wait_for_parts(tmp_path / "run", 2)
        victim = workers_of(process.pid)[1]
        os.kill(victim, signal.SIGKILL)
        out, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 1
    assert errors.startswith("penstock: error: rank 1 was killed (SIGKILL)"), errors
    assert out == ""
    process = command(*words)
    out, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert "acc_norm" in out


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
@pytest.mark.skipif(not REQUIRE_PARITY, reason="two minutes on a busy machine")
def test_workers_end_with_their_launcher(models: Models, files: list[str], tmp_path: Path) -> None:
    words = ["-m", "penstock", "evaluate", "-m", models.gpt2, *files, "-o", tmp_path / "run"]
    process = command(*words, "--processes", 2)
    wait_for_parts(tmp_path / "run", 2)
    workers = workers_of(process.pid)
    assert len(workers) == 2
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline, "workers outlive their launcher"
        time.sleep(0.1)


def wait_for_parts(folder: Path, count: int) -> None:
    deadline = time.monotonic() + 120
    while True:
        parts = list((folder / "parts").glob("*.jsonl"))
        if len(parts) >= count and all(p.read_bytes().count(b"\n") > 3 for p in parts):
            return
        assert time.monotonic() < deadline
        time.sleep(0.05)


LAUNCHERS = {
    "torchrun": ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"],
    "accelerate": [
        *("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"),
        *("--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"),
        *("--main_process_port", "0"),
    ],
    "accelerate --cpu": [
        *("-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2"),
        *("--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"),
    ],
}


@pytest.fixture(scope="module")
def own_task(models: Models, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    """The samples of a task file in this process, and the command that gives them."""
    place = tmp_path_factory.mktemp("own")
    write_jsonl(place / "rows.jsonl", tasks()[0].data)
    (place / "mine.toml").write_text('kind = "multiple_choice"\ndata = "rows.jsonl"\n')
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    evaluate(models.gpt2, tasks=str(place / "mine.toml"), output=place / "one", progress=False)
    torch.set_num_threads(before)
    words = ["evaluate", "-m", models.gpt2, "-t", place / "mine.toml", "--threads", 1]
    return place / "one" / "samples_mine.jsonl", words


@pytest.mark.skipif(not REQUIRE_PARITY, reason="each launcher takes a minute on a busy machine")
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_launchers(own_task: tuple[Path, list[Any]], launcher: str, tmp_path: Path) -> None:
    wanted, words = own_task
    process = command(*LAUNCHERS[launcher], "-m", "penstock", *words, "-o", tmp_path / "two")
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert out.count("acc_norm") == 1  # one process prints
    assert (tmp_path / "two" / "samples_mine.jsonl").read_bytes() == wanted.read_bytes()
    results = json.loads((tmp_path / "two" / "results.json").read_text())
    assert results["config"]["processes"] == (1 if launcher == "accelerate --cpu" else 2)
    assert ("starts a single process without MPI" in errors) == (launcher == "accelerate --cpu")


@pytest.mark.skipif(not REQUIRE_PARITY, reason="starts three interpreters for one message")
def test_the_first_line_under_torchrun_is_the_error(models: Models, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "rows.jsonl", [{"prompt": "a"}])
    (tmp_path / "mine.toml").write_text('kind = "multiple_choice"\ndata = "rows.jsonl"\n')
    words = ["evaluate", "-m", models.gpt2, "-t", tmp_path / "mine.toml"]
    process = command(*LAUNCHERS["torchrun"], "-m", "penstock", *words)
    _, errors = process.communicate(timeout=300)
    assert process.returncode != 0
    first = next(line for line in errors.splitlines() if "rror" in line)
    assert first.startswith("penstock: error: "), errors
    assert "mine, row 0" in first


def test_the_cpu_trap_is_said(
    own_task: tuple[Path, list[Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What `accelerate launch --cpu --num_processes 2` starts."""
    monkeypatch.setenv("MASTER_PORT", "29500")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    assert main([str(word) for word in (*own_task[1], "--limit", 2)]) == 0
    errors = capsys.readouterr().err
    assert "starts a single process without MPI" in errors
    assert "--processes N" in errors
