"""Tokens and generator states against transformers' processors and `torch.multinomial`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from penstock.errors import LogitsError, SamplingError, TokenRangeError
from penstock.sampling import Sampler, SamplingParams, multinomial, speculative_sampling, top_k
from penstock.sampling import _torch as sampling_torch
from transformers.generation import logits_process as stock
from transformers.generation.utils import _speculative_sampling

from tests.conftest import REQUIRE_PARITY, SEED
from tests.logits import KINDS, logits

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIGURATIONS: list[dict[str, Any]] = [
    {},
    {"temperature": 0.7},
    {"top_k": 50},
    {"temperature": 0.8, "top_k": 50, "top_p": 0.95},
    {"temperature": 0.8, "top_p": 0.95},
    {"temperature": 1.3, "top_p": 0.9, "min_p": 0.05},
    {"min_p": 0.05},
    {"typical_p": 0.9},
    {"epsilon_cutoff": 1e-3},
    {"eta_cutoff": 1e-3},
    {"top_h": 0.5},
    {"temperature": 0.8, "top_h": 0.9, "typical_p": 0.5},
    {"top_p": 0.3, "typical_p": 0.5, "renormalize_logits": True},
    {"top_p": 0.99, "min_p": 1e-4, "epsilon_cutoff": 1e-5, "eta_cutoff": 1e-5},
]

# Vocabulary, batch, and batches for each kind of logits and configuration: by default, and in full,
# where they add up to more than 100,000 tokens.
SHAPES = [
    (7, 64, 1, 8),
    (17, 33, 1, 8),
    (1000, 8, 1, 36),
    (32000, 1, 1, 8),
    (50257, 3, 0, 2),
    (151936, 1, 0, 2),
    (262144, 2, 0, 1),
]


pytestmark = pytest.mark.usefixtures("one_thread")


def processors(params: dict[str, Any]) -> stock.LogitsProcessorList:
    """The processors of `generate`, in its order."""
    classes = {
        "temperature": stock.TemperatureLogitsWarper,
        "top_h": stock.TopHLogitsWarper,
        "top_k": stock.TopKLogitsWarper,
        "top_p": stock.TopPLogitsWarper,
        "min_p": stock.MinPLogitsWarper,
        "typical_p": stock.TypicalLogitsWarper,
        "epsilon_cutoff": stock.EpsilonLogitsWarper,
        "eta_cutoff": stock.EtaLogitsWarper,
    }
    chain = [make(params[name]) for name, make in classes.items() if name in params]
    if params.get("renormalize_logits"):
        chain.append(stock.LogitNormalization())
    return stock.LogitsProcessorList(chain)


def test_in_full_the_tokens_are_a_hundred_thousand() -> None:
    each = sum(batch * many for _, batch, _, many in SHAPES)
    assert len(CONFIGURATIONS) * len(KINDS) * each >= 100_000


def test_the_stream_is_proven() -> None:
    """Everything below would pass by torch's own draw too; this says that ours is in use."""
    assert sampling_torch.proof() in (8, 16)


@pytest.mark.parametrize(("vocabulary", "batch", "few", "many"), SHAPES)
@pytest.mark.parametrize("params", CONFIGURATIONS, ids=str)
def test_tokens_and_state(
    params: dict[str, Any], vocabulary: int, batch: int, few: int, many: int
) -> None:
    sampler = Sampler(SamplingParams(**params))
    chain = processors(params)
    generator = torch.Generator().manual_seed(SEED + vocabulary)
    for kind in KINDS:
        for trial in range(many if REQUIRE_PARITY else few):
            rows = logits(kind, batch, vocabulary, generator)
            torch.manual_seed(SEED + trial)
            torch.rand(trial % 5)
            torch.randn(trial % 3)
            start = torch.get_rng_state()
            expected = torch.multinomial(torch.softmax(chain(None, rows), -1), 1)[:, 0]
            end = torch.get_rng_state()
            torch.set_rng_state(start)
            tokens = sampler(rows).tokens
            assert torch.equal(tokens, expected), (kind, trial)
            assert torch.equal(torch.get_rng_state(), end)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types(dtype: torch.dtype) -> None:
    """Half precision is widened as `generate` widens it."""
    generator = torch.Generator().manual_seed(SEED)
    params = {"temperature": 0.9, "top_p": 0.9}
    for trial in range(40):
        rows = logits("peaked", 4, 3001, generator).to(dtype)
        torch.manual_seed(trial)
        scores = processors(params)(None, rows.float())
        expected = torch.multinomial(torch.softmax(scores, -1), 1)[:, 0]
        torch.manual_seed(trial)
        assert torch.equal(Sampler(SamplingParams(**params))(rows).tokens, expected)


