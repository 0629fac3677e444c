"""Random draws keyed by seed and sample, so that processes and batches do not matter."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from penstock.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Sequence

_WARPERS: dict[str, tuple[Any, Any]] = {
    # In the order of transformers; each with the value that changes nothing.
    "repetition_penalty": (RepetitionPenaltyLogitsProcessor, 1.0),
    "temperature": (TemperatureLogitsWarper, 1.0),
    "top_k": (TopKLogitsWarper, 0),
    "top_p": (TopPLogitsWarper, 1.0),
    "min_p": (MinPLogitsWarper, 0.0),
    "typical_p": (TypicalLogitsWarper, 1.0),
}


class RowDraws:
    """Draws a token for each row of a batch, step after step.

    Args:
        sampling: `SamplingParams`, or a dictionary of its fields.
        seed: The run's seed.
        samples: Index of each row's sample.

    Raises:
        TaskError: A field is not known here.
    """

    def __init__(self, sampling: Any, seed: int, samples: Sequence[int]) -> None:
        self._warpers = _warpers(sampling)
        self._generators = [_generator(seed, sample) for sample in samples]

    def __call__(self, input_ids: Any, scores: Any) -> torch.Tensor:
        """Token ids, one for each row of `scores`."""
        kept: torch.Tensor = self._warpers(input_ids.cpu(), scores.float().cpu())
        # The smallest token whose cumulated probability is beyond a uniform number.
        mass = torch.softmax(kept.double(), dim=-1).cumsum(dim=-1)
        uniform = torch.cat(
            [torch.rand(1, dtype=torch.float64, generator=g) for g in self._generators]
        )
        drawn = torch.searchsorted(mass, (uniform * mass[:, -1])[:, None], right=True)[:, 0]
        last = kept.shape[1] - 1
        return drawn.clamp_(max=last).to(scores.device)


def check_sampling(task: str, sampling: Any) -> None:
    """Refuses sampling options that no draw could follow.

    Raises:
        TaskError: There is one.
    """
    try:
        _warpers(sampling)
    except (TypeError, ValueError) as error:
        raise TaskError(f"sampling: {error}", task) from error


def _warpers(sampling: Any) -> LogitsProcessorList:
    if is_dataclass(sampling) and not isinstance(sampling, type):
        sampling = asdict(sampling)
    values = {key: value for key, value in dict(sampling).items() if value is not None}
    values.pop("do_sample", None)
    if unknown := sorted(values.keys() - _WARPERS.keys()):
        raise TaskError(f"no sampling option {', '.join(unknown)}; there are {', '.join(_WARPERS)}")
    return LogitsProcessorList(
        [
            warper(values[name])
            for name, (warper, neutral) in _WARPERS.items()
            if values.get(name, neutral) != neutral
        ]
    )


def _generator(seed: int, sample: int) -> torch.Generator:
    key = hashlib.sha256(f"{seed} {sample}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(key[:8], "little"))
