"""The tasks that come with penstock; prompts and metrics are those of lm-eval's tasks."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.errors import TaskError
from penstock.evaluation._data import DATASETS, read_jsonl, read_table
from penstock.evaluation._task import (
    Classification,
    Extract,
    Generation,
    MultipleChoice,
    Perplexity,
    Task,
)

if TYPE_CHECKING:
    from penstock.evaluation._task import Row

# ---------------------------------------------------------------------------- WikiText-2


def read_wikitext(path: Path) -> list[Row]:
    """The articles of a raw WikiText file; an article begins with a title of the first level."""
    if path.suffix == ".jsonl":
        return read_jsonl(path)
    pages: list[Row] = []
    lines: list[str] = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        # A deeper title has more signs on each side: ` = = Section = = `.
        title = line.replace("= = =", "===").replace("= =", "==").strip()
        if title.startswith("= ") and title.endswith(" ="):
            _add_page(pages, lines)
            lines = []
        lines.append(line)
    _add_page(pages, lines)
    return pages


def _add_page(pages: list[Row], lines: list[str]) -> None:
    page = "\n".join(lines)
    if page.strip():
        pages.append({"page": page})


# The signs that WikiText's tokenization set apart go back to where they were, in this order.
_WIKITEXT_RULES: tuple[tuple[str, str], ...] = (
    ("s '", "s'"),
    (r"re:/' [0-9]/", r"/'[0-9]/"),
    (" @-@ ", "-"),
    (" @,@ ", ","),
    (" @.@ ", "."),
    (" : ", ": "),
    (" ; ", "; "),
    (" . ", ". "),
    (" ! ", "! "),
    (" ? ", "? "),
    (" , ", ", "),
    (r"re:\(\s*([^\)]*?)\s*\)", r"(\1)"),
    (r"re:\[\s*([^\]]*?)\s*\]", r"[\1]"),
    (r"re:{\s*([^}]*?)\s*}", r"{\1}"),
    (r"re:\"\s*([^\"]*?)\s*\"", r'"\1"'),
    (r"re:'\s*([^']*?)\s*'", r"'\1'"),
    ("= = = =", "===="),
    ("= = =", "==="),
    ("= =", "=="),
    (" ° ", "°"),
    (" \n", "\n"),
    ("\n ", "\n"),
    (" N ", " 1 "),
    (" 's", "'s"),
)


def prepare_wikitext(row: Row) -> Row:
    """Adds `text`: the page as it would be written."""
    text: str = row["page"]
    for old, new in _WIKITEXT_RULES:
        text = re.sub(old[3:], new, text) if old.startswith("re:") else text.replace(old, new)
    return {**row, "text": text}


# ---------------------------------------------------------------------------- HellaSwag


def clean_hellaswag(text: str) -> str:
    """Removes what WikiHow's markup left: `[title]` ends a sentence, other brackets go."""
    text = text.strip().replace(" [title]", ". ")
    return re.sub(r"\[.*?\]", "", text).replace("  ", " ")


def prepare_hellaswag(row: Row) -> Row:
    """Adds `query` and `choices`; a row without the parts of its context has it ready in `ctx`."""
    if "ctx_a" in row:
        context = f"{row['activity_label']}: {row['ctx_a']} {row['ctx_b'].capitalize()}"
    else:
        context = row["ctx"]
    choices = [clean_hellaswag(ending) for ending in row["endings"]]
    return {**row, "query": clean_hellaswag(context), "choices": choices}


# ---------------------------------------------------------------------------- PIQA, SST-2, MRPC


def read_piqa(path: Path) -> list[Row]:
    """Rows, with labels from the file beside them (`valid.jsonl`, `valid-labels.lst`)."""
    rows: list[Row] = read_jsonl(path)
    if rows and "label" in rows[0]:
        return rows
    labels_path = path.with_name(f"{path.stem}-labels.lst")
    if not labels_path.exists():
        raise TaskError(f"{path}: rows have no label, and there is no {labels_path.name}", "piqa")
    labels = labels_path.read_text(encoding="utf-8").split()
    if len(labels) != len(rows):
        message = f"{labels_path} has {len(labels)} labels for {len(rows)} rows"
        raise TaskError(message, "piqa")
    return [{**row, "label": int(label)} for row, label in zip(rows, labels, strict=True)]


