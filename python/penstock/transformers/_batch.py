"""From native arrays to transformers' `BatchEncoding`."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from transformers.tokenization_utils_base import BatchEncoding
from transformers.utils.generic import TensorType

from penstock import _native

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from penstock import Encoding


class Encodings(Sequence["Encoding"]):
    """The encodings of a batch, made on the first look.

    Most callers never look: they want ids and masks, which come from the core as arrays.
    """

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], list[Encoding]]) -> None:
        self._make: Callable[[], list[Encoding]] | None = make
        self._made: list[Encoding] | None = None

    def _list(self) -> list[Encoding]:
        made, make = self._made, self._make
        if made is None:
            if make is None:  # another thread is done
                return self._list()
            made = self._made = make()
            self._make = None
        return made

    @overload
    def __getitem__(self, index: int) -> Encoding: ...
    @overload
    def __getitem__(self, index: slice) -> list[Encoding]: ...
    def __getitem__(self, index: int | slice) -> Encoding | list[Encoding]:
        """One encoding, or a list of them."""
        return self._list()[index]

    def __len__(self) -> int:
        """Number of rows, overflowing ones included."""
        return len(self._list())

    def __iter__(self) -> Iterator[Encoding]:
        """Iterates over the encodings."""
        return iter(self._list())

    def __eq__(self, other: object) -> bool:
        """Equal to a list with the same encodings."""
        return self._list() == (other._list() if isinstance(other, Encodings) else other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """As the list."""
        return repr(self._list())

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as the list."""
        return list, (self._list(),)


Sequence.register(_native.OneEncoding)


def whole(native: _native.Tokenizer) -> _native.Tokenizer:
    """The tokenizer without truncation and padding of its own."""
    if native.truncation is not None:
        native = native.with_truncation(None)
    if native.padding is not None:
        native = native.with_padding(None)
    return native


_new: Any = BatchEncoding.__new__


def make_batch(
    data: dict[str, Any], encodings: Sequence[Encoding] | None, n_sequences: int | None
) -> BatchEncoding:
    """A `BatchEncoding` of finished columns, without the constructor's copies and conversions."""
    made: Any = _new(BatchEncoding)
    made.data = data
    made._encodings = encodings
    made._n_sequences = n_sequences
    batch: BatchEncoding = made
    return batch


Column = tuple["NDArray[np.int64]", "list[int]"]
"""All values of a column, and the length of each row."""


class Rows:
    """The columns of a batch as the core wrote them: what its lists are made of."""

    __slots__ = ("ends", "ids", "length", "mask")

    def __init__(self, ids: NDArray[Any], ends: NDArray[Any], *, mask: bool, length: bool) -> None:
        """All ids behind one another, and where rows end, beginning with 0."""
        self.ids, self.ends, self.mask, self.length = ids, ends, mask, length

    def lengths(self) -> list[int]:
        """The length of each row."""
        lengths: list[int] = np.diff(self.ends).tolist()
        return lengths

    def lists(self) -> dict[str, Any]:
        """The columns as lists."""
        data: dict[str, Any] = {"input_ids": _native.row_lists(self.ids, self.ends)}
        if self.mask:
            data["attention_mask"] = _native.row_ones(self.ends)
        if self.length:
            data["length"] = self.lengths()
        return data

    def columns(self) -> dict[str, Column] | None:
        """The columns as arrays, with the lengths of rows; None if one has no rows."""
        if self.length:
            return None
        lengths = self.lengths()
        found = {"input_ids": (self.ids.astype(np.int64), lengths)}
        if self.mask:
            found["attention_mask"] = (np.ones(len(self.ids), np.int64), lengths)
        return found


class Matrices:
    """The columns of a batch as matrices."""

    __slots__ = ("arrays", "length", "lengths")

    def __init__(
        self, arrays: dict[str, NDArray[np.int64]], lengths: list[int] | None, *, length: bool
    ) -> None:
        """Matrices of one shape; `lengths` are those of rows that do not fill them."""
        self.arrays, self.lengths, self.length = arrays, lengths, length

    def lists(self) -> dict[str, Any]:
        """The columns as lists."""
        data: dict[str, Any] = {
            name: _native.matrix_lists(array, self.lengths) for name, array in self.arrays.items()
        }
        if self.length:
            data["length"] = self._lengths()
        return data

    def _lengths(self) -> list[int]:
        rows, width = self.arrays["input_ids"].shape
        return [width] * rows if self.lengths is None else list(self.lengths)

    def columns(self) -> dict[str, Column] | None:
        """The columns as arrays, with the lengths of rows; None if one has no rows."""
        if self.length:
            return None
        lengths = self._lengths()
        width = self.arrays["input_ids"].shape[1]
        here = np.arange(width) < np.array(lengths, np.int64)[:, None]
        return {name: (array[here], lengths) for name, array in self.arrays.items()}


_pending: weakref.WeakValueDictionary[int, BatchEncoding] = weakref.WeakValueDictionary()
"""Batches whose lists nobody has looked at, by identity: they have no hash."""


def make_lazy_batch(
    rows: Rows | Matrices, encodings: Sequence[Encoding], n_sequences: int
) -> BatchEncoding:
    """A `BatchEncoding` whose lists are made when somebody looks at them."""
    batch: BatchEncoding = BatchEncoding.__new__(BatchEncoding)
    batch.__dict__.update(_rows=rows, _encodings=encodings, _n_sequences=n_sequences)
    _pending[id(batch)] = batch
    return batch


def rows_of(batch: Any) -> Rows | Matrices | None:
    """What the lists of a batch will be made of; None once they are made."""
    if type(batch) is not BatchEncoding or "data" in batch.__dict__:
        return None
    rows: Rows | Matrices | None = batch.__dict__.get("_rows")
    return rows


class Data:
    """`data` of a `BatchEncoding` that has none yet; one that has it hides this."""

    def __get__(self, batch: Any, owner: type | None = None) -> Any:
        """The columns as lists, from now on the batch's own."""
        rows = batch.__dict__.get("_rows") if batch is not None else None
        if rows is None:
            raise AttributeError("data")
        data = batch.__dict__.setdefault("data", rows.lists())
        batch.__dict__.pop("_rows", None)
        _pending.pop(id(batch), None)
        return data


def settle() -> None:
    """Makes the lists of all batches that nobody has looked at."""
    for batch in list(_pending.values()):
        _ = batch.data


def make_copy(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Replaces `__copy__`, which takes `data` out of the object's `__dict__`."""

    @functools.wraps(original)
    def __copy__(self: Any) -> Any:  # noqa: N807
        _ = self.data
        return original(self)

    return __copy__


TENSORS = {"pt": "pt", "np": "np", TensorType.PYTORCH: "pt", TensorType.NUMPY: "np"}
"""The values of `return_tensors` whose arrays are the core's."""


def as_tensors(arrays: dict[str, Any]) -> dict[str, Any]:
    """NumPy arrays as torch tensors over the same memory."""
    from_numpy = torch.from_numpy
    return {name: from_numpy(array) for name, array in arrays.items()}
