"""The compiled part of penstock; use it through the package `penstock`.

Texts cross into the native code without a copy, work runs without the GIL, and arrays come back as
the buffers that the native code filled.
"""

from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from typing import Any, Final, Literal, TypeVar, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

__all__ = [
    "AddedToken",
    "Component",
    "DecodeStream",
    "Draft",
    "Encoding",
    "EngineState",
    "LazyEncodings",
    "LazyLists",
    "OneText",
    "Sampler",
    "Tokenizer",
    "Vocabulary",
    "WordCounter",
    "__version__",
    "byte_level_alphabet",
    "sampling_softmax",
    "tiktoken_encodings",
    "torch_multinomial",
    "torch_state",
    "torch_total",
    "torch_uniform",
]

__version__: Final[str]

_Token = TypeVar("_Token")

@final
class AddedToken:
    """A token that is found in the text before the model runs."""

    def __new__(
        cls,
        content: str = ...,
        *,
        single_word: bool = False,
        lstrip: bool = False,
        rstrip: bool = False,
        normalized: bool | None = None,
        special: bool = False,
    ) -> AddedToken:
        """Describes a token.

        Args:
            content: The token's text.
            single_word: Match whole words only.
            lstrip: Take the blanks on the left with it.
            rstrip: Take the blanks on the right with it.
            normalized: Search for it in the normalized text; by default, unless it is special.
            special: Leave it out of decoded text on request.
        """

    @property
    def content(self) -> str:
        """The token's text."""
    @content.setter
    def content(self, value: str) -> None: ...
    @property
    def single_word(self) -> bool:
        """True if it matches whole words only."""
    @property
    def lstrip(self) -> bool:
        """True if it takes the blanks on its left with it."""
    @property
    def rstrip(self) -> bool:
        """True if it takes the blanks on its right with it."""
    @property
    def normalized(self) -> bool:
        """True if it is searched for in the normalized text."""
    @property
    def special(self) -> bool:
        """True if decoding can leave it out."""
    @special.setter
    def special(self, value: bool) -> None: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, bool | None]]: ...

@final
class Component:
    """A normalizer, pre-tokenizer, post-processor or decoder that belongs to no tokenizer."""

    def __new__(cls, stage: str, json: str, /) -> Component:
        """Reads the value of a key of tokenizer.json."""
    def normalize(self, text: str, /) -> str:
        """Returns the text as a normalizer makes it."""
    def pre_tokenize(self, text: str, /) -> list[tuple[str, tuple[int, int]]]:
        """Returns the pieces of a text, each with the characters that it stands for."""
    def decode(self, tokens: Sequence[str], /) -> str:
        """Returns the text of tokens."""
    def process(
        self, encoding: Encoding, pair: Encoding | None = None, /, add_special_tokens: bool = True
    ) -> Encoding:
        """Finishes an encoding or a pair."""
    def num_special_tokens_to_add(self, is_pair: bool, /) -> int:
        """Returns how many tokens a post-processor adds."""

@final
class DecodeStream:
    """Decodes one id at a time and never emits a broken character."""

    def __new__(cls, ids: Any = None, skip_special_tokens: bool = False) -> DecodeStream:
        """A stream that is given a tokenizer with every id, continuing after `ids`."""
    def step(self, id: int, /) -> str | None:
        """Takes the next id; returns the text it completes, or None."""
    def step_with(self, tokenizer: Tokenizer, ids: Any, /) -> str | None:
        """Takes the next ids, of a tokenizer; returns the text they complete, or None."""
    def __copy__(self) -> DecodeStream: ...
    def __deepcopy__(self, memo: Any, /) -> DecodeStream: ...

