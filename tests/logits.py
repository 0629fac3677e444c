"""Logits of every shape that sampling has to get right."""

from __future__ import annotations

import torch

KINDS = ("peaked", "mid", "flat", "tied", "bf16", "bf16-mid", "masked")


def logits(kind: str, rows: int, vocabulary: int, generator: torch.Generator) -> torch.Tensor:
    """`[rows, vocabulary]` of float32.

    peaked: a power law over a low bulk, like a language model's; mid: thousands of tokens in a
    nucleus; flat: nearly all of them; tied: nine values in all; bf16: rounded to bfloat16; masked:
    nine in ten at -inf.
    """
    if kind == "peaked":
        out = torch.randn(rows, vocabulary, generator=generator) * 2 - 4
        count = min(vocabulary, 2000)
        ranks = 14 - 1.6 * torch.log(torch.arange(1, count + 1).float())
        for row in out:
            places = torch.randperm(vocabulary, generator=generator)[:count]
            row[places] = ranks + 0.7 * torch.randn(count, generator=generator)
        return out
    if kind == "mid":
        return torch.randn(rows, vocabulary, generator=generator) * 1.5
    if kind == "flat":
        return torch.randn(rows, vocabulary, generator=generator) * 0.1
    if kind == "tied":
        return torch.randint(-4, 5, (rows, vocabulary), generator=generator).float()
    if kind == "bf16":
        return logits("peaked", rows, vocabulary, generator).bfloat16().float()
    if kind == "bf16-mid":
        return logits("mid", rows, vocabulary, generator).bfloat16().float()
    if kind == "masked":
        out = logits("mid", rows, vocabulary, generator)
        out[torch.rand(rows, vocabulary, generator=generator) < 0.9] = -float("inf")
        out[:, 0] = 1.0
        return out
    raise ValueError(kind)
