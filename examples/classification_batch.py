"""A batch of texts for a classifier: ids and mask come from the core as tensors."""

from __future__ import annotations

import torch
from _small import folder
from penstock.transformers import AutoTokenizer, engine_of
from transformers import LlamaConfig, LlamaForSequenceClassification

tokenizer = AutoTokenizer.from_pretrained(folder())
print("native:", engine_of(tokenizer).native)

texts = ["The valve was open.", "Water runs downhill, and a pipe carries it to the turbine."]
batch = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
print("shape:", tuple(batch["input_ids"].shape), "tokens:", batch["attention_mask"].sum().item())

config = LlamaConfig(
    vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1,
    num_attention_heads=2, num_key_value_heads=2, num_labels=3, pad_token_id=tokenizer.pad_token_id,
)  # fmt: skip
model = LlamaForSequenceClassification(config).eval()
with torch.no_grad():
    logits = model(**batch).logits
print("logits:", tuple(logits.shape))
