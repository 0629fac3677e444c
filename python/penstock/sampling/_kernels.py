"""Single steps as functions: logits in, masked logits out, equal to the transformers processor's.

Each takes `[batch, vocabulary]` or `[vocabulary]` logits, NumPy or torch on the CPU, in `float32`,
`float16` or `bfloat16`, and returns new `float32` scores of the same kind and shape. Where the
result depends on the order in which torch's unstable sort leaves equal values, torch decides if the
program has loaded it; otherwise the lowest ids are kept.

All raise `SamplingError` for options, shapes and types that do not fit (also a `ValueError`) and
`TokenRangeError` for ids outside the vocabulary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from penstock import _native
from penstock.errors import LogitsError, SamplingError
from penstock.sampling import _arrays, _params, _torch
from penstock.sampling._sampler import prefix_mask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def _apply(logits: Any, step: _params.Step, **options: Any) -> Any:
    array, brain, tensor = _arrays.rows(logits)
    count, vocabulary = array.shape
    for name, key in (("input_ids", "input_ids"), ("encoder_input_ids", "encoder_ids")):
        if name in options:
            options[key] = _arrays.token_rows(options.pop(name), count, name)
    if "allowed" in options:
        options["allowed"] = _arrays.mask_rows(options["allowed"], count, vocabulary, "mask")
    plans = [(True, [step])]
    scores = _torch.exact_scores(_native.Sampler(plans), plans, array, brain, options)
    if step[0] in ("eta", "top_h", "top_k"):
        for row in _rows_without_distribution(logits, tensor):
            if step[0] != "top_k":
                raise LogitsError(f"row {row}: the logits have no entropy", row)
            if _torch.is_loaded():
                scores[row] = _torch.scores_by_torch(plans, array, brain, options, row).numpy()[0]
    scores = scores.reshape(np.shape(logits))
    return _torch.from_numpy(scores) if tensor else scores


def _rows_without_distribution(logits: Any, tensor: bool) -> list[int]:
    """The rows that hold NaN, positive infinity, or nothing but its negative."""
    values = logits.detach().float().numpy() if tensor else np.asarray(logits)
    largest = values.reshape(-1, values.shape[-1]).max(axis=-1)
    found: list[int] = np.flatnonzero(~np.isfinite(largest)).tolist()
    return found


def temperature(logits: Any, temperature: float) -> Any:
    """Divides by `temperature`, as `TemperatureLogitsWarper`."""
    return _apply(logits, _params.temperature_step(temperature))


def top_k(logits: Any, top_k: int, *, min_tokens_to_keep: int = 1) -> Any:
    """Keeps the `top_k` largest and their ties, as `TopKLogitsWarper`."""
    return _apply(logits, _params.top_k_step(top_k, min_tokens_to_keep))


def top_p(logits: Any, top_p: float, *, min_tokens_to_keep: int = 1) -> Any:
    """Keeps the likeliest tokens that have this mass, as `TopPLogitsWarper`."""
    return _apply(logits, _params.top_p_step(top_p, min_tokens_to_keep))


def min_p(logits: Any, min_p: float, *, min_tokens_to_keep: int = 1) -> Any:
    """Keeps tokens of at least this share of the largest probability, as `MinPLogitsWarper`."""
    return _apply(logits, _params.min_p_step(min_p, min_tokens_to_keep))


def typical(logits: Any, mass: float, *, min_tokens_to_keep: int = 1) -> Any:
    """Keeps the tokens whose surprise is nearest to the entropy, as `TypicalLogitsWarper`."""
    return _apply(logits, _params.typical_step(mass, min_tokens_to_keep))


def top_h(logits: Any, top_h: float) -> Any:
    """Keeps the likeliest tokens within a share of their entropy, as `TopHLogitsWarper`."""
    return _apply(logits, _params.top_h_step(top_h))


def epsilon(logits: Any, epsilon: float, *, min_tokens_to_keep: int = 1) -> Any:
    """Keeps tokens of at least this probability, as `EpsilonLogitsWarper`."""
    return _apply(logits, _params.cutoff_step("epsilon", epsilon, min_tokens_to_keep))


def eta(logits: Any, epsilon: float, *, min_tokens_to_keep: int = 1) -> Any:
    """Keeps tokens above a bound that falls with the entropy, as `EtaLogitsWarper`."""
    return _apply(logits, _params.cutoff_step("eta", epsilon, min_tokens_to_keep))


def normalize(logits: Any) -> Any:
    """Log-probabilities, as `LogitNormalization`."""
    return _apply(logits, ("normalize",))


def remove_invalid(logits: Any) -> Any:
    """NaN to 0, infinities to the finite limits, as `InfNanRemoveLogitsProcessor`."""
    return _apply(logits, ("remove_invalid",))


def repetition_penalty(
    logits: Any, input_ids: Any, penalty: float, *, padding: Sequence[int] | None = None
) -> Any:
    """Penalizes tokens seen, as `RepetitionPenaltyLogitsProcessor`.

    `padding` is the number of tokens at the start of each row that do not count.
    """
    options = {} if padding is None else {"padding": _arrays.lengths(padding, "padding")}
    step = _params.repetition_step(penalty)
    return _apply(logits, step, input_ids=input_ids, **options)


def encoder_repetition_penalty(logits: Any, encoder_input_ids: Any, penalty: float) -> Any:
    """Favours the encoder's tokens, as `EncoderRepetitionPenaltyLogitsProcessor`."""
    step = _params.encoder_repetition_step(penalty)
    return _apply(logits, step, encoder_input_ids=encoder_input_ids)


