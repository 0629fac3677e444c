"""The tokenizer: one immutable native object, replaced when tokens are added."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from penstock import _locks, _native, decoders, models, normalizers, pre_tokenizers, processors
from penstock._components import of_stage
from penstock._ragged import Ragged
from penstock._repr import REPR, STR, Form
from penstock.errors import LoadError, MissingDependencyError, MissingFileError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from penstock._components import Component
    from penstock._native import AddedToken, DecodeStream, Encoding
    from penstock.decoders import Decoder
    from penstock.models import Model
    from penstock.normalizers import Normalizer
    from penstock.pre_tokenizers import PreTokenizer
    from penstock.processors import PostProcessor


def _described(stage: str, part: Component | None) -> dict[str, Any] | None:
    """The object of tokenizer.json for a part, if there is one.

    Raises:
        TypeError: It is no component of the stage.
    """
    if part is None and stage != "model":
        return None
    parts: tuple[Any, ...] = of_stage(stage, (part,))
    value: dict[str, Any] = parts[0].to_json()
    return value


class Tokenizer:
    """Turns text into token ids and back, exactly as `tokenizers` with the same file does.

    Any number of threads may use one tokenizer while another adds tokens to it: a call works with
    the tokenizer as it was when the call began.

    Example:
        >>> import penstock
        >>> tokenizer = penstock.Tokenizer.from_default()
        >>> tokenizer.decode(tokenizer.encode_ids("Water runs downhill."))
        'Water runs downhill.'
    """

    __slots__ = ("__weakref__", "_lock", "_native")

    def __init__(
        self,
        model: Model | _native.Tokenizer,
        *,
        normalizer: Normalizer | None = None,
        pre_tokenizer: PreTokenizer | None = None,
        post_processor: PostProcessor | None = None,
        decoder: Decoder | None = None,
    ) -> None:
        """Puts a tokenizer together from descriptions of its components.

        Args:
            model: A description from `penstock.models`.
            normalizer: One from `penstock.normalizers`.
            pre_tokenizer: One from `penstock.pre_tokenizers`.
            post_processor: One from `penstock.processors`.
            decoder: One from `penstock.decoders`.

        Raises:
            LoadError: A description does not hold together.
        """
        # Guards the replacement of `_native`, which is read without it.
        self._lock = _locks.lock()
        if isinstance(model, _native.Tokenizer):
            self._native = model
            return
        parts = {
            "normalizer": normalizer,
            "pre_tokenizer": pre_tokenizer,
            "post_processor": post_processor,
            "decoder": decoder,
            "model": model,
        }
        file: dict[str, Any] = {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [],
            **{stage: _described(stage, part) for stage, part in parts.items()},
        }
        self._native = _native.Tokenizer.from_own_str(json.dumps(file))

    # --- constructors

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Tokenizer:
        """Loads a `tokenizer.json`.

        Raises:
            MissingFileError: There is no such file.
            LoadError: The file is no valid tokenizer; the error names the key or the position.
            UnsupportedComponentError: It uses a component that this version does not run.
        """
        return cls(_native.Tokenizer.from_file(path))

    @classmethod
    def from_str(cls, json: str) -> Tokenizer:
        """Loads the contents of a `tokenizer.json`, given as a string."""
        return cls(_native.Tokenizer.from_str(json))

    @classmethod
    def _from_state(cls, json: str, encode_special_tokens: bool) -> Tokenizer:
        native = _native.Tokenizer.from_own_str(json)
        return cls(native.with_encode_special_tokens(encode_special_tokens))

    @classmethod
    def from_buffer(cls, buffer: bytes) -> Tokenizer:
        """Loads the contents of a `tokenizer.json`, given as bytes."""
        return cls(_native.Tokenizer.from_buffer(buffer))

    @classmethod
    def from_pretrained(
        cls, identifier: str, revision: str = "main", token: str | None = None
    ) -> Tokenizer:
        """Loads the `tokenizer.json` of a local folder or of a repository on the Hugging Face Hub.

        Args:
            identifier: A folder, or a repository such as `org/model`; a folder of that name goes
                first.
            revision: Branch, tag or commit of the repository.
            token: Access token for a private repository.

        Raises:
            MissingFileError: The folder does not exist, or has no `tokenizer.json`.
            MissingDependencyError: A repository was named, and `huggingface_hub` is not installed.
        """
        folder = Path(identifier)
        if folder.is_dir():
            return cls.from_file(folder / "tokenizer.json")
        if folder.is_absolute() or identifier.startswith("."):
            raise MissingFileError(2, "No such folder", identifier)
        try:
            from huggingface_hub import hf_hub_download
        except ImportError as error:
            raise MissingDependencyError(
                f"{identifier!r} is no local folder, and loading it from the Hugging Face Hub "
                "needs huggingface_hub: pip install huggingface_hub"
            ) from error
        return cls.from_file(
            hf_hub_download(identifier, "tokenizer.json", revision=revision, token=token)
        )

    @classmethod
    def from_tiktoken(
        cls,
        path: str | os.PathLike[str],
        *,
        pattern: str | None = None,
        special_tokens: Mapping[str, int] | None = None,
    ) -> Tokenizer:
        """Loads a tiktoken rank file.

        Args:
            path: The file, one line of base64 token and rank each.
            pattern: Regex that splits the text. By default known from the file's name, for
                `r50k_base`, `p50k_base`, `cl100k_base` and `o200k_base`.
            special_tokens: Ids of the special tokens; by default, like the pattern, known from the
                name, and none for a pattern of your own.

        Raises:
            LoadError: The name is not known and no pattern was given, or the file is no rank file.
            MissingFileError: There is no such file.
        """
        encodings = _native.tiktoken_encodings()
        known = encodings.get(Path(path).name.removesuffix(".tiktoken"))
        if pattern is None:
            if known is None:
                if not Path(path).exists():
                    raise MissingFileError(2, "No such file or directory", str(path))
                raise LoadError(
                    f"{path}: not one of {', '.join(encodings)}: give the encoding's pattern",
                    file=str(path),
                )
            pattern = known[0]
            special_tokens = dict(known[1]) if special_tokens is None else special_tokens
        tokens = list((special_tokens or {}).items())
        return cls(_native.Tokenizer.from_tiktoken(path, pattern, tokens))

    @classmethod
    def from_sentencepiece(cls, path: str | os.PathLike[str]) -> Tokenizer:
        """Loads the `.model` file of SentencePiece.

        The tokenizer is the one that transformers makes of a folder that holds nothing but such a
        file. What the class of a single model would add (a space before each text, tokens around
        it) is not part of the file; add it by assigning components.

        Raises:
            LoadError: The file is no such model.
            MissingFileError: There is no such file.
        """
        return cls(_native.Tokenizer.from_sentencepiece(path))

    @classmethod
    def from_default(cls) -> Tokenizer:
        """Loads the small tokenizer that ships with penstock, for trying things out."""
        return cls.from_file(Path(__file__).parent / "data" / "default.json")

    # --- components

    @property
    def normalizer(self) -> Normalizer | None:
        """The normalizer as a description; assigning one replaces it."""
        found = self._component("normalizer")
        return None if found is None else normalizers.from_json(found)

    @normalizer.setter
    def normalizer(self, value: Normalizer | None) -> None:
        self._replace("normalizer", value)

    @property
    def pre_tokenizer(self) -> PreTokenizer | None:
        """The pre-tokenizer as a description; assigning one replaces it."""
        found = self._component("pre_tokenizer")
        return None if found is None else pre_tokenizers.from_json(found)

    @pre_tokenizer.setter
    def pre_tokenizer(self, value: PreTokenizer | None) -> None:
        self._replace("pre_tokenizer", value)

    @property
    def post_processor(self) -> PostProcessor | None:
        """The post-processor as a description; assigning one replaces it."""
        found = self._component("post_processor")
        return None if found is None else processors.from_json(found)

    @post_processor.setter
    def post_processor(self, value: PostProcessor | None) -> None:
        self._replace("post_processor", value)

    @property
    def decoder(self) -> Decoder | None:
        """The decoder as a description; assigning one replaces it."""
        found = self._component("decoder")
        return None if found is None else decoders.from_json(found)

    @decoder.setter
    def decoder(self, value: Decoder | None) -> None:
        self._replace("decoder", value)

    @property
    def model(self) -> Model:
        """The model as a description, which holds the whole vocabulary; assigning one replaces it.

        Added tokens keep their ids.
        """
        return models.from_json(self._component("model") or {})

    @model.setter
    def model(self, value: Model) -> None:
        text = json.dumps(_described("model", value))
        with self._lock:
            self._native = self._native.with_model(text)

    def _component(self, stage: str) -> dict[str, Any] | None:
        found = self._native.component(stage)
        return None if found is None else json.loads(found)

    def _replace(self, stage: str, value: Component | None) -> None:
        text = None if value is None else json.dumps(_described(stage, value))
        with self._lock:
            self._native = self._native.with_component(stage, text)

    # --- files

    def to_str(self, pretty: bool = False) -> str:
        """Returns the contents of a `tokenizer.json`, byte for byte as the reference writes it.

        Special tokens of a tiktoken file have ids with gaps before them, which no reader of such
        files would keep: these tokens are written into the vocabulary of the model too.

        Args:
            pretty: Over many lines, indented.
        """
        return self._native.to_str(pretty)

    def save(self, path: str | os.PathLike[str], pretty: bool = True) -> None:
        """Writes a `tokenizer.json`. A file of that name is replaced once the new one is whole.

        Raises:
            FileError: The file cannot be written.
        """
        self._native.save(path, pretty)

    def __reduce__(self) -> tuple[Any, tuple[str, bool]]:
        """What pickle keeps: the contents of a `tokenizer.json`, and `encode_special_tokens`."""
        native = self._native
        return type(self)._from_state, (native.to_str(), native.encode_special_tokens)

    def __copy__(self) -> Tokenizer:
        """A tokenizer that changes by itself; what both have in common is shared."""
        return type(self)(self._native)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tokenizer:
        """The same as a copy: what is shared never changes."""
        return self.__copy__()

    # --- text to ids

    def encode(
        self,
        sequence: str | Sequence[str],
        pair: str | Sequence[str] | None = None,
        is_pretokenized: bool = False,
        add_special_tokens: bool = True,
    ) -> Encoding:
        """Encodes one text, or a pair of texts.

        Args:
            sequence: The text, or a list of words if `is_pretokenized`.
            pair: A second text of the same form.
            is_pretokenized: The sequences are lists of words.
            add_special_tokens: Let the post-processor add its tokens.

        Raises:
            TextError: The text holds a lone surrogate.
        """
        return self._native.encode(sequence, pair, is_pretokenized, add_special_tokens)

    def encode_batch(
        self, input: Iterable[Any], is_pretokenized: bool = False, add_special_tokens: bool = True
    ) -> list[Encoding]:
        """Encodes a batch of texts or pairs on all cores.

        Args:
            input: Texts, and pairs as tuples of two; lists of words instead of texts if
                `is_pretokenized`.
            is_pretokenized: The sequences are lists of words.
            add_special_tokens: Let the post-processor add its tokens.
        """
        return self._native.encode_batch(input, is_pretokenized, add_special_tokens)

    def encode_batch_fast(
        self, input: Iterable[Any], is_pretokenized: bool = False, add_special_tokens: bool = True
    ) -> list[Encoding]:
        """The same as `encode_batch`, which the reference has without offsets under this name."""
        return self._native.encode_batch(input, is_pretokenized, add_special_tokens)

    def post_process(
        self, encoding: Encoding, pair: Encoding | None = None, add_special_tokens: bool = True
    ) -> Encoding:
        """Truncates, lets the post-processor finish and pads what was encoded without that.

        Args:
            encoding: The encoding of a text.
            pair: That of a second one.
            add_special_tokens: Let the post-processor add its tokens.

        Raises:
            TruncationError: The texts cannot be cut as `enable_truncation` asks.
        """
        return self._native.post_process(encoding, pair, add_special_tokens)

    async def async_encode(
        self,
        sequence: str | Sequence[str],
        pair: str | Sequence[str] | None = None,
        is_pretokenized: bool = False,
        add_special_tokens: bool = True,
    ) -> Encoding:
        """`encode` in a thread of its own."""
        import asyncio

        return await asyncio.to_thread(
            self.encode, sequence, pair, is_pretokenized, add_special_tokens
        )

    async def async_encode_batch(
        self, input: Iterable[Any], is_pretokenized: bool = False, add_special_tokens: bool = True
    ) -> list[Encoding]:
        """`encode_batch` in a thread of its own."""
        import asyncio

        return await asyncio.to_thread(
            self.encode_batch, input, is_pretokenized, add_special_tokens
        )

    async def async_encode_batch_fast(
        self, input: Iterable[Any], is_pretokenized: bool = False, add_special_tokens: bool = True
    ) -> list[Encoding]:
        """The same as `async_encode_batch`."""
        return await self.async_encode_batch(input, is_pretokenized, add_special_tokens)

    async def async_decode_batch(
        self, sequences: Iterable[Any], skip_special_tokens: bool = True
    ) -> list[str]:
        """`decode_batch` in a thread of its own."""
        import asyncio

        return await asyncio.to_thread(self.decode_batch, sequences, skip_special_tokens)

    def encode_ids(self, text: str, *, add_special_tokens: bool = True) -> NDArray[np.uint32]:
        """Encodes one text to nothing but its ids.

        Example:
            >>> import penstock
            >>> penstock.Tokenizer.from_default().encode_ids("").tolist()
            []
        """
        return self._native.encode_ids(text, add_special_tokens)

    def encode_ragged(
        self, texts: Any, *, add_special_tokens: bool = True, offsets: bool = False
    ) -> Ragged:
        """Encodes a batch to flat arrays, on all cores; the fastest way from much text to ids.

        Args:
            texts: A list of str, or an Arrow string array or column, which is read in place.
            add_special_tokens: Let the post-processor add its tokens.
            offsets: Also return the characters that each token covers.

        Raises:
            TextError: A row holds a lone surrogate, or has no value.
        """
        return Ragged(*self._native.encode_ragged(texts, add_special_tokens, offsets))

    def encode_padded(
        self,
        texts: Any,
        pairs: Any = None,
        *,
        max_length: int | None = None,
        truncation: bool | Literal["longest_first", "only_first", "only_second"] = False,
        stride: int = 0,
        truncation_side: Literal["left", "right"] = "right",
        padding: bool | Literal["longest", "max_length", "do_not_pad"] = True,
        padding_side: Literal["left", "right"] = "right",
        pad_to_multiple_of: int | None = None,
        pad_id: int | None = None,
        pad_type_id: int | None = None,
        dtype: Literal["int64", "int32", "uint32"] = "int64",
        is_pretokenized: bool = False,
        add_special_tokens: bool = True,
        attention_mask: bool = True,
        token_type_ids: bool = True,
        special_tokens_mask: bool = False,
        offsets: bool = False,
        return_overflowing_tokens: bool = False,
    ) -> dict[str, NDArray[Any]]:
        """Encodes a batch to matrices, written in place on all cores.

        Truncation and padding are those of the arguments, whatever `enable_truncation` and
        `enable_padding` said, so that any number of threads may use one tokenizer.

        Args:
            texts: A list of str, or an Arrow string array or column; lists of words if
                `is_pretokenized`.
            pairs: The second text of each row, in the same form.
            max_length: Tokens of a row at most, special tokens included.
            truncation: Cut longer rows: True or `longest_first`, `only_first`, `only_second`.
            stride: With `return_overflowing_tokens`, tokens that neighbouring parts share.
            truncation_side: The side that is cut off.
            padding: Fill rows to the longest (True or `longest`), or to `max_length`.
            padding_side: The side that is filled.
            pad_to_multiple_of: Raise the row length to a multiple.
            pad_id: Id of padding; by default that of the tokenizer's own padding, else 0.
            pad_type_id: Type id of padding, by default likewise.
            dtype: Integer type of all arrays.
            is_pretokenized: The texts are lists of words.
            add_special_tokens: Let the post-processor add its tokens.
            attention_mask: Return `attention_mask`, 0 for padding.
            token_type_ids: Return `token_type_ids`.
            special_tokens_mask: Return `special_tokens_mask`, 1 for added tokens and padding.
            offsets: Return `offset_mapping`, the characters that each token covers.
            return_overflowing_tokens: Return a row for every part that was cut off, behind the row
                of its text, and `overflow_to_sample_mapping`, the text of each row.

        Returns:
            `input_ids` and what was asked for: C-contiguous arrays of rows by tokens
            (`offset_mapping` has a third dimension of two, `overflow_to_sample_mapping` only one).

        Raises:
            TruncationError: Rows differ in length and are not padded, or truncation cannot be done
                as asked.
            TextError: A row holds a lone surrogate, or has no value.

        Example:
            >>> import penstock
            >>> tokenizer = penstock.Tokenizer.from_default()
            >>> batch = tokenizer.encode_padded(["a", "a b c"], max_length=2, truncation=True)
            >>> batch["attention_mask"].tolist()
            [[1, 0], [1, 1]]
        """
        strategy = "longest_first" if truncation is True else truncation
        if strategy and max_length is None:
            raise ValueError("truncation needs max_length")
        if padding not in (True, False, "longest", "max_length", "do_not_pad"):
            raise ValueError(
                f'padding must be a bool, "longest", "max_length" or "do_not_pad", not {padding!r}'
            )
        length = max_length if padding == "max_length" else None
        if padding == "max_length" and length is None:
            raise ValueError('padding="max_length" needs max_length')
        native = self._native
        filling: dict[str, Any] = native.padding or {"pad_id": 0, "pad_type_id": 0}
        return native.encode_padded(
            texts,
            pairs,
            is_pretokenized,
            add_special_tokens,
            (max_length, stride, strategy, truncation_side)
            if strategy and max_length is not None
            else None,
            None
            if padding in (False, "do_not_pad")
            else (
                length,
                padding_side,
                pad_to_multiple_of,
                filling["pad_id"] if pad_id is None else pad_id,
                filling["pad_type_id"] if pad_type_id is None else pad_type_id,
                "",
            ),
            dtype,
            (attention_mask, token_type_ids, special_tokens_mask, offsets),
            return_overflowing_tokens,
        )

    def count_tokens(self, texts: Any) -> list[int]:
        """Returns the number of tokens of each text, special tokens not added.

        Args:
            texts: As for `encode_ragged`.
        """
        return self._native.count_tokens(texts)

    def seed_dropout(self, seed: int) -> None:
        """Makes the random choices of BPE dropout repeatable.

        Encoding the same texts in the same order on one thread then gives the same ids. Without
        a seed the operating system gives one; a model without dropout has no choices to make.

        Args:
            seed: From 0 to 2**64 - 1. Raises `OverflowError` for anything else.
        """
        self._native.seed_dropout(seed)

    # --- ids to text

    def decode(self, ids: Any, skip_special_tokens: bool = True, *, strict: bool = False) -> str:
        """Turns ids back into text.

        Args:
            ids: A list, an array or a tensor of ids.
            skip_special_tokens: Leave special tokens out.
            strict: Raise for an id that has no token, which is otherwise left out.

        Raises:
            TokenIdError: An id is negative, above `2**32 - 1`, or, if `strict`, without a token.
        """
        return self._native.decode(ids, skip_special_tokens, strict)

    def decode_batch(
        self, sequences: Iterable[Any], skip_special_tokens: bool = True, *, strict: bool = False
    ) -> list[str]:
        """Turns many sequences of ids back into texts, on all cores.

        Args:
            sequences: A `Ragged`, a list of lists or arrays, or a matrix.
            skip_special_tokens: As for `decode`.
            strict: As for `decode`.
        """
        return self._native.decode_batch(sequences, skip_special_tokens, strict)

    def decode_stream(self, skip_special_tokens: bool = True) -> DecodeStream:
        """Returns an incremental decoder: `step(id)` gives new text, or None within a character.

        Example:
            >>> import penstock
            >>> tokenizer = penstock.Tokenizer.from_default()
            >>> stream = tokenizer.decode_stream()
            >>> "".join(stream.step(id) or "" for id in tokenizer.encode_ids("a café"))
            'a café'
        """
        return self._native.decode_stream(skip_special_tokens)

    # --- vocabulary

    def token_to_id(self, token: str) -> int | None:
        """Returns the id of a token, or None."""
        return self._native.token_to_id(token)

    def id_to_token(self, id: int) -> str | None:
        """Returns the token of an id, or None.

        Raises:
            TokenIdError: The id is negative or above `2**32 - 1`.
        """
        return self._native.id_to_token(id)

    def get_vocab(self, with_added_tokens: bool = True) -> dict[str, int]:
        """Returns all tokens with their ids."""
        return self._native.get_vocab(with_added_tokens)

    def get_vocab_size(self, with_added_tokens: bool = True) -> int:
        """Returns the number of tokens."""
        return self._native.get_vocab_size(with_added_tokens)

    def get_added_tokens_decoder(self) -> dict[int, AddedToken]:
        """Returns the added tokens by id, in order."""
        return self._native.get_added_tokens_decoder()

    def add_tokens(self, tokens: Sequence[str | AddedToken]) -> int:
        """Adds tokens to the vocabulary, and returns how many were new."""
        return self._add(tokens, special=False)

    def add_special_tokens(self, tokens: Sequence[str | AddedToken]) -> int:
        """Adds special tokens, which `decode` can leave out, and returns how many were new."""
        return self._add(tokens, special=True)

    # --- training

    def train(self, files: Any, trainer: Any = None) -> None:
        """Trains the model anew on the lines of files; everything else stays.

        Added tokens keep their flags and are numbered behind the new vocabulary, unless it has
        them.

        Args:
            files: A path, or paths: UTF-8, plain, .gz or .zst.
            trainer: One of `penstock.trainers`, or the reference's; by default that of the model.

        Raises:
            TrainingError: The trainer is of another kind than the model, or has an option that it
                cannot have.
            FileError: A file cannot be read.
            TextError: A file is not UTF-8.
        """
        from penstock._training import train_in_place

        self._take(train_in_place(self, trainer, None, files=files))

    def train_from_iterator(
        self, iterator: Any, trainer: Any = None, length: int | None = None
    ) -> None:
        """Trains the model anew, as `train` does, on texts.

        Args:
            iterator: An iterable of str or of lists of str, or an Arrow string column.
            trainer: As for `train`.
            length: Number of texts, for the progress bar.

        Raises:
            TrainingError: As for `train`.
            TypeError: A text is no str.
            TextError: A text holds a lone surrogate.
        """
        from penstock._training import train_in_place

        self._take(train_in_place(self, trainer, iterator, length=length))

    def train_new_from_iterator(
        self,
        text_iterator: Any,
        vocab_size: int,
        length: int | None = None,
        new_special_tokens: Sequence[str | AddedToken] | None = None,
        special_tokens_map: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Tokenizer:
        """Returns a new tokenizer with this pipeline, trained as transformers' method would.

        Special tokens and the token for unknown characters are taken over, and a post-processor
        gets the new ids.

        Args:
            text_iterator: As for `train_from_iterator`.
            vocab_size: Tokens of the vocabulary.
            length: Number of texts, for the progress bar.
            new_special_tokens: More special tokens.
            special_tokens_map: New names of special tokens.
            options: Other options of the model's trainer.

        Raises:
            TrainingError: As for `train`; or the post-processor names a token that is not there.
            TypeError: A text is no str.
            TextError: A text holds a lone surrogate.
        """
        from penstock._training import train_new

        return train_new(
            self,
            text_iterator,
            vocab_size,
            length=length,
            new_special_tokens=new_special_tokens,
            special_tokens_map=special_tokens_map,
            **options,
        )

    def _take(self, trained: Tokenizer) -> None:
        with self._lock:
            value = self._native.encode_special_tokens
            self._native = trained._native.with_encode_special_tokens(value)

    def num_special_tokens_to_add(self, is_pair: bool) -> int:
        """Returns how many tokens the post-processor adds to a text or to a pair."""
        return self._native.num_special_tokens_to_add(is_pair)

    @property
    def encode_special_tokens(self) -> bool:
        """True if special tokens in a text are encoded as ordinary text."""
        return self._native.encode_special_tokens

    @encode_special_tokens.setter
    def encode_special_tokens(self, value: bool) -> None:
        with self._lock:
            self._native = self._native.with_encode_special_tokens(value)

    @property
    def truncation(self) -> dict[str, Any] | None:
        """What `encode` and `encode_batch` cut texts to; set by `enable_truncation`."""
        return self._native.truncation

    def enable_truncation(
        self,
        max_length: int,
        stride: int = 0,
        strategy: Literal["longest_first", "only_first", "only_second"] = "longest_first",
        direction: Literal["left", "right"] = "right",
    ) -> None:
        """Lets `encode` and `encode_batch` cut texts from now on.

        Args:
            max_length: Tokens at most, special tokens included.
            stride: Tokens that overflowing parts share with their neighbour.
            strategy: Which text of a pair gives way.
            direction: The side that is cut off.

        Raises:
            TruncationError: The stride leaves no room.
        """
        arguments = (max_length, stride, strategy, direction)
        with self._lock:
            self._native = self._native.with_truncation(arguments)

    def no_truncation(self) -> None:
        """Lets `encode` and `encode_batch` return texts whole."""
        with self._lock:
            self._native = self._native.with_truncation(None)

    @property
    def padding(self) -> dict[str, Any] | None:
        """How `encode` and `encode_batch` fill up texts; set by `enable_padding`."""
        return self._native.padding

    def enable_padding(
        self,
        direction: Literal["left", "right"] = "right",
        pad_id: int = 0,
        pad_type_id: int = 0,
        pad_token: str = "[PAD]",  # noqa: S107
        length: int | None = None,
        pad_to_multiple_of: int | None = None,
    ) -> None:
        """Lets `encode` and `encode_batch` fill up texts from now on.

        Args:
            direction: The side that is filled.
            pad_id: Id of padding.
            pad_type_id: Type id of padding.
            pad_token: Text of padding.
            length: Length to fill up to; by default that of the longest in a batch.
            pad_to_multiple_of: Raise the length to a multiple.
        """
        arguments = (length, direction, pad_to_multiple_of, pad_id, pad_type_id, pad_token)
        with self._lock:
            self._native = self._native.with_padding(arguments)

    def no_padding(self) -> None:
        """Lets `encode` and `encode_batch` return texts at their own length."""
        with self._lock:
            self._native = self._native.with_padding(None)

    def description(self) -> list[tuple[str, str, str]]:
        """Returns the stages of the pipeline: stage, component, and what runs it."""
        return self._native.description()

    def __repr__(self) -> str:
        """The tokenizer.json as a constructor call, in the reference's form."""
        return self._shown(REPR)

    def __str__(self) -> str:
        """The same, with long parts left out."""
        return self._shown(STR)

    def _shown(self, form: Form) -> str:
        file = json.loads(self.to_str())
        for key, name in (("truncation", "TruncationParams"), ("padding", "PaddingParams")):
            if file[key] is not None:
                file[key] = {"type": name, **file[key]}
        return form.call("Tokenizer", file)

    def _add(self, tokens: Sequence[str | AddedToken], *, special: bool) -> int:
        with self._lock:
            self._native, added = self._native.with_added_tokens(tokens, special)
        return added
