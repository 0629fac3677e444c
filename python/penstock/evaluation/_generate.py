"""Generation: batches of prompts through `model.generate`, with stops and draws of each row.

The draws are the one place where the sampler is chosen; greedy decoding needs none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import LogitsProcessor, StoppingCriteria

from penstock.errors import TaskError
from penstock.evaluation._draw import RowDraws
from penstock.evaluation._model import SEQ2SEQ

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.evaluation._encode import Ids, TextEncoder
    from penstock.evaluation._model import Model
    from penstock.evaluation._plan import Group


def generate(
    model: Model,
    encoder: TextEncoder,
    group: Group,
    prompts: Sequence[Ids],
    samples: Sequence[int],
    seed: int,
) -> list[list[Any]]:
    """Continues prompts.

    Args:
        model: The model.
        encoder: Its tokenizer.
        group: What `max_new_tokens`, `stop`, `sampling` and `generate` (further arguments of
            `model.generate`) are.
        prompts: Token ids.
        samples: Index of each prompt's sample, which keys its draws.
        seed: The run's seed.

    Returns:
        Text without what stops it, and the number of tokens, of each prompt.

    Raises:
        TaskError: Logits are not numbers.
    """
    width = max(map(len, prompts))
    ids = np.full((len(prompts), width), encoder.pad_id, np.int64)
    mask = np.zeros((len(prompts), width), np.int64)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = prompt
        mask[row, width - len(prompt) :] = 1
    skipped = 1 if model.head == SEQ2SEQ else width
    stops = [stop for stop in group.options.get("stop", ()) if stop]
    processors: list[LogitsProcessor] = [_Checked(group.name, samples)]
    if group.options.get("sampling") is not None:
        # A decoder behind an encoder starts from one token, without padding.
        padding = [0 if model.head == SEQ2SEQ else width - len(prompt) for prompt in prompts]
        draws = RowDraws(group.options["sampling"], seed, samples, skipped, padding)
        processors.append(_Drawn(draws))
    further = dict(group.options.get("generate", {}))
    if "max_length" not in further:
        # lm-eval lets an encoder's width count towards the answer.
        wider = width - 1 if group.options.get("plus_width") else 0
        further["max_new_tokens"] = group.options["max_new_tokens"] + wider
    greedy = {"do_sample": False, "temperature": None, "top_k": None, "top_p": None}
    output = model.module.generate(
        input_ids=torch.from_numpy(ids).to(model.device),
        attention_mask=torch.from_numpy(mask).to(model.device),
        pad_token_id=encoder.pad_id,
        logits_processor=processors,
        stopping_criteria=[_Stops(encoder, stops, skipped)] if stops else None,
        use_cache=True,
        **{**greedy, **further},
    )
    rows = output[:, skipped:].tolist()
    ends = _end_ids(model.module)
    return [_finish(encoder, row, stops, ends) for row in rows]


def _finish(
    encoder: TextEncoder, ids: list[int], stops: Sequence[str], ends: set[int]
) -> list[Any]:
    """Text and length of one row."""
    for position, token in enumerate(ids):
        if token in ends:
            ids = ids[: position + 1]
            break
    text = encoder.decode(ids)
    for stop in stops:
        text = text.split(stop)[0]
    return [text, len(ids)]


def _end_ids(module: Any) -> set[int]:
    value = module.generation_config.eos_token_id
    if value is None:
        return set()
    return set(value) if isinstance(value, (list, tuple)) else {int(value)}


class _Checked(LogitsProcessor):
    """Refuses logits that are not numbers, where argmax would answer token 0."""

    def __init__(self, task: str, samples: Sequence[int]) -> None:
        self._task = task
        self._samples = samples

    def __call__(self, input_ids: Any, scores: Any) -> Any:  # noqa: ARG002
        # The maximum of a row with a NaN is NaN.
        bad = torch.isnan(scores.amax(dim=-1))
        if bool(bad.any()):
            row = int(bad.nonzero()[0])
            message = "the model's logits are not numbers (NaN)"
            raise TaskError(message, self._task, self._samples[row])
        return scores


class _Drawn(LogitsProcessor):
    """Leaves each row only the token that was drawn for it."""

    def __init__(self, draws: RowDraws) -> None:
        self._draws = draws

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        tokens = self._draws(input_ids, scores)
        return torch.full_like(scores, -torch.inf).scatter_(1, tokens[:, None], 0.0)


class _Stops(StoppingCriteria):
    """Ends a row when its text holds a stop.

    Only the tail is looked at: every token has a byte at least, so a stop that the newest token
    completes lies within as many tokens as it has bytes.
    """

    def __init__(self, encoder: TextEncoder, stops: Sequence[str], skipped: int) -> None:
        self._encoder = encoder
        self._stops = stops
        self._skipped = skipped
        self._tail = max(len(stop.encode()) for stop in stops) + 1

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        start = max(self._skipped, input_ids.shape[1] - self._tail)
        texts = self._encoder.decode_rows(input_ids[:, start:].tolist())
        found = [any(stop in text for stop in self._stops) for text in texts]
        return torch.tensor(found, device=input_ids.device)