def frequency_presence_penalty(
    logits: Any,
    input_ids: Any,
    *,
    frequency: float = 0.0,
    presence: float = 0.0,
    prompt_lengths: Sequence[int] | None = None,
) -> Any:
    """Subtracts `frequency` for each occurrence of a token behind the prompt, `presence` once."""
    options = {}
    if prompt_lengths is not None:
        options["prompt"] = _arrays.lengths(prompt_lengths, "prompt_lengths")
    step = _params.count_step(frequency, presence)
    return _apply(logits, step, input_ids=input_ids, **options)


def no_repeat_ngram(logits: Any, input_ids: Any, ngram_size: int) -> Any:
    """Bans tokens that would repeat an n-gram, as `NoRepeatNGramLogitsProcessor`."""
    step = ("no_repeat_ngram", _params.positive("ngram_size", ngram_size))
    return _apply(logits, step, input_ids=input_ids)


def encoder_no_repeat_ngram(
    logits: Any, input_ids: Any, encoder_input_ids: Any, ngram_size: int
) -> Any:
    """Bans n-grams of the encoder's tokens, as `EncoderNoRepeatNGramLogitsProcessor`."""
    step = ("encoder_no_repeat_ngram", _params.positive("encoder_ngram_size", ngram_size))
    return _apply(logits, step, input_ids=input_ids, encoder_input_ids=encoder_input_ids)


def sequence_bias(logits: Any, input_ids: Any, sequence_bias: Any) -> Any:
    """Adds a bias to tokens that would complete a sequence, as `SequenceBiasLogitsProcessor`."""
    return _apply(logits, _params.sequence_bias_step(sequence_bias), input_ids=input_ids)


def bad_words(
    logits: Any, input_ids: Any, bad_words_ids: list[list[int]], *, eos_token_id: Any = None
) -> Any:
    """Bans tokens that would complete a word, as `NoBadWordsLogitsProcessor`."""
    step = _params.bad_words_step(bad_words_ids, _params.ids_of(eos_token_id))
    return _apply(logits, step, input_ids=input_ids)


def min_length(logits: Any, input_ids: Any, min_length: int, eos_token_id: Any) -> Any:
    """Bans the end while rows are shorter than `min_length`, as `MinLengthLogitsProcessor`."""
    length = _params.not_negative("min_length", min_length)
    step = ("min_length", (length, _params.ids_of(eos_token_id)))
    return _apply(logits, step, input_ids=input_ids)


def min_new_tokens(
    logits: Any, input_ids: Any, prompt_length: int, min_new_tokens: int, eos_token_id: Any
) -> Any:
    """The same for tokens behind the prompt, as `MinNewTokensLengthLogitsProcessor`."""
    length = _params.not_negative("prompt_length_to_skip", prompt_length)
    length += _params.not_negative("min_new_tokens", min_new_tokens)
    step = ("min_length", (length, _params.ids_of(eos_token_id)))
    return _apply(logits, step, input_ids=input_ids)


def forced_bos(logits: Any, input_ids: Any, bos_token_id: int) -> Any:
    """Nothing but `bos_token_id` at length 1, as `ForcedBOSTokenLogitsProcessor`."""
    return _apply(logits, ("forced", (1, _params.ids_of(bos_token_id))), input_ids=input_ids)


def forced_eos(logits: Any, input_ids: Any, max_length: int, eos_token_id: Any) -> Any:
    """Nothing but the end before `max_length`, as `ForcedEOSTokenLogitsProcessor`."""
    eos = _params.not_negative_ids("eos_token_id", _params.ids_of(eos_token_id))
    if max_length < 1:
        raise SamplingError(f"`max_length` has to be at least 1, but is {max_length}")
    return _apply(logits, ("forced", (max_length - 1, eos)), input_ids=input_ids)


def exponential_decay_length_penalty(
    logits: Any, input_ids: Any, penalty: tuple[int, float], eos_token_id: Any, prompt_length: int
) -> Any:
    """Raises the end more and more, as `ExponentialDecayLengthPenalty`."""
    step = _params.decay_step(penalty, _params.ids_of(eos_token_id), prompt_length)
    return _apply(logits, step, input_ids=input_ids)


def suppress_tokens(logits: Any, tokens: Any) -> Any:
    """Bans tokens, as `SuppressTokensLogitsProcessor`."""
    return _apply(logits, ("suppress", (None, _params.ids_of(tokens))))


def suppress_tokens_at_begin(logits: Any, input_ids: Any, tokens: Any, begin_index: int) -> Any:
    """Bans tokens at length `begin_index`, as `SuppressTokensAtBeginLogitsProcessor`."""
    step = ("suppress", (begin_index, _params.ids_of(tokens)))
    return _apply(logits, step, input_ids=input_ids)


def prefix_constrained(
    logits: Any, input_ids: Any, prefix_allowed_tokens_fn: Callable[[int, Any], Sequence[int]]
) -> Any:
    """Allows what a function of row and tokens returns, as `PrefixConstrainedLogitsProcessor`."""
    array, _, _ = _arrays.rows(logits)
    mask = prefix_mask([prefix_allowed_tokens_fn] * len(array), input_ids, *array.shape)
    return _apply(logits, ("prefix_allowed",), input_ids=input_ids, prefix_allowed=mask)


def allowed_tokens(logits: Any, mask: Any) -> Any:
    """Bans what a mask does not allow.

    Args:
        logits: The logits.
        mask: `[batch, ceil(vocabulary / 32)]` of `int32`, a bit for each allowed token, the first
            in the lowest bit (xgrammar's and llguidance's layout), or booleans.
    """
    return _apply(logits, ("allowed",), allowed=mask)
