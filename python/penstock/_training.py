"""Training: a corpus in, a new tokenizer out."""

from __future__ import annotations

import copy
import json
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

from penstock import _native
from penstock._components import Component
from penstock._sources import count
from penstock._tokenizer import Tokenizer
from penstock.errors import TextError, TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from penstock._native import AddedToken, WordCounter

    Report = Callable[[str, int, int | None], None]


def train_bpe(
    texts: Any = None,
    *,
    files: Any = None,
    vocab_size: int = 30_000,
    min_frequency: int = 0,
    special_tokens: Sequence[str | AddedToken] = (),
    limit_alphabet: int | None = None,
    initial_alphabet: Iterable[str] = (),
    continuing_subword_prefix: str | None = None,
    end_of_word_suffix: str | None = None,
    max_token_length: int | None = None,
    unk_token: str | None = None,
    fuse_unk: bool = False,
    byte_fallback: bool = False,
    ignore_merges: bool = False,
    dropout: float | None = None,
    normalizer: Any = None,
    pre_tokenizer: Any = None,
    post_processor: Any = None,
    decoder: Any = None,
    show_progress: bool = True,
    length: int | None = None,
) -> Tokenizer:
    """Trains a BPE tokenizer: the vocabulary and the merges that `tokenizers` would learn.

    Args:
        texts: The corpus: an iterable of str or of lists of str, an Arrow string column, or a
            mapping from words, already split, to counts. A `pathlib.Path`, or an iterable of them,
            stands for the lines of a file.
        files: Paths of UTF-8 files, plain, .gz or .zst; each line, with its end, is a text.
        vocab_size: Tokens to stop at. The alphabet and the special tokens are never cut.
        min_frequency: A pair that occurs less often is not merged.
        special_tokens: The first tokens of the vocabulary, and added tokens of the tokenizer.
        limit_alphabet: How many characters the alphabet may have; of characters that occur equally
            often, those with the lowest code points stay.
        initial_alphabet: Characters that are in the alphabet though the corpus may lack them; for a
            `ByteLevel` pre-tokenizer, `byte_level_alphabet()`.
        continuing_subword_prefix: Stands before every symbol but the first of a word.
        end_of_word_suffix: Stands behind the last symbol of a word.
        max_token_length: Characters that a merged token may have.
        unk_token: Option of the model.
        fuse_unk: Option of the model.
        byte_fallback: Option of the model.
        ignore_merges: Option of the model.
        dropout: Option of the model.
        normalizer: The tokenizer's normalizer: a description of `penstock.normalizers`, or its
            part of a tokenizer.json.
        pre_tokenizer: Likewise. Without one, a text is one word.
        post_processor: Likewise.
        decoder: Likewise.
        show_progress: Show a bar on a terminal, if tqdm is installed.
        length: Number of texts, for the bar.

    Raises:
        TypeError: A text is no str.
        TextError: A text holds a lone surrogate, or a file is not UTF-8.
        FileError: A file cannot be read.
        TrainingError: An option has a value that it cannot have.

    Example:
        >>> import penstock
        >>> split = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
        >>> tokenizer = penstock.train_bpe(
        ...     ["low lower lowest"], vocab_size=260, pre_tokenizer=split,
        ...     initial_alphabet=penstock.byte_level_alphabet(),
        ... )
        >>> tokenizer.encode("lowest").tokens
        ['low', 'e', 's', 't']
    """
    trainer = BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        show_progress=show_progress,
        special_tokens=special_tokens,
        limit_alphabet=limit_alphabet,
        initial_alphabet=initial_alphabet,
        continuing_subword_prefix=continuing_subword_prefix,
        end_of_word_suffix=end_of_word_suffix,
        max_token_length=max_token_length,
    )
    model = {
        "type": "BPE",
        "dropout": dropout,
        "unk_token": unk_token,
        "fuse_unk": fuse_unk,
        "byte_fallback": byte_fallback,
        "ignore_merges": ignore_merges,
    }
    pipeline = _pipeline(model, normalizer, pre_tokenizer, post_processor, decoder)
    return train(pipeline, trainer, texts, files=files, length=length)


