"""Evaluation beside oracles that do one thing at a time: batches, windows, parts, metrics."""

from __future__ import annotations

import json
import math
import os
import tempfile
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from penstock.evaluation import _metrics
from penstock.evaluation._plan import (
    Group,
    Origin,
    cut_batches,
    plan_pairs,
    plan_rolling,
    windows,
)
from penstock.evaluation._units import Slots, Units

from tests.evaluation_models import Letters, letters_origin

lengths = st.lists(st.integers(1, 40), max_size=60)
worlds = st.integers(1, 9)

# ---------------------------------------------------------------------------- batches


@given(lengths=lengths, size=st.integers(1, 9), tokens=st.none() | st.integers(1, 120))
def test_batches_are_those_of_one_row_at_a_time(
    lengths: list[int], size: int, tokens: int | None
) -> None:
    """Takes the longest row that is left, the first of equals, while it still fits."""
    left = list(enumerate(lengths))
    wanted: list[list[int]] = []
    widest = 0
    while left:
        row, length = max(left, key=lambda item: (item[1], -item[0]))
        left.remove((row, length))
        fits = (
            wanted
            and len(wanted[-1]) < size
            and (tokens is None or (len(wanted[-1]) + 1) * widest <= tokens)
        )
        if fits:
            wanted[-1].append(row)
        else:
            wanted.append([row])
            widest = length
    assert cut_batches(lengths, size, tokens) == wanted


@given(lengths=lengths, size=st.integers(1, 9), world=worlds)
def test_ranks_share_all_batches_and_none_twice(lengths: list[int], size: int, world: int) -> None:
    batches = range(len(cut_batches(lengths, size)))
    shares = [list(batches[rank::world]) for rank in range(world)]
    assert sorted(batch for share in shares for batch in share) == list(batches)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


# ---------------------------------------------------------------------------- windows and pairs


def predictions(ids: Any, cont: Any) -> list[tuple[tuple[int, ...], int]]:
    """What a model that reads `ids` sees before each token of `cont`, which ends it."""
    ids, cont = list(map(int, ids)), list(map(int, cont))
    first = len(ids) - len(cont)
    return [(tuple(ids[: first + n + 1]), token) for n, token in enumerate(cont)]


@given(
    count=st.integers(1, 60),
    max_length=st.integers(1, 20),
    stride=st.integers(1, 20),
)
def test_windows_predict_each_token_once_from_what_precedes_it(
    count: int, max_length: int, stride: int
) -> None:
    stride = min(stride, max_length)
    document = np.arange(1, count + 1, dtype=np.int32)
    whole = [0, *range(1, count + 1)]
    wanted = []
    for position in range(count):
        # The window in which a token is predicted ends a whole number of strides after the first.
        number = max(0, math.ceil((position + 1 - max_length) / stride))
        end = min(count, max_length + number * stride)
        wanted.append((tuple(whole[max(0, end - max_length) : position + 1]), position + 1))
    found = windows(document, 0, max_length, stride)
    assert [pair for ids, cont in found for pair in predictions(ids, cont)] == wanted
    assert all(len(ids) <= max_length for ids, _ in found)


@given(count=st.integers(1, 60), max_length=st.integers(1, 20))
def test_windows_are_those_of_lm_eval(count: int, max_length: int) -> None:
    utils = pytest.importorskip("lm_eval.utils")
    document = list(range(1, count + 1))
    wanted = [
        predictions([*context, *cont[:-1]], cont)
        for context, cont in map(
            utils.make_disjoint_window,
            utils.get_rolling_token_windows(document, 0, max_length, 1),
        )
    ]
    found = windows(np.asarray(document, np.int32), 0, max_length, max_length)
    assert [predictions(ids, cont) for ids, cont in found] == wanted


letters = st.text("abc", min_size=1, max_size=8)


@given(
    pairs=st.lists(st.tuples(letters, st.text("abc", min_size=1, max_size=5)), max_size=12),
    max_length=st.integers(5, 12),
)
def test_shared_rows_predict_what_single_ones_would(
    pairs: list[tuple[str, str]], max_length: int
) -> None:
    group = plan_pairs(
        Letters(), pairs, letters_origin(len(pairs)), max_length=max_length, joint=True
    )
    for (context, cont), (unit, slot) in zip(pairs, group.slots, strict=True):
        row = group.units[unit]
        read = [ord(letter) for letter in (context + cont)[:-1]][-max_length:]
        assert predictions(row.ids, row.conts[slot]) == predictions(
            read, [ord(letter) for letter in cont]
        )
    assert sum(map(group.units.weight, range(len(group.units)))) == pytest.approx(len(pairs))
    assert len({unit.ids.tobytes() for unit in group.units}) == len(group.units)
    cut = sum(len(context + cont) - 1 > max_length for context, cont in pairs)
    assert group.truncated == cut


