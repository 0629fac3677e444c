"""Names for what `encode` and `encode_batch` take, as in the reference: types alone."""

from __future__ import annotations

from collections.abc import Sequence

Offsets = tuple[int, int]
"""The first character of a token, and one past the last."""

TextInputSequence = str
"""A text."""
PreTokenizedInputSequence = Sequence[str]
"""The words of a text."""
InputSequence = TextInputSequence | PreTokenizedInputSequence
"""A text, or its words."""

TextEncodeInput = TextInputSequence | tuple[TextInputSequence, TextInputSequence]
"""A text or a pair."""
PreTokenizedEncodeInput = (
    PreTokenizedInputSequence | tuple[PreTokenizedInputSequence, PreTokenizedInputSequence]
)
"""The words of a text or of a pair."""
EncodeInput = TextEncodeInput | PreTokenizedEncodeInput
"""A text or a pair, or their words."""
