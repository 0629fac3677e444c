"""The sampler: compiled steps over rows of logits, and a draw."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from penstock import _locks, _native
from penstock.errors import SamplingError
from penstock.sampling import _arrays, _torch
from penstock.sampling._params import SamplingParams
from penstock.sampling._torch import DEFAULT_LANES, _ready

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from penstock.sampling._params import Plans, Step

Rng = Literal["torch", "row-seeds"]
_INT64_BITS = 64
_new_tuple = tuple.__new__
_PENALTIES = (
    "repetition_penalty",
    "frequency_penalty",
    "presence_penalty",
    "no_repeat_ngram_size",
)


class SampleOutput(NamedTuple):
    """What a call of `Sampler` gives; tensors if it was given a tensor, NumPy arrays otherwise.

    Attributes:
        tokens: `[batch]` of `int64`.
        logprobs: `[batch]` of `float32`, the log-probability of each token, if asked for.
        top_logprobs: Ids `[batch, n]` of `int64` and log-probabilities `[batch, n]` of `float32` of
            the likeliest tokens, if asked for; -1 and -inf where a row has fewer.
        scores: `[batch, vocabulary]` of `float32`, what the draw was made from, if asked for.
    """

    tokens: Any
    logprobs: Any = None
    top_logprobs: tuple[Any, Any] | None = None
    scores: Any = None


class Sampler:
    """Chooses the next token of each row.

    Args:
        params: Options for all rows, or one set for each row.
        rng: `"torch"`: the tokens, and the generator's state afterwards, are those of transformers'
            processors followed by `torch.multinomial` on the CPU. `"row-seeds"`: a stream keyed by
            seed, step and token id, so a row's draw does not depend on its batch, on threads or on
            the machine.
        seed: With `"torch"`, a generator of this sampler's own, seeded as `manual_seed` does and
            without torch; without a seed torch's global generator is used. With `"row-seeds"`, row
            `i` has the seed `seed + i` unless a call brings `seeds`.

    Raises:
        SamplingError: An option is out of range.

    Example:
        >>> import numpy as np
        >>> sampler = Sampler(SamplingParams(temperature=0.8, top_p=0.95), seed=0)
        >>> logits = np.random.default_rng(0).normal(size=(2, 100)).astype(np.float32)
        >>> sampler(logits).tokens.shape
        (2,)
    """

    def __init__(
        self,
        params: SamplingParams | Sequence[SamplingParams] = SamplingParams(),  # noqa: B008
        *,
        rng: Rng = "torch",
        seed: int | None = None,
    ) -> None:
        if rng not in ("torch", "row-seeds"):
            raise SamplingError(f'`rng` is "torch" or "row-seeds", not {rng!r}')
        if rng == "row-seeds" and seed is None:
            seed = 0
        if seed is not None and not -(2**63) <= seed < 2**_INT64_BITS:
            raise SamplingError(f"`seed` has to fit into 64 bits, but is {seed}")
        self.params = [params] if isinstance(params, SamplingParams) else list(params)
        if not self.params:
            raise SamplingError("`params` is empty")
        for item in self.params:
            if not isinstance(item, SamplingParams):
                raise SamplingError(f"`params` are SamplingParams, not {type(item).__name__}")
        self.rng = rng
        self.seed = seed
        self._steps = 0
        # Guards `_steps` and `_state`, which is replaced and not written in place: a child forked
        # meanwhile has the old one or the new.
        self._lock = _locks.lock()
        self._plans = [(item.do_sample, item.steps()) for item in self.params]
        self._native = _native.Sampler(self._plans)
        self._counted: tuple[tuple[int, ...], Plans, Any] | None = None
        self._draws = any(item.do_sample for item in self.params)
        self._counts_new = any(
            item.min_new_tokens
            or item.exponential_decay_length_penalty is not None
            or item.begin_suppress_tokens is not None
            for item in self.params
        )
        self._looks_back = any(
            getattr(item, name) is not None for item in self.params for name in _PENALTIES
        )
        self._prefix = [item.prefix_allowed_tokens_fn for item in self.params]
        self._has_prefix = any(function is not None for function in self._prefix)
        self._is_plain = rng == "torch" and not self._has_prefix and not self._counts_new
        self._state = None
        if rng == "torch" and seed is not None:
            self._state = _native.torch_state(seed % 2**_INT64_BITS)

    @classmethod
    def from_steps(cls, steps: list[Step], *, do_sample: bool) -> Sampler:
        """A sampler for steps that are compiled already, the same for all rows."""
        self = cls(SamplingParams(do_sample=do_sample))
        self._plans = [(do_sample, steps)]
        self._native = _native.Sampler(self._plans)
        self._is_plain = False
        return self

    def __getstate__(self) -> dict[str, Any]:
        """What a copy goes on from, with a lock and compiled steps of its own."""
        with self._lock:
            state = dict(vars(self))
        del state["_lock"], state["_native"]
        return {**state, "_counted": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Compiles the steps again."""
        vars(self).update(state)
        self._lock, self._native = _locks.lock(), _native.Sampler(self._plans)

    def __call__(
        self,
        logits: Any,
        input_ids: ArrayLike | None = None,
        *,
        allowed_mask: Any = None,
        logprobs: int | None = None,
        logprobs_mode: Literal["processed", "raw"] = "processed",
        return_scores: bool = False,
        generator: Any = None,
        seeds: Sequence[int] | None = None,
        step: int | None = None,
        encoder_input_ids: ArrayLike | None = None,
        prompt_lengths: Sequence[int] | None = None,
        padding: Sequence[int] | None = None,
    ) -> SampleOutput:
        """Chooses a token for each row of `logits`.

        Args:
            logits: `[batch, vocabulary]` or `[vocabulary]`; NumPy or torch on the CPU; `float32`,
                `float16` or `bfloat16`, read in place.
            input_ids: `[batch, length]` of integers, the tokens so far. Penalties of earlier tokens
                need them.
            allowed_mask: `[batch, ceil(vocabulary / 32)]` of `int32` with a bit for each allowed
                token, the first in the lowest bit (as xgrammar and llguidance fill it), or booleans
                `[batch, vocabulary]`. Acts behind the penalties and before the filters.
            logprobs: Also return log-probabilities: of the drawn token and this many likeliest.
            logprobs_mode: Of the filtered scores, or of the logits as given.
            return_scores: Also return the filtered scores.
            generator: A `torch.Generator` instead of the global one.
            seeds: `rng="row-seeds"`: the seed of each row.
            step: `rng="row-seeds"`: number of the token in its row; counts the calls by default.
            encoder_input_ids: `[batch, length]`, for the encoder's penalties.
            prompt_lengths: Tokens of each row that belong to the prompt: not counted by
                `frequency_penalty` and `presence_penalty`, and where `min_new_tokens` begins.
            padding: Tokens at the start of each row that are padding, skipped by
                `repetition_penalty`.

        Raises:
            LogitsError: A row holds NaN or +inf, or nothing but -inf (also a `RuntimeError`). The
                generator is left as it was.
            TokenRangeError: A token id lies outside the vocabulary.
            SamplingError: Shapes, types or lengths do not fit.
        """
        if (
            self._is_plain
            and allowed_mask is None
            and logprobs is None
            and not return_scores
            and encoder_input_ids is None
            and prompt_lengths is None
            and padding is None
        ):
            tokens = self._step(logits, input_ids, generator)
            if tokens is not None:
                return _new_tuple(SampleOutput, (tokens, None, None, None))
        if logprobs is not None and logprobs < 0:
            raise SamplingError(f"`logprobs` is a number of tokens, but is {logprobs}")
        if logprobs_mode not in ("processed", "raw"):
            raise SamplingError(f'`logprobs_mode` is "processed" or "raw", not {logprobs_mode!r}')
        if generator is not None and not hasattr(generator, "get_state"):
            raise SamplingError(f"`generator` has to be a torch.Generator, not {type(generator)}")
        if self._looks_back and input_ids is None:
            raise SamplingError("penalties of earlier tokens need `input_ids`")
        array, brain, tensor = _arrays.rows(logits)
        options: dict[str, Any] | None = None
        if not (
            input_ids is None
            and allowed_mask is None
            and logprobs is None
            and encoder_input_ids is None
            and self._is_plain
        ):
            options = self._options(
                array, input_ids, allowed_mask, encoder_input_ids, prompt_lengths, padding
            )
            if logprobs is not None:
                options["logprobs"] = logprobs
                options["raw_logprobs"] = logprobs_mode == "raw"
        plans, native = self._plans, self._native
        if self._counts_new:
            plans, native = self._counting_from(prompt_lengths, len(array))
        if self.rng == "torch":
            drawn = self._draw_torch(plans, native, array, brain, options, generator)
        else:
            with self._lock:
                number = self._steps if step is None else step
                rows = self._seeds(seeds, number, len(array))
                drawn = native.draw_rows(array, rows, brain, options)
                self._steps += 1
        scores = None
        if return_scores:
            scores = _torch.exact_scores(native, plans, array, brain, options)
        return _output(drawn[0], drawn[2], scores, tensor)

    def _step(self, logits: Any, input_ids: Any, generator: Any) -> Any:
        """Tokens for arrays or tensors that can be read as they are; None for all others.

        A step of a loop: as little as possible stands between the arguments and the kernel.
        """
        if input_ids is None and self._looks_back:
            return None
        if generator is not None and not hasattr(generator, "get_state"):
            return None
        kind = type(logits)
        torch = _ready[0] if _ready else _torch.ready()
        wrap = None
        if torch is not None and kind is torch.tensor:
            wrap = torch.from_numpy
            try:
                logits = logits.numpy()
                if input_ids is not None and type(input_ids) is kind:
                    input_ids = input_ids.numpy()
            except (RuntimeError, TypeError):
                # A gradient, an accelerator, brain floats.
                return None
        elif kind is not np.ndarray:
            return None
        lanes = torch.lanes if torch is not None else DEFAULT_LANES
        if not self._draws:
            drawn = self._native.step(logits, None, lanes, input_ids)
        elif self._state is not None and generator is None:
            with self._lock:
                state = self._state.copy()
                drawn = self._native.step(logits, state, lanes, input_ids)
                self._state = state
        elif torch is None:
            return None
        else:
            if generator is None:
                generator, lock = torch.generator, torch.lock
            else:
                lock = _torch.lock_of(generator)
            # As `_torch.drawn_from`, without the calls.
            with lock:
                state = generator.get_state()
                drawn = self._native.step(logits, state.numpy(), lanes, input_ids)
                generator.set_state(state)
        if type(drawn) is tuple:
            drawn = self._resolved(drawn, logits, input_ids)
        return drawn if wrap is None or drawn is None else wrap(drawn)

    def _resolved(self, drawn: Any, array: Any, input_ids: Any) -> Any:
        """Tokens, once torch has decided what depends on it."""
        if _torch.ready() is None:
            return drawn[0]
        options = None if input_ids is None else {"input_ids": input_ids}
        return _torch.resolve(drawn, self._plans, array, False, options)[0]

    def choose(
        self, logits: Any, options: dict[str, Any] | None, *, return_scores: bool = False
    ) -> tuple[Any, Any]:
        """Tokens of a tensor of logits and, on request, the scores; options are the native ones."""
        array, brain, _ = _arrays.rows(logits)
        drawn = self._draw_torch(self._plans, self._native, array, brain, options, None)
        scores = None
        if return_scores:
            scores = _torch.from_numpy(
                _torch.exact_scores(self._native, self._plans, array, brain, options)
            )
        return _torch.from_numpy(drawn[0]), scores

    def scores(self, logits: Any, options: dict[str, Any] | None) -> Any:
        """Scores of a tensor of logits; options are the native ones."""
        array, brain, _ = _arrays.rows(logits)
        return _torch.from_numpy(
            _torch.exact_scores(self._native, self._plans, array, brain, options)
        )

    def _counting_from(self, prompt_lengths: Sequence[int] | None, count: int) -> tuple[Plans, Any]:
        """The steps, plain and compiled, with the prompts' lengths in what counts new tokens."""
        lengths = tuple(prompt_lengths) if prompt_lengths is not None else (0,) * count
        counted = self._counted
        if counted is None or counted[0] != lengths:
            params = self.params if len(self.params) > 1 else self.params * max(len(lengths), 1)
            if len(params) != len(lengths):
                raise SamplingError(
                    f"prompt_lengths has {len(lengths)} rows, the options {len(params)}"
                )
            plans = [
                (item.do_sample, item.steps(length))
                for item, length in zip(params, lengths, strict=True)
            ]
            # Set as one: another thread reads it meanwhile.
            counted = self._counted = lengths, plans, _native.Sampler(plans)
        return counted[1], counted[2]

    def _options(
        self,
        array: Any,
        input_ids: Any,
        allowed_mask: Any,
        encoder_input_ids: Any,
        prompt_lengths: Any,
        padding: Any,
    ) -> dict[str, Any]:
        count, vocabulary = array.shape
        options: dict[str, Any] = {}
        if input_ids is not None:
            options["input_ids"] = _arrays.token_rows(input_ids, count, "input_ids")
        if encoder_input_ids is not None:
            rows = _arrays.token_rows(encoder_input_ids, count, "encoder_input_ids")
            options["encoder_ids"] = rows
        if allowed_mask is not None:
            options["allowed"] = _arrays.mask_rows(allowed_mask, count, vocabulary, "allowed_mask")
        if prompt_lengths is not None:
            options["prompt"] = _arrays.lengths(prompt_lengths, "prompt_lengths")
        if padding is not None:
            options["padding"] = _arrays.lengths(padding, "padding")
        if self._has_prefix:
            functions = self._prefix if len(self._prefix) > 1 else self._prefix * count
            options["prefix_allowed"] = prefix_mask(functions, input_ids, count, vocabulary)
        return options

    def _draw_torch(
        self,
        plans: Plans,
        native: Any,
        array: Any,
        brain: bool,
        options: dict[str, Any] | None,
        generator: Any,
    ) -> Any:
        if self._state is not None and generator is None:
            lanes = _torch.lanes_without_torch()
            if lanes != _torch.DEFAULT_LANES:
                options = {**(options or {}), "lanes": lanes}
            with self._lock:
                state = self._state.copy()
                drawn = native.draw_torch(array, state, brain, options)
                self._state = state
            if drawn[1] and _torch.is_loaded():
                return _torch.resolve(drawn, plans, array, brain, options)
            return drawn
        if not self._draws:
            drawn = native.draw_rows(array, [(0, 0)] * len(array), brain, options)
            if drawn[1] and _torch.is_loaded():
                return _torch.resolve(drawn, plans, array, brain, options)
            return drawn
        return _torch.draw(native, plans, array, brain, options, generator)

    def _seeds(self, seeds: Sequence[int] | None, step: int, count: int) -> list[tuple[int, int]]:
        if seeds is None:
            first = self.seed or 0
            seeds = range(first, first + count)
        elif len(seeds) != count:
            raise SamplingError(f"seeds has {len(seeds)} rows, the logits {count}")
        try:
            return [(operator.index(seed) % 2**_INT64_BITS, step) for seed in seeds]
        except TypeError as error:
            raise SamplingError(f"seeds have to be integers: {error}") from error


