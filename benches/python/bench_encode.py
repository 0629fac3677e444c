#!/usr/bin/env python3
"""Encoding and decoding side by side with the peers: ids checked first, results as JSON and as a
table.

    python benches/python/bench_encode.py --fixtures DIR --tokenizers gpt2 llama-3 --threads 1 2 \\
        --python tokenizers-rc=PYTHON --out benches/results/NAME.json

Every (peer, tokenizer, case, threads) runs in a process of its own. Cases:

    doc:CORPUS          one document            cold, steady, warm, then decode
    batch:CORPUS        4000 texts of 1-5 KB    cold, steady, warm
    short:CORPUS        100 000 texts of 50 B   cold, steady, warm, then one call per text
    adversarial:KIND    1 MB of hostile text    cold
    load                import, construction, first call, resident memory

Cold is the first call on a text, after 64 KB of another text (256 KB with threads) went through the
same call; steady is a second, different text of the same kind; warm is that text again, the best of
three. MB are 1e6 bytes of UTF-8. With one thread the process is pinned to one CPU and CPU time
counts, with more, wall time.

Before timing, a separate process encodes the same texts and its ids are compared with those of
tokenizers 0.x (`--python reference=PYTHON`, by default the interpreter that runs this file); where
they differ, the row says so.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import numpy as np  # noqa: E402
from inputs import ADVERSARIAL, Sizes, UnableError, cpu_name, find_source, texts, warm_up  # noqa: E402
from peers import PEERS, Peer, Tokenizers, rows, version  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

Row = dict[str, Any]

DEFAULT_CASES = (
    "load",
    "doc:english",
    "doc:code_mixed",
    "doc:multilingual",
    "batch:english",
    "batch:code_mixed",
    "batch:multilingual",
    "short:english",
    "adversarial",
)
PROCESS_TIMEOUT = 300
"""Seconds for one process; tokenizers 0.x needs a minute for the larger cases."""


# ------------------------------------------------------------------------------------------- one
# process, one task


def worker(task: Row) -> None:
    """Runs one task and prints its rows, one JSON object a line."""
    fixtures, work = Path(task["fixtures"]), Path(task["work"])
    source = find_source(fixtures, task["tokenizer"], work)
    sizes, case, threads = Sizes(**task["sizes"]), task["case"], task["threads"]
    if threads == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

    def inputs(part: int) -> list[str]:
        return texts(fixtures, case, part, sizes)

    if task["do"] == "reference":
        peer: Peer = Tokenizers(source, threads)
        for part in parts(case):
            save_ids(reference_path(work, source.name, inputs(part)), peer, inputs(part))
        return
    kind = PEERS[task["peer"]]
    base = {"version": version(task["peer"]), "offsets": kind.offsets}
    if case == "load":
        measure_load(task["peer"], source, base)
        return
    peer = kind(source, threads)
    single = case.startswith(("doc", "adversarial"))
    if task["do"] == "check":
        verdicts = [check(work, source.name, peer, inputs(part), single) for part in parts(case)]
        emit({"phase": "check", "ids": next((v for v in verdicts if v != "equal"), "equal")})
        return
    measure(
        peer,
        case,
        inputs,
        warm_up(fixtures, case, threads) if not case.startswith("adv") else [],
        base,
    )


def parts(case: str) -> tuple[int, ...]:
    """Hostile texts have one part, the others two."""
    return (0,) if case.startswith("adversarial") else (0, 1)


def emit(row: Row) -> None:
    """One result line for the parent."""
    print("@" + json.dumps(row), flush=True)


def reference_path(work: Path, tokenizer: str, inputs: list[str]) -> Path:
    """Where the reference's ids of these texts lie."""
    digest = hashlib.sha256("\0".join([tokenizer, *inputs]).encode()).hexdigest()[:16]
    return work / f"ids-{tokenizer}-{digest}.npz"


def save_ids(path: Path, peer: Peer, inputs: list[str]) -> None:
    """Writes the reference's ids, once."""
    if path.exists():
        return
    ids = [np.asarray(row, np.uint32) for row in peer.ids_of_batch(peer.batch(inputs))]
    ends = np.cumsum([0, *map(len, ids)])
    temporary = path.with_suffix(".tmp.npz")
    np.savez(temporary, values=np.concatenate(ids), ends=ends)
    temporary.replace(path)


