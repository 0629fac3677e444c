"""Evaluation on small models, in this process: beside plain loops, and all that can go wrong."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers
from penstock.errors import FileError, MissingFileError, RunError, TaskError
from penstock.evaluation import (
    Classification,
    Generation,
    MultipleChoice,
    Perplexity,
    Result,
    Task,
    builtin,
    evaluate,
)
from penstock.sampling import SamplingParams

from tests.evaluation_models import sentences, write_jsonl

if TYPE_CHECKING:
    from pathlib import Path

    from tests.evaluation_models import Models


pytestmark = pytest.mark.usefixtures("one_thread")


def samples(folder: Path, task: str) -> list[dict[str, Any]]:
    lines = (folder / f"samples_{task}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def choice_rows(count: int) -> list[dict[str, Any]]:
    text = iter(sentences(5 * count, 11))
    return [
        {"prompt": next(text), "choices": [next(text) for _ in range(4)], "label": n % 4}
        for n in range(count)
    ]


# ---------------------------------------------------------------------------- beside plain loops


def test_choices_are_those_of_a_plain_loop(models: Models, tmp_path: Path) -> None:
    rows = choice_rows(9)
    task = MultipleChoice(name="mine", data=rows)
    result = evaluate(models.gpt2, tasks=task, output=tmp_path / "run", progress=False)
    model = transformers.AutoModelForCausalLM.from_pretrained(models.gpt2).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(models.gpt2)
    right = 0
    for row, sample in zip(rows, samples(tmp_path / "run", "mine"), strict=True):
        values = []
        for choice, ((value, _),) in zip(row["choices"], sample["resps"], strict=True):
            context = tokenizer(row["prompt"])["input_ids"]
            whole = tokenizer(f"{row['prompt']} {choice}")["input_ids"]
            with torch.no_grad():
                logits = model(torch.tensor([whole[:-1]])).logits[0]
            likely = logits.log_softmax(-1)[range(len(whole) - 1), whole[1:]]
            wanted = float(likely[len(context) - 1 :].double().sum())
            assert value == pytest.approx(wanted, abs=1e-4)
            values.append(wanted)
        right += values.index(max(values)) == row["label"]
    assert result["mine"]["acc"] == right / 9


def test_perplexity_is_that_of_a_plain_loop(models: Models) -> None:
    texts = sentences(7, 2, 30, 160)
    task = Perplexity(name="mine", data=[{"text": text} for text in texts], stride=40)
    result = evaluate(models.gpt2, tasks=task, progress=False)
    model = transformers.AutoModelForCausalLM.from_pretrained(models.gpt2).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(models.gpt2)
    total, count = 0.0, 0
    width = model.config.n_positions
    for text in texts:
        ids = [tokenizer.eos_token_id, *tokenizer(text)["input_ids"]]
        done = 1
        while done < len(ids):
            end = min(len(ids), width + 1 if done == 1 else done + 40)
            window = ids[max(0, end - width - 1) : end]
            with torch.no_grad():
                logits = model(torch.tensor([window[:-1]])).logits[0]
            likely = logits.log_softmax(-1)[range(len(window) - 1), window[1:]]
            total += float(likely[-(end - done) :].double().sum())
            done = end
        count += len(ids) - 1
    assert result["mine"]["token_perplexity"] == pytest.approx(math.exp(-total / count), rel=1e-6)
    size = sum(len(text.encode()) for text in texts)
    assert result["mine"]["bits_per_byte"] == pytest.approx(-total / size / math.log(2), rel=1e-6)


def test_a_window_may_keep_some_context(models: Models) -> None:
    """`context` tokens before the predicted ones are a stride of what is left of the window."""
    rows = [{"text": text} for text in sentences(3, 2, 300, 400)]
    width = transformers.AutoConfig.from_pretrained(models.gpt2).n_positions
    found = {}
    for options in ({"context": 30}, {"stride": width - 29}, {}):
        task = Perplexity(name="mine", data=rows, **options)
        found[str(options)] = evaluate(models.gpt2, tasks=task)["mine"]["token_perplexity"]
    with_context, with_stride, apart = found.values()
    assert with_context == with_stride != apart
    for options in ({"context": width + 1}, {"stride": 0}, {"stride": width + 1}):
        with pytest.raises(TaskError, match="mine"):
            evaluate(models.gpt2, tasks=Perplexity(name="mine", data=rows, **options))


def test_classes_are_those_of_a_plain_loop(
    models: Models, task_data: dict[str, Path], tmp_path: Path
) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    tasks = [builtin(name, str(task_data[name])) for name in ("sst2", "mrpc")]
    result = evaluate(models.bert, tasks=tasks, output=tmp_path / "run", batch_size=3)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(models.bert).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(models.bert)
    for task in tasks:
        gold, predicted = [], []
        for sample in samples(tmp_path / "run", task.name):
            texts = list(sample["arguments"]["gen_args_0"].values())
            with torch.no_grad():
                cut = {"truncation": True, "max_length": model.config.max_position_embeddings}
                logits = model(**tokenizer(*texts, return_tensors="pt", **cut)).logits[0]
            assert sample["resps"][0][0] == pytest.approx(logits.tolist(), abs=1e-5)
            gold.append(sample["target"])
            predicted.append(int(logits.argmax()))
        assert result[task.name]["acc"] == metrics.accuracy_score(gold, predicted)
        assert result[task.name]["f1"] == pytest.approx(metrics.f1_score(gold, predicted))
        wanted = metrics.matthews_corrcoef(gold, predicted)
        assert result[task.name]["mcc"] == pytest.approx(wanted)


def test_generation_is_that_of_generate(models: Models, tmp_path: Path) -> None:
    rows = [{"prompt": text, "target": "x"} for text in sentences(5, 4)]
    task = Generation(name="mine", data=rows, max_new_tokens=12)
    evaluate(models.gpt2, tasks=task, output=tmp_path / "run", batch_size=1)
    model = transformers.AutoModelForCausalLM.from_pretrained(models.gpt2).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(models.gpt2)
    for row, sample in zip(rows, samples(tmp_path / "run", "mine"), strict=True):
        ids = tokenizer(row["prompt"], return_tensors="pt")
        output = model.generate(**ids, max_new_tokens=12, do_sample=False, pad_token_id=0)[0]
        new = output[ids["input_ids"].shape[1] :]
        wanted = tokenizer.decode(new, skip_special_tokens=True)
        assert sample["resps"][0][0] == [wanted, len(new)]


@pytest.mark.parametrize("name", ["gpt2", "t5"])
def test_a_stop_ends_the_text(models: Models, name: str, tmp_path: Path) -> None:
    folder = getattr(models, name)
    rows = [{"prompt": text, "target": "x"} for text in sentences(4, 4)]
    task = Generation(name="mine", data=rows, max_new_tokens=20)
    evaluate(folder, tasks=task, output=tmp_path / "whole")
    whole = [sample["resps"][0][0] for sample in samples(tmp_path / "whole", "mine")]
    stop = whole[0][0][4:7]
    task = dataclasses.replace(task, stop=(stop,))
    evaluate(folder, tasks=task, output=tmp_path / "cut")
    cut = [sample["resps"][0][0] for sample in samples(tmp_path / "cut", "mine")]
    assert stop
    assert [text for text, _ in cut] == [text.split(stop)[0] for text, _ in whole]
    assert cut[0][1] <= whole[0][1]


def test_draws_depend_on_seed_and_row_only(models: Models, tmp_path: Path) -> None:
    rows = [{"prompt": text, "target": "x"} for text in sentences(7, 4)]
    sampling = SamplingParams(temperature=0.9, top_k=40, top_p=0.95, repetition_penalty=1.2)
    task = Generation(name="mine", data=rows, max_new_tokens=8, sampling=sampling)

    def texts(name: str, **options: Any) -> list[Any]:
        evaluate(models.gpt2, tasks=task, output=tmp_path / name, **options)
        return [sample["resps"] for sample in samples(tmp_path / name, "mine")]

    first = texts("a", batch_size=3)
    assert first == texts("b", batch_size=3)
    assert first == texts("c", batch_size=7)
    assert first != texts("d", batch_size=3, seed=1)
    assert len({str(row) for row in first}) > 1


def test_scores_do_not_depend_on_where_weights_lie(models: Models, tmp_path: Path) -> None:
    """A row of one needed position is a product with one vector, which MKL sums by address."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(models.gpt2)
    rows = [{"prompt": text, "choices": ["a"], "label": 0} for text in sentences(12, 6)]
    task = MultipleChoice(name="mine", data=rows, metrics=("perplexity",))
    found = set()
    for offset in range(0, 16, 3):
        model = transformers.AutoModelForCausalLM.from_pretrained(models.gpt2)
        for weight in model.parameters():
            room = torch.zeros(weight.numel() + 16)[offset:][: weight.numel()]
            weight.data = room.view(weight.shape).copy_(weight.data)
        evaluate(model, tokenizer, task, output=tmp_path / str(offset), batch_size=1)
        found.add((tmp_path / str(offset) / "samples_mine.jsonl").read_bytes())
    assert len(found) == 1


