#!/usr/bin/env python3
"""WordPiece, Unigram and SentencePiece BPE side by side with the peers, one thread, on unseen text.

    python benches/python/bench_models.py --fixtures DIR --python tokenizers-rc=PYTHON \\
        tokie=PYTHON gigatoken=PYTHON --out benches/results/NAME.json

For each tokenizer and corpus, texts of 1-5 KB in two halves: the first half warms every cache of a
peer, the second, which it has not seen, is timed (`steady`), and then timed again (`warm`). Of
three new tokenizers the fastest counts. MB are 1e6 bytes of UTF-8, seconds are CPU seconds of a
process pinned to one CPU.

Each peer first encodes what is timed and its ids are compared with those of tokenizers 0.x; where
they differ the row says so, and the speed does not count as a rival's. Of penstock the table also
has offsets (`ragged` with offsets over without), padding (`encode_padded` of 1000 rows of 512
tokens over ragged) and hostile texts of 1 and 4 MB, whose ids are compared on 100 KB.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import numpy as np  # noqa: E402
from bench_encode import (  # noqa: E402
    emit,
    environment,
    reference_path,
    save_ids,
    timed,
    write,
)
from inputs import ADVERSARIAL, Source, corpus, find_source  # noqa: E402
from peers import PEERS, Peer, Tokenizers, rows, version  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

Row = dict[str, Any]

TOKENIZERS = {
    "bert-base-uncased": "WordPiece",
    "t5-small": "Unigram",
    "xlm-roberta-base": "Unigram",
    "llama-2": "SentencePiece BPE",
}
RIVALS = {
    "WordPiece": ("tokie", "tokenizers-rc", "flash-tokenizer"),
    "Unigram": ("tokie", "tokenizers-rc", "sentencepiece"),
    "SentencePiece BPE": ("gigatoken", "fastokens", "tokenizers-rc", "tokie", "sentencepiece"),
}
CORPORA = {
    "english": ("english",),
    "multilingual": ("multilingual",),
    "cjk": ("multilingual/zh", "multilingual/ja", "multilingual/ko"),
}
HALF = 1_500_000
"""Bytes of each half of a corpus, at most."""
REPEAT = 3
"""New tokenizers for each measurement; the fastest counts."""
TIMEOUT = 100
"""Seconds for one process."""


def texts(fixtures: Path, name: str, part: int) -> list[str]:
    """One half of a corpus, in texts of 1-5 KB."""
    found: list[str] = []
    for file in CORPORA[name]:
        data = corpus(fixtures, file)
        half = min(len(data) // 2, HALF)
        data = data[part * half : (part + 1) * half]
        start = 0
        while start < len(data):
            end = start + 1000 + 4000 * ((start * 7) % 11) // 11
            found.append(data[start:end].decode("utf-8", "ignore"))
            start = end
    return found


# -------------------------------------------------------------------------------- one process


def worker(task: Row) -> None:
    """Runs one task and prints its rows."""
    fixtures, work = Path(task["fixtures"]), Path(task["work"])
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    source = find_source(fixtures, task["tokenizer"], work)
    if task["peer"] == "reference":
        reference(source, fixtures, work)
        return
    base = {"peer": task["peer"], "version": version(task["peer"])}
    measure(task["peer"], source, fixtures, work, base)
    if task["peer"] == "penstock":
        padded(source, fixtures, base)
        hostile(source, work, base)


def hostile_texts(size: int) -> dict[str, str]:
    """All kinds of hostile text."""
    return {kind: text(size) for kind, text in ADVERSARIAL.items()}


def reference(source: Source, fixtures: Path, work: Path) -> None:
    """Stores the reference's ids of everything that is compared."""
    peer: Peer = Tokenizers(source, 1)
    batches = [texts(fixtures, name, 1) for name in CORPORA]
    batches.append(list(hostile_texts(100_000).values()))
    for batch in batches:
        save_ids(reference_path(work, source.name, batch), peer, batch)


