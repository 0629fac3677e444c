"""`generate` with compiled sampling: the decoding loop, and its steps."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import numpy as np
import torch
from transformers import GenerationMixin
from transformers.generation import utils as stock_utils
from transformers.generation.configuration_utils import GenerationMode
from transformers.generation.logits_process import LogitsProcessorList
from transformers.generation.utils import (
    ALL_CACHE_NAMES,
    GENERATION_MODES_MAPPING,
    GenerateDecoderOnlyOutput,
    GenerateEncoderDecoderOutput,
)

from penstock.errors import LogitsError, SamplingError
from penstock.sampling import Sampler, _torch
from penstock.sampling._sampler import prefix_mask
from penstock.transformers import _device, _patch
from penstock.transformers._steps import Segment, segments

_SAMPLE_MODES = ("greedy_search", "sample")
# The loop of transformers that `sample` stands in for; `install` puts ours into its place.
_stock_sample = GenerationMixin._sample


def sample(
    model: Any,
    input_ids: Any,
    logits_processor: LogitsProcessorList,
    stopping_criteria: Any,
    generation_config: Any,
    synced_gpus: bool | None = None,
    streamer: Any = None,
    token_streamer: Any = None,
    inputs_tensor: torch.Tensor | None = None,
    **model_kwargs: Any,
) -> Any:
    """Decodes greedily or by sampling: `model.generate(..., custom_generate=sample)`.

    The tokens, the scores and the state of torch's generator are those of `generate` without it.
    Beam search and assisted decoding are handed to transformers' own loops. Built-in processors
    run compiled, others in Python at their place; logits on an accelerator stay there.

    `generate` does not hand its `streamer` on to a callable, so this function takes it from the
    caller's frame; `token_streamer=` is the documented way round. It also loses `tokenizer`, which
    `stop_strings` needs: use `penstock.transformers.install()` for that.

    Example:
        >>> import penstock.transformers  # doctest: +SKIP
        >>> model.generate(
        ...     **inputs, do_sample=True, custom_generate=penstock.transformers.sample
        ... )  # doctest: +SKIP
    """
    given = _arguments_of_generate()
    streamer = token_streamer or streamer or given.get("streamer")
    assistant = given.get("assistant_model")
    if synced_gpus is None:
        synced_gpus = _synced_gpus(model, given.get("synced_gpus"))
    mode = generation_config.get_generation_mode(assistant)
    if mode.value not in _SAMPLE_MODES:
        name = GENERATION_MODES_MAPPING[mode]
        if "/" in name:
            raise SamplingError(
                f"{mode.value} lives in the repository {name}, which `generate` loads when it is "
                "called without `custom_generate`"
            )
        if mode is GenerationMode.BEAM_SEARCH and streamer is not None:
            raise SamplingError("`streamer` cannot be used with beam search")
        method = getattr(type(model), name)
        offered = {
            "synced_gpus": synced_gpus,
            "streamer": streamer,
            "assistant_model": assistant,
            "inputs_tensor": inputs_tensor,
        }
        taken = inspect.signature(method).parameters
        extra = {k: v for k, v in offered.items() if k in taken and v is not None}
        return method(
            model,
            input_ids,
            logits_processor=logits_processor,
            stopping_criteria=stopping_criteria,
            generation_config=generation_config,
            **extra,
            **model_kwargs,
        )
    return _loop(
        model,
        input_ids,
        logits_processor,
        stopping_criteria,
        generation_config,
        synced_gpus,
        streamer,
        **model_kwargs,
    )


def _arguments_of_generate() -> dict[str, Any]:
    """Local names of the `generate` that called `sample`, if it was called by one."""
    frame = sys._getframe(1).f_back
    code = inspect.unwrap(GenerationMixin.generate).__code__
    # One more frame than necessary: a `functools.partial` of `sample` has none, a wrapper one.
    for _ in range(2):
        if frame is not None and frame.f_code is not code:
            frame = frame.f_back
    return frame.f_locals if frame is not None and frame.f_code is code else {}


def _world_size() -> int:
    """Processes that run this model together."""
    distributed = torch.distributed
    return distributed.get_world_size() if distributed.is_initialized() else 1


def _synced_gpus(model: Any, asked: bool | None) -> bool:
    """What `generate` decides by itself when it is not told."""
    if asked is not None:
        return asked
    if _world_size() == 1:
        return False
    utils: Any = stock_utils
    return bool(utils.is_deepspeed_zero3_enabled() or utils.is_fsdp_managed_module(model))


class TokenChooser:
    """Logits of the last position to the next token of each row, for one call of `generate`."""

    def __init__(self, processors: LogitsProcessorList, rows: int, *, do_sample: bool) -> None:
        self._processors = processors
        self._do_sample = do_sample
        self._segments = segments(processors, rows)
        *before, last = self._segments
        self._before = [
            (segment, Sampler.from_steps(segment.steps, do_sample=True) if segment.steps else None)
            for segment in before
        ]
        self._last = last
        self._sampler = Sampler.from_steps(last.steps, do_sample=do_sample)

    @property
    def python_processors(self) -> list[Any]:
        """The processors that run in Python."""
        return [s.processor for s in self._segments if s.processor is not None]

    def choose(
        self, input_ids: Any, logits: Any, *, scores: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The next token of each row, and the processed scores if they are asked for.

        `logits` are `[batch, vocabulary]`, as the model gave them.
        """
        if logits.device.type != "cpu":
            processed = _device.scores(self._segments, input_ids, logits.float())
            return _device.choose(processed, do_sample=self._do_sample), processed
        for place, (segment, sampler) in enumerate(self._before):
            if segment.processor is not None:
                chain = LogitsProcessorList([segment.processor])
                logits = chain(input_ids, logits.to(torch.float32, copy=True))
                if not _are_scores(logits):
                    rest = self._segments[place + 1 :]
                    chain = LogitsProcessorList(p for part in rest for p in part.processors)
                    logits = chain(input_ids, logits)
                    return _device.choose(logits, do_sample=self._do_sample), logits
                continue
            logits, options = _inputs(segment, input_ids, logits)
            if sampler is not None:
                logits = sampler.scores(logits, options)
            if segment.finish is not None:
                logits = segment.finish(logits, options or {})
        logits, options = _inputs(self._last, input_ids, logits)
        try:
            return self._sampler.choose(logits, options, return_scores=scores)
        except LogitsError:
            if self._do_sample:
                raise
            # Greedy search of transformers takes such rows as they are.
            processed = _torch.scores_of_batch(self._last.steps, logits, options)
            return torch.argmax(processed, dim=-1), processed


