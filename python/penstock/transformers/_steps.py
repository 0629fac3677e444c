"""transformers' processor objects as compiled steps; what is not known stays a Python step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from transformers.generation import logits_process as stock

from penstock.transformers import _special

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import torch
    from numpy.typing import NDArray

    from penstock.sampling._params import Step

_MAPS = {"remove_invalid", "normalize"}
_FILTERS = {"temperature", "top_h", "top_k", "top_p", "min_p", "typical", "epsilon", "eta"}
_WITHOUT_HISTORY = (
    _FILTERS | _MAPS | {"guided", "synth_id", "end_above", "end_of_channel", "forced_row"}
)
# Of the tokens these know no more than how many there are.
_OF_LENGTH = _WITHOUT_HISTORY | {"min_length", "suppress", "forced", "exponential_decay"}
_GUIDED = (
    stock.ClassifierFreeGuidanceLogitsProcessor,
    stock.DiaClassifierFreeGuidanceLogitsProcessor,
)
# A token that no vocabulary has: it separates n-grams that do not follow each other.
_NO_TOKEN = np.iinfo(np.int64).max


@dataclass
class Segment:
    """Compiled steps that follow each other, or one processor that runs in Python.

    Attributes:
        steps: The steps.
        processor: The processor, if there are no steps.
        encoder_ids: `[batch, length]`, what the encoder's penalties look at.
        padding: Tokens at the start of each row that penalties skip.
        prefix: The constraint, if one of the steps has one.
        parts: The processors, in order, and how many of the steps each of them is.
        observer: A processor that reads the scores before the first step, and changes none.
        halves: The processor that takes the second half of the rows for a guide of the first.
        prepare: What steps need besides, by name, from the tokens and the scores before the first
            step.
        finish: What torch makes of the scores of the last step.
    """

    steps: list[Step] = field(default_factory=list)
    processor: Any = None
    encoder_ids: NDArray[np.int64] | None = None
    padding: list[int] | None = None
    prefix: stock.PrefixConstrainedLogitsProcessor | None = None
    parts: list[tuple[Any, int]] = field(default_factory=list)
    observer: stock.WhisperNoSpeechDetection | None = None
    halves: Any = None
    prepare: dict[str, Callable[[Any, Any], dict[str, Any]]] = field(default_factory=dict)
    finish: Callable[[torch.Tensor, dict[str, Any]], torch.Tensor] | None = None

    @property
    def processors(self) -> list[Any]:
        """The processors that it stands for, in order."""
        return [self.processor] if self.processor is not None else [item for item, _ in self.parts]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in it yet."""
        return not self.steps and self.observer is None

    @property
    def needs_history(self) -> bool:
        """Whether a step looks at the tokens so far."""
        return any(name not in _WITHOUT_HISTORY for name, *_ in self.steps)


