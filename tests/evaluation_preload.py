"""What every rank needs; the server of `evaluation_workers` imports it once.

Most of what a model needs transformers imports only when it loads one.
"""

from __future__ import annotations

import importlib

import torch

torch.set_num_threads(1)
for _name in (
    "accelerate",
    "penstock.evaluation._run",
    "transformers.generation.utils",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.gpt2.modeling_gpt2",
    "transformers.modeling_utils",
):
    importlib.import_module(_name)