def _are_scores(returned: Any) -> bool:
    """Whether a processor returned what kernels read; all else goes on in torch, as in stock."""
    return (
        type(returned) is torch.Tensor
        and returned.dtype is torch.float32
        and returned.device.type == "cpu"
        and returned.ndim == 2
        and returned.shape[1] > 0
    )


def _inputs(segment: Segment, input_ids: Any, logits: Any) -> tuple[Any, dict[str, Any] | None]:
    """The rows that the segment's steps begin with, and what else they need."""
    observer = segment.observer
    if observer is not None and input_ids.shape[1] == observer.begin_index:
        observer(input_ids, logits.to(torch.float32))
    options: dict[str, Any] = {}
    if segment.halves is not None:
        if len(logits) != 2 * len(input_ids):
            # It says what is wrong.
            segment.halves(input_ids, logits)
        logits, options["guide"] = logits.split(len(input_ids))
    for prepare in segment.prepare.values():
        options.update(prepare(input_ids, logits))
    if "guide" in options:
        options["guide"] = options["guide"].to(torch.float32).contiguous().numpy()
    if segment.needs_history:
        ids = np.ascontiguousarray(input_ids.numpy(), np.int64)
        # Before a guide has met its rows there are two for each one of tokens.
        options["input_ids"] = ids if len(ids) == len(logits) else np.concatenate([ids, ids])
    if segment.encoder_ids is not None:
        options["encoder_ids"] = segment.encoder_ids
    if segment.padding is not None:
        options["padding"] = segment.padding
    if segment.prefix is not None:
        rows, vocabulary = logits.shape
        functions = [segment.prefix._prefix_allowed_tokens_fn] * rows
        options["prefix_allowed"] = prefix_mask(functions, input_ids, rows, vocabulary)
    return logits, options or None


