"""Arrays of the caller as the rows that the compiled sampler reads, in place where possible."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.errors import SamplingError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BRAIN = "torch.bfloat16"


def is_tensor(value: Any) -> bool:
    """Whether `value` is a torch tensor; torch is not loaded to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def rows(logits: Any) -> tuple[NDArray[Any], bool, bool]:
    """Logits as a 2-D array of `float32` or of half-precision bits.

    Returns:
        The array, whether its bits are those of `bfloat16`, and whether a tensor was given.

    Raises:
        SamplingError: Not floating-point numbers in one or two dimensions, or not on the CPU.
    """
    torch = sys.modules.get("torch")
    if (
        torch is not None
        and type(logits) is torch.Tensor
        and logits.dtype is torch.float32
        and logits.ndim == 2
    ):
        # The common case, without a detour: no gradient, on the CPU.
        try:
            array = logits.numpy()
        except (RuntimeError, TypeError):
            pass
        else:
            if array.shape[1] and array.strides[1] == 4:
                return array, False, True
    if type(logits) is np.ndarray:
        array, brain, tensor = logits, False, False
    elif is_tensor(logits):
        if logits.device.type != "cpu":
            raise SamplingError(
                f"logits are on {logits.device}, this sampler reads the CPU's memory"
            )
        if logits.requires_grad:
            logits = logits.detach()
        tensor = True
        brain = str(logits.dtype) == _BRAIN
        try:
            if brain:
                torch = sys.modules["torch"]
                array = logits.view(torch.int16).numpy().view(np.uint16)
            else:
                array = logits.resolve_neg().numpy()
        except (RuntimeError, TypeError) as error:
            raise SamplingError(f"logits cannot be read as an array: {error}") from error
    else:
        try:
            array, brain, tensor = np.asarray(logits), False, False
        except ValueError as error:
            raise SamplingError(f"logits cannot be read as an array: {error}") from error
    if array.dtype == np.float64:
        array = array.astype(np.float32)
    elif array.dtype == np.float16:
        array = array.view(np.uint16)
    elif array.dtype != np.float32 and not brain:
        raise SamplingError(f"logits have to be floating-point numbers, not {array.dtype}")
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2:
        raise SamplingError(f"logits have to be [batch, vocabulary], not {array.shape}")
    if array.shape[1] == 0:
        raise SamplingError(f"logits of an empty vocabulary: {array.shape}")
    if array.strides[1] != array.itemsize:
        array = np.ascontiguousarray(array)
    return array, brain, tensor


def token_rows(ids: Any, count: int, name: str) -> NDArray[np.int64]:
    """Token ids as `[count, length]` of `int64`."""
    try:
        array = ids.numpy() if is_tensor(ids) else np.asarray(ids)
    except ValueError as error:
        raise SamplingError(f"{name}: the rows have different lengths") from error
    if array.dtype != np.int64:
        if array.size and not np.issubdtype(array.dtype, np.integer):
            raise SamplingError(f"{name} have to be integers, not {array.dtype}")
        array = array.astype(np.int64)
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2 or array.shape[0] != count:
        raise SamplingError(f"{name} have to be [{count}, length], not {array.shape}")
    if array.strides[1] != array.itemsize:
        array = np.ascontiguousarray(array)
    return array


def lengths(values: Any, name: str) -> list[int]:
    """A number of tokens for each row; the compiled steps check that there is one for each.

    Raises:
        SamplingError: A negative length.
    """
    out = [int(value) for value in values]
    if min(out, default=0) < 0:
        raise SamplingError(f"{name} are numbers of tokens, not {out}")
    return out


def mask_rows(mask: Any, count: int, vocabulary: int, name: str) -> NDArray[np.int32]:
    """An allowed-token mask as `[count, ceil(vocabulary / 32)]` of `int32`; booleans are packed.

    Raises:
        SamplingError: The mask has another shape or type.
    """
    array = mask.numpy() if is_tensor(mask) else np.asarray(mask)
    if array.ndim == 1:
        array = array[None]
    words = (vocabulary + 31) // 32
    if array.dtype == np.bool_:
        if array.ndim != 2 or array.shape[1] != vocabulary:
            raise SamplingError(f"{name} has shape {array.shape}, the vocabulary {vocabulary}")
        array = pack(array)
    if array.dtype == np.uint32:
        array = array.view(np.int32)
    if array.dtype != np.int32:
        raise SamplingError(f"{name} has to be int32 words or booleans, not {array.dtype}")
    if array.ndim != 2 or array.shape[1] < words or array.shape[0] not in (1, count):
        raise SamplingError(f"{name} has shape {array.shape}, expected [{count}, {words}]")
    if array.shape[0] != count:
        array = np.broadcast_to(array, (count, array.shape[1]))
    return np.ascontiguousarray(array)


def pack(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """One bit for each boolean, 32 to a word, the first in the lowest bit."""
    bits = np.packbits(mask, axis=1, bitorder="little")
    missing = -bits.shape[1] % 4
    if missing:
        bits = np.pad(bits, ((0, 0), (0, missing)))
    return np.ascontiguousarray(bits).view(np.dtype("<i4")).astype(np.int32, copy=False)
