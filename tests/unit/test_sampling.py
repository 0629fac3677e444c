"""The sampler's options, its own stream, and that instruction sets agree."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import penstock.sampling as sampling
import pytest
from penstock.errors import LogitsError, SamplingError, TokenRangeError
from penstock.sampling import Sampler, SamplingParams

RNG = np.random.default_rng(20)


def rows(count: int, vocabulary: int, scale: float = 1.0) -> np.ndarray:
    return (RNG.normal(size=(count, vocabulary)) * scale).astype(np.float32)


# What each instruction set has to give: draws, scores and log-probabilities of many shapes.
ISA_PROGRAM = """
import hashlib
import numpy as np
from penstock.sampling import Sampler, SamplingParams

digest = hashlib.sha256()
rng = np.random.default_rng(1)
ids = rng.integers(0, 300, size=(3, 90))
for vocabulary in (7, 63, 64, 65, 130, 1000, 4097, 40000):
    for scale in (0.1, 1.5, 6.0):
        logits = (rng.normal(size=(3, vocabulary)) * scale).astype(np.float32)
        logits[:, ::7] = np.round(logits[:, ::7])
        logits[0, vocabulary // 2 :] = -np.inf
        for params in (
            SamplingParams(do_sample=False),
            SamplingParams(temperature=0.7),
            SamplingParams(temperature=0.8, top_k=50, top_p=0.95),
            SamplingParams(temperature=0.8, top_p=0.9, min_p=0.01),
            SamplingParams(typical_p=0.8),
            SamplingParams(eta_cutoff=1e-3, epsilon_cutoff=1e-4, renormalize_logits=True),
            SamplingParams(top_h=0.5),
            SamplingParams(temperature=0.9, typical_p=0.5, repetition_penalty=1.2),
            SamplingParams(top_k=40, frequency_penalty=0.3, presence_penalty=0.1),
            SamplingParams(top_p=0.9, repetition_penalty=0.8, bad_words_ids=[[3], [5, 6]]),
        ):
            for rng_name in ("torch", "row-seeds"):
                sampler = Sampler(params, rng=rng_name, seed=3)
                for _ in range(3):
                    out = sampler(logits, ids % vocabulary, logprobs=3, return_scores=True)
                    digest.update(out.tokens.tobytes() + out.logprobs.tobytes())
                    digest.update(out.top_logprobs[0].tobytes() + out.scores.tobytes())
print(digest.hexdigest())
"""


def test_instruction_sets_agree() -> None:
    """PENSTOCK_ISA picks one; what the machine lacks falls back to what it has."""
    digests = {}
    for isa in ("scalar", "avx2", "avx512", "best"):
        result = subprocess.run(
            [sys.executable, "-c", ISA_PROGRAM],
            env={**os.environ, "PENSTOCK_ISA": isa},
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
        digests[isa] = result.stdout.strip()
    assert len(set(digests.values())) == 1, digests


def test_torch_is_not_loaded() -> None:
    code = (
        "import sys, numpy as np\n"
        "from penstock.sampling import Sampler, SamplingParams\n"
        "Sampler(SamplingParams(top_p=0.9), seed=1)(np.zeros((2, 50), np.float32), logprobs=2)\n"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert result.stdout.strip() == "[]"


def test_row_seeds_value_stability() -> None:
    """The stream is part of the interface: these draws never change."""
    logits = np.linspace(0, 3, 50, dtype=np.float32)[None].repeat(4, 0)
    sampler = Sampler(SamplingParams(), rng="row-seeds", seed=42)
    drawn = [sampler(logits).tokens.tolist() for _ in range(4)]
    assert drawn == [[30, 21, 49, 45], [44, 28, 33, 47], [28, 45, 43, 41], [44, 48, 25, 31]]


def test_row_seeds_do_not_depend_on_the_batch() -> None:
    logits = rows(64, 3000, 2.0)
    seeds = list(range(1000, 1064))
    for params in (SamplingParams(), SamplingParams(top_p=0.9), SamplingParams(top_k=30)):
        whole = Sampler(params, rng="row-seeds")(logits, seeds=seeds, step=5).tokens
        for row in (0, 7, 63):
            alone = Sampler(params, rng="row-seeds")(logits[row], seeds=[seeds[row]], step=5)
            assert alone.tokens[0] == whole[row]
        backwards = Sampler(params, rng="row-seeds")(logits[::-1], seeds=seeds[::-1], step=5)
        assert backwards.tokens[::-1].tolist() == whole.tolist()


@pytest.mark.parametrize(
    "params",
    [SamplingParams(), SamplingParams(top_k=20), SamplingParams(temperature=0.7, top_p=0.9)],
    ids=["all", "top-k", "top-p"],
)
@pytest.mark.parametrize("vary", ["seed", "step"])
def test_row_seeds_chi_square(params: SamplingParams, vary: str) -> None:
    """Draws follow the distribution, over seeds and over steps."""
    vocabulary, draws = 60, 40_000
    logits = rows(1, vocabulary)
    sampler = Sampler(params, rng="row-seeds")
    scores = sampler(logits, return_scores=True).scores[0].astype(np.float64)
    probs = np.exp(scores - scores.max())
    probs /= probs.sum()
    batch = logits.repeat(1000, 0)
    counts = np.zeros(vocabulary)
    for first in range(0, draws, 1000):
        if vary == "seed":
            tokens = sampler(batch, seeds=range(first, first + 1000), step=0).tokens
        else:
            tokens = np.concatenate(
                [
                    sampler(logits, seeds=[9], step=step).tokens
                    for step in range(first, first + 1000)
                ]
            )
        counts += np.bincount(tokens, minlength=vocabulary)
    kept = probs > 0
    assert counts[~kept].sum() == 0
    expected = probs[kept] * draws
    statistic = ((counts[kept] - expected) ** 2 / expected).sum()
    freedom = kept.sum() - 1
    # Five standard deviations of the statistic.
    assert statistic < freedom + 5 * np.sqrt(2 * freedom)


def test_logprobs() -> None:
    logits = rows(3, 500, 2.0)
    params = SamplingParams(temperature=0.5, top_k=10)
    out = Sampler(params, seed=1)(logits, logprobs=20, return_scores=True)
    scores = out.scores.astype(np.float64)
    expected = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    ids, values = out.top_logprobs
    for row, token in enumerate(out.tokens):
        assert out.logprobs[row] == pytest.approx(expected[row, token], abs=1e-5)
        order = np.argsort(-expected[row], kind="stable")[:10]
        assert ids[row, :10].tolist() == order.tolist()
        assert ids[row, 10:].tolist() == [-1] * 10
        assert values[row, :10] == pytest.approx(expected[row, order], abs=1e-5)
    raw = Sampler(params, seed=1)(logits, logprobs=2, logprobs_mode="raw")
    wide = logits.astype(np.float64)
    expected = wide - np.log(np.exp(wide).sum(1, keepdims=True))
    assert raw.logprobs == pytest.approx(expected[range(3), raw.tokens], abs=1e-5)
    assert raw.top_logprobs[0].tolist() == np.argsort(-wide, kind="stable")[:, :2].tolist()


def test_a_mask_is_never_left() -> None:
    logits = rows(8, 1000, 3.0)
    allowed = RNG.random((8, 1000)) < 0.02
    allowed[:, 5] = True
    for params in (
        SamplingParams(),
        SamplingParams(top_p=0.5),
        SamplingParams(do_sample=False),
        SamplingParams(typical_p=0.3, min_p=0.1, repetition_penalty=0.5),
    ):
        sampler = Sampler(params, rng="row-seeds")
        for _ in range(50):
            ids = RNG.integers(0, 1000, (8, 20))
            tokens = sampler(logits, ids, allowed_mask=allowed).tokens
            assert allowed[range(8), tokens].all()
    with pytest.raises(LogitsError, match="masked out"):
        Sampler(SamplingParams(), seed=0)(logits, allowed_mask=np.zeros((8, 1000), np.bool_))


def test_penalties_count_behind_the_prompt() -> None:
    logits = np.zeros((1, 10), np.float32)
    params = SamplingParams(do_sample=False, frequency_penalty=0.5, presence_penalty=0.25)
    out = Sampler(params)(logits, [[1, 2, 2, 3]], prompt_lengths=[1], return_scores=True)
    assert out.scores[0, :5].tolist() == [0.0, 0.0, -1.25, -0.75, 0.0]


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.0},
        {"temperature": -1.0},
        {"temperature": 2},
        {"temperature": float("nan")},
        {"top_k": -1},
        {"top_k": 2.5},
        {"top_p": 0.0},
        {"top_p": 1.5},
        {"top_p": -0.1},
        {"min_p": 2.0},
        {"typical_p": 0.0},
        {"epsilon_cutoff": 1.5},
        {"eta_cutoff": -1.0},
        {"top_h": 0.0},
        {"repetition_penalty": 0.0},
        {"repetition_penalty": 2},
        {"no_repeat_ngram_size": -1},
        {"bad_words_ids": []},
        {"bad_words_ids": [[-1]]},
        {"sequence_bias": {}},
        {"sequence_bias": {(1,): 1}},
        {"frequency_penalty": float("inf")},
        {"min_length": -1, "eos_token_id": 1},
        {"forced_eos_token_id": 1},
    ],
    ids=str,
)
def test_options_out_of_range(options: dict[str, object]) -> None:
    with pytest.raises(SamplingError) as caught:
        SamplingParams(**options)
    assert isinstance(caught.value, ValueError)


def test_temperature_zero_says_what_to_do() -> None:
    with pytest.raises(SamplingError, match="do_sample=False"):
        SamplingParams(temperature=0.0)


def test_arrays_that_do_not_fit() -> None:
    sampler = Sampler(SamplingParams(repetition_penalty=1.1), seed=0)
    logits = rows(2, 40)
    for bad in (logits.astype(np.int64), np.zeros((2, 3, 4), np.float32), np.zeros((2, 0), "f4")):
        with pytest.raises(SamplingError):
            sampler(bad)
    with pytest.raises(SamplingError, match="input_ids"):
        sampler(logits, [[1, 2]])
    with pytest.raises(SamplingError, match="integers"):
        sampler(logits, [[0.5], [1.5]])
    with pytest.raises(SamplingError, match="different lengths"):
        sampler(logits, [[1, 2], [1]])
    with pytest.raises(TokenRangeError):
        sampler(logits, [[-3], [1]])
    with pytest.raises(SamplingError, match="allowed_mask"):
        sampler(logits, [[1], [1]], allowed_mask=np.zeros((2, 1), np.int32))
    with pytest.raises(SamplingError, match="seeds"):
        Sampler(SamplingParams(), rng="row-seeds")(logits, seeds=[1])
    with pytest.raises(SamplingError, match="seeds"):
        Sampler(SamplingParams(), rng="row-seeds")(logits, seeds=[1, 2.5])
    with pytest.raises(SamplingError, match="options"):
        Sampler([SamplingParams()] * 3, seed=0)(logits)
    with pytest.raises(TokenRangeError):
        sampling.sequence_bias(logits, [[1], [1]], {(99,): 1.0})
    with pytest.raises(TokenRangeError):
        sampling.encoder_repetition_penalty(logits, [[41], [1]], 1.2)
    for lengths in ([1], [1, 1, 1], [-1, 0]):
        for name in ("prompt_lengths", "padding"):
            with pytest.raises(SamplingError, match=name):
                sampler(logits, [[1, 2], [3, 4]], **{name: lengths})
        with pytest.raises(SamplingError, match="padding"):
            sampling.repetition_penalty(logits, [[1, 2], [3, 4]], 1.2, padding=lengths)
    for name in ("frequency_penalty", "presence_penalty"):
        with pytest.raises(TokenRangeError, match="40"):
            Sampler(SamplingParams(**{name: 0.1}), seed=0)(logits, [[1], [40]])
    with pytest.raises(SamplingError):
        Sampler(SamplingParams(), rng="dice")  # type: ignore[arg-type]
    with pytest.raises(SamplingError):
        Sampler([])
    for params in ([5], {"top_k": 5}):
        with pytest.raises(SamplingError, match="SamplingParams"):
            Sampler(params)  # type: ignore[arg-type]
    for ragged in ([[1.0, 2.0], [3.0]], np.ma):
        with pytest.raises(SamplingError):
            sampler(ragged, [[1], [1]])


def test_ids_are_integers() -> None:
    """What is cut to an integer, or counts as one, forces and bans tokens that nobody named."""
    for wrong in (1.5, [0.5], "7", b"7", [True], [None], [[3]]):
        for name in ("suppress_tokens", "begin_suppress_tokens", "eos_token_id"):
            with pytest.raises(SamplingError, match="integers"):
                SamplingParams(**{name: wrong})
        with pytest.raises(SamplingError, match="integers"):
            sampling.forced_eos(rows(1, 9), [[1, 2]], 3, wrong)
        with pytest.raises(SamplingError, match="integers"):
            sampling.forced_bos(rows(1, 9), [[1]], wrong)
        with pytest.raises(SamplingError):
            sampling.bad_words(rows(1, 9), [[1]], [[wrong]])
    for wrong in (1.5, True, "7"):
        with pytest.raises(SamplingError, match="positive integers"):
            sampling.sequence_bias(rows(1, 9), [[1]], {(wrong,): 1.0})
    for penalty in ((1, "a"), (float("inf"), 2.0), (1, 2.0, 3.0), 3, {}):
        with pytest.raises(SamplingError, match="a start and a factor"):
            SamplingParams(exponential_decay_length_penalty=penalty, eos_token_id=2)
    right = [np.int64(3), 4]
    for ids in (right, tuple(right), np.array(right), set(right)):
        scores = sampling.suppress_tokens(rows(1, 9), ids)
        assert np.flatnonzero(np.isneginf(scores[0])).tolist() == [3, 4]


def test_rows_without_entropy() -> None:
    for broken in (np.nan, np.inf):
        logits = rows(2, 9)
        logits[1, 4] = broken
        for values in (logits, logits.astype(np.float16)):
            for function in (sampling.eta, sampling.top_h):
                with pytest.raises(LogitsError, match="row 1"):
                    function(values, 0.5)
    with pytest.raises(LogitsError, match="row 0"):
        sampling.top_h(np.full((1, 9), -np.inf, np.float32), 0.5)


def test_fewer_tokens_than_are_to_be_kept() -> None:
    logits = rows(2, 3)
    assert np.array_equal(sampling.min_p(logits, 1.0, min_tokens_to_keep=5), logits)


@pytest.mark.parametrize("rng", ["torch", "row-seeds"])
def test_copies_go_on_alone(rng: Any) -> None:
    params = SamplingParams(top_k=30, min_new_tokens=2, eos_token_id=3)
    sampler = Sampler(params, rng=rng, seed=4)
    logits = rows(3, 50)
    sampler(logits, prompt_lengths=[1, 2, 3])
    copies = [copy.copy(sampler), copy.deepcopy(sampler), pickle.loads(pickle.dumps(sampler))]
    expected = [sampler(logits).tokens.tolist() for _ in range(3)]
    for made in copies:
        assert [made(logits).tokens.tolist() for _ in range(3)] == expected


def test_no_rows() -> None:
    assert Sampler(SamplingParams(), seed=0)(np.zeros((0, 5), np.float32)).tokens.shape == (0,)


def test_the_callers_logits_are_left_alone() -> None:
    logits = rows(2, 300)
    logits.flags.writeable = False
    params = SamplingParams(repetition_penalty=1.5, top_p=0.5, suppress_tokens=[1])
    Sampler(params, seed=0)(logits, [[1, 2], [3, 4]])


def test_calls_that_do_not_fit() -> None:
    logits = rows(2, 20)
    sampler = Sampler(SamplingParams(top_k=3), seed=1)
    for options in ({"logprobs": -1}, {"logprobs": 1, "logprobs_mode": "scores"}, {"generator": 3}):
        with pytest.raises(SamplingError):
            sampler(logits, **options)
    for params in (
        {"repetition_penalty": 1.2},
        {"frequency_penalty": 0.1},
        {"presence_penalty": 0.1},
        {"no_repeat_ngram_size": 2},
    ):
        with pytest.raises(SamplingError, match="input_ids"):
            Sampler(SamplingParams(**params), seed=1)(logits)
        empty = np.empty((2, 0), np.int64)
        assert len(Sampler(SamplingParams(**params), seed=1)(logits, empty).tokens) == 2
    with pytest.raises(SamplingError, match="a start and a factor"):
        SamplingParams(exponential_decay_length_penalty=(1,), eos_token_id=2)
