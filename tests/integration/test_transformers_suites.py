"""The suites that transformers ships in its source distribution, on stock and on penstock.

`make upstream` fetches that archive into the environment; without it the tests are skipped, unless
parity is required. Nothing of it is copied here: the few modules are unpacked to a temporary
folder, bound to tokenizers trained on the spot, and run twice. Outcomes must be the same, test by
test.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from tests import checkpoints
from tests.conftest import REQUIRE_PARITY, fixtures_root

VERSION = "5.23.0"
MODULES = (
    "test_tokenization_common.py",
    "test_tokenizers_backend_mixin.py",
    "test_sentencepiece_backend_mixin.py",
)
SENTENCEPIECE = ("llama", "t5", "xlm_roberta")
"""Families of classes that used to be built on sentencepiece."""

CASES = '''
import json, os
import transformers
from ..test_tokenization_common import TokenizerTesterMixin
from ..test_tokenizers_backend_mixin import TokenizersBackendTesterMixin
import unittest

def case(name, path):
    config = json.load(open(os.path.join(path, "tokenizer_config.json")))
    cls = getattr(transformers, config.get("tokenizer_class") or "PreTrainedTokenizerFast")
    body = dict(tokenizer_class=cls, rust_tokenizer_class=cls, from_pretrained_kwargs={},
                from_pretrained_id=[path])
    return type(name, (TokenizerTesterMixin, TokenizersBackendTesterMixin, unittest.TestCase), body)

for name, path in json.loads(os.environ["CHECKPOINTS"]).items():
    globals()[name] = case(name, path)
'''

ENGINE = '''
import json, os
import warnings
warnings.simplefilter("ignore")
if os.environ["ENGINE"] == "penstock":
    import penstock.transformers
    from penstock.transformers import _backend
    penstock.transformers.install()

def pytest_terminal_summary(terminalreporter):
    if os.environ["ENGINE"] == "penstock":
        counts = dict(_backend.totals)
        with open(os.environ["COUNTS"], "w") as file:
            json.dump(counts, file)
'''


FAILURES: dict[str, dict[str, str]] = {}


def archive() -> Path:
    """The source distribution that `make upstream` fetched."""
    return Path(sys.prefix) / "upstream" / f"transformers-{VERSION}.tar.gz"


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with the modules of the archive, and our cases beside them."""
    source = archive()
    if not source.is_file():
        pytest.skip("`make upstream` has not fetched the source distribution of transformers")
    root = tmp_path_factory.mktemp("upstream")
    tests = root / "tests"
    local = tests / "local"
    local.mkdir(parents=True)
    with tarfile.open(source) as tar:
        for name in MODULES:
            member = tar.extractfile(f"transformers-{VERSION}/tests/{name}")
            assert member is not None
            (tests / name).write_bytes(member.read())
    for folder in (tests, local):
        (folder / "__init__.py").touch()
    sample = tests / "fixtures" / "sample_text.txt"
    sample.parent.mkdir()
    text = (Path(__file__).parents[1] / "data" / "training.txt").read_text(encoding="utf-8")
    sample.write_text(text[:20000], encoding="utf-8")
    (local / "conftest.py").write_text(ENGINE)
    (local / "test_engine.py").write_text(CASES)
    return root


def folders(tmp: Path) -> dict[str, Path]:
    """The small tokenizers, and the real ones where they are."""
    found = checkpoints.make(tmp)
    root = fixtures_root()
    if root is not None:
        for name in ("bert-base-uncased", "t5-small"):
            found[name.replace("-", "_")] = root / "tokenizers" / name
    return found


def run(suite: Path, engine: str, cases: dict[str, Path]) -> tuple[dict[str, str], dict[str, int]]:
    """The outcome of every test, and what the engine counted."""
    report, counts = suite / f"{engine}.xml", suite / f"{engine}.json"
    environment = {
        **os.environ,
        "ENGINE": engine,
        "COUNTS": str(counts),
        "CHECKPOINTS": json.dumps({name: str(path) for name, path in cases.items()}),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": "1",
    }
    result = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly",
            f"--junitxml={report}", f"--rootdir={suite}", "-c", os.devnull, "tests/local",
        ],
        cwd=suite, env=environment, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert report.is_file(), result.stdout[-3000:] + result.stderr[-3000:]
    outcomes = {}
    for test in ElementTree.parse(report).iter("testcase"):
        kinds = [child.tag for child in test if child.tag in ("failure", "error", "skipped")]
        outcomes[f"{test.get('classname')}.{test.get('name')}"] = kinds[0] if kinds else "passed"
    failed = {}
    for test in ElementTree.parse(report).iter("testcase"):
        for child in test:
            if child.tag in ("failure", "error"):
                failed[f"{test.get('classname')}.{test.get('name')}"] = (child.text or "")[-1500:]
    FAILURES[engine] = failed
    return outcomes, json.loads(counts.read_text()) if counts.is_file() else {}


@pytest.mark.parity
def test_same_outcomes(suite: Path, tmp_path: Path) -> None:
    """Every test passes, skips or fails on penstock as it does on stock."""
    cases = folders(tmp_path)
    if not REQUIRE_PARITY:
        cases = {name: cases[name] for name in ("bert", "gpt2", "llama3")}
    stock, _ = run(suite, "stock", cases)
    ours, counts = run(suite, "penstock", cases)
    assert len(stock) >= 55 * len(cases)
    differing = {name: (stock[name], ours.get(name)) for name in stock if stock[name] != ours.get(name)}
    details = "\n\n".join(
        f"{name}: stock {a}, penstock {b}\n{FAILURES['penstock'].get(name, '')}"
        for name, (a, b) in differing.items()
    )
    assert not differing, details
    assert set(ours) == set(stock)
    assert counts["encode"] > 1000
    assert counts["decode"] > 100
