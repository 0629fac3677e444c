"""The model class `penstock` beside lm-eval's `hf`: the same answers to the same requests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("lm_eval")

from tests.conftest import REQUIRE_PARITY
from tests.evaluation_models import sentences, write_jsonl
from tests.lm_eval_marks import LM_EVAL_MARKS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.evaluation_models import Models

pytestmark = LM_EVAL_MARKS


def instances(kind: str, arguments: list[tuple[Any, ...]]) -> list[Any]:
    from lm_eval.api.instance import Instance

    return [
        Instance(kind, {}, argument, 0, metadata=("made", number, 1))
        for number, argument in enumerate(arguments)
    ]


def pair(folder: Path, **options: Any) -> tuple[Any, Any]:
    """Ours and theirs."""
    from lm_eval.models.huggingface import HFLM
    from penstock.evaluation.lm_eval import PenstockLM

    return (
        PenstockLM(str(folder), batch_size=4, **options),
        HFLM(str(folder), device="cpu", batch_size=4, **options),
    )


def close(ours: list[Any], theirs: list[Any]) -> None:
    assert len(ours) == len(theirs)
    for (value, greedy), (wanted, wanted_greedy) in zip(ours, theirs, strict=True):
        assert value == pytest.approx(wanted, abs=1e-4)
        assert greedy == wanted_greedy


FOLDERS = ["gpt2", "llama", "t5"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_loglikelihood(models: Models, folder: str) -> None:
    ours, theirs = pair(getattr(models, folder))
    text = iter(sentences(60, 31))
    pairs: list[tuple[Any, ...]] = [(next(text), f" {next(text)}") for _ in range(9)]
    pairs += [(f"{next(text)}  ", next(text)), ("", next(text)), ("", "<|endoftext|>the mill")]
    pairs += [(pairs[0][0], f" {word}") for word in ("the", "mill", "water", "of")]
    pairs += [("mill " * 120, " and so on"), ("<|begin_of_text|>The mill", " turns")]
    requests = instances("loglikelihood", pairs)
    close(ours.loglikelihood(requests), theirs.loglikelihood(requests))


@pytest.mark.parametrize("folder", FOLDERS)
def test_loglikelihood_rolling(models: Models, folder: str) -> None:
    ours, theirs = pair(getattr(models, folder))
    texts: list[tuple[Any, ...]] = [(t,) for t in sentences(6, 32, 5, 150)]
    texts += [("<|begin_of_text|>The mill turns",)]
    if folder == "gpt2":
        texts.append(("",))  # no tokens, no window
    requests = instances("loglikelihood_rolling", texts)
    found = ours.loglikelihood_rolling(requests)
    wanted = theirs.loglikelihood_rolling(requests)
    windows = 3
    assert found == [pytest.approx(value, abs=1e-4 * windows) for value in wanted]


GENERATIONS: list[dict[str, Any]] = [
    {"until": ["\n"], "max_gen_toks": 9},
    {"until": [" the", "river"], "max_gen_toks": 14, "do_sample": False},
    {"max_gen_toks": 5, "temperature": 0.0},
    {"until": "e", "max_new_tokens": 8, "repetition_penalty": 1.3},
]


@pytest.mark.parametrize("folder", FOLDERS)
def test_generate_until(models: Models, folder: str) -> None:
    ours, theirs = pair(getattr(models, folder))
    text = sentences(12, 33)
    arguments = [(t, GENERATIONS[n % len(GENERATIONS)]) for n, t in enumerate(text)]
    arguments.append(("mill " * 120, GENERATIONS[0]))
    requests = instances("generate_until", arguments)
    found = ours.generate_until(requests)
    assert found == theirs.generate_until(requests)
    assert len(set(found)) > 2


@pytest.mark.parametrize("options", [{"add_bos_token": False}, {"add_bos_token": True}])
def test_with_and_without_a_first_token(models: Models, options: dict[str, Any]) -> None:
    ours, theirs = pair(models.llama, **options)
    text = iter(sentences(12, 34))
    requests = instances("loglikelihood", [(next(text), f" {next(text)}") for _ in range(5)])
    close(ours.loglikelihood(requests), theirs.loglikelihood(requests))


# ---------------------------------------------------------------------------- lm-eval's own checks
#
# What its suite asks of a model class (`tests/models/test_huggingface.py`, `test_bos_handling.py`),
# asked of ours; its tests themselves load their models from the network. Requests and their answers
# are above.


@pytest.mark.parametrize("folder", FOLDERS)
def test_tokens_to_and_from_text(models: Models, folder: str) -> None:
    ours, theirs = pair(getattr(models, folder))
    texts = ["the mill", "of the water-wheel, and so on", "Zürich"]
    for text in texts:
        assert ours.tok_encode(text) == theirs.tok_encode(text)
        assert ours.tok_decode(ours.tok_encode(text)) == theirs.tok_decode(theirs.tok_encode(text))
    for mine, their in zip(
        ours.tok_batch_encode(texts), theirs.tok_batch_encode(texts), strict=True
    ):
        assert mine.tolist() == their.tolist()


def test_generation_from_tokens(models: Models) -> None:
    ours, theirs = pair(models.gpt2)
    context, mask = ours.tok_batch_encode(["the mill turns"])
    options = {"max_length": 12, "stop": ["\n\n"], "attention_mask": mask}
    mine, their = (m._model_generate(context, **options).tolist() for m in (ours, theirs))
    assert mine == their


def test_names_and_lengths(models: Models) -> None:
    ours, theirs = pair(models.llama)
    for name in (
        "eot_token_id",
        "prefix_token_id",
        "max_length",
        "max_gen_toks",
        "batch_size",
        "tokenizer_name",
    ):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert (ours.rank, ours.world_size) == (0, 1)
    messages = [{"role": "user", "content": "Does the mill turn?"}]
    ours.tokenizer.chat_template = theirs.tokenizer.chat_template = (
        "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}"
    )
    assert ours.apply_chat_template(messages) == theirs.apply_chat_template(messages)
    assert ours.chat_template() == theirs.chat_template()


@pytest.mark.parametrize("folder", ["gpt2", "llama"])
@pytest.mark.parametrize("add", [None, True, False])
def test_a_first_token_is_never_there_twice(models: Models, folder: str, add: bool | None) -> None:
    from penstock.evaluation.lm_eval import PenstockLM

    ours = PenstockLM(str(getattr(models, folder)), batch_size=4, add_bos_token=add)
    stock = ours.tokenizer
    first, bos = stock.bos_token, stock.bos_token_id
    adds = {} if add is None else {"add_special_tokens": add}

    def asked(context: str, continuation: str) -> tuple[list[int], list[int]]:
        ((read, cont),) = ours._encoder.encode_pairs([(context, continuation)], joint=True)
        return read.tolist(), cont.tolist()

    def plain(text: str) -> list[int]:
        ids: list[int] = stock.encode(text, add_special_tokens=False)
        return ids

    for text in ("the mill", f"{first}the mill"):
        mine = ours._encoder.encode([text])[0].tolist()
        begins = text.startswith(first)
        assert mine == (plain(text) if begins else stock.encode(text, **adds))
        assert mine[:2] != [bos, bos]
    assert asked("", f"{first}the mill") == ([bos], plain(f"{first}the mill")[1:])
    assert asked("", "the mill") == ([bos], plain("the mill"))
    context, continuation = asked(f"{first}the mill:", " turns")
    assert context == plain(f"{first}the mill:")
    assert bos not in continuation


def test_no_request_no_answer(models: Models) -> None:
    ours, _ = pair(models.gpt2)
    assert ours.loglikelihood([]) == []
    assert ours.loglikelihood_rolling([]) == []
    assert ours.generate_until([]) == []


def test_answers_are_in_the_order_of_requests(models: Models) -> None:
    ours, _ = pair(models.gpt2)
    text = iter(sentences(40, 38, 2, 30))
    requests = instances("loglikelihood", [(next(text), f" {next(text)}") for _ in range(9)])
    whole = ours.loglikelihood(requests)
    close(ours.loglikelihood(requests[::-1])[::-1], whole)


# ---------------------------------------------------------------------------- what is ours alone


def test_a_continuation_that_vanishes_is_named(models: Models) -> None:
    from penstock.errors import TaskError

    ours, _ = pair(models.gpt2)
    requests = instances("loglikelihood", [("the", " mill"), ("the wat", "er")])
    with pytest.raises(TaskError, match=r"made, row 1: continuation 0 \('er'\) disappears"):
        ours.loglikelihood(requests)


def test_requests_are_resumed(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from penstock.evaluation._score import Scorer

    ours, _ = pair(models.gpt2)
    kept = type(ours)(str(models.gpt2), batch_size=4, run_dir=tmp_path / "kept")
    text = iter(sentences(60, 35))
    requests = instances("loglikelihood", [(next(text), f" {next(text)}") for _ in range(14)])
    calls, run = [0], Scorer.run

    def counted(self: Any, group: Any, units: Any) -> Any:
        calls[0] += 1
        if calls[0] == 3:
            raise KeyboardInterrupt
        return run(self, group, units)

    monkeypatch.setattr(Scorer, "run", counted)
    with pytest.raises(KeyboardInterrupt):
        kept.loglikelihood(requests)
    found = kept.loglikelihood(requests)
    assert calls[0] == 3 + 2
    assert found == kept.loglikelihood(requests)
    assert calls[0] == 3 + 2
    monkeypatch.setattr(Scorer, "run", run)
    assert found == ours.loglikelihood(requests)
    assert kept.loglikelihood(requests[:4]) != []  # other requests, other folder
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_sampling_does_not_depend_on_batches(models: Models) -> None:
    from penstock.evaluation.lm_eval import PenstockLM

    options = {"do_sample": True, "temperature": 0.9, "top_k": 20, "max_gen_toks": 6}
    requests = instances("generate_until", [(t, options) for t in sentences(5, 36)])
    four, two = (PenstockLM(str(models.gpt2), batch_size=size) for size in (4, 2))
    assert four.generate_until(requests) == two.generate_until(requests)


@pytest.fixture
def harness(tmp_path: Path) -> Path:
    """A folder of local tasks, as lm-eval's users write them."""
    text = iter(sentences(400, 37))
    rows = [
        {"q": next(text), "a": [next(text) for _ in range(3)], "label": n % 3, "t": next(text)}
        for n in range(11)
    ]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    (tmp_path / "tasks").mkdir()
    common = (
        "dataset_path: json\ntest_split: test\n"
        f"dataset_kwargs: {{data_files: {{test: {tmp_path / 'rows.jsonl'}}}, "
        f"cache_dir: {tmp_path / 'cache'}}}\n"
    )
    kinds = {
        "local_choice": "output_type: multiple_choice\ndoc_to_text: '{{q}}'\n"
        "doc_to_choice: '{{a}}'\ndoc_to_target: label\n"
        "metric_list: [{metric: acc}, {metric: acc_norm}]\n",
        "local_text": "output_type: loglikelihood_rolling\ndoc_to_text: ''\n"
        "doc_to_target: '{{t}}'\nmetric_list: [{metric: word_perplexity}]\n",
        "local_write": "output_type: generate_until\ndoc_to_text: '{{q}}'\ndoc_to_target: '{{t}}'\n"
        "generation_kwargs: {until: [the], max_gen_toks: 6}\n"
        "metric_list: [{metric: exact_match}]\n",
    }
    for name, body in kinds.items():
        (tmp_path / "tasks" / f"{name}.yaml").write_text(f"task: {name}\n{common}{body}")
    return tmp_path / "tasks"