def verdict(work: Path, name: str, batch: list[str], got: list[Any]) -> str:
    """`equal`, or how many texts differ from the reference."""
    stored = np.load(reference_path(work, name, batch))
    want = rows(stored["values"], stored["ends"])
    same = [np.array_equal(np.asarray(a, np.int64), b) for a, b in zip(got, want, strict=True)]
    return "equal" if all(same) else f"{same.count(False)} of {len(want)} texts differ"


def measure(name: str, source: Source, fixtures: Path, work: Path, base: Row) -> None:
    """Unseen and known text of each corpus, in a new tokenizer each."""
    kinds = [name, "penstock+offsets"] if name == "penstock" else [name]
    for kind in kinds:
        for case in CORPORA:
            known, unseen = texts(fixtures, case, 0), texts(fixtures, case, 1)
            size = sum(len(text.encode()) for text in unseen)
            ids, steady, again = "equal", [], []
            for _ in range(REPEAT):
                peer = PEERS[kind](source, 1)
                peer.one("Hello world")
                peer.batch(known)
                result, _, seconds = timed(lambda peer=peer, unseen=unseen: peer.batch(unseen))
                steady.append(seconds)
                ids = verdict(work, source.name, unseen, peer.ids_of_batch(result))
                again.append(timed(lambda peer=peer, unseen=unseen: peer.batch(unseen))[2])
            for phase, seconds in (("steady", min(steady)), ("warm", min(again))):
                row = {**base, "peer": kind, "case": case, "phase": phase, "ids": ids}
                speed = round(size / seconds / 1e6, 1)
                emit({**row, "bytes": size, "cpu_s": seconds, "mb_s": speed})