def test_only_what_is_needed_is_normalised(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logits of the last positions only, and a bounded piece of them at a time."""
    from penstock.evaluation import _score
    from transformers import GPT2LMHeadModel

    widths, sizes = [], []
    forward, log_softmax = GPT2LMHeadModel.forward, torch.log_softmax

    def watched(self: Any, *arguments: Any, **options: Any) -> Any:
        output = forward(self, *arguments, **options)
        widths.append((options["input_ids"].shape[1], output.logits.shape[1]))
        return output

    def bounded(logits: torch.Tensor, dim: int) -> torch.Tensor:
        sizes.append(logits.numel() * 4)
        return log_softmax(logits, dim=dim)

    # transformers reads the signature of what it calls.
    watched.__signature__ = inspect.signature(forward)  # type: ignore[attr-defined]
    monkeypatch.setattr(GPT2LMHeadModel, "forward", watched)
    monkeypatch.setattr(torch, "log_softmax", bounded)
    monkeypatch.setattr(_score, "_CHUNK_BYTES", 1 << 13)
    rows = [{"prompt": text, "choices": ["a mill", "b"]} for text in sentences(6, 5, 20, 30)]
    task = MultipleChoice(name="mine", data=rows, label="0")
    evaluate(models.gpt2, tasks=task, batch_size=4)
    assert len(widths) == 3
    assert all(kept <= 3 + 14 < read for read, kept in widths)
    vocabulary = transformers.AutoConfig.from_pretrained(models.gpt2).vocab_size
    assert max(sizes) <= max(1 << 13, 4 * vocabulary)


# ---------------------------------------------------------------------------- where data comes from


def test_every_form_of_data_gives_the_same(models: Models, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = [{"prompt": text, "answer": "river", "label": 0} for text in sentences(5, 8)]
    dataset = datasets.Dataset.from_list(rows)
    dataset.to_csv(str(tmp_path / "rows.csv"))
    dataset.to_parquet(str(tmp_path / "rows.parquet"))
    dataset.save_to_disk(str(tmp_path / "saved"))
    write_jsonl(tmp_path / "rows.jsonl", rows)
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    (tmp_path / "hub").mkdir()
    write_jsonl(tmp_path / "hub" / "test.jsonl", rows)
    forms: list[Any] = [rows, dataset, f"datasets:{tmp_path / 'hub'}::test"]
    forms += [tmp_path / f"rows.{suffix}" for suffix in ("csv", "parquet", "jsonl", "json")]
    forms += [tmp_path / "saved"]
    values = []
    for data in forms:
        task = MultipleChoice(
            name="mine", data=data, choices=["{{answer}}"], label="", metrics=("perplexity",)
        )
        values.append(evaluate(models.gpt2, tasks=task, progress=False)["mine"]["perplexity"])
    assert len(set(values)) == 1


def test_a_task_file(models: Models, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "rows.jsonl", choice_rows(5))
    (tmp_path / "mine.toml").write_text(
        'kind = "multiple_choice"\ndata = "rows.jsonl"\nprompt = "Q: {{prompt}}\\nA:"\n'
        'choices = "choices"\nfew_shot = 2\nfew_shot_data = "rows.jsonl"\n'
    )
    task = Task.from_toml(tmp_path / "mine.toml")
    result = evaluate(models.gpt2, tasks=str(tmp_path / "mine.toml"), output=tmp_path / "run")
    assert (task.name, result["mine"].few_shot, result["mine"].samples) == ("mine", 2, 5)
    prompt = samples(tmp_path / "run", "mine")[0]["arguments"]["gen_args_0"]["arg_0"]
    assert prompt.count("Q: ") == 3
    assert prompt.endswith("\nA:")


def test_objects_instead_of_folders(models: Models) -> None:
    task = MultipleChoice(name="mine", data=choice_rows(4))
    model = transformers.AutoModelForCausalLM.from_pretrained(models.gpt2)
    stock = transformers.AutoTokenizer.from_pretrained(models.gpt2)
    import penstock

    ours = penstock.Tokenizer.from_file(models.gpt2 / "tokenizer.json")
    results = [
        evaluate(models.gpt2, tasks=task),
        evaluate(model, stock, task),
        evaluate(model, ours, [task]),
        evaluate(model, str(models.gpt2), [task]),
    ]
    assert len({result["mine"]["acc_norm"] for result in results}) == 1
    assert len({result.fingerprint["model weights"] for result in results}) == 1
    assert "acc_norm" in str(results[0])
    assert results[0].to_dict()["results"]["mine"]["acc,none"] == results[0]["mine"]["acc"]


def test_a_metric_of_ones_own(models: Models) -> None:
    rows = [{"prompt": text, "target": "x"} for text in sentences(3, 4)]
    task = Generation(name="mine", data=rows, max_new_tokens=4, metrics=(length,))
    result = evaluate(models.gpt2, tasks=task)
    assert result["mine"]["length"] > 0


def length(answer: str, target: str, row: dict[str, Any]) -> float:
    return float(len(answer) - len(target) + 0 * len(row))


# ---------------------------------------------------------------------------- resuming alone


def test_a_complete_run_is_not_run_again(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from penstock.evaluation._score import Scorer

    task = MultipleChoice(name="mine", data=choice_rows(4))
    first = evaluate(models.gpt2, tasks=task, output=tmp_path / "run")
    monkeypatch.setattr(Scorer, "run", None)
    again = evaluate(models.gpt2, tasks=task, output=tmp_path / "run")
    assert again.to_dict() == first.to_dict()


def test_an_interrupted_run_goes_on(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from penstock.evaluation._score import Scorer

    tasks = [
        MultipleChoice(name="mine", data=choice_rows(9)),
        Perplexity(name="texts", data=[{"text": text} for text in sentences(5, 9)]),
    ]
    evaluate(models.gpt2, tasks=tasks, output=tmp_path / "whole", batch_size=4)
    calls, run = [0], Scorer.run

    def counted(self: Any, group: Any, units: Any) -> Any:
        calls[0] += 1
        if calls[0] == 5:
            raise KeyboardInterrupt
        return run(self, group, units)

    monkeypatch.setattr(Scorer, "run", counted)
    with pytest.raises(KeyboardInterrupt):
        evaluate(models.gpt2, tasks=tasks, output=tmp_path / "cut", batch_size=4)
    assert not (tmp_path / "cut" / "results.json").exists()
    with pytest.raises(RunError, match="holds no complete run"):
        Result.load(tmp_path / "cut")
    part = next((tmp_path / "cut" / "parts").glob("*.jsonl"))
    with part.open("ab") as file:  # as if the machine had lost power in the middle of a line
        file.write(b'{"g":0,"b":7,"rows":[[')
    evaluate(models.gpt2, tasks=tasks, output=tmp_path / "cut", batch_size=4)
    assert calls[0] == 5 + (36 // 4 + 2 - 4)
    for task in tasks:
        name = f"samples_{task.name}.jsonl"
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"batch_size": 3}, "batch_size was 8, is 3"),
        ({"limit": 2}, "limit was absent, is 2"),
        ({"seed": 5}, "seed was 0, is 5"),
        ({"threads": 2}, "threads was 1, is 2"),
        ({"model": "llama"}, "model class was GPT2LMHeadModel, is LlamaForCausalLM"),
        ({"tokenizer": "§§"}, "tokenizer was"),
        ({"prompt": "{{prompt}}!"}, "task mine: prompt was {{prompt}}, is {{prompt}}!"),
        ({"rows": 5}, "task mine: data was"),
    ],
)
def test_another_run_does_not_mix_in(
    models: Models, tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    task = MultipleChoice(name="mine", data=choice_rows(4))
    evaluate(models.gpt2, tasks=task, output=tmp_path / "run", threads=1)
    model = getattr(models, change.pop("model", "gpt2"))
    if "tokenizer" in change:
        tokenizer = transformers.AutoTokenizer.from_pretrained(models.gpt2)
        tokenizer.add_tokens([change["tokenizer"]])
        change = {"tokenizer": tokenizer}
    if "prompt" in change:
        task = dataclasses.replace(task, prompt=change.pop("prompt"))
    if "rows" in change:
        task = dataclasses.replace(task, data=choice_rows(change.pop("rows")))
    with pytest.raises(RunError, match="holds another run") as caught:
        evaluate(model, tasks=task, output=tmp_path / "run", **change)
    assert named in str(caught.value)
    evaluate(model, tasks=task, output=tmp_path / "run", resume=False, **change)


# ---------------------------------------------------------------------------- bad input

ROWS: list[dict[str, Any]] = [
    {"prompt": "The mill", "choices": ["turns", "stands"], "label": 0, "text": "The mill turns"}
    for _ in range(3)
]


def bad(**change: Any) -> list[dict[str, Any]]:
    """Good rows, and one that is not."""
    row = {**ROWS[1], **change}
    return [ROWS[0], {key: value for key, value in row.items() if value is not ...}, ROWS[2]]


def choice(**change: Any) -> MultipleChoice:
    return MultipleChoice(name="t", data=bad(**change))


BAD: dict[str, tuple[str, Task, str]] = {
    "missing field": ("gpt2", MultipleChoice(name="t", data=bad(prompt=...)), "t, row 1: .*prompt"),
    "empty choice": (
        "gpt2",
        MultipleChoice(name="t", data=bad(choices=["a", ""])),
        "row 1: choice 1",
    ),
    "no choices": ("gpt2", MultipleChoice(name="t", data=bad(choices=[])), "row 1: the choices"),
    "label outside": ("gpt2", MultipleChoice(name="t", data=bad(label=2)), "row 1: the label 2"),
    "label unknown": (
        "gpt2",
        MultipleChoice(name="t", data=bad(label="x")),
        "row 1: the label 'x'",
    ),
    "label negative": ("gpt2", MultipleChoice(name="t", data=bad(label=-1)), "row 1: the label -1"),
    "vanishing": (
        "gpt2",
        MultipleChoice(
            name="t", data=bad(prompt="the wat", choices=["er"]), label="0", delimiter=""
        ),
        "row 1: continuation 0 .*disappears",
    ),
    "empty text": ("gpt2", Perplexity(name="t", data=bad(text="")), "row 1: the text is empty"),
    "long text": (
        "gpt2",
        Perplexity(name="t", data=bad(text="mill " * 400), windows=False),
        r"row 1: the text has \d+ tokens",
    ),
    "long choice": (
        "gpt2",
        MultipleChoice(name="t", data=bad(choices=["mill " * 400, "b"])),
        r"row 1: continuation 0 .* tokens",
    ),
    "long prompt": (
        "gpt2",
        Generation(
            name="t",
            data=bad(prompt="mill " * 400),
            target="x",
            truncate=False,
            max_new_tokens=9,
        ),
        r"row 1: the prompt has \d+ tokens",
    ),
    "empty prompt": (
        "gpt2",
        Generation(name="t", data=bad(prompt=""), target="x", max_new_tokens=9),
        "row 1: the prompt is empty",
    ),
    "no room": (
        "gpt2",
        Generation(name="t", data=ROWS, target="x", max_new_tokens=400),
        "t: max_new_tokens is 400",
    ),
    "no rows": ("gpt2", Perplexity(name="t", data=[]), "t: .*has no rows"),
    "no data": ("gpt2", Perplexity(name="t"), "t: no data"),
    "not a row": ("gpt2", Perplexity(name="t", data=["text"]), "row 0: a row is a str"),
    "broken template": ("gpt2", Perplexity(name="t", data=ROWS, text="{{text"), "is no template"),
    "head": ("bert", MultipleChoice(name="t", data=ROWS), "t: .*needs a model with a language"),
    "other head": ("gpt2", Classification(name="t", data=ROWS), "t: .*sequence-classification"),
    "class": ("bert", Classification(name="t", data=bad(label=2)), "row 1: the label 2"),
    "empty class text": ("bert", Classification(name="t", data=bad(text="")), "row 1: the text is"),
    "long class text": (
        "bert",
        Classification(name="t", data=bad(text="mill " * 400), truncate=False),
        r"row 1: the text has \d+ tokens",
    ),
    "examples": (
        "gpt2",
        MultipleChoice(name="t", data=ROWS, few_shot=9, few_shot_data=ROWS),
        "t: 9 examples are asked for, but there are 3",
    ),
    "no examples": ("gpt2", MultipleChoice(name="t", data=ROWS, few_shot=1), "no few_shot_data"),
    "sampling": (
        "gpt2",
        Generation(name="t", data=ROWS, target="x", max_new_tokens=2, sampling={"heat": 1}),
        "heat",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_said_before_the_model_runs(
    models: Models, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from penstock.evaluation._score import Scorer

    monkeypatch.setattr(Scorer, "run", None)
    folder, task, message = BAD[name]
    with pytest.raises(TaskError, match=message):
        evaluate(getattr(models, folder), tasks=task)


@pytest.mark.parametrize("kind", ["choice", "text", "answer"])
def test_a_tokenizer_of_another_model(models: Models, kind: str) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(models.gpt2)
    tokenizer.add_tokens(["mill"])
    data = [{**ROWS[0], "prompt": "The", "text": "The"}, ROWS[1]]
    tasks: dict[str, Task] = {
        "choice": MultipleChoice(name="t", data=data),
        "text": Perplexity(name="t", data=data),
        "answer": Generation(name="t", data=data, target="x", max_new_tokens=2),
    }
    message = rf"t, row 1: .*token {len(tokenizer) - 1}, and the model.s vocabulary has"
    with pytest.raises(TaskError, match=message):
        evaluate(models.gpt2, tokenizer, tasks[kind])


def test_numbers_that_are_none(models: Models, tmp_path: Path) -> None:
    model = transformers.AutoModelForCausalLM.from_pretrained(models.gpt2)
    with torch.no_grad():
        model.transformer.wte.weight[5] = float("nan")
    tokenizer = transformers.AutoTokenizer.from_pretrained(models.gpt2)
    tasks: list[Task] = [
        MultipleChoice(name="t", data=ROWS),
        Perplexity(name="t", data=ROWS),
        Generation(name="t", data=ROWS, target="x", max_new_tokens=2),
    ]
    for task in tasks:
        with pytest.raises(TaskError, match=r"t, row 0: .*NaN"):
            evaluate(model, tokenizer, task)
    classifier = transformers.AutoModelForSequenceClassification.from_pretrained(models.bert)
    with torch.no_grad():
        classifier.classifier.bias[1] = float("nan")
    with pytest.raises(TaskError, match=r"t, row 0: .*NaN"):
        evaluate(classifier, str(models.bert), Classification(name="t", data=ROWS))


def test_folders_that_will_not_do(models: Models, tmp_path: Path) -> None:
    task = MultipleChoice(name="t", data=ROWS)
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.tex").write_text("years of work")
    with pytest.raises(RunError, match=r"holds something else \(thesis.tex\)"):
        evaluate(models.gpt2, tasks=task, output=tmp_path / "foreign")
    with pytest.raises(FileError, match="Not a folder"):
        evaluate(models.gpt2, tasks=task, output=tmp_path / "foreign" / "thesis.tex")
    with pytest.raises(FileError):
        evaluate(models.gpt2, tasks=task, output="/proc/run")
    assert (tmp_path / "foreign" / "thesis.tex").read_text() == "years of work"


def test_two_runs_into_one_folder(models: Models, tmp_path: Path) -> None:
    from pathlib import Path as RealPath

    from penstock.evaluation._parts import RunFolder

    first = RunFolder(RealPath(tmp_path / "run"))
    first.open()
    with pytest.raises(RunError, match="another run is writing into"):
        evaluate(models.gpt2, tasks=MultipleChoice(name="t", data=ROWS), output=tmp_path / "run")
    first.close()
    evaluate(models.gpt2, tasks=MultipleChoice(name="t", data=ROWS), output=tmp_path / "run")


def test_names_that_are_none(models: Models, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="no task 'hellasvag'"):
        evaluate(models.gpt2, tasks="hellasvag")
    with pytest.raises(TaskError, match="no task is given"):
        evaluate(models.gpt2, tasks=[])
    task = MultipleChoice(name="t", data=ROWS)
    with pytest.raises(TaskError, match="two tasks are named t"):
        evaluate(models.gpt2, tasks=[task, task])
    with pytest.raises(MissingFileError):
        evaluate(models.gpt2, tasks=f"hellaswag={tmp_path}/none.jsonl")
    with pytest.raises(MissingFileError):
        evaluate(tmp_path / "no-model", tasks=task)
    with pytest.raises(TaskError, match="batch_size is 0"):
        evaluate(models.gpt2, tasks=task, batch_size=0)
    with pytest.raises(TaskError, match="no metric 'accuracy'"):
        MultipleChoice(name="t", metrics=("accuracy",))
    (tmp_path / "bad.toml").write_text('kind = "multiple_choice"\nprompts = "x"\n')
    with pytest.raises(TaskError, match="no option prompts"):
        evaluate(models.gpt2, tasks=str(tmp_path / "bad.toml"))


def test_weights_that_are_missing(models: Models, tmp_path: Path) -> None:
    """transformers would make up a head."""
    model = transformers.AutoModelForSequenceClassification.from_pretrained(models.bert)
    model.bert.save_pretrained(tmp_path / "body")
    config = json.loads((tmp_path / "body" / "config.json").read_text())
    config["architectures"] = ["BertForSequenceClassification"]
    (tmp_path / "body" / "config.json").write_text(json.dumps(config))
    task = Classification(name="t", data=ROWS)
    with pytest.raises(TaskError, match=r"no weights for classifier"):
        evaluate(tmp_path / "body", str(models.bert), task)
