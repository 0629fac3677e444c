"""`tokenizer.pad` over arrays: rows of ids to one matrix per column."""

from __future__ import annotations

import functools
from array import array
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase
from transformers.utils.generic import PaddingStrategy

from penstock.transformers._batch import TENSORS, as_tensors, make_batch, rows_of
from penstock.transformers._slot import engine_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers.tokenization_utils_base import BatchEncoding

Column = tuple[np.ndarray[Any, np.dtype[np.int64]], list[int]]
"""All values of a column, and the length of each row."""


def pad_rows(
    tokenizer: Any,
    encoded_inputs: Any,
    padding: Any,
    max_length: int | None,
    pad_to_multiple_of: int | None,
    padding_side: str | None,
    return_attention_mask: bool | None,
    kind: str | None,
) -> tuple[dict[str, Any], str] | None:
    """Pads rows of Python integers, or one-dimensional arrays or tensors of integers.

    Returns:
        The columns as arrays, and whether `pt` or `np` is wanted; None if the input is none of
        these, so that the original has to look at it.
    """
    main = tokenizer.model_input_names[0]
    if return_attention_mask is None:
        return_attention_mask = "attention_mask" in tokenizer.model_input_names
    rows = rows_of(encoded_inputs)
    flat: dict[str, Column] | None = rows.columns() if rows is not None and kind else None
    other: dict[str, Any] = {}
    names = list(flat or ())
    if flat is None:
        columns = _columns(encoded_inputs)
        if columns is None or not columns.get(main) or not isinstance(columns[main], list):
            return None
        if kind is None:
            kind = _kind_of(columns[main][0])
        found = _split(columns, main, kind) if kind is not None else None
        if found is None:
            return None
        flat, other = found
        names = list(columns)
    if kind is None or main not in flat:
        return None
    if "attention_mask" in flat and not return_attention_mask:
        return None
    lengths = flat[main][1]
    if any(column[1] != lengths for column in flat.values()) or not any(lengths):
        return None

    side = padding_side if padding_side is not None else tokenizer.padding_side
    if side not in ("left", "right"):
        return None
    width = _width(tokenizer, padding, max_length, pad_to_multiple_of, lengths)
    if width is None:
        return None
    fill = {
        main: tokenizer.pad_token_id,
        "attention_mask": 0,
        "token_type_ids": tokenizer.pad_token_type_id,
        "special_tokens_mask": 1,
    }
    result: dict[str, Any] = {}
    for name in names:
        if name in flat:
            result[name] = _matrix(flat[name], width, fill[name], side)
        else:
            result[name] = other[name]
    if return_attention_mask and "attention_mask" not in result:
        ones = (np.ones(sum(lengths), np.int64), lengths)
        result["attention_mask"] = _matrix(ones, width, 0, side)
    return result, kind


def _split(
    columns: dict[str, Any], main: str, kind: str
) -> tuple[dict[str, Column], dict[str, Any]] | None:
    """Columns of rows, and columns of numbers; None where one is neither."""
    if any(len(values) != len(columns[main]) for values in columns.values()):
        return None
    flat: dict[str, Column] = {}
    other: dict[str, Any] = {}
    for name, values in columns.items():
        if name in (main, "attention_mask", "token_type_ids", "special_tokens_mask"):
            column = _flatten(values)
            if column is None:
                return None
            flat[name] = column
        else:
            scalars = _scalars(values, kind)
            if scalars is None:
                return None
            other[name] = scalars
    return flat, other


def _columns(encoded_inputs: Any) -> dict[str, Any] | None:
    """The columns of a batch that came as a list of rows or as a dictionary of columns."""
    if isinstance(encoded_inputs, (list, tuple)):
        if not encoded_inputs or not all(isinstance(row, Mapping) for row in encoded_inputs):
            return None
        try:
            names = list(encoded_inputs[0].keys())
            return {name: [row[name] for row in encoded_inputs] for name in names}
        except KeyError:
            return None
    if not isinstance(encoded_inputs, Mapping):
        return None
    return (
        {
            name: list(values) if isinstance(values, (tuple, np.ndarray, torch.Tensor)) else values
            for name, values in encoded_inputs.items()
            if isinstance(values, (list, tuple, np.ndarray, torch.Tensor))
        }
        if all(
            isinstance(values, (list, tuple, np.ndarray, torch.Tensor))
            and not (isinstance(values, (np.ndarray, torch.Tensor)) and values.ndim == 0)
            for values in encoded_inputs.values()
        )
        else None
    )