@final
class Encoding:
    """The result of encoding one text or pair. Each field is built when it is asked for."""

    def __new__(cls) -> Encoding:
        """An encoding without tokens."""
    @staticmethod
    def merge(encodings: Sequence[Encoding], growing_offsets: bool = True) -> Encoding:
        """Puts encodings together in order.

        Args:
            encodings: The encodings.
            growing_offsets: Let the offsets of each continue where those before end.
        """
    @property
    def ids(self) -> list[int]:
        """The token ids."""
    @property
    def type_ids(self) -> list[int]:
        """The sequence's type of every token, as the post-processor set it."""
    @property
    def tokens(self) -> list[str]:
        """The tokens as the vocabulary writes them."""
    @property
    def offsets(self) -> list[tuple[int, int]]:
        """The characters that every token covers in its text."""
    @property
    def attention_mask(self) -> list[int]:
        """1 for tokens, 0 for padding."""
    @property
    def special_tokens_mask(self) -> list[int]:
        """1 for tokens that the post-processor added."""
    @property
    def word_ids(self) -> list[int | None]:
        """The word of every token, None for added special tokens."""
    @property
    def words(self) -> list[int | None]:
        """The reference's older name of `word_ids`."""
    @property
    def sequence_ids(self) -> list[int | None]:
        """The sequence of every token, None for added special tokens."""
    @property
    def n_sequences(self) -> int:
        """1 for a text, 2 for a pair."""
    @property
    def overflowing(self) -> list[Encoding]:
        """What truncation cut off."""
    def set_sequence_id(self, sequence_id: int) -> None:
        """Declares that all tokens belong to one sequence."""
    def pad(
        self,
        length: int,
        direction: str = "right",
        pad_id: int = 0,
        pad_type_id: int = 0,
        pad_token: str = "[PAD]",  # noqa: S107
    ) -> None:
        """Fills up to a length in place, also the overflowing parts.

        Raises:
            ValueError: The direction is neither `left` nor `right`.
        """
    def truncate(self, max_length: int, stride: int = 0, direction: str = "right") -> None:
        """Keeps at most `max_length` tokens in place; the rest becomes `overflowing`.

        Args:
            max_length: Tokens to keep.
            stride: Tokens that an overflowing part shares with the one before; less than
                `max_length`.
            direction: The side that is cut off, `left` or `right`.

        Raises:
            TruncationError: The stride is too long.
        """
    def char_to_token(self, char_pos: int, sequence_index: int = 0) -> int | None:
        """Returns the token that covers a character."""
    def char_to_word(self, char_pos: int, sequence_index: int = 0) -> int | None:
        """Returns the word that covers a character."""
    def token_to_chars(self, token_index: int) -> tuple[int, int] | None:
        """Returns the characters that a token covers."""
    def token_to_sequence(self, token_index: int) -> int | None:
        """Returns the sequence of a token."""
    def token_to_word(self, token_index: int) -> int | None:
        """Returns the word of a token."""
    def word_to_chars(self, word_index: int, sequence_index: int = 0) -> tuple[int, int] | None:
        """Returns the characters that a word covers."""
    def word_to_tokens(self, word_index: int, sequence_index: int = 0) -> tuple[int, int] | None:
        """Returns the first token of a word and one past its last."""
    def __len__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __reduce__(self) -> tuple[Any, tuple[bytes]]: ...
    @staticmethod
    def _from_state(state: bytes, /) -> Encoding: ...

@final
class Draft:
    """A tokenizer.json of which everything is read and nothing is built."""

    def __new__(cls, path: str | PathLike[str], /, exact: bool = True) -> Draft:
        """Reads a tokenizer.json, scores to the last bit or else as the reference reads them."""
    @property
    def model(self) -> str:
        """The type of the model."""
    def value(self, key: str, /) -> str | None:
        """The JSON of a key beside the model and the added tokens; None if that is no key."""
    def scores(self) -> list[tuple[str, float]]:
        """Returns the tokens and scores of a list; none for a vocabulary of another form."""
    def added_tokens(self) -> dict[int, AddedToken]:
        """The added tokens with the ids that stand in the file."""
    def finish(self, frame: str | None = None, /) -> Tokenizer:
        """Builds, once, the file's tokenizer, or what another file is with this vocabulary."""

