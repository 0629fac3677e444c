"""Rows of forward passes, packed: a few bytes each beside their tokens.

A task may have millions, and nearly all of what a run keeps is in here.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, overload

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Ids = NDArray[np.int32]


@dataclass(slots=True)
class Unit:
    """One row of a forward pass.

    Attributes:
        ids: What the model reads: the encoder's input where there is one.
        conts: Continuations that share `ids`: each is scored at the last positions of its input.
        types: Type ids, for a classification head.
        sample: Index of the first sample that it belongs to, for messages and random draws.
    """

    ids: Ids
    conts: list[Ids] = field(default_factory=list)
    types: Ids | None = None
    sample: int = 0


class Units(Sequence[Unit]):
    """A list of units in flat arrays; each is put together when it is asked for."""

    def __init__(self) -> None:
        self._tokens = array("i")
        self._starts = array("q")
        self._lengths = array("i")
        self._typed = array("b")
        self._samples = array("q")
        self._weights = array("d")
        # The continuations of a unit are chained: the first, the last, and from each the next.
        self._first, self._last, self._next = array("q"), array("q"), array("q")
        self._cont_starts, self._cont_lengths = array("q"), array("i")

    def add(self, ids: Ids, *, sample: int, types: Ids | None = None, weight: float = 0.0) -> int:
        """Adds a unit without continuations; returns its index.

        Args:
            ids: What the model reads.
            sample: Index of its sample.
            types: Type ids, as many as `ids`.
            weight: Its share of the samples, for progress.
        """
        self._starts.append(self._store(ids))
        self._lengths.append(len(ids))
        self._typed.append(types is not None)
        if types is not None:
            self._store(types)
        self._samples.append(sample)
        self._weights.append(weight)
        self._first.append(-1)
        self._last.append(-1)
        return len(self._starts) - 1

    def add_continuation(self, unit: int, cont: Ids, weight: float = 0.0) -> None:
        """Adds a continuation, and its share of a sample, to a unit."""
        index = len(self._next)
        if self._first[unit] < 0:
            self._first[unit] = index
        else:
            self._next[self._last[unit]] = index
        self._last[unit] = index
        self._next.append(-1)
        self._cont_starts.append(self._store(cont))
        self._cont_lengths.append(len(cont))
        self._weights[unit] += weight

    def __len__(self) -> int:
        """Number of units."""
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> Unit: ...
    @overload
    def __getitem__(self, index: slice) -> list[Unit]: ...
    def __getitem__(self, index: int | slice) -> Unit | list[Unit]:
        """A unit, or several."""
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        start, length = self._starts[index], self._lengths[index]
        types = self._array(start + length, length) if self._typed[index] else None
        conts = [
            self._array(self._cont_starts[cont], self._cont_lengths[cont])
            for cont in self._chain(self._first[index])
        ]
        return Unit(self._array(start, length), conts, types, self._samples[index])

    def weight(self, index: int) -> float:
        """A unit's share of the samples."""
        return self._weights[index]

    def widths(self) -> list[int]:
        """Tokens of each unit with its first continuation."""
        return [
            length + (self._cont_lengths[first] if first >= 0 else 0)
            for length, first in zip(self._lengths, self._first, strict=True)
        ]

    def first_with(self, least: int) -> tuple[int, int] | None:
        """The first unit with a token id that is not below `least`, and the id."""
        if not self._tokens or np.frombuffer(self._tokens, np.int32).max() < least:
            return None
        for index, unit in enumerate(self):
            highest = max(int(ids.max()) for ids in (unit.ids, *unit.conts) if len(ids))
            if highest >= least:
                return index, highest
        return None

    def _chain(self, cont: int) -> Iterator[int]:
        while cont >= 0:
            yield cont
            cont = self._next[cont]

    def _store(self, ids: Ids) -> int:
        start = len(self._tokens)
        self._tokens.frombytes(np.ascontiguousarray(ids, np.int32).tobytes())
        return start

    def _array(self, start: int, length: int) -> Ids:
        # A copy: an array that others look into cannot grow.
        return np.frombuffer(self._tokens[start : start + length], np.int32)


class Slots:
    """For each request its unit, and which continuation of it."""

    def __init__(self, units: int = 0) -> None:
        self._units = array("q", range(units))
        self._numbers = array("i", bytes(4 * units))

    def append(self, unit: int, number: int) -> None:
        """Adds a request."""
        self._units.append(unit)
        self._numbers.append(number)

    def __len__(self) -> int:
        """Number of requests."""
        return len(self._units)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Units and numbers."""
        return zip(self._units, self._numbers, strict=True)