def train_wordpiece(
    texts: Any = None,
    *,
    files: Any = None,
    vocab_size: int = 30_000,
    min_frequency: int = 0,
    special_tokens: Sequence[str | AddedToken] = (),
    limit_alphabet: int | None = None,
    initial_alphabet: Iterable[str] = (),
    continuing_subword_prefix: str | None = "##",
    end_of_word_suffix: str | None = None,
    unk_token: str = "[UNK]",  # noqa: S107
    max_input_chars_per_word: int = 100,
    normalizer: Any = None,
    pre_tokenizer: Any = None,
    post_processor: Any = None,
    decoder: Any = None,
    show_progress: bool = True,
    length: int | None = None,
) -> Tokenizer:
    """Trains a WordPiece tokenizer.

    The vocabulary is that of BPE with a prefix. The reference numbers the symbols that have one in
    the order of a randomly seeded map, so that it learns another vocabulary each time; here they
    are numbered in order of their text. Where `special_tokens` fix the numbers, both learn the
    same.

    Args:
        texts: As for `train_bpe`.
        files: As for `train_bpe`.
        vocab_size: As for `train_bpe`.
        min_frequency: As for `train_bpe`.
        special_tokens: As for `train_bpe`; `unk_token` should be among them.
        limit_alphabet: As for `train_bpe`.
        initial_alphabet: As for `train_bpe`.
        continuing_subword_prefix: As for `train_bpe`; option of the model, too.
        end_of_word_suffix: As for `train_bpe`.
        unk_token: Option of the model.
        max_input_chars_per_word: Option of the model.
        normalizer: As for `train_bpe`.
        pre_tokenizer: As for `train_bpe`.
        post_processor: As for `train_bpe`.
        decoder: As for `train_bpe`.
        show_progress: As for `train_bpe`.
        length: As for `train_bpe`.

    Raises:
        TypeError: As for `train_bpe`.
        TextError: As for `train_bpe`.
        FileError: As for `train_bpe`.
        TrainingError: As for `train_bpe`.
    """
    trainer = WordPieceTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        show_progress=show_progress,
        special_tokens=special_tokens,
        limit_alphabet=limit_alphabet,
        initial_alphabet=initial_alphabet,
        continuing_subword_prefix=continuing_subword_prefix,
        end_of_word_suffix=end_of_word_suffix,
    )
    model = {
        "type": "WordPiece",
        "unk_token": unk_token,
        "max_input_chars_per_word": max_input_chars_per_word,
    }
    pipeline = _pipeline(model, normalizer, pre_tokenizer, post_processor, decoder)
    return train(pipeline, trainer, texts, files=files, length=length)


def train_unigram(
    texts: Any = None,
    *,
    files: Any = None,
    vocab_size: int = 8000,
    special_tokens: Sequence[str | AddedToken] = (),
    initial_alphabet: Iterable[str] = (),
    shrinking_factor: float = 0.75,
    unk_token: str | None = None,
    max_piece_length: int = 16,
    n_sub_iterations: int = 2,
    seed_size: int = 1_000_000,
    byte_fallback: bool = False,
    normalizer: Any = None,
    pre_tokenizer: Any = None,
    post_processor: Any = None,
    decoder: Any = None,
    show_progress: bool = True,
    length: int | None = None,
) -> Tokenizer:
    """Trains a Unigram tokenizer by expectation maximization.

    The vocabulary is not the reference's, which depends on its threads and hash maps; it gives the
    corpus a likelihood at least as high, and is the same each time.

    Args:
        texts: As for `train_bpe`.
        files: As for `train_bpe`.
        vocab_size: Tokens of the vocabulary, special ones and every character included.
        special_tokens: As for `train_bpe`.
        initial_alphabet: As for `train_bpe`.
        shrinking_factor: What share of the pieces stays when some are dropped, between 0 and 1.
        unk_token: The token for unknown characters: a special token, or else put before them.
        max_piece_length: Characters that a piece may have.
        n_sub_iterations: Rounds of expectation and maximization before pieces are dropped.
        seed_size: Pieces to start with.
        byte_fallback: Option of the model.
        normalizer: As for `train_bpe`.
        pre_tokenizer: As for `train_bpe`.
        post_processor: As for `train_bpe`.
        decoder: As for `train_bpe`.
        show_progress: As for `train_bpe`.
        length: As for `train_bpe`.

    Raises:
        TypeError: As for `train_bpe`.
        TextError: As for `train_bpe`.
        FileError: As for `train_bpe`.
        TrainingError: As for `train_bpe`; or the vocabulary has no room for all characters.
    """
    trainer = UnigramTrainer(
        vocab_size=vocab_size,
        show_progress=show_progress,
        special_tokens=special_tokens,
        initial_alphabet=initial_alphabet,
        shrinking_factor=shrinking_factor,
        unk_token=unk_token,
        max_piece_length=max_piece_length,
        n_sub_iterations=n_sub_iterations,
        seed_size=seed_size,
    )
    model = {"type": "Unigram", "byte_fallback": byte_fallback}
    pipeline = _pipeline(model, normalizer, pre_tokenizer, post_processor, decoder)
    return train(pipeline, trainer, texts, files=files, length=length)