@final
class Tokenizer:
    """An immutable tokenizer. `penstock.Tokenizer` holds one and documents its calls."""

    @staticmethod
    def from_file(path: str | PathLike[str], /) -> Tokenizer:
        """Loads a tokenizer.json."""
    @staticmethod
    def from_buffer(json: bytes, /) -> Tokenizer:
        """Loads the bytes of a tokenizer.json."""
    @staticmethod
    def from_str(json: str, /) -> Tokenizer:
        """Loads the text of a tokenizer.json."""
    @staticmethod
    def from_tiktoken(
        path: str | PathLike[str], pattern: str, special_tokens: Sequence[tuple[str, int]], /
    ) -> Tokenizer:
        """Loads a tiktoken rank file."""
    @staticmethod
    def from_sentencepiece(path: str | PathLike[str], /) -> Tokenizer:
        """Loads the model file of SentencePiece."""
    def encode(
        self,
        sequence: str | Sequence[str],
        pair: str | Sequence[str] | None = None,
        is_pretokenized: bool = False,
        add_special_tokens: bool = True,
    ) -> Encoding:
        """Encodes one text or pair."""
    def encode_batch(
        self, inputs: Iterable[Any], is_pretokenized: bool = False, add_special_tokens: bool = True
    ) -> list[Encoding]:
        """Encodes texts and pairs."""
    def tokenize(self, piece: str, /) -> list[tuple[int, str, tuple[int, int]]]:
        """Runs the model alone: ids, texts and bytes of the piece."""
    def post_process(
        self, encoding: Encoding, pair: Encoding | None = None, add_special_tokens: bool = True
    ) -> Encoding:
        """Cuts, finishes and fills up an encoding or a pair."""
    def encode_ids(self, text: str, /, add_special_tokens: bool = True) -> NDArray[np.uint32]:
        """Encodes one text to ids."""
    def encode_ragged(
        self, texts: Any, /, add_special_tokens: bool = True, offsets: bool = False
    ) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.uint32] | None]:
        """Encodes texts to values, row offsets and, on request, character offsets."""
    def encode_padded(
        self,
        texts: Any,
        pairs: Any,
        /,
        is_pretokenized: bool,
        add_special_tokens: bool,
        truncation: tuple[int, int, str, str] | None,
        padding: tuple[int | None, str, int | None, int, int, str] | None,
        dtype: str,
        fields: tuple[bool, bool, bool, bool],
        overflowing: bool,
    ) -> dict[str, NDArray[Any]]:
        """Encodes texts to matrices.

        `truncation` is maximum length, stride, strategy and direction; `padding` is length (None
        for the longest row), direction, multiple, id, type id and token; `fields` asks for
        attention mask, type ids, special tokens mask and offsets.
        """
    def encode_lists(
        self,
        texts: Any,
        pairs: Any,
        /,
        is_pretokenized: bool,
        add_special_tokens: bool,
        truncation: tuple[int, int, str, str] | None,
        padding: tuple[int | None, str, int | None, int, int, str] | None,
        fields: tuple[bool, bool, bool, bool],
    ) -> LazyLists:
        """Encodes texts to rows.

        `truncation` and `padding` are those of `encode_padded`; `fields` asks for attention mask,
        type ids, special tokens mask and lengths.
        """
    def count_tokens(self, texts: Any, /) -> list[int]:
        """Counts the tokens of texts."""
    def seed_dropout(self, seed: int, /) -> None:
        """Begins the random choices of dropout that belong to a seed."""
    def decode(self, ids: Any, /, skip_special_tokens: bool = True, strict: bool = False) -> str:
        """Decodes ids to text."""
    def decode_batch(
        self, sequences: Iterable[Any], /, skip_special_tokens: bool = True, strict: bool = False
    ) -> list[str]:
        """Decodes sequences of ids to texts."""
    def decode_stream(self, skip_special_tokens: bool = True) -> DecodeStream:
        """Returns an incremental decoder."""
    def token_to_id(self, token: str) -> int | None:
        """Returns the id of a token."""
    def id_to_token(self, id: int) -> str | None:
        """Returns the token of an id."""
    def get_vocab(self, with_added_tokens: bool = True) -> dict[str, int]:
        """Returns all tokens with their ids."""
    def get_vocab_size(self, with_added_tokens: bool = True) -> int:
        """Returns the number of tokens."""
    def get_added_tokens_decoder(self) -> dict[int, AddedToken]:
        """Returns the added tokens by id."""
    def added_tokens_as(self, class_: type[_Token], /) -> dict[int, _Token]:
        """Returns the added tokens by id, in another class that is made as ours is."""
    def num_special_tokens_to_add(self, is_pair: bool) -> int:
        """Returns how many tokens the post-processor adds."""
    @property
    def encode_special_tokens(self) -> bool:
        """True if special tokens in a text are ordinary text."""
    def with_encode_special_tokens(self, value: bool, /) -> Tokenizer:
        """Returns a tokenizer that differs in `encode_special_tokens`."""
    @property
    def truncation(self) -> dict[str, Any] | None:
        """The default truncation."""
    def with_truncation(self, arguments: tuple[int, int, str, str] | None, /) -> Tokenizer:
        """Returns a tokenizer with a default truncation: length, stride, strategy, direction."""
    @property
    def padding(self) -> dict[str, Any] | None:
        """The default padding."""
    def with_padding(
        self, arguments: tuple[int | None, str, int | None, int, int, str] | None, /
    ) -> Tokenizer:
        """Returns a tokenizer with a default padding, its six arguments as in `encode_padded`."""
    def with_added_tokens(
        self, tokens: Sequence[str | AddedToken], /, special: bool = False
    ) -> tuple[Tokenizer, int]:
        """Returns a tokenizer with more tokens, and how many were new."""
    def to_str(self, pretty: bool = False) -> str:
        """Returns the contents of a tokenizer.json."""
    def save(self, path: str | PathLike[str], /, pretty: bool = True) -> None:
        """Writes a tokenizer.json."""
    @staticmethod
    def from_own_str(json: str, /) -> Tokenizer:
        """Reads what `to_str` wrote; added tokens keep the ids that stand there."""
    def component(self, stage: str, /) -> str | None:
        """Returns the value of a key of tokenizer.json."""
    def with_component(self, stage: str, json: str | None, /) -> Tokenizer:
        """Returns a tokenizer with one component replaced or taken out."""
    def with_model(self, json: str, /) -> Tokenizer:
        """Returns a tokenizer with another model."""
    def description(self) -> list[tuple[str, str, str]]:
        """Returns the stages: stage, component, and what runs it."""

