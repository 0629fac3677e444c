"""What is evaluated: tasks of four kinds, as small data classes or TOML files."""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from dataclasses import dataclass, field, fields, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from penstock.errors import MissingDependencyError, MissingFileError, TaskError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    from typing_extensions import Self

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Task:
    """What all kinds of task share; use one of the kinds.

    Templates are Jinja, in the sandbox that chat templates run in; a row's fields are its
    variables, and a field that a row lacks is an error that names the row. Expressions are Jinja
    expressions over the same fields (`label`, `choices.text`, `[sol1, sol2]`).

    Attributes:
        name: Names the task in results and files.
        data: Where the rows are: a file (JSONL, JSON, CSV, TSV, parquet, plain text), a folder that
            `datasets` saved, `datasets:NAME[:CONFIG[:SPLIT]]`, a `datasets.Dataset`, or a list of
            dictionaries.
        metrics: Names of metrics; empty for all of the kind.
        few_shot: Number of solved examples before each prompt.
        few_shot_data: Where the examples are, as `data`; or the rows themselves.
        few_shot_order: `random` draws anew for each row, from `few_shot_seed`, as lm-eval does;
            `first` takes the first ones.
        few_shot_seed: Seed of the draw.
        description: Text before the examples.
        delimiter: Between a prompt and its answer.
        separator: Between examples.
        columns: Names of the columns of a CSV or TSV file without a header.
        prepare: Changes a row before templates see it.
        read: Reads a file of a format of its own.
        homepage: Where the data is described.
    """

    kind: ClassVar[str] = ""
    known_metrics: ClassVar[tuple[str, ...]] = ()
    default_metrics: ClassVar[tuple[str, ...]] = ()

    name: str
    data: Any = None
    metrics: tuple[Any, ...] = ()
    few_shot: int = 0
    few_shot_data: Any = None
    few_shot_order: str = "random"
    few_shot_seed: int = 1234
    description: str = ""
    delimiter: str = " "
    separator: str = "\n\n"
    columns: tuple[str, ...] = ()
    prepare: Callable[[Row], Row] | None = None
    read: Callable[[Path], Sequence[Row]] | None = None
    homepage: str = ""

    def __post_init__(self) -> None:
        """Checks what can be checked without data.

        Raises:
            TaskError: An option makes no sense.
        """
        if type(self) is Task:
            message = "use one of the kinds: Perplexity, MultipleChoice, Classification, Generation"
            raise TaskError(message, self.name)
        if not self.name or any(character in self.name for character in "/\\\0"):
            raise TaskError(f"not a name that a file can have: {self.name!r}")
        for option in ("metrics", "columns"):
            value = getattr(self, option)
            object.__setattr__(self, option, (value,) if isinstance(value, str) else tuple(value))
        for metric in self.metrics:
            if not callable(metric) and metric not in self.known_metrics:
                message = f"no metric {metric!r} for a {self.kind} task: {self.known_metrics}"
                raise TaskError(message, self.name)
            if callable(metric) and self.kind != "generation":
                message = "a metric of your own is for generation tasks"
                raise TaskError(message, self.name)
        if self.few_shot < 0:
            raise TaskError(f"few_shot is {self.few_shot}", self.name)
        if self.few_shot_order not in ("random", "first"):
            message = f"few_shot_order is 'random' or 'first', not {self.few_shot_order!r}"
            raise TaskError(message, self.name)

    @property
    def metric_names(self) -> tuple[Any, ...]:
        """The metrics to compute: names, or functions of the caller."""
        return self.metrics or self.default_metrics

    def with_data(self, data: Any) -> Self:
        """The same task over other data."""
        return replace(self, data=data)

    def config(self) -> dict[str, Any]:
        """The task as JSON can hold it, without its data: what a fingerprint and results name."""
        skipped = ("data", "few_shot_data")
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in skipped}
        return {"kind": self.kind, **{key: _plain(value) for key, value in values.items()}}

    @staticmethod
    def from_toml(path: str | os.PathLike[str]) -> Task:
        """Reads a task file: `kind` and the fields of that kind; paths are relative to the file.

        Raises:
            MissingFileError: There is no such file.
            TaskError: It is no TOML, or has no such kind or option.
        """
        return read_toml(Path(path))


