"""One tokenizer for many threads, each with its own length.

Stock keeps truncation on the tokenizer between two calls, so threads get each other's lengths.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from _small import folder
from penstock.transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(folder())
text = "Water runs downhill, and a pipe carries it to the turbine. " * 20


def serve(request: int) -> bool:
    """Answers one request with a length of its own."""
    length = 4 + request % 60
    batch = tokenizer([text, "short"], max_length=length, truncation=True, padding="max_length")
    return [len(row) for row in batch["input_ids"]] == [length, length]


with ThreadPoolExecutor(8) as pool:
    right = sum(pool.map(serve, range(400)))
print(f"{right} of 400 requests got the length they asked for")
