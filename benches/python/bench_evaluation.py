#!/usr/bin/env python3
"""Evaluation beside a bare loop over the same batches, beside itself in two processes, and beside
lm-eval's `hf` model; scores are compared before anything is timed.

    python benches/python/bench_evaluation.py --out benches/results/NAME.json

The models are made here, with random weights (GPT-2's shape, 4 layers: width 128 and a vocabulary
of 8,192; width 256 and 50,257), the texts too. Every measurement has one thread and a process of
its own, pinned to one CPU where there is only one; CPU time counts but for `processes` and `wall`.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

MODELS = {"L4-d128-V8k": (128, 4, 8192), "L4-d256-V50k": (256, 4, 50257)}
CONTEXT = 256
BATCH = 16
NEW_TOKENS = 24
ROWS = {"loglikelihood": 160, "generation": 48}
Row = dict[str, Any]


# ---------------------------------------------------------------------------- inputs


def make(folder: Path) -> None:
    """Models, their tokenizer, and rows."""
    import tokenizers
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    generator = random.Random(5)
    letters = "abcdefghijklmnop"
    words = ["".join(generator.choices(letters, k=generator.randint(2, 8))) for _ in range(5000)]

    def text(low: int, high: int) -> str:
        return " ".join(generator.choices(words, k=generator.randint(low, high)))

    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=4000,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator((text(20, 40) for _ in range(2000)), trainer)
    end = "<|endoftext|>"
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token=end, eos_token=end, unk_token=end
    )
    for name, (width, layers, vocabulary) in MODELS.items():
        torch.manual_seed(0)
        config = GPT2Config(
            n_layer=layers,
            n_embd=width,
            n_head=4,
            n_positions=CONTEXT,
            vocab_size=vocabulary,
            bos_token_id=0,
            eos_token_id=0,
        )
        GPT2LMHeadModel(config).save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    rows = [
        {"q": text(15, 45), "a": [text(2, 9) for _ in range(4)], "label": n % 4}
        for n in range(ROWS["loglikelihood"])
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def task(kind: str, folder: Path) -> Any:
    from penstock.evaluation import Generation, MultipleChoice

    if kind == "loglikelihood":
        return MultipleChoice(
            name="t", data=str(folder / "rows.jsonl"), prompt="{{q}}", choices="a", label="label"
        )
    rows = [json.loads(line) for line in (folder / "rows.jsonl").open()][: ROWS["generation"]]
    return Generation(
        name="t", data=rows, prompt="{{q}}", target="x", max_new_tokens=NEW_TOKENS, stop=("zzz",)
    )


# ---------------------------------------------------------------------------- measurements


def cpu() -> float:
    return time.process_time()


def ours_and_bare(folder: Path, name: str, kind: str, rounds: int) -> list[Row]:
    """Rounds of our scoring loop and of a bare loop in turn, over the same batches."""
    import torch
    from penstock.evaluation import _run
    from penstock.evaluation._encode import TextEncoder, load_tokenizer
    from penstock.evaluation._model import CAUSAL, config_of, load_model
    from penstock.evaluation._options import Options
    from penstock.evaluation._parts import PartWriter
    from penstock.evaluation._score import Scorer

    torch.set_num_threads(1)
    path = folder / name
    config = config_of(path)
    encoder = TextEncoder(load_tokenizer(path), config)
    options = Options(batch_size=BATCH)
    ready = _run.prepare(
        task(kind, folder), encoder, config, head=CAUSAL, max_length=CONTEXT, options=options
    )
    model = load_model(path, CAUSAL, CONTEXT, torch.device("cpu"))
    scorer = Scorer(model, encoder, 0)
    group = ready.group

    def ours() -> list[Any]:
        found = []
        with tempfile.TemporaryDirectory() as place:
            writer = PartWriter(Path(place) / "part.jsonl", "bench")
            for number, batch in enumerate(group.batches):
                rows = scorer.run(group, [group.units[unit] for unit in batch])
                writer.append(0, number, rows)
                found += rows
            writer.close()
        return found

    bare = bare_loglikelihoods if kind == "loglikelihood" else bare_generation

    def simple() -> list[Any]:
        return bare(model.module, encoder, group)

    check(kind, ours(), simple())
    times: dict[str, list[float]] = {"ours": [], "bare": []}
    for _ in range(rounds):
        for label, call in (("ours", ours), ("bare", simple)):
            start = cpu()
            call()
            times[label].append(cpu() - start)
    ratios = [a / b for a, b in zip(times["ours"], times["bare"], strict=True)]
    return [
        {
            "measure": kind,
            "model": name,
            "ours_cpu_s": round(statistics.median(times["ours"]), 3),
            "bare_cpu_s": round(statistics.median(times["bare"]), 3),
            "ratio": round(statistics.median(ratios), 4),
            "ratios": [round(r, 4) for r in ratios],
        }
    ]


def bare_loglikelihoods(model: Any, encoder: Any, group: Any) -> list[Any]:
    """What one writes by hand: pad, run, log-softmax, pick."""
    import torch

    found = []
    for batch in group.batches:
        units = [group.units[unit] for unit in batch]
        ids = torch.nn.utils.rnn.pad_sequence(
            [torch.from_numpy(unit.ids).long() for unit in units], batch_first=True
        )
        with torch.inference_mode():
            likely = model(ids).logits.log_softmax(-1)
        for row, unit in zip(likely, units, strict=True):
            values = []
            for cont in unit.conts:
                target = torch.from_numpy(cont).long()[:, None]
                part = row[len(unit.ids) - len(cont) : len(unit.ids)]
                greedy = bool((part.argmax(-1, keepdim=True) == target).all())
                values.append([float(part.gather(1, target).sum()), greedy])
            found.append(values)
    return found


def bare_generation(model: Any, encoder: Any, group: Any) -> list[Any]:
    """`generate` on the same batches."""
    import torch

    found = []
    for batch in group.batches:
        units = [group.units[unit] for unit in batch]
        width = max(len(unit.ids) for unit in units)
        ids = torch.zeros((len(units), width), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, unit in enumerate(units):
            ids[row, width - len(unit.ids) :] = torch.from_numpy(unit.ids).long()
            mask[row, width - len(unit.ids) :] = 1
        with torch.inference_mode():
            output = model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=NEW_TOKENS,
                do_sample=False,
                pad_token_id=0,
            )
        found += [[encoder.decode(row)] for row in output[:, width:].tolist()]
    return found


def check(kind: str, ours: list[Any], bare: list[Any]) -> None:
    assert len(ours) == len(bare)
    for a, b in zip(ours, bare, strict=True):
        if kind == "generation":
            assert a[0] == b[0], (a, b)
            continue
        for (value, greedy), (wanted, wanted_greedy) in zip(a, b, strict=True):
            assert abs(value - wanted) < 1e-3, (value, wanted)
            assert greedy == wanted_greedy


def memory(folder: Path, name: str) -> list[Row]:
    """Peak memory of runs over the rows once, and eight times."""
    import torch
    from penstock.evaluation import MultipleChoice, evaluate

    torch.set_num_threads(1)
    rows = [json.loads(line) for line in (folder / "rows.jsonl").open()]
    peaks = []
    for times in (1, 8):
        many = [{**row, "q": f"{n} {row['q']}"} for n in range(times) for row in rows]
        mine = MultipleChoice(name="t", data=many, prompt="{{q}}", choices="a", label="label")
        evaluate(folder / name, tasks=mine, batch_size=BATCH, progress=False)
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return [{"measure": "memory", "model": name, "rows": [160, 1280], "peak_mib": peaks}]


def processes(folder: Path, name: str, rounds: int) -> list[Row]:
    """Wall time of the scoring part of one and of two processes."""
    rows = []
    for _ in range(rounds):
        walls = {}
        for count in (1, 2):
            with tempfile.TemporaryDirectory() as place:
                walls[count] = _scoring(folder / name, folder, Path(place) / "run", count)
        rows.append(walls)
    speedups = [row[1] / row[2] for row in rows]
    return [
        {
            "measure": "processes",
            "model": name,
            "wall_s": rows,
            "speedup": round(statistics.median(speedups), 3),
            "load": os.getloadavg()[0],
        }
    ]


WORKER = """
import sys, time, json
import torch
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[4])
import bench_evaluation as bench
from penstock.evaluation import _run, evaluate
from pathlib import Path
execute = _run.execute
def timed(session, groups, *rest, **options):
    session.tell("ready-%d" % session.process.rank, True)
    for rank in range(session.process.world):
        session.hear("ready-%d" % rank)
    start = time.time()
    found = execute(session, groups, *rest, **options)
    if session.process.is_main:
        print("scoring", time.time() - start, flush=True)
    return found
