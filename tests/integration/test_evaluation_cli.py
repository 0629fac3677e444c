"""`penstock evaluate` and the examples, as people run them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from penstock.cli import main
from penstock.errors import RunError
from penstock.evaluation import TASKS, MultipleChoice, compare, evaluate, write_report

from tests.conftest import REQUIRE_PARITY
from tests.evaluation_models import sentences, write_jsonl

if TYPE_CHECKING:
    from tests.evaluation_models import Models

EXAMPLES = Path(__file__).parents[2] / "examples" / "evaluation"


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """A task file beside its rows."""
    text = iter(sentences(200, 51))
    rows = [
        {"prompt": f"<b>{next(text)}</b>", "choices": [next(text), next(text)], "label": n % 2}
        for n in range(9)
    ]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    (tmp_path / "mine.toml").write_text('kind = "multiple_choice"\ndata = "rows.jsonl"\n')
    return tmp_path / "mine.toml"


def run(*words: object) -> int:
    return main([str(word) for word in ("evaluate", *words)])


def test_the_list_names_every_task(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--list") == 0
    shown = capsys.readouterr().out
    for name, task in TASKS.items():
        assert re.search(rf"^{name} +{task.kind} ", shown, re.M), name


def test_table_comparison_and_report(
    models: Models, task: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("-m", models.gpt2, "-t", task, "-o", tmp_path / "a") == 0
    shown = capsys.readouterr().out
    assert re.search(r"^mine +0 +acc +↑ +\d\.\d{4} +\d\.\d{4} +9$", shown, re.M), shown
    words = ("-m", models.llama, "-t", task, "-o", tmp_path / "b", "--no-progress")
    assert run(*words, "--compare", tmp_path / "a", "--report") == 0
    shown = capsys.readouterr().out
    assert re.search(r"^mine +acc +\d\.\d{4} +\d\.\d{4} +[+-]\d\.\d{4} ", shown, re.M), shown
    assert f"report: {tmp_path / 'b' / 'report.html'}" in shown
    assert run("-o", tmp_path / "b", "--report", tmp_path / "page.html") == 0
    assert (tmp_path / "page.html").read_bytes() == (tmp_path / "b" / "report.html").read_bytes()


def test_limit_and_examples(
    models: Models, task: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run("-m", models.gpt2, "-t", task, "--limit", 4, "-o", tmp_path / "a") == 0
    assert re.search(r" 4$", capsys.readouterr().out, re.M)
    assert run("-m", models.gpt2, "-t", task, "--few-shot", 1) == 1
    assert "few_shot_data" in capsys.readouterr().err


def test_examples_that_are_not_there_are_said(
    models: Models, task_data: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """GSM8K has five examples before each prompt, from the training set."""
    from penstock.evaluation import builtin
    from penstock.evaluation._builtin import note_of

    beside = task_data["gsm8k"]
    task = builtin("gsm8k", str(beside))
    assert (task.few_shot, task.few_shot_data) == (5, str(beside.with_name("train.jsonl")))
    assert note_of(task) is None
    (tmp_path / "test.jsonl").write_bytes(beside.read_bytes())
    alone = replace(builtin("gsm8k", str(tmp_path / "test.jsonl")), max_new_tokens=4)
    evaluate(models.gpt2, tasks=alone, limit=2)
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "gsm8k runs without examples, usually it has 5" in shown


BAD: dict[str, tuple[list[str], str]] = {
    "nothing": ([], "give --model and --task"),
    "no task": (["-m", "{model}"], "give --model and --task"),
    "no such task": (["-m", "{model}", "-t", "hellasvag"], "no task 'hellasvag'"),
    "no such file": (["-m", "{model}", "-t", "piqa={dir}/none.jsonl"], "none.jsonl"),
    "no such model": (["-m", "{dir}/none", "-t", "{task}"], "No such folder"),
    "report nowhere": (["-m", "{model}", "-t", "{task}", "--report"], "need --output"),
    "compare nothing": (
        ["-m", "{model}", "-t", "{task}", "-o", "{dir}/x", "--compare", "{dir}"],
        "holds no complete run",
    ),
    "foreign": (["-m", "{model}", "-t", "{task}", "-o", "{dir}"], "holds something else"),
    "head": (["-m", "{model}", "-t", "sst2={dir}/dev.tsv"], "sequence-classification head"),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_are_one_line_and_status_1(
    models: Models, task: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words, message = BAD[name]
    filled = [word.format(model=models.gpt2, task=task, dir=tmp_path) for word in words]
    assert run(*filled) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("penstock: error: ")
    assert message in shown.err
    assert shown.err.count("\n") == 1


# ---------------------------------------------------------------------------- comparison


def test_differences_are_paired(models: Models, tmp_path: Path) -> None:
    """The error of a difference is that of the differences, not of two independent means."""
    text = iter(sentences(400, 52))
    rows = [
        {"prompt": next(text), "choices": [next(text), next(text)], "label": 0} for _ in range(20)
    ]
    task = MultipleChoice(name="mine", data=rows, metrics=("acc", "perplexity"))
    evaluate(models.gpt2, tasks=task, output=tmp_path / "a")
    evaluate(models.llama, tasks=task, output=tmp_path / "b")
    found = {item.metric: item for item in compare(tmp_path / "a", tmp_path / "b").differences}
    values = []
    for folder in ("a", "b"):
        lines = (tmp_path / folder / "samples_mine.jsonl").read_text().splitlines()
        values.append([json.loads(line)["acc"] for line in lines])
    differences = [b - a for a, b in zip(*values, strict=True)]
    mean = sum(differences) / 20
    wanted = (sum((d - mean) ** 2 for d in differences) / 19 / 20) ** 0.5
    assert found["acc"].difference == pytest.approx(mean)
    assert found["acc"].stderr == pytest.approx(wanted)
    assert 0 <= found["perplexity"].p_value <= 1
    same = compare(tmp_path / "a", tmp_path / "a").differences
    assert all(item.stderr == 0 and item.p_value == 1 for item in same)


def test_other_samples_are_not_compared(models: Models, tmp_path: Path) -> None:
    rows = [
        {"prompt": "The mill", "choices": ["turns", "stands"], "label": n % 2} for n in range(4)
    ]
    evaluate(models.gpt2, tasks=MultipleChoice(name="t", data=rows), output=tmp_path / "a")
    evaluate(models.gpt2, tasks=MultipleChoice(name="t", data=rows[1:]), output=tmp_path / "b")
    with pytest.raises(RunError, match="the samples are not the same"):
        compare(tmp_path / "a", tmp_path / "b")


# ---------------------------------------------------------------------------- the page


class Page(HTMLParser):
    """Checks that tags are closed in order, and collects what the page would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [value or "" for key, value in attrs if key in ("src", "href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_loads_nothing(
    models: Models, task_data: dict[str, Path], task: Path, tmp_path: Path
) -> None:
    tasks: list[Any] = [str(task), f"wikitext={task_data['wikitext']}"]
    tasks += [f"lambada_openai={task_data['lambada_openai']}"]
    evaluate(models.gpt2, tasks=tasks, output=tmp_path / "run")
    text = write_report(tmp_path / "run").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert page.loads == []
    assert "<b>" not in text  # rows are text, not markup
    assert "&lt;b&gt;" in text
    assert text.count("<svg") == 3
    assert "word_perplexity" in text
    evaluate(models.bert, tasks=f"sst2={task_data['sst2']}", output=tmp_path / "classes")
    assert Page(write_report(tmp_path / "classes").read_text(encoding="utf-8")).open == []


# ---------------------------------------------------------------------------- examples


def example(*words: object) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    result = subprocess.run(
        [str(word) for word in words],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PATH": path},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_example_from_python(models: Models, tmp_path: Path) -> None:
    shown = example(sys.executable, EXAMPLES / "from_python.py", models.gpt2, tmp_path / "run")
    assert "accuracy:" in shown
    assert "token_perplexity" in shown


@pytest.mark.skipif(not REQUIRE_PARITY, reason="starts six interpreters")
def test_example_on_the_command_line(models: Models, tmp_path: Path) -> None:
    shown = example("sh", EXAMPLES / "command_line.sh", models.gpt2, tmp_path)
    assert "wikitext" in shown
    assert "report:" in shown
    one, two = ((tmp_path / f / "samples_river.jsonl").read_bytes() for f in ("one", "two"))
    assert one == two


@pytest.mark.skipif(not REQUIRE_PARITY, reason="starts lm-eval")
def test_example_through_lm_eval(models: Models, tmp_path: Path) -> None:
    shown = example(sys.executable, EXAMPLES / "with_lm_eval.py", models.gpt2, tmp_path)
    assert "acc_norm,none" in shown
