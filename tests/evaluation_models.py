"""Models and data for the tests of evaluation, made on the spot.

The weights are random, so scores mean nothing; only that they are equal does.
"""

from __future__ import annotations

import json
import os
import random
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.families import DATA, FAMILIES, Json, small_tokenizer, template

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONTEXT = 256 if os.environ.get("PENSTOCK_FIXTURES") else 96
"""Tokens that the language models read: some answers of the real sets have 200."""


class Models:
    """Folders of small models, each made when it is first asked for.

    Args:
        root: Where they go.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def gpt2(self) -> Path:
        """A decoder; its tokenizer adds nothing."""
        from transformers import GPT2Config, GPT2LMHeadModel

        tokenizer = _tokenizer(small_tokenizer(FAMILIES["gpt2"]), "<|endoftext|>")
        end = tokenizer.eos_token_id
        config = GPT2Config(
            n_layer=2,
            n_embd=32,
            n_head=2,
            n_positions=CONTEXT,
            vocab_size=len(tokenizer),
            bos_token_id=end,
            eos_token_id=end,
            initializer_range=0.15,
        )
        return self._save("gpt2", lambda: GPT2LMHeadModel(config), tokenizer)

    @cached_property
    def llama(self) -> Path:
        """A decoder whose tokenizer begins each text with a token."""
        from transformers import LlamaConfig, LlamaForCausalLM

        value = small_tokenizer(FAMILIES["llama3"])
        tokenizer = _tokenizer(value, "<|end_of_text|>", bos="<|begin_of_text|>")
        config = LlamaConfig(
            num_hidden_layers=2,
            hidden_size=32,
            intermediate_size=64,
            num_attention_heads=2,
            max_position_embeddings=CONTEXT,
            vocab_size=len(tokenizer),
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            initializer_range=0.2,
        )
        return self._save("llama", lambda: LlamaForCausalLM(config), tokenizer)

    @cached_property
    def t5(self) -> Path:
        """An encoder and decoder; its tokenizer ends each text with a token."""
        from transformers import T5Config, T5ForConditionalGeneration

        value = small_tokenizer(FAMILIES["gpt2"])
        value["post_processor"] = template(
            ["A", "<|endoftext|>"],
            [("A", 0), ("<|endoftext|>", 0), ("B", 0), ("<|endoftext|>", 0)],
            {"<|endoftext|>": 0},
        )
        tokenizer = _tokenizer(value, "<|endoftext|>", bos=None)
        config = T5Config(
            d_model=32,
            d_kv=16,
            d_ff=64,
            num_layers=2,
            num_heads=2,
            vocab_size=len(tokenizer),
            n_positions=CONTEXT,
            decoder_start_token_id=0,
            pad_token_id=0,
            eos_token_id=0,
            initializer_factor=1.0,
        )
        return self._save("t5", lambda: T5ForConditionalGeneration(config), tokenizer)

    @cached_property
    def bert(self) -> Path:
        """A classifier of two classes."""
        from transformers import BertConfig, BertForSequenceClassification

        tokenizer = self._bert_tokenizer()
        config = BertConfig(
            num_hidden_layers=2,
            hidden_size=32,
            intermediate_size=64,
            num_attention_heads=2,
            max_position_embeddings=CONTEXT,
            vocab_size=len(tokenizer),
            num_labels=2,
            initializer_range=0.3,
        )
        return self._save("bert", lambda: BertForSequenceClassification(config), tokenizer)

    def _bert_tokenizer(self) -> Any:
        value = small_tokenizer(FAMILIES["roberta"])
        return _tokenizer(value, "</s>", bos="<s>", cls="<s>", sep="</s>", pad="<pad>")

    def _save(self, name: str, make: Callable[[], Any], tokenizer: Any) -> Path:
        import torch
        import transformers

        path = self.root / name
        with torch.random.fork_rng():
            torch.manual_seed(20260131)
            model = make()
        transformers.logging.disable_progress_bar()
        model.save_pretrained(path)
        tokenizer.save_pretrained(path)
        return path


def _tokenizer(value: Json, end: str, **special: str | None) -> Any:
    import tokenizers
    from transformers import PreTrainedTokenizerFast

    names = {"bos": end, **special}
    tokens = {f"{key}_token": token for key, token in names.items() if token is not None}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer.from_str(json.dumps(value)),
        eos_token=end,
        unk_token=end,
        **tokens,
    )


class Letters:
    """A tokenizer of one token a letter, as plans need it; the token before a document is 0."""

    prefix_id = 0

    def ids(self, text: str) -> Any:
        return np.asarray([ord(letter) for letter in text], np.int32)

    def encode_each(self, texts: Any) -> Any:
        return map(self.ids, texts)

    def encode_pairs(self, pairs: Any, *, joint: bool) -> list[tuple[Any, Any]]:
        return [(self.ids(context), self.ids(cont)) for context, cont in pairs]


def letters_origin(count: int) -> Any:
    """One request a row."""
    from penstock.evaluation._plan import Origin

    return Origin("task", list(range(count)), [0] * count)


# ---------------------------------------------------------------------------- data


def sentences(count: int, seed: int, shortest: int = 3, longest: int = 14) -> list[str]:
    """Sentences of words that the small tokenizers know, and some that they do not."""
    words = (DATA / "training.txt").read_text(encoding="utf-8").split()
    words = [*(word for word in words if word.isascii()), "Zürich", "naïve", "mill-race"]
    generator = random.Random(seed)
    return [
        " ".join(generator.choices(words, k=generator.randint(shortest, longest)))
        for _ in range(count)
    ]


def write_jsonl(path: Path, rows: list[Json]) -> Path:
    """Writes rows, one a line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_data(root: Path, rows: int = 13) -> dict[str, Path]:
    """A file for each built-in task, in the format that it is published in."""
    generator = random.Random(7)
    text = iter(sentences(100 * rows, 3))
    files: dict[str, Path] = {}

    pages = []
    for number in range(rows):
        parts = [f" \n = Page {number} = \n ", *sentences(4, number), " = = Part = = \n"]
        pages.append(
            " \n".join([*parts, *(f"{line} , and @-@ so" for line in sentences(5, -number))])
        )
    files["wikitext"] = root / "wiki.test.raw"
    files["wikitext"].write_text("\n".join(pages), encoding="utf-8")

    files["lambada_openai"] = write_jsonl(
        root / "lambada.jsonl", [{"text": next(text)} for _ in range(rows)]
    )
    files["hellaswag"] = write_jsonl(
        root / "hellaswag.jsonl",
        [
            {
                "ind": number,
                "ctx": f"Topic {number}: {next(text)} [title] {next(text)} [step]",
                "label": generator.randrange(4),
                "endings": [f"{next(text)} [substeps] end." for _ in range(4)],
            }
            for number in range(rows)
        ],
    )
    piqa = [{"goal": next(text), "sol1": next(text), "sol2": next(text)} for _ in range(rows)]
    files["piqa"] = write_jsonl(root / "valid.jsonl", piqa)
    (root / "valid-labels.lst").write_text(
        "".join(f"{generator.randrange(2)}\n" for _ in range(rows)), encoding="utf-8"
    )
    arc = []
    for number in range(rows):
        count = 3 + number % 3
        labels = list("ABCDE"[:count]) if number % 2 else list("12345"[:count])
        choices = {"text": [next(text) for _ in range(count)], "label": labels}
        row = {"id": str(number), "question": next(text), "choices": choices}
        arc.append({**row, "answerKey": generator.choice(labels)})
    files["arc_challenge"] = write_jsonl(root / "arc.jsonl", arc)
    files["arc_easy"] = files["arc_challenge"]
    for name in ("test", "train"):
        gsm8k = [
            {
                "question": f"{next(text)}?",
                "answer": f"{next(text)}\n#### {generator.randrange(99)}",
            }
            for _ in range(rows)
        ]
        files.setdefault("gsm8k", write_jsonl(root / f"{name}.jsonl", gsm8k))
        write_jsonl(root / f"{name}.jsonl", gsm8k)
    files["sst2"] = root / "dev.tsv"
    files["sst2"].write_text(
        "".join(f"{next(text)}\t{generator.randrange(2)}\n" for _ in range(rows)), encoding="utf-8"
    )
    files["mrpc"] = root / "msr_paraphrase_test.txt"
    lines = ["Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"]
    lines += [
        f'{generator.randrange(2)}\t{n}\t{n + 1}\t"{next(text)}\t{next(text)}' for n in range(rows)
    ]
    files["mrpc"].write_text("\ufeff" + "\r\n".join(lines) + "\r\n", encoding="utf-8")
    files["sst2_prompt"], files["mrpc_prompt"] = files["sst2"], files["mrpc"]
    files["lambada_standard"] = files["lambada_openai"]
    return files


def fixture_data(fixtures: Path) -> dict[str, Path]:
    """The files of the shared evaluation sets."""
    root = fixtures / "evalsets"
    arc = root / "arc_challenge" / "test.jsonl"
    lambada = root / "lambada" / "lambada_test.jsonl"
    sst2, mrpc = root / "sst2" / "dev.tsv", root / "mrpc" / "msr_paraphrase_test.txt"
    return {
        "wikitext": root / "wikitext2_raw" / "wiki.test.raw",
        "lambada_openai": lambada,
        "lambada_standard": lambada,
        "hellaswag": root / "hellaswag" / "val-1000.jsonl",
        "piqa": root / "piqa" / "valid.jsonl",
        "arc_easy": arc,
        "arc_challenge": arc,
        "gsm8k": root / "gsm8k" / "test.jsonl",
        "sst2": sst2,
        "mrpc": mrpc,
        "sst2_prompt": sst2,
        "mrpc_prompt": mrpc,
    }
