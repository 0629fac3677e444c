"""The steps in torch's own operations: for accelerators, and for ties that only torch decides.

Each function makes the calls of its transformers processor in the same order, so the scores are the
same bits on the same device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from penstock.errors import SamplingError, TokenRangeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.sampling._params import Step

# What an entropy of top-h looks at.
_TOP_H_TOKENS = 100


@dataclass
class History:
    """What edits know of the rows; tensors `[batch, length]`, or none."""

    input_ids: Any = None
    encoder_ids: Any = None
    allowed: Any = None
    prefix_allowed: Any = None
    padding: list[int] = field(default_factory=list)
    prompt: list[int] = field(default_factory=list)

    @property
    def length(self) -> int:
        """Tokens so far."""
        return 0 if self.input_ids is None else int(self.input_ids.shape[1])


def run(steps: list[Step], scores: torch.Tensor, history: History) -> torch.Tensor:
    """Runs the steps, in order, on `[batch, vocabulary]` of `float32`."""
    for name, *options in steps:
        scores = _STEPS[name](scores, history, *options)
    return scores


def _temperature(scores: torch.Tensor, _history: History, temperature: float) -> torch.Tensor:
    return scores / temperature


def _top_k(scores: torch.Tensor, _history: History, k: int) -> torch.Tensor:
    kth = torch.topk(scores, min(k, scores.shape[-1]))[0][..., -1:]
    return scores.masked_fill(scores < kth, -math.inf)


def _top_p(scores: torch.Tensor, _history: History, options: tuple[float, int]) -> torch.Tensor:
    p, min_keep = options
    values, order = torch.sort(scores, descending=False)
    removed = values.softmax(dim=-1).cumsum(dim=-1) <= 1 - p
    removed[..., -min_keep:] = False
    return scores.masked_fill(removed.scatter(1, order, removed), -math.inf)


def _min_p(scores: torch.Tensor, _history: History, options: tuple[float, int]) -> torch.Tensor:
    share, min_keep = options
    probs = torch.softmax(scores, dim=-1)
    removed = probs < share * probs.amax(dim=-1, keepdim=True)
    likeliest = torch.topk(probs, min(min_keep, probs.shape[-1]), dim=-1).indices
    removed.scatter_(-1, likeliest, False)
    return scores.masked_fill(removed, -math.inf)


def _typical(scores: torch.Tensor, _history: History, options: tuple[float, int]) -> torch.Tensor:
    mass, min_keep = options
    logprobs = torch.nn.functional.log_softmax(scores, dim=-1)
    entropy = -(logprobs * torch.exp(logprobs)).nansum(-1, keepdim=True)
    distances, order = torch.sort(torch.abs(-logprobs - entropy), descending=False)
    cumulative = scores.gather(-1, order).softmax(dim=-1).cumsum(dim=-1)
    last = (cumulative < mass).sum(dim=1).clamp_(max=distances.shape[-1] - 1)
    removed = distances > distances.gather(1, last.view(-1, 1))
    removed[..., :min_keep] = False
    return scores.masked_fill(removed.scatter(1, order, removed), -math.inf)


def _cutoff(scores: torch.Tensor, bound: Any, min_keep: int) -> torch.Tensor:
    removed = scores.softmax(dim=-1) < bound
    kth = torch.topk(scores, min(min_keep, scores.shape[-1]))[0][..., -1:]
    return scores.masked_fill(removed & (scores < kth), -math.inf)


def _epsilon(scores: torch.Tensor, _history: History, options: tuple[float, int]) -> torch.Tensor:
    return _cutoff(scores, *options)


def _eta(scores: torch.Tensor, _history: History, options: tuple[float, int]) -> torch.Tensor:
    epsilon = torch.tensor(options[0], device=scores.device)
    entropy = torch.distributions.Categorical(logits=scores).entropy()  # type: ignore[no-untyped-call]
    bound = torch.min(epsilon, torch.sqrt(epsilon) * torch.exp(-entropy))[..., None]
    return _cutoff(scores, bound, options[1])


def _top_h(scores: torch.Tensor, _history: History, share: float) -> torch.Tensor:
    count = min(_TOP_H_TOKENS, scores.shape[-1])
    values, order = torch.topk(scores, count, dim=-1, largest=True, sorted=True)
    distribution = torch.distributions.Categorical(logits=values)
    terms = -distribution.probs * torch.log(distribution.probs)
    entropy = distribution.entropy()  # type: ignore[no-untyped-call]
    kept = torch.cumsum(terms, dim=-1) <= (entropy * share).unsqueeze(-1)
    kept[:, 0] = True
    mask = torch.zeros_like(scores, dtype=torch.bool).scatter_(1, order, kept)
    return scores.masked_fill(~mask, -math.inf)


def _normalize(scores: torch.Tensor, _history: History) -> torch.Tensor:
    return scores.log_softmax(dim=-1)


def _penalize(scores: torch.Tensor, ids: torch.Tensor, penalty: float) -> torch.Tensor:
    """Ids at or beyond the vocabulary meet a spare column."""
    vocabulary = scores.shape[-1]
    padded = torch.nn.functional.pad(scores, (0, 1))
    ids = ids.clamp(max=vocabulary)
    score = torch.gather(padded, 1, ids)
    score = torch.where(score < 0, score * penalty, score / penalty)
    return padded.scatter(1, ids, score)[..., :vocabulary]


def _repetition(scores: torch.Tensor, history: History, penalty: float) -> torch.Tensor:
    ids = history.input_ids
    if ids is None:
        return scores
    if any(history.padding):
        padding = torch.tensor(history.padding, device=ids.device)
        positions = torch.arange(ids.shape[1], device=ids.device)
        ids = ids.masked_fill(positions < padding[:, None], scores.shape[-1])
    return _penalize(scores, ids, penalty)


def _encoder_repetition(scores: torch.Tensor, history: History, penalty: float) -> torch.Tensor:
    ids = history.encoder_ids
    if ids is None:
        return scores
    if bool((ids >= scores.shape[-1]).any()):
        raise TokenRangeError("the encoder's token lies outside the vocabulary")
    return _penalize(scores, ids, penalty)


def _counts(scores: torch.Tensor, history: History, options: tuple[float, float]) -> torch.Tensor:
    if history.input_ids is None:
        return scores
    frequency, presence = options
    counts = torch.zeros_like(scores)
    for row, ids in enumerate(history.input_ids):
        counted = ids[history.prompt[row] if history.prompt else 0 :]
        counts[row].index_add_(0, counted, torch.ones_like(counted, dtype=counts.dtype))
    penalized = scores - frequency * counts - presence
    return torch.where(counts > 0, penalized, scores)


def _ban_ngrams(scores: torch.Tensor, source: Any, history: History, n: int) -> torch.Tensor:
    if source is None or source.shape[1] < n or history.length + 1 < n:
        return scores
    vocabulary = scores.shape[-1]
    suffix = history.input_ids[:, history.length + 1 - n :]
    windows = source.unfold(1, n, 1)
    matches = (windows[..., :-1] == suffix.unsqueeze(1)).all(-1)
    banned = scores.new_zeros((scores.shape[0], vocabulary + 1), dtype=torch.bool)
    spare = torch.full_like(windows[..., -1], vocabulary)
    banned.scatter_(1, torch.where(matches, windows[..., -1].clamp(max=vocabulary), spare), True)
    return scores.masked_fill(banned[:, :vocabulary], -math.inf)


def _no_repeat_ngram(scores: torch.Tensor, history: History, n: int) -> torch.Tensor:
    return _ban_ngrams(scores, history.input_ids, history, n)


def _encoder_no_repeat_ngram(scores: torch.Tensor, history: History, n: int) -> torch.Tensor:
    return _ban_ngrams(scores, history.encoder_ids, history, n)


def _sequence_bias(
    scores: torch.Tensor, history: History, biases: list[tuple[list[int], float]]
) -> torch.Tensor:
    bias = torch.zeros_like(scores)
    singles = [item for item in biases if len(item[0]) == 1]
    lengths = list(dict.fromkeys(len(ids) for ids, _ in biases if len(ids) > 1))
    grouped = [item for length in lengths for item in biases if len(item[0]) == length]
    for ids, value in singles + grouped:
        if ids[-1] >= scores.shape[-1]:
            raise TokenRangeError(f"the biased token {ids[-1]} lies outside the vocabulary")
        prefix = ids[:-1]
        if len(prefix) > history.length:
            continue
        if prefix:
            expected = torch.tensor(prefix, device=scores.device)
            rows = (history.input_ids[:, -len(prefix) :] == expected).all(-1)
            bias[:, ids[-1]] += torch.where(rows, value, 0.0)
        else:
            bias[:, ids[-1]] += value
    return scores + bias


def _remove(scores: torch.Tensor, ids: list[int]) -> torch.Tensor:
    inside = [item for item in ids if 0 <= item < scores.shape[-1]]
    scores = scores.clone()
    scores[:, inside] = -math.inf
    return scores


def _min_length(
    scores: torch.Tensor, history: History, options: tuple[int, list[int]]
) -> torch.Tensor:
    length, ids = options
    return _remove(scores, ids) if history.length < length else scores


def _suppress(
    scores: torch.Tensor, history: History, options: tuple[int | None, list[int]]
) -> torch.Tensor:
    at, ids = options
    return scores if at is not None and at != history.length else _remove(scores, ids)


def _forced(scores: torch.Tensor, history: History, options: tuple[int, list[int]]) -> torch.Tensor:
    at, ids = options
    if history.length != at:
        return scores
    scores = torch.full_like(scores, -math.inf)
    scores[:, ids] = 0
    return scores


def _remove_invalid(scores: torch.Tensor, _history: History) -> torch.Tensor:
    limits = torch.finfo(scores.dtype)
    return torch.nan_to_num(scores, nan=0.0, posinf=limits.max, neginf=limits.min)


def _exponential_decay(
    scores: torch.Tensor, history: History, options: tuple[int, float, list[int]]
) -> torch.Tensor:
    start, factor, ids = options
    if history.length <= start:
        return scores
    values = scores[:, ids]
    raised = torch.abs(values) * (pow(factor, history.length - start) - 1)
    added = torch.zeros_like(scores)
    added[:, ids] = raised.masked_fill(~torch.isfinite(values), 0.0)
    return scores + added


def unpack(mask: torch.Tensor, vocabulary: int) -> torch.Tensor:
    """Booleans of an int32 bit mask."""
    shifts = torch.arange(32, device=mask.device, dtype=torch.int32)
    return ((mask.unsqueeze(-1) >> shifts) & 1).flatten(1)[:, :vocabulary].bool()


def _allowed(scores: torch.Tensor, history: History) -> torch.Tensor:
    if history.allowed is None:
        return scores
    if history.allowed.shape[1] * 32 < scores.shape[-1]:
        raise SamplingError("the allowed-token mask is shorter than the vocabulary")
    return scores.masked_fill(~unpack(history.allowed, scores.shape[-1]), -math.inf)


def _prefix_allowed(scores: torch.Tensor, history: History) -> torch.Tensor:
    if history.prefix_allowed is None:
        return scores
    allowed = unpack(history.prefix_allowed, scores.shape[-1])
    mask = torch.zeros_like(scores).masked_fill(~allowed, -math.inf)
    masked = scores + mask
    return torch.where(masked.amax(-1, keepdim=True).isneginf(), mask, masked)


_STEPS: dict[str, Callable[..., torch.Tensor]] = {
    "temperature": _temperature,
    "top_k": _top_k,
    "top_p": _top_p,
    "min_p": _min_p,
    "typical": _typical,
    "epsilon": _epsilon,
    "eta": _eta,
    "top_h": _top_h,
    "normalize": _normalize,
    "repetition_penalty": _repetition,
    "encoder_repetition_penalty": _encoder_repetition,
    "count_penalty": _counts,
    "no_repeat_ngram": _no_repeat_ngram,
    "encoder_no_repeat_ngram": _encoder_no_repeat_ngram,
    "sequence_bias": _sequence_bias,
    "min_length": _min_length,
    "suppress": _suppress,
    "forced": _forced,
    "remove_invalid": _remove_invalid,
    "exponential_decay": _exponential_decay,
    "allowed": _allowed,
    "prefix_allowed": _prefix_allowed,
}
