"""Each kernel against its transformers processor: equal masked scores, ties included."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import penstock.sampling as ours
import pytest
import torch
from transformers.generation import logits_process as stock

from tests.conftest import REQUIRE_PARITY, SEED
from tests.logits import KINDS, logits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Rows for each kernel: the issue asks for ten thousand.
CASES = 10_200 if REQUIRE_PARITY else 700
ROWS = 16
VOCABULARIES = (7, 33, 64, 127, 500, 1001, 2600)


pytestmark = pytest.mark.usefixtures("one_thread")


@dataclass(frozen=True)
class Call:
    """What both sides are given."""

    rows: torch.Tensor
    ids: torch.Tensor
    encoder_ids: torch.Tensor
    pick: Callable[[int], int]

    @property
    def vocabulary(self) -> int:
        return self.rows.shape[1]

    def some(self, count: int) -> list[int]:
        return [self.pick(self.vocabulary) for _ in range(count)]


Result = tuple[torch.Tensor, torch.Tensor]


def top_k(call: Call) -> Result:
    k, keep = 1 + call.pick(call.vocabulary + 5), 1 + call.pick(3)
    return (
        ours.top_k(call.rows, k, min_tokens_to_keep=keep),
        stock.TopKLogitsWarper(k, min_tokens_to_keep=keep)(None, call.rows),
    )


def _share(call: Call) -> float:
    return (0.05, 0.3, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999)[call.pick(8)]


def top_p(call: Call) -> Result:
    p, keep = (0.0, 1.0, _share(call), _share(call), _share(call))[call.pick(5)], 1 + call.pick(3)
    return (
        ours.top_p(call.rows, p, min_tokens_to_keep=keep),
        stock.TopPLogitsWarper(p, min_tokens_to_keep=keep)(None, call.rows),
    )


def min_p(call: Call) -> Result:
    p = (0.0, 1e-5, 0.01, 0.05, 0.2, 0.9, 1.0)[call.pick(7)]
    return ours.min_p(call.rows, p), stock.MinPLogitsWarper(p)(None, call.rows)


def typical(call: Call) -> Result:
    p, keep = _share(call), 1 + call.pick(2)
    return (
        ours.typical(call.rows, p, min_tokens_to_keep=keep),
        stock.TypicalLogitsWarper(p, min_tokens_to_keep=keep)(None, call.rows),
    )


def top_h(call: Call) -> Result:
    share = (0.01, 0.3, 0.5, 0.9, 1.0)[call.pick(5)]
    return ours.top_h(call.rows, share), stock.TopHLogitsWarper(share)(None, call.rows)


def epsilon(call: Call) -> Result:
    bound, keep = 10.0 ** -(1 + call.pick(6)), 1 + call.pick(3)
    return (
        ours.epsilon(call.rows, bound, min_tokens_to_keep=keep),
        stock.EpsilonLogitsWarper(bound, min_tokens_to_keep=keep)(None, call.rows),
    )


def eta(call: Call) -> Result:
    bound, keep = 10.0 ** -(1 + call.pick(6)), 1 + call.pick(3)
    return (
        ours.eta(call.rows, bound, min_tokens_to_keep=keep),
        stock.EtaLogitsWarper(bound, min_tokens_to_keep=keep)(None, call.rows),
    )


def temperature(call: Call) -> Result:
    value = (0.1, 0.7, 0.8, 1.0, 1.3, 100.0)[call.pick(6)]
    return ours.temperature(call.rows, value), stock.TemperatureLogitsWarper(value)(None, call.rows)


def normalize(call: Call) -> Result:
    return ours.normalize(call.rows), stock.LogitNormalization()(None, call.rows)


def _broken(call: Call) -> torch.Tensor:
    rows = call.rows.clone()
    for row in rows:
        row[call.pick(call.vocabulary)] = (math.nan, math.inf, -math.inf)[call.pick(3)]
    return rows


def remove_invalid(call: Call) -> Result:
    rows = _broken(call)
    return ours.remove_invalid(rows), stock.InfNanRemoveLogitsProcessor()(None, rows)


def repetition_penalty(call: Call) -> Result:
    penalty = (0.5, 1.1, 1.3, 2.0)[call.pick(4)]
    # Ids beyond the vocabulary do not count.
    ids = torch.where(torch.rand(call.ids.shape) < 0.05, call.vocabulary + 3, call.ids)
    padding = torch.tensor([call.pick(ids.shape[1]) for _ in ids])
    return (
        ours.repetition_penalty(call.rows, ids, penalty, padding=padding.tolist()),
        stock.RepetitionPenaltyLogitsProcessor(penalty, padding)(ids, call.rows),
    )


def encoder_repetition_penalty(call: Call) -> Result:
    penalty = (0.5, 1.1, 2.0)[call.pick(3)]
    processor = stock.EncoderRepetitionPenaltyLogitsProcessor(penalty, call.encoder_ids)
    return (
        ours.encoder_repetition_penalty(call.rows, call.encoder_ids, penalty),
        processor(call.ids, call.rows),
    )


def frequency_presence_penalty(call: Call) -> Result:
    """Not one of transformers: counted here token by token."""
    frequency, presence = call.pick(9) / 4 - 1, call.pick(9) / 4 - 1
    prompts = [call.pick(call.ids.shape[1]) for _ in call.ids]
    expected = call.rows.numpy().copy()
    for row, ids, prompt in zip(expected, call.ids.tolist(), prompts, strict=True):
        for token in set(ids[prompt:]):
            count = np.float32(ids[prompt:].count(token))
            penalized = row[token] - np.float32(frequency) * count
            row[token] = penalized - np.float32(presence)
    scores = ours.frequency_presence_penalty(
        call.rows, call.ids, frequency=frequency, presence=presence, prompt_lengths=prompts
    )
    return scores, torch.from_numpy(expected)


def no_repeat_ngram(call: Call) -> Result:
    size = 1 + call.pick(4)
    return (
        ours.no_repeat_ngram(call.rows, call.ids, size),
        stock.NoRepeatNGramLogitsProcessor(size)(call.ids, call.rows),
    )


def encoder_no_repeat_ngram(call: Call) -> Result:
    size = 1 + call.pick(4)
    processor = stock.EncoderNoRepeatNGramLogitsProcessor(size, call.encoder_ids)
    return (
        ours.encoder_no_repeat_ngram(call.rows, call.ids, call.encoder_ids, size),
        processor(call.ids, call.rows),
    )


def _sequences(call: Call) -> list[list[int]]:
    lengths = [1 + call.pick(3) for _ in range(6)]
    words = [call.some(length) for length in lengths]
    # The end of a row, so that prefixes match.
    words += [
        [*call.ids[call.pick(ROWS), -length:].tolist(), call.pick(call.vocabulary)]
        for length in (1, 2)
    ]
    return words


def sequence_bias(call: Call) -> Result:
    bias = {tuple(word): (call.pick(41) - 20) / 4 for word in _sequences(call)}
    return (
        ours.sequence_bias(call.rows, call.ids, bias),
        stock.SequenceBiasLogitsProcessor(bias)(call.ids, call.rows),
    )


def bad_words(call: Call) -> Result:
    words = _sequences(call)
    return (
        ours.bad_words(call.rows, call.ids, words, eos_token_id=[1, 2]),
        stock.NoBadWordsLogitsProcessor(words, [1, 2])(call.ids, call.rows),
    )


def min_length(call: Call) -> Result:
    length, eos = call.pick(60), [*call.some(2), call.vocabulary + 1]
    return (
        ours.min_length(call.rows, call.ids, length, eos),
        stock.MinLengthLogitsProcessor(length, eos)(call.ids, call.rows),
    )


def min_new_tokens(call: Call) -> Result:
    prompt, new, eos = call.pick(40), call.pick(40), call.some(2)
    processor = stock.MinNewTokensLengthLogitsProcessor(prompt, new, eos)
    return (
        ours.min_new_tokens(call.rows, call.ids, prompt, new, eos),
        processor(call.ids, call.rows),
    )


def forced_bos(call: Call) -> Result:
    ids = call.ids[:, : 1 + call.pick(2)]
    bos = call.pick(call.vocabulary)
    return (
        ours.forced_bos(call.rows, ids, bos),
        stock.ForcedBOSTokenLogitsProcessor(bos)(ids, call.rows),
    )


def forced_eos(call: Call) -> Result:
    length, eos = call.ids.shape[1] + call.pick(3), call.some(2)
    return (
        ours.forced_eos(call.rows, call.ids, length, eos),
        stock.ForcedEOSTokenLogitsProcessor(length, eos)(call.ids, call.rows),
    )


def exponential_decay_length_penalty(call: Call) -> Result:
    penalty, eos, prompt = (call.pick(20), 1 + call.pick(10) / 50), call.some(2), call.pick(30)
    processor = stock.ExponentialDecayLengthPenalty(penalty, eos, prompt)
    return (
        ours.exponential_decay_length_penalty(call.rows, call.ids, penalty, eos, prompt),
        processor(call.ids, call.rows),
    )


def suppress_tokens(call: Call) -> Result:
    tokens = [*call.some(4), call.vocabulary + 7]
    return (
        ours.suppress_tokens(call.rows, tokens),
        stock.SuppressTokensLogitsProcessor(tokens)(call.ids, call.rows),
    )


def suppress_tokens_at_begin(call: Call) -> Result:
    tokens, begin = call.some(4), call.ids.shape[1] - call.pick(2)
    return (
        ours.suppress_tokens_at_begin(call.rows, call.ids, tokens, begin),
        stock.SuppressTokensAtBeginLogitsProcessor(tokens, begin)(call.ids, call.rows),
    )


def prefix_constrained(call: Call) -> Result:
    allowed = [call.some(1 + call.pick(5)) for _ in range(ROWS)]

    def function(row: int, _ids: Any) -> list[int]:
        return allowed[row]

    return (
        ours.prefix_constrained(call.rows, call.ids, function),
        stock.PrefixConstrainedLogitsProcessor(function, 1)(call.ids, call.rows),
    )


def allowed_tokens(call: Call) -> Result:
    """xgrammar's and llguidance's layout, by numpy."""
    mask = torch.rand(call.rows.shape) < 0.4
    words = -(-call.vocabulary // 32)
    bits = np.zeros((ROWS, words), dtype=np.uint32)
    for row, token in mask.nonzero().tolist():
        bits[row, token // 32] |= np.uint32(1 << (token % 32))
    given = torch.from_numpy(bits.view(np.int32)) if call.pick(2) else mask
    return ours.allowed_tokens(call.rows, given), call.rows.masked_fill(~mask, -math.inf)


KERNELS = (
    temperature,
    top_k,
    top_p,
    min_p,
    typical,
    top_h,
    epsilon,
    eta,
    normalize,
    remove_invalid,
    repetition_penalty,
    encoder_repetition_penalty,
    frequency_presence_penalty,
    no_repeat_ngram,
    encoder_no_repeat_ngram,
    sequence_bias,
    bad_words,
    min_length,
    min_new_tokens,
    forced_bos,
    forced_eos,
    exponential_decay_length_penalty,
    suppress_tokens,
    suppress_tokens_at_begin,
    prefix_constrained,
    allowed_tokens,
)


def calls(name: str) -> Iterator[tuple[str, Call]]:
    """Batches of all kinds until there are enough rows."""
    generator = torch.Generator().manual_seed(SEED + sum(name.encode()))
    torch.manual_seed(SEED)

    def pick(limit: int) -> int:
        return int(torch.randint(limit, (), generator=generator))

    for batch in range(-(-CASES // ROWS)):
        kind = KINDS[batch % len(KINDS)]
        vocabulary = VOCABULARIES[pick(len(VOCABULARIES))]
        rows = logits(kind, ROWS, vocabulary, generator)
        # Few distinct ids, so that n-grams repeat.
        distinct = min(vocabulary, 12)
        ids = torch.randint(distinct, (ROWS, 2 + pick(40)), generator=generator)
        encoder_ids = torch.randint(distinct, (ROWS, 20), generator=generator)
        yield kind, Call(rows, ids, encoder_ids, pick)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.__name__)
def test_equals_the_processor(kernel: Callable[[Call], Result]) -> None:
    state = torch.get_rng_state()
    for kind, call in calls(kernel.__name__):
        before = call.rows.clone()
        scores, expected = kernel(call)
        same = torch.equal(torch.nan_to_num(scores, nan=1e30), torch.nan_to_num(expected, nan=1e30))
        assert same, (kind, call.vocabulary)
        assert torch.equal(torch.isnan(scores), torch.isnan(expected))
        assert torch.equal(call.rows, before), "the caller's logits are left alone"
    torch.set_rng_state(state)


@pytest.mark.parametrize("vocabulary", [1001, 32000])
@pytest.mark.parametrize("keep", [1, 2, 3, 40, 900])
def test_few_tokens_of_a_wide_row_stay(vocabulary: int, keep: int) -> None:
    generator = torch.Generator().manual_seed(SEED + keep)
    for spread in (0.5, 1.0, 2.0):
        rows = torch.randn(ROWS, vocabulary, generator=generator) * spread
        rows[:, 7] += 3 * spread
        for p in (0.0, 1e-7, 0.003, 0.05, 0.5):
            expected = stock.TopPLogitsWarper(p, min_tokens_to_keep=keep)(None, rows)
            assert torch.equal(ours.top_p(rows, p, min_tokens_to_keep=keep), expected), (spread, p)


@pytest.mark.parametrize("vocabulary", [32000, 151936])
@pytest.mark.parametrize("kind", KINDS)
def test_large_vocabularies(kind: str, vocabulary: int) -> None:
    """Rows that are too long to be sorted where that is not needed."""
    generator = torch.Generator().manual_seed(SEED)
    for _ in range(3 if REQUIRE_PARITY else 1):
        rows = logits(kind, 1, vocabulary, generator)
        pairs = [
            (ours.top_k(rows, 50), stock.TopKLogitsWarper(50)(None, rows)),
            (ours.top_k(rows, 9000), stock.TopKLogitsWarper(9000)(None, rows)),
            (ours.top_p(rows, 0.95), stock.TopPLogitsWarper(0.95)(None, rows)),
            (ours.min_p(rows, 0.05), stock.MinPLogitsWarper(0.05)(None, rows)),
            (ours.typical(rows, 0.9), stock.TypicalLogitsWarper(0.9)(None, rows)),
            (ours.epsilon(rows, 3e-4), stock.EpsilonLogitsWarper(3e-4)(None, rows)),
            (ours.eta(rows, 3e-4), stock.EtaLogitsWarper(3e-4)(None, rows)),
            (ours.top_h(rows, 0.5), stock.TopHLogitsWarper(0.5)(None, rows)),
        ]
        for index, (scores, expected) in enumerate(pairs):
            assert torch.equal(scores, expected), index