def _layouts(generator: torch.Generator) -> Iterator[tuple[str, torch.Tensor]]:
    """Rows with thousands in the nucleus, in orders that mislead who looks at a part of them."""
    vocabulary = 17003
    for kind in ("mid", "flat", "tied", "bf16-mid"):
        rows = logits(kind, 2, vocabulary, generator)
        yield kind, rows
        yield f"{kind}, ascending", rows.sort(-1).values
        yield f"{kind}, descending", rows.sort(-1, descending=True).values
        # One chunk in sixteen is much larger, or smaller, than the rest.
        chunks = (torch.arange(vocabulary) // 64) % 16 == 0
        yield f"{kind}, raised", rows + 3.0 * chunks
        yield f"{kind}, lowered", rows - 3.0 * chunks
        yield f"{kind}, half masked", rows.masked_fill(torch.rand(rows.shape) < 0.5, -float("inf"))


WIDE: list[dict[str, Any]] = [
    *({"temperature": 0.8, "top_p": p} for p in (0.3, 0.9, 0.99, 0.9999, 1 - 1e-6)),
    {"top_p": 0.97, "min_p": 1e-4},
    {"top_p": 0.97, "epsilon_cutoff": 1e-5, "renormalize_logits": True},
    *({"temperature": 0.9, "typical_p": p} for p in (0.2, 0.5, 0.9, 0.99)),
    {"top_p": 0.97, "typical_p": 0.8},
    {"typical_p": 0.95, "epsilon_cutoff": 3e-5},
    {"eta_cutoff": 4e-5},
    {"temperature": 1.1, "epsilon_cutoff": 2e-5, "eta_cutoff": 5e-5},
]


@pytest.mark.parametrize("params", WIDE, ids=str)
def test_wide_nuclei(params: dict[str, Any]) -> None:
    """Tokens, scores and log-probabilities where the border runs through thousands of tokens."""
    sampler, chain = Sampler(SamplingParams(**params)), processors(params)
    torch.manual_seed(SEED)
    for name, rows in _layouts(torch.Generator().manual_seed(SEED)):
        start = torch.get_rng_state()
        scores = chain(None, rows)
        probs = torch.softmax(scores, -1)
        expected = torch.multinomial(probs, 1)[:, 0]
        torch.set_rng_state(start)
        out = sampler(rows, return_scores=True, logprobs=4)
        assert torch.equal(out.tokens, expected), name
        assert torch.equal(out.scores, scores), name
        ours = torch.log_softmax(scores, -1).gather(-1, expected[:, None])[:, 0]
        # Of tied tokens at the border torch may keep others, as many.
        assert torch.allclose(out.logprobs, ours, atol=1e-4), name


PENALIZED: list[dict[str, Any]] = [
    {"do_sample": False},
    {},
    {"temperature": 0.8, "top_k": 50, "top_p": 0.95},
    {"temperature": 0.8, "top_p": 0.95},
    {"top_p": 0.9, "min_p": 1e-4},
    {"min_p": 0.05},
    {"temperature": 0.9, "typical_p": 0.9},
    {"eta_cutoff": 4e-5},
    {"top_h": 0.5},
]


def _contexts(vocabulary: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Ids at random, ids as words come, and few ids."""
    yield torch.randint(vocabulary, (2, 4096), generator=generator)
    ranks = torch.exp(torch.rand(2, 4096, generator=generator) * float(np.log(vocabulary)))
    yield (ranks.long() * 7919) % vocabulary
    yield torch.randint(vocabulary, (2, 3), generator=generator)


@pytest.mark.parametrize("params", PENALIZED, ids=str)
@pytest.mark.parametrize("vocabulary", [130, 17003])
def test_penalties_over_a_long_context(params: dict[str, Any], vocabulary: int) -> None:
    """Values that change one by one, under filters that read the rest where it is."""
    generator = torch.Generator().manual_seed(SEED)
    chain, sampled = processors(params), params.get("do_sample", True)
    for kind in ("peaked", "mid", "bf16-mid"):
        rows = logits(kind, 2, vocabulary, generator)
        rows[1, ::5] = -float("inf")
        for ids in _contexts(vocabulary, generator):
            counts = torch.zeros(2, vocabulary).scatter_add_(1, ids, torch.ones(ids.shape))
            seen = rows.gather(1, ids)
            lowered = rows - np.float32(0.3) * counts - np.float32(0.2)
            cases: list[tuple[dict[str, Any], torch.Tensor]] = [
                (
                    {"frequency_penalty": 0.3, "presence_penalty": 0.2},
                    torch.where(counts > 0, lowered, rows),
                )
            ]
            for penalty in (1.3, 0.8):
                changed = torch.where(seen < 0, seen * penalty, seen / penalty)
                cases.append(({"repetition_penalty": penalty}, rows.scatter(1, ids, changed)))
            banned = cases[1][1].clone()
            banned[:, [3, 40, 99]] = -float("inf")
            cases.append(({"repetition_penalty": 1.3, "suppress_tokens": [3, 40, 99]}, banned))
            for options, penalized in cases:
                torch.manual_seed(SEED)
                scores = chain(None, penalized)
                expected = scores.argmax(-1)
                if sampled:
                    expected = torch.multinomial(torch.softmax(scores, -1), 1)[:, 0]
                end = torch.get_rng_state()
                torch.manual_seed(SEED)
                sampler = Sampler(SamplingParams(**params, **options))
                assert torch.equal(sampler(rows, ids).tokens, expected), (kind, options)
                assert torch.equal(torch.get_rng_state(), end)
                out = sampler(rows, ids, return_scores=True, logprobs=2)
                assert torch.equal(out.scores, scores), (kind, options)


def _penalize(
    rows: torch.Tensor, ids: torch.Tensor, params: SamplingParams, padding: list[int], new: int
) -> torch.Tensor:
    """Row by row: the bias, transformers' repetition penalty, then counts behind the prompt."""
    out = []
    for row, tokens, pad in zip(rows, ids, padding, strict=True):
        scores, tokens_of_row = row[None], tokens[None, pad:]
        if params.sequence_bias is not None:
            processor = stock.SequenceBiasLogitsProcessor(params.sequence_bias)
            scores = processor(tokens[None], scores)
        if params.repetition_penalty is not None:
            processor = stock.RepetitionPenaltyLogitsProcessor(params.repetition_penalty)
            scores = processor(tokens_of_row, scores)
        scores = scores[0].clone()
        for token, count in zip(*tokens[new:].unique(return_counts=True), strict=True):
            each = np.float32(params.frequency_penalty or 0.0) * np.float32(count)
            scores[token] = scores[token] - each - np.float32(params.presence_penalty or 0.0)
        out.append(scores)
    return torch.stack(out)


LOOPS: list[dict[str, Any]] = [
    {"repetition_penalty": 1.2},
    {"frequency_penalty": 0.2, "presence_penalty": -0.1},
    {"repetition_penalty": 1.2, "frequency_penalty": 0.2, "presence_penalty": 0.3},
    {
        "repetition_penalty": 0.9,
        "presence_penalty": 0.3,
        "sequence_bias": {(3,): 2.0, (5, 7): -1.0},
    },
]


@pytest.mark.parametrize("penalties", LOOPS, ids=str)
@pytest.mark.parametrize("params", [{"top_k": 9}, {"temperature": 0.7, "top_p": 0.9}], ids=str)
def test_penalties_in_a_loop(params: dict[str, Any], penalties: dict[str, Any]) -> None:
    """One sampler over contexts that grow, change places, or are cut: it counts on, or anew."""
    options = SamplingParams(**params, **penalties)
    sampler, chain = Sampler(options), processors(params)
    generator = torch.Generator().manual_seed(SEED)
    for vocabulary, prompt in ((90, 12), (17003, 700), (90, 12)):
        ids = torch.randint(vocabulary, (3, prompt), generator=generator)
        padding, prompts, start = [0, 4, 0], [prompt] * 3, prompt
        for step in range(40):
            if step % 10 == 9:
                ids = ids[torch.tensor([2, 0, 1])]
            if step == 25:
                ids = ids[:, :-6]
            if step == 30:
                # Everything counts, for both kinds of penalties.
                padding, prompts, start = [0] * 3, [0] * 3, 0
            rows = logits("mid", 3, vocabulary, generator)
            scores = chain(None, _penalize(rows, ids, options, padding, start))
            torch.manual_seed(step)
            expected = torch.multinomial(torch.softmax(scores, -1), 1)
            torch.manual_seed(step)
            out = sampler(rows, ids, padding=padding, prompt_lengths=prompts, return_scores=True)
            assert torch.equal(out.scores, scores), step
            assert torch.equal(out.tokens, expected[:, 0]), step
            ids = torch.cat([ids, expected], 1)


@pytest.mark.parametrize("params", CONFIGURATIONS[:6], ids=str)
def test_batches_over_threads(params: dict[str, Any]) -> None:
    """Rows are filtered on several threads, and drawn in their order."""
    generator = torch.Generator().manual_seed(SEED)
    sampler, chain = Sampler(SamplingParams(**params)), processors(params)
    for kind in ("peaked", "mid", "tied"):
        rows = logits(kind, 24, 4001, generator)
        torch.manual_seed(SEED)
        expected = torch.multinomial(torch.softmax(chain(None, rows), -1), 1)[:, 0]
        end = torch.get_rng_state()
        torch.manual_seed(SEED)
        assert torch.equal(sampler(rows).tokens, expected), kind
        assert torch.equal(torch.get_rng_state(), end)


def test_the_first_bad_row_of_a_batch_is_named() -> None:
    """Whichever thread meets another one first; nothing is drawn."""
    rows = logits("mid", 24, 4001, torch.Generator().manual_seed(SEED))
    rows[5, 3] = rows[6, 1] = rows[23, 0] = float("nan")
    before = torch.get_rng_state()
    for options in ({}, {"do_sample": False}, {"top_p": 0.9}):
        for _ in range(5):
            with pytest.raises(LogitsError, match="row 5"):
                Sampler(SamplingParams(**options))(rows)
    with pytest.raises(LogitsError, match="row 5"):
        Sampler(SamplingParams(), rng="row-seeds")(rows)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_given_generator_and_a_seed() -> None:
    rows = logits("mid", 5, 4000, torch.Generator().manual_seed(SEED))
    params = SamplingParams(top_k=40)
    scores = stock.TopKLogitsWarper(40)(None, rows)
    ours, theirs = torch.Generator().manual_seed(5), torch.Generator().manual_seed(5)
    seeded = Sampler(params, seed=5)
    seeded_numpy = Sampler(params, seed=5)
    before = torch.get_rng_state()
    for _ in range(7):
        expected = torch.multinomial(torch.softmax(scores, -1), 1, generator=theirs)[:, 0]
        assert torch.equal(Sampler(params)(rows, generator=ours).tokens, expected)
        assert torch.equal(ours.get_state(), theirs.get_state())
        assert torch.equal(seeded(rows).tokens, expected)
        assert np.array_equal(seeded_numpy(rows.numpy()).tokens, expected.numpy())
    assert torch.equal(torch.get_rng_state(), before)


def test_rows_with_a_stride_and_one_dimension() -> None:
    """`outputs.logits[:, -1]` is read where it lies."""
    model_output = logits("mid", 12, 3000, torch.Generator().manual_seed(1)).view(4, 3, 3000)
    rows = model_output[:, -1]
    sampler = Sampler(SamplingParams(top_p=0.8), seed=3)
    whole = sampler(rows).tokens
    sampler = Sampler(SamplingParams(top_p=0.8), seed=3)
    assert torch.equal(whole, sampler(rows.contiguous()).tokens)
    sampler = Sampler(SamplingParams(top_p=0.8), seed=3)
    assert sampler(rows[0]).tokens.tolist() == whole[:1].tolist()


def test_logits_on_a_device() -> None:
    """`Sampler` reads the memory of the CPU; `generate` has a path of its own for accelerators."""
    with pytest.raises(SamplingError, match="on meta"):
        Sampler(SamplingParams(top_k=3))(torch.empty(2, 10, device="meta"))


def test_greedy_takes_no_random_number() -> None:
    rows = logits("tied", 50, 1000, torch.Generator().manual_seed(2))
    before = torch.get_rng_state()
    tokens = Sampler(SamplingParams(do_sample=False))(rows).tokens
    assert torch.equal(tokens, rows.argmax(-1))
    assert torch.equal(torch.get_rng_state(), before)


def test_rows_may_differ_in_their_options() -> None:
    """A batch of different options draws what torch draws from the rows' scores."""
    rows = logits("mid", 3, 2000, torch.Generator().manual_seed(3))
    options = [{"top_k": 5}, {"temperature": 0.5, "top_p": 0.7}, {"min_p": 0.2}]
    parts = [processors(params)(None, rows[i : i + 1]) for i, params in enumerate(options)]
    scores = torch.cat(parts)
    for seed in range(20):
        torch.manual_seed(seed)
        expected = torch.multinomial(torch.softmax(scores, -1), 1)[:, 0]
        torch.manual_seed(seed)
        sampler = Sampler([SamplingParams(**params) for params in options])
        assert torch.equal(sampler(rows).tokens, expected)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -float("inf")], ids=["nan", "inf", "all -inf"]
)
@pytest.mark.parametrize("params", [{}, {"top_k": 3}, {"top_p": 0.5}, {"min_p": 0.1}], ids=str)
def test_a_row_without_a_distribution(value: float, params: dict[str, Any]) -> None:
    """The exception is torch's RuntimeError, and no random number is used up."""
    rows = torch.zeros(3, 100)
    if value == -float("inf"):
        rows[1] = value
    else:
        rows[1, 5] = value
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError):
        torch.multinomial(torch.softmax(processors(params)(None, rows), -1), 1)
    with pytest.raises(LogitsError, match="row 1") as caught:
        Sampler(SamplingParams(**params))(rows)
    assert isinstance(caught.value, RuntimeError)
    assert caught.value.row == 1
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("count", [1, 2, 8, 31])
def test_multinomial_without_replacement(count: int) -> None:
    """The draw of beam sampling."""
    generator = torch.Generator().manual_seed(SEED)
    for trial in range(300 if REQUIRE_PARITY else 40):
        probs = torch.softmax(logits(KINDS[trial % len(KINDS)], 3, 500 + trial, generator), -1)
        ours, theirs = torch.Generator().manual_seed(trial), torch.Generator().manual_seed(trial)
        expected = torch.multinomial(probs, count, generator=theirs)
        if bool((probs > 0).sum(-1).min() < count):
            continue
        assert torch.equal(multinomial(probs, count, generator=ours), expected)
        assert torch.equal(ours.get_state(), theirs.get_state())


