"""Options of sampling, with the names and the validation of transformers' `GenerationConfig`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from penstock.errors import SamplingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# A step of the compiled sampler: its name, then its options.
Step = tuple[Any, ...]
# Of each row: whether it draws, and its steps.
Plans: TypeAlias = "list[tuple[bool, list[Step]]]"


@dataclass(frozen=True)
class SamplingParams:
    """How tokens are chosen; what is left out does nothing.

    Names, ranges and the order of the steps are those of `transformers.GenerationConfig`
    (`generate` itself sets `top_k=50` unless told otherwise; here nothing is on by default).
    `frequency_penalty` and `presence_penalty` come on top: they are subtracted from the logits,
    the first once for each occurrence of a token behind the prompt, the second once for any. They
    act behind `repetition_penalty`.

    Raises:
        SamplingError: An option is out of range; also a `ValueError`, as transformers raises.
    """

    do_sample: bool = True
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    top_h: float | None = None
    typical_p: float | None = None
    epsilon_cutoff: float | None = None
    eta_cutoff: float | None = None
    renormalize_logits: bool = False
    repetition_penalty: float | None = None
    encoder_repetition_penalty: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    no_repeat_ngram_size: int | None = None
    encoder_no_repeat_ngram_size: int | None = None
    sequence_bias: Mapping[tuple[int, ...], float] | Sequence[Any] | None = None
    bad_words_ids: Sequence[Sequence[int]] | None = None
    min_length: int | None = None
    min_new_tokens: int | None = None
    max_length: int | None = None
    forced_bos_token_id: int | None = None
    forced_eos_token_id: int | Sequence[int] | None = None
    eos_token_id: int | Sequence[int] | None = None
    remove_invalid_values: bool = False
    exponential_decay_length_penalty: tuple[int, float] | None = None
    suppress_tokens: Sequence[int] | None = None
    begin_suppress_tokens: Sequence[int] | None = None
    prefix_allowed_tokens_fn: Callable[[int, Any], Sequence[int]] | None = None

    def __post_init__(self) -> None:
        self.steps()

    def steps(self, prompt_length: int = 0) -> list[Step]:
        """The compiled steps, in transformers' order.

        Args:
            prompt_length: Tokens of the prompt, for the options that count new tokens.
        """
        steps = self._edits(prompt_length)
        if self.do_sample:
            steps += self._filters()
        if self.renormalize_logits:
            steps.append(("normalize",))
        return steps

    def _edits(self, prompt_length: int) -> list[Step]:
        eos = ids_of(self.eos_token_id)
        steps: list[Step] = []
        if self.sequence_bias is not None:
            steps.append(sequence_bias_step(self.sequence_bias))
        if self.encoder_repetition_penalty not in (None, 1.0):
            steps.append(encoder_repetition_step(self.encoder_repetition_penalty))
        if self.repetition_penalty not in (None, 1.0):
            steps.append(repetition_step(self.repetition_penalty))
        if self.frequency_penalty or self.presence_penalty:
            steps.append(count_step(self.frequency_penalty or 0.0, self.presence_penalty or 0.0))
        if self.no_repeat_ngram_size:
            steps.append(("no_repeat_ngram", positive("ngram_size", self.no_repeat_ngram_size)))
        if self.encoder_no_repeat_ngram_size:
            size = positive("encoder_ngram_size", self.encoder_no_repeat_ngram_size)
            steps.append(("encoder_no_repeat_ngram", size))
        if self.bad_words_ids is not None:
            steps.append(bad_words_step(self.bad_words_ids, eos))
        if eos and self.min_length:
            steps.append(("min_length", (not_negative("min_length", self.min_length), eos)))
        if eos and self.min_new_tokens:
            new = not_negative("min_new_tokens", self.min_new_tokens)
            steps.append(("min_length", (prompt_length + new, eos)))
        if self.prefix_allowed_tokens_fn is not None:
            steps.append(("prefix_allowed",))
        if self.forced_bos_token_id is not None:
            steps.append(("forced", (1, ids_of(self.forced_bos_token_id))))
        if self.forced_eos_token_id is not None:
            if self.max_length is None:
                raise SamplingError("`forced_eos_token_id` needs `max_length`")
            forced = not_negative_ids("eos_token_id", ids_of(self.forced_eos_token_id))
            steps.append(("forced", (max(self.max_length - 1, 0), forced)))
        if self.remove_invalid_values:
            steps.append(("remove_invalid",))
        if self.exponential_decay_length_penalty is not None:
            steps.append(decay_step(self.exponential_decay_length_penalty, eos, prompt_length))
        if self.suppress_tokens is not None:
            steps.append(("suppress", (None, ids_of(self.suppress_tokens))))
        if self.begin_suppress_tokens is not None:
            begin = max(prompt_length, 1)
            if self.forced_bos_token_id is not None and prompt_length <= 1:
                begin += 1
            steps.append(("suppress", (begin, ids_of(self.begin_suppress_tokens))))
        # Idle unless a call brings a mask.
        steps.append(("allowed",))
        return steps

    def _filters(self) -> list[Step]:
        steps: list[Step] = []
        if self.temperature is not None and self.temperature != 1.0:
            steps.append(temperature_step(self.temperature))
        if self.top_h is not None:
            steps.append(top_h_step(self.top_h))
        if self.top_k:
            steps.append(top_k_step(self.top_k, 1))
        if self.top_p is not None and self.top_p != 1.0:
            if self.top_p == 0.0:
                raise SamplingError(f"`top_p` has to be a float > 0 and < 1, but is {self.top_p}")
            steps.append(top_p_step(self.top_p, 1))
        if self.min_p is not None:
            steps.append(min_p_step(self.min_p, 1))
        if self.typical_p is not None and self.typical_p != 1.0:
            steps.append(typical_step(self.typical_p, 1))
        if self.epsilon_cutoff is not None and self.epsilon_cutoff != 0.0:
            steps.append(cutoff_step("epsilon", self.epsilon_cutoff, 1))
        if self.eta_cutoff is not None and self.eta_cutoff != 0.0:
            steps.append(cutoff_step("eta", self.eta_cutoff, 1))
        return steps


def ids_of(value: Any) -> list[int]:
    """Token ids from one id, a sequence or an array."""
    if value is None:
        return []
    if hasattr(value, "tolist"):
        value = value.tolist()
    several = hasattr(value, "__iter__") and not isinstance(value, (str, bytes))
    items = list(value) if several else [value]
    if not all(_is_integer(item) for item in items):
        raise SamplingError(f"token ids have to be integers, but are {value!r}")
    return [int(item) for item in items]


def not_negative_ids(name: str, ids: list[int]) -> list[int]:
    """Ids that are at least 0."""
    if any(item < 0 for item in ids):
        raise SamplingError(f"`{name}` has to be a list of positive integers, but is {ids}")
    return ids


def positive(name: str, value: Any) -> int:
    """An integer above 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise SamplingError(f"`{name}` has to be a strictly positive integer, but is {value}")
    return value