def check(work: Path, tokenizer: str, peer: Peer, inputs: list[str], single: bool) -> str:
    """`equal`, or how many texts differ from the reference."""
    stored = np.load(reference_path(work, tokenizer, inputs))
    want = rows(stored["values"], stored["ends"])
    got = (
        [peer.ids_of_one(peer.one(inputs[0]))] if single else peer.ids_of_batch(peer.batch(inputs))
    )
    if len(got) != len(want):
        return f"{len(got)} rows for {len(want)}"
    different = sum(
        not np.array_equal(np.asarray(a, np.int64), b) for a, b in zip(got, want, strict=True)
    )
    return f"{different} of {len(want)} texts differ" if different else "equal"


def timed(call: Callable[[], Any]) -> tuple[Any, float, float]:
    """Result, wall seconds, CPU seconds of all threads; the garbage collector stays out of it."""
    gc.collect()
    gc.disable()
    cpu, wall = time.process_time(), time.perf_counter()
    result = call()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    gc.enable()
    return result, wall, cpu


def measure(
    peer: Peer, case: str, inputs: Callable[[int], list[str]], warm: list[str], base: Row
) -> None:
    """Times the phases of one case."""
    mode = case.partition(":")[0]
    single = mode in ("doc", "adversarial")

    def encode(batch: list[str]) -> Any:
        return peer.one(batch[0]) if single else peer.batch(batch)

    def phase(name: str, batch: list[str], repeat: int = 1) -> Any:
        size = sum(len(text.encode()) for text in batch)
        best, result = (float("inf"), float("inf")), None
        for _ in range(repeat):
            del result
            result, wall, cpu = timed(lambda: encode(batch))
            best = min(best, (wall, cpu))
        emit({**base, "phase": name, "bytes": size, "wall_s": best[0], "cpu_s": best[1]})
        return result

    peer.one("Hello world")
    if warm:
        encode(warm)
    phase("cold", inputs(0))
    if mode == "adversarial":
        return
    second = inputs(1)
    result = phase("steady", second)
    phase("warm", second, repeat=3)
    if mode == "short":
        measure_calls(peer, second[:20_000], base)
    if mode == "doc":
        measure_decode(peer, [int(i) for i in peer.ids_of_one(result)], second[0], base)


def measure_calls(peer: Peer, batch: list[str], base: Row) -> None:
    """One call per text, warm, less an empty loop over a bare call: what a caller of single strings
    pays."""

    def loop(call: Callable[[str], Any]) -> float:
        return min(timed(lambda: [call(text) for text in batch])[1] for _ in range(3)) / len(batch)

    emit({**base, "phase": "call", "us": loop(peer.one) * 1e6, "bare_us": loop(len) * 1e6})


def measure_decode(peer: Peer, ids: list[int], text: str, base: Row) -> None:
    """Ids of a document back to text; the best of three."""
    prepared = peer.ids_to_decode(ids)
    try:
        results = [timed(lambda: peer.decode(prepared)) for _ in range(3)]
    except UnableError:
        return
    wall, cpu = min((wall, cpu) for _, wall, cpu in results)
    same = "equal" if results[0][0] == text else "text differs"
    emit(
        {
            **base,
            "phase": "decode",
            "bytes": len(text.encode()),
            "wall_s": wall,
            "cpu_s": cpu,
            "text": same,
        }
    )


def resident(field: str = "VmRSS") -> float:
    """Resident memory in MB; 0 where /proc does not say."""
    try:
        with Path("/proc/self/status").open(encoding="utf-8") as status:
            return next(int(line.split()[1]) for line in status if line.startswith(field)) / 1024
    except (OSError, StopIteration):
        return 0.0


def measure_load(name: str, source: Any, base: Row) -> None:
    """Construction and first call; the import was paid for before, like the memory it takes."""
    start = resident()
    peer, load_wall, _ = timed(lambda: PEERS[name](source, 1))
    loaded = resident()
    _, first_wall, _ = timed(lambda: peer.one("Hello world"))
    emit(
        {
            **base,
            "phase": "load",
            "load_s": load_wall,
            "first_s": first_wall,
            "resident_mb": loaded - start,
            "after_first_mb": resident() - start,
            "peak_mb": resident("VmHWM") - start,
            "file_mb": source.json.stat().st_size / 1e6,
        }
    )


# ---------------------------------------------------------------------------------------------- the
# parent process


def environment(threads: int) -> dict[str, str]:
    """Thread pools of every peer bounded alike; nothing goes to the network."""
    names = ("PENSTOCK_NUM_THREADS", "RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return {
        **os.environ,
        **dict.fromkeys(names, str(threads)),
        "TOKENIZERS_PARALLELISM": "true" if threads > 1 else "false",
        "HF_HUB_OFFLINE": "1",
    }


