"""What each kind of task asks of a model, and what it makes of the answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.errors import TaskError
from penstock.evaluation import _metrics
from penstock.evaluation._plan import (
    Group,
    Origin,
    plan_classification,
    plan_generation,
    plan_pairs,
    plan_rolling,
)
from penstock.evaluation._task import (
    Classification,
    Generation,
    MultipleChoice,
    Perplexity,
    Task,
    _plain,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from penstock.evaluation._encode import TextEncoder
    from penstock.evaluation._samples import Sample


@dataclass(frozen=True)
class Scored:
    """One sample's answers.

    Attributes:
        filter: Name of the way in which the answer was taken out; `none` where there is one way.
        items: What each metric is computed from, by name.
        filtered: The answer itself.
    """

    filter: str
    items: dict[str, Any]
    filtered: Any


# ---------------------------------------------------------------------------- asking


def plan(
    task: Task, samples: Sequence[Sample], encoder: TextEncoder, max_length: int, *, joint: bool
) -> Group:
    """The units of a task, not yet cut into batches.

    Args:
        task: The task.
        samples: Its samples.
        encoder: Tokenizes.
        max_length: Tokens that the model reads at most.
        joint: Whether the model is decoder-only.

    Raises:
        TaskError: A sample cannot be asked about.
    """
    requests = [request for sample in samples for request in sample.requests]
    origin = Origin(
        task.name,
        [index for index, sample in enumerate(samples) for _ in sample.requests],
        [number for sample in samples for number in range(len(sample.requests))],
    )
    if isinstance(task, Perplexity):
        limit = _length(task, task.max_length, max_length)
        return plan_rolling(
            encoder,
            [request[0] for request in requests],
            origin,
            max_length=limit,
            stride=_stride(task, limit),
            joint=joint,
            cut=task.windows,
        )
    if isinstance(task, MultipleChoice):
        return plan_pairs(
            encoder, requests, origin, max_length=max_length, joint=joint, truncate=task.truncate
        )
    if isinstance(task, Classification):
        limit = _length(task, task.max_length, max_length)
        return plan_classification(
            encoder, requests, origin, max_length=limit, truncate=task.truncate
        )
    if not isinstance(task, Generation):
        raise NotImplementedError(type(task))
    options = {
        "max_new_tokens": task.max_new_tokens,
        "stop": list(task.stop),
        "sampling": task.sampling,
    }
    prompts = [request[0] for request in requests]
    return plan_generation(
        encoder,
        prompts,
        origin,
        max_length=max_length,
        options=options,
        joint=joint,
        truncate=task.truncate,
    )


def _length(task: Task, wanted: int | None, max_length: int) -> int:
    if wanted is not None and wanted > max_length:
        message = f"max_length is {wanted}, and the model reads {max_length} tokens"
        raise TaskError(message, task.name)
    return wanted or max_length


def _stride(task: Perplexity, max_length: int) -> int:
    stride = task.stride or max_length
    if task.context is not None:
        stride = max_length - task.context + 1
    if not 1 <= stride <= max_length:
        message = f"stride or context leave {stride} tokens of windows of {max_length}"
        raise TaskError(message, task.name)
    return stride


# ---------------------------------------------------------------------------- answers


def responses(
    group: Group, outputs: Sequence[Any], samples: Sequence[Sample]
) -> Iterator[list[Any]]:
    """The outputs of each sample's requests, in order."""
    slots = iter(group.slots)
    if "windows" in group.options:
        for count in group.options["windows"]:
            yield [outputs[unit][slot][0] for unit, slot in (next(slots) for _ in range(count))]
        return
    for sample in samples:
        found = [next(slots) for _ in sample.requests]
        if group.kind == "loglikelihood":
            yield [outputs[unit][slot] for unit, slot in found]
        else:
            yield [outputs[unit] for unit, _ in found]


def score(task: Task, sample: Sample, answer: list[Any], tokens: int = 0) -> list[Scored]:
    """What metrics are computed from, for one sample.

    Args:
        task: The task.
        sample: The sample.
        answer: The outputs of its requests; of its windows, for a document.
        tokens: Tokens of a document.
    """
    if isinstance(task, Perplexity):
        return [_score_document(task, sample, answer, tokens)]
    if isinstance(task, MultipleChoice):
        return [_score_choices(task, sample, answer)]
    if isinstance(task, Classification):
        return [_score_class(task, sample, answer[0])]
    if isinstance(task, Generation):
        return _score_text(task, sample, answer[0][0])
    raise NotImplementedError(type(task))


def _score_document(task: Perplexity, sample: Sample, parts: list[float], tokens: int) -> Scored:
    total = sum(parts)
    weights = {
        "token_perplexity": tokens,
        "word_perplexity": sample.words,
        "byte_perplexity": sample.bytes,
        "bits_per_byte": sample.bytes,
    }
    items = {name: (total, weights[name]) for name in task.metric_names}
    return Scored("none", items, total)


def _score_choices(task: MultipleChoice, sample: Sample, answer: list[Any]) -> Scored:
    values = [value for value, _ in answer]
    gold = sample.target
    best = _metrics.choose(values)
    items: dict[str, Any] = {}
    for name in task.metric_names:
        if name == "perplexity":
            items[name] = values[gold]
        elif name == "acc" and len(values) == 1:
            items[name] = float(answer[0][1])
        elif name in ("f1", "mcc"):
            items[name] = (gold, best)
        else:
            chosen = {"acc": best}.get(name)
            if name == "acc_norm":
                chosen = _metrics.choose(values, [len(choice) for choice in sample.choices])
            elif name == "acc_bytes":
                chosen = _metrics.choose(values, [len(c.encode()) for c in sample.choices])
            items[name] = float(chosen == gold)
    return Scored("none", items, answer)


def _score_class(task: Classification, sample: Sample, logits: list[float]) -> Scored:
    best = _metrics.choose(logits)
    items: dict[str, Any] = {
        name: float(best == sample.target) if name == "acc" else (sample.target, best)
        for name in task.metric_names
    }
    return Scored("none", items, best)


def _score_text(task: Generation, sample: Sample, text: str) -> list[Scored]:
    found = []
    for name, how in task.extract.items():
        answer = _metrics.extract(how.pattern, how.select, how.fallback, text)
        items: dict[str, Any] = {}
        for metric in task.metric_names:
            if callable(metric):
                items[metric.__name__] = float(metric(answer, sample.target, sample.row))
            else:
                items[metric] = _metrics.exact_match(
                    answer,
                    sample.target,
                    ignore=task.ignore,
                    case=not task.ignore_case,
                    punctuation=not task.ignore_punctuation,
                )
        found.append(Scored(name, items, answer))
    return found


def estimate(task: Task, metric: str, items: Sequence[Any]) -> _metrics.Estimate:
    """A metric over all samples."""
    pairs = [tuple(item) if isinstance(item, list) else item for item in items]
    name = _metrics.aggregation_of(metric)
    if name == "f1" and isinstance(task, Classification):
        return _metrics.f1(pairs, task.positive)
    return _metrics.AGGREGATIONS[name](pairs)


def plain(value: Any) -> Any:
    """A value as JSON holds it."""
    return _plain(value)