@given(texts=st.lists(letters, max_size=8), max_length=st.integers(1, 6), data=st.data())
def test_documents_keep_their_windows_in_order(
    texts: list[str], max_length: int, data: st.DataObject
) -> None:
    stride = data.draw(st.integers(1, max_length))
    origin = letters_origin(len(texts))
    group = plan_rolling(Letters(), texts, origin, max_length=max_length, stride=stride, joint=True)
    start = 0
    for number, (text, count) in enumerate(zip(texts, group.options["windows"], strict=True)):
        mine = range(start, start + count)
        units = [group.units[index] for index in mine]
        assert "".join(chr(i) for unit in units for i in unit.conts[0]) == text
        assert {unit.sample for unit in units} == {number}
        assert sum(map(group.units.weight, mine)) == pytest.approx(1)
        start += count
    assert start == len(group.units)


# ---------------------------------------------------------------------------- packed units

rows = st.lists(st.integers(0, 2**31 - 1), max_size=9).map(lambda ids: np.asarray(ids, np.int32))


@given(
    wanted=st.lists(st.tuples(rows, st.booleans(), st.lists(rows, max_size=3)), max_size=9),
    order=st.randoms(),
)
def test_packed_units_are_what_was_put_in(wanted: list[Any], order: Any) -> None:
    units = Units()
    for number, (ids, typed, _) in enumerate(wanted):
        types = ids[::-1] if typed else None
        assert units.add(ids, sample=7 * number, types=types, weight=0.5) == number
    later = [(n, cont) for n, (*_, conts) in enumerate(wanted) for cont in conts]
    later.sort(key=lambda item: order.random())
    for number, cont in later:
        units.add_continuation(number, cont, 2.0)
    assert len(units) == len(wanted) == len(units[:])
    for number, (ids, typed, _) in enumerate(wanted):
        conts = [cont for n, cont in later if n == number]
        unit = units[number]
        assert unit.ids.tolist() == ids.tolist()
        assert (unit.types is None) == (not typed)
        assert unit.types is None or unit.types.tolist() == ids[::-1].tolist()
        assert [cont.tolist() for cont in unit.conts] == [cont.tolist() for cont in conts]
        assert unit.sample == 7 * number
        assert units.weight(number) == 0.5 + 2.0 * len(conts)
        assert units.widths()[number] == len(ids) + sum(map(len, conts[:1]))


# ---------------------------------------------------------------------------- parts


@given(
    groups=st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=14), min_size=1, max_size=3),
    size=st.integers(1, 4),
    starts=st.lists(st.tuples(worlds, st.integers(0, 25), st.randoms()), max_size=5),
    last=worlds,
)
def test_any_history_of_deaths_merges_to_the_same(
    groups: list[list[int]], size: int, starts: list[tuple[int, int, Any]], last: int
) -> None:
    """Each start has its own number of processes, which all die at some moment; then one ends."""
    from penstock.evaluation._parts import PartWriter, read_parts
    from penstock.evaluation._run import _merge, _size_of

    made = []
    for number, widths in enumerate(groups):
        units = Units()
        for index, width in enumerate(widths):
            units.add(np.zeros(width, np.int32), sample=index)
        group = Group(f"t{number}", "classify", units, Slots(len(units)))
        made.append(group.cut(size, None))
    ran: list[tuple[int, int]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        PartWriter(folder / "zz-0.jsonl", "another run").append(0, 0, ["wrong"] * size)
        for start, (world, moment, moments) in enumerate([*starts, (last, None, None)]):
            finished = read_parts(folder, "mine", _size_of(made))
            left = [
                [(g, b) for b in range(len(group.batches)) if (g, b) not in finished]
                for g, group in enumerate(made)
            ]
            assert not {key for keys in left for key in keys} & set(ran)
            shares = [[key for keys in left for key in keys[rank::world]] for rank in range(world)]
            writers = [
                PartWriter(folder / f"{start}-{rank}.jsonl", "mine") for rank in range(world)
            ]
            steps = [rank for rank, share in enumerate(shares) for _ in share]
            if moments is not None:
                moments.shuffle(steps)
                steps = steps[:moment]
            waiting = [iter(share) for share in shares]
            for rank in steps:
                g, b = next(waiting[rank])
                ran.append((g, b))
                writers[rank].append(g, b, [[g, unit] for unit in made[g].batches[b]])
            for rank, writer in enumerate(writers):
                torn = next(waiting[rank], None)
                if moments is not None and torn is not None:
                    line = json.dumps({"g": torn[0], "b": torn[1], "rows": [[9, 9]] * size})
                    os.write(writer._file, line.encode()[: moments.randrange(len(line))])
                writer.close()
        session: Any = SimpleNamespace(folder=SimpleNamespace(parts=folder))
        merged = _merge(session, made, "mine")
    assert merged == [[[g, n] for n in range(len(widths))] for g, widths in enumerate(groups)]
    assert len(ran) == len(set(ran)) == sum(len(group.batches) for group in made)


# ---------------------------------------------------------------------------- metrics

classes = st.integers(1, 4).flatmap(
    lambda count: st.lists(
        st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), min_size=1, max_size=50
    )
)
likely = st.floats(-50, 0)


