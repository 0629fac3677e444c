"""Runs the Python tests of huggingface/tokenizers on penstock.

`make upstream` fetches the source distribution of tokenizers, whose tests its wheels leave out,
into the environment; without it the test is skipped, unless parity is required. Nothing of it is
copied here: its tests are unpacked to a temporary folder, and `shim/` stands for `tokenizers`.

Every test that needs no download must pass, but for those that `NOT_APPLICABLE` names, each group
with its reason; and each of those must still fail.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.conftest import REQUIRE_PARITY

SHIM = Path(__file__).parent / "shim"
VERSION = "0.23.3"

IMMUTABLE = "descriptions are immutable: a component is replaced on its tokenizer, not edited"
NO_PYTHON_COMPONENTS = "penstock runs no component that is written in Python"
OTHER_UNIGRAM = (
    "it wants one vocabulary out of many: the reference's own Unigram training depends on its "
    "threads and hash maps, and penstock's finds one of at least its likelihood"
)

NOT_APPLICABLE: dict[str, tuple[str, ...]] = {
    IMMUTABLE: (
        "test_decoders.py::TestWordPiece::test_can_modify",
        "test_decoders.py::TestMetaspace::test_can_modify",
        "test_decoders.py::TestBPEDecoder::test_can_modify",
        "test_decoders.py::TestCTCDecoder::test_can_modify",
        "test_models.py::TestBPE::test_can_modify",
        "test_models.py::TestWordPiece::test_can_modify",
        "test_models.py::TestWordLevel::test_can_modify",
        "test_normalizers.py::TestBertNormalizer::test_can_modify",
        "test_normalizers.py::TestSequence::test_set_item",
        "test_normalizers.py::TestSequence::test_item_getters_and_setters",
        "test_normalizers.py::TestStrip::test_can_modify",
        "test_normalizers.py::TestPrepend::test_can_modify",
        "test_pre_tokenizers.py::TestByteLevel::test_can_modify",
        "test_pre_tokenizers.py::TestMetaspace::test_can_modify",
        "test_pre_tokenizers.py::TestCharDelimiterSplit::test_can_modify",
        "test_pre_tokenizers.py::TestSequence::test_set_item",
        "test_pre_tokenizers.py::TestSequence::test_item_getters_and_setters",
        "test_pre_tokenizers.py::TestDigits::test_can_modify",
        "test_pre_tokenizers.py::TestFixedLength::test_pre_tokenize_str",
        "test_processors.py::TestSequenceProcessing::test_items",
    ),
    "descriptions are immutable, and alpha=0.5 asks for segmentations drawn at random, which no "
    "tokenizer.json can say": ("test_models.py::TestUnigram::test_can_modify",),
    NO_PYTHON_COMPONENTS: (
        "test_normalizers.py::TestCustomNormalizer::test_instantiate",
        "test_normalizers.py::TestCustomNormalizer::test_normalizer_interface",
        "test_pre_tokenizers.py::TestCustomPreTokenizer::test_instantiate",
        "test_pre_tokenizers.py::TestCustomPreTokenizer::test_camel_case",
    ),
    OTHER_UNIGRAM: (
        "test_trainers.py::TestUnigram::test_train_with_special_tokens",
        "test_sentencepiece.py::TestSentencePieceUnigram::test_train",
        "test_sentencepiece.py::TestSentencePieceUnigram::test_train_with_unk_token",
        "test_sentencepiece.py::TestSentencePieceUnigram::test_train_from_iterator",
        "test_sentencepiece.py::TestSentencePieceUnigram::test_train_from_iterator_with_unk_token",
    ),
    "it wants a forked child to hang once threads were used, where penstock's goes on": (
        "test_tokenizer.py::TestTokenizer::test_multiprocessing_with_parallelism",
    ),
}
"""Why tests cannot apply, and the ends of their names."""


@pytest.mark.timeout(600)
def test_the_suite_of_the_reference(tmp_path: Path) -> None:
    archive = Path(sys.prefix) / "upstream" / f"tokenizers-{VERSION}.tar.gz"
    if not archive.exists():
        if REQUIRE_PARITY:
            pytest.fail(f"{archive} is missing: make upstream")
        pytest.skip("no source distribution of tokenizers: make upstream")
    with tarfile.open(archive) as tar:
        members = [member for member in tar if "/bindings/python/tests/" in member.name]
        tar.extractall(tmp_path, members, filter="data")
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-rA", "--tb=line", "-p", "no:cacheprovider"),
            *("-c", os.devnull, "--rootdir", ".", "--timeout", "60", "-W", "ignore", "tests"),
            # What is marked so downloads models or data.
            *("-m", "not network", "--ignore", "tests/test_benchmarks.py"),
        ],
        cwd=tmp_path / f"tokenizers-{VERSION}" / "bindings" / "python",
        env={**os.environ, "PYTHONPATH": str(SHIM), "HF_HUB_OFFLINE": "1", "COLUMNS": "400"},
        capture_output=True,
        text=True,
        timeout=540,
    )
    found = re.findall(r"^(PASSED|FAILED|ERROR) (\S+)(?: - (.*))?$", run.stdout, re.MULTILINE)
    assert found, run.stdout[-3000:] + run.stderr[-3000:]
    outcomes = {name: (outcome, reason) for outcome, name, reason in found}
    passed = {name for name, (outcome, _) in outcomes.items() if outcome == "PASSED"}
    assert len(passed) > 100, run.stdout[-3000:]
    excused = {end for ends in NOT_APPLICABLE.values() for end in ends}

    def is_excused(name: str) -> bool:
        return any(name.endswith(f"/{end}") for end in excused)

    unexplained = [
        f"{name}: {reason}"
        for name, (_, reason) in outcomes.items()
        if name not in passed and not is_excused(name)
    ]
    assert not unexplained, "\n".join(unexplained)
    failed = outcomes.keys() - passed
    stale = [end for end in excused if not any(name.endswith(f"/{end}") for name in failed)]
    assert not stale, f"excused for no reason, or not run: {stale}"
    print(f"{len(passed)} of {len(outcomes)} tests of the reference pass")
