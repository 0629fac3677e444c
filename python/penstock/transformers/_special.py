"""Guidance, watermarks, and the processors of single models, as compiled steps.

What a step needs besides scores and tokens (a second pass of the model, the state of a processor)
is prepared for each token, and kept where the processor itself keeps it.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers.generation import logits_process as stock

from penstock import _native

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.sampling._params import Step
    from penstock.transformers._steps import Segment, _Rows

_INT64 = 2**63
_SUM_SIZES = (5, 64, 1001, 40_000, 151_936)


def guidance(mix: str) -> Callable[[_Rows, Any, Segment], list[Step] | None]:
    """Scores with a second half of rows, which guides the first: a segment begins there."""

    def translate(_rows: _Rows, processor: Any, segment: Segment) -> list[Step] | None:
        if not segment.is_empty:
            return None
        segment.halves = processor
        kept = getattr(processor, "guidance_top_k", None)
        return [("guided", (mix, float(processor.guidance_scale), kept))]

    return translate


def second_pass(_rows: _Rows, processor: Any, segment: Segment) -> list[Step] | None:
    """Log-probabilities against those of a prompt of their own; the pass is the model's."""
    if "guide" in segment.prepare or segment.halves is not None:
        return None
    if processor.guidance_scale == 1:
        return [("normalize",)]
    dtype = getattr(processor.model, "dtype", None)
    single = dtype is torch.float32 and not torch.is_autocast_enabled("cpu")

    def guide(input_ids: Any, _scores: Any) -> dict[str, Any]:
        logits = processor.get_unconditional_logits(input_ids)[:, -1]
        if not single:
            # In its own precision, as torch rounds there.
            logits = torch.nn.functional.log_softmax(logits, dim=-1).float()
        return {"guide": logits}

    segment.prepare["guide"] = guide
    mix = "logs" if single else "of logs"
    return [("normalize",), ("guided", (mix, float(processor.guidance_scale), None))]


def no_speech(_rows: _Rows, processor: Any, segment: Segment) -> list[Step] | None:
    """Whisper's detector changes no score: at one length it reads them, or runs the model.

    There is nothing to compile: it is called at that length alone, and no step stands for it.
    """
    if not segment.is_empty:
        return None
    segment.observer = processor
    return []


def green_list(_rows: _Rows, processor: Any, segment: Segment) -> list[Step] | None:
    """The list of each token is drawn by the kernel.

    The processor's own generator, which every use seeds anew, stays as it is.
    """
    width = processor.context_width
    if not isinstance(width, int) or width < 1 or not -_INT64 <= processor.hash_key < _INT64:
        return None
    if "watermark" in segment.prepare or processor.vocab_size < 1:
        return None

    def warn(input_ids: Any, _scores: Any) -> dict[str, Any]:
        if input_ids.shape[-1] < width:
            stock.logger.warning(
                f"`input_ids` should have at least `{width}` tokens but has "
                f"{input_ids.shape[-1]}. The seeding will be skipped for this generation step!"
            )
        return {}

    segment.prepare["watermark"] = warn
    itself = processor.seeding_scheme == "selfhash"
    table = processor.fixed_table.cpu().numpy() if itself else None
    sizes = (processor.vocab_size, processor.greenlist_size)
    return [("green_list", (processor.hash_key, width, *sizes, float(processor.bias), table))]


@functools.cache
def _sums_are_ours(threads: int) -> bool:
    """Whether torch sums rows as the tournament's kernel does, with that many threads."""
    generator = torch.Generator().manual_seed(3)
    for size in _SUM_SIZES:
        for rows in (1, 2):
            if size < 8 and rows > 1:
                continue
            values = torch.rand(rows, size, generator=generator) ** 3
            workers = threads if rows == 1 else 1
            ours = [_native.torch_total(row.numpy(), workers) for row in values]
            if values.sum(dim=1).tolist() != ours:
                return False
    return True