@given(pairs=classes, positive=st.integers(0, 3))
def test_class_metrics_are_those_of_scikit_learn(
    pairs: list[tuple[int, int]], positive: int
) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    gold, predicted = zip(*pairs, strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that do not occur
        options = {"labels": [positive], "average": None, "zero_division": 0.0}
        wanted = metrics.f1_score(gold, predicted, **options)[0]
        assert _metrics.f1(pairs, positive).value == pytest.approx(wanted, abs=1e-12)
        wanted = metrics.f1_score(gold, predicted, average="macro", zero_division=0.0)
        assert _metrics.f1_macro(pairs).value == pytest.approx(wanted, abs=1e-12)
        wanted = metrics.matthews_corrcoef(gold, predicted)
        assert _metrics.mcc(pairs).value == pytest.approx(wanted, abs=1e-12)
        wanted = metrics.accuracy_score(gold, predicted)
        assert _metrics.mean([float(a == b) for a, b in pairs]).value == pytest.approx(wanted)


@given(pairs=classes)
def test_influences_are_those_of_leaving_each_sample_out(pairs: list[tuple[int, int]]) -> None:
    for metric in (_metrics.f1, _metrics.f1_macro, _metrics.mcc):
        whole = metric(pairs)
        if len(pairs) < 2:
            assert math.isnan(whole.stderr)
            continue
        moved = [
            (len(pairs) - 1) * (whole.value - metric(pairs[:n] + pairs[n + 1 :]).value)
            for n in range(len(pairs))
        ]
        wanted = np.asarray(moved) - np.mean(moved)
        assert whole.influence == pytest.approx(wanted, abs=1e-9)


@given(items=st.lists(st.tuples(likely, st.integers(1, 300)), min_size=1, max_size=40))
def test_perplexities_are_those_of_the_formula(items: list[tuple[float, int]]) -> None:
    total = math.fsum(value for value, _ in items)
    weight = sum(weight for _, weight in items)
    wanted = math.exp(-total / weight)
    assert _metrics.weighted_perplexity(items).value == pytest.approx(wanted, rel=1e-12)
    assert _metrics.bits(items).value == pytest.approx(-total / weight / math.log(2), rel=1e-12)
    alone = [value for value, _ in items]
    wanted = math.exp(-total / len(items))
    assert _metrics.perplexity(alone).value == pytest.approx(wanted, rel=1e-12)


@given(values=st.lists(likely | st.just(-math.inf), min_size=1, max_size=6), data=st.data())
def test_the_choice_is_the_first_of_the_likeliest(values: list[float], data: st.DataObject) -> None:
    assert _metrics.choose(values) == max(range(len(values)), key=lambda n: (values[n], -n))
    lengths = data.draw(st.lists(st.integers(1, 9), min_size=len(values), max_size=len(values)))
    shares = [value / length for value, length in zip(values, lengths, strict=True)]
    assert _metrics.choose(values, lengths) == _metrics.choose(shares)


# ---------------------------------------------------------------------------- shares of samples


@given(samples=st.lists(st.integers(0, 5), max_size=20))
def test_requests_of_a_sample_share_it(samples: list[int]) -> None:
    shares = Origin("t", samples, [0] * len(samples)).shares()
    for sample in set(samples):
        mine = [share for share, other in zip(shares, samples, strict=True) if other == sample]
        assert sum(mine) == pytest.approx(1)