def _loop(
    model: Any,
    input_ids: Any,
    logits_processor: LogitsProcessorList,
    stopping_criteria: Any,
    generation_config: Any,
    synced_gpus: bool = False,
    streamer: Any = None,
    **model_kwargs: Any,
) -> Any:
    """The decoding loop: transformers' own steps around ours."""
    if input_ids.device.type == "mps" or torch.is_grad_enabled():
        # There transformers reads its stop flag one step late; nothing here is worth a second copy.
        # And through the kernels no gradient flows (`generate` itself turns gradients off).
        return _stock_sample(
            model,
            input_ids,
            logits_processor,
            stopping_criteria,
            generation_config,
            synced_gpus=synced_gpus,
            streamer=streamer,
            **model_kwargs,
        )
    config: Any = generation_config
    record = _Record(model, config, model_kwargs)
    chooser = TokenChooser(logits_processor, len(input_ids), do_sample=config.do_sample)
    pad: Any = config._pad_token_tensor
    pad = None if pad is None else pad.to(input_ids.device)
    ends = any(hasattr(criterion, "eos_token_id") for criterion in stopping_criteria)
    unfinished = torch.ones(len(input_ids), dtype=torch.long, device=input_ids.device)
    forward = (
        model.get_compiled_call(config.compile_config)
        if model._valid_auto_compile_criteria(model_kwargs, config)
        else model.__call__
    )

    finished = False
    outputs = model._prefill(
        input_ids, config, model_kwargs, is_first_iteration=not config.is_assistant
    )
    with model._optimize_model_for_decode():
        while model._has_unfinished_sequences(finished, synced_gpus, device=input_ids.device):
            if outputs is None:
                length = 1 if model_kwargs["use_cache"] else None
                inputs = model.prepare_inputs_for_generation(
                    input_ids, next_sequence_length=length, **model_kwargs
                )
                outputs = forward(**inputs, return_dict=True)
            model_kwargs = model._update_model_kwargs_for_generation(
                outputs, model_kwargs, is_encoder_decoder=model.config.is_encoder_decoder
            )
            if synced_gpus and finished:
                outputs = None
                continue

            logits = outputs.logits[:, -1].to(input_ids.device)
            tokens, scores = chooser.choose(input_ids, logits, scores=record.wants_scores)
            record.step(outputs, logits, scores)
            # A reference to either would keep the prompt's logits alive.
            outputs = logits = None

            if ends:
                tokens = tokens * unfinished + pad * (1 - unfinished)
            input_ids = torch.cat([input_ids, tokens[:, None]], dim=-1)
            unfinished = unfinished & ~stopping_criteria(input_ids, record.scores)
            if streamer is not None:
                streamer.put(tokens.cpu())
            finished = bool(unfinished.max() == 0)

    if streamer is not None:
        streamer.end()
    return record.output(input_ids, model_kwargs)


class _Record:
    """What `generate` returns besides the tokens."""

    def __init__(self, model: Any, config: Any, model_kwargs: dict[str, Any]) -> None:
        self._encoder_decoder = model.config.is_encoder_decoder
        self._asked = config.return_dict_in_generate

        def wanted(option: bool) -> tuple[Any, ...] | None:
            return () if self._asked and option else None

        self.scores = wanted(config.output_scores)
        self._logits = wanted(config.output_logits)
        self._attentions = wanted(config.output_attentions)
        self._cross_attentions = wanted(config.output_attentions)
        self._hidden_states = wanted(config.output_hidden_states)
        self._encoder: dict[str, Any] = {}
        if self._asked and self._encoder_decoder:
            encoder = model_kwargs["encoder_outputs"]
            self._encoder = {
                "encoder_attentions": encoder.get("attentions")
                if config.output_attentions
                else None,
                "encoder_hidden_states": encoder.get("hidden_states")
                if config.output_hidden_states
                else None,
            }

    @property
    def wants_scores(self) -> bool:
        """Whether processed scores are kept."""
        return self.scores is not None

    def step(self, outputs: Any, logits: Any, scores: torch.Tensor | None) -> None:
        """Keeps what was asked for of one step."""
        if not self._asked:
            return
        if self.scores is not None:
            self.scores += (scores,)
        if self._logits is not None:
            self._logits += (logits.to(torch.float32, copy=True),)
        if self._attentions is not None and self._cross_attentions is not None:
            if self._encoder_decoder:
                self._attentions += (outputs.decoder_attentions,)
                self._cross_attentions += (outputs.cross_attentions,)
            else:
                self._attentions += (outputs.attentions,)
        if self._hidden_states is not None:
            self._hidden_states += (
                (outputs.decoder_hidden_states,)
                if self._encoder_decoder
                else (outputs.hidden_states,)
            )

    def output(self, sequences: torch.Tensor, model_kwargs: dict[str, Any]) -> Any:
        """The tokens, or the output object that was asked for."""
        if not self._asked:
            return sequences
        cache = next((model_kwargs[name] for name in ALL_CACHE_NAMES if name in model_kwargs), None)
        common: dict[str, Any] = {
            "sequences": sequences,
            "scores": self.scores,
            "logits": self._logits,
            "past_key_values": cache,
        }
        if self._encoder_decoder:
            return GenerateEncoderDecoderOutput(
                **common,
                **self._encoder,
                decoder_attentions=self._attentions,
                cross_attentions=self._cross_attentions,
                decoder_hidden_states=self._hidden_states,
            )
        return GenerateDecoderOnlyOutput(
            **common, attentions=self._attentions, hidden_states=self._hidden_states
        )


def _installed_sample(
    self: Any,
    input_ids: Any,
    logits_processor: LogitsProcessorList,
    stopping_criteria: Any,
    generation_config: Any,
    synced_gpus: bool = False,
    streamer: Any = None,
    **model_kwargs: Any,
) -> Any:
    """`GenerationMixin._sample` while `install` is in force; its signature is the stock one."""
    return _loop(
        self,
        input_ids,
        logits_processor,
        stopping_criteria,
        generation_config,
        synced_gpus,
        streamer,
        **model_kwargs,
    )


def _replacements() -> list[_patch.Replacement]:
    return [_patch.Replacement(GenerationMixin, "_sample", lambda _original: _installed_sample)]


_patch.register(_patch.Group(_replacements))
