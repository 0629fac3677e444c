"""The tokenizers that are compared, each behind the same few calls.

`one` and `batch` are timed and return whatever the peer returns at its fastest; `ids_of_one` and
`ids_of_batch` turn that into arrays of ids afterwards, untimed. Special tokens are never added.
"""

from __future__ import annotations

import importlib
import itertools
import unicodedata
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np
from inputs import Source, UnableError

if TYPE_CHECKING:
    from collections.abc import Sequence

Ids = Any
"""A list or array of ids."""


def rows(values: Any, ends: Any) -> list[Ids]:
    """Cuts a flat array at its row boundaries."""
    bounds = np.asarray(ends, dtype=np.int64).tolist()
    return [values[start:end] for start, end in itertools.pairwise(bounds)]


class Peer:
    """Base: a batch is a loop unless the peer does better."""

    module: str
    package: str
    offsets = False

    def __init__(self, source: Source, threads: int) -> None:
        self.threads = threads
        self.load(source)

    def load(self, source: Source) -> None:
        """Builds the tokenizer; raises `UnableError` when the peer has none for it."""
        raise NotImplementedError

    def one(self, text: str) -> Any:
        """Encodes one document."""
        raise NotImplementedError

    def batch(self, texts: Sequence[str]) -> Any:
        """Encodes many texts in one call."""
        return [self.one(text) for text in texts]

    def ids_of_one(self, result: Any) -> Ids:
        """Ids of what `one` returned."""
        return result

    def ids_of_batch(self, result: Any) -> list[Ids]:
        """Ids of what `batch` returned."""
        return [self.ids_of_one(each) for each in result]

    def ids_to_decode(self, ids: list[int]) -> Ids:
        """Ids in the form that the peer's encode returns and its decode likes best; untimed."""
        return ids

    def decode(self, ids: Ids) -> str:
        """Text of ids."""
        raise UnableError("has no decode")


class Penstock(Peer):
    """Ids as arrays."""

    module = package = "penstock"

    def load(self, source: Source) -> None:
        import penstock

        self.tokenizer = penstock.Tokenizer.from_file(source.json)

    def one(self, text: str) -> Any:
        return self.tokenizer.encode_ids(text, add_special_tokens=False)

    def batch(self, texts: Sequence[str]) -> Any:
        return self.tokenizer.encode_ragged(texts, add_special_tokens=False)

    def ids_of_batch(self, result: Any) -> list[Ids]:
        return rows(result.values, result.row_offsets)

    def ids_to_decode(self, ids: list[int]) -> Ids:
        return np.asarray(ids, dtype=np.uint32)

    def decode(self, ids: Ids) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=False))


class PenstockOffsets(Penstock):
    """Ids and offsets as arrays."""

    offsets = True

    def one(self, text: str) -> Any:
        return self.batch([text])

    def ids_of_one(self, result: Any) -> Ids:
        return result.values

    def batch(self, texts: Sequence[str]) -> Any:
        return self.tokenizer.encode_ragged(texts, add_special_tokens=False, offsets=True)


class PenstockEncodings(Penstock):
    """`Encoding` objects, as `tokenizers` returns them."""

    offsets = True

    def one(self, text: str) -> Any:
        return self.tokenizer.encode(text, add_special_tokens=False)

    def ids_of_one(self, result: Any) -> Ids:
        return result.ids

    def batch(self, texts: Sequence[str]) -> Any:
        return self.tokenizer.encode_batch(texts, add_special_tokens=False)

    def ids_of_batch(self, result: Any) -> list[Ids]:
        return [each.ids for each in result]


class Tokenizers(Peer):
    """The reference; `encode_batch_fast` leaves offsets in bytes."""

    module = package = "tokenizers"

    def load(self, source: Source) -> None:
        import tokenizers

        if not tokenizers.__version__.startswith("0."):
            raise UnableError(f"this is tokenizers {tokenizers.__version__}")
        self.tokenizer = tokenizers.Tokenizer.from_file(str(source.json))

    def one(self, text: str) -> Any:
        return self.tokenizer.encode(text, add_special_tokens=False)

    def batch(self, texts: Sequence[str]) -> Any:
        return self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)

    def ids_of_one(self, result: Any) -> Ids:
        return result.ids

    def decode(self, ids: Ids) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=False))


