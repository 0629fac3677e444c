"""penstock behind the tokenizer API of transformers: same classes, same results."""

from __future__ import annotations

from penstock.transformers._auto import AutoTokenizer as AutoTokenizer
from penstock.transformers._datasets import map_fn as map_fn
from penstock.transformers._generation import sample as sample
from penstock.transformers._patch import install as install
from penstock.transformers._patch import installed as installed
from penstock.transformers._patch import uninstall as uninstall
from penstock.transformers._report import EngineReport as EngineReport
from penstock.transformers._report import engine_of as engine_of
from penstock.transformers._slot import wrap as wrap
