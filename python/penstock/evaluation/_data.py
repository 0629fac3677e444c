"""Rows of a task: files, `datasets` names and objects, lists."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.errors import FileError, MissingDependencyError, MissingFileError, TaskError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.evaluation._task import Row, Task

DATASETS = "datasets:"
_SAVED = ("state.json", "dataset_dict.json")


def rows_of(task: Task, limit: int | None = None) -> list[Row]:
    """The rows of a task, in order, at most `limit` of them.

    Raises:
        MissingFileError: A file does not exist.
        FileError: A file is damaged.
        TaskError: There is no data, or it has no rows.
    """
    if task.data is None:
        message = "no data: give a file, `datasets:NAME`, a Dataset or a list of rows"
        raise TaskError(message, task.name)
    rows = read_rows(task, task.data, limit)
    if not rows:
        raise TaskError(f"{_shown(task.data)} has no rows", task.name)
    return rows


def read_rows(task: Task, data: Any, limit: int | None = None) -> list[Row]:
    """The rows of any source that a task may name."""
    if isinstance(data, str) and data.startswith(DATASETS):
        rows: Sequence[Any] = _by_name(task, data.removeprefix(DATASETS), limit)
    elif isinstance(data, (str, Path)):
        rows = _read_path(task, Path(data), limit)
    elif hasattr(data, "column_names") and hasattr(data, "select"):
        rows = _dataset_rows(data, limit)
    elif isinstance(data, (list, tuple)):
        rows = data
    else:
        message = f"data of type {type(data).__name__} is not read here"
        raise TaskError(message, task.name)
    rows = rows[:limit]
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            raise TaskError(f"a row is a {type(row).__name__}, not fields", task.name, index)
    prepare = task.prepare
    if prepare is None:
        return list(rows)
    return [_prepared(task.name, prepare, row, index) for index, row in enumerate(rows)]


def _prepared(name: str, prepare: Callable[[Row], Row], row: Row, index: int) -> Row:
    try:
        return prepare(row)
    except KeyError as error:
        raise TaskError(f"no field {error.args[0]!r} in {sorted(row)}", name, index) from error
    except (AttributeError, TypeError, ValueError, IndexError) as error:
        raise TaskError(f"{type(error).__name__}: {error}", name, index) from error


def _read_path(task: Task, path: Path, limit: int | None) -> Sequence[Any]:
    if not path.exists():
        raise MissingFileError(2, "No such file or directory", str(path))
    if path.is_dir():
        return _from_folder(task, path, limit)
    try:
        if task.read is not None and path.suffix not in (".parquet", ".csv"):
            return task.read(path)
        return _read_file(task, path, limit)
    except UnicodeDecodeError as error:
        raise FileError(None, f"not UTF-8 at byte {error.start}", str(path)) from error


def _read_file(task: Task, path: Path, limit: int | None) -> Sequence[Any]:
    if path.suffix in (".jsonl", ".ndjson"):
        return read_jsonl(path, limit)
    if path.suffix == ".json":
        return _read_json(path)
    if path.suffix == ".csv":
        return read_table(path, ",", task.columns)
    if path.suffix == ".tsv":
        return read_table(path, "\t", task.columns)
    if path.suffix == ".parquet":
        return _read_parquet(path, limit)
    if path.suffix in (".txt", ".raw"):
        return [{"text": path.read_text(encoding="utf-8")}]
    message = f"{path}: not a format that is read here (.jsonl, .json, .csv, .tsv, .parquet, .txt)"
    raise TaskError(message, task.name)


def read_jsonl(path: Path, limit: int | None = None) -> list[Any]:
    """One JSON value a line; empty lines are skipped."""
    rows: list[Any] = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if limit is not None and len(rows) >= limit:
                break
            if line.strip():
                try:
                    rows.append(json.loads(line))
                except json.JSONDecodeError as error:
                    message = f"line {number} is no JSON: {error}"
                    raise FileError(None, message, str(path)) from error
    return rows


def _read_json(path: Path) -> list[Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise FileError(None, f"not JSON: {error}", str(path)) from error
    if not isinstance(value, list):
        raise FileError(None, "not a JSON list of rows", str(path))
    return value


def read_table(path: Path, delimiter: str, columns: Sequence[str] = ()) -> list[Row]:
    """A CSV or TSV file; `columns` names the columns of one without a header.

    Quotes mean nothing in a TSV file: that is how the data sets of the field are written.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        if delimiter == "\t":
            lines = list(csv.reader(file, delimiter=delimiter, quoting=csv.QUOTE_NONE))
        else:
            lines = list(csv.reader(file, delimiter=delimiter))
    head = list(columns) or (lines.pop(0) if lines else [])
    for number, line in enumerate(lines, 1 if columns else 2):
        if len(line) != len(head):
            message = f"line {number} has {len(line)} columns, not {len(head)}"
            raise FileError(None, message, str(path))
    return [dict(zip(head, line, strict=True)) for line in lines]


def _read_parquet(path: Path, limit: int | None) -> list[Row]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        message = f"{path}: parquet needs pyarrow: pip install 'penstock[arrow]'"
        raise MissingDependencyError(message) from error
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise FileError(None, f"not a parquet file: {error}", str(path)) from error
    rows: list[Row] = (table if limit is None else table.slice(0, limit)).to_pylist()
    return rows


def _from_folder(task: Task, path: Path, limit: int | None) -> list[Row]:
    datasets = _import_datasets(str(path))
    if not any((path / name).exists() for name in _SAVED):
        return _by_name(task, str(path), limit)
    data = datasets.load_from_disk(str(path))
    if hasattr(data, "keys"):
        data = data[_split(task, list(data.keys()))]
    return _dataset_rows(data, limit)


def _by_name(task: Task, name: str, limit: int | None) -> list[Row]:
    datasets = _import_datasets(name)
    path, config, split = (*name.split(":"), "", "")[:3]
    try:
        if not split:
            split = _split(task, datasets.get_dataset_split_names(path, config or None))
        data = datasets.load_dataset(path, config or None, split=split)
    except TaskError:
        raise
    except Exception as error:
        message = f"`datasets` does not load {name!r}: {type(error).__name__}: {error}"
        raise TaskError(message, task.name) from error
    return _dataset_rows(data, limit)


def _split(task: Task, names: Sequence[str]) -> str:
    """The split to evaluate on."""
    for name in ("test", "validation", *(names if len(names) == 1 else ())):
        if name in names:
            return name
    raise TaskError(f"name a split: {', '.join(names)}", task.name)


def _dataset_rows(data: Any, limit: int | None) -> list[Row]:
    if limit is not None and len(data) > limit:
        data = data.select(range(limit))
    return list(data)


def _import_datasets(name: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        message = f"{name}: needs datasets: pip install 'penstock[evaluate]'"
        raise MissingDependencyError(message) from error
    return datasets


def _shown(data: Any) -> str:
    return str(data) if isinstance(data, (str, Path)) else f"the given {type(data).__name__}"
