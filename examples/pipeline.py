"""A pipeline of transformers on our engine, for the length of a `with` block."""

from __future__ import annotations

from _small import folder
from penstock.transformers import engine_of, installed
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, pipeline

with installed():
    tokenizer = AutoTokenizer.from_pretrained(folder())
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    generate = pipeline(
        "text-generation", model=LlamaForCausalLM(config).eval(), tokenizer=tokenizer, device="cpu"
    )
    text = generate("Water runs", max_new_tokens=4, do_sample=False)[0]["generated_text"]
    print("generated:", repr(text[:10]), "native:", engine_of(tokenizer).native)
