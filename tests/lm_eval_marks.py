"""What tests that run lm-eval need: no warnings, one thread, no processes for its bootstrap."""

from __future__ import annotations

import os

import pytest

os.environ["DISABLE_MULTIPROC"] = "1"

LM_EVAL_MARKS = [
    *(
        pytest.mark.filterwarnings(f"ignore::{warning}")
        for warning in ("DeprecationWarning", "ResourceWarning", "FutureWarning", "UserWarning")
    ),
    pytest.mark.usefixtures("one_thread"),
]
