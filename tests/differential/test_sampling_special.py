"""Guidance, watermarks and processors of single models, against transformers' own, step by step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import penstock.transformers  # noqa: F401
import pytest
import torch
from penstock.transformers import _special
from penstock.transformers._generation import TokenChooser
from transformers import LogitsProcessorList
from transformers.generation import logits_process as stock

from tests.conftest import REQUIRE_PARITY, SEED
from tests.logits import KINDS, logits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Rows for each processor: the issue asks for ten thousand.
CASES = 10_080 if REQUIRE_PARITY else 500
ROWS = 6
VOCABULARIES = (41, 64, 127, 500, 1001)

pytestmark = pytest.mark.usefixtures("one_thread")


@dataclass
class Batch:
    """Rows of logits, a step after the other, and the tokens before the first of them."""

    steps: list[torch.Tensor]
    ids: torch.Tensor
    pick: Callable[[int], int]

    @property
    def vocabulary(self) -> int:
        return self.steps[0].shape[1]

    def halves(self) -> Batch:
        """The same logits for half as many rows of tokens."""
        return Batch(self.steps, self.ids[: len(self.ids) // 2], self.pick)


Made = tuple[list[Any], list[Any], Batch]


def twice(make: Callable[[], Any], batch: Batch) -> Made:
    return [make()], [make()], batch


def from_guide(batch: Batch) -> Made:
    scale = (1.5, 3, 7.25)[batch.pick(3)]
    return twice(lambda: stock.ClassifierFreeGuidanceLogitsProcessor(scale), batch.halves())


def from_row(batch: Batch) -> Made:
    kept = (None, 1, 5, 40)[batch.pick(4)]
    return twice(lambda: stock.DiaClassifierFreeGuidanceLogitsProcessor(2.75, kept), batch.halves())


class Model:
    """Gives prepared logits for each pass."""

    def __init__(self, passes: list[torch.Tensor]) -> None:
        self.passes = iter(passes)
        self.dtype = passes[0].dtype

    def __call__(self, input_ids: torch.Tensor, **options: Any) -> Any:
        step = next(self.passes)
        # As a model gives them: a position for each token, the last one counts.
        out = torch.stack([step * 0.5, step], dim=1)
        return SimpleNamespace(logits=out, get=lambda _name, default: default)


def second_pass(batch: Batch) -> Made:
    scale = (0.0, 0.5, 1, 1.5, 3.0)[batch.pick(5)]
    dtype = torch.bfloat16 if batch.pick(4) == 0 else torch.float32
    passes = [(step.roll(1, 0) * 0.75).to(dtype) for step in batch.steps]
    return twice(
        lambda: stock.UnbatchedClassifierFreeGuidanceLogitsProcessor(
            scale, Model(passes), use_cache=bool(len(passes) % 2)
        ),
        batch,
    )


_TABLES: dict[tuple[Any, ...], stock.WatermarkLogitsProcessor] = {}


def _green(batch: Batch, scheme: str) -> Made:
    width = 1 + batch.pick(3)
    ratio = (0.25, 0.5, 0.9)[batch.pick(3)]
    key = (15485863, 7, 2**40 + 1)[batch.pick(3)]
    options = (batch.vocabulary, "cpu", ratio, 2.5, key, scheme, width)
    # Its table takes ten milliseconds, and no call changes it.
    if options not in _TABLES:
        _TABLES[options] = stock.WatermarkLogitsProcessor(*options)
    return [_TABLES[options]], [_TABLES[options]], batch


def green_list(batch: Batch) -> Made:
    return _green(batch, "lefthash")


def green_list_of_itself(batch: Batch) -> Made:
    return _green(Batch(batch.steps[:1], batch.ids, batch.pick), "selfhash")


def tournament(batch: Batch) -> Made:
    keys = [batch.pick(2**31) for _ in range(1 + batch.pick(12))]
    size = (2**16, 1000, 2**10)[batch.pick(3)]
    skips = bool(batch.pick(2))
    # Two tokens in all, so that contexts are repeated.
    batch.ids = batch.ids % 2
    return twice(
        lambda: stock.SynthIDTextWatermarkLogitsProcessor(
            3, keys, size, 1, 8, torch.device("cpu"), skip_first_ngram_calls=skips
        ),
        batch,
    )


def timestamps(batch: Batch) -> Made:
    none = batch.vocabulary // 2
    config = SimpleNamespace(
        no_timestamps_token_id=none,
        eos_token_id=none - 5,
        bos_token_id=0,
        max_initial_timestamp_index=(None, 1, 7)[batch.pick(3)],
        _detect_timestamp_from_logprob=batch.pick(4) > 0,
    )
    begin = batch.ids.shape[1] - batch.pick(min(5, batch.ids.shape[1]))
    # Text and timestamps in turns; those fall on both sides of each other.
    stamps = none + 1 + batch.ids % max(batch.vocabulary - none - 1, 1)
    batch.ids = torch.where(torch.rand(batch.ids.shape) < 0.5, stamps, batch.ids % none)
    return twice(lambda: stock.WhisperTimeStampLogitsProcessor(config, begin), batch)


def no_speech(batch: Batch) -> Made:
    begin = batch.ids.shape[1] + batch.pick(2)
    token = batch.pick(batch.vocabulary)

    def make() -> Any:
        processor = stock.WhisperNoSpeechDetection(token, begin)
        processor.start_of_trans_offset = 1
        return processor

    return twice(make, batch)


def codebooks(batch: Batch) -> Made:
    sizes = batch.pick(batch.vocabulary), batch.pick(batch.vocabulary)
    start = batch.pick(4)
    return twice(lambda: stock.AlternatingCodebooksLogitsProcessor(start, *sizes), batch)


def likely_end(batch: Batch) -> Made:
    ids = [batch.pick(batch.vocabulary) for _ in range(1 + batch.pick(2))]
    least = (None, 1e-4, 1e-3, 0.01, 0.3)[batch.pick(5)]
    # A row in which it is about as likely as that.
    for step in batch.steps:
        step[0, ids[0]] = step[0].logsumexp(-1) + math.log(least or 1.0)
    return twice(lambda: stock.BarkEosPrioritizerLogitsProcessor(ids, least), batch)


def end_of_channel(batch: Batch) -> Made:
    channels = (1, 2, 3)[batch.pick(3)]
    eos = 1 + batch.pick(batch.vocabulary - 1)
    for step in batch.steps:
        step[:: 1 + batch.pick(3), eos] += 8.0
    return twice(lambda: stock.DiaEOSChannelFilterLogitsProcessor(channels, eos), batch)


def delayed_end(batch: Batch) -> Made:
    pattern = ([0], [0, 1], [0, 2, 1])[batch.pick(3)]
    eos = 1 + batch.pick(batch.vocabulary - 1)
    batch.steps[batch.pick(len(batch.steps))][0, eos] = 100.0
    longest = batch.ids.shape[1] + batch.pick(6) + max(pattern)
    return twice(lambda: stock.DiaEOSDelayPatternLogitsProcessor(pattern, eos, longest), batch)


MAKERS = (
    from_guide,
    from_row,
    second_pass,
    green_list,
    green_list_of_itself,
    tournament,
    timestamps,
    no_speech,
    codebooks,
    likely_end,
    end_of_channel,
    delayed_end,
)
STEPS = 4


def batches(name: str) -> Iterator[tuple[str, Batch]]:
    generator = torch.Generator().manual_seed(SEED + sum(name.encode()))

    def pick(limit: int) -> int:
        return int(torch.randint(limit, (), generator=generator))

    done = 0
    while done < CASES:
        kind = KINDS[pick(len(KINDS))]
        vocabulary = VOCABULARIES[pick(len(VOCABULARIES))]
        steps = [logits(kind, ROWS, vocabulary, generator) for _ in range(STEPS)]
        length = 1 + pick(12)
        ids = torch.randint(vocabulary, (ROWS, length), generator=generator)
        batch = Batch(steps, ids, pick)
        yield kind, batch
        done += len(batch.steps) * len(batch.ids)


def state(processor: Any) -> dict[str, Any]:
    """What a processor keeps from one step to the next."""
    names = ("no_speech_prob", "active_batches", "delay_pattern", "unconditional_context", "state")
    kept = {name: getattr(processor, name) for name in names if hasattr(processor, name)}
    if kept.get("state") is not None:
        kept |= vars(kept.pop("state"))
    if "unconditional_context" in kept:
        kept |= kept.pop("unconditional_context")
    return kept


def same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, torch.Tensor):
        return torch.equal(torch.nan_to_num(ours, 1e30), torch.nan_to_num(theirs, 1e30))
    return bool(ours == theirs)


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_equals_the_processor(maker: Callable[[Batch], Made]) -> None:
    torch.manual_seed(SEED)
    compiled = 0
    for kind, batch in batches(maker.__name__):
        ours, theirs, batch = maker(batch)
        chooser = TokenChooser(LogitsProcessorList(ours), len(batch.ids), do_sample=False)
        compiled += not chooser.python_processors
        ids = batch.ids
        for rows in batch.steps:
            tokens, scores = chooser.choose(ids, rows.clone(), scores=True)
            expected = LogitsProcessorList(theirs)(ids, rows.clone())
            assert same(scores, expected), (kind, batch.vocabulary)
            assert torch.equal(tokens, expected.argmax(-1)), (kind, batch.vocabulary)
            own, stocks = state(ours[0]), state(theirs[0])
            assert own.keys() == stocks.keys()
            assert all(same(own[name], stocks[name]) for name in own)
            ids = torch.cat([ids, ids[:, :1].roll(1, 0)], dim=1)
    assert compiled, "none was compiled"


def test_all_special_processors_are_tried() -> None:
    tried = set()
    for maker in MAKERS:
        _, batch = next(iter(batches(maker.__name__)))
        tried |= {type(processor) for processor in maker(batch)[0]}
    assert tried == set(_special.TRANSLATIONS)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("rows", [1, 3])
def test_watermarks_of_large_vocabularies(rows: int, threads: int) -> None:
    """torch splits the sum of a single long row over threads, and the tournament with it."""
    vocabulary = 40_000
    generator = torch.Generator().manual_seed(SEED)
    scores = logits("mid", rows, vocabulary, generator)
    ids = torch.randint(vocabulary, (rows, 6), generator=generator)

    def chains() -> Iterator[list[Any]]:
        for before in ([], [stock.TopKLogitsWarper(50)]):
            keys = [5, 7, 11, 13]
            size, device = 2**16, torch.device("cpu")
            tournament = stock.SynthIDTextWatermarkLogitsProcessor(3, keys, size, 1, 8, device)
            yield [*before, tournament, stock.LogitNormalization()]
            for scheme in ("lefthash", "selfhash"):
                yield [
                    *before,
                    stock.WatermarkLogitsProcessor(vocabulary, "cpu", 0.25, 2.0, 7, scheme),
                ]

    torch.set_num_threads(threads)
    for ours, theirs in zip(chains(), chains(), strict=True):
        chooser = TokenChooser(LogitsProcessorList(ours), rows, do_sample=False)
        _, own = chooser.choose(ids, scores.clone(), scores=True)
        assert not chooser.python_processors
        assert same(own, LogitsProcessorList(theirs)(ids, scores.clone()))
