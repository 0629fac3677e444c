#!/usr/bin/env python3
"""Training side by side with `tokenizers`: the vocabularies compared first, results as JSON.

    python benches/python/bench_train.py --corpora DIR --mb 50 --out benches/results/NAME.json

The corpus is the text files of a folder, as many bytes of each as its share, cut into lines. Every
trainer runs in a process of its own, with the same number of threads; CPU time and wall time are of
the call that trains, reading left out. Models:

    bpe:32000         byte-level, the pattern of GPT-2     same vocabulary and merges
    wordpiece:30000   BertNormalizer, BertPreTokenizer     same, where special tokens fix the ids
    wordlevel:30000   split at white space                 same vocabulary
    unigram:8000      Metaspace                            bits a character, fewer are better
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import math
import os
import platform
import resource
import subprocess
import sys
import time
import unicodedata
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parents[1]))

from inputs import cpu_name  # noqa: E402

Row = dict[str, Any]

DEFAULT_MODELS = ("bpe:32000", "wordpiece:30000", "wordlevel:30000", "unigram:8000")

# Unigram takes the reference minutes: a part of the corpus does.
UNIGRAM_MB = 2


def lines_of(folder: Path, megabytes: float) -> list[str]:
    """Lines of all text files, each file with the same share as far as it goes."""
    paths = sorted(folder.glob("*.txt"), key=lambda path: path.stat().st_size)
    left = int(megabytes * 1e6)
    lines: list[str] = []
    for i, path in enumerate(paths):
        data = path.read_bytes()[: left // (len(paths) - i)]
        left -= len(data)
        lines += data.decode(errors="ignore").splitlines(keepends=True)
    return lines


def pipeline(model: str) -> tuple[Any, Any]:
    """Normalizer and pre-tokenizer, as components of the reference that both take."""
    from tokenizers import normalizers, pre_tokenizers

    return {
        "bpe": (None, pre_tokenizers.ByteLevel(add_prefix_space=False)),
        "wordpiece": (normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()),
        "wordlevel": (None, pre_tokenizers.Whitespace()),
        "unigram": (None, pre_tokenizers.Metaspace()),
    }[model]


def options(model: str, vocab_size: int, lines: list[str]) -> Row:
    """The trainer's options."""
    found: Row = {"vocab_size": vocab_size, "special_tokens": ["<s>", "<unk>"]}
    if model == "wordpiece":
        # The reference numbers `##` symbols at random, unless special tokens have done it.
        spelled = (unicodedata.normalize("NFD", line.lower()) for line in lines)
        letters = sorted({letter for line in spelled for letter in line} | {*"".join(lines)})
        found["special_tokens"] += ["##" + letter for letter in letters]
    if model == "unigram":
        found["unk_token"] = "<unk>"
    return found


def train_ours(model: str, lines: list[str], chosen: Row) -> Any:
    import penstock

    normalizer, pre_tokenizer = pipeline(model)
    train = getattr(penstock, f"train_{model}")
    return train(
        lines, normalizer=normalizer, pre_tokenizer=pre_tokenizer, show_progress=False, **chosen
    )


def train_reference(model: str, lines: list[str], chosen: Row) -> Any:
    from tokenizers import Tokenizer, models, trainers

    kinds: Row = {
        "bpe": (models.BPE(), trainers.BpeTrainer),
        "wordpiece": (models.WordPiece(), trainers.WordPieceTrainer),
        "wordlevel": (models.WordLevel(), trainers.WordLevelTrainer),
        "unigram": (models.Unigram(), trainers.UnigramTrainer),
    }
    kind, trainer = kinds[model]
    tokenizer = Tokenizer(kind)
    tokenizer.normalizer, tokenizer.pre_tokenizer = pipeline(model)
    tokenizer.train_from_iterator(lines, trainer(show_progress=False, **chosen))
    return tokenizer


TRAIN = {"penstock": train_ours, "tokenizers": train_reference}


