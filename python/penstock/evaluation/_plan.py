"""The global list of batches: what runs together is decided once, from the data alone.

Nothing here knows how many processes there are, so every process builds the same list, and a
sample's score does not depend on their number.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections import Counter
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.errors import TaskError
from penstock.evaluation._units import Slots, Units

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from penstock.evaluation._encode import TextEncoder
    from penstock.evaluation._units import Unit

    Ids = NDArray[np.int32]


_SHOWN = 80
"""Characters of a text in a message."""


@dataclass(slots=True)
class Group:
    """Units that run the same way, and the batches that they run in.

    Attributes:
        name: Name of the task.
        kind: `loglikelihood`, `classify` or `generate`.
        units: The rows.
        slots: For each request its unit, and which continuation of it.
        options: What generation needs to know.
        truncated: Number of samples that were cut.
        batches: Indices of units.
    """

    name: str
    kind: str
    units: Units
    slots: Slots
    options: dict[str, Any] = field(default_factory=dict)
    truncated: int = 0
    batches: list[list[int]] = field(default_factory=list)

    def cut(self, batch_size: int, max_batch_tokens: int | None) -> Group:
        """Cuts the units into batches; see `cut_batches`."""
        self.batches = cut_batches(self.units.widths(), batch_size, max_batch_tokens)
        return self

    def check_vocabulary(self, size: int) -> None:
        """Refuses tokens that a model does not have.

        Raises:
            TaskError: There is one; the tokenizer is another model's.
        """
        found = self.units.first_with(size)
        if found is not None:
            unit, token = found
            message = f"the tokenizer gives token {token}, and the model's vocabulary has {size}"
            raise TaskError(message, self.name, self.units[unit].sample)

    def rows(self, batch: int) -> list[Unit]:
        """The units of a batch."""
        return [self.units[unit] for unit in self.batches[batch]]

    def weight(self, batch: int) -> float:
        """A batch's share of the samples, for progress."""
        return sum(self.units.weight(unit) for unit in self.batches[batch])

    def digest(self) -> str:
        """Names the tokens of all units and their batches."""
        units = ([unit.ids.tolist(), [c.tolist() for c in unit.conts]] for unit in self.units)
        return digest_all(chain(units, self.batches))


def cut_batches(
    lengths: Sequence[int], batch_size: int, max_batch_tokens: int | None = None
) -> list[list[int]]:
    """Sorts rows by length, longest first, then by index, and cuts the list.

    Args:
        lengths: Tokens of each row.
        batch_size: Rows in a batch at most.
        max_batch_tokens: Tokens in a batch at most, padding counted; a longer row is a batch of its
            own.
    """
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    batches: list[list[int]] = []
    for index in order:
        # The first row of a batch is its longest.
        full = bool(batches) and (
            len(batches[-1]) >= batch_size
            or (
                max_batch_tokens is not None
                and (len(batches[-1]) + 1) * lengths[batches[-1][0]] > max_batch_tokens
            )
        )
        if not batches or full:
            batches.append([])
        batches[-1].append(index)
    return batches


# ---------------------------------------------------------------------------- requests to units


@dataclass(frozen=True, slots=True)
class Origin:
    """Where requests come from: what a message names.

    Attributes:
        task: Name of the task.
        samples: For each request the index of its row.
        numbers: For each request which one of its row's it is.
        tasks: For each request the name of its task, where they have several.
    """

    task: str
    samples: Sequence[int]
    numbers: Sequence[int]
    tasks: Sequence[str] | None = None

    def error(self, number: int, message: str) -> TaskError:
        """The error of a request, with task and row."""
        task = self.task if self.tasks is None else self.tasks[number]
        return TaskError(message, task, self.samples[number])

    def shares(self) -> list[float]:
        """For each request, its share of its sample."""
        if self.tasks is None:
            numbers = Counter(self.samples)
            return [1 / numbers[sample] for sample in self.samples]
        counts = Counter(zip(self.tasks, self.samples, strict=True))
        return [1 / counts[key] for key in zip(self.tasks, self.samples, strict=True)]


