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
from tests.conftest import REQUIRE_PARITY

VERSION = "5.23.0"
MODULES = (
    "test_tokenization_common.py",
    "test_tokenizers_backend_mixin.py",
    "test_sentencepiece_backend_mixin.py",
)
FAMILIES = ("llama3", "bert", "gpt2", "llama", "t5", "unigram")
"""Of each model one, and of the classes that take their file as it stands two."""

CASES = """
import json, os
import transformers
from ..test_tokenization_common import TokenizerTesterMixin
from ..test_tokenizers_backend_mixin import TokenizersBackendTesterMixin
from ..test_sentencepiece_backend_mixin import SentencePieceBackendTesterMixin
import unittest

def case(name, path):
    config = json.load(open(os.path.join(path, "tokenizer_config.json")))
    cls = getattr(transformers, config.get("tokenizer_class") or "PreTrainedTokenizerFast")
    body = dict(tokenizer_class=cls, rust_tokenizer_class=cls, from_pretrained_kwargs={},
                from_pretrained_id=[path])
    return type(name, (TokenizerTesterMixin, TokenizersBackendTesterMixin, unittest.TestCase), body)

for name, path in json.loads(os.environ["CHECKPOINTS"]).items():
    globals()[name] = case(name, path)
    if name in ("llama", "t5", "unigram"):
        cls = globals()[name].tokenizer_class
        body = dict(tokenizer_class=cls, rust_tokenizer_class=cls, from_pretrained_kwargs={},
                    from_pretrained_id=path)
        bases = (SentencePieceBackendTesterMixin, unittest.TestCase)
        globals()[name + "_sentencepiece"] = type(name + "_sentencepiece", bases, body)
"""

ENGINE = """
import gc, json, os
import warnings
from collections import Counter
warnings.simplefilter("ignore")
if os.environ["ENGINE"] == "penstock":
    import penstock.transformers
    from penstock.transformers._backend import Backend
    penstock.transformers.install()
    counts = Counter()
    Backend.__del__ = lambda backend: counts.update(backend.calls())

def pytest_terminal_summary(terminalreporter):
    if os.environ["ENGINE"] == "penstock":
        for backend in gc.get_objects():
            if type(backend) is Backend:
                counts.update(backend.calls())
        with open(os.environ["COUNTS"], "w") as file:
            json.dump(counts, file)
"""


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


def start(suite: Path, engine: str, cases: dict[str, Path]) -> subprocess.Popen[str]:
    """Runs the tests in a process of their own."""
    environment = {
        **os.environ,
        "ENGINE": engine,
        "COUNTS": str(suite / f"{engine}.json"),
        "CHECKPOINTS": json.dumps({name: str(path) for name, path in cases.items()}),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": "1",
        "PENSTOCK_NUM_THREADS": "1",
    }
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short",
        f"--junitxml={suite / engine}.xml", f"--rootdir={suite}", "-c", os.devnull, "tests/local",
    ]  # fmt: skip
    return subprocess.Popen(
        command, cwd=suite, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def outcomes(suite: Path, engine: str) -> tuple[dict[str, str], dict[str, str]]:
    """The outcome of every test, and what those said that failed."""
    found, failures = {}, {}
    for test in ElementTree.parse(suite / f"{engine}.xml").iter("testcase"):
        name = f"{test.get('classname')}.{test.get('name')}"
        found[name] = "passed"
        for child in test:
            if child.tag in ("failure", "error", "skipped"):
                found[name] = child.tag
                failures[name] = (child.text or "")[-1500:]
    return found, failures


@pytest.mark.parity
def test_same_outcomes(suite: Path, tmp_path: Path) -> None:
    """Every test passes, skips or fails on penstock as it does on stock."""
    made = checkpoints.make(tmp_path)
    cases = {name: made[name] for name in (FAMILIES if REQUIRE_PARITY else FAMILIES[:2])}
    runs = {engine: start(suite, engine, cases) for engine in ("stock", "penstock")}
    output = {engine: process.communicate(timeout=1100)[0] for engine, process in runs.items()}
    for engine, text in output.items():
        assert (suite / f"{engine}.xml").is_file(), text[-3000:]
    stock, _ = outcomes(suite, "stock")
    ours, failures = outcomes(suite, "penstock")
    assert len(stock) >= 55 * len(cases)
    differing = [name for name in stock if stock[name] != ours.get(name)]
    assert not differing, "\n\n".join(
        f"{name}: stock {stock[name]}, penstock {ours.get(name)}\n{failures.get(name, '')}"
        for name in differing
    )
    assert set(ours) == set(stock)
    counts = json.loads((suite / "penstock.json").read_text())
    assert counts["encode"] > 100 * len(cases)
    assert counts["decode"] > 10 * len(cases)
