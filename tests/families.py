"""The tokenizer families of this release: small ones trained on the spot, and the names of the real
ones.

A family is the part of tokenizer.json around the model: normalizer, pre-tokenizer, post-processor,
decoder, added tokens and the model's flags. The small tokenizers have the same parts as the real
ones, so that every scanner and every processor runs in the default tests too, which need no files
from elsewhere.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tokenizers

DATA = Path(__file__).parent / "data"

CL100K = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = CL100K.replace(r"\p{N}{1,3}", r"\p{N}")
R50K = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
O200K = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_CONTRACTION}"
    rf"|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_CONTRACTION}"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
DEEPSEEK_CJK = "[一-龥぀-ゟ゠-ヿ]+"
DEEPSEEK_WORDS = (
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+"
    "|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
    "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"
)
"""DeepSeek-V3 carries raw line breaks inside its classes, unlike the others: equality is of the
text itself."""

Json = dict[str, Any]


def byte_level(*, prefix: bool = False, trim: bool = True, use_regex: bool | None = None) -> Json:
    """A ByteLevel component; `use_regex` is left out when None, as old files leave it out."""
    value: Json = {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": trim}
    if use_regex is not None:
        value["use_regex"] = use_regex
    return value


def split(pattern: str, behavior: str = "Isolated", *, invert: bool = False) -> Json:
    """A Split component with a regex."""
    return {
        "type": "Split",
        "pattern": {"Regex": pattern},
        "behavior": behavior,
        "invert": invert,
    }


def sequence(*pretokenizers: Json) -> Json:
    """A Sequence of pre-tokenizers."""
    return {"type": "Sequence", "pretokenizers": list(pretokenizers)}


def added(content: str, token_id: int = 0, **flags: bool) -> Json:
    """An entry of `added_tokens`; the flags that are not named are false, `special` is true."""
    names = ("single_word", "lstrip", "rstrip", "normalized", "special")
    values: Json = {name: flags.get(name, name == "special") for name in names}
    return {"id": token_id, "content": content, **values}


def template(single: list[str], pair: list[tuple[str, int]], ids: dict[str, int]) -> Json:
    """A TemplateProcessing; `A` and `B` are the sequences, everything else is a special token."""

    def piece(name: str, type_id: int) -> Json:
        kind = "Sequence" if name in ("A", "B") else "SpecialToken"
        return {kind: {"id": name, "type_id": type_id}}

    return {
        "type": "TemplateProcessing",
        "single": [piece(name, 0) for name in single],
        "pair": [piece(name, type_id) for name, type_id in pair],
        "special_tokens": {
            name: {"id": name, "ids": [token_id], "tokens": [name]}
            for name, token_id in ids.items()
        },
    }


@dataclass(frozen=True)
class Family:
    """What surrounds the model. `specials` come first in the vocabulary, so their ids are known
    beforehand."""

    name: str
    pre_tokenizer: Json | None
    normalizer: Json | None = None
    post_processor: Json | None = None
    specials: tuple[str, ...] = ("<|endoftext|>",)
    extra_added: tuple[Json, ...] = ()
    model_flags: Json = field(default_factory=dict)


_OWN = byte_level(use_regex=False)
_TRIMLESS = byte_level(prefix=True, trim=False, use_regex=True)

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family("gpt2", byte_level(), post_processor=byte_level(prefix=True, trim=False)),
        Family("gpt2-prefix", byte_level(prefix=True), post_processor=byte_level(prefix=True)),
        Family(
            "roberta",
            byte_level(),
            post_processor={
                "type": "RobertaProcessing",
                "sep": ["</s>", 2],
                "cls": ["<s>", 0],
                "trim_offsets": True,
                "add_prefix_space": False,
            },
            specials=("<s>", "<pad>", "</s>", "<unk>"),
            extra_added=(added("<mask>", lstrip=True, normalized=True),),
        ),
        Family(
            "neox",
            byte_level(),
            normalizer={"type": "NFC"},
            post_processor=byte_level(),
            specials=("<|endoftext|>", "<|padding|>"),
            extra_added=tuple(
                added(" " * count, normalized=True, special=False) for count in range(24, 1, -1)
            ),
        ),
        Family(
            "llama3",
            sequence(split(CL100K), _OWN),
            post_processor={
                "type": "Sequence",
                "processors": [
                    _TRIMLESS,
                    template(
                        ["<|begin_of_text|>", "A"],
                        [("<|begin_of_text|>", 0), ("A", 0), ("<|begin_of_text|>", 1), ("B", 1)],
                        {"<|begin_of_text|>": 0},
                    ),
                ],
            },
            specials=("<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"),
            model_flags={"ignore_merges": True},
        ),
        Family(
            "qwen2",
            sequence(split(QWEN2), byte_level(trim=False, use_regex=False)),
            normalizer={"type": "NFC"},
            post_processor=byte_level(trim=False, use_regex=False),
            specials=("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
            extra_added=(added("<tool_call>", special=False), added("</tool_call>", special=False)),
        ),
        Family(
            "o200k",
            sequence(split(O200K), _OWN),
            post_processor=_TRIMLESS,
            specials=("<|startoftext|>", "<|endoftext|>", "<|start|>", "<|end|>"),
            model_flags={"ignore_merges": True},
        ),
        Family(
            "deepseek",
            sequence(split(r"\p{N}{1,3}"), split(DEEPSEEK_CJK), split(DEEPSEEK_WORDS), _OWN),
            normalizer={"type": "Sequence", "normalizers": []},
            post_processor=_TRIMLESS,
            specials=("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"),
            extra_added=(added("<｜fim▁hole｜>", normalized=True, special=False),),
        ),
        Family(
            "whisper",
            byte_level(use_regex=True),
            post_processor=template(
                ["<|startoftranscript|>", "<|notimestamps|>", "A", "<|endoftext|>"],
                [
                    ("<|startoftranscript|>", 0),
                    ("<|notimestamps|>", 0),
                    ("A", 0),
                    ("B", 1),
                    ("<|endoftext|>", 1),
                ],
                {"<|endoftext|>": 0, "<|startoftranscript|>": 1, "<|notimestamps|>": 2},
            ),
            specials=("<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>"),
            extra_added=tuple(
                added(f"<|{second / 50:.2f}|>", normalized=True, special=False)
                for second in range(40)
            ),
        ),
    )
}
"""Small tokenizers: one per scanner and per kind of post-processing."""

PARITY_FAMILIES = (
    "gpt2",
    "roberta-base",
    "gpt-neox-20b",
    "llama-3",
    "qwen2.5",
    "deepseek-v3",
    "gpt-oss-o200k",
    "whisper-tiny",
)
"""Folders below PENSTOCK_FIXTURES/tokenizers that hold a tokenizer.json this release must
reproduce."""

SAMPLED_FAMILIES = (
    "bert-base-uncased",
    "bert-base-cased",
    "bert-base-chinese",
    "t5-small",
    "xlm-roberta-base",
    "albert-base-v2",
    "llama-2",
    "mistral-7b-v0.3",
    "phi-3-mini",
    "clip",
)
"""Likewise, compared on samples of every corpus: the reference takes minutes for all of them."""

RANK_FILES = ("cl100k_base", "o200k_base")
"""Folders below PENSTOCK_FIXTURES/tokenizers that hold a tiktoken rank file."""

VOCABULARY = 3000


@functools.cache
def _trained_model(pre_tokenizer: str, normalizer: str, specials: tuple[str, ...]) -> str:
    """The `model` object of a BPE trained on tests/data/training.txt with these parts, as JSON."""
    tokenizer = tokenizers.Tokenizer.from_str(
        json.dumps(
            {
                "version": "1.0",
                "truncation": None,
                "padding": None,
                "added_tokens": [],
                "normalizer": json.loads(normalizer),
                "pre_tokenizer": json.loads(pre_tokenizer),
                "post_processor": None,
                "decoder": None,
                "model": {"type": "BPE", "vocab": {}, "merges": []},
            }
        )
    )
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(specials),
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    lines = (DATA / "training.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    tokenizer.train_from_iterator(lines, trainer)
    return json.dumps(json.loads(tokenizer.to_str())["model"])


def small_tokenizer(family: Family) -> Json:
    """The whole tokenizer.json of a family, with a model trained on the spot."""
    model = json.loads(
        _trained_model(
            json.dumps(family.pre_tokenizer or byte_level(use_regex=False)),
            json.dumps(family.normalizer),
            family.specials,
        )
    )
    model.update(family.model_flags)
    specials = [added(content, index) for index, content in enumerate(family.specials)]
    size = len(model["vocab"])
    extra = [{**token, "id": size + index} for index, token in enumerate(family.extra_added)]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": specials + extra,
        "normalizer": family.normalizer,
        "pre_tokenizer": family.pre_tokenizer,
        "post_processor": family.post_processor,
        "decoder": byte_level(prefix=True, use_regex=True),
        "model": model,
    }