class _Rows:
    """Translates for a number of rows; a translation returns none where Python has to do it."""

    def __init__(self, count: int) -> None:
        self.count = count

    def steps(self, processor: Any, segment: Segment) -> list[Step] | None:
        translate = _TRANSLATIONS.get(type(processor))
        if translate is None or "__call__" in vars(processor):
            return None
        # A class whose call somebody has replaced is not the one that we know.
        if type(processor).__call__ is not _CALLS[type(processor)]:
            return None
        return translate(self, processor, segment)

    def _expanded(self, ids: NDArray[np.int64]) -> NDArray[np.int64] | None:
        if self.count % max(len(ids), 1):
            return None
        return np.repeat(ids, self.count // len(ids), axis=0)

    def repetition(self, processor: Any, segment: Segment) -> list[Step] | None:
        ignored = processor.prompt_ignore_length
        if ignored is None:
            padding = [0] * self.count
        elif isinstance(ignored, int):
            padding = [ignored] * self.count
        else:
            padding = [int(length) for length in ignored.tolist()]
        if len(padding) != self.count or segment.padding not in (None, padding):
            return None
        segment.padding = padding
        return [("repetition_penalty", processor.penalty)]

    def encoder_repetition(self, processor: Any, segment: Segment) -> list[Step] | None:
        ids = self._expanded(processor.encoder_input_ids.cpu().numpy())
        if ids is None or (
            segment.encoder_ids is not None and not np.array_equal(ids, segment.encoder_ids)
        ):
            return None
        segment.encoder_ids = ids
        return [("encoder_repetition_penalty", processor.penalty)]

    def encoder_ngram(self, processor: Any, segment: Segment) -> list[Step] | None:
        """The processor keeps n-grams only, so those become rows of tokens again."""
        rows = []
        for ngrams in processor.generated_ngrams:
            row: list[int] = []
            for prefix, tokens in ngrams.items():
                for token in tokens:
                    row += [*prefix, token, _NO_TOKEN]
            rows.append(row)
        longest = max((len(row) for row in rows), default=0)
        ids = np.full((len(rows), max(longest, 1)), _NO_TOKEN, dtype=np.int64)
        for place, values in enumerate(rows):
            ids[place, : len(values)] = values
        expanded = self._expanded(ids)
        if expanded is None or segment.encoder_ids is not None:
            return None
        segment.encoder_ids = expanded
        return [("encoder_no_repeat_ngram", processor.ngram_size)]

    def prefix(self, processor: Any, segment: Segment) -> list[Step] | None:
        if segment.prefix is not None or processor._num_beams != 1:
            return None
        segment.prefix = processor
        return [("prefix_allowed",)]


def _sequence_bias(_rows: _Rows, processor: Any, _segment: Segment) -> list[Step]:
    bias = processor.sequence_bias.items()
    return [("sequence_bias", [([int(i) for i in ids], float(value)) for ids, value in bias])]


def _default_filter(processor: Any) -> bool:
    return bool(processor.filter_value == -float("inf"))


def _filter(make: Callable[[Any], Step]) -> Callable[[_Rows, Any, Segment], list[Step] | None]:
    """A filter; one that fills with something else than -inf stays in Python."""
    return lambda _rows, processor, _segment: (
        [make(processor)] if _default_filter(processor) else None
    )


def _edit(make: Callable[[Any], Step]) -> Callable[[_Rows, Any, Segment], list[Step]]:
    return lambda _rows, processor, _segment: [make(processor)]


def _ids(tensor: torch.Tensor) -> list[int]:
    return [int(i) for i in tensor.flatten().tolist()]


_TRANSLATIONS: dict[type, Callable[[_Rows, Any, Segment], list[Step] | None]] = {
    stock.SequenceBiasLogitsProcessor: _sequence_bias,
    stock.NoBadWordsLogitsProcessor: _sequence_bias,
    stock.EncoderRepetitionPenaltyLogitsProcessor: _Rows.encoder_repetition,
    stock.RepetitionPenaltyLogitsProcessor: _Rows.repetition,
    stock.NoRepeatNGramLogitsProcessor: _edit(lambda p: ("no_repeat_ngram", p.ngram_size)),
    stock.EncoderNoRepeatNGramLogitsProcessor: _Rows.encoder_ngram,
    stock.MinLengthLogitsProcessor: _edit(
        lambda p: ("min_length", (p.min_length, _ids(p.eos_token_id)))
    ),
    stock.MinNewTokensLengthLogitsProcessor: _edit(
        lambda p: ("min_length", (p.prompt_length_to_skip + p.min_new_tokens, _ids(p.eos_token_id)))
    ),
    stock.PrefixConstrainedLogitsProcessor: _Rows.prefix,
    stock.ForcedBOSTokenLogitsProcessor: _edit(lambda p: ("forced", (1, [int(p.bos_token_id)]))),
    stock.ForcedEOSTokenLogitsProcessor: _edit(
        lambda p: ("forced", (max(p.max_length - 1, 0), _ids(p.eos_token_id)))
    ),
    stock.InfNanRemoveLogitsProcessor: _edit(lambda _p: ("remove_invalid",)),
    stock.ExponentialDecayLengthPenalty: _edit(
        lambda p: (
            "exponential_decay",
            (int(p.regulation_start), float(p.regulation_factor), _ids(p.eos_token_id)),
        )
    ),
    stock.SuppressTokensLogitsProcessor: _edit(
        lambda p: ("suppress", (None, _ids(p.suppress_tokens)))
    ),
    stock.SuppressTokensAtBeginLogitsProcessor: _edit(
        lambda p: ("suppress", (int(p.begin_index), _ids(p.begin_suppress_tokens)))
    ),
    stock.TemperatureLogitsWarper: _edit(lambda p: ("temperature", p.temperature)),
    stock.TopHLogitsWarper: _filter(lambda p: ("top_h", float(p.top_h))),
    stock.TopKLogitsWarper: _filter(lambda p: ("top_k", p.top_k)),
    stock.TopPLogitsWarper: _filter(lambda p: ("top_p", (p.top_p, p.min_tokens_to_keep))),
    stock.MinPLogitsWarper: _filter(lambda p: ("min_p", (float(p.min_p), p.min_tokens_to_keep))),
    stock.TypicalLogitsWarper: _filter(lambda p: ("typical", (p.mass, p.min_tokens_to_keep))),
    stock.EpsilonLogitsWarper: _filter(lambda p: ("epsilon", (p.epsilon, p.min_tokens_to_keep))),
    stock.EtaLogitsWarper: _filter(lambda p: ("eta", (float(p.epsilon), p.min_tokens_to_keep))),
    stock.LogitNormalization: _edit(lambda _p: ("normalize",)),
    **_special.TRANSLATIONS,
}
_CALLS = {processor: processor.__call__ for processor in _TRANSLATIONS}


def segments(processors: Iterable[Any], rows: int) -> list[Segment]:
    """The processors in order: as few segments as possible, the last one always compiled."""
    processors = list(processors)
    guided = [place for place, item in enumerate(processors) if type(item) in _GUIDED]
    last_guided = guided[-1] if guided else 0
    out = [Segment()]
    for place, processor in enumerate(processors):
        before_guide = place < last_guided
        translator = _Rows(2 * rows if before_guide else rows)
        if out[-1].processor is not None or out[-1].finish is not None:
            out.append(Segment())
        steps = translator.steps(processor, out[-1])
        if steps is None and not out[-1].is_empty:
            # It may not fit to what stands before it; alone it may.
            fresh = Segment()
            steps = translator.steps(processor, fresh)
            if steps is not None:
                out.append(fresh)
        if before_guide and steps and any(name not in _OF_LENGTH for name, *_ in steps):
            # There are tokens for half of the rows only.
            steps = None
            if not out[-1].is_empty:
                out.append(Segment())
        if steps is None:
            if out[-1].is_empty:
                out.pop()
            out.append(Segment(processor=processor))
        else:
            out[-1].steps += steps
            out[-1].parts.append((processor, len(steps)))
    if out[-1].processor is not None or out[-1].finish is not None:
        out.append(Segment())
    return out
