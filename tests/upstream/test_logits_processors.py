"""Runs transformers' own tests of its logits processors on the compiled steps.

Its source distribution leaves them out, so PENSTOCK_TRANSFORMERS_SOURCE names a checkout of the
repository; without it the test is skipped. Nothing of it is copied here: the one module is read in
a temporary folder, and run twice: on the processors themselves, and with each replaced by a
subclass whose call goes through `penstock`'s translation and kernels. What passes on the first must
pass on the second.

A checkout of another version than the installed one fails where the processors have changed since,
on both alike.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = os.environ.get("PENSTOCK_TRANSFORMERS_SOURCE")
MODULE = Path("tests/generation/test_logits_process.py")

COMMON = """
import torch

def ids_tensor(shape, vocab_size, rng=None, name=None):
    return torch.randint(vocab_size, tuple(shape), dtype=torch.long)
"""

PLUGIN = """
import ast, copy, json, os, warnings
from collections import Counter
warnings.simplefilter("ignore")
import transformers.generation
from transformers.generation import logits_process as stock
from penstock.sampling import Sampler
from penstock.transformers import _generation, _steps

counts = Counter()

# A checkout may name processors that the installed version lacks: their tests fail, not the module.
for node in ast.walk(ast.parse(open(os.environ["MODULE"]).read())):
    if isinstance(node, ast.ImportFrom) and "transformers.generation" in (node.module or ""):
        module = stock if node.module.endswith("logits_process") else transformers.generation
        for name in node.names:
            if not hasattr(module, name.name):
                setattr(module, name.name, type(name.name, (), {}))

def replaced(cls):
    def call(self, input_ids, scores):
        plain = copy.copy(self)
        plain.__class__ = cls
        # One test gives each row a length of one, as no loop does.
        shape, scores = scores.shape, scores.flatten(0, -2)
        segments = _steps.segments([plain], len(scores if input_ids is None else input_ids))
        if any(segment.processor is not None for segment in segments):
            counts[cls.__name__ + " in Python"] += 1
            scores = plain(input_ids, scores.reshape(shape))
        else:
            counts[cls.__name__] += 1
            for segment in segments:
                scores, options = _generation._inputs(segment, input_ids, scores)
                if segment.steps:
                    sampler = Sampler.from_steps(segment.steps, do_sample=True)
                    scores = sampler.scores(scores, options)
                if segment.finish is not None:
                    scores = segment.finish(scores, options)
        # What it keeps for the next step.
        vars(self).update(vars(plain))
        return scores.reshape(shape) if scores.numel() == shape.numel() else scores
    return type(cls.__name__, (cls,), {"__call__": call})

if os.environ["ENGINE"] == "penstock":
    for cls in list(_steps._TRANSLATIONS):
        ours = replaced(cls)
        for module in (stock, transformers.generation):
            if hasattr(module, cls.__name__):
                setattr(module, cls.__name__, ours)

def pytest_terminal_summary(terminalreporter):
    with open(os.environ["COUNTS"], "w") as file:
        json.dump(counts, file)
"""


def outcomes(folder: Path, engine: str) -> tuple[dict[str, str], dict[str, int]]:
    """What became of each test, and how often each processor was called."""
    counts = folder / f"{engine}.json"
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-rA", "--tb=line", "-p", "no:cacheprovider"),
            *("-c", os.devnull, "--rootdir", ".", "-p", "engine", "--timeout", "600", str(MODULE)),
        ],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(folder),
            "ENGINE": engine,
            "COUNTS": str(counts),
            "MODULE": str(MODULE),
            "COLUMNS": "400",
        },
        capture_output=True,
        text=True,
        timeout=3000,
    )
    found = re.findall(r"^(PASSED|FAILED|ERROR) (\S+)", run.stdout, re.MULTILINE)
    assert found, run.stdout[-3000:] + run.stderr[-3000:]
    return {name: outcome for outcome, name in found}, json.loads(counts.read_text())


@pytest.mark.timeout(6500)
@pytest.mark.skipif(SOURCE is None, reason="PENSTOCK_TRANSFORMERS_SOURCE names no checkout")
def test_the_suite_of_the_processors(tmp_path: Path) -> None:
    target = tmp_path / MODULE
    target.parent.mkdir(parents=True)
    shutil.copy(Path(SOURCE or ".") / MODULE, target)
    for package in (tmp_path / "tests", target.parent):
        (package / "__init__.py").touch()
    (tmp_path / "tests" / "test_modeling_common.py").write_text(COMMON)
    (tmp_path / "engine.py").write_text(PLUGIN)
    theirs, _ = outcomes(tmp_path, "stock")
    ours, counts = outcomes(tmp_path, "penstock")
    passed = {name for name, outcome in theirs.items() if outcome == "PASSED"}
    assert len(passed) > 20, theirs
    missing = {name: ours.get(name) for name in passed if ours.get(name) != "PASSED"}
    assert not missing, missing
    compiled = {name: count for name, count in counts.items() if " " not in name}
    assert len(compiled) >= 20, counts
    print(f"{len(passed)} of {len(theirs)} tests pass on both; calls: {counts}")
