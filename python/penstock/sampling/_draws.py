"""Draws as kernels: what beam sampling and speculative decoding take from torch's stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from penstock import _native
from penstock.errors import LogitsError, SamplingError, TokenRangeError
from penstock.sampling import _arrays, _torch

if TYPE_CHECKING:
    from numpy.typing import NDArray


def multinomial(probs: Any, num_samples: int = 1, *, generator: Any = None) -> Any:
    """Draws without replacement: `torch.multinomial(probs, num_samples)` on the CPU.

    The ids, their order and the state of the generator afterwards are torch's own. Beam sampling
    draws `(n_eos + 1) * num_beams` of `num_beams * vocabulary`.

    Args:
        probs: `[batch, n]` or `[n]` of `float32`, not negative, no row of zeros.
        num_samples: Tokens for each row.
        generator: A `torch.Generator`; torch's global one by default.

    Returns:
        `[batch, num_samples]` or `[num_samples]` of `int64`, a tensor if `probs` is one.

    Raises:
        LogitsError: A row is no distribution (also a `RuntimeError`, as torch raises).
        SamplingError: More samples than tokens, or another type.
    """
    array, tensor = _single_rows(probs, "probs")
    if not 0 < num_samples <= array.shape[1]:
        raise SamplingError(
            f"cannot draw {num_samples} of {array.shape[1]} tokens without replacement"
        )
    bad = ~np.isfinite(array).all(1) | (array < 0).any(1) | ~(array > 0).any(1)
    if bad.any():
        row = int(bad.argmax())
        raise LogitsError(
            f"row {row}: probability tensor contains either inf, nan or element < 0, or is zero",
            row,
        )
    torch = _torch.module()
    generator = torch.default_generator if generator is None else generator
    if _torch.proof() is None:
        drawn = torch.multinomial(torch.from_numpy(array), num_samples, generator=generator).numpy()
    else:
        drawn = _torch.drawn_from(
            generator, lambda state: _native.torch_multinomial(array, state, num_samples)
        )
    drawn = drawn.reshape((*probs.shape[:-1], num_samples))
    return torch.from_numpy(drawn) if tensor else drawn


def speculative_sampling(
    candidate_ids: Any,
    candidate_logits: Any,
    new_logits: Any,
    *,
    assistant_ensemble_weight: float | None = None,
    generator: Any = None,
) -> tuple[Any, int]:
    """Accepts drafted tokens and draws the next one: one round of speculative decoding.

    The tokens, the number of accepted ones and the generator's state are those of the round inside
    `transformers`' assisted generation.

    Args:
        candidate_ids: `[n]`, the drafted tokens.
        candidate_logits: `[n, vocabulary]` of `float32`, the draft model's logits.
        new_logits: `[n + 1, vocabulary]` of `float32`, the model's logits.
        assistant_ensemble_weight: Verifies against a mixture of both models.
        generator: A `torch.Generator`; torch's global one by default.

    Returns:
        The accepted tokens with the next one behind them, `[accepted + 1]` of `int64`, and the
        number of accepted tokens.

    Raises:
        SamplingError: Shapes do not fit.
        LogitsError: A row has no distribution.
    """
    draft, tensor = _single_rows(candidate_logits, "candidate_logits")
    model, _ = _single_rows(new_logits, "new_logits")
    ids = _arrays.token_rows(candidate_ids, 1, "candidate_ids")[0]
    count = len(ids)
    if draft.shape[0] != count or model.shape != (count + 1, draft.shape[1]):
        raise SamplingError(
            f"{count} candidates need logits [{count}, v] and [{count + 1}, v], "
            f"not {draft.shape} and {model.shape}"
        )
    for place in np.flatnonzero((ids < 0) | (ids >= draft.shape[1])):
        raise TokenRangeError(
            f"the candidate {ids[place]} lies outside the vocabulary of {draft.shape[1]} tokens",
            int(place),
        )
    torch = _torch.module()
    lanes = _torch.proof()
    q = _softmax(draft, lanes)
    p = _softmax(model, lanes)
    places = np.arange(count)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = p[places, ids] / q[places, ids]
    if assistant_ensemble_weight is not None:
        weight = np.float32(assistant_ensemble_weight)
        ratio = np.float32(1.0 - assistant_ensemble_weight) + weight * ratio
    generator = torch.default_generator if generator is None else generator
    uniforms = torch.rand(count, generator=generator).numpy()
    rejected = ~(uniforms <= ratio)
    accepted = int(rejected.argmax()) if rejected.any() else count
    rest = p[accepted]
    if accepted < count:
        residual = np.maximum(rest - q[accepted], np.float32(0.0))
        # torch's own sum: its order of additions is not ours.
        mass = torch.from_numpy(residual[None]).sum().item()
        tiny = np.finfo(np.float32).tiny
        if assistant_ensemble_weight is None or mass > tiny:
            rest = residual / np.float32(mass)
    token = multinomial(rest, 1, generator=generator)
    tokens: NDArray[np.int64] = np.concatenate([ids[:accepted], token])
    return (torch.from_numpy(tokens) if tensor else tokens), accepted


def _softmax(logits: NDArray[np.float32], lanes: int | None) -> NDArray[np.float32]:
    if lanes is None:
        torch = _torch.module()
        probs: NDArray[np.float32] = torch.softmax(torch.from_numpy(logits), -1).numpy()
        return probs
    return _native.sampling_softmax(logits, lanes)


def _single_rows(values: Any, name: str) -> tuple[NDArray[np.float32], bool]:
    """Rows of `float32`, and whether a tensor was given; torch draws in other types otherwise."""
    if str(getattr(values, "dtype", "float32")) not in ("float32", "torch.float32"):
        raise SamplingError(f"{name} have to be float32, not {values.dtype}")
    array, _, tensor = _arrays.rows(values)
    return array, tensor