def plan_pairs(
    encoder: TextEncoder,
    pairs: Sequence[tuple[str, ...]],
    origin: Origin,
    *,
    max_length: int,
    joint: bool,
    truncate: bool = True,
) -> Group:
    """Plans the log-likelihoods of continuations after contexts.

    Requests whose inputs are the same (answers of one token after one prompt) share a row.

    Args:
        encoder: Tokenizes.
        pairs: Contexts and continuations.
        origin: Where they come from.
        max_length: Tokens that the model reads at most.
        joint: For a decoder-only model; otherwise the context goes to an encoder.
        truncate: Cut contexts from the left; otherwise a long one is an error.

    Raises:
        TaskError: A continuation vanishes in tokenization, or is too long.
    """
    units, slots = Units(), Slots()
    known: dict[bytes, int] = {}
    counts = array("i")
    cut: set[int] = set()
    shares = origin.shares()
    for number, (read, cont) in enumerate(encoder.encode_pairs(pairs, joint=joint)):
        sample = origin.samples[number]
        if not 1 <= len(cont) <= max_length:
            which = f"continuation {origin.numbers[number]} ({_short(pairs[number][1])})"
            message = f"{which} has {len(cont)} tokens, and the model reads {max_length}"
            if not len(cont):
                why = "it merges with the end of its context"
                message = f"{which} disappears by tokenization: {why}"
            raise origin.error(number, message)
        room = max_length + 1 - len(cont) if joint else max_length
        if len(read) > room:
            if not truncate:
                total = len(read) + len(cont) - 1
                message = (
                    f"prompt and continuation have {total} tokens, the model reads {max_length}, "
                    "and they may not be cut (truncate)"
                )
                raise origin.error(number, message)
            cut.add(sample)
        context = read[max(0, len(read) - room) :]
        ids = np.concatenate([context, cont[:-1]]) if joint else context
        key = ids.tobytes() if joint else ids.tobytes() + b"|" + cont.tobytes()
        unit = known.setdefault(hashlib.blake2b(key, digest_size=16).digest(), len(units))
        if unit == len(units):
            units.add(ids, sample=sample)
            counts.append(0)
        slots.append(unit, counts[unit])
        counts[unit] += 1
        units.add_continuation(unit, cont, shares[number])
    return Group(origin.task, "loglikelihood", units, slots, truncated=len(cut))


def windows(tokens: Ids, prefix: int, max_length: int, stride: int) -> list[tuple[Ids, Ids]]:
    """Cuts a document into inputs and the tokens that they predict; each token is predicted once.

    Args:
        tokens: The document.
        prefix: Token that stands before the first one.
        max_length: Tokens that an input has at most.
        stride: Tokens that a window after the first one predicts.
    """
    end = min(max_length, len(tokens))
    first = np.concatenate([np.asarray([prefix], np.int32), tokens[: end - 1]])
    found = [(first, tokens[:end])]
    while end < len(tokens):
        start, end = end, min(end + stride, len(tokens))
        found.append((tokens[max(end - max_length, 1) - 1 : end - 1], tokens[start:end]))
    return found