def not_negative(name: str, value: Any) -> int:
    """An integer that is at least 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise SamplingError(f"`{name}` has to be a non-negative integer, but is {value}")
    return value


def temperature_step(temperature: Any) -> Step:
    """The step of `TemperatureLogitsWarper`."""
    if not isinstance(temperature, float) or not temperature > 0 or math.isinf(temperature):
        message = (
            f"`temperature` (={temperature}) has to be a strictly positive float, otherwise your "
            "next token scores will be invalid."
        )
        if isinstance(temperature, float) and temperature == 0.0:
            message += " If you're looking for greedy decoding strategies, set `do_sample=False`."
        raise SamplingError(message)
    return ("temperature", temperature)


def top_k_step(top_k: Any, min_keep: int) -> Step:
    """The step of `TopKLogitsWarper`."""
    return ("top_k", max(positive("top_k", top_k), min_keep))


def top_p_step(top_p: Any, min_keep: int) -> Step:
    """The step of `TopPLogitsWarper`."""
    top_p = float(top_p)
    if not 0.0 <= top_p <= 1.0:
        raise SamplingError(f"`top_p` has to be a float > 0 and < 1, but is {top_p}")
    return ("top_p", (top_p, positive("min_tokens_to_keep", min_keep)))


def min_p_step(min_p: Any, min_keep: int) -> Step:
    """The step of `MinPLogitsWarper`."""
    if not 0 <= min_p <= 1.0:
        raise SamplingError(f"`min_p` has to be a float in the [0, 1] interval, but is {min_p}")
    return ("min_p", (float(min_p), positive("min_tokens_to_keep", min_keep)))


def typical_step(mass: Any, min_keep: int) -> Step:
    """The step of `TypicalLogitsWarper`."""
    mass = float(mass)
    if not 0.0 < mass < 1.0:
        raise SamplingError(f"`typical_p` has to be a float > 0 and < 1, but is {mass}")
    return ("typical", (mass, positive("min_tokens_to_keep", min_keep)))


def cutoff_step(name: str, epsilon: Any, min_keep: int) -> Step:
    """The step of `EpsilonLogitsWarper` or `EtaLogitsWarper`."""
    epsilon = float(epsilon)
    if not 0.0 < epsilon < 1.0:
        raise SamplingError(f"`{name}_cutoff` has to be a float > 0 and < 1, but is {epsilon}")
    return (name, (epsilon, positive("min_tokens_to_keep", int(min_keep))))


def top_h_step(top_h: Any) -> Step:
    """The step of `TopHLogitsWarper`."""
    if not 0 < top_h <= 1:
        raise SamplingError("`top_h` must be in the range (0, 1].")
    return ("top_h", float(top_h))


def _penalty(penalty: Any) -> float:
    if not isinstance(penalty, float) or not penalty > 0:
        raise SamplingError(f"`penalty` has to be a strictly positive float, but is {penalty}")
    return penalty


def repetition_step(penalty: Any) -> Step:
    """The step of `RepetitionPenaltyLogitsProcessor`."""
    return ("repetition_penalty", _penalty(penalty))


def encoder_repetition_step(penalty: Any) -> Step:
    """The step of `EncoderRepetitionPenaltyLogitsProcessor`."""
    return ("encoder_repetition_penalty", 1 / _penalty(penalty))


def count_step(frequency: Any, presence: Any) -> Step:
    """The step of frequency and presence penalties."""
    for name, value in (("frequency_penalty", frequency), ("presence_penalty", presence)):
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            raise SamplingError(f"`{name}` has to be a finite number, but is {value}")
    return ("count_penalty", (float(frequency), float(presence)))


def sequence_bias_step(sequence_bias: Any) -> Step:
    """The step of `SequenceBiasLogitsProcessor`."""
    if not isinstance(sequence_bias, (dict, list)) or len(sequence_bias) == 0:
        raise SamplingError(
            "`sequence_bias` has to be a non-empty dictionary, or non-empty list of lists but is "
            f"{sequence_bias}."
        )
    if isinstance(sequence_bias, list):
        for item in sequence_bias:
            if len(item) != 2 or not isinstance(item[0], list) or not isinstance(item[1], float):
                raise SamplingError(
                    "Each element in `sequence_bias` has to be a list of token ids and a float, "
                    f"but is {item}."
                )
        sequence_bias = {tuple(ids): bias for ids, bias in sequence_bias}
    for ids, bias in sequence_bias.items():
        if not isinstance(ids, tuple) or len(ids) == 0 or not _are_ids(ids):
            raise SamplingError(
                "Each key in `sequence_bias` has to be a non-empty tuple of positive integers, "
                f"but is {ids}."
            )
        if not isinstance(bias, float):
            raise SamplingError(f"`sequence_bias` has to have floats as values, but has {bias}.")
    return ("sequence_bias", [([int(i) for i in ids], bias) for ids, bias in sequence_bias.items()])


def bad_words_step(bad_words_ids: Any, eos: Sequence[int]) -> Step:
    """The step of `NoBadWordsLogitsProcessor`; a word that is an end token alone is left out."""
    if not isinstance(bad_words_ids, list) or len(bad_words_ids) == 0:
        raise SamplingError(f"`bad_words_ids` has to be a non-empty list, but is {bad_words_ids}.")
    for word in bad_words_ids:
        if not isinstance(word, list) or not _are_ids(word):
            raise SamplingError(
                f"`bad_words_ids` has to be a list of lists of positive integers, but has {word}."
            )
    words = [word for word in bad_words_ids if not (len(word) == 1 and word[0] in eos)]
    return sequence_bias_step({tuple(word): float("-inf") for word in words})


def _are_ids(ids: Sequence[Any]) -> bool:
    return all(_is_integer(item) and item >= 0 for item in ids)


def _is_integer(value: Any) -> bool:
    """True for an integer of Python or NumPy, which a truth value is not meant for."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def decay_step(penalty: tuple[int, float], eos: list[int], prompt_length: int) -> Step:
    """The step of `ExponentialDecayLengthPenalty`."""
    try:
        start, factor = penalty
        start, factor = int(start), float(factor)
    except (TypeError, ValueError, OverflowError):
        raise SamplingError(
            f"`exponential_decay_length_penalty` is a start and a factor, but is {penalty!r}"
        ) from None
    eos = not_negative_ids("eos_token_id", eos)
    return ("exponential_decay", (start + prompt_length, factor, eos))