def read_sst2(path: Path) -> list[Row]:
    """Sentence and label in a TSV file, with or without a header."""
    if path.suffix == ".jsonl":
        return read_jsonl(path)
    with path.open(encoding="utf-8-sig") as file:
        head = file.readline().rstrip("\r\n").split("\t")
    if "sentence" in head:
        return read_table(path, "\t")
    return read_table(path, "\t", ("sentence", "label"))


_MRPC_COLUMNS = {
    "Quality": "label",
    "#1 String": "sentence1",
    "#2 String": "sentence2",
    "#1 ID": "id1",
    "#2 ID": "id2",
}


def read_mrpc(path: Path) -> list[Row]:
    """The corpus as Microsoft publishes it: tabs, a header, quotes that mean nothing."""
    if path.suffix == ".jsonl":
        return read_jsonl(path)
    rows = read_table(path, "\t")
    return [{_MRPC_COLUMNS.get(key, key): value for key, value in row.items()} for row in rows]


# ---------------------------------------------------------------------------- the tasks

_HUB = {
    "wikitext": f"{DATASETS}EleutherAI/wikitext_document_level:wikitext-2-raw-v1:test",
    "lambada_openai": f"{DATASETS}EleutherAI/lambada_openai:default:test",
    "lambada_standard": f"{DATASETS}cimec/lambada::test",
    "hellaswag": f"{DATASETS}Rowan/hellaswag::validation",
    "piqa": f"{DATASETS}baber/piqa::validation",
    "arc_easy": f"{DATASETS}allenai/ai2_arc:ARC-Easy:test",
    "arc_challenge": f"{DATASETS}allenai/ai2_arc:ARC-Challenge:test",
    "gsm8k": f"{DATASETS}openai/gsm8k:main:test",
    "sst2": f"{DATASETS}nyu-mll/glue:sst2:validation",
    "mrpc": f"{DATASETS}nyu-mll/glue:mrpc:validation",
}
_GSM8K_TRAIN = f"{DATASETS}openai/gsm8k:main:train"
_HOME = "https://github.com/EleutherAI/lm-evaluation-harness/tree/main/lm_eval/tasks"

_LAMBADA = MultipleChoice(
    name="lambada_openai",
    prompt="{{text.split(' ')[:-1]|join(' ')}}",
    choices=["{{text.split(' ')[-1]}}"],
    label="",
    metrics=("perplexity", "acc"),
    homepage=f"{_HOME}/lambada",
)
_ARC = MultipleChoice(
    name="arc_challenge",
    prompt="Question: {{question}}\nAnswer:",
    choices="choices.text",
    label="choices.label.index(answerKey)",
    homepage=f"{_HOME}/arc",
)
_SST2 = Classification(
    name="sst2",
    text="{{sentence}}",
    metrics=("acc", "f1", "mcc"),
    read=read_sst2,
    homepage=f"{_HOME}/glue",
)
_MRPC = Classification(
    name="mrpc",
    text="{{sentence1}}",
    pair="{{sentence2}}",
    metrics=("acc", "f1", "mcc"),
    read=read_mrpc,
    homepage=f"{_HOME}/glue",
)

