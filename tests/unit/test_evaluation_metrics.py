"""Metrics beside scikit-learn's, standard errors beside resampling."""

from __future__ import annotations

import math
import random
import warnings

import numpy as np
import pytest
from penstock.evaluation import _metrics as ours

metrics = pytest.importorskip("sklearn.metrics")


def labels(count: int, classes: int, seed: int) -> list[tuple[int, int]]:
    generator = random.Random(seed)
    gold = [generator.randrange(classes) for _ in range(count)]
    return [(g, g if generator.random() < 0.6 else generator.randrange(classes)) for g in gold]


@pytest.mark.parametrize("seed", range(20))
def test_f1_and_mcc_are_those_of_scikit_learn(seed: int) -> None:
    pairs = labels(1 + seed * 7, 2, seed)
    gold, predicted = zip(*pairs, strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert ours.f1(pairs).value == pytest.approx(metrics.f1_score(gold, predicted), abs=1e-12)
        wanted = metrics.matthews_corrcoef(gold, predicted)
        assert ours.mcc(pairs).value == pytest.approx(wanted, abs=1e-12)
        pairs = labels(40, 4, seed)
        gold, predicted = zip(*pairs, strict=True)
        wanted = metrics.f1_score(gold, predicted, average="macro")
        assert ours.f1_macro(pairs).value == pytest.approx(wanted, abs=1e-12)
        wanted = metrics.matthews_corrcoef(gold, predicted)
        assert ours.mcc(pairs).value == pytest.approx(wanted, abs=1e-12)


def test_the_error_of_a_mean_is_exact() -> None:
    items = [0.0, 1.0, 1.0, 0.0, 1.0]
    estimate = ours.mean(items)
    assert estimate.value == 0.6
    assert estimate.stderr == pytest.approx(np.std(items, ddof=1) / math.sqrt(5), abs=1e-15)
    assert math.isnan(ours.mean([1.0]).stderr)


@pytest.mark.parametrize(
    "name", ["f1", "f1_macro", "mcc", "perplexity", "weighted_perplexity", "bits"]
)
def test_errors_are_those_of_resampling(name: str) -> None:
    """The bootstrap's spread is the error, up to the bootstrap's own."""
    generator = np.random.default_rng(5)
    if name in ("f1", "f1_macro", "mcc"):
        items = labels(400, 2, 3)
    elif name == "perplexity":
        items = list(generator.normal(-2, 0.7, 400))
    else:
        weights = generator.integers(20, 200, 400)
        items = [(float(-w * generator.normal(2, 0.3)), int(w)) for w in weights]
    aggregate = ours.AGGREGATIONS[name]
    values = [
        aggregate([items[i] for i in generator.integers(0, 400, 400)]).value for _ in range(600)
    ]
    assert aggregate(items).stderr == pytest.approx(np.std(values), rel=0.15)


def test_sums_do_not_depend_on_how_samples_were_cut() -> None:
    items = [(-0.1 * n, n) for n in range(1, 1000)]
    assert ours.weighted_perplexity(items).value == math.exp(
        sum(0.1 * n for n in range(1, 1000)) / sum(range(1, 1000))
    )


def test_extraction() -> None:
    text = "It is 12, then\n#### 1,234. Or 7"
    assert ours.extract(r"#### (\-?[0-9\.\,]+)", 0, "none", text) == "1,234."
    assert ours.extract(r"(-?[$0-9.,]{2,})|(-?[0-9]+)", -1, "none", text) == "7"
    assert ours.extract(r"x(\d)", 0, "none", text) == "none"
    assert ours.extract("", 0, "none", text) == text


def test_exact_match() -> None:
    options = {"ignore": (",", r"\$", r"(?s).*#### ", r"\.$"), "case": False, "punctuation": True}
    assert ours.exact_match("$1,234.", "so\n#### 1234", **options) == 1.0
    assert ours.exact_match("1235", "so\n#### 1234", **options) == 0.0
    options = {"ignore": (), "case": True, "punctuation": False}
    assert ours.exact_match("a.b", "ab", **options) == 1.0
    assert ours.exact_match("A", "a", **options) == 0.0