@pytest.mark.parametrize("weight", [None, 0.7])
def test_speculative_sampling(weight: float | None) -> None:
    generator = torch.Generator().manual_seed(SEED)
    accepted = set()
    for trial in range(1000 if REQUIRE_PARITY else 150):
        count = 1 + trial % 5
        model = logits("peaked", count + 1, 200, generator) / 4
        draft = model[:count] + torch.randn(count, 200, generator=generator)
        ids = draft.argmax(-1)
        torch.manual_seed(trial)
        tokens, matches = _speculative_sampling(ids[None], draft[None], count, model[None], weight)
        end = torch.get_rng_state()
        torch.manual_seed(trial)
        ours, our_matches = speculative_sampling(
            ids, draft, model, assistant_ensemble_weight=weight
        )
        assert our_matches == int(matches)
        assert torch.equal(ours, tokens[0])
        assert torch.equal(torch.get_rng_state(), end)
        accepted.add(our_matches)
    assert len(accepted) > 3


def test_another_torch_draws_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a proof the filters are ours and the draw is torch's, with a warning."""
    sampling_torch.proof.cache_clear()
    sampling_torch._ready.clear()
    monkeypatch.setattr(sampling_torch, "_lanes", lambda _torch: None)
    rows = logits("mid", 4, 900, torch.Generator().manual_seed(4))
    params = {"temperature": 0.7, "top_p": 0.9}
    try:
        torch.manual_seed(1)
        expected = torch.multinomial(torch.softmax(processors(params)(None, rows), -1), 1)[:, 0]
        torch.manual_seed(1)
        with pytest.warns(RuntimeWarning, match="torch.multinomial"):
            tokens = Sampler(SamplingParams(**params))(rows).tokens
        assert torch.equal(tokens, expected)
        Sampler(SamplingParams(**params))(rows)
    finally:
        sampling_torch.proof.cache_clear()