def plan_rolling(
    encoder: TextEncoder,
    texts: Sequence[str],
    origin: Origin,
    *,
    max_length: int,
    stride: int,
    joint: bool,
    cut: bool = True,
    empty: bool = False,
) -> Group:
    """Plans the log-likelihoods of whole documents, window by window.

    Each request has as many slots as it has windows, one after the other; `options["windows"]`
    holds the counts and `options["tokens"]` the numbers of tokens. A text without tokens is an
    error, or, with `empty`, has no window.

    Raises:
        TaskError: A document has no tokens, or is longer than a window where it may not be.
    """
    if encoder.prefix_id is None:
        message = "the tokenizer has no BOS or EOS token to begin a document with"
        raise TaskError(message, origin.task)
    units = Units()
    counts: list[int] = []
    totals: list[int] = []
    for number, tokens in enumerate(encoder.encode_each(texts)):
        sample = origin.samples[number]
        if not len(tokens):
            if not empty:
                raise origin.error(number, "the text has no tokens")
            counts.append(0)
            totals.append(0)
            continue
        if len(tokens) > max_length and not cut:
            message = _too_long("text", len(tokens), max_length, "windows")
            raise origin.error(number, message)
        found = windows(tokens, encoder.prefix_id, max_length, stride)
        for row, cont in found:
            # An encoder reads what comes before the first predicted token.
            read = row if joint else row[: len(row) - (len(cont) - 1)]
            unit = units.add(read, sample=sample)
            units.add_continuation(unit, cont, 1 / len(found))
        counts.append(len(found))
        totals.append(len(tokens))
    options = {"windows": counts, "tokens": totals}
    return Group(origin.task, "loglikelihood", units, Slots(len(units)), options)


def plan_generation(
    encoder: TextEncoder,
    prompts: Sequence[str],
    origin: Origin,
    *,
    max_length: int,
    options: dict[str, Any],
    joint: bool,
    truncate: bool = True,
) -> Group:
    """Plans the continuation of prompts.

    Raises:
        TaskError: A prompt has no tokens, or leaves no room for the answer.
    """
    room = max_length - options["max_new_tokens"] if joint else max_length
    if room < 1:
        message = (
            f"max_new_tokens is {options['max_new_tokens']}, and the model's context {max_length}"
        )
        raise TaskError(message, origin.task)
    units = Units()
    cut = 0
    for number, ids in enumerate(encoder.encode_each(prompts)):
        row, sample = ids, origin.samples[number]
        if not len(row):
            raise origin.error(number, "the prompt has no tokens")
        if len(row) > room:
            if not truncate:
                message = _too_long("prompt", len(row), room, "truncate")
                raise origin.error(number, message)
            cut += 1
            row = row[len(row) - room :]
        units.add(row, sample=sample, weight=1.0)
    return Group(origin.task, "generate", units, Slots(len(units)), options, cut)


def plan_classification(
    encoder: TextEncoder,
    texts: Sequence[tuple[str, ...]],
    origin: Origin,
    *,
    max_length: int,
    truncate: bool = True,
) -> Group:
    """Plans the classes of texts.

    Raises:
        TaskError: A text is longer than the model's context and may not be cut.
    """
    units = Units()
    for number, (ids, types) in enumerate(
        encoder.encode_for_head(texts, max_length, truncate=truncate)
    ):
        sample = origin.samples[number]
        if len(ids) > max_length:
            message = _too_long("text", len(ids), max_length, "truncate")
            raise origin.error(number, message)
        if not len(ids):
            raise origin.error(number, "the text has no tokens")
        units.add(ids, types=types, sample=sample, weight=1.0)
    return Group(origin.task, "classify", units, Slots(len(units)))


def _short(text: str) -> str:
    """A text as a message shows it."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def _too_long(what: str, tokens: int, room: int, option: str) -> str:
    return f"the {what} has {tokens} tokens, {room} fit, and it may not be cut ({option})"


# ---------------------------------------------------------------------------- fingerprints


def digest(value: Any) -> str:
    """SHA-256 of a value in one canonical form of JSON."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def digest_all(values: Iterable[Any]) -> str:
    """SHA-256 of values, one after the other."""
    hasher = hashlib.sha256()
    for value in values:
        hasher.update(digest(value).encode())
    return hasher.hexdigest()


def changed(
    before: Mapping[str, Any], now: Mapping[str, Any], show: Callable[[Any], Any] = lambda x: x
) -> dict[str, tuple[object, object]]:
    """What differs between two fingerprints, by name: before and now."""
    names = [*before, *(name for name in now if name not in before)]
    return {
        name: (show(before.get(name)), show(now.get(name)))
        for name in names
        if before.get(name) != now.get(name)
    }
