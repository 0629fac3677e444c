"""Logits on an accelerator: the same steps in torch's operations, without a copy to the host.

The draw is `torch.multinomial` on the full row, so the device's own random stream is that of
transformers.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers.generation.logits_process import LogitsProcessorList

from penstock.sampling import _torch_steps
from penstock.sampling._sampler import prefix_mask
from penstock.transformers import _special

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.transformers._steps import Segment


def scores(segments: Sequence[Segment], input_ids: Any, logits: Any) -> Any:
    """Runs segments, in order, on `[batch, vocabulary]` of `float32`, on the logits' device."""
    for segment in segments:
        if segment.processor is not None:
            logits = LogitsProcessorList([segment.processor])(input_ids, logits)
            continue
        steps = iter(segment.steps)
        history = None
        for processor, count in segment.parts:
            own = list(itertools.islice(steps, count))
            if type(processor) in _special.TRANSLATIONS:
                # What a step is given besides scores and tokens is for the kernels on the host.
                logits = processor(input_ids, logits)
            elif own:
                history = history or _history(segment, input_ids, logits)
                logits = _torch_steps.run(own, logits, history)
    return logits


def choose(processed: torch.Tensor, *, do_sample: bool) -> torch.Tensor:
    """The next token of each row, as transformers chooses it."""
    if do_sample:
        return torch.multinomial(torch.softmax(processed, dim=-1), num_samples=1).squeeze(1)
    return torch.argmax(processed, dim=-1)


def _history(segment: Segment, input_ids: Any, logits: Any) -> _torch_steps.History:
    def moved(array: Any) -> Any:
        if array is None:
            return None
        return torch.from_numpy(np.ascontiguousarray(array)).to(logits.device)

    prefix = None
    if segment.prefix is not None:
        rows, vocabulary = logits.shape
        functions = [segment.prefix._prefix_allowed_tokens_fn] * rows
        prefix = moved(prefix_mask(functions, input_ids, rows, vocabulary))
    return _torch_steps.History(
        input_ids=input_ids,
        encoder_ids=moved(segment.encoder_ids),
        prefix_allowed=prefix,
        padding=segment.padding or [],
    )