@disjoint_base
class EngineState:
    """What every call reads of a backend of `penstock.transformers`, which says what it means."""

    _native: Any
    _real: Any
    _decode: Any
    _exposed: bool
    _truncation: Any
    _padding: Any
    _split_special: Any
    def __new__(cls, *_arguments: Any, **_options: Any) -> EngineState: ...
    @property
    def _texts(self) -> int: ...
    @property
    def _rows(self) -> int: ...
    @property
    def _tokenized(self) -> int: ...

@final
class OneText:
    """Calls tokenizers of transformers with one text and common options, in one step."""

    def __new__(
        cls,
        encode_plus: Any,
        decode: Any,
        plain: set[type],
        unclean: set[type],
        tensor: Callable[[NDArray[Any]], Any],
        unlimited: int,
    ) -> OneText:
        """Takes two methods of a class, sets of classes, `torch.from_numpy`, and no limit."""
    def encode(
        self,
        tokenizer: Any,
        text: str | list[str],
        options: dict[str, Any],
        native: Tokenizer | None = None,
        /,
    ) -> tuple[dict[str, Any] | LazyLists, LazyEncodings] | Literal[False] | None:
        """Returns columns, or what those of many texts are made of, and encodings.

        None without a native tokenizer, False if it refuses.
        """
    def ids(
        self,
        tokenizer: Any,
        text: str,
        options: dict[str, Any],
        native: Tokenizer | None = None,
        /,
    ) -> Any:
        """Returns the column of ids, or what `encode` returns instead."""
    def decode(self, tokenizer: Any, ids: Any, skip_special_tokens: bool, /) -> str | None:
        """Returns the text; None where the call has to go through Python."""

