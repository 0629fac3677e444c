"""Stands for `tokenizers` while its own test suite runs on penstock.

Names that penstock has are penstock's; those that it has not are classes that cannot be used, so
that a module of the suite imports and only the tests that need them fail.
"""

from penstock import (
    AddedToken,
    BertWordPieceTokenizer,
    ByteLevelBPETokenizer,
    CharBPETokenizer,
    Encoding,
    Regex,
    SentencePieceBPETokenizer,
    SentencePieceUnigramTokenizer,
    Token,
    Tokenizer,
)


class NormalizedString:
    """What components written in Python work on; penstock runs none."""


class PreTokenizedString:
    """What components written in Python work on; penstock runs none."""


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
