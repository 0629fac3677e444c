"""What a caller can ask: what runs natively in a tokenizer, and why the rest does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from transformers.tokenization_utils_tokenizers import TokenizersBackend

from penstock.transformers._slot import engine_for, runs_in_stock


@dataclass(frozen=True)
class EngineReport:
    """What runs natively in a tokenizer.

    Attributes:
        native: True if text is encoded and decoded by penstock.
        reason: Why not, otherwise.
        stages: Stage, component and what runs it, for a native tokenizer.
        overridden: Methods that the tokenizer's class defines itself; they run as they are, on top
            of the engine.
        calls: How often the engine ran, by operation.
        fallbacks: How often stock ran instead, by operation and reason.
        built: Why the stock tokenizer was built while this one was loaded; None if it was not. The
            engine runs all the same.
    """

    native: bool
    reason: str | None
    stages: tuple[tuple[str, str, str], ...] = ()
    overridden: tuple[str, ...] = ()
    calls: dict[str, int] = field(default_factory=dict)
    fallbacks: dict[str, int] = field(default_factory=dict)
    built: str | None = None


_HOT = ("__call__", "_encode_plus", "encode", "tokenize", "decode", "_decode", "batch_decode",
        "pad", "_pad", "_batch_encode_plus_boxes")  # fmt: skip


def engine_of(tokenizer: Any) -> EngineReport:
    """Says what runs natively in a tokenizer, and why the rest does not.

    Args:
        tokenizer: Any tokenizer of transformers.

    Example:
        >>> engine_of(tokenizer).native  # doctest: +SKIP
        True
    """
    cls = type(tokenizer)
    why = runs_in_stock(cls) if isinstance(tokenizer, TokenizersBackend) else None
    if not isinstance(tokenizer, TokenizersBackend):
        why = f"{cls.__name__} is not built on the tokenizers library"
    backend = None if why is not None else engine_for(tokenizer)
    if backend is None:
        return EngineReport(
            False, why or "the tokenizer is not wrapped, and penstock not installed"
        )
    native = backend.native()
    overridden = tuple(
        f"{base.__name__}.{name}"
        for base in cls.__mro__[: cls.__mro__.index(TokenizersBackend)]
        for name in _HOT
        if name in base.__dict__
    )
    return EngineReport(
        native is not None,
        backend.reason,
        tuple(native.description()) if native is not None else (),
        overridden,
        backend.calls(),
        dict(backend._fallbacks),
        backend._built,
    )