def padded(source: Source, fixtures: Path, base: Row) -> None:
    """`encode_padded` of 1000 rows of 512 tokens beside ragged arrays of the same rows."""
    import penstock
    from bench_padded import check, rows_of

    tokenizer = penstock.Tokenizer.from_file(source.json)
    text = corpus(fixtures, "english")[:4_000_000].decode("utf-8", "ignore")
    batch = rows_of(tokenizer, text, 1000, 510)
    check(tokenizer, batch)
    calls: dict[str, Callable[[], Any]] = {
        "ragged": lambda: tokenizer.encode_ragged(batch),
        "padded": lambda: tokenizer.encode_padded(
            batch, max_length=512, truncation=True, padding="max_length"
        ),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(15):
        for name, call in calls.items():
            start = time.process_time()
            call()
            times[name].append(time.process_time() - start)
    ragged, full = (statistics.median(times[name]) for name in ("ragged", "padded"))
    row = {**base, "case": "padded", "phase": "warm", "rows": len(batch)}
    emit(
        {
            **row,
            "ragged_ms": ragged * 1e3,
            "padded_ms": full * 1e3,
            "share": round(ragged / full, 3),
        }
    )


def hostile(source: Source, work: Path, base: Row) -> None:
    """Hostile texts of two lengths; the longer one takes a linear encoder four times as long."""
    peer = PEERS["penstock"](source, 1)
    small = list(hostile_texts(100_000).values())
    ids = verdict(work, source.name, small, [peer.ids_of_one(peer.one(text)) for text in small])
    for kind, text in ADVERSARIAL.items():
        seconds = []
        for size in (1_000_000, 4_000_000):
            peer = PEERS["penstock"](source, 1)
            whole = text(size)
            seconds.append(
                (timed(lambda peer=peer, whole=whole: peer.one(whole))[2], len(whole.encode()))
            )
        (short, bytes_short), (long, bytes_long) = seconds
        row = {**base, "case": f"hostile {kind}", "phase": "cold", "ids": ids}
        emit(
            {
                **row,
                "mb_s": round(bytes_short / short / 1e6, 1),
                "mb_s_4": round(bytes_long / long / 1e6, 1),
                "cpu_s": short,
                "cpu_s_4": long,
            }
        )


# ---------------------------------------------------------------------------------------- parent


def run(task: Row, interpreters: dict[str, str]) -> list[Row]:
    """Runs one task in a process of its own; a failure becomes a row."""
    python = interpreters.get(task["peer"], sys.executable)
    command = [python, str(Path(__file__).resolve()), "--worker", json.dumps(task)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT, env=environment(1)
        )
        output, errors = done.stdout, done.stderr if done.returncode else ""
    except subprocess.TimeoutExpired as error:
        output, errors = (error.stdout or b"").decode(), f"over {TIMEOUT} s"
    label = {"tokenizer": task["tokenizer"], "model": TOKENIZERS[task["tokenizer"]]}
    found = [{**label, **json.loads(line[1:])} for line in output.splitlines() if line[:1] == "@"]
    if errors:
        reason = errors.strip().splitlines()[-1].split("UnableError: ")[-1]
        found.append({**label, "peer": task["peer"], "phase": "failed", "note": reason[:200]})
    return found


def table(results: list[Row]) -> str:
    """Unseen text beside the best rival with equal ids."""
    lines = [
        "tokenizer | text | penstock | best rival | ratio | offsets cost | fastest with other ids",
        "---|---|---:|---|---:|---:|---",
    ]
    steady = [row for row in results if row["phase"] == "steady"]
    for tokenizer in dict.fromkeys(row["tokenizer"] for row in steady):
        for case in CORPORA:
            here = [row for row in steady if (row["tokenizer"], row["case"]) == (tokenizer, case)]
            ours = {row["peer"]: row["mb_s"] for row in here if row["peer"].startswith("penstock")}
            rivals = [row for row in here if not row["peer"].startswith("penstock")]
            best, other = (
                max(
                    (r for r in rivals if (r["ids"] == "equal") is same),
                    key=lambda r: r["mb_s"],
                    default=None,
                )
                for same in (True, False)
            )
            if "penstock" not in ours:
                continue
            ids = ours["penstock"]
            lines.append(
                f"{tokenizer} | {case} | {ids:.0f} | "
                + (
                    f"{best['peer']} {best['mb_s']:.0f} | {ids / best['mb_s']:.1f}"
                    if best
                    else "- | -"
                )
                + f" | {1 - ours['penstock+offsets'] / ids:.0%} | "
                + (f"{other['peer']} {other['mb_s']:.0f}" if other else "-")
            )
    for row in results:
        if row.get("case") == "padded":
            lines.append(f"\n{row['tokenizer']}: padded at {row['share']:.0%} of ragged speed")
    for tokenizer in dict.fromkeys(row["tokenizer"] for row in results):
        worst = [
            r
            for r in results
            if r["tokenizer"] == tokenizer and r.get("case", "").startswith("hostile")
        ]
        if worst:
            slow = min(worst, key=lambda row: row["mb_s_4"])
            lines.append(
                f"\n{tokenizer}: slowest hostile text {slow['case'][8:]}, {slow['mb_s']} MB/s"
                f" at 1 MB, {slow['mb_s_4']} at 4 MB, ids {slow['ids']}"
            )
    return "\n".join(lines)


def main() -> None:
    """Parses the arguments and runs everything."""
    if sys.argv[1:2] == ["--worker"]:
        worker(json.loads(sys.argv[2]))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    fixtures = os.environ.get("PENSTOCK_FIXTURES")
    parser.add_argument("--fixtures", type=Path, default=fixtures, required=fixtures is None)
    parser.add_argument(
        "--tokenizers", nargs="+", choices=list(TOKENIZERS), default=list(TOKENIZERS)
    )
    parser.add_argument("--python", nargs="*", default=[], metavar="PEER=PYTHON")
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    arguments = parser.parse_args()
    interpreters = dict(pair.split("=", 1) for pair in arguments.python)
    results: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as work:
        for tokenizer in arguments.tokenizers:
            base = {"fixtures": str(arguments.fixtures), "work": work, "tokenizer": tokenizer}
            if failed := run({**base, "peer": "reference"}, interpreters):
                raise SystemExit(f"no reference ids for {tokenizer}: {failed[-1]['note']}")
            for peer in ("penstock", *RIVALS[TOKENIZERS[tokenizer]]):
                results += run({**base, "peer": peer}, interpreters)
                write(arguments.out, results)
    print(table(results))


if __name__ == "__main__":
    main()
