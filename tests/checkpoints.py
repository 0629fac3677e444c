"""Folders as `save_pretrained` leaves them, with tokenizers of many families made on the spot.

The classes are transformers' own. Each builds its pipeline from the vocabulary, or takes the file
as it stands.
"""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

import tokenizers
import transformers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from tests.families import CL100K, DATA, FAMILIES, small_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

VOCABULARY = 2500
CHAT = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}{{ eos_token }}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def lines() -> Iterator[str]:
    """Training text in short lines, which the Unigram trainer needs."""
    for line in (DATA / "training.txt").read_text(encoding="utf-8").splitlines():
        for start in range(0, len(line), 180):
            yield line[start : start + 180]


def _train(tokenizer: tokenizers.Tokenizer, trainer: Any) -> dict[str, Any]:
    tokenizer.train_from_iterator(lines(), trainer)
    model: dict[str, Any] = json.loads(tokenizer.to_str())["model"]
    return model


def bert(folder: Path) -> None:
    """WordPiece, pairs with type ids."""
    backend = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(
        vocab_size=VOCABULARY, special_tokens=specials, show_progress=False
    )
    model = _train(backend, trainer)
    transformers.BertTokenizer(vocab=model["vocab"], model_max_length=512).save_pretrained(folder)


def _byte_level(cls: Any, family: str, folder: Path, **options: Any) -> None:
    model = small_tokenizer(FAMILIES[family])["model"]
    merges = [tuple(merge) for merge in model["merges"]]
    cls(vocab=model["vocab"], merges=merges, **options).save_pretrained(folder)


def gpt2(folder: Path) -> None:
    """Byte-level BPE without special tokens in the template."""
    _byte_level(
        transformers.GPT2Tokenizer, "gpt2", folder, model_max_length=1024, pad_token="<|endoftext|>"
    )


def roberta(folder: Path) -> None:
    """Byte-level BPE with two separators between a pair."""
    _byte_level(transformers.RobertaTokenizer, "roberta", folder)


def qwen2(folder: Path) -> None:
    """Byte-level BPE with NFC and a chat template."""
    _byte_level(
        transformers.Qwen2Tokenizer,
        "qwen2",
        folder,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        chat_template=CHAT,
    )


def llama3(folder: Path) -> None:
    """A file taken as it stands: byte-level BPE with a start token."""
    backend = tokenizers.Tokenizer.from_str(json.dumps(small_tokenizer(FAMILIES["llama3"])))
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<|begin_of_text|>",
        eos_token="<|end_of_text|>",
        pad_token="<|eot_id|>",
        model_max_length=2048,
        model_input_names=["input_ids", "attention_mask"],
        chat_template=CHAT,
    ).save_pretrained(folder)


def llama(folder: Path) -> None:
    """BPE in the manner of sentencepiece, with byte fallback."""
    backend = tokenizers.Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    specials = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=specials, show_progress=False
    )
    model = _train(backend, trainer)
    merges = [tuple(merge) for merge in model["merges"]]
    transformers.LlamaTokenizer(
        vocab=model["vocab"], merges=merges, pad_token="<unk>", add_bos_token=True
    ).save_pretrained(folder)


def _unigram(specials: list[str], unknown: str) -> list[tuple[str, float]]:
    backend = tokenizers.Tokenizer(models.Unigram())
    backend.normalizer = normalizers.NFKC()
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=VOCABULARY, special_tokens=specials, unk_token=unknown, show_progress=False
    )
    model = _train(backend, trainer)
    return [(token, score) for token, score in model["vocab"]]


def t5(folder: Path) -> None:
    """Unigram with sentinels."""
    vocab = _unigram(["<pad>", "</s>", "<unk>"], "<unk>")
    transformers.T5Tokenizer(vocab=vocab, extra_ids=10, model_max_length=512).save_pretrained(
        folder
    )


def xlm_roberta(folder: Path) -> None:
    """Unigram with two separators between a pair."""
    vocab = _unigram(["<s>", "<pad>", "</s>", "<unk>"], "<unk>")
    vocab.append(("<mask>", 0.0))
    transformers.XLMRobertaTokenizer(vocab=vocab).save_pretrained(folder)


def unigram(folder: Path) -> None:
    """A file taken as it stands: Unigram with Metaspace."""
    vocab = _unigram(["<pad>", "</s>", "<unk>"], "<unk>")
    backend = tokenizers.Tokenizer(models.Unigram(vocab, unk_id=2))
    backend.normalizer = normalizers.NFKC()
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    backend.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)


def wordlevel(folder: Path) -> None:
    """A file taken as it stands: whole words."""
    backend = tokenizers.Tokenizer(models.WordLevel(unk_token="[UNK]"))
    backend.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase()])
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer(
        vocab_size=VOCABULARY, special_tokens=["[PAD]", "[UNK]"], show_progress=False
    )
    backend.train_from_iterator(lines(), trainer)
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]"
    ).save_pretrained(folder)


MAKERS: dict[str, Callable[[Path], None]] = {
    maker.__name__: maker
    for maker in (
        bert,
        gpt2,
        roberta,
        qwen2,
        llama3,
        llama,
        t5,
        xlm_roberta,
        unigram,
        wordlevel,
    )
}

NATIVE = ("gpt2", "roberta", "qwen2", "llama3")
"""Families that must run natively."""


def make(folder: Path) -> dict[str, Path]:
    """One folder for each family."""
    made = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, maker in MAKERS.items():
            made[name] = folder / name
            maker(made[name])
    return made


__all__ = ["CL100K", "MAKERS", "NATIVE", "make"]
