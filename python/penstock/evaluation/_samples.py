"""Rows become samples: the texts that a model is asked about, and what the right answer is."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from penstock.errors import TaskError
from penstock.evaluation._data import read_rows
from penstock.evaluation._task import Classification, Generation, MultipleChoice, Perplexity, Task
from penstock.evaluation._template import Templates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.evaluation._task import Row

    Maker = Callable[[Row, int, str], "Sample"]

Requests = list[tuple[str, ...]]


@dataclass(slots=True)
class Sample:
    """One row of a task, ready to be asked about.

    Attributes:
        row: The row.
        requests: What the model is asked: `(text,)` of a document, `(context, continuation)` of
            each choice, `(text,)` or `(text, pair)` to classify, `(prompt,)` to continue.
        target: The right answer: a text, the index of a choice or a class.
        choices: The choices' texts, without the delimiter.
        words: Words of a document.
        bytes: Its UTF-8 bytes.
    """

    row: Row
    requests: Requests
    target: Any = None
    choices: list[str] = field(default_factory=list)
    words: int = 0
    bytes: int = 0


def samples_of(task: Task, rows: list[Row], classes: list[str] | None = None) -> list[Sample]:
    """Renders all rows of a task.

    Args:
        task: The task.
        rows: Its rows.
        classes: Names of the model's classes, for a classification task that names none.

    Raises:
        TaskError: A row lacks a field, is empty, or has a label that is none.
    """
    make = _maker(task, Templates(task.name), classes or [])
    examples = _examples(task, rows) if task.few_shot else None
    samples = []
    for index, row in enumerate(rows):
        prefix = task.description
        if examples is not None:
            prefix += "".join(next(examples))
        samples.append(make(row, index, prefix))
    return samples


def _examples(task: Task, rows: list[Row]) -> Iterator[list[str]]:
    """The solved examples of each row in turn."""
    if task.few_shot_data is None:
        message = f"{task.few_shot} examples are asked for, but there is no few_shot_data"
        raise TaskError(message, task.name)
    pool = read_rows(task, task.few_shot_data)
    same = task.few_shot_data is task.data or (
        isinstance(task.few_shot_data, str) and task.few_shot_data == task.data
    )
    if len(pool) < task.few_shot + same:
        message = f"{task.few_shot} examples are asked for, but there are {len(pool)} rows"
        raise TaskError(message, task.name)
    solved = _solver(task, Templates(f"{task.name}, examples"))
    texts: dict[int, str] = {}

    def text(index: int) -> str:
        if index not in texts:
            texts[index] = solved(pool[index], index)
        return texts[index]

    generator = random.Random(task.few_shot_seed)  # noqa: S311
    indices = range(len(pool))
    for row in rows:
        # One more where the row itself may be among them. `sample` over indices draws what it
        # would draw over the rows.
        count = task.few_shot + same
        if task.few_shot_order == "random":
            drawn = generator.sample(indices, count)
        else:
            drawn = list(indices[:count])
        if same:
            drawn = [index for index in drawn if pool[index] != row][: task.few_shot]
        yield [text(index) for index in drawn]


def _solver(task: Task, templates: Templates) -> Callable[[Row, int], str]:
    """What makes a solved example of a row."""
    if isinstance(task, Generation):
        prompt, target = task.prompt, task.target

        def generation(row: Row, index: int) -> str:
            text = templates.text(prompt, row, index) + task.delimiter
            return text + templates.text(target, row, index) + task.separator

        return generation
    if not isinstance(task, MultipleChoice):
        raise TaskError(f"a {task.kind} task has no examples", task.name)
    choice = task

    def multiple_choice(row: Row, index: int) -> str:
        text = templates.text(choice.prompt, row, index) + choice.delimiter
        if choice.target:
            return text + templates.text(choice.target, row, index) + choice.separator
        choices = _choices(choice, templates, row, index)
        return text + choices[_label(choice, templates, row, index, choices)] + choice.separator

    return multiple_choice


def _maker(task: Task, templates: Templates, classes: list[str]) -> Maker:
    """What makes a sample of a row, its index and the text before it."""
    if isinstance(task, Perplexity):
        return _document_maker(task, templates)
    if isinstance(task, MultipleChoice):
        return _choice_maker(task, templates)
    if isinstance(task, Classification):
        return _class_maker(task, templates, list(task.classes) or classes)
    if isinstance(task, Generation):
        return _prompt_maker(task, templates)
    raise NotImplementedError(type(task))


def _document_maker(task: Perplexity, templates: Templates) -> Maker:
    def make(row: Row, index: int, prefix: str) -> Sample:
        text = prefix + templates.text(task.text, row, index)
        if not text:
            raise TaskError("the text is empty", task.name, index)
        counted = templates.text(task.reference, row, index) if task.reference else text
        words = len(re.split(r"\s+", counted))
        return Sample(row, [(text,)], text, words=words, bytes=len(counted.encode()))

    return make


def _choice_maker(task: MultipleChoice, templates: Templates) -> Maker:
    def make(row: Row, index: int, prefix: str) -> Sample:
        context = prefix + templates.text(task.prompt, row, index)
        choices = _choices(task, templates, row, index)
        label = _label(task, templates, row, index, choices)
        requests: Requests = [(context, task.delimiter + choice) for choice in choices]
        return Sample(row, requests, label, choices)

    return make


def _class_maker(task: Classification, templates: Templates, names: list[str]) -> Maker:
    def make(row: Row, index: int, _prefix: str) -> Sample:
        texts = [templates.text(task.text, row, index)]
        if task.pair:
            texts.append(templates.text(task.pair, row, index))
        if not all(texts):
            raise TaskError("the text is empty", task.name, index)
        label = _index(task, templates.value(task.label, row, index), names, index, "classes")
        return Sample(row, [tuple(texts)], label, names)

    return make


def _prompt_maker(task: Generation, templates: Templates) -> Maker:
    def make(row: Row, index: int, prefix: str) -> Sample:
        prompt = prefix + templates.text(task.prompt, row, index)
        if not prompt:
            raise TaskError("the prompt is empty", task.name, index)
        return Sample(row, [(prompt,)], templates.text(task.target, row, index))

    return make


def _choices(task: MultipleChoice, templates: Templates, row: Row, index: int) -> list[str]:
    if isinstance(task.choices, str):
        choices = templates.value(task.choices, row, index)
    else:
        choices = [templates.text(choice, row, index) for choice in task.choices]
    if not isinstance(choices, (list, tuple)) or not choices:
        raise TaskError(f"the choices are {choices!r}, not a list", task.name, index)
    for number, choice in enumerate(choices):
        if not isinstance(choice, str) or not choice:
            raise TaskError(f"choice {number} is {choice!r}, not a text", task.name, index)
    return list(choices)


def _label(
    task: MultipleChoice, templates: Templates, row: Row, index: int, choices: list[str]
) -> int:
    if len(choices) == 1 and not task.label:
        return 0
    value = templates.value(task.label, row, index)
    return _index(task, value, choices, index, "choices")


def _index(task: Task, value: Any, names: list[str], index: int, what: str) -> int:
    """The index that a label stands for: an index, the digits of one, or a name."""
    if isinstance(value, str) and value in names:
        return names.index(value)
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if isinstance(value, float) and number != value:
        number = -1
    if not 0 <= number < len(names):
        message = f"the label {value!r} is outside the {len(names)} {what}"
        raise TaskError(message, task.name, index)
    return number
