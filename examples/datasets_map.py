"""`datasets.map` with Arrow in and Arrow out: no Python list of ids in between."""

from __future__ import annotations

import datasets
from _small import TEXT, folder
from penstock.transformers import AutoTokenizer, map_fn

datasets.disable_progress_bars()
tokenizer = AutoTokenizer.from_pretrained(folder())
rows = datasets.Dataset.from_dict({"text": TEXT * 100, "label": [0, 1, 2] * 100})
tokenize = map_fn(tokenizer, truncation=True, max_length=64, remove_columns=["text"])
tokens = rows.with_format("arrow").map(tokenize, batched=True, batch_size=128)
print("columns:", tokens.column_names, "rows:", len(tokens))
print("first:", tokenizer.decode(tokens.with_format(None)[0]["input_ids"]))
