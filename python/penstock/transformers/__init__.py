"""penstock behind the tokenizer API of transformers: same classes, same results."""

from __future__ import annotations

from penstock.transformers._patch import install as install
from penstock.transformers._patch import installed as installed
from penstock.transformers._patch import uninstall as uninstall
