"""Samplers that threads share: each in a process of its own, with a time limit."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PRELUDE = """
import os, sys, threading
from collections import Counter
import numpy as np
import torch
from penstock.sampling import Sampler, SamplingParams, multinomial
logits = torch.randn(2, 5000, generator=torch.Generator().manual_seed(3))

def together(work, count=4):
    rows, errors, start = [[] for _ in range(count)], [], threading.Barrier(count)
    def run(own):
        try:
            start.wait()
            for _ in range(100):
                own.append(work())
        except Exception as error:
            errors.append(error)
    threads = [threading.Thread(target=run, args=(own,)) for own in rows]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert not errors, errors[0]
    return Counter(x for own in rows for x in own)

def alone(work, count=400):
    return Counter(work() for _ in range(count))
"""


def run(code: str) -> None:
    """Runs a script that starts with the prelude; a hang fails by time-out."""
    result = subprocess.run(
        [sys.executable, "-c", PRELUDE + code],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (result.returncode, result.stdout) == (0, "done\n"), result.stderr


def test_no_number_is_drawn_twice() -> None:
    """Threads get the draws that one thread would get, in some order."""
    run("""
def made(source):
    torch.manual_seed(5)
    generator = torch.Generator().manual_seed(5) if source == "given" else None
    sampler = Sampler(
        SamplingParams(do_sample=True, top_p=0.999),
        rng="row-seeds" if source == "row-seeds" else "torch",
        seed=None if source in ("global", "given") else 5,
    )
    rows = logits.numpy() if source == "seed of arrays" else logits
    return lambda: tuple(sampler(rows, generator=generator).tokens.tolist())
for source in ("global", "given", "seed", "seed of arrays", "row-seeds"):
    assert together(made(source)) == alone(made(source)), source
print("done")
""")


def test_every_way_to_draw_shares_a_generator() -> None:
    """Plain steps, steps with options and `multinomial` take turns."""
    run("""
probs = torch.softmax(logits, -1)
def made():
    torch.manual_seed(5)
    sampler = Sampler(SamplingParams(do_sample=True))
    ways = [
        lambda: tuple(sampler(logits).tokens.tolist()),
        lambda: tuple(sampler(logits, logprobs=1).tokens.tolist()),
        lambda: tuple(multinomial(probs)[:, 0].tolist()),
    ]
    turn = iter(range(10**6))
    return lambda: ways[next(turn) % 3]()
assert together(made()) == alone(made())
print("done")
""")


def test_threads_with_prompts_of_their_own() -> None:
    """What counts new tokens is that of the call, whatever other threads ask meanwhile."""
    run("""
sampler = Sampler(SamplingParams(do_sample=False, min_new_tokens=2, eos_token_id=7))
peak = torch.zeros(1, 50)
peak[0, 7], peak[0, 9] = 9.0, 5.0
ids = torch.zeros(1, 6, dtype=torch.long)
turn = iter(range(10**6))
def work():
    length = next(turn) % 7
    token = sampler(peak, ids, prompt_lengths=[length]).tokens.item()
    return token == (9 if 6 - length < 2 else 7)
assert set(together(work)) == {True}
print("done")
""")


def test_threads_with_contexts_of_their_own() -> None:
    """Contexts that a sampler remembers from step to step are told apart."""
    run("""
params = SamplingParams(
    do_sample=False, repetition_penalty=3.0, frequency_penalty=0.7, presence_penalty=0.4
)
sampler, turn = Sampler(params), iter(range(10**6))
def contexts(which):
    make = torch.Generator().manual_seed(which)
    return torch.randint(0, 5000, (2, 40 + which % 3), generator=make)
def tokens(sampler, which):
    return tuple(sampler(logits, contexts(which)).tokens.tolist())
want = [tokens(Sampler(params), which) for which in range(12)]
def work():
    which = next(turn) % 12
    return tokens(sampler, which) == want[which]
assert set(together(work)) == {True}
print("done")
""")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_draws_whatever_its_parents_threads_held() -> None:
    """A lock that another thread holds at a fork would never be free in the child."""
    run("""
sampler, seeded = Sampler(SamplingParams(do_sample=True)), Sampler(seed=1)
big = torch.randn(1, 400_000)
stop = threading.Event()
def work():
    while not stop.is_set():
        sampler(big)
        seeded(big)
thread = threading.Thread(target=work)
thread.start()
bad = 0
for _ in range(30):
    child = os.fork()
    if child == 0:
        sampler(logits)
        seeded(logits)
        os._exit(0)
    bad += os.waitpid(child, 0)[1] != 0
stop.set()
thread.join()
assert bad == 0
print("done")
""")
