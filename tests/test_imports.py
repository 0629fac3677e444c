"""What `import penstock` loads."""

from __future__ import annotations

import subprocess
import sys

import penstock
import pytest

HEAVY = (
    "torch",
    "transformers",
    "tokenizers",
    "accelerate",
    "datasets",
    "pyarrow",
    "ray",
    "pandas",
)


@pytest.mark.parametrize("module", ["penstock", "penstock.cli", "penstock.errors"])
def test_import_is_light(module: str) -> None:
    """Whatever is installed beside us, a fresh interpreter loads none of it."""
    code = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert result.stdout.strip() == "[]"


def test_public_names() -> None:
    for name in ("Tokenizer", "Encoding", "Ragged", "AddedToken", "__version__", "errors"):
        assert hasattr(penstock, name), name
