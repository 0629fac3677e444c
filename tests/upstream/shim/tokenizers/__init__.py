"""Stands for `tokenizers` while its own test suite runs on penstock.

Names that penstock has are penstock's; those that it has not are classes that cannot be used, so
that a module of the suite imports and only the tests that need them fail.
"""

from penstock import AddedToken, Encoding, Regex, Tokenizer


class _Missing:
    """A name of the reference that penstock does not have."""

    def __init__(self, *arguments: object, **options: object) -> None:
        raise NotImplementedError(f"penstock has no {type(self).__name__}")

    @classmethod
    def custom(cls, *arguments: object) -> None:
        raise NotImplementedError("penstock runs no components written in Python")


class NormalizedString(_Missing): ...


class PreTokenizedString(_Missing): ...


class Token(_Missing): ...


class SentencePieceUnigramTokenizer(_Missing): ...


class BertWordPieceTokenizer(_Missing): ...


class ByteLevelBPETokenizer(_Missing): ...


class CharBPETokenizer(_Missing): ...


class SentencePieceBPETokenizer(_Missing): ...


__version__ = "0.23.3"
__all__ = [
    "AddedToken",
    "BertWordPieceTokenizer",
    "ByteLevelBPETokenizer",
    "CharBPETokenizer",
    "Encoding",
    "NormalizedString",
    "PreTokenizedString",
    "Regex",
    "SentencePieceBPETokenizer",
    "SentencePieceUnigramTokenizer",
    "Token",
    "Tokenizer",
]
