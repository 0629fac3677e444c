"""Every built-in task beside lm-eval's own task and its `hf` model, request by request.

lm-eval's task files are those of the installed package; only where their data lies is changed.
With the fixtures the evaluation sets are the real ones, cut to their first rows.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("lm_eval")

from penstock.evaluation import builtin, evaluate
from penstock.evaluation._data import rows_of

from tests.conftest import REQUIRE_PARITY, fixtures_root
from tests.evaluation_models import fixture_data, write_jsonl
from tests.lm_eval_marks import LM_EVAL_MARKS

if TYPE_CHECKING:
    from tests.evaluation_models import Models

pytestmark = LM_EVAL_MARKS

YAML = {
    "wikitext": "wikitext/wikitext.yaml",
    "lambada_openai": "lambada/lambada_openai.yaml",
    "lambada_standard": "lambada/lambada_standard.yaml",
    "hellaswag": "hellaswag/hellaswag.yaml",
    "piqa": "piqa/piqa.yaml",
    "arc_easy": "arc/arc_easy.yaml",
    "arc_challenge": "arc/arc_challenge.yaml",
    "gsm8k": "gsm8k/gsm8k.yaml",
    "sst2_prompt": "glue/sst2/default.yaml",
    "mrpc_prompt": "glue/mrpc/default.yaml",
}
"""Task files below lm-eval's `tasks`."""

LIMIT = 40 if REQUIRE_PARITY else 11
LIMITS = {"wikitext": 3, "gsm8k": 16} if REQUIRE_PARITY else {}
"""Rows of the tasks that take longest."""
NEW_TOKENS = 24
SOFTMAX = "float64" if fixtures_root() else None
"""Type of lm-eval's sums. The log-likelihoods of the real sets' long answers are beyond 1024, where
neighbouring float32 numbers, its default, lie further apart than the tolerance."""