def _kind_of(row: Any) -> str | None:
    if isinstance(row, torch.Tensor):
        return "pt" if row.ndim == 1 else None
    if isinstance(row, np.ndarray):
        return "np" if row.ndim == 1 else None
    return None


def _flatten(rows: Any) -> Column | None:
    """All rows behind one another; None unless they are integers throughout."""
    if all(type(row) is list for row in rows):
        if not all(type(row[0]) is int for row in rows if row):
            return None
        buffer = array("q")
        try:
            for row in rows:
                buffer.fromlist(row)
        except (TypeError, OverflowError):
            return None
        return np.frombuffer(buffer, np.int64), [len(row) for row in rows]
    arrays = []
    for row in rows:
        if isinstance(row, torch.Tensor) and row.device.type != "cpu":
            return None
        values = row.detach().numpy() if isinstance(row, torch.Tensor) else row
        if not isinstance(values, np.ndarray) or values.ndim != 1:
            return None
        if values.dtype.kind not in "iu" or values.dtype == np.uint64:
            return None
        arrays.append(values)
    return np.concatenate(arrays).astype(np.int64, copy=False), [len(row) for row in arrays]


def _scalars(values: list[Any], kind: str) -> Any:
    """A column with one number per row, such as labels."""
    numbers: list[Any] = []
    for value in values:
        if isinstance(value, np.ndarray) or (isinstance(value, torch.Tensor) and value.ndim):
            return None
        numbers.append(value.item() if isinstance(value, torch.Tensor) else value)
    kinds = {type(number) for number in numbers}
    if kinds not in ({int}, {float}):
        return None
    try:
        if kind == "pt":
            return torch.tensor(numbers).numpy()
        return np.asarray(numbers)
    except (RuntimeError, OverflowError):
        return None


def _width(
    tokenizer: Any,
    padding: Any,
    max_length: int | None,
    pad_to_multiple_of: int | None,
    lengths: list[int],
) -> int | None:
    """The length of all padded rows; None where they would differ."""
    strategy, _, max_length, _ = tokenizer._get_padding_truncation_strategies(
        padding=padding, max_length=max_length, verbose=False
    )
    longest = max(lengths)
    if strategy == PaddingStrategy.DO_NOT_PAD:
        return longest if min(lengths) == longest else None
    width = longest if strategy == PaddingStrategy.LONGEST else max_length
    if pad_to_multiple_of is not None and width % pad_to_multiple_of:
        width = (width // pad_to_multiple_of + 1) * pad_to_multiple_of
    return int(width) if longest <= width else None


def _matrix(column: Column, width: int, fill: int, side: str) -> np.ndarray[Any, Any]:
    values, lengths = column
    if min(lengths) == width:
        whole: np.ndarray[Any, Any] = values.reshape(len(lengths), width).copy()
        return whole
    matrix = np.full((len(lengths), width), fill, np.int64)
    start = 0
    for row, length in zip(matrix, lengths, strict=True):
        place = slice(0, length) if side == "right" else slice(width - length, width)
        row[place] = values[start : start + length]
        start += length
    return matrix


def make_pad(original: Callable[..., BatchEncoding]) -> Callable[..., BatchEncoding]:
    @functools.wraps(original)
    def pad(
        self: Any,
        encoded_inputs: Any,
        padding: Any = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: Any = None,
        verbose: bool = True,
    ) -> BatchEncoding:
        if engine_for(self) is not None and type(self)._pad is PreTrainedTokenizerBase._pad:
            kind = TENSORS.get(return_tensors) if return_tensors is not None else None
            arrays = None
            if kind is not None or return_tensors is None:
                arrays = pad_rows(
                    self,
                    encoded_inputs,
                    padding,
                    max_length,
                    pad_to_multiple_of,
                    padding_side,
                    return_attention_mask,
                    kind,
                )
            if arrays is not None:
                found, kind = arrays
                return make_batch(as_tensors(found) if kind == "pt" else found, None, None)
        return original(
            self,
            encoded_inputs,
            padding=padding,
            max_length=max_length,
            pad_to_multiple_of=pad_to_multiple_of,
            padding_side=padding_side,
            return_attention_mask=return_attention_mask,
            return_tensors=return_tensors,
            verbose=verbose,
        )

    return pad
