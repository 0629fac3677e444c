"""Random draws keyed by seed and sample, so that processes and batches do not matter."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import torch

from penstock.errors import TaskError
from penstock.sampling import Sampler, SamplingParams

if TYPE_CHECKING:
    from collections.abc import Sequence

_HISTORY = (
    "repetition_penalty",
    "frequency_penalty",
    "presence_penalty",
    "no_repeat_ngram_size",
    "sequence_bias",
    "bad_words_ids",
    "min_new_tokens",
    "min_length",
    "exponential_decay_length_penalty",
    "begin_suppress_tokens",
)
"""Options that look at the tokens so far."""


class RowDraws:
    """Draws a token for each row of a batch, step after step.

    Args:
        sampling: `SamplingParams`, or a dictionary of its fields.
        seed: The run's seed.
        samples: Index of each row's sample.
        prompt: Tokens of a row before the first drawn one, padding included.
        padding: Tokens of padding at the start of each row.
    """

    def __init__(
        self,
        sampling: Any,
        seed: int,
        samples: Sequence[int],
        prompt: int,
        padding: Sequence[int],
    ) -> None:
        params = _params(sampling)
        self._sampler = Sampler(params, rng="row-seeds", seed=0)
        self._seeds = [_key(seed, sample) for sample in samples]
        self._looks_back = any(getattr(params, name) is not None for name in _HISTORY)
        self._prompts = [prompt] * len(samples)
        self._padding = list(padding)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Token ids, one for each row of `scores`."""
        logits = scores.float().cpu().contiguous()
        if self._looks_back:
            output = self._sampler(
                logits,
                input_ids.cpu(),
                seeds=self._seeds,
                prompt_lengths=self._prompts,
                padding=self._padding,
            )
        else:
            output = self._sampler(logits, seeds=self._seeds)
        return torch.as_tensor(output.tokens, dtype=torch.int64).to(scores.device)


def check_sampling(task: str, sampling: Any) -> None:
    """Refuses sampling options that no draw could follow.

    Raises:
        TaskError: There is one.
    """
    try:
        _params(sampling)
    except (TypeError, ValueError) as error:
        raise TaskError(f"sampling: {error}", task) from error


def _params(sampling: Any) -> SamplingParams:
    return sampling if isinstance(sampling, SamplingParams) else SamplingParams(**dict(sampling))


def _key(seed: int, sample: int) -> int:
    key = hashlib.sha256(f"{seed} {sample}".encode()).digest()
    return int.from_bytes(key[:8], "little") >> 1