_run.execute = timed
model, folder, output = map(Path, sys.argv[1:4])
evaluate(model, tasks=bench.task("loglikelihood", folder), output=output, batch_size=bench.BATCH)
"""


def _scoring(model: Path, folder: Path, output: Path, count: int) -> float:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    workers = []
    for rank in range(count):
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        if count > 1:
            environment |= {
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": str(count),
                "LOCAL_WORLD_SIZE": str(count),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
            }
        words = [sys.executable, "-c", WORKER, str(model), str(folder), str(output)]
        workers.append(
            subprocess.Popen(
                [*words, str(Path(__file__).parent)],
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    outputs = [worker.communicate(timeout=600)[0] for worker in workers]
    assert all(worker.returncode == 0 for worker in workers)
    return float(next(line for line in outputs[0].splitlines() if "scoring" in line).split()[1])


def beside_lm_eval(folder: Path, name: str, who: str) -> list[Row]:
    """One whole run over the same rows, of lm-eval's `hf` model or of ours."""
    import torch

    torch.set_num_threads(1)
    os.environ["DISABLE_MULTIPROC"] = "1"
    wall, used = time.time(), cpu()
    if who == "penstock":
        from penstock.evaluation import evaluate

        mine = task("loglikelihood", folder)
        result = evaluate(folder / name, tasks=mine, batch_size=BATCH, progress=False)
        value = result["t"]["acc_norm"]
    else:
        import lm_eval
        from lm_eval.tasks import TaskManager

        (folder / "tasks").mkdir(exist_ok=True)
        (folder / "tasks" / "t.yaml").write_text(
            "task: t\ndataset_path: json\ntest_split: test\noutput_type: multiple_choice\n"
            f"dataset_kwargs: {{data_files: {{test: {folder / 'rows.jsonl'}}}}}\n"
            "doc_to_text: '{{q}}'\ndoc_to_choice: '{{a}}'\ndoc_to_target: label\n"
            "metric_list: [{metric: acc}, {metric: acc_norm}]\n"
        )
        manager = TaskManager(
            include_path=str(folder / "tasks"), include_defaults=who == "lm-eval, all tasks"
        )
        found = lm_eval.simple_evaluate(
            model="hf",
            model_args={"pretrained": str(folder / name), "device": "cpu"},
            batch_size=BATCH,
            tasks=["t"],
            task_manager=manager,
            bootstrap_iters=0,
        )
        value = found["results"]["t"]["acc_norm,none"]
    return [
        {
            "measure": "whole run",
            "model": name,
            "who": who,
            "wall_s": round(time.time() - wall, 2),
            "cpu_s": round(cpu() - used, 2),
            "acc_norm": value,
        }
    ]


