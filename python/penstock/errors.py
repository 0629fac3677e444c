"""The exceptions that penstock raises.

Each one is a `PenstockError`, and also the builtin exception that code without penstock in mind
would catch.
"""

from __future__ import annotations


class PenstockError(Exception):
    """Base of every error that penstock raises on purpose."""


class LoadError(PenstockError, ValueError):
    """A tokenizer could not be built from what was given.

    Attributes:
        file: The file, when there is one.
        key: Keys that lead to the offending value, joined by dots (`model.merges[3]`).
        line: Line of a JSON syntax error, from 1.
        column: Column of a JSON syntax error, from 1.
    """

    def __init__(
        self,
        message: str,
        file: str | None = None,
        key: str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        super().__init__(message)
        self.file = file
        self.key = key
        self.line = line
        self.column = column


class UnsupportedComponentError(LoadError, NotImplementedError):
    """A tokenizer names a component or an option that this version does not run.

    Attributes:
        stage: Key of tokenizer.json (`normalizer`, `pre_tokenizer`, ...).
        component: The component's `type`, or the option.
    """

    def __init__(
        self,
        message: str,
        stage: str | None = None,
        component: str | None = None,
        file: str | None = None,
    ) -> None:
        super().__init__(message, file, stage)
        self.stage = stage
        self.component = component


class RegexError(PenstockError, ValueError):
    """A pattern does not compile, or its engine gave up on a text.

    Attributes:
        pattern: The pattern.
    """

    def __init__(self, message: str, pattern: str | None = None) -> None:
        super().__init__(message)
        self.pattern = pattern


class TextError(PenstockError, ValueError):
    """A text cannot be encoded: it holds a lone surrogate, or a row of a column has no text.

    Attributes:
        position: Index of the character in its text.
        row: Index of the text in its batch.
    """

    def __init__(self, message: str, position: int | None = None, row: int | None = None) -> None:
        super().__init__(message)
        self.position = position
        self.row = row


class TrainingError(PenstockError, ValueError):
    """A trainer cannot work with an option, or with an option and the corpus together.

    Attributes:
        option: The option.
    """

    def __init__(self, message: str, option: str | None = None) -> None:
        super().__init__(message)
        self.option = option


class TruncationError(PenstockError, ValueError):
    """Texts cannot be cut as asked, or rows of a matrix differ in length."""


class TokenIdError(PenstockError, OverflowError, ValueError):
    """An id that no token can have, or, where `strict=True` asks for it, an id that has no token.

    Attributes:
        position: Index of the id in its sequence.
    """

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


class SamplingError(PenstockError, ValueError):
    """An option of sampling, or an array given to it, has the wrong value, type or shape."""


class LogitsError(SamplingError, RuntimeError):
    """A row of logits has no distribution: NaN, positive infinity, or every token masked out.

    torch raises a `RuntimeError` where it meets such a row.

    Attributes:
        row: Index of the row in its batch.
    """

    def __init__(self, message: str, row: int | None = None) -> None:
        super().__init__(message)
        self.row = row


class TokenRangeError(TokenIdError, IndexError, RuntimeError):
    """A token id lies outside the vocabulary of the logits."""


class FileError(PenstockError, OSError):
    """A file could not be read or written, or is damaged."""

    def __str__(self) -> str:
        """Names the file; damage that the program found has no number of the system's."""
        return super().__str__() if self.errno is not None else f"{self.filename}: {self.strerror}"


class MissingFileError(FileError, FileNotFoundError):
    """A file does not exist."""


class MissingDependencyError(PenstockError, ImportError):
    """An optional package that a call needs is not installed."""


class TaskError(PenstockError, ValueError):
    """A task, its data or the model it is given to do not fit together.

    Attributes:
        task: Name of the task.
        row: Index of the row of its data, from 0.
    """

    def __init__(self, message: str, task: str | None = None, row: int | None = None) -> None:
        where = [] if task is None else [task]
        where += [] if row is None else [f"row {row}"]
        super().__init__(f"{', '.join(where)}: {message}" if where else message)
        self.task = task
        self.row = row


class RunError(PenstockError, RuntimeError):
    """An evaluation run cannot start, go on, or be put together.

    Attributes:
        changed: What differs from the run that the folder holds, by name: before and now.
        rank: The process that failed, when it was one of several.
    """

    def __init__(
        self,
        message: str,
        changed: dict[str, tuple[object, object]] | None = None,
        rank: int | None = None,
    ) -> None:
        super().__init__(message)
        self.changed = changed or {}
        self.rank = rank
