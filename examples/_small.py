"""A small tokenizer for the examples, when no folder is given."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

TEXT = [
    "Water runs downhill, and a pipe carries it to the turbine.",
    "The valve was open. The gauge said nothing, as gauges do.",
    "<|user|>How high is the dam?<|end|><|assistant|>It is ninety metres high.<|end|>",
]
CHAT = (
    "{% for message in messages %}<|{{ message.role }}|>"
    "{% if message.role == 'assistant' %}{% generation %}{{ message.content }}<|end|>"
    "{% endgeneration %}{% else %}{{ message.content }}<|end|>{% endif %}{% endfor %}"
)


def folder() -> str:
    """The folder named on the command line, or one with a tokenizer made here."""
    if len(sys.argv) > 1:
        return sys.argv[1]
    specials = ["<|pad|>", "<|start|>", "<|end|>", "<|user|>", "<|assistant|>"]
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(TEXT, trainer)
    backend.post_processor = processors.TemplateProcessing(
        single="<|start|> $A", pair="<|start|> $A $B:1", special_tokens=[("<|start|>", 1)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<|pad|>",
        bos_token="<|start|>",
        eos_token="<|end|>",
        chat_template=CHAT,
        model_max_length=128,
        model_input_names=["input_ids", "attention_mask"],
    )
    path = Path(tempfile.mkdtemp(prefix="penstock-example-"))
    tokenizer.save_pretrained(path)
    return str(path)
