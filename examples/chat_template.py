"""A chat template, with the mask of the tokens that the assistant said."""

from __future__ import annotations

from _small import folder
from penstock.transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(folder())
messages = [
    {"role": "user", "content": "How high is the dam?"},
    {"role": "assistant", "content": "It is ninety metres high."},
]
chat = tokenizer.apply_chat_template(
    messages, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
)
said = [
    token for token, mask in zip(chat["input_ids"], chat["assistant_masks"], strict=True) if mask
]
print("tokens:", len(chat["input_ids"]), "of the assistant:", len(said))
print("assistant:", tokenizer.decode(said))
