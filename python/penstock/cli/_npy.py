"""A .npy file written as the ids come, so that memory does not grow with the output."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.lib import format as npy

if TYPE_CHECKING:
    from numpy.typing import NDArray


class NpyWriter:
    """Appends ids to a one-dimensional `uint32` array in a file."""

    def __init__(self, file: BinaryIO) -> None:
        """Starts the array; `close` completes it."""
        self._file = file
        self._length = 0
        self._header_size = file.write(_header(0))

    def write(self, ids: NDArray[np.uint32]) -> None:
        """Appends ids."""
        self._file.write(np.ascontiguousarray(ids, "<u4").data)
        self._length += len(ids)

    def close(self) -> None:
        """Writes the length over the first header, in the room that the format leaves for it."""
        header = _header(self._length)
        if len(header) != self._header_size:
            raise AssertionError("the room for the length in a .npy header is 21 digits")
        self._file.seek(0)
        self._file.write(header)


def _header(length: int) -> bytes:
    buffer = io.BytesIO()
    npy.write_array_header_1_0(buffer, {"shape": (length,), "fortran_order": False, "descr": "<u4"})
    return buffer.getvalue()