def worker(task: Row) -> Row:
    """One trainer on one model: seconds, and what to compare."""
    lines = lines_of(Path(task["corpora"]), task["mb"])
    chosen = options(task["model"], task["vocab_size"], lines)
    wall, used = time.perf_counter(), time.process_time()
    tokenizer = TRAIN[task["peer"]](task["model"], lines, chosen)
    row = {
        "wall_s": round(time.perf_counter() - wall, 2),
        "cpu_s": round(time.process_time() - used, 2),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "lines": len(lines),
        "megabytes": round(sum(len(line.encode()) for line in lines) / 1e6, 1),
        "tokens": tokenizer.get_vocab_size(),
    }
    if task["model"] == "unigram":
        return row | {"bits_a_character": bits_a_character(tokenizer, lines)}
    # Ids of the corpus's start show the merges.
    sample = "".join(lines)[: 1 << 18]
    ids = list(tokenizer.encode(sample).ids) if task["model"] != "wordpiece" else []
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    digest = hashlib.sha256(json.dumps([vocabulary, ids]).encode()).hexdigest()
    return row | {"digest": digest[:16]}


def bits_a_character(tokenizer: Any, lines: list[str]) -> float:
    """What a code for the tokens, by their frequency in the corpus, needs for a character.

    Both tokenizers are measured by the segmentation that the reference's encoder gives.
    """
    from collections import Counter

    encodings = tokenizer.encode_batch_fast(lines)
    counts = Counter(token for encoding in encodings for token in encoding.ids)
    total = sum(counts.values())
    bits = -sum(count * math.log2(count / total) for count in counts.values())
    return round(bits / sum(map(len, lines)), 4)


def main() -> None:
    """Runs every model with every trainer, compares, prints and writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpora", type=Path, help="folder of text files")
    parser.add_argument("--mb", type=float, default=50)
    parser.add_argument("--models", nargs="+", default=DEFAULT_MODELS, metavar="MODEL:SIZE")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        print("@" + json.dumps(worker(json.loads(arguments.worker))))
        return
    if not arguments.corpora:
        parser.error("--corpora is needed")

    rows: list[Row] = []
    for name in arguments.models:
        model, vocab_size = name.split(":")
        megabytes = min(arguments.mb, UNIGRAM_MB) if model == "unigram" else arguments.mb
        pair = []
        for peer in TRAIN:
            task = {
                "peer": peer,
                "model": model,
                "vocab_size": int(vocab_size),
                "mb": megabytes,
                "corpora": str(arguments.corpora),
            }
            pair.append({"model": name, "peer": peer, **run(task, arguments.threads)})
        rows += compare(pair)
        print("\n".join(map(str, pair)), flush=True)
    if arguments.out:
        write(arguments.out, rows, arguments.threads)


def run(task: Row, threads: int) -> Row:
    """One worker process."""
    count = str(threads)
    environment = {**os.environ, "PENSTOCK_NUM_THREADS": count, "RAYON_NUM_THREADS": count}
    command = [sys.executable, __file__, "--worker", json.dumps(task)]
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    found = [line for line in result.stdout.splitlines() if line.startswith("@")]
    if not found:
        return {"error": result.stderr.strip().splitlines()[-1:]}
    row: Row = json.loads(found[-1][1:])
    return row


def compare(pair: list[Row]) -> list[Row]:
    """Says whether both learned the same, and how many times faster ours is."""
    ours, reference = pair
    if "error" in ours or "error" in reference:
        return pair
    if "digest" in ours:
        same = ours["digest"] == reference["digest"]
        ours["result"] = "equal" if same else "DIFFERENT"
    else:
        better = ours["bits_a_character"] <= reference["bits_a_character"]
        ours["result"] = "fewer bits" if better else "MORE BITS"
    for time_kind in ("wall", "cpu"):
        ours[f"{time_kind}_ratio"] = round(
            reference[f"{time_kind}_s"] / max(ours[f"{time_kind}_s"], 1e-3), 1
        )
    return pair


def write(path: Path, rows: list[Row], threads: int) -> None:
    """The results with what is needed to repeat them."""
    import penstock
    import tokenizers

    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=HERE
    ).stdout.strip()
    document = {
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "machine": f"{cpu_name()}, {os.cpu_count()} CPUs, Python {platform.python_version()}",
        "commit": commit,
        "command": "python benches/python/bench_train.py --corpora DIR " + " ".join(sys.argv[3:]),
        "threads": threads,
        "versions": {"penstock": penstock.__version__, "tokenizers": tokenizers.__version__},
        "rows": rows,
    }
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