def start_up(folder: Path, name: str) -> list[Row]:
    """CPU seconds to the first batch, beyond the imports and the load of the model."""
    import torch

    torch.set_num_threads(1)
    start = cpu()
    import transformers
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder / name)
    base = cpu() - start
    del model, transformers
    from penstock.evaluation import _run, evaluate

    class Stop(Exception):  # noqa: N818
        pass

    def stop(*_: object, **__: object) -> None:
        raise Stop

    _run.Scorer.run = stop
    start = cpu()
    with contextlib.suppress(Stop):
        evaluate(folder / name, tasks=task("loglikelihood", folder), progress=False)
    # The model is loaded once more in it.
    return [
        {
            "measure": "start",
            "model": name,
            "import_and_load_cpu_s": round(base, 2),
            "beyond_cpu_s": round(cpu() - start, 2),
        }
    ]


# ---------------------------------------------------------------------------- the run


def child(arguments: argparse.Namespace) -> None:
    folder, name, what = Path(arguments.folder), arguments.model, arguments.what
    if hasattr(os, "sched_setaffinity") and what != "processes":
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if what == "make":
        make(folder)
        rows: list[Row] = []
    elif what in ("loglikelihood", "generation"):
        rows = ours_and_bare(folder, name, what, arguments.rounds)
    elif what == "memory":
        rows = memory(folder, name)
    elif what == "processes":
        rows = processes(folder, name, max(1, arguments.rounds // 2))
    elif what == "start":
        rows = start_up(folder, name)
    else:
        rows = beside_lm_eval(folder, name, what)
    for row in rows:
        print("@" + json.dumps(row), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--what", help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.what:
        child(arguments)
        return
    small, large = MODELS
    plan = [
        *((what, name) for what in ("loglikelihood", "generation") for name in MODELS),
        ("start", small),
        ("memory", small),
        ("processes", large),
        *((who, small) for who in ("penstock", "lm-eval", "lm-eval, all tasks")),
    ]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for what, name in [("make", small), *plan]:
            if arguments.only and what not in (*arguments.only, "make"):
                continue
            words = [sys.executable, __file__, "--what", what, "--model", name]
            words += ["--folder", folder, "--rounds", str(arguments.rounds)]
            done = subprocess.run(
                words,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdout=subprocess.PIPE,
                text=True,
                timeout=900,
                check=False,
            )
            found = [json.loads(x[1:]) for x in done.stdout.splitlines() if x.startswith("@")]
            if done.returncode:
                found.append({"measure": what, "model": name, "failed": done.returncode})
            for row in found:
                print(json.dumps(row), flush=True)
            rows += found
    if arguments.out:
        report = {
            "what": "evaluation",
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "machine": f"{platform.machine()}, {os.cpu_count()} CPUs",
            "python": platform.python_version(),
            "commit": subprocess.run(
                ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
            ).stdout.strip(),
            "command": " ".join(["python", *sys.argv]),
            "rows": rows,
        }
        arguments.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