def run(task: Row, interpreters: dict[str, str]) -> list[Row]:
    """Runs one task in a fresh process; a failure becomes a row."""
    python = interpreters.get(task["peer"].split("+")[0].split(" ")[0], sys.executable)
    command = [python, str(HERE / "bench_encode.py"), "--worker", json.dumps(task)]
    try:
        result = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=PROCESS_TIMEOUT,
            env=environment(task["threads"]),
        )
        output, errors = result.stdout, result.stderr if result.returncode else ""
    except subprocess.TimeoutExpired as error:
        output, errors = (error.stdout or b"").decode(), f"over {PROCESS_TIMEOUT} s"
    found = [json.loads(line[1:]) for line in output.splitlines() if line.startswith("@")]
    if errors:
        reason = errors.strip().splitlines()[-1]
        phase = "skipped" if "UnableError" in reason else "failed"
        found.append({"phase": phase, "note": reason.split("UnableError: ")[-1][:200]})
    return found


def speed(row: Row) -> float | None:
    """MB/s: by CPU time with one thread, by wall time with more."""
    if "bytes" not in row:
        return None
    seconds = row["cpu_s"] if row["threads"] == 1 else row["wall_s"]
    return float(row["bytes"] / seconds / 1e6)


def main() -> None:
    """Parses the arguments and runs everything."""
    if sys.argv[1:2] == ["--worker"]:
        worker(json.loads(sys.argv[2]))
        return
    arguments = parse()
    sizes = Sizes(int(arguments.doc_mb * 1e6), arguments.batch_texts, arguments.short_texts)
    interpreters = dict(pair.split("=", 1) for pair in arguments.python)
    work = Path(arguments.work or tempfile.mkdtemp(prefix="penstock-bench-"))
    work.mkdir(parents=True, exist_ok=True)
    results: list[Row] = []
    for tokenizer in arguments.tokenizers:
        for case in expand(arguments.cases):
            for threads in arguments.threads:
                base = {
                    "fixtures": str(arguments.fixtures),
                    "work": str(work),
                    "tokenizer": tokenizer,
                    "case": case,
                    "threads": threads,
                    "sizes": vars(sizes),
                }
                if case == "load" and threads != arguments.threads[0]:
                    continue
                results += run_case(base, arguments.peers, interpreters, arguments.repeat)
                write(arguments.out, results)
    print(table(results))


def run_case(base: Row, peers: list[str], interpreters: dict[str, str], repeat: int) -> list[Row]:
    """All peers on one case: reference ids, then for each peer a check and the measurement."""
    label = {key: base[key] for key in ("tokenizer", "case", "threads")}
    if base["case"] != "load":
        failed = run({**base, "do": "reference", "peer": "reference"}, interpreters)
        if failed:
            raise SystemExit(f"no reference ids for {label}: {failed[-1]['note']}")
    results: list[Row] = []
    for peer in peers:
        verdict = ""
        if base["case"] != "load":
            checked = run({**base, "do": "check", "peer": peer}, interpreters)
            if checked[-1]["phase"] != "check":
                results.append({"peer": peer, **label, **checked[-1]})
                continue
            verdict = checked[-1]["ids"]
        runs = [run({**base, "do": "measure", "peer": peer}, interpreters) for _ in range(repeat)]
        found = [{"peer": peer, **label, **row, "ids": verdict} for row in best_of(runs)]
        for row in found:
            if (megabytes := speed(row)) is not None:
                row["mb_s"] = round(megabytes, 1)
        results += found
        shown = " ".join(f"{row['phase']} {row['mb_s']}" for row in found if "mb_s" in row)
        print(
            f"{label['tokenizer']} {label['case']} x{label['threads']} {peer}: {shown} {verdict}",
            flush=True,
        )
    return results


def best_of(runs: list[list[Row]]) -> list[Row]:
    """The fastest row of each phase over repeated runs."""
    best: dict[str, Row] = {}
    for row in (row for rows_of_run in runs for row in rows_of_run):
        old = best.get(row["phase"])
        if old is None or _seconds(row) < _seconds(old):
            best[row["phase"]] = row
    return list(best.values())


def _seconds(row: Row) -> float:
    return float(row.get("cpu_s", row.get("load_s", row.get("us", 0.0))))


