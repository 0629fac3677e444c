"""Runs the Python tests of huggingface/tokenizers on penstock.

The suite is not part of this repository. Unpack the sdist of tokenizers 0.23.3, name its folder:

    pip download --no-deps --no-binary tokenizers tokenizers==0.23.3
    tar xf tokenizers-0.23.3.tar.gz
    PENSTOCK_UPSTREAM=tokenizers-0.23.3/bindings/python pytest tests/upstream

`shim/` then stands for the package `tokenizers`. Every test must pass, but for those that download
a file and those that `NOT_APPLICABLE` names, each group with its reason.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SHIM = Path(__file__).parent / "shim"

DESCRIPTIONS_DO_NOT_CHANGE = "descriptions are immutable: a component is replaced, not edited"
NO_PYTHON_COMPONENTS = "penstock runs no component that is written in Python"
NO_TRAINER_OBJECTS = "penstock trains by functions, which have tests of their own"
NO_BUNDLES = "penstock has no classes that bundle components (`implementations`)"

NOT_APPLICABLE: dict[str, str] = {
    r"::test_can_modify$": DESCRIPTIONS_DO_NOT_CHANGE,
    r"Sequence::test_(set_item|item_getters_and_setters)$": DESCRIPTIONS_DO_NOT_CHANGE,
    r"TestSequenceProcessing::test_items$": DESCRIPTIONS_DO_NOT_CHANGE,
    r"TestFixedLength::test_pre_tokenize_str$": DESCRIPTIONS_DO_NOT_CHANGE,
    r"TestAddedToken::test_instantiate_with_content_only$": "an AddedToken does not change",
    r"TestTokenizer::test_add_special_tokens$": "an AddedToken does not change",
    r"::test_multiprocessing_with_parallelism$": "it wants a forked child to hang",
    r"::test_manual_reload$": "`__getstate__` of the reference's classes is JSON; ours is pickle's",
    r"TestCustom(Normalizer|PreTokenizer)::": NO_PYTHON_COMPONENTS,
    r"test_trainers\.py::": NO_TRAINER_OBJECTS,
    r"test_tutorial_train_from_iterators\.py::": NO_TRAINER_OBJECTS,
    r"test_encode_while_mutating_trainer_fields$": NO_TRAINER_OBJECTS,
    r"tests/implementations/": NO_BUNDLES,
    r"TestUnigram::test_alpha_zero$": "sampling of segmentations is not part of tokenizer.json",
    r"repr": "a repr names the number of tokens, not all of them",
    r"TestTokenizer::test_encode$": "`Encoding.words` gives no DeprecationWarning",
}
"""Parts of test names, and why they cannot apply."""

DOWNLOADS = re.compile(
    r"huggingface_hub|LocalEntryNotFound|OfflineMode|from_pretrained|data_dir|network"
)


def test_the_suite_of_the_reference() -> None:
    folder = os.environ.get("PENSTOCK_UPSTREAM")
    if not folder:
        pytest.skip("PENSTOCK_UPSTREAM does not name the unpacked sdist's bindings/python")
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-rA", "--tb=line", "-p", "no:cacheprovider"),
            *("-c", os.devnull, "--rootdir", ".", "--timeout", "60", "-W", "ignore", "tests"),
            *("--ignore", "tests/test_benchmarks.py"),
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(SHIM), "HF_HUB_OFFLINE": "1", "COLUMNS": "400"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    outcomes = re.findall(r"^(PASSED|FAILED|ERROR) (\S+)(?: - (.*))?$", run.stdout, re.MULTILINE)
    assert outcomes, run.stdout[-3000:] + run.stderr[-3000:]
    passed = [name for outcome, name, _ in outcomes if outcome == "PASSED"]
    unexplained = [
        f"{name}: {reason}"
        for outcome, name, reason in outcomes
        if outcome != "PASSED"
        and not DOWNLOADS.search(f"{name} {reason}")
        and not any(re.search(pattern, name) for pattern in NOT_APPLICABLE)
    ]
    assert not unexplained, "\n".join(unexplained)
    print(f"{len(passed)} of {len(outcomes)} tests of the reference pass")
