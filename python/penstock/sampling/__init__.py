"""From logits to the next token: compiled, exact, on NumPy arrays and torch CPU tensors.

Importing this package loads neither torch nor transformers.
"""

from __future__ import annotations

from penstock.sampling._draws import multinomial as multinomial
from penstock.sampling._draws import speculative_sampling as speculative_sampling
from penstock.sampling._kernels import allowed_tokens as allowed_tokens
from penstock.sampling._kernels import bad_words as bad_words
from penstock.sampling._kernels import (
    encoder_no_repeat_ngram as encoder_no_repeat_ngram,
)
from penstock.sampling._kernels import (
    encoder_repetition_penalty as encoder_repetition_penalty,
)
from penstock.sampling._kernels import epsilon as epsilon
from penstock.sampling._kernels import eta as eta
from penstock.sampling._kernels import (
    exponential_decay_length_penalty as exponential_decay_length_penalty,
)
from penstock.sampling._kernels import forced_bos as forced_bos
from penstock.sampling._kernels import forced_eos as forced_eos
from penstock.sampling._kernels import frequency_presence_penalty as frequency_presence_penalty
from penstock.sampling._kernels import min_length as min_length
from penstock.sampling._kernels import min_new_tokens as min_new_tokens
from penstock.sampling._kernels import min_p as min_p
from penstock.sampling._kernels import no_repeat_ngram as no_repeat_ngram
from penstock.sampling._kernels import normalize as normalize
from penstock.sampling._kernels import prefix_constrained as prefix_constrained
from penstock.sampling._kernels import remove_invalid as remove_invalid
from penstock.sampling._kernels import repetition_penalty as repetition_penalty
from penstock.sampling._kernels import sequence_bias as sequence_bias
from penstock.sampling._kernels import suppress_tokens as suppress_tokens
from penstock.sampling._kernels import suppress_tokens_at_begin as suppress_tokens_at_begin
from penstock.sampling._kernels import temperature as temperature
from penstock.sampling._kernels import top_h as top_h
from penstock.sampling._kernels import top_k as top_k
from penstock.sampling._kernels import top_p as top_p
from penstock.sampling._kernels import typical as typical
from penstock.sampling._params import SamplingParams as SamplingParams
from penstock.sampling._sampler import SampleOutput as SampleOutput
from penstock.sampling._sampler import Sampler as Sampler