def tournament(_rows: _Rows, processor: Any, segment: Segment) -> list[Step] | None:
    """SynthID; its last step, a logarithm, is torch's own.

    torch takes it from its processor vendor's library, whose roundings no source tells: of 600,000
    probabilities one in 25 differs in the last bit from the logarithm that torch vectorises itself.
    """
    threads = torch.get_num_threads()
    if processor.debug_mode or segment.finish is not None or not _sums_are_ours(threads):
        return None

    def marks(input_ids: Any, scores: Any) -> dict[str, Any]:
        processor._check_input_ids_shape(input_ids)
        rows = len(scores)
        if processor.state is None:
            processor._init_state(rows)
        else:
            context = torch.cat((processor.state.context, input_ids[:, -1:]), dim=1)
            processor.state.context = context[:, 1:]
        state = processor.state
        state.num_calls += 1
        if processor.skip_first_ngram_calls and state.num_calls < processor.ngram_len:
            return {"marks": [None] * rows}
        hashes = processor.accumulate_hash(torch.ones(rows, dtype=torch.long), state.context)
        repeated = (state.context_history == hashes[:, None]).any(dim=1)
        state.context_history = torch.cat((hashes[:, None], state.context_history), dim=1)[:, :-1]
        pairs = zip(hashes.tolist(), repeated.tolist(), strict=True)
        return {"marks": [None if again else value for value, again in pairs]}

    segment.prepare["marks"] = marks
    segment.finish = _logarithms
    table = processor.sampling_table.cpu().numpy().astype(np.bool_)
    return [("synth_id", (processor.keys.tolist(), table, threads))]


def _logarithms(scores: torch.Tensor, options: dict[str, Any]) -> torch.Tensor:
    """Scores of probabilities, in the rows that the tournament changed."""
    changed = torch.tensor([mark is not None for mark in options["marks"]])
    logs = torch.log(scores)
    logs = torch.where(torch.isfinite(logs), logs, torch.finfo(logs.dtype).min)
    return torch.where(changed[:, None], logs, scores)


def timestamps(_rows: _Rows, processor: Any, _segment: Segment) -> list[Step] | None:
    """Whisper's pairs of timestamps."""
    numbers = (processor.begin_index, processor.timestamp_begin, processor.eos_token_id)
    last = processor.max_initial_timestamp_index
    if not all(isinstance(number, int) and number >= 0 for number in (*numbers, last or 0)):
        return None
    begin, first, eos = numbers
    none = processor.no_timestamps_token_id
    detect = bool(processor._detect_timestamp_from_logprob)
    return [("timestamps", (begin, first, none, eos, last, detect))]


def codebooks(_rows: _Rows, processor: Any, _segment: Segment) -> list[Step] | None:
    """Bark's codebooks."""
    sizes = (processor.semantic_vocab_size, processor.codebook_size)
    if not all(isinstance(size, int) and size >= 0 for size in sizes):
        return None
    return [("codebooks", (processor.input_start_len, *sizes))]


def likely_end(_rows: _Rows, processor: Any, _segment: Segment) -> list[Step]:
    """Bark's end."""
    if not processor.min_eos_p:
        return []
    ids = [int(i) for i in processor.eos_token_id.flatten().tolist()]
    return [("end_above", (ids, float(processor.min_eos_p)))]


def end_of_channel(_rows: _Rows, processor: Any, _segment: Segment) -> list[Step]:
    """Dia's end, in its first channel."""
    return [("end_of_channel", (processor.num_channels, processor.eos_id))]


def delayed_end(_rows: _Rows, processor: Any, segment: Segment) -> list[Step] | None:
    """Dia's end in the other channels, which the scores of the first one begin."""
    if not segment.is_empty:
        return None

    def forced(input_ids: Any, scores: Any) -> dict[str, Any]:
        first = scores.reshape(-1, processor.num_channels, scores.shape[-1])[:, 0]
        if processor.active_batches is None:
            processor.delay_pattern = processor.delay_pattern.repeat(len(first), 1)
            processor.active_batches = torch.zeros(len(first), dtype=torch.bool)
        processor.active_batches |= torch.argmax(first, dim=-1) == processor.eos_token_id
        processor.active_batches |= input_ids.shape[1] == processor.max_generation_len
        active = processor.active_batches[:, None]
        out = active & (processor.delay_pattern == 0)
        processor.delay_pattern -= active.int()
        return {"forced": out.flatten().tolist()}

    segment.prepare["forced"] = forced
    return [("forced_row", int(processor.eos_token_id))]


TRANSLATIONS: dict[type, Callable[[_Rows, Any, Segment], list[Step] | None]] = {
    stock.ClassifierFreeGuidanceLogitsProcessor: guidance("from guide"),
    stock.DiaClassifierFreeGuidanceLogitsProcessor: guidance("from row"),
    stock.UnbatchedClassifierFreeGuidanceLogitsProcessor: second_pass,
    stock.WatermarkLogitsProcessor: green_list,
    stock.SynthIDTextWatermarkLogitsProcessor: tournament,
    stock.WhisperTimeStampLogitsProcessor: timestamps,
    stock.WhisperNoSpeechDetection: no_speech,
    stock.AlternatingCodebooksLogitsProcessor: codebooks,
    stock.BarkEosPrioritizerLogitsProcessor: likely_end,
    stock.DiaEOSChannelFilterLogitsProcessor: end_of_channel,
    stock.DiaEOSDelayPatternLogitsProcessor: delayed_end,
}