@final
class Vocabulary:
    """Answers for tokenizers of transformers; each method returns None where Python has to."""

    def __new__(cls, methods: dict[str, Any]) -> Vocabulary:
        """Takes the methods and properties by name that a class must not have overridden."""
    def convert_ids_to_tokens(
        self, tokenizer: Any, ids: Any, skip_special_tokens: Any, /
    ) -> list[str | None] | str | None:
        """Returns the tokens of a row of ids, or of one."""
    def convert_tokens_to_ids(
        self, tokenizer: Any, tokens: Any, /
    ) -> list[int | None] | int | None:
        """Returns the ids of a list of tokens, or of one that is known."""
    @staticmethod
    def convert_tokens_to_string(tokenizer: Any, tokens: Any, /) -> str | None:
        """Returns the text of tokens."""
    def tokenize(self, tokenizer: Any, text: str, /) -> list[str] | None:
        """Returns the tokens of a text."""
    @staticmethod
    def get_vocab(tokenizer: Any, /) -> dict[str, int] | None:
        """Returns all tokens and their ids."""
    def get_added_vocab(self, tokenizer: Any, /) -> dict[str, int] | None:
        """Returns the added tokens and their ids, in the order of the ids."""
    @staticmethod
    def length(tokenizer: Any, /) -> int | None:
        """Returns the number of tokens, added ones included."""
    @staticmethod
    def vocab_size(tokenizer: Any, /) -> int | None:
        """Returns the number of the model's tokens."""
    @staticmethod
    def num_special_tokens_to_add(tokenizer: Any, is_pair: Any, /) -> int | None:
        """Returns how many tokens the post-processor adds."""
    @staticmethod
    def all_special_tokens(tokenizer: Any, /) -> list[str] | None:
        """Returns the special tokens, each once."""
    def all_special_ids(self, tokenizer: Any, /) -> list[int | None] | None:
        """Returns their ids."""
    @staticmethod
    def special_tokens_map(tokenizer: Any, /) -> dict[str, str] | None:
        """Returns the special tokens that have names, by these."""
    def special(self, tokenizer: Any, name: str, /) -> str | int | None:
        """Returns the special token of a name, or the id of one."""

@final
class LazyEncodings:
    """The encodings of a call, made on the first look."""

    def __len__(self) -> int:
        """Returns the number of texts."""
    def __getitem__(self, index: Any, /) -> Any:
        """Returns an encoding, or a list of them."""
    def __iter__(self) -> Any:
        """Iterates over the encodings."""
    def __eq__(self, other: object, /) -> bool: ...
    def __reduce__(self) -> tuple[type, tuple[list[Encoding]]]: ...

@final
class LazyLists:
    """The rows of a batch, and the lists that are made of them."""

    def lists(self) -> dict[str, Any]:
        """Returns the columns as lists."""
    def column(self, name: str, /) -> list[Any] | None:
        """Returns one column as lists, the same each time; None if there is none."""
    def wait(self, batch: object, /) -> None:
        """Notes whose lists these will be."""
    @staticmethod
    def waiting() -> list[Any]:
        """Returns the batches that have not got all their lists."""
    def columns(self) -> dict[str, tuple[NDArray[np.int64], list[int]]] | None:
        """Returns columns as arrays with the lengths of rows.

        None if one has no rows, or a column was made a list, which may have been changed since.
        """
    def lengths(self) -> list[int]:
        """Returns the length of each row."""

def tiktoken_encodings() -> dict[str, tuple[str, list[tuple[str, int]]]]:
    """Returns the pattern and the special tokens of the published tiktoken encodings by name."""

