"""How a run is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.errors import TaskError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a run is made; the fields are the arguments of `evaluate`."""

    output: Path | None = None
    batch_size: int = 8
    max_batch_tokens: int | None = None
    limit: int | None = None
    seed: int = 0
    resume: bool = True
    progress: bool = True
    threads: int | None = None
    dtype: Any = "auto"

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
            TaskError: One makes no sense.
        """
        for name in ("batch_size", "max_batch_tokens", "limit", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise TaskError(f"{name} is {value}; it must be at least 1")
