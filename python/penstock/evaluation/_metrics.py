"""Metrics and their standard errors, in float64, in the order of the samples.

Every metric gives its value and, for each sample, how much that sample moves it (its influence,
scaled so that a mean's influences are `x - mean`). The standard error of the value, and that of a
difference between two runs over the same samples, follow from those alone.
"""

from __future__ import annotations

import math
import re
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Influence = NDArray[np.float64]

_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True)
class Estimate:
    """A metric over all samples.

    Attributes:
        value: The metric.
        influence: What each sample adds, `float64`.
    """

    value: float
    influence: Influence

    @property
    def stderr(self) -> float:
        """Standard error of the value, samples drawn independently; NaN for a single sample."""
        return standard_error(self.influence)


def standard_error(influence: Influence) -> float:
    """Standard error of an estimate, or of the difference of two, from influences."""
    n = len(influence)
    if n < 2:
        return math.nan
    return math.sqrt(float(np.sum(influence * influence)) / (n - 1) / n)


# ---------------------------------------------------------------------------- aggregations


def mean(items: Sequence[float]) -> Estimate:
    """The mean."""
    value = sum(map(float, items)) / len(items)
    return Estimate(value, np.asarray(items, np.float64) - value)


def perplexity(items: Sequence[float]) -> Estimate:
    """`exp(-mean)` of log-likelihoods."""
    inner = mean(items)
    value = _exp(-inner.value)
    return Estimate(value, -value * inner.influence)


def _ratio(items: Sequence[tuple[float, float]]) -> Estimate:
    """Sum of log-likelihoods over sum of weights."""
    weights = np.asarray([item[1] for item in items], np.float64)
    values = np.asarray([item[0] for item in items], np.float64)
    total = float(sum(item[1] for item in items))
    value = float(sum(item[0] for item in items)) / total
    return Estimate(value, (values - value * weights) * (len(items) / total))


def weighted_perplexity(items: Sequence[tuple[float, float]]) -> Estimate:
    """`exp(-log-likelihood / weight)`, both summed over documents."""
    inner = _ratio(items)
    value = _exp(-inner.value)
    return Estimate(value, -value * inner.influence)


def bits(items: Sequence[tuple[float, float]]) -> Estimate:
    """Bits per unit of weight."""
    inner = _ratio(items)
    scale = -1 / math.log(2)
    return Estimate(inner.value * scale, inner.influence * scale)


def f1(items: Sequence[tuple[int, int]], positive: int = 1) -> Estimate:
    """F1 of one class, from pairs of right and predicted class."""
    return _jackknife(items, lambda table: _f1(table, positive))


def f1_macro(items: Sequence[tuple[int, int]]) -> Estimate:
    """Mean over classes of F1."""

    def value(table: NDArray[np.int64]) -> float:
        present = [c for c in range(len(table)) if table[c].any() or table[:, c].any()]
        return sum(_f1(table, c) for c in present) / max(1, len(present))

    return _jackknife(items, value)


def mcc(items: Sequence[tuple[int, int]]) -> Estimate:
    """Matthews correlation coefficient, of any number of classes."""
    return _jackknife(items, _mcc)


def _f1(table: NDArray[np.int64], label: int) -> float:
    if label >= len(table):
        return 0.0
    hits = int(table[label, label])
    total = int(table[label].sum() + table[:, label].sum())
    return 2 * hits / total if total else 0.0


def _mcc(table: NDArray[np.int64]) -> float:
    true, predicted = (table.sum(axis=axis).astype(float) for axis in (1, 0))
    n, hits = float(table.sum()), float(np.trace(table))
    covariance = hits * n - float(true @ predicted)
    spread = (n * n - float(predicted @ predicted)) * (n * n - float(true @ true))
    return covariance / math.sqrt(spread) if spread > 0 else 0.0


def _jackknife(
    items: Sequence[tuple[int, int]], value: Callable[[NDArray[np.int64]], float]
) -> Estimate:
    """A metric of the confusion table, and influences from leaving one sample out.

    Samples of one cell of the table have one influence, so this takes as many evaluations as there
    are cells.
    """
    size = max(max(pair) for pair in items) + 1
    table = np.zeros((size, size), np.int64)
    for gold, predicted in items:
        table[gold, predicted] += 1
    whole = value(table)
    cells: dict[tuple[int, int], float] = {}
    for cell in dict.fromkeys(items):
        table[cell] -= 1
        cells[cell] = (len(items) - 1) * (whole - value(table)) if len(items) > 1 else 0.0
        table[cell] += 1
    influence = np.asarray([cells[pair] for pair in items], np.float64)
    return Estimate(whole, influence - influence.mean())


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


AGGREGATIONS: dict[str, Callable[..., Estimate]] = {
    "mean": mean,
    "perplexity": perplexity,
    "weighted_perplexity": weighted_perplexity,
    "bits": bits,
    "f1": f1,
    "f1_macro": f1_macro,
    "mcc": mcc,
}
LOWER_IS_BETTER = frozenset(
    {"perplexity", "token_perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte"}
)


def aggregation_of(metric: str) -> str:
    """Which aggregation a metric takes."""
    if metric in AGGREGATIONS:
        return metric
    if metric.endswith("_perplexity"):
        return "weighted_perplexity"
    return "bits" if metric == "bits_per_byte" else "mean"


# ---------------------------------------------------------------------------- single samples


def extract(pattern: str, select: int, fallback: str, text: str) -> str:
    """The part of a text that a regular expression finds; its first group that matched, if any."""
    if not pattern:
        return text
    found = re.findall(pattern, text)
    if not found or not -len(found) <= select < len(found):
        return fallback
    match = found[select]
    if isinstance(match, tuple):
        match = next((group for group in match if group), fallback)
    return str(match).strip()


def exact_match(
    answer: str, target: str, *, ignore: Sequence[str], case: bool, punctuation: bool
) -> float:
    """1.0 if two texts are equal once what is to be ignored is gone."""

    def cleaned(text: str) -> str:
        for pattern in ignore:
            text = re.sub(pattern, "", text)
        text = text if case else text.lower()
        return text if punctuation else text.translate(_PUNCTUATION)

    return float(cleaned(answer) == cleaned(target))


def choose(values: Sequence[float], lengths: Sequence[int] | None = None) -> int:
    """Index of the largest value, the first of equals; divided by lengths, if they are given."""
    array = np.asarray(values, np.float64)
    if lengths is not None:
        array = array / np.asarray(lengths, np.float64)
    return int(np.argmax(array))


def jsonable(value: Any) -> Any:
    """A metric's items as JSON holds them."""
    return list(value) if isinstance(value, tuple) else value