def test_draws_of_other_types_are_refused() -> None:
    """torch draws `float64` in `float64`: the single numbers are others."""
    for probs in (torch.rand(2, 9, dtype=torch.float64), torch.rand(2, 9).numpy().astype(float)):
        with pytest.raises(SamplingError, match="float32"):
            multinomial(probs)
    draft, model = torch.randn(2, 9), torch.randn(3, 9)
    with pytest.raises(SamplingError, match="float32"):
        speculative_sampling([1, 2], draft.double(), model)
    for beyond in ([1, 9], [-1, 2]):
        with pytest.raises(TokenRangeError, match="vocabulary of 9"):
            speculative_sampling(beyond, draft, model)


def test_tensors_of_all_kinds() -> None:
    values = torch.randn(2, 40)
    sampler = Sampler(SamplingParams(do_sample=False))
    expected = torch.argmax(values, -1)
    kinds = (
        values.double(), torch._neg_view(-values), torch.nn.Parameter(values),
        values.t().clone().t(),
        values[:, None].expand(2, 3, 40)[:, 1],
    )  # fmt: skip
    for kind in kinds:
        assert torch.equal(sampler(kind).tokens, expected)
    for kind in (values.to_sparse(), values.to(torch.float8_e4m3fn), values.to("meta")):
        with pytest.raises(SamplingError):
            sampler(kind)
    assert torch.equal(
        top_k(torch.tensor([[1.0, float("nan"), 3.0, 2.0]]), 2).isneginf(),
        torch.tensor([[True, False, False, True]]),
    )
