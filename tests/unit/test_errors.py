"""penstock.errors: one tree, with the built-in types that callers already catch."""

from __future__ import annotations

import pytest
from penstock import errors


@pytest.mark.parametrize(
    "name",
    ["LoadError", "UnsupportedComponentError", "RegexError", "TextError", "TokenIdError"],
)
def test_every_error_is_a_penstock_error(name: str) -> None:
    assert issubclass(getattr(errors, name), errors.PenstockError)


def test_a_message_is_not_empty() -> None:
    import penstock

    with pytest.raises(errors.PenstockError, match="line 1"):
        penstock.Tokenizer.from_str("{")
