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
# What a watermark of the token itself looks at, and what hashes are multiplied by.
_GREEN_CANDIDATES = 40
_HASH_MULTIPLIER = 6364136223846793005


@dataclass
class History:
    """What edits know of the rows; tensors `[batch, length]`, or none."""

    input_ids: Any = None
    encoder_ids: Any = None
    allowed: Any = None
    prefix_allowed: Any = None
    padding: list[int] = field(default_factory=list)
    prompt: list[int] = field(default_factory=list)
    # What special steps know of a single row: these are run row by row.
    guide: Any = None
    forced: list[bool] = field(default_factory=list)
    mark: int | None = None
    row: int = 0
    alone: bool = True

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


def _guided(
    scores: torch.Tensor, history: History, options: tuple[str, float, int | None]
) -> torch.Tensor:
    mix, scale, kept = options
    guide: torch.Tensor = history.guide
    if mix == "from guide":
        return guide + (scores - guide) * scale
    if mix == "from row":
        mixed = scores + (scores - guide) * scale
        if kept is None:
            return mixed
        likeliest = torch.topk(mixed, k=kept, dim=-1).indices
        removed = torch.ones_like(mixed, dtype=torch.bool).scatter(-1, likeliest, False)
        return scores.masked_fill(removed, -math.inf)
    if mix == "logs":
        guide = torch.nn.functional.log_softmax(guide, dim=-1)
    return scale * (scores - guide) + guide


def _green_list(scores: torch.Tensor, history: History, options: Any) -> torch.Tensor:
    key, width, vocabulary, size, bias, table = options
    (ids,) = history.input_ids.tolist()
    if len(ids) < width:
        return scores
    generator = torch.Generator()

    def drawn(seed: int) -> torch.Tensor:
        generator.manual_seed(seed % (2**64 - 1))
        return torch.randperm(vocabulary, generator=generator)[:size]

    out = scores.clone()
    if table is None:
        out[0, drawn(key * ids[-1])] += bias
        return out
    entries = torch.from_numpy(table)
    for token in torch.sort(scores[0], descending=True).indices[:_GREEN_CANDIDATES].tolist():
        window = torch.tensor([*ids, token][-width:])
        seeds = key * (entries[window % len(entries)] + 1) * (entries[token % len(entries)] + 1)
        if token in drawn(int(seeds.min().item())):
            out[0, token] = scores[0, token] + bias
    return out


def _hashed(value: torch.Tensor, data: torch.Tensor) -> torch.Tensor:
    return (value + data) * _HASH_MULTIPLIER + 1


def _synth_id(scores: torch.Tensor, history: History, options: Any) -> torch.Tensor:
    keys, table, _threads = options
    if history.mark is None:
        return scores
    tokens = torch.arange(scores.shape[1])
    hashes = _hashed(torch.tensor(history.mark), tokens)
    bits = torch.from_numpy(table).long()
    # A row of a batch is summed otherwise than a single one.
    probs = torch.softmax(scores.expand(1 if history.alone else 2, -1), dim=1)
    for key in keys:
        wins = bits[_hashed(hashes, torch.tensor(key)) % len(bits)]
        mass = (wins * probs).sum(dim=1, keepdim=True)
        probs = probs * (1 + wins - mass)
    return probs[:1]


def _timestamps(scores: torch.Tensor, history: History, options: Any) -> torch.Tensor:
    begin, first, none, eos, last_initial, detect = options
    out = scores.clone()
    out[:, none] = -math.inf
    (ids,) = history.input_ids.tolist()
    tail = ids[begin:]
    one = len(tail) >= 1 and tail[-1] >= first
    two = len(tail) < 2 or tail[-2] >= first
    if one and two:
        out[:, first:] = -math.inf
    elif one:
        out[:, :eos] = -math.inf
    stamps = [token for token in tail if token >= first]
    if stamps:
        out[:, first : stamps[-1] + (0 if one and not two else 1)] = -math.inf
    if len(ids) == begin:
        out[:, :first] = -math.inf
        if last_initial is not None:
            out[:, first + last_initial + 1 :] = -math.inf
    if detect:
        logprobs = torch.nn.functional.log_softmax(out, dim=-1)
        forced = logprobs[:, first:].logsumexp(dim=-1) > logprobs[:, :first].max(dim=-1).values
        out[:, :first].masked_fill_(forced.unsqueeze(-1), -math.inf)
    return out


def _codebooks(
    scores: torch.Tensor, history: History, options: tuple[int, int, int]
) -> torch.Tensor:
    start, semantic, codebook = options
    out = scores.clone()
    if (history.length - start) % 2 == 0:
        out[:, :semantic] = -math.inf
        out[:, semantic + codebook :] = -math.inf
    else:
        out[:, : semantic + codebook] = -math.inf
    return out


def _end_above(
    scores: torch.Tensor, _history: History, options: tuple[list[int], float]
) -> torch.Tensor:
    ids, least = options
    likely = (torch.softmax(scores, dim=-1)[:, ids] > least).any(dim=1, keepdim=True)
    ended = torch.full_like(scores, -math.inf)
    ended[:, ids] = scores[:, ids]
    return torch.where(likely, ended, scores)


def _end_of_channel(
    scores: torch.Tensor, history: History, options: tuple[int, int]
) -> torch.Tensor:
    channels, eos = options
    out = scores.clone()
    out[:, eos + (history.row % channels == 0) :] = -math.inf
    if int(torch.argmax(out)) == eos:
        out[:, :eos] = -math.inf
    else:
        out[:, eos] = -math.inf
    return out


def _forced_row(scores: torch.Tensor, history: History, token: int) -> torch.Tensor:
    if not any(history.forced):
        return scores
    out = torch.full_like(scores, -math.inf)
    out[:, token] = 0.0
    return out


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
    "guided": _guided,
    "green_list": _green_list,
    "synth_id": _synth_id,
    "timestamps": _timestamps,
    "codebooks": _codebooks,
    "end_above": _end_above,
    "end_of_channel": _end_of_channel,
    "forced_row": _forced_row,
}