@dataclass(frozen=True, kw_only=True)
class Perplexity(Task):
    """How well a model predicts whole documents, in rolling windows.

    The first window predicts up to `max_length` tokens after the prefix token (BOS, else EOS);
    each later one predicts `stride` more, with as much context as the window holds.

    Attributes:
        text: Template of the text to predict.
        reference: Template of the text whose words and bytes are counted; the text itself when
            empty.
        max_length: Tokens in a window; the model's context when None.
        stride: Tokens that a later window predicts; `max_length` when None.
        context: Tokens of context that each prediction of a later window has at least; instead of
            `stride`.
        windows: False if a document must fit into one window.
    """

    kind: ClassVar[str] = "perplexity"
    known_metrics: ClassVar[tuple[str, ...]] = (
        "token_perplexity",
        "word_perplexity",
        "byte_perplexity",
        "bits_per_byte",
    )
    default_metrics: ClassVar[tuple[str, ...]] = known_metrics

    text: str = "{{text}}"
    reference: str = ""
    max_length: int | None = None
    stride: int | None = None
    context: int | None = None
    windows: bool = True

    def __post_init__(self) -> None:
        """Checks the windows.

        Raises:
            TaskError: They make no sense.
        """
        super().__post_init__()
        if self.few_shot:
            raise TaskError("a perplexity task has no examples", self.name)
        if self.stride is not None and self.context is not None:
            raise TaskError("give stride or context, not both", self.name)
        for option in ("max_length", "stride", "context"):
            value = getattr(self, option)
            if value is not None and value < 1:
                raise TaskError(f"{option} is {value}", self.name)


@dataclass(frozen=True, kw_only=True)
class MultipleChoice(Task):
    """Which continuation of a prompt a model finds likeliest.

    With a single choice there is nothing to choose: `acc` then says whether greedy decoding would
    give it, and `perplexity` how likely it is (as LAMBADA wants).

    Attributes:
        prompt: Template of the context.
        choices: A list of templates, or an expression that gives the list.
        label: Expression of the right choice: its index, or its text.
        target: Template of the answer in an example; the right choice when empty.
        truncate: Cut a context from the left where prompt and choice are longer than the model's
            context; otherwise that is an error.
    """

    kind: ClassVar[str] = "multiple_choice"
    known_metrics: ClassVar[tuple[str, ...]] = (
        "acc",
        "acc_norm",
        "acc_bytes",
        "perplexity",
        "f1",
        "mcc",
    )
    default_metrics: ClassVar[tuple[str, ...]] = ("acc", "acc_norm")

    prompt: str = "{{prompt}}"
    choices: Any = "choices"
    label: str = "label"
    target: str = ""
    truncate: bool = True


@dataclass(frozen=True, kw_only=True)
class Classification(Task):
    """What a sequence-classification head says of a text or a pair of texts.

    Attributes:
        text: Template of the text.
        pair: Template of the second text, if there is one.
        label: Expression of the class: its index, or its name among `classes`.
        classes: Names of the classes in the model's order; the model's `id2label` when empty.
        positive: Index of the class that `f1` is about, where there are two.
        max_length: Tokens that a text may have; the model's context when None.
        truncate: Cut longer texts; otherwise they are an error.
    """

    kind: ClassVar[str] = "classification"
    known_metrics: ClassVar[tuple[str, ...]] = ("acc", "f1", "f1_macro", "mcc")
    default_metrics: ClassVar[tuple[str, ...]] = ("acc", "f1", "mcc")

    text: str = "{{text}}"
    pair: str = ""
    label: str = "label"
    classes: tuple[str, ...] = ()
    positive: int = 1
    max_length: int | None = None
    truncate: bool = True

    def __post_init__(self) -> None:
        """Checks the options.

        Raises:
            TaskError: They make no sense.
        """
        super().__post_init__()
        object.__setattr__(self, "classes", tuple(self.classes))
        if self.few_shot:
            raise TaskError("a classification task has no examples", self.name)


@dataclass(frozen=True, kw_only=True)
class Extract:
    """Takes the answer out of generated text.

    Attributes:
        pattern: Regular expression; empty for the whole text.
        select: Which match, from 0; -1 for the last.
        fallback: The answer where nothing matches.
    """

    pattern: str = ""
    select: int = 0
    fallback: str = "[invalid]"