def train_wordlevel(
    texts: Any = None,
    *,
    files: Any = None,
    vocab_size: int = 30_000,
    min_frequency: int = 0,
    special_tokens: Sequence[str | AddedToken] = (),
    unk_token: str = "<unk>",  # noqa: S107
    normalizer: Any = None,
    pre_tokenizer: Any = None,
    post_processor: Any = None,
    decoder: Any = None,
    show_progress: bool = True,
    length: int | None = None,
) -> Tokenizer:
    """Trains a WordLevel tokenizer: the most frequent words, as `tokenizers` would order them.

    Args:
        texts: As for `train_bpe`.
        files: As for `train_bpe`.
        vocab_size: Tokens that the vocabulary may have.
        min_frequency: A word that occurs less often is left out.
        special_tokens: As for `train_bpe`; `unk_token` should be among them.
        unk_token: Option of the model.
        normalizer: As for `train_bpe`.
        pre_tokenizer: As for `train_bpe`.
        post_processor: As for `train_bpe`.
        decoder: As for `train_bpe`.
        show_progress: As for `train_bpe`.
        length: As for `train_bpe`.

    Raises:
        TypeError: As for `train_bpe`.
        TextError: As for `train_bpe`.
        FileError: As for `train_bpe`.
        TrainingError: As for `train_bpe`.
    """
    trainer = WordLevelTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        show_progress=show_progress,
        special_tokens=special_tokens,
    )
    model = {"type": "WordLevel", "unk_token": unk_token}
    pipeline = _pipeline(model, normalizer, pre_tokenizer, post_processor, decoder)
    return train(pipeline, trainer, texts, files=files, length=length)


def byte_level_alphabet() -> list[str]:
    """Returns the characters in which byte-level vocabularies write the 256 bytes, in order."""
    return _native.byte_level_alphabet()


# --- trainers: the options, with the reference's names and defaults


PROGRESS_FORMATS = {"indicatif": "Indicatif", "json": "JsonLines", "silent": "Silent"}
"""Forms of progress, and their names in the reference's pickles."""

FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")


class Trainer:
    """Base of all trainers: options, which may be changed until they are used."""

    model: ClassVar[str]
    vocab_size: int
    show_progress: bool
    special_tokens: Sequence[str | AddedToken]

    def learn(self, counter: WordCounter, report: Report) -> tuple[dict[str, Any], str]:
        """Learns; returns the options and the JSON of what the model is given."""
        raise NotImplementedError

    def __setattr__(self, name: str, value: Any) -> None:
        """Sets an option.

        Raises:
            AttributeError: There is no such option.
            TypeError: A special token is no str and no AddedToken, or the alphabet is no strings.
        """
        if name not in self.__dataclass_fields__:  # type: ignore[attr-defined]
            raise AttributeError(f"{type(self).__name__} has no option {name!r}")
        if name == "special_tokens":
            value = _special_tokens(value)
        elif name == "initial_alphabet":
            value = _characters(value)
        elif name == "progress_format" and value not in PROGRESS_FORMATS:
            raise TrainingError(f"{name} is none of {', '.join(PROGRESS_FORMATS)}: {value!r}", name)
        object.__setattr__(self, name, value)

    def options(self) -> dict[str, Any]:
        """The options as the reference's pickles name them."""
        options = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        options["special_tokens"] = [
            {"content": token.content, **{flag: getattr(token, flag) for flag in FLAGS}}
            for token in options["special_tokens"]
        ]
        if "progress_format" in options:
            options["progress_format"] = PROGRESS_FORMATS[options["progress_format"]]
        return {**options, "words": {}}

    def __getstate__(self) -> bytes:
        """The options as JSON."""
        text = json.dumps({type(self).__name__: self.options()}, separators=(",", ":"))
        return text.encode()

    def __setstate__(self, state: bytes) -> None:
        """Takes over what `__getstate__` gave."""
        ((name, options),) = json.loads(state).items()
        for option, value in _read_options(TRAINERS_BY_NAME[name], options).items():
            setattr(self, option, value)