TASKS = ["local_choice", "local_text", "local_write"]


def test_simple_evaluate(models: Models, harness: Path) -> None:
    import lm_eval
    from lm_eval.tasks import TaskManager

    results = [
        lm_eval.simple_evaluate(
            model=model,
            tasks=TASKS,
            task_manager=TaskManager(include_path=str(harness), include_defaults=False),
            bootstrap_iters=0,
        )["results"]
        for model in pair(models.gpt2)
    ]
    for name in TASKS:
        for key, value in results[1][name].items():
            if isinstance(value, float):
                assert results[0][name][key] == pytest.approx(value, rel=1e-6), (name, key)


@pytest.mark.skipif(not REQUIRE_PARITY, reason="lm-eval starts twice")
def test_the_command_line_over_two_processes(models: Models, harness: Path, tmp_path: Path) -> None:
    def run(name: str, *more: str) -> dict[str, Any]:
        words = [
            *("-m", "penstock.evaluation.lm_eval", *more, "--model", "penstock"),
            *("--model_args", f"pretrained={models.gpt2},run_dir={tmp_path / 'kept'}"),
            *("--tasks", ",".join(TASKS), "--include_path", str(harness), "--batch_size", "4"),
            *("--output_path", str(tmp_path / name), "--log_samples"),
        ]
        process = subprocess.run(
            [sys.executable, *words],
            env={**os.environ, "OMP_NUM_THREADS": "1", "DISABLE_MULTIPROC": "1"},
            capture_output=True,
            text=True,
            timeout=500,
        )
        assert process.returncode == 0, process.stderr
        assert process.stdout.count("|local_write") == 1, process.stdout
        files = list((tmp_path / name).rglob("results_*.json"))
        assert len(files) == 1  # one process writes
        assert len(list((tmp_path / name).rglob("samples_local_choice*.jsonl"))) == 1
        results: dict[str, Any] = json.loads(files[0].read_text())["results"]
        return results

    two = run("two", "--processes", "2")
    for folder in (tmp_path / "kept").iterdir():
        parts = list((folder / "parts").glob("*.jsonl"))
        assert len(parts) == 2  # both had a share
        for part in parts:
            part.unlink()
    assert run("one") == two


def test_processes_take_a_number() -> None:
    from penstock.evaluation.lm_eval import main

    assert main(["--processes", "many"]) == 2