@dataclass(frozen=True, kw_only=True)
class Generation(Task):
    """What a model writes after a prompt.

    Attributes:
        prompt: Template of the prompt.
        target: Template of the right answer.
        max_new_tokens: Tokens to write at most.
        stop: Texts that end the answer; they are cut off, with what follows.
        sampling: None for greedy decoding; otherwise `penstock.sampling.SamplingParams` or a
            dictionary of its fields (`temperature`, `top_k`, `top_p`, ...). Draws depend on the
            run's seed and on the row, not on processes or batches.
        extract: Named ways to take the answer out of the text; each gives its own metrics.
        ignore: Regular expressions removed from answer and target before they are compared.
        ignore_case: Compare in lower case.
        ignore_punctuation: Compare without ASCII punctuation.
        truncate: Cut a prompt from the left where it leaves no room for `max_new_tokens`.
    """

    kind: ClassVar[str] = "generation"
    known_metrics: ClassVar[tuple[str, ...]] = ("exact_match",)
    default_metrics: ClassVar[tuple[str, ...]] = ("exact_match",)

    prompt: str = "{{prompt}}"
    target: str = "{{target}}"
    max_new_tokens: int = 256
    stop: tuple[str, ...] = ()
    sampling: Any = None
    extract: Mapping[str, Extract] = field(default_factory=lambda: {"none": Extract()})
    ignore: tuple[str, ...] = ()
    ignore_case: bool = False
    ignore_punctuation: bool = False
    truncate: bool = True

    def __post_init__(self) -> None:
        """Checks the options.

        Raises:
            TaskError: They make no sense.
        """
        super().__post_init__()
        for option in ("stop", "ignore"):
            value = getattr(self, option)
            object.__setattr__(self, option, (value,) if isinstance(value, str) else tuple(value))
        if self.max_new_tokens < 1:
            raise TaskError(f"max_new_tokens is {self.max_new_tokens}", self.name)


KINDS: dict[str, type[Task]] = {
    kind.kind: kind for kind in (Perplexity, MultipleChoice, Classification, Generation)
}


def read_toml(path: Path) -> Task:
    """Reads a task file; see `Task.from_toml`."""
    # Python 3.10 has no parser of its own.
    name = "tomllib" if sys.version_info >= (3, 11) else "tomli"
    try:
        tomllib: Any = import_module(name)
    except ModuleNotFoundError as error:
        message = "task files need tomli: pip install 'penstock[evaluate]'"
        raise MissingDependencyError(message) from error
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingFileError(error.errno, error.strerror, str(path)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TaskError(f"{path}: not a TOML file: {error}") from error
    return task_from_dict(values, path)


def task_from_dict(values: dict[str, Any], path: Path) -> Task:
    """Builds a task from the contents of the file at `path`.

    Raises:
        TaskError: There is no such kind or option.
    """
    values = {"name": path.stem, **values}
    kind = values.pop("kind", None)
    if kind not in KINDS:
        raise TaskError(f"{path}: kind is {kind!r}; it must be one of {', '.join(KINDS)}")
    known = {f.name for f in fields(KINDS[kind])} - {"prepare", "read"}
    if unknown := sorted(values.keys() - known):
        raise TaskError(f"{path}: a {kind} task has no option {', '.join(unknown)}")
    if "extract" in values:
        try:
            values["extract"] = {k: Extract(**v) for k, v in values["extract"].items()}
        except (AttributeError, TypeError) as error:
            raise TaskError(f"{path}: extract: {error}") from error
    for option in ("data", "few_shot_data"):
        value = values.get(option)
        if isinstance(value, str) and not value.startswith("datasets:"):
            values[option] = str(path.parent / value)
    try:
        return KINDS[kind](**values)
    except TypeError as error:
        raise TaskError(f"{path}: {error}") from error


def _plain(value: Any) -> Any:
    """A value that JSON can hold and that names the same thing in every process."""
    if isinstance(value, Extract):
        return {f.name: getattr(value, f.name) for f in fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if callable(value):
        return _name_of(value)
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if hasattr(value, "__dataclass_fields__"):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    return json.loads(json.dumps(value, default=str))


def _name_of(function: Callable[..., Any]) -> str:
    """Module, name and a digest of the source of a function."""
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        source = repr(getattr(getattr(function, "__code__", None), "co_code", ""))
    digest = hashlib.sha256(source.encode()).hexdigest()[:12]
    module = getattr(function, "__module__", "")
    return f"{module}.{getattr(function, '__qualname__', type(function).__qualname__)}#{digest}"
