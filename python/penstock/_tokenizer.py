"""The tokenizer: one immutable native object, replaced when tokens are added."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock import _native
from penstock._ragged import Ragged
from penstock.errors import LoadError, MissingDependencyError, MissingFileError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from penstock._native import AddedToken, DecodeStream, Encoding


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

    __slots__ = ("_lock", "_native")

    def __init__(self, native: _native.Tokenizer) -> None:
        """Wraps a native tokenizer; use one of the `from_` constructors instead."""
        self._native = native
        # Guards the replacement of `_native`, which is read without it.
        self._lock = threading.Lock()

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
    def from_default(cls) -> Tokenizer:
        """Loads the small tokenizer that ships with penstock, for trying things out."""
        return cls.from_file(Path(__file__).parent / "data" / "default.json")

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

    def count_tokens(self, texts: Any) -> list[int]:
        """Returns the number of tokens of each text, special tokens not added.

        Args:
            texts: As for `encode_ragged`.
        """
        return self._native.count_tokens(texts)

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

    def description(self) -> list[tuple[str, str, str]]:
        """Returns the stages of the pipeline: stage, component, and what runs it."""
        return self._native.description()

    def __repr__(self) -> str:
        """Names the model and counts the tokens."""
        return f"Tokenizer({self.get_vocab_size()} tokens)"

    def _add(self, tokens: Sequence[str | AddedToken], *, special: bool) -> int:
        with self._lock:
            self._native, added = self._native.with_added_tokens(tokens, special)
        return added