class TokenizersOffsets(Tokenizers):
    """The reference with offsets in characters."""

    offsets = True

    def batch(self, texts: Sequence[str]) -> Any:
        return self.tokenizer.encode_batch(texts, add_special_tokens=False)


class TokenizersRc(Tokenizers):
    """The 1.0 release candidates, which need an environment of their own (--python
    tokenizers-rc=...)."""

    def load(self, source: Source) -> None:
        import tokenizers

        if tokenizers.__version__.startswith("0."):
            raise UnableError(
                f"this is tokenizers {tokenizers.__version__}: give --python tokenizers-rc=..."
            )
        self.tokenizer = tokenizers.Tokenizer.from_file(str(source.json))

    def batch(self, texts: Sequence[str]) -> Any:
        return self.tokenizer.encode_batch(texts, add_special_tokens=False)


class Gigatoken(Peer):
    """With one thread `encode` returns an array; with more, a document goes through the batch call,
    which splits it."""

    module = package = "gigatoken"

    def load(self, source: Source) -> None:
        import gigatoken

        self.tokenizer = gigatoken.Tokenizer(str(source.json))

    def one(self, text: str) -> Any:
        if self.threads == 1 or len(text) < 16_384:
            return self.tokenizer.encode(text)
        return self.tokenizer.encode_batch([text], parallel=True)

    def batch(self, texts: Sequence[str]) -> Any:
        return self.tokenizer.encode_batch(texts, parallel=self.threads > 1)

    def ids_of_one(self, result: Any) -> Ids:
        return result if isinstance(result, np.ndarray) else result.to_list()[0]

    def ids_of_batch(self, result: Any) -> list[Ids]:
        return list(result.to_list())

    def decode(self, ids: Ids) -> str:
        return str(self.tokenizer.decode(ids).decode("utf-8", "replace"))


class Fastokens(Peer):
    """Flat buffers for batches."""

    module = package = "fastokens"

    def load(self, source: Source) -> None:
        import fastokens

        self.tokenizer = fastokens.Tokenizer.from_file(str(source.json))

    def one(self, text: str) -> Any:
        return self.tokenizer.encode(text)

    def batch(self, texts: Sequence[str]) -> Any:
        return self.tokenizer.encode_batch_flat(texts)

    def ids_of_one(self, result: Any) -> Ids:
        return result.ids

    def ids_of_batch(self, result: Any) -> list[Ids]:
        return rows(np.frombuffer(result[0], np.uint32), np.frombuffer(result[1], np.uint64))

    def decode(self, ids: Ids) -> str:
        return str(self.tokenizer.decode(ids))


class Tokie(Peer):
    """WordPiece and Unigram at speed."""

    module = package = "tokie"

    def load(self, source: Source) -> None:
        import tokie

        self.tokenizer = tokie.Tokenizer.from_json(str(source.json))

    def one(self, text: str) -> Any:
        return self.tokenizer.encode(text, add_special_tokens=False)

    def ids_of_one(self, result: Any) -> Ids:
        return result.ids

    def decode(self, ids: Ids) -> str:
        return str(self.tokenizer.decode(ids))


class FlashTokenizer(Peer):
    """WordPiece from a `vocab.txt`. It always adds the two special tokens, which are cut off again,
    untimed, and truncates to the length it was made with."""

    module, package = "flash_tokenizer", "flash_tokenizer"

    def load(self, source: Source) -> None:
        from flash_tokenizer import BertTokenizerFlash

        vocab = source.json.parent / "vocab.txt"
        if not vocab.exists():
            raise UnableError("needs a vocab.txt")
        self.tokenizer = BertTokenizerFlash(
            str(vocab), do_lower_case="uncased" in source.name, model_max_length=1 << 20
        ).tokenizer

    def one(self, text: str) -> Any:
        return self.tokenizer.encode(text, "longest", 1 << 20)

    def ids_of_one(self, result: Any) -> Ids:
        return result[1:-1]