@final
class WordCounter:
    """The distinct words of a corpus and how often each occurs, counted on all cores."""

    def __new__(cls, tokenizer: Tokenizer, /) -> WordCounter:
        """Counts words as this tokenizer's model would be given them."""
    def count(self, texts: Any, report: Callable[[int, int], object] | None = None, /) -> None:
        """Counts the words of texts; `report` hears how many are done, and how many there are."""
    def count_lines(self, lines: bytes, /) -> None:
        """Counts the words of lines of UTF-8, each with its end a text of its own."""
    def add(self, word: str, count: int, /) -> None:
        """Counts a word, already split, `count` times."""
    def train_bpe(
        self,
        *,
        vocab_size: int,
        min_frequency: int,
        special_tokens: Sequence[str],
        limit_alphabet: int | None,
        initial_alphabet: Sequence[str],
        continuing_subword_prefix: str | None,
        end_of_word_suffix: str | None,
        max_token_length: int | None,
        report: Callable[[str, int, int], object] | None,
    ) -> str:
        """Takes the words and trains BPE; returns `vocab` and `merges` of a model, as JSON."""
    def train_wordlevel(
        self,
        *,
        vocab_size: int,
        min_frequency: int,
        special_tokens: Sequence[str],
        report: Callable[[str, int, int], object] | None,
    ) -> str:
        """Takes the words and keeps the most frequent; returns `vocab` of a model, as JSON."""
    def train_unigram(
        self,
        *,
        vocab_size: int,
        special_tokens: Sequence[str],
        initial_alphabet: Sequence[str],
        shrinking_factor: float,
        unk_token: str | None,
        max_piece_length: int,
        n_sub_iterations: int,
        seed_size: int,
        report: Callable[[str, int, int], object] | None,
    ) -> str:
        """Takes the words and trains Unigram; returns `unk_id` and `vocab` of a model, as JSON."""

def byte_level_alphabet() -> list[str]:
    """Returns the characters in which byte-level vocabularies write bytes."""

# Logits are `float32`, or the bits of `float16` or (with `brain`) `bfloat16` as `uint16`.
_Logits = NDArray[np.float32] | NDArray[np.uint16]
_Drawn = tuple[
    NDArray[np.int64],
    list[tuple[int, bytes | None]],
    tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]] | None,
]

@final
class Sampler:
    """Steps of a sampler, for one row or for all."""

    def __new__(cls, rows: Sequence[tuple[bool, Sequence[tuple[Any, ...]]]]) -> Sampler: ...
    def draw_torch(
        self,
        logits: _Logits,
        state: NDArray[np.uint8],
        brain: bool = False,
        options: dict[str, Any] | None = None,
        /,
    ) -> _Drawn:
        """Draws from torch's stream and advances `state` in place.

        Returns tokens, the rows that torch has to decide with its state where they begin, and
        log-probabilities.
        """
    def step(
        self,
        logits: Any,
        state: NDArray[np.uint8] | None,
        sum_lanes: int,
        input_ids: Any = None,
        /,
    ) -> Any:
        """One token for each row and no more.

        Returns tokens, or what `draw_torch` returns if torch has to decide for a row.
        `state` is advanced in place; without one all rows are greedy. Returns None for arrays that
        are not `float32` and `int64` with contiguous rows.
        """
    def draw_rows(
        self,
        logits: _Logits,
        seeds: Sequence[tuple[int, int]],
        brain: bool = False,
        options: dict[str, Any] | None = None,
        /,
    ) -> _Drawn:
        """Draws from the stream keyed by seed, step and token."""
    def scores(
        self, logits: _Logits, brain: bool = False, options: dict[str, Any] | None = None, /
    ) -> tuple[NDArray[np.float32], list[int]]:
        """Returns the filtered scores, and the rows in which torch's order of ties decides."""

def sampling_softmax(logits: NDArray[np.float32], sum_lanes: int) -> NDArray[np.float32]:
    """Returns probabilities as torch's softmax computes them."""

def torch_multinomial(
    probs: NDArray[np.float32], state: NDArray[np.uint8], count: int
) -> NDArray[np.int64]:
    """Draws without replacement from torch's stream and advances `state` in place."""

def torch_state(seed: int) -> NDArray[np.uint8]:
    """Returns the state of `torch.Generator().manual_seed(seed)`."""

def torch_total(values: NDArray[np.float32], threads: int) -> float:
    """The sum of a row as `torch.sum` makes it over that many threads."""

def torch_uniform(state: NDArray[np.uint8], count: int) -> NDArray[np.float32]:
    """Returns uniforms as `torch.rand` draws them and advances `state` in place."""
