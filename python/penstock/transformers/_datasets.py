"""A function for `datasets.Dataset.map`: Arrow in, Arrow out, and no Python list of ids between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.errors import MissingDependencyError, PenstockError
from penstock.transformers import _engine, _one_text, _slot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_TYPES = {"input_ids": "int32"}
"""Width of the columns, as datasets chooses it; masks and type ids have 8 bits."""


class MapFunction:
    """What `map_fn` returns: call it with a batch. It can be pickled for worker processes."""

    def __init__(
        self,
        tokenizer: Any,
        column: str,
        pair_column: str | None,
        remove_columns: Sequence[str],
        options: dict[str, Any],
    ) -> None:
        self.tokenizer = tokenizer
        self.column = column
        self.pair_column = pair_column
        self.remove_columns = tuple(remove_columns)
        self.options = options

    def __call__(self, batch: Any) -> Any:
        """Tokenizes a batch.

        Args:
            batch: A `pyarrow.Table`, as from a data set `with_format("arrow")`, or a dictionary of
                lists.

        Returns:
            For a table, the table with the new columns (`list<int32>` and `list<int8>`) and
            without those of `remove_columns`; for a dictionary, a dictionary of the new columns.
        """
        try:
            import pyarrow as pa
        except ImportError as error:
            raise MissingDependencyError("map_fn needs pyarrow: pip install pyarrow") from error
        if not isinstance(batch, pa.Table):
            return self._lists(batch)
        columns = self._natively(batch)
        if columns is None:
            rows = {name: batch[name].to_pylist() for name in self._inputs()}
            columns = {
                name: pa.array(values, pa.list_(_arrow_type(name)))
                for name, values in self._lists(rows).items()
            }
        for name in self.remove_columns:
            batch = batch.drop_columns([name])
        for name, values in columns.items():
            if name in batch.column_names:
                batch = batch.drop_columns([name])
            batch = batch.append_column(name, values)
        return batch

    def _inputs(self) -> list[str]:
        return [self.column] if self.pair_column is None else [self.column, self.pair_column]

    def _lists(self, rows: Mapping[str, Any]) -> dict[str, Any]:
        texts = list(rows[self.column])
        pairs = None if self.pair_column is None else list(rows[self.pair_column])
        return dict(self.tokenizer(texts, pairs, **self.options))

    def _natively(self, batch: Any) -> dict[str, Any] | None:
        tokenizer, options = self.tokenizer, dict(self.options)
        if not _one_text.is_plain(tokenizer):
            return None
        backend = _slot.engine_for(tokenizer)
        split = tokenizer.split_special_tokens
        native = backend.variant(split_special_tokens=split) if backend is not None else None
        if backend is None or native is None:
            return None
        special_mask = bool(options.pop("return_special_tokens_mask", False))
        add_special = options.pop("add_special_tokens", True)
        side = options.pop("padding_side", None) or tokenizer.padding_side
        known = ("padding", "truncation", "max_length", "pad_to_multiple_of")
        if set(options) - set(known):
            return None
        multiple = options.get("pad_to_multiple_of")
        padding, truncation, max_length, _ = tokenizer._get_padding_truncation_strategies(**options)
        filling = _engine.padding_of(tokenizer, padding, max_length, side, multiple)
        names = tokenizer.model_input_names
        types, mask = "token_type_ids" in names, "attention_mask" in names
        try:
            arrays = native.encode_padded(
                batch[self.column],
                None if self.pair_column is None else batch[self.pair_column],
                False,
                add_special,
                _engine.truncation_of(tokenizer, truncation, max_length, 0),
                filling or (None, "right", None, 0, 0, ""),
                "int32",
                (True, types, special_mask, False),
                False,
            )
        except (PenstockError, TypeError, ValueError):
            return None
        wanted = ["input_ids"]
        wanted += ["token_type_ids"] if types else []
        wanted += ["attention_mask"] if mask else []
        wanted += ["special_tokens_mask"] if special_mask else []
        kept = None if filling is not None else arrays["attention_mask"].astype(bool)
        backend.count("map")
        return {name: _as_lists(arrays[name], name, kept) for name in wanted}


def _arrow_type(name: str) -> Any:
    import pyarrow as pa

    return pa.int32() if name in _TYPES else pa.int8()


def _as_lists(matrix: NDArray[Any], name: str, kept: NDArray[np.bool_] | None) -> Any:
    """The rows of a matrix as an Arrow list array; `kept` says which cells are none of padding."""
    import pyarrow as pa

    rows, width = matrix.shape
    if kept is None:
        values = matrix.reshape(-1)
        ends = np.arange(rows + 1, dtype=np.int64) * width
    else:
        values = matrix[kept]
        ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept.sum(axis=1))])
    values = values.astype(_TYPES.get(name, "int8"), copy=False)
    return pa.ListArray.from_arrays(pa.array(ends.astype(np.int32)), pa.array(values))


def map_fn(
    tokenizer: Any,
    column: str = "text",
    pair_column: str | None = None,
    *,
    remove_columns: Sequence[str] = (),
    **options: Any,
) -> MapFunction:
    """Makes a function that tokenizes a column in `datasets.Dataset.map`.

    Args:
        tokenizer: A tokenizer of transformers, wrapped or not.
        column: The column with the text.
        pair_column: A column with second texts.
        remove_columns: Columns to leave out of the result; `map` itself removes none from an Arrow
            table.
        **options: `padding`, `truncation`, `max_length` and others of the tokenizer's call.

    Returns:
        The function; it adds `input_ids` and the masks that the tokenizer's model takes.

    Example:
        >>> tokenize = map_fn(tokenizer, truncation=True, max_length=512)  # doctest: +SKIP
        >>> dataset.with_format("arrow").map(tokenize, batched=True)  # doctest: +SKIP
    """
    return MapFunction(tokenizer, column, pair_column, remove_columns, options)