def expand(cases: list[str]) -> list[str]:
    """`adversarial` alone means every kind."""
    return [
        each
        for case in cases
        for each in (
            [f"adversarial:{kind}" for kind in ADVERSARIAL] if case == "adversarial" else [case]
        )
    ]


def write(path: Path | None, results: list[Row]) -> None:
    """The results with all that is needed to repeat them; replaced as a whole."""
    if path is None:
        return
    commit = subprocess.run(
        ["git", "-C", str(HERE), "describe", "--always", "--dirty"], capture_output=True, text=True
    ).stdout.strip()
    document = {
        "machine": {
            "cpu": cpu_name(),
            "cpus": os.cpu_count(),
            "system": platform.system() + " " + platform.release(),
            "python": platform.python_version(),
        },
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "commit": commit,
        "command": command_line(),
        "versions": {row["peer"]: row["version"] for row in results if "version" in row},
        "results": results,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)


def command_line() -> str:
    """The command without the folders of this machine."""
    words = ["python", f"benches/python/{Path(sys.argv[0]).name}"]
    for word in sys.argv[1:]:
        name, equals, value = word.partition("=")
        if equals and os.sep in value:
            word = f"{name}=PYTHON"
        elif Path(word).is_absolute():
            word = "DIR" if Path(word).is_dir() else Path(word).name
        words.append(word)
    return " ".join(words)


def table(results: list[Row]) -> str:
    """Markdown: one table per case, one line per peer."""
    lines: list[str] = []
    groups: dict[tuple[str, str, int], dict[str, list[Row]]] = {}
    for row in results:
        group = groups.setdefault((row["tokenizer"], row["case"], row["threads"]), {})
        group.setdefault(row["peer"], []).append(row)
    for (tokenizer, case, threads), peers in groups.items():
        if case == "load":
            columns = ["load_s", "first_s", "resident_mb", "peak_mb"]
        else:
            found = {row["phase"] for rows_of_peer in peers.values() for row in rows_of_peer}
            columns = [
                name for name in ("cold", "steady", "warm", "decode", "call") if name in found
            ]
        unit = "" if case == "load" else ", MB/s"
        lines += ["", f"**{tokenizer}, {case}, {threads} thread(s){unit}**", ""]
        lines += [
            "peer | " + " | ".join(columns) + " | ids",
            "---|" + "---:|" * len(columns) + "---",
        ]
        for peer, rows_of_peer in peers.items():
            phases = {row["phase"]: row for row in rows_of_peer}
            lines.append(
                f"{peer} | "
                + " | ".join(cell(phases, name) for name in columns)
                + f" | {note(phases)}"
            )
    return "\n".join(lines)


def cell(phases: dict[str, Row], name: str) -> str:
    """One figure of a table."""
    if "load" in phases and name in phases["load"]:
        return (
            f"{phases['load'][name]:.3f}" if name.endswith("_s") else f"{phases['load'][name]:.0f}"
        )
    row = phases.get(name, {})
    if "us" in row:
        return f"{row['us']:.2f} µs"
    return f"{row['mb_s']:.0f}" if row.get("mb_s", 0) >= 10 else str(row.get("mb_s", ""))


def note(phases: dict[str, Row]) -> str:
    """The verdict on the ids, or why there is no figure."""
    for row in phases.values():
        if row["phase"] in ("skipped", "failed"):
            return f"{row['phase']}: {row['note'][:60]}"
    return str(next(iter(phases.values())).get("ids", ""))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    fixtures = os.environ.get("PENSTOCK_FIXTURES")
    parser.add_argument("--fixtures", type=Path, default=fixtures, required=fixtures is None)
    parser.add_argument(
        "--tokenizers",
        nargs="+",
        default=["gpt2", "cl100k_base", "llama-3", "qwen2.5", "o200k_base"],
    )
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--cases", nargs="+", default=list(DEFAULT_CASES))
    parser.add_argument("--threads", nargs="+", type=int, default=[1])
    parser.add_argument(
        "--python", nargs="*", default=[], metavar="PEER=PYTHON", help="interpreter of a peer"
    )
    parser.add_argument(
        "--repeat", type=int, default=1, help="runs per measurement, the fastest counts"
    )
    parser.add_argument("--doc-mb", type=float, default=10)
    parser.add_argument("--batch-texts", type=int, default=4000)
    parser.add_argument("--short-texts", type=int, default=100_000)
    parser.add_argument("--work", help="folder that keeps reference ids between runs")
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
