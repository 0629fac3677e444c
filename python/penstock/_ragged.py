"""Rows of different lengths in flat arrays."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, overload

from penstock.errors import MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, slots=True)
class Ragged:
    """The token ids of a batch, row after row.

    Row `i` is `values[row_offsets[i]:row_offsets[i + 1]]`. The arrays are the buffers that the
    tokenizer filled; no Python object is made per token.

    Attributes:
        values: All ids, `uint32`.
        row_offsets: `int64`, one more than there are rows, from 0 to `len(values)`.
        offsets: On request, the characters that each token covers in its own text: `uint32`, one
            pair per value.

    Example:
        >>> ragged = tokenizer.encode_ragged(["one", "two three"])  # doctest: +SKIP
        >>> ragged[1]  # doctest: +SKIP
        array([ 713, 1115], dtype=uint32)
    """

    values: NDArray[np.uint32]
    row_offsets: NDArray[np.int64]
    offsets: NDArray[np.uint32] | None = None

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.row_offsets) - 1

    @overload
    def __getitem__(self, index: int) -> NDArray[np.uint32]: ...
    @overload
    def __getitem__(self, index: slice) -> Ragged: ...
    def __getitem__(self, index: int | slice) -> NDArray[np.uint32] | Ragged:
        """Returns one row, or the batch of a slice of rows; both are views."""
        if isinstance(index, slice):
            return self._rows(index)
        rows = len(self)
        row = index + rows if index < 0 else index
        if not 0 <= row < rows:
            raise IndexError(f"row {index} is out of range: there are {rows}")
        return self.values[self.row_offsets[row] : self.row_offsets[row + 1]]

    def __iter__(self) -> Iterator[NDArray[np.uint32]]:
        """Iterates over the rows."""
        for start, end in pairwise(self.row_offsets.tolist()):
            yield self.values[start:end]

    def __repr__(self) -> str:
        """Sizes, not contents: a batch may hold millions of ids."""
        offsets = ", with offsets" if self.offsets is not None else ""
        return f"Ragged({len(self)} rows, {len(self.values)} ids{offsets})"

    def to_list(self) -> list[list[int]]:
        """Returns the rows as lists of Python integers.

        This costs more than tokenizing did; keep the arrays where you can.
        """
        values = self.values.tolist()
        return [values[start:end] for start, end in pairwise(self.row_offsets.tolist())]

    def to_arrow(self) -> Any:
        """Returns the rows as a `pyarrow.LargeListArray` of `uint32` over the same buffers.

        Raises:
            MissingDependencyError: pyarrow is not installed.
        """
        try:
            import pyarrow as pa
        except ImportError as error:
            raise MissingDependencyError("to_arrow needs pyarrow: pip install pyarrow") from error
        return pa.LargeListArray.from_arrays(pa.array(self.row_offsets), pa.array(self.values))

    def _rows(self, rows: slice) -> Ragged:
        start, stop, step = rows.indices(len(self))
        if step != 1:
            raise ValueError("rows of a Ragged can be sliced with step 1 only")
        row_offsets = self.row_offsets[start : max(start, stop) + 1]
        first, last = row_offsets[0], row_offsets[-1]
        offsets = None if self.offsets is None else self.offsets[first:last]
        return Ragged(self.values[first:last], row_offsets - first, offsets)