@dataclass(kw_only=True)
class BpeTrainer(Trainer):
    """The options of `train_bpe` that concern what is learned.

    `progress_format` is `indicatif` (a bar on a terminal), `json` (lines of JSON on stderr) or
    `silent`.
    """

    model: ClassVar[str] = "BPE"
    min_frequency: int = 0
    vocab_size: int = 30_000
    show_progress: bool = True
    progress_format: str = "indicatif"
    special_tokens: Sequence[str | AddedToken] = ()
    limit_alphabet: int | None = None
    initial_alphabet: Iterable[str] = ()
    continuing_subword_prefix: str | None = None
    end_of_word_suffix: str | None = None
    max_token_length: int | None = None

    def learn(self, counter: WordCounter, report: Report) -> tuple[dict[str, Any], str]:
        options = {
            "continuing_subword_prefix": self.continuing_subword_prefix,
            "end_of_word_suffix": self.end_of_word_suffix,
        }
        return options, _bpe_fields(self, self.max_token_length, counter, report)


@dataclass(kw_only=True)
class WordPieceTrainer(Trainer):
    """The options of `train_wordpiece` that concern what is learned."""

    model: ClassVar[str] = "WordPiece"
    min_frequency: int = 0
    vocab_size: int = 30_000
    show_progress: bool = True
    special_tokens: Sequence[str | AddedToken] = ()
    limit_alphabet: int | None = None
    initial_alphabet: Iterable[str] = ()
    continuing_subword_prefix: str | None = "##"
    end_of_word_suffix: str | None = None

    def options(self) -> dict[str, Any]:
        """The options; the reference keeps them with the BPE trainer inside."""
        return {"bpe_trainer": super().options()}

    def learn(self, counter: WordCounter, report: Report) -> tuple[dict[str, Any], str]:
        learned = json.loads(_bpe_fields(self, None, counter, report))
        prefix = "##" if self.continuing_subword_prefix is None else self.continuing_subword_prefix
        vocab = json.dumps({"vocab": learned["vocab"]}, ensure_ascii=False)
        return {"continuing_subword_prefix": prefix}, vocab


@dataclass(kw_only=True)
class WordLevelTrainer(Trainer):
    """The options of `train_wordlevel` that concern what is learned."""

    model: ClassVar[str] = "WordLevel"
    min_frequency: int = 0
    vocab_size: int = 30_000
    show_progress: bool = True
    special_tokens: Sequence[str | AddedToken] = ()

    def learn(self, counter: WordCounter, report: Report) -> tuple[dict[str, Any], str]:
        learned = counter.train_wordlevel(
            vocab_size=_size("vocab_size", self.vocab_size),
            min_frequency=_size("min_frequency", self.min_frequency),
            special_tokens=_contents(self.special_tokens),
            report=report,
        )
        return {}, learned


