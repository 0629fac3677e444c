"""Samplers of llama.cpp and exllamav2, called through ctypes, for `bench_sampling.py`.

Neither draws what torch draws for a seed, and neither keeps all ties, so their tokens are not
compared with ours: what is checked is that the token is one that the filters leave. Their options
are set in transformers' order, and the copy of the logits into their array of candidates is not
timed.

A library of llama.cpp's sampler alone, from the source distribution of llama-cpp-python (in
`vendor/llama.cpp`); what it does not call becomes a label at an instruction that traps:

    g++ -O3 -DNDEBUG -march=native -std=c++17 -fPIC -shared -Iinclude -Isrc -Iggml/include \\
        src/llama-sampler.cpp src/llama-impl.cpp -o open.so
    nm -u open.so | awk '$1=="U"{print $2}' | grep -v @ > missing
    { echo .text; sed 's/.*/.globl &\\n&:/' missing; echo ' ud2'; } > stubs.s
    g++ (the same options and files) stubs.s -o libllama_sampler.so

and of exllamav2's, in `exllamav2/exllamav2_ext/cpp`:

    g++ -O3 -DNDEBUG -mavx2 -std=c++17 -fPIC -shared sampling.cpp sampling_avx2.cpp profiling.cpp \\
        -o libexllamav2_sampling.so
"""

from __future__ import annotations

import ctypes
import random
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Step = tuple["Callable[[], None]", "Callable[[], int]"]
"""What is not timed, before each step; and the step, which gives a token."""

_Float = ctypes.c_float
_Pointer = ctypes.c_void_p


class _ChainParams(ctypes.Structure):
    _fields_ = (("no_perf", ctypes.c_bool),)


class _Candidates(ctypes.Structure):
    _fields_ = (
        ("data", _Pointer),
        ("size", ctypes.c_size_t),
        ("selected", ctypes.c_int64),
        ("sorted", ctypes.c_bool),
    )


def llama(path: Path, logits: np.ndarray, params: dict[str, Any]) -> Step:
    """A step of llama.cpp's sampler chain on one row."""
    library = ctypes.CDLL(str(path))

    def function(name: str, *arguments: Any, result: Any = _Pointer) -> Any:
        found = getattr(library, f"llama_sampler_{name}")
        found.argtypes, found.restype = arguments, result
        return found

    chain = function("chain_init", _ChainParams)(_ChainParams(True))
    add = function("chain_add", _Pointer, _Pointer, result=None)
    if not params.get("do_sample", True):
        add(chain, function("init_greedy")())
    else:
        if "temperature" in params:
            add(chain, function("init_temp", _Float)(params["temperature"]))
        if "top_k" in params:
            add(chain, function("init_top_k", ctypes.c_int32)(params["top_k"]))
        if "top_p" in params:
            add(chain, function("init_top_p", _Float, ctypes.c_size_t)(params["top_p"], 1))
        if "min_p" in params:
            add(chain, function("init_min_p", _Float, ctypes.c_size_t)(params["min_p"], 1))
        add(chain, function("init_dist", ctypes.c_uint32)(1))
    apply = function("apply", _Pointer, ctypes.POINTER(_Candidates), result=None)
    kind = np.dtype([("id", "<i4"), ("logit", "<f4"), ("p", "<f4")])
    array = np.empty(len(logits), kind)
    candidates = _Candidates()

    def fill() -> None:
        array["id"] = np.arange(len(logits))
        array["logit"] = logits
        array["p"] = 0.0
        # The samplers may have put an array of their own into the place of this one.
        candidates.data, candidates.size = array.ctypes.data, len(logits)
        candidates.selected, candidates.sorted = -1, False

    def step() -> int:
        apply(chain, candidates)
        at = candidates.data + candidates.selected * kind.itemsize
        return ctypes.c_int32.from_address(at).value

    return fill, step


def exllamav2(path: Path, logits: np.ndarray, params: dict[str, Any]) -> Step:
    """A step of exllamav2's sampling functions on one row, in the order of its `sample_basic`."""
    library = ctypes.CDLL(str(path))
    rest = (ctypes.c_int, _Pointer, _Pointer)
    # Registers are stored at aligned addresses, up to a multiple of 32 values.
    buffer = np.empty(len(logits) + 64, np.float32)
    probs = buffer[-(buffer.ctypes.data // 4) % 8 :]
    ids = np.empty(len(logits), np.int32)
    order = np.arange(len(logits), dtype=np.int32)
    softmax = library._Z11softmax_cpuifPKfPKbfPf
    softmax.argtypes = (ctypes.c_int, _Float, _Pointer, _Pointer, _Float, _Pointer)
    normalize = library._Z13normalize_cpuiPf
    normalize.argtypes = (ctypes.c_int, _Pointer)
    top_k = library._Z9top_k_cpuiPfPiii
    top_k.argtypes = (*rest, ctypes.c_int, ctypes.c_int)
    top_p, min_p = library._Z9top_p_cpuiPfPif, library._Z9min_p_cpuiPfPif
    multinomial = library._Z15multinomial_cpuiPfPif
    for function in (top_p, min_p, multinomial):
        function.argtypes = (*rest, _Float)
    p, i, row = (array.ctypes.data_as(_Pointer) for array in (probs, ids, logits))
    uniforms = random.Random(1)
    temperature = params.get("temperature", 1.0)

    def fill() -> None:
        ids[:] = order

    def step() -> int:
        best = softmax(len(logits), temperature, row, None, 1.0, p)
        if not params.get("do_sample", True):
            return int(best)
        count = len(logits)
        if "top_k" in params:
            count = top_k(count, p, i, params["top_k"], best)
            normalize(count, p)
        if "top_p" in params:
            count = top_p(count, p, i, params["top_p"])
            normalize(count, p)
        if "min_p" in params:
            count = min_p(count, p, i, params["min_p"])
            normalize(count, p)
        multinomial(count, p, i, uniforms.random())
        return int(ids[0])

    return fill, step
