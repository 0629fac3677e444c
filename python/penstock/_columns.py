"""Buffers of Arrow string columns, for the native code to read in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.errors import MissingDependencyError, TextError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def string_chunks(column: Any) -> list[tuple[NDArray[np.uint8], NDArray[Any]]]:
    """Returns the text and the offsets (int32 or int64) of every chunk of an Arrow string column.

    `column` is anything with the Arrow PyCapsule interface: a pyarrow, polars or pandas column.
    Plain strings are not copied; views and dictionaries are converted first.

    Raises:
        TextError: A row has no value.
        TypeError: The column does not hold strings.
        MissingDependencyError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        message = "reading an Arrow column needs pyarrow: pip install pyarrow"
        raise MissingDependencyError(message) from error

    if isinstance(column, pa.ChunkedArray):
        chunked = column
    elif hasattr(column, "__arrow_c_stream__"):
        chunked = pa.chunked_array(column)
    else:
        chunked = pa.chunked_array([pa.array(column)])
    if chunked.null_count:
        row = chunked.is_null().index(True).as_py()
        raise TextError(f"row {row} of the column has no value", None, row)
    if not (pa.types.is_string(chunked.type) or pa.types.is_large_string(chunked.type)):
        chunked = _as_strings(chunked)
    return [_buffers(chunk) for chunk in chunked.chunks if len(chunk)]


def _as_strings(chunked: Any) -> Any:
    """Converts the other encodings of text; numbers are refused, though a cast would take them."""
    import pyarrow as pa

    value_type = chunked.type.value_type if pa.types.is_dictionary(chunked.type) else chunked.type
    is_text = (
        pa.types.is_string(value_type)
        or pa.types.is_large_string(value_type)
        or pa.types.is_string_view(value_type)
        or pa.types.is_null(value_type)
    )
    if not is_text:
        raise TypeError(f"texts must be a column of strings, not of {chunked.type}")
    return chunked.cast(pa.large_string())


def _buffers(chunk: Any) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    import pyarrow as pa

    _, offsets, data = chunk.buffers()
    offset_type = np.int64 if pa.types.is_large_string(chunk.type) else np.int32
    window = np.frombuffer(offsets, offset_type)[chunk.offset : chunk.offset + len(chunk) + 1]
    empty = np.empty(0, np.uint8)
    text = empty if data is None or data.size == 0 else np.frombuffer(data, np.uint8)
    # A file mapped at an odd address may leave the offsets unaligned: numpy copies them then, and
    # only then.
    return text, np.require(window, requirements=["A", "C"])