@dataclass(kw_only=True)
class UnigramTrainer(Trainer):
    """The options of `train_unigram` that concern what is learned."""

    model: ClassVar[str] = "Unigram"
    vocab_size: int = 8000
    show_progress: bool = True
    special_tokens: Sequence[str | AddedToken] = ()
    initial_alphabet: Iterable[str] = ()
    shrinking_factor: float = 0.75
    unk_token: str | None = None
    max_piece_length: int = 16
    n_sub_iterations: int = 2
    seed_size: int = 1_000_000

    def learn(self, counter: WordCounter, report: Report) -> tuple[dict[str, Any], str]:
        learned = counter.train_unigram(
            vocab_size=_size("vocab_size", self.vocab_size),
            special_tokens=_contents(self.special_tokens),
            initial_alphabet=list(self.initial_alphabet),
            shrinking_factor=self.shrinking_factor,
            unk_token=_optional_text("unk_token", self.unk_token),
            max_piece_length=_size("max_piece_length", self.max_piece_length),
            n_sub_iterations=_size("n_sub_iterations", self.n_sub_iterations),
            seed_size=_size("seed_size", self.seed_size),
            report=report,
        )
        return {}, learned


def _characters(texts: Iterable[str]) -> list[str]:
    """The characters of an alphabet; as in the reference, of a longer string the first counts."""
    return [_text("initial_alphabet", text)[0] for text in texts if text]


def _bpe_fields(
    trainer: BpeTrainer | WordPieceTrainer,
    max_token_length: int | None,
    counter: WordCounter,
    report: Report,
) -> str:
    return counter.train_bpe(
        vocab_size=_size("vocab_size", trainer.vocab_size),
        min_frequency=_size("min_frequency", trainer.min_frequency),
        special_tokens=_contents(trainer.special_tokens),
        limit_alphabet=_optional_size("limit_alphabet", trainer.limit_alphabet),
        initial_alphabet=list(trainer.initial_alphabet),
        continuing_subword_prefix=_optional_text(
            "continuing_subword_prefix", trainer.continuing_subword_prefix
        ),
        end_of_word_suffix=_optional_text("end_of_word_suffix", trainer.end_of_word_suffix),
        max_token_length=_optional_size("max_token_length", max_token_length),
        report=report,
    )


