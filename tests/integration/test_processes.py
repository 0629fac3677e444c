"""Fork, spawn, threads, Ctrl-C and memory. Each test runs a script in a process of its own, with a
time limit."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.families import Json

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and signals")

PRELUDE = """
import os, random, resource, sys, threading, time
import penstock
tokenizer = penstock.Tokenizer.from_file(sys.argv[1])
texts = [f"Hello world number {i}, it's {i * 7}\\n" * 40 for i in range(300)]
"""


@pytest.fixture(scope="module")
def path(small_json: dict[str, Json], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer.json that scripts can load."""
    file = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    file.write_text(json.dumps(small_json["gpt2"]), encoding="utf-8")
    return file


def run(code: str, path: Path, timeout: float = 120) -> str:
    """Output of a script that starts with the prelude; a hang fails by time-out."""
    result = subprocess.run(
        [sys.executable, "-c", PRELUDE + code, str(path)],
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@POSIX
def test_fork_after_use(path: Path) -> None:
    """The parent's thread pool does not survive a fork; a child that uses it would hang."""
    code = """
want = [e.ids for e in tokenizer.encode_batch(texts)]
for generation in range(3):
    child = os.fork()
    if child == 0:
        ok = [e.ids for e in tokenizer.encode_batch(texts)] == want
        ok = ok and tokenizer.encode_ragged(texts).to_list() == want
        grandchild = os.fork()
        if grandchild == 0:
            os._exit(0 if tokenizer.encode_ragged(texts).to_list() == want else 1)
        ok = ok and os.waitpid(grandchild, 0)[1] == 0
        os._exit(0 if ok else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert tokenizer.encode_ragged(texts).to_list() == want
print("done")
"""
    assert run(code, path) == "done\n"


@POSIX
def test_fork_while_a_batch_runs(path: Path) -> None:
    """A fork in the middle of another thread's batch leaves the child usable."""
    code = """
want = tokenizer.encode_ragged(texts).to_list()
stop = threading.Event()
def work():
    while not stop.is_set():
        tokenizer.encode_ragged(texts)
worker = threading.Thread(target=work)
worker.start()
for _ in range(20):
    child = os.fork()
    if child == 0:
        os._exit(0 if tokenizer.encode_ragged(texts).to_list() == want else 1)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
worker.join()
print("done")
"""
    assert run(code, path) == "done\n"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(path: Path, method: str, tmp_path: Path) -> None:
    """A pool of processes, each with the tokenizer it inherited or loaded, after the parent used
    its own."""
    if sys.platform == "win32" and method != "spawn":
        pytest.skip("no fork")
    script = tmp_path / "pool.py"
    script.write_text(POOL_SCRIPT, encoding="utf-8")
    result = subprocess.run(
        [sys.executable, str(script), str(path), method],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.stdout == "done\n", result.stderr


POOL_SCRIPT = """
import multiprocessing, sys
import penstock

tokenizer = penstock.Tokenizer.from_file(sys.argv[1])
texts = [f"Hello world number {i}" * 30 for i in range(200)]

def encode(_):
    return tokenizer.encode_ragged(texts).to_list()

if __name__ == "__main__":
    want = encode(0)
    with multiprocessing.get_context(sys.argv[2]).Pool(2) as pool:
        assert pool.map(encode, range(8)) == [want] * 8
    print("done")
"""


def test_threads_encode_while_one_adds_tokens(path: Path) -> None:
    """Every result is that of the tokenizer before or after an addition, never of something
    between."""
    code = """
text = "a<new>b<new>c" * 50
before, pieces = tokenizer.encode(text).ids, 50 * 2
tokenizer.add_tokens([f"<filler{i}>" for i in range(10)])
stop, bad = threading.Event(), []
def work():
    while not stop.is_set():
        encoding = tokenizer.encode(text)
        count = sum(token == "<new>" for token in encoding.tokens)
        if count not in (0, pieces) or (count == 0 and encoding.ids != before):
            bad.append(count)
        for row in tokenizer.encode_ragged([text] * 20).to_list():
            if row != before and len(row) >= len(before):
                bad.append(len(row))
threads = [threading.Thread(target=work) for _ in range(6)]
for thread in threads: thread.start()
for i in range(100):
    tokenizer.add_tokens([f"<more{i}>"])
assert tokenizer.add_tokens(["<new>"]) == 1
for i in range(100):
    tokenizer.add_special_tokens([f"<special{i}>"])
time.sleep(0.2)
stop.set()
for thread in threads: thread.join()
assert not bad, bad[:5]
assert tokenizer.encode(text).tokens.count("<new>") == pieces
print("done")
"""
    assert run(code, path) == "done\n"


def test_threads_add_tokens_at_once(path: Path) -> None:
    """No addition is lost, no id is given twice."""
    code = """
def work(k):
    for i in range(50):
        tokenizer.add_tokens([f"<t{k}-{i}>"])
threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
ids = [tokenizer.token_to_id(f"<t{k}-{i}>") for k in range(8) for i in range(50)]
assert None not in ids and len(set(ids)) == 400
print("done")
"""
    assert run(code, path) == "done\n"


def test_the_gil_is_released(path: Path) -> None:
    """Another thread runs while a long text is encoded."""
    code = """
text = " ".join(str(i) for i in range(3_000_000))
ticks, stop = [], threading.Event()
def tick():
    while not stop.is_set():
        ticks.append(time.perf_counter())
        time.sleep(0.001)
thread = threading.Thread(target=tick)
thread.start()
start = time.perf_counter()
for _ in range(5):
    tokenizer.count_tokens([text])
end = time.perf_counter()
stop.set()
thread.join()
inside = [t for t in ticks if start < t < end]
print(len(inside) > 5)
"""
    assert run(code, path) == "True\n"


@POSIX
@pytest.mark.parametrize(
    ("call", "times"),
    [
        ("tokenizer.count_tokens([text] * {})", 100_000),
        ("tokenizer.encode_ragged([text] * {})", 100_000),
        ("tokenizer.encode_batch([text] * {})", 100_000),
        ("tokenizer.encode_batch_fast([text] * {})", 100_000),
        ("tokenizer.encode_ids('x' + text * {})", 20_000),
    ],
)
def test_ctrl_c_stops_a_long_call(path: Path, call: str, times: int) -> None:
    """The call stops long before its work is done; the process stays usable."""
    code = f"""
resource.setrlimit(resource.RLIMIT_AS, (16 << 30, 16 << 30))
text = "".join(random.Random(1).choices("abc defg hij klm 0123 .,", k=20_000))
{call.format(times // 1000)}
start = time.process_time()
{call.format(times // 100)}
hundredth = time.process_time() - start
print("ready", flush=True)
start = time.process_time()
try:
    {call.format(times)}
except KeyboardInterrupt:
    done = (time.process_time() - start) / hundredth
    assert tokenizer.encode("Hello world").ids
    print("interrupted" if done < 75 else f"{{done:.0f}} hundredths done", flush=True)
else:
    print("finished", flush=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", PRELUDE + code, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        line = process.stdout.readline()
        process.wait(30)
    finally:
        process.kill()
        _, errors = process.communicate()
    assert line == "interrupted\n", errors


@LINUX
def test_memory_stays_flat(path: Path) -> None:
    """New words forever: the caches are bounded and nothing leaks."""
    code = """
def rss():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024
rng = random.Random(1)
def fresh(n):
    return [" ".join("%x" % rng.getrandbits(52) for _ in range(4000)) for _ in range(n)]
def round():
    texts = fresh(20)
    tokenizer.encode_batch(texts)
    ragged = tokenizer.encode_ragged(texts, offsets=True)
    tokenizer.decode_batch(ragged)
    for text in texts:
        tokenizer.encode_ids(text)
        tokenizer.encode(text[:2000]).tokens
        tokenizer.encode(text[:2000]).offsets
for _ in range(40): round()
start = rss()
for _ in range(40): round()
print(rss() - start)
"""
    grown = float(run(code, path, timeout=300))
    assert grown < 40, f"resident memory grew by {grown:.0f} MB over 50 MB of new words"


@LINUX
def test_adding_tokens_does_not_leak(path: Path) -> None:
    code = """
def rss():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024
def round(i):
    copy = penstock.Tokenizer.from_file(sys.argv[1])
    copy.add_tokens([f"<x{i}>"])
    copy.encode("Hello <x1> world")
for i in range(20): round(i)
start = rss()
for i in range(60): round(i)
print(rss() - start)
"""
    grown = float(run(code, path, timeout=300))
    assert grown < 30, f"resident memory grew by {grown:.0f} MB over 60 loads"


@pytest.mark.parametrize("variable", ["PENSTOCK_NUM_THREADS", "RAYON_NUM_THREADS"])
@pytest.mark.parametrize("value", ["1", "3", "0", "many"])
def test_thread_variables(path: Path, variable: str, value: str) -> None:
    """Any number of threads gives the same ids; nonsense is not a crash."""
    code = f"""
import os
os.environ[{variable!r}] = {value!r}
import penstock, sys
tokenizer = penstock.Tokenizer.from_file(sys.argv[1])
texts = [f"Hello world {{i}}" * 50 for i in range(200)]
assert tokenizer.encode_ragged(texts).to_list() == [tokenizer.encode(t).ids for t in texts]
print("done")
"""
    result = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60
    )
    assert result.stdout == "done\n", result.stderr