_TASKS: tuple[Task, ...] = (
    Perplexity(
        name="wikitext",
        reference="{{page}}",
        read=read_wikitext,
        prepare=prepare_wikitext,
        homepage=f"{_HOME}/wikitext",
    ),
    _LAMBADA,
    replace(_LAMBADA, name="lambada_standard"),
    MultipleChoice(
        name="hellaswag",
        prompt="{{query}}",
        prepare=prepare_hellaswag,
        homepage=f"{_HOME}/hellaswag",
    ),
    MultipleChoice(
        name="piqa",
        prompt="Question: {{goal}}\nAnswer:",
        choices="[sol1, sol2]",
        read=read_piqa,
        homepage=f"{_HOME}/piqa",
    ),
    replace(_ARC, name="arc_easy"),
    _ARC,
    Generation(
        name="gsm8k",
        prompt="Question: {{question}}\nAnswer:",
        target="{{answer}}",
        stop=("Question:", "</s>", "<|im_end|>"),
        extract={
            "strict-match": Extract(pattern=r"#### (\-?[0-9\.\,]+)"),
            "flexible-extract": Extract(pattern=r"(-?[$0-9.,]{2,})|(-?[0-9]+)", select=-1),
        },
        ignore=(",", r"\$", r"(?s).*#### ", r"\.$"),
        ignore_case=True,
        few_shot=5,
        homepage=f"{_HOME}/gsm8k",
    ),
    _SST2,
    _MRPC,
    MultipleChoice(
        name="sst2_prompt",
        prompt="{{sentence}}\nQuestion: Is this sentence positive or negative?\nAnswer:",
        choices=["negative", "positive"],
        metrics=("acc",),
        read=read_sst2,
        homepage=f"{_HOME}/glue",
    ),
    MultipleChoice(
        name="mrpc_prompt",
        prompt="Sentence 1: {{sentence1}}\nSentence 2: {{sentence2}}\n"
        "Question: Do both sentences mean the same thing?\nAnswer:",
        choices=["no", "yes"],
        metrics=("acc", "f1"),
        read=read_mrpc,
        homepage=f"{_HOME}/glue",
    ),
)

TASKS: dict[str, Task] = {task.name: task for task in _TASKS}
TASK_SUMMARIES: dict[str, str] = {
    "wikitext": "WikiText-2, whole articles (wiki.test.raw)",
    "lambada_openai": "LAMBADA, last word of a passage (JSONL with `text`)",
    "lambada_standard": "LAMBADA, the authors' preprocessing (JSONL with `text`)",
    "hellaswag": "HellaSwag, the likeliest ending (JSONL with `ctx`, `endings`, `label`)",
    "piqa": "PIQA, physical common sense (valid.jsonl beside valid-labels.lst)",
    "arc_easy": "ARC, easy set (JSONL with `question`, `choices`, `answerKey`)",
    "arc_challenge": "ARC, challenge set (as arc_easy)",
    "gsm8k": "GSM8K, sums in words (test.jsonl; examples from train.jsonl beside it)",
    "sst2": "SST-2, sentiment, with a classification head (TSV)",
    "mrpc": "MRPC, paraphrases, with a classification head (msr_paraphrase_test.txt)",
    "sst2_prompt": "SST-2 as a prompt with two answers, for language models",
    "mrpc_prompt": "MRPC as a prompt with two answers, for language models",
}


def builtin(name: str, data: Any = None) -> Task:
    """A built-in task over local data, or over its data set on the Hub.

    Raises:
        TaskError: There is no task of that name.
    """
    if name not in TASKS:
        raise TaskError(f"no task {name!r}; there are {', '.join(TASKS)}")
    task = TASKS[name]
    if data is None:
        data = _HUB[name.removesuffix("_prompt")]
    task = task.with_data(data)
    return _with_examples(task) if task.few_shot else task


def _with_examples(task: Task) -> Task:
    """The task with the examples that lie beside its data; without examples if there are none."""
    if isinstance(task.data, (str, Path)) and not str(task.data).startswith(DATASETS):
        beside = Path(task.data).with_name("train.jsonl")
        if beside.exists():
            return replace(task, few_shot_data=str(beside))
        return replace(task, few_shot=0)
    return replace(task, few_shot_data=_GSM8K_TRAIN)


def note_of(task: Task) -> str | None:
    """What a reader of a built-in task's results should know, where it is not as usual."""
    usual = TASKS.get(task.name)
    if usual is None or not usual.few_shot or task.few_shot or task.few_shot_data is not None:
        return None
    return (
        f"{task.name} runs without examples, usually it has {usual.few_shot} before each prompt: "
        "they come from train.jsonl beside its data"
    )


def find_task(specification: str) -> Task:
    """The task that `NAME`, `NAME=DATA`, `FILE.toml` or `FILE.toml=DATA` stands for.

    Raises:
        TaskError: There is no such task.
        MissingFileError: There is no such file.
    """
    name, _, data = specification.partition("=")
    if name.endswith(".toml"):
        task = Task.from_toml(name)
        return task.with_data(data) if data else task
    return builtin(name, data or None)