def prefix_mask(functions: Sequence[Any], input_ids: Any, count: int, vocabulary: int) -> Any:
    """What each row's function allows, as bits."""
    if input_ids is None:
        raise SamplingError("`prefix_allowed_tokens_fn` needs `input_ids`")
    mask = np.ones((count, vocabulary), dtype=np.bool_)
    for row, function in enumerate(functions):
        if function is None:
            continue
        allowed = list(function(row, input_ids[row]))
        if not allowed:
            raise SamplingError(
                f"`prefix_allowed_tokens_fn` returned an empty list for batch ID {row}. "
                "This means that the constraint is unsatisfiable."
            )
        mask[row] = False
        mask[row, allowed] = True
    return _arrays.pack(mask)


def _output(tokens: Any, logprobs: Any, scores: Any, tensor: bool) -> SampleOutput:
    if not tensor:
        if logprobs is None:
            return SampleOutput(tokens, scores=scores)
        return SampleOutput(tokens, logprobs[0], (logprobs[1], logprobs[2]), scores)
    wrap = _torch.from_numpy
    tokens = wrap(tokens)
    scores = None if scores is None else wrap(scores)
    if logprobs is None:
        return SampleOutput(tokens, scores=scores)
    return SampleOutput(tokens, wrap(logprobs[0]), (wrap(logprobs[1]), wrap(logprobs[2])), scores)