class SentencePiece(Peer):
    """The library that the models were trained with. Its ids differ where transformers adds a
    normalizer of its own."""

    module = package = "sentencepiece"

    def load(self, source: Source) -> None:
        import sentencepiece

        files = sorted(
            path
            for name in ("spiece.model", "tokenizer.model")
            if (path := source.json.parent / name).exists()
        )
        if not files:
            raise UnableError("needs a SentencePiece model")
        self.tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(files[0]))

    def one(self, text: str) -> Any:
        return self.tokenizer.encode(text)

    def batch(self, texts: Sequence[str]) -> Any:
        return self.tokenizer.encode(list(texts), num_threads=1)

    def decode(self, ids: Ids) -> str:
        return str(self.tokenizer.decode(ids))


class Quicktok(Peer):
    """Bundled encodings only. Install `quicktok-v1`: the package `quicktok` is another project with
    this module name."""

    module, package = "quicktok", "quicktok-v1"
    bundled = {  # noqa: RUF012
        "cl100k_base": "cl100k_base",
        "o200k_base": "o200k_base",
        "gpt-oss-o200k": "o200k_harmony",
        "llama-3": "llama3",
        "qwen2.5": "qwen3",
    }

    def load(self, source: Source) -> None:
        import quicktok

        if source.name not in self.bundled:
            raise UnableError("bundles no such encoding")
        self.tokenizer = quicktok.get_encoding(self.bundled[source.name])

    def one(self, text: str) -> Any:
        return self.tokenizer.encode_batch([text], self.threads)

    def batch(self, texts: Sequence[str]) -> Any:
        return self.tokenizer.encode_batch(texts, self.threads)

    def ids_of_one(self, result: Any) -> Ids:
        return result[0]

    def ids_of_batch(self, result: Any) -> list[Ids]:
        return rows(*result)

    def decode(self, ids: Ids) -> str:
        return str(self.tokenizer.decode(ids))


class Tiktoken(Peer):
    """Built from the same ranks; NFC, where a tokenizer asks for it, is Python's."""

    module = package = "tiktoken"

    def load(self, source: Source) -> None:
        import tiktoken

        ranks, pattern, self.nfc = source.parts()
        self.tokenizer = tiktoken.Encoding(
            source.name, pat_str=pattern, mergeable_ranks=ranks, special_tokens={}
        )

    def one(self, text: str) -> Any:
        text = unicodedata.normalize("NFC", text) if self.nfc else text
        return self.tokenizer.encode_to_numpy(text, disallowed_special=())

    def batch(self, texts: Sequence[str]) -> Any:
        if self.nfc:
            texts = [unicodedata.normalize("NFC", text) for text in texts]
        return self.tokenizer.encode_ordinary_batch(list(texts), num_threads=self.threads)

    def decode(self, ids: Ids) -> str:
        return str(self.tokenizer.decode(ids))


PEERS: dict[str, type[Peer]] = {
    "penstock": Penstock,
    "penstock+offsets": PenstockOffsets,
    "penstock encodings": PenstockEncodings,
    "tokenizers": Tokenizers,
    "tokenizers+offsets": TokenizersOffsets,
    "tokenizers-rc": TokenizersRc,
    "gigatoken": Gigatoken,
    "fastokens": Fastokens,
    "tokie": Tokie,
    "flash-tokenizer": FlashTokenizer,
    "sentencepiece": SentencePiece,
    "quicktok": Quicktok,
    "tiktoken": Tiktoken,
}


def version(name: str) -> str:
    """Installed version of a peer; raises `UnableError` when it cannot be imported."""
    peer = PEERS[name]
    try:
        importlib.import_module(peer.module)
        return metadata.version(peer.package)
    except (ImportError, metadata.PackageNotFoundError) as error:
        raise UnableError(f"not installed: {error}") from error
