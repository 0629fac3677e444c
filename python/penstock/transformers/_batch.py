"""From native arrays to transformers' `BatchEncoding`."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import torch
from transformers.tokenization_utils_base import BatchEncoding
from transformers.utils.generic import TensorType

from penstock import _native

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


Sequence.register(_native.LazyEncodings)


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


def make_lazy_batch(
    rows: _native.LazyLists, encodings: Sequence[Encoding], n_sequences: int
) -> BatchEncoding:
    """A `BatchEncoding` whose lists are made when somebody looks at them."""
    made: Any = _new(BatchEncoding)
    made._rows = rows
    made._encodings = encodings
    made._n_sequences = n_sequences
    rows.wait(made)
    batch: BatchEncoding = made
    return batch


def rows_of(batch: Any) -> _native.LazyLists | None:
    """What the lists of a batch will be made of; None once it has them all."""
    rows: _native.LazyLists | None = batch._rows if type(batch) is BatchEncoding else None
    return rows


class Data:
    """`data` of a `BatchEncoding` that has none yet; one that has it hides this."""

    def __get__(self, batch: Any, owner: type | None = None) -> Any:
        """The columns as lists, from now on the batch's own."""
        rows = batch._rows if batch is not None else None
        if rows is None:
            raise AttributeError("data")
        data = batch.__dict__.setdefault("data", rows.lists())
        batch.__dict__.pop("_rows", None)
        return data


def settle() -> None:
    """Makes the lists of all batches that have not got them."""
    for batch in _native.LazyLists.waiting():
        _ = batch.data


def make_getitem(original: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Replaces `__getitem__`, which makes every column to return one."""

    @functools.wraps(original)
    def __getitem__(self: Any, item: Any) -> Any:  # noqa: N807
        if type(item) is not str:
            return original(self, item)
        rows = self._rows
        column = None if rows is None else rows.column(item)
        return self.data[item] if column is None else column

    return __getitem__


def make_getattr(original: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    """Replaces `__getattr__`, which does the same."""

    @functools.wraps(original)
    def __getattr__(self: Any, item: str) -> Any:  # noqa: N807
        rows = self._rows
        if rows is not None:
            column = rows.column(item)
            if column is not None:
                return column
        return original(self, item)

    return __getattr__


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
