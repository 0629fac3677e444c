"""Tokenizers of well-known kinds, put together by one call, with the names of the reference.

Example:
    >>> from penstock.implementations import ByteLevelBPETokenizer
    >>> tokenizer = ByteLevelBPETokenizer()
    >>> tokenizer.train_from_iterator(["low lower lowest"], vocab_size=260, show_progress=False)
    >>> tokenizer.decode(tokenizer.encode("lowest").ids)
    'lowest'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from penstock import decoders, models, normalizers, pre_tokenizers, processors
from penstock._components import Regex
from penstock._tokenizer import Tokenizer
from penstock._training import (
    BpeTrainer,
    UnigramTrainer,
    WordPieceTrainer,
    byte_level_alphabet,
)
from penstock.errors import LoadError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    from typing_extensions import Self

    from penstock._native import AddedToken

    Files = str | os.PathLike[str]
    Name = str | AddedToken

__all__ = [
    "BaseTokenizer",
    "BertWordPieceTokenizer",
    "ByteLevelBPETokenizer",
    "CharBPETokenizer",
    "SentencePieceBPETokenizer",
    "SentencePieceUnigramTokenizer",
]

UNKNOWN = "<unk>"
BERT_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


class BaseTokenizer(Tokenizer):
    """A tokenizer that remembers how it was put together.

    Args:
        tokenizer: What it does.
        parameters: What its `repr` names.
    """

    __slots__ = ("_parameters",)

    def __init__(self, tokenizer: Tokenizer, parameters: Mapping[str, Any] | None = None) -> None:
        super().__init__(tokenizer._native)
        self._parameters = dict(parameters or {})

    def __repr__(self) -> str:
        """The number of tokens, and how the tokenizer was put together."""
        parts = {"vocabulary_size": self.get_vocab_size(), **self._parameters}
        return f"Tokenizer({', '.join(f'{name}={value}' for name, value in parts.items())})"

    __str__ = __repr__

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        """What pickle keeps: the contents of a `tokenizer.json`, and the parameters."""
        native = self._native
        state = (native.to_str(), native.encode_special_tokens)
        return _restored, (type(self), *state, self._parameters)

    def __copy__(self) -> BaseTokenizer:
        """A tokenizer that changes by itself; what both have in common is shared."""
        return _made(type(self), Tokenizer(self._native), self._parameters)

    def normalize(self, sequence: str) -> str:
        """Returns the text as the normalizer makes it."""
        normalizer = self.normalizer
        return sequence if normalizer is None else normalizer.normalize_str(sequence)

    def save_model(self, directory: Files, prefix: str | None = None) -> list[str]:
        """Writes the files of the model, and returns their paths; see `Model.save`."""
        return self.model.save(directory, prefix)


Kind = TypeVar("Kind", bound=BaseTokenizer)


def _made(kind: type[Kind], tokenizer: Tokenizer, parameters: Any) -> Kind:
    made = kind.__new__(kind)
    BaseTokenizer.__init__(made, tokenizer, parameters)
    return made


def _restored(
    kind: type[BaseTokenizer], json: str, encode_special_tokens: bool, parameters: Any
) -> BaseTokenizer:
    return _made(kind, Tokenizer._from_state(json, encode_special_tokens), parameters)


def _chain(parts: Sequence[normalizers.Normalizer]) -> normalizers.Normalizer | None:
    if len(parts) < 2:
        return parts[0] if parts else None
    return normalizers.Sequence(parts)


def _unicode_steps(form: str | None) -> list[normalizers.Normalizer]:
    return [normalizers.unicode_normalizer_from_str(form)] if form else []


def _tell_special(tokenizer: Tokenizer, *tokens: Name) -> None:
    """Adds those of the tokens that the vocabulary has."""
    for token in map(str, tokens):
        if tokenizer.token_to_id(token) is not None:
            tokenizer.add_special_tokens([token])


class BpeTokenizer(BaseTokenizer):
    """What tokenizers have in common that take a vocabulary and merges."""

    __slots__ = ()

    @classmethod
    def from_file(  # type: ignore[override]
        cls, vocab_filename: Files, merges_filename: Files, **options: Any
    ) -> Self:
        """Reads a `vocab.json` and a `merges.txt`."""
        make: Any = cls
        made: Self = make(*models.BPE.read_file(vocab_filename, merges_filename), **options)
        return made


class ByteLevelBPETokenizer(BpeTokenizer):
    """BPE over bytes, as in GPT-2.

    Args:
        vocab: Ids of tokens; without vocabulary and merges, train the tokenizer.
        merges: Pairs of tokens, the first to merge first.
        add_prefix_space: Put a space before a text that does not begin with one.
        lowercase: Make everything lowercase.
        dropout: Chance to leave a merge out.
        unicode_normalizer: `nfc`, `nfd`, `nfkc` or `nfkd`.
        continuing_subword_prefix: Option of the model.
        end_of_word_suffix: Option of the model.
        trim_offsets: Take blanks out of the offsets.
    """

    __slots__ = ()

    def __init__(
        self,
        vocab: Mapping[str, int] | None = None,
        merges: Iterable[tuple[str, str]] | None = None,
        add_prefix_space: bool = False,
        lowercase: bool = False,
        dropout: float | None = None,
        unicode_normalizer: str | None = None,
        continuing_subword_prefix: str | None = None,
        end_of_word_suffix: str | None = None,
        trim_offsets: bool = False,
    ) -> None:
        parameters = _parameters("ByteLevelBPE", locals())
        model = models.BPE()
        if vocab is not None and merges is not None:
            model = models.BPE(
                vocab,
                merges,
                dropout=dropout,
                continuing_subword_prefix=continuing_subword_prefix or "",
                end_of_word_suffix=end_of_word_suffix or "",
            )
        steps = _unicode_steps(unicode_normalizer)
        if lowercase:
            steps.append(normalizers.Lowercase())
        tokenizer = Tokenizer(
            model,
            normalizer=_chain(steps),
            pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space),
            post_processor=processors.ByteLevel(trim_offsets=trim_offsets),
            decoder=decoders.ByteLevel(),
        )
        super().__init__(tokenizer, parameters)

    def train(
        self,
        files: Any,
        vocab_size: int = 30_000,
        min_frequency: int = 2,
        show_progress: bool = True,
        special_tokens: Sequence[Name] = (),
    ) -> None:
        """Trains the model anew on the lines of files; see `train_bpe` for the options."""
        super().train(files, _byte_level_trainer(_arguments(locals(), "files")))

    def train_from_iterator(  # type: ignore[override]
        self,
        iterator: Any,
        vocab_size: int = 30_000,
        min_frequency: int = 2,
        show_progress: bool = True,
        special_tokens: Sequence[Name] = (),
        length: int | None = None,
    ) -> None:
        """Trains the model anew on texts; see `train_bpe` for the options."""
        trainer = _byte_level_trainer(_arguments(locals(), "iterator", "length"))
        super().train_from_iterator(iterator, trainer, length=length)


class CharBPETokenizer(BpeTokenizer):
    """BPE over the characters of words, whose last token has a suffix.

    Args:
        vocab: Ids of tokens; without vocabulary and merges, train the tokenizer.
        merges: Pairs of tokens, the first to merge first.
        unk_token: Token for unknown characters.
        suffix: What tokens have behind them that end a word.
        dropout: Chance to leave a merge out.
        lowercase: Make everything lowercase.
        unicode_normalizer: `nfc`, `nfd`, `nfkc` or `nfkd`.
        bert_normalizer: Clean the text up as BERT does, without lowercasing.
        split_on_whitespace_only: Do not split at punctuation.
    """

    __slots__ = ()

    def __init__(
        self,
        vocab: Mapping[str, int] | None = None,
        merges: Iterable[tuple[str, str]] | None = None,
        unk_token: Name = UNKNOWN,
        suffix: str = "</w>",
        dropout: float | None = None,
        lowercase: bool = False,
        unicode_normalizer: str | None = None,
        bert_normalizer: bool = True,
        split_on_whitespace_only: bool = False,
    ) -> None:
        parameters = _parameters("BPE", locals())
        is_empty = vocab is None or merges is None
        model = models.BPE(
            None if is_empty else vocab,
            None if is_empty else merges,
            unk_token=str(unk_token),
            dropout=dropout,
            end_of_word_suffix=suffix,
        )
        steps = _unicode_steps(unicode_normalizer)
        if bert_normalizer:
            steps.append(normalizers.BertNormalizer(lowercase=False))
        if lowercase:
            steps.append(normalizers.Lowercase())
        tokenizer = Tokenizer(
            model,
            normalizer=_chain(steps),
            pre_tokenizer=pre_tokenizers.WhitespaceSplit()
            if split_on_whitespace_only
            else pre_tokenizers.BertPreTokenizer(),
            decoder=decoders.BPEDecoder(suffix=suffix),
        )
        _tell_special(tokenizer, unk_token)
        super().__init__(tokenizer, parameters)

    def train(
        self,
        files: Any,
        vocab_size: int = 30_000,
        min_frequency: int = 2,
        special_tokens: Sequence[Name] = (UNKNOWN,),
        limit_alphabet: int = 1000,
        initial_alphabet: Sequence[str] = (),
        suffix: str | None = "</w>",
        show_progress: bool = True,
    ) -> None:
        """Trains the model anew on the lines of files; see `train_bpe` for the options."""
        options = _arguments(locals(), "files", "suffix")
        super().train(files, BpeTrainer(**options, end_of_word_suffix=suffix))

    def train_from_iterator(  # type: ignore[override]
        self,
        iterator: Any,
        vocab_size: int = 30_000,
        min_frequency: int = 2,
        special_tokens: Sequence[Name] = (UNKNOWN,),
        limit_alphabet: int = 1000,
        initial_alphabet: Sequence[str] = (),
        suffix: str | None = "</w>",
        show_progress: bool = True,
        length: int | None = None,
    ) -> None:
        """Trains the model anew on texts; see `train_bpe` for the options."""
        options = _arguments(locals(), "iterator", "suffix", "length")
        trainer = BpeTrainer(**options, end_of_word_suffix=suffix)
        super().train_from_iterator(iterator, trainer, length=length)


class SentencePieceBPETokenizer(BpeTokenizer):
    """BPE over text whose spaces are a visible character, as SentencePiece has it.

    Args:
        vocab: Ids of tokens; without vocabulary and merges, train the tokenizer.
        merges: Pairs of tokens, the first to merge first.
        unk_token: Token for unknown characters.
        replacement: The visible character.
        add_prefix_space: Put one before every text.
        dropout: Chance to leave a merge out.
        fuse_unk: Make unknown characters in a row one token.
    """

    __slots__ = ()

    def __init__(
        self,
        vocab: Mapping[str, int] | None = None,
        merges: Iterable[tuple[str, str]] | None = None,
        unk_token: Name = UNKNOWN,
        replacement: str = "▁",
        add_prefix_space: bool = True,
        dropout: float | None = None,
        fuse_unk: bool | None = False,
    ) -> None:
        parameters = _parameters("SentencePieceBPE", locals(), "fuse_unk")
        is_empty = vocab is None or merges is None
        model = models.BPE(
            None if is_empty else vocab,
            None if is_empty else merges,
            dropout=dropout,
            unk_token=str(unk_token),
            fuse_unk=fuse_unk,
        )
        tokenizer = Tokenizer(
            model, normalizer=normalizers.NFKC(), **_spaces(replacement, add_prefix_space)
        )
        _tell_special(tokenizer, unk_token)
        super().__init__(tokenizer, parameters)

    def train(
        self,
        files: Any,
        vocab_size: int = 30_000,
        min_frequency: int = 2,
        special_tokens: Sequence[Name] = (UNKNOWN,),
        limit_alphabet: int = 1000,
        initial_alphabet: Sequence[str] = (),
        show_progress: bool = True,
    ) -> None:
        """Trains the model anew on the lines of files; see `train_bpe` for the options."""
        super().train(files, BpeTrainer(**_arguments(locals(), "files")))

    def train_from_iterator(  # type: ignore[override]
        self,
        iterator: Any,
        vocab_size: int = 30_000,
        min_frequency: int = 2,
        special_tokens: Sequence[Name] = (UNKNOWN,),
        limit_alphabet: int = 1000,
        initial_alphabet: Sequence[str] = (),
        show_progress: bool = True,
        length: int | None = None,
    ) -> None:
        """Trains the model anew on texts; see `train_bpe` for the options."""
        trainer = BpeTrainer(**_arguments(locals(), "iterator", "length"))
        super().train_from_iterator(iterator, trainer, length=length)


class SentencePieceUnigramTokenizer(BaseTokenizer):
    """Unigram over text whose spaces are a visible character, as SentencePiece has it.

    Args:
        vocab: Tokens and their scores; without them, train the tokenizer.
        replacement: The visible character.
        add_prefix_space: Put one before every text.
    """

    __slots__ = ()

    def __init__(
        self,
        vocab: Iterable[tuple[str, float]] | None = None,
        replacement: str = "▁",
        add_prefix_space: bool = True,
    ) -> None:
        parameters = _parameters("SentencePieceUnigram", locals())
        steps = [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
        tokenizer = Tokenizer(
            models.Unigram(vocab),
            normalizer=normalizers.Sequence(steps),
            **_spaces(replacement, add_prefix_space),
        )
        super().__init__(tokenizer, parameters)

    @classmethod
    def from_spm(cls, filename: Files) -> SentencePieceUnigramTokenizer:
        """Reads the `.model` file of SentencePiece.

        Raises:
            LoadError: The file is no such model, or not one of the Unigram kind.
            MissingFileError: There is no such file.
        """
        loaded = Tokenizer.from_sentencepiece(filename)
        if not isinstance(loaded.model, models.Unigram):
            raise LoadError(f"{filename}: not a Unigram model", file=str(filename))
        found = loaded.normalizer
        parts = found.normalizers if isinstance(found, normalizers.Sequence) else (found,)
        charsmaps = [part for part in parts if isinstance(part, normalizers.Precompiled)]
        tokenizer = Tokenizer(
            loaded.model,
            normalizer=normalizers.Sequence([*charsmaps, normalizers.Replace(Regex(" {2,}"), " ")]),
            **_spaces("▁", True),
        )
        return _made(cls, tokenizer, {"model": "SentencePieceUnigram"})

    def train(
        self,
        files: Any,
        vocab_size: int = 8000,
        show_progress: bool = True,
        special_tokens: Sequence[Name] | None = None,
        initial_alphabet: Sequence[str] | None = None,
        unk_token: str | None = None,
    ) -> None:
        """Trains the model anew on the lines of files; see `train_unigram` for the options."""
        super().train(files, UnigramTrainer(**_arguments(locals(), "files")))

    def train_from_iterator(  # type: ignore[override]
        self,
        iterator: Any,
        vocab_size: int = 8000,
        show_progress: bool = True,
        special_tokens: Sequence[Name] | None = None,
        initial_alphabet: Sequence[str] | None = None,
        unk_token: str | None = None,
        length: int | None = None,
    ) -> None:
        """Trains the model anew on texts; see `train_unigram` for the options."""
        trainer = UnigramTrainer(**_arguments(locals(), "iterator", "length"))
        super().train_from_iterator(iterator, trainer, length=length)


class BertWordPieceTokenizer(BaseTokenizer):
    """WordPiece as in BERT.

    Args:
        vocab: Ids of tokens; without them, train the tokenizer.
        unk_token: Token for unknown words.
        sep_token: The separator.
        cls_token: The token that opens the first text.
        pad_token: Padding.
        mask_token: The mask.
        clean_text: Drop control characters, and make every blank a space.
        handle_chinese_chars: Put spaces around Chinese characters.
        strip_accents: Drop accents; by default, if `lowercase`.
        lowercase: Make everything lowercase.
        wordpieces_prefix: What tokens have before them that do not begin a word.

    Raises:
        TypeError: The vocabulary lacks the separator or the first token.
    """

    __slots__ = ()

    def __init__(
        self,
        vocab: Mapping[str, int] | None = None,
        unk_token: Name = "[UNK]",  # noqa: S107
        sep_token: Name = "[SEP]",  # noqa: S107
        cls_token: Name = "[CLS]",  # noqa: S107
        pad_token: Name = "[PAD]",  # noqa: S107
        mask_token: Name = "[MASK]",  # noqa: S107
        clean_text: bool = True,
        handle_chinese_chars: bool = True,
        strip_accents: bool | None = None,
        lowercase: bool = True,
        wordpieces_prefix: str = "##",
    ) -> None:
        parameters = _parameters("BertWordPiece", locals())
        tokenizer = Tokenizer(
            models.WordPiece(vocab, unk_token=str(unk_token)),
            normalizer=normalizers.BertNormalizer(
                clean_text, handle_chinese_chars, strip_accents, lowercase
            ),
            pre_tokenizer=pre_tokenizers.BertPreTokenizer(),
            decoder=decoders.WordPiece(prefix=wordpieces_prefix),
        )
        _tell_special(tokenizer, unk_token, sep_token, cls_token, pad_token, mask_token)
        if vocab is not None:
            ends = [
                _numbered(tokenizer, "sep_token", str(sep_token)),
                _numbered(tokenizer, "cls_token", str(cls_token)),
            ]
            tokenizer.post_processor = processors.BertProcessing(*ends)
        super().__init__(tokenizer, parameters)

    @classmethod
    def from_file(cls, vocab: Files, **options: Any) -> BertWordPieceTokenizer:  # type: ignore[override]
        """Reads a `vocab.txt`."""
        return cls(models.WordPiece.read_file(vocab), **options)

    def train(
        self,
        files: Any,
        vocab_size: int = 30_000,
        min_frequency: int = 2,
        limit_alphabet: int = 1000,
        initial_alphabet: Sequence[str] = (),
        special_tokens: Sequence[Name] = BERT_TOKENS,
        show_progress: bool = True,
        wordpieces_prefix: str = "##",
    ) -> None:
        """Trains the model anew on the lines of files; see `train_wordpiece` for the options."""
        options = _arguments(locals(), "files", "wordpieces_prefix")
        trainer = WordPieceTrainer(**options, continuing_subword_prefix=wordpieces_prefix)
        super().train(files, trainer)

    def train_from_iterator(  # type: ignore[override]
        self,
        iterator: Any,
        vocab_size: int = 30_000,
        min_frequency: int = 2,
        limit_alphabet: int = 1000,
        initial_alphabet: Sequence[str] = (),
        special_tokens: Sequence[Name] = BERT_TOKENS,
        show_progress: bool = True,
        wordpieces_prefix: str = "##",
        length: int | None = None,
    ) -> None:
        """Trains the model anew on texts; see `train_wordpiece` for the options."""
        options = _arguments(locals(), "iterator", "length", "wordpieces_prefix")
        trainer = WordPieceTrainer(**options, continuing_subword_prefix=wordpieces_prefix)
        super().train_from_iterator(iterator, trainer, length=length)


def _numbered(tokenizer: Tokenizer, option: str, token: str) -> tuple[str, int]:
    number = tokenizer.token_to_id(token)
    if number is None:
        raise TypeError(f"{option} not found in the vocabulary")
    return token, number


def _spaces(replacement: str, add_prefix_space: bool) -> dict[str, Any]:
    """Pre-tokenizer and decoder that make spaces visible and take that back."""
    scheme: Any = "always" if add_prefix_space else "never"
    return {
        "pre_tokenizer": pre_tokenizers.Metaspace(replacement, scheme),
        "decoder": decoders.Metaspace(replacement, scheme),
    }


def _byte_level_trainer(options: dict[str, Any]) -> BpeTrainer:
    return BpeTrainer(**options, initial_alphabet=byte_level_alphabet())


def _arguments(names: Mapping[str, Any], *others: str) -> dict[str, Any]:
    """The arguments of a function, its `locals()`, but for some; what is None takes its default."""
    left_out = {"self", "__class__", *others}
    return {k: v for k, v in names.items() if k not in left_out and v is not None}


def _parameters(model: str, names: Mapping[str, Any], *others: str) -> dict[str, Any]:
    """What the `repr` of a tokenizer names: the arguments but for vocabulary and merges."""
    left_out = {"self", "__class__", "vocab", "merges", *others}
    return {"model": model, **{k: v for k, v in names.items() if k not in left_out}}