@pytest.fixture(scope="module")
def data(task_data: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = fixtures_root()
    if root is None:
        return task_data
    found = fixture_data(root)
    # The set has no training file: examples come from the end of its test file.
    place = tmp_path_factory.mktemp("gsm8k")
    lines = found["gsm8k"].read_text(encoding="utf-8").splitlines(keepends=True)
    for name, part in (("test", lines[:200]), ("train", lines[200:400])):
        (place / f"{name}.jsonl").write_text("".join(part), encoding="utf-8")
    return {**found, "gsm8k": place / "test.jsonl"}


def our_task(name: str, data: dict[str, Path], tmp_path: Path) -> Any:
    """The built-in task, over the first rows of its data; answers shorter than lm-eval's 256."""
    import dataclasses

    task = builtin(name, str(data[name]))
    if name == "gsm8k":
        task = dataclasses.replace(task, max_new_tokens=NEW_TOKENS)
        if task.few_shot:
            task = dataclasses.replace(task, few_shot=2)
    rows = rows_of(dataclasses.replace(task, prepare=None), LIMITS.get(name, LIMIT))
    return dataclasses.replace(task, data=rows)


def their_rows(name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows as lm-eval's data set on the Hub has them."""
    if name == "hellaswag":
        # Ours takes a ready context as it stands; theirs puts one together.
        parts = [row["ctx"].partition(": ") for row in rows]
        return [
            {**row, "activity_label": label, "ctx_a": rest, "ctx_b": ""}
            for row, (label, _, rest) in zip(rows, parts, strict=True)
        ]
    if name.endswith("_prompt"):
        return [{**row, "label": int(row["label"])} for row in rows]
    return rows


def their_task(name: str, rows: list[dict[str, Any]], task: Any, tmp_path: Path) -> Any:
    """lm-eval's own task over the same rows."""
    import lm_eval
    from lm_eval.api.task import ConfigurableTask

    path = Path(lm_eval.__file__).parent / "tasks" / YAML[name]
    config = load_config(path)
    split = config.get("test_split") or config["validation_split"]
    write_jsonl(tmp_path / "rows.jsonl", their_rows(name, rows))
    files = {split: str(tmp_path / "rows.jsonl")}
    if name == "gsm8k":
        config["num_fewshot"] = task.few_shot
        config["generation_kwargs"]["max_gen_toks"] = NEW_TOKENS
        if task.few_shot:
            files["train"] = task.few_shot_data
        else:
            config.pop("fewshot_split"), config.pop("training_split")
    else:
        config.pop("training_split", None)
        if split != config.get("validation_split"):
            config.pop("validation_split", None)
    config |= {
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": files, "cache_dir": str(tmp_path / "cache")},
    }
    made = ConfigurableTask(config=config)
    made.set_fewshot_seed(1234)
    return made


def load_config(path: Path) -> dict[str, Any]:
    """A task file with what it includes."""
    from lm_eval.tasks._yaml_loader import load_yaml

    config = dict(load_yaml(path, resolve_func=True))
    for key in ("tag", "include", "group"):
        config.pop(key, None)
    return config


def compare(name: str, folder: Path, data: dict[str, Path], tmp_path: Path, batch: int) -> None:
    """Runs both and compares every request, every decision and every metric."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM

    task = our_task(name, data, tmp_path)
    output = tmp_path / "ours"
    result = evaluate(folder, tasks=task, output=output, batch_size=batch, progress=False)
    model = HFLM(str(folder), device="cpu", batch_size=batch, softmax_dtype=SOFTMAX)
    theirs = lm_eval.evaluate(
        model,
        {name: their_task(name, task.data, task, tmp_path)},
        bootstrap_iters=0,
        log_samples=True,
    )
    lines = (output / f"samples_{name}.jsonl").read_text(encoding="utf-8").splitlines()
    ours = [json.loads(line) for line in lines]
    samples = sorted(
        theirs["samples"][name], key=lambda s: (s["doc_id"], s["filter"] != "strict-match")
    )
    assert len(ours) == len(samples) > 0
    for mine, their in zip(ours, samples, strict=True):
        assert (mine["doc_id"], mine["filter"]) == (their["doc_id"], their["filter"])
        check_sample(name, mine, their, folder.name == "t5")
    check_metrics(name, result, theirs["results"][name])


def check_sample(name: str, mine: dict[str, Any], their: dict[str, Any], longer: bool) -> None:
    """One request of ours beside theirs; each window of a document is one of theirs."""
    asked = list(mine["arguments"].values())
    wanted = [list(arguments) for arguments in their["arguments"]]
    if name == "gsm8k":
        assert [asked[0]["arg_0"]] == [wanted[0][0]]
        if longer:
            # Of an encoder and decoder, lm-eval takes as many tokens more as the prompt has.
            assert their["resps"][0][0].startswith(mine["resps"][0][0][0])
            assert mine["resps"][0][0][1] == NEW_TOKENS
            return
        assert mine["resps"][0][0][0] == their["resps"][0][0]
        assert mine["filtered_resps"] == their["filtered_resps"][0]
        assert mine["exact_match"] == their["exact_match"]
        return
    assert [list(a.values()) for a in asked] == wanted
    if name == "wikitext":
        # One request a document; ours keeps its windows.
        total = sum(part[0] for part in mine["resps"])
        assert total == pytest.approx(
            float(their["filtered_resps"][0]), abs=1e-4 * len(mine["resps"])
        )
        assert mine["word_perplexity"][1] == their["word_perplexity"][1]
        assert mine["byte_perplexity"][1] == their["byte_perplexity"][1]
        return
    for (mine_pair,), their_pair in zip(mine["resps"], their["filtered_resps"], strict=True):
        value, greedy = their_pair
        assert mine_pair[0] == pytest.approx(float(value), abs=1e-4)
        assert mine_pair[1] == (greedy in (True, "True"))
    for metric in set(mine["metrics"]) & {"acc", "acc_norm"}:
        assert mine[metric] == their[metric]


def check_metrics(name: str, result: Any, theirs: dict[str, Any]) -> None:
    compared = 0
    for key, value in theirs.items():
        metric, _, filter_ = key.partition(",")
        if not filter_ or metric.endswith("_stderr"):
            continue
        ours = result[name].metrics[metric if filter_ == "none" else key]
        exact = metric in ("acc", "acc_norm", "exact_match", "f1")
        assert ours.value == (value if exact else pytest.approx(value, rel=1e-5)), key
        compared += 1
    assert compared >= (1 if name.startswith("sst2") else 2)


@pytest.mark.parametrize("name", YAML)
def test_a_decoder(name: str, data: dict[str, Path], models: Models, tmp_path: Path) -> None:
    compare(name, models.gpt2, data, tmp_path, batch=5)


def test_without_examples(data: dict[str, Path], models: Models, tmp_path: Path) -> None:
    """GSM8K where no training file lies beside its data."""
    (tmp_path / "test.jsonl").write_bytes(data["gsm8k"].read_bytes())
    alone = {"gsm8k": tmp_path / "test.jsonl"}
    assert our_task("gsm8k", alone, tmp_path).few_shot == 0
    compare("gsm8k", models.gpt2, alone, tmp_path, batch=5)


MORE = pytest.mark.parametrize(
    "name", ["wikitext", "lambada_openai", "hellaswag", "gsm8k"] if REQUIRE_PARITY else ["gsm8k"]
)


@MORE
def test_a_decoder_that_begins_texts(
    name: str, data: dict[str, Path], models: Models, tmp_path: Path
) -> None:
    compare(name, models.llama, data, tmp_path, batch=4)


@MORE
def test_an_encoder_and_decoder(
    name: str, data: dict[str, Path], models: Models, tmp_path: Path
) -> None:
    compare(name, models.t5, data, tmp_path, batch=4)


def test_standard_errors_of_means(data: dict[str, Path], models: Models, tmp_path: Path) -> None:
    import lm_eval
    from lm_eval.models.huggingface import HFLM

    task = our_task("piqa", data, tmp_path)
    result = evaluate(models.gpt2, tasks=task, progress=False)
    theirs = lm_eval.evaluate(
        HFLM(str(models.gpt2), device="cpu", batch_size=8),
        {"piqa": their_task("piqa", task.data, task, tmp_path)},
        bootstrap_iters=100,
    )["results"]["piqa"]
    for metric in ("acc", "acc_norm"):
        ours = result["piqa"].metrics[metric].stderr
        assert math.isclose(ours, theirs[f"{metric}_stderr,none"], rel_tol=1e-12)
