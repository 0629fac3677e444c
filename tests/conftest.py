"""Fixtures shared by all tests.

Two ways to run:

- default: small tokenizers are trained on the spot; no files from elsewhere, a minute or two.
- with PENSTOCK_FIXTURES set to an unpacked copy of the shared data: the real tokenizers and corpora
  too, and a million random strings (PENSTOCK_RANDOM_STRINGS per tokenizer).
  PENSTOCK_REQUIRE_PARITY=1 makes a skipped parity test a failure, and makes the last test check
  that every tokenizer family was compared in every way.

PENSTOCK_SEED changes the random strings; the header of a run prints it.
"""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import penstock
import pytest
import tokenizers

from tests import ledger
from tests.evaluation_models import Models, write_data
from tests.families import (
    FAMILIES,
    PARITY_FAMILIES,
    RANK_FILES,
    SAMPLED_FAMILIES,
    Json,
    small_tokenizer,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

REQUIRE_PARITY = os.environ.get("PENSTOCK_REQUIRE_PARITY") == "1"
SEED = int(os.environ.get("PENSTOCK_SEED", "20260131"))
RANDOM_STRINGS = int(os.environ.get("PENSTOCK_RANDOM_STRINGS", "110000"))

hypothesis.settings.register_profile("default", max_examples=40, deadline=None, print_blob=True)
hypothesis.settings.register_profile("full", max_examples=250, deadline=None, print_blob=True)
hypothesis.settings.load_profile("full" if REQUIRE_PARITY else "default")


@dataclass(frozen=True)
class Pair:
    """One tokenizer.json, loaded by us and by the reference."""

    name: str
    ours: penstock.Tokenizer = field(repr=False)
    reference: tokenizers.Tokenizer = field(repr=False)
    specials: list[str] = field(repr=False)

    @classmethod
    def load(cls, name: str, text: str) -> Pair:
        """Loads the same text twice."""
        specials = [token["content"] for token in json.loads(text)["added_tokens"]]
        return cls(
            name, penstock.Tokenizer.from_str(text), tokenizers.Tokenizer.from_str(text), specials
        )


class SmallJson(dict[str, Json]):
    """Contents of tokenizer.json files by family, with a repr that fits into a failure report."""

    def __repr__(self) -> str:
        return f"SmallJson({', '.join(self)})"


def fixtures_root() -> Path | None:
    """The unpacked shared data, when there is one."""
    value = os.environ.get("PENSTOCK_FIXTURES")
    return Path(value) if value and Path(value).is_dir() else None


def pytest_configure(config: pytest.Config) -> None:
    """Names the markers."""
    config.addinivalue_line("markers", "parity: needs PENSTOCK_FIXTURES")
    config.addinivalue_line("markers", "last: runs after all other tests")
    # What a shell starts in the background ignores Ctrl-C, and so do its children. Tests send it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> list[str]:
    """What a reader needs to repeat the run."""
    return [
        f"reference: tokenizers {tokenizers.__version__}",
        f"random strings: seed {SEED}",
        f"fixtures: {fixtures_root() or 'none, small tokenizers only'}",
    ]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what needs the fixtures, and moves the `last` tests to the end."""
    for item in items:
        if "fixtures" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.parity)
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A parity test that skips is a failure when parity is required."""
    report = yield
    if report.skipped and REQUIRE_PARITY and item.get_closest_marker("parity"):
        report.outcome = "failed"
        report.longrepr = f"parity is required, but this test was skipped: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says how much was compared."""
    for line in ledger.summary():
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """Root of the shared data; skips without it."""
    root = fixtures_root()
    if root is None:
        pytest.skip("PENSTOCK_FIXTURES is not set to a folder")
    return root


@pytest.fixture(scope="session")
def small_json() -> SmallJson:
    """The tokenizer.json of every small family."""
    return SmallJson((name, small_tokenizer(family)) for name, family in FAMILIES.items())


@pytest.fixture(scope="session", params=FAMILIES)
def small(request: pytest.FixtureRequest, small_json: dict[str, Json]) -> Pair:
    """Each small tokenizer in turn."""
    return Pair.load(request.param, json.dumps(small_json[request.param]))


@pytest.fixture(scope="session")
def gpt2(small_json: dict[str, Json]) -> Pair:
    """The small tokenizer for tests where the family does not matter."""
    return Pair.load("gpt2", json.dumps(small_json["gpt2"]))


@pytest.fixture
def tokenizer(small_json: dict[str, Json]) -> penstock.Tokenizer:
    """A fresh small tokenizer, for tests that change it."""
    return penstock.Tokenizer.from_str(json.dumps(small_json["gpt2"]))


@pytest.fixture(scope="session", params=PARITY_FAMILIES)
def real(request: pytest.FixtureRequest, fixtures: Path) -> Iterator[Pair]:
    """Each real tokenizer in turn; one at a time is in memory."""
    path = fixtures / "tokenizers" / request.param / "tokenizer.json"
    return Pair.load(request.param, path.read_text(encoding="utf-8"))


@pytest.fixture(scope="session", params=SAMPLED_FAMILIES)
def sampled(request: pytest.FixtureRequest, fixtures: Path) -> Iterator[Pair]:
    """Each of the other real tokenizers in turn."""
    path = fixtures / "tokenizers" / request.param / "tokenizer.json"
    return Pair.load(request.param, path.read_text(encoding="utf-8"))


@pytest.fixture(scope="session", params=RANK_FILES)
def rank_file(request: pytest.FixtureRequest, fixtures: Path) -> Path:
    """Each tiktoken rank file in turn."""
    return fixtures / "tokenizers" / request.param / f"{request.param}.tiktoken"


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """Small models of all kinds."""
    return Models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def task_data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small file for each built-in task."""
    return write_data(tmp_path_factory.mktemp("tasks"))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Keeps torch on one thread, since the machine is shared, and puts its generator back."""
    import torch

    threads, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(state)
