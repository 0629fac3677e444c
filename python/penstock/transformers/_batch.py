"""From native arrays to transformers' `BatchEncoding`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import torch
from transformers.tokenization_utils_base import BatchEncoding

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


def make_batch(
    data: dict[str, Any], encodings: Sequence[Encoding] | None, n_sequences: int | None
) -> BatchEncoding:
    """A `BatchEncoding` of finished columns, without the constructor's copies and conversions."""
    batch: BatchEncoding = BatchEncoding.__new__(BatchEncoding)
    batch.__dict__.update(data=data, _encodings=encodings, _n_sequences=n_sequences)
    return batch


def as_tensors(arrays: dict[str, Any]) -> dict[str, Any]:
    """NumPy arrays as torch tensors over the same memory."""
    from_numpy = torch.from_numpy
    return {name: from_numpy(array) for name, array in arrays.items()}
