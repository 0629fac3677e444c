"""`DataCollatorWithPadding` and `Trainer` as they are; `install()` is the only new line."""

from __future__ import annotations

import tempfile

import penstock.transformers
from _small import folder
from transformers import (
    AutoTokenizer,
    DataCollatorWithPadding,
    LlamaConfig,
    LlamaForSequenceClassification,
    Trainer,
    TrainingArguments,
)

penstock.transformers.install()

tokenizer = AutoTokenizer.from_pretrained(folder())
texts = ["The valve was open.", "Water runs downhill.", "The gauge said nothing, as gauges do."]
rows = [{**tokenizer(text), "labels": len(text) % 2} for text in texts * 4]
config = LlamaConfig(
    vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1,
    num_attention_heads=2, num_key_value_heads=2, num_labels=2, pad_token_id=tokenizer.pad_token_id,
)  # fmt: skip
with tempfile.TemporaryDirectory() as output:
    arguments = TrainingArguments(
        output, max_steps=3, per_device_train_batch_size=4, report_to=[], use_cpu=True,
        disable_tqdm=True, save_strategy="no", logging_strategy="no", dataloader_pin_memory=False,
    )  # fmt: skip
    trainer = Trainer(
        LlamaForSequenceClassification(config),
        arguments,
        data_collator=DataCollatorWithPadding(tokenizer),
        train_dataset=rows,
        processing_class=tokenizer,
    )
    result = trainer.train()
print("steps:", result.global_step, "native:", penstock.transformers.engine_of(tokenizer).native)

penstock.transformers.uninstall()