def _size(name: str, value: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if not 0 <= value < 1 << 63:
        raise TrainingError(f"{name} must be from 0 to 2**63 - 1, not {value}", name)
    return value


def _optional_size(name: str, value: int | None) -> int | None:
    return None if value is None else _size(name, value)


def _special_tokens(tokens: Sequence[str | AddedToken]) -> list[Any]:
    """Special tokens as such, whatever they were given as."""
    if isinstance(tokens, str):
        raise TypeError("special_tokens must be a list of str or AddedToken, not a single str")
    special: list[Any] = []
    given: Any
    for given in tokens:
        content = _text("special_tokens", getattr(given, "content", given))
        if isinstance(given, _native.AddedToken):
            token = copy.copy(given)
            token.special = True
        elif isinstance(given, str):
            token = _native.AddedToken(content, special=True)
        else:
            flags = {flag: getattr(given, flag) for flag in FLAGS}
            token = _native.AddedToken(content, **{**flags, "special": True})
        special.append(token)
    return special


def _contents(tokens: Sequence[str | AddedToken]) -> list[str]:
    return [token.content for token in tokens if not isinstance(token, str)]


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be str, not {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        message = f"{name}: {value!r} holds a lone surrogate, which UTF-8 cannot carry"
        raise TextError(message, error.start) from error
    return value


def _optional_text(name: str, value: str | None) -> str | None:
    return None if value is None else _text(name, value)


TRAINERS: dict[str, Any] = {
    kind.model: kind for kind in (BpeTrainer, WordPieceTrainer, UnigramTrainer, WordLevelTrainer)
}
"""The trainer of each kind of model."""

TRAINERS_BY_NAME: dict[str, Any] = {kind.__name__: kind for kind in TRAINERS.values()}


def _read_options(kind: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a trainer from what pickles hold, ours or the reference's."""
    options = options.get("bpe_trainer", options)
    known = {field.name for field in fields(kind)}
    options = {name: value for name, value in options.items() if name in known}
    options["special_tokens"] = [_token(token) for token in options["special_tokens"]]
    if "progress_format" in options:
        stored = options["progress_format"]
        options["progress_format"] = next(k for k, v in PROGRESS_FORMATS.items() if v == stored)
    return options


# --- one way for all of them


def train(
    pipeline: Mapping[str, Any],
    trainer: Any,
    texts: Any,
    *,
    files: Any = None,
    length: int | None = None,
) -> Tokenizer:
    """Trains the model of a pipeline.

    Args:
        pipeline: A tokenizer.json as a dict; the model's vocabulary in it does not matter.
        trainer: One of the trainers of this module.
        texts: As for `train_bpe`.
        files: As for `train_bpe`.
        length: As for `train_bpe`.
    """
    untrained = {**pipeline, "model": {"type": "BPE", "vocab": {}, "merges": []}}
    counter = _native.WordCounter(_native.Tokenizer.from_str(json.dumps(untrained)))
    form = getattr(trainer, "progress_format", "indicatif") if trainer.show_progress else "silent"
    with _bar(form) as report:
        count(counter, texts, files, report, length)
        options, learned = trainer.learn(counter, report)
    model = {**pipeline["model"], **options}
    for key in ("vocab", "merges", "unk_id"):
        model.pop(key, None)
    parts = {key: json.dumps(value) for key, value in pipeline.items()}
    # What was learned is large, and stays the text that it is.
    parts["model"] = f"{json.dumps(model)[:-1]}, {learned[1:]}"
    text = ", ".join(f"{json.dumps(key)}: {value}" for key, value in parts.items())
    tokenizer = Tokenizer.from_str(f"{{{text}}}")
    tokenizer.add_special_tokens(list(trainer.special_tokens))
    return tokenizer


def train_in_place(
    tokenizer: Tokenizer, trainer: Any, texts: Any, *, files: Any = None, length: int | None = None
) -> Tokenizer:
    """Trains the model of a tokenizer anew; everything else stays.

    Args:
        tokenizer: The tokenizer, which stays as it is.
        trainer: One of the trainers of this module or of the reference, of the model's kind; None
            for the model's own with its defaults.
        texts: As for `train_bpe`.
        files: As for `train_bpe`.
        length: As for `train_bpe`.

    Raises:
        TrainingError: The trainer is of another kind than the model.
    """
    pipeline = json.loads(tokenizer.to_str())
    kind = pipeline["model"]["type"]
    trainer = TRAINERS[kind]() if trainer is None else _trainer(trainer)
    if trainer.model != kind:
        raise TrainingError(f"{type(trainer).__name__} can only train a {trainer.model}", "trainer")
    return train(pipeline, trainer, texts, files=files, length=length)


def train_new(
    tokenizer: Tokenizer,
    texts: Any,
    vocab_size: int,
    *,
    length: int | None = None,
    new_special_tokens: Sequence[str | AddedToken] | None = None,
    special_tokens_map: Mapping[str, str] | None = None,
    **options: Any,
) -> Tokenizer:
    """Trains a tokenizer with the pipeline of another: `train_new_from_iterator` of transformers.

    Special tokens, the marks of a BPE model and the token for unknown characters are taken over;
    a post-processor gets the new ids.
    """
    renamed = special_tokens_map or {}
    pipeline = json.loads(tokenizer.to_str())
    added, post_processor = pipeline["added_tokens"], pipeline["post_processor"]
    pipeline |= {"added_tokens": [], "post_processor": None}
    model = pipeline["model"]
    if model["type"] == "Unigram" and model["unk_id"] is not None:
        unk_token = model["vocab"][model["unk_id"]][0]
        options["unk_token"] = renamed.get(unk_token, unk_token)
    elif "unk_token" in model:
        model["unk_token"] = renamed.get(model["unk_token"], model["unk_token"])
    if model["type"] == "BPE":
        for mark in ("continuing_subword_prefix", "end_of_word_suffix"):
            options.setdefault(mark, model[mark])
    if _is_byte_level(pipeline["pre_tokenizer"]):
        options["initial_alphabet"] = byte_level_alphabet()
    special_tokens: list[str | AddedToken] = [
        _token(token | {"content": renamed.get(token["content"], token["content"])})
        for token in added
        # As there: a Unigram tokenizer takes all its added tokens along.
        if token["special"] or model["type"] == "Unigram"
    ]
    special_tokens += new_special_tokens or []
    trainer = TRAINERS[model["type"]](
        vocab_size=vocab_size, special_tokens=special_tokens, **options
    )
    trained = train(pipeline, trainer, texts, length=length)
    if post_processor is None:
        return trained
    _renumber(post_processor, renamed, trained)
    return Tokenizer.from_str(
        json.dumps(json.loads(trained.to_str()) | {"post_processor": post_processor})
    )


def _is_byte_level(pre_tokenizer: Any) -> bool:
    """True for `ByteLevel`, and for a sequence that has it among its parts."""
    if pre_tokenizer is None:
        return False
    parts = [pre_tokenizer, *pre_tokenizer.get("pretokenizers", ())]
    return any(part["type"] == "ByteLevel" for part in parts)


def _renumber(post_processor: Any, renamed: Mapping[str, str], tokenizer: Tokenizer) -> None:
    """Gives the special tokens of a post-processor their ids in a tokenizer."""

    def numbered(token: str) -> tuple[str, int]:
        token = renamed.get(token, token)
        number = tokenizer.token_to_id(token)
        if number is None:
            raise TrainingError(
                f"the post-processor names {token!r}, which the new vocabulary lacks",
                "special_tokens_map",
            )
        return token, number

    for special in post_processor.get("special_tokens", {}).values():
        pairs = [numbered(token) for token in special["tokens"]]
        special["tokens"] = [token for token, _ in pairs]
        special["ids"] = [number for _, number in pairs]
    for name in ("cls", "sep"):
        if name in post_processor:
            post_processor[name] = list(numbered(post_processor[name][0]))


def _trainer(trainer: Any) -> Any:
    """Ours, or one of the reference's, which holds its options as JSON."""
    if isinstance(trainer, tuple(TRAINERS.values())):
        return trainer
    try:
        ((name, options),) = json.loads(trainer.__getstate__()).items()
        kind = TRAINERS_BY_NAME[name]
        return kind(**_read_options(kind, options))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise TypeError(f"not a trainer: {type(trainer).__name__}") from error


def _token(token: Mapping[str, Any]) -> AddedToken:
    return _native.AddedToken(token["content"], **{flag: token[flag] for flag in FLAGS})


def _pipeline(
    model: dict[str, Any], normalizer: Any, pre_tokenizer: Any, post_processor: Any, decoder: Any
) -> dict[str, Any]:
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": _component("normalizer", normalizer),
        "pre_tokenizer": _component("pre_tokenizer", pre_tokenizer),
        "post_processor": _component("post_processor", post_processor),
        "decoder": _component("decoder", decoder),
        "model": model,
    }


def _component(stage: str, component: Any) -> Any:
    """The configuration of a component: ours, the reference's, or already a configuration."""
    if component is None or isinstance(component, dict):
        return component
    if isinstance(component, Component):
        return component.to_json()
    # What pickle stores of the reference's components is their configuration.
    state = component if isinstance(component, str) else component.__getstate__()
    try:
        return json.loads(state)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{stage} is no component: {type(component).__name__}") from error


def _json_line(stage: str, done: int, total: int | None) -> None:
    line = {"stage": stage, "current": done, "total": total}
    print(json.dumps(line, separators=(",", ":")), file=sys.stderr)


@contextmanager
def _bar(form: str) -> Iterator[Report]:
    """Yields the function that shows progress; a bar needs a terminal and tqdm."""
    if form == "json":
        yield _json_line
        return
    if form == "silent" or sys.stderr is None or not sys.stderr.isatty():
        yield lambda _stage, _done, _total: None
        return
    try:
        from tqdm import tqdm
    except ImportError:
        yield lambda _stage, _done, _total: None
        return
    # A terminal that does not know its size says 0, and tqdm would show nothing there.
    size = os.get_terminal_size(sys.stderr.fileno())
    with tqdm(leave=False, ncols=size.columns or 80, nrows=size.lines or 24) as bar:

        def report(stage: str, done: int, total: int | None) -> None:
            if bar.desc != f"{stage}: ":
                bar.set_description(stage, refresh=False)
                bar.reset(total)
            bar.total = total
            bar.update(done - bar.n)

        yield report
