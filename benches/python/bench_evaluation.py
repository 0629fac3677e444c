#!/usr/bin/env python3
"""Evaluation beside a bare loop over the same batches, beside itself in two processes, and beside
lm-eval's `hf` model; scores are compared before anything is timed.

    python benches/python/bench_evaluation.py --out benches/results/NAME.json

The models are made here, with random weights (GPT-2's shape, 4 layers: width 128 and a vocabulary
of 8,192; width 256 and 50,257), the texts too. Every measurement has one thread a process. CPU time
counts where it says so; `processes` and the wall times of `whole run` need a quiet machine, and
each row says how busy it was.

- `loglikelihood`: our scoring beside a plain loop (log-softmax of all positions) and a lean one
  (the same forward pass, log-softmax of the needed positions at once), over the same batches;
- `generation`: beside `model.generate` over the same batches;
- `start`: a process up to its first batch, beside one that imports torch and transformers and loads
  the model;
- `memory`: peak of runs over the rows once, eight and sixteen times;
- `processes`: wall time of the scoring part of one and of two processes;
- `whole run`: `evaluate` beside lm-eval's `hf` with the same rows, and where the time went.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import functools
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
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

MODELS = {"L4-d128-V8k": (128, 4, 8192), "L4-d256-V50k": (256, 4, 50257)}
CONTEXT = 256
BATCH = 16
NEW_TOKENS = 24
ROWS = {"L4-d128-V8k": 160, "L4-d256-V50k": 24}
"""Rows of four choices each; the larger model takes many times as long for one."""
TIMES = {"L4-d128-V8k": 4, "L4-d256-V50k": 4}
"""How many times as many rows two processes share."""
PROMPTS = {"L4-d128-V8k": 96, "L4-d256-V50k": 16}
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
        for n in range(max(ROWS.values()))
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def more_rows(rows: list[Row], times: int) -> list[Row]:
    """The rows, and others of the same words, so that batches are as wide."""
    found = []
    for number in range(times):
        for row in rows:
            words = row["q"].split()
            if number:
                random.Random(number).shuffle(words)
            found.append({**row, "q": " ".join(words)})
    return found


def task(kind: str, folder: Path, name: str, times: int = 1) -> Any:
    from penstock.evaluation import Generation, MultipleChoice

    rows = [json.loads(line) for line in (folder / "rows.jsonl").open()]
    if kind == "loglikelihood":
        data = more_rows(rows[: ROWS[name]], times)
        return MultipleChoice(name="t", data=data, prompt="{{q}}", choices="a", label="label")
    return Generation(
        name="t",
        data=rows[: PROMPTS[name]],
        prompt="{{q}}",
        target="x",
        max_new_tokens=NEW_TOKENS,
        stop=("zzz",),
    )


# ---------------------------------------------------------------------------- measurements


def cpu() -> float:
    return time.process_time()


def load() -> float:
    """How busy the machine is: processes that want to run."""
    return round(os.getloadavg()[0], 2)


def beside_bare(folder: Path, name: str, kind: str, rounds: int) -> list[Row]:
    """Rounds of our scoring loop and of bare loops in turn, over the same batches."""
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
        task(kind, folder, name), encoder, config, head=CAUSAL, max_length=CONTEXT, options=options
    )
    model = load_model(path, CAUSAL, CONTEXT, torch.device("cpu"))
    scorer = Scorer(model, encoder, 0)
    group = ready.group

    def ours(batch: int, writer: Any) -> list[Any]:
        rows = scorer.run(group, [group.units[unit] for unit in group.batches[batch]])
        writer.append(0, batch, rows)
        return rows

    loops: dict[str, Any] = {"ours": ours}
    for label, bare in BARE[kind].items():

        def call(batch: int, writer: Any, bare: Any = bare) -> list[Any]:
            units = [group.units[unit] for unit in group.batches[batch]]
            return list(bare(model.module, encoder, units))

        loops[label] = call
    times: dict[str, list[float]] = {label: [] for label in loops}
    with tempfile.TemporaryDirectory() as place:
        writer = PartWriter(Path(place) / "part.jsonl", "bench")
        for round_ in range(rounds + 1):
            spent = dict.fromkeys(loops, 0.0)
            for batch in range(len(group.batches)):
                # In turn, batch by batch, so that all meet the same machine.
                found = {}
                for label, loop in loops.items():
                    start = cpu()
                    found[label] = loop(batch, writer)
                    spent[label] += cpu() - start
                if not round_:
                    for label in BARE[kind]:
                        check(kind, found["ours"], found[label])
            for label in loops:
                if round_:
                    times[label].append(spent[label])
        writer.close()
    rows = []
    for label in BARE[kind]:
        ratios = [a / b for a, b in zip(times["ours"], times[label], strict=True)]
        rows.append(
            {
                "measure": kind,
                "model": name,
                "beside": label,
                "rows": len(group.units),
                "batches": len(group.batches),
                "ours_cpu_s": round(statistics.median(times["ours"]), 3),
                "bare_cpu_s": round(statistics.median(times[label]), 3),
                "ratio": round(statistics.median(ratios), 4),
                "ratios": [round(r, 4) for r in ratios],
                "load": load(),
            }
        )
    return rows


def plain_loglikelihoods(model: Any, encoder: Any, units: list[Any]) -> list[Any]:
    """What one writes by hand: pad, run, log-softmax, pick."""
    import torch

    ids = torch.nn.utils.rnn.pad_sequence(
        [torch.from_numpy(unit.ids).long() for unit in units], batch_first=True
    )
    with torch.inference_mode():
        likely = model(ids).logits.log_softmax(-1)
    found = []
    for row, unit in zip(likely, units, strict=True):
        values = []
        for cont in unit.conts:
            target = torch.from_numpy(cont).long()[:, None]
            part = row[len(unit.ids) - len(cont) : len(unit.ids)]
            greedy = bool((part.argmax(-1, keepdim=True) == target).all())
            values.append([float(part.gather(1, target).sum()), greedy])
        found.append(values)
    return found


def lean_loglikelihoods(model: Any, encoder: Any, units: list[Any]) -> list[Any]:
    """The least that gives the same numbers: logits of the last positions, one log-softmax."""
    import torch

    ids = torch.nn.utils.rnn.pad_sequence(
        [torch.from_numpy(unit.ids).long() for unit in units], batch_first=True
    )
    width = ids.shape[1]
    first = min(len(unit.ids) - max(map(len, unit.conts)) for unit in units)
    rows, columns, targets, counts = [], [], [], []
    for row, unit in enumerate(units):
        for cont in unit.conts:
            end = len(unit.ids) - first
            rows += [row] * len(cont)
            columns += range(end - len(cont), end)
            targets += cont.tolist()
            counts.append(len(cont))
    with torch.inference_mode():
        logits = model(ids, use_cache=False, logits_to_keep=width - first).logits
        logits = logits[rows, columns]
        wanted = torch.tensor(targets)
        likely = logits.log_softmax(-1).gather(1, wanted[:, None])[:, 0].split(counts)
        greedy = (logits.argmax(-1) == wanted).split(counts)
    sums = iter([float(x.sum()), bool(y.all())] for x, y in zip(likely, greedy, strict=True))
    return [[next(sums) for _ in unit.conts] for unit in units]


def bare_generation(model: Any, encoder: Any, units: list[Any]) -> list[Any]:
    """`generate` on the same batches."""
    import torch

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
    return [[encoder.decode(row)] for row in output[:, width:].tolist()]


BARE: dict[str, dict[str, Any]] = {
    "loglikelihood": {"plain loop": plain_loglikelihoods, "lean loop": lean_loglikelihoods},
    "generation": {"model.generate": bare_generation},
}


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
    """Peak memory of runs over more and more rows, with short texts so that many fit in a minute.

    What a first run leaves behind (torch's and the allocator's) is not the samples'; the last
    doubling shows these.
    """
    import torch
    from penstock.evaluation import MultipleChoice, evaluate

    torch.set_num_threads(1)
    short = [
        {"q": " ".join(row["q"].split()[:12]), "a": row["a"][:2], "label": row["label"] % 2}
        for row in map(json.loads, (folder / "rows.jsonl").open())
    ]
    found: Row = {"measure": "memory", "model": name, "rows": [], "data_mib": [], "peak_mib": []}
    for times in (1, 8, 16):
        rows = more_rows(short, times)
        data = folder / f"rows-{times}.jsonl"
        data.write_text("".join(json.dumps(row) + "\n" for row in rows))
        mine = MultipleChoice(name="t", data=str(data), prompt="{{q}}", choices="a", label="label")
        evaluate(folder / name, tasks=mine, batch_size=BATCH, progress=False)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        found["rows"].append(len(rows))
        found["data_mib"].append(round(data.stat().st_size / 2**20, 2))
        found["peak_mib"].append(round(peak, 1))
    grown = found["peak_mib"][-1] - found["peak_mib"][-2]
    found["kib_per_row"] = round(grown * 1024 / (found["rows"][-1] - found["rows"][-2]), 2)
    return [found]


def processes(folder: Path, name: str, rounds: int) -> list[Row]:
    """Wall time of the scoring part of one and of two processes.

    On a busy machine the wall says little; `cpu_speedup`, the CPU time of one over that of the
    busier of two, is what two free cores would give.
    """
    walls, used = [], []
    for _ in range(rounds):
        wall, cpus = {}, {}
        for count in (1, 2):
            with tempfile.TemporaryDirectory() as place:
                times = _scoring(folder / name, folder, Path(place) / "run", count)
            wall[count] = round(max(time[0] for time in times), 2)
            cpus[count] = round(max(time[1] for time in times), 2)
        walls.append(wall)
        used.append(cpus)
    return [
        {
            "measure": "processes",
            "model": name,
            "wall_s": walls,
            "cpu_s": used,
            "speedup": round(statistics.median(w[1] / w[2] for w in walls), 3),
            "best_over_best": round(min(w[1] for w in walls) / min(w[2] for w in walls), 3),
            "cpu_speedup": round(statistics.median(c[1] / c[2] for c in used), 3),
            "load": load(),
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
    start, used = time.perf_counter(), time.process_time()
    found = execute(session, groups, *rest, **options)
    print("scoring", time.perf_counter() - start, time.process_time() - used, flush=True)
    return found
_run.execute = timed
model, folder, output = map(Path, sys.argv[1:4])
mine = bench.task("loglikelihood", folder, model.name, bench.TIMES[model.name])
evaluate(model, tasks=mine, output=output, batch_size=bench.BATCH, progress=False)
"""


def _scoring(model: Path, folder: Path, output: Path, count: int) -> list[tuple[float, float]]:
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
    lines = [next(x for x in text.splitlines() if "scoring" in x) for text in outputs]
    return [(float(wall), float(used)) for _, wall, used in map(str.split, lines)]


class Clock:
    """Wall and CPU time by name; what is timed inside another part is not counted there."""

    def __init__(self) -> None:
        self.parts: dict[str, list[float]] = {}
        self._inner = [[0.0, 0.0]]

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        start = (time.perf_counter(), cpu())
        self._inner.append([0.0, 0.0])
        try:
            yield
        finally:
            inner = self._inner.pop()
            total = self.parts.setdefault(name, [0.0, 0.0])
            for i, now in enumerate((time.perf_counter(), cpu())):
                total[i] += now - start[i] - inner[i]
                self._inner[-1][i] += now - start[i]

    def wrap(self, owner: Any, attribute: str, name: str) -> None:
        function = getattr(owner, attribute)

        @functools.wraps(function)
        def timed(*arguments: Any, **options: Any) -> Any:
            with self.part(name):
                return function(*arguments, **options)

        setattr(owner, attribute, timed)

    def shown(self) -> dict[str, dict[str, float]]:
        return {
            name: {"wall_s": round(wall, 2), "cpu_s": round(used, 2)}
            for name, (wall, used) in self.parts.items()
        }


def whole_run(folder: Path, name: str, who: str) -> list[Row]:
    """One whole run over the same rows, of lm-eval's `hf` model or of ours."""
    os.environ["DISABLE_MULTIPROC"] = "1"
    wall, used = time.perf_counter(), cpu()
    clock = Clock()
    with clock.part("everything else"):
        value = (_ours if who == "penstock" else _theirs)(folder, name, who, clock)
    return [
        {
            "measure": "whole run",
            "model": name,
            "who": who,
            "wall_s": round(time.perf_counter() - wall, 2),
            "cpu_s": round(cpu() - used, 2),
            "parts": clock.shown(),
            "acc_norm": value,
            "load": load(),
        }
    ]


def _ours(folder: Path, name: str, who: str, clock: Clock) -> float:
    with clock.part("imports"):
        import torch
        import transformers.models.gpt2.modeling_gpt2 as gpt2
        from penstock.evaluation import _encode, _kinds, _run, evaluate

    torch.set_num_threads(1)
    clock.wrap(gpt2.GPT2LMHeadModel, "forward", "model")
    clock.wrap(_run, "load_model", "model load")
    clock.wrap(_run, "load_tokenizer", "tokenizer load")
    clock.wrap(_run, "prepare", "requests")
    clock.wrap(_run, "base_fingerprint", "fingerprint")
    clock.wrap(_run, "_finish", "results")
    clock.wrap(_encode.TextEncoder, "_encode", "tokenization")
    clock.wrap(_run.Scorer, "run", "scores from logits")
    clock.wrap(_kinds, "plan", "requests")
    result = evaluate(
        folder / name, tasks=task("loglikelihood", folder, name), batch_size=BATCH, progress=False
    )
    return result["t"]["acc_norm"]


def _theirs(folder: Path, name: str, who: str, clock: Clock) -> float:
    with clock.part("imports"):
        import lm_eval
        import lm_eval.evaluator
        import torch
        import transformers.models.gpt2.modeling_gpt2 as gpt2
        from lm_eval.api.task import ConfigurableTask
        from lm_eval.models.huggingface import HFLM
        from lm_eval.tasks import TaskManager

    torch.set_num_threads(1)
    place = folder / "tasks"
    place.mkdir(exist_ok=True)
    rows = [json.loads(line) for line in (folder / "rows.jsonl").open()][: ROWS[name]]
    (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (place / "t.yaml").write_text(
        "task: t\ndataset_path: json\ntest_split: test\noutput_type: multiple_choice\n"
        f"dataset_kwargs: {{data_files: {{test: {place / 'rows.jsonl'}}}}}\n"
        "doc_to_text: '{{q}}'\ndoc_to_choice: '{{a}}'\ndoc_to_target: label\n"
        "metric_list: [{metric: acc}, {metric: acc_norm}]\n"
    )
    clock.wrap(gpt2.GPT2LMHeadModel, "forward", "model")
    clock.wrap(HFLM, "_create_model", "model load")
    clock.wrap(HFLM, "_create_tokenizer", "tokenizer load")
    clock.wrap(HFLM, "tok_encode", "tokenization")
    clock.wrap(HFLM, "_loglikelihood_tokens", "scores from logits")
    clock.wrap(ConfigurableTask, "download", "data set")
    clock.wrap(ConfigurableTask, "build_all_requests", "requests")
    with clock.part("task files"):
        manager = TaskManager(include_path=str(place), include_defaults=who.endswith("all tasks"))
    found = lm_eval.simple_evaluate(
        model="hf",
        model_args={"pretrained": str(folder / name), "device": "cpu"},
        batch_size=BATCH,
        tasks=["t"],
        task_manager=manager,
        bootstrap_iters=0,
    )
    value: float = found["results"]["t"]["acc_norm,none"]
    return value


FIRST_BATCH = """
import sys, time
sys.path.insert(0, sys.argv[3])
import bench_evaluation as bench
from pathlib import Path
folder, name = Path(sys.argv[1]), sys.argv[2]
mine = bench.task("loglikelihood", folder, name)
start, used = time.perf_counter(), time.process_time()
import torch
from penstock.evaluation import _run, evaluate
def first(*_, **__):
    print(time.perf_counter() - start, time.process_time() - used, flush=True)
    raise SystemExit
_run.Scorer.run = first
evaluate(folder / name, tasks=mine, progress=False)
"""
IMPORT_AND_LOAD = """
import sys, time
from pathlib import Path
start, used = time.perf_counter(), time.process_time()
import torch
import transformers
transformers.AutoModelForCausalLM.from_pretrained(Path(sys.argv[1]) / sys.argv[2])
print(time.perf_counter() - start, time.process_time() - used, flush=True)
"""


def start_up(folder: Path, name: str, rounds: int) -> list[Row]:
    """Seconds to the first batch, beside the imports and the load of the model."""
    times: dict[str, list[tuple[float, float]]] = {FIRST_BATCH: [], IMPORT_AND_LOAD: []}
    for _ in range(rounds):
        for code, found in times.items():
            words = [sys.executable, "-c", code, str(folder), name, str(Path(__file__).parent)]
            done = subprocess.run(words, stdout=subprocess.PIPE, text=True, timeout=300, check=True)
            wall, used = map(float, done.stdout.split()[-2:])
            found.append((wall, used))
    middle = {
        code: [round(statistics.median(values), 2) for values in zip(*found, strict=True)]
        for code, found in times.items()
    }
    first, base = middle[FIRST_BATCH], middle[IMPORT_AND_LOAD]
    return [
        {
            "measure": "start",
            "model": name,
            "first_batch_wall_s": first[0],
            "first_batch_cpu_s": first[1],
            "import_and_load_wall_s": base[0],
            "import_and_load_cpu_s": base[1],
            "beyond_wall_s": round(first[0] - base[0], 2),
            "beyond_cpu_s": round(first[1] - base[1], 2),
            "load": load(),
        }
    ]


# ---------------------------------------------------------------------------- the run


def child(arguments: argparse.Namespace) -> None:
    folder, name, what = Path(arguments.folder), arguments.model, arguments.what
    if what == "make":
        make(folder)
        rows: list[Row] = []
    elif what in ("loglikelihood", "generation"):
        rows = beside_bare(folder, name, what, arguments.rounds)
    elif what == "memory":
        rows = memory(folder, name)
    elif what == "processes":
        rows = processes(folder, name, max(1, arguments.rounds - 1))
    elif what == "start":
        rows = start_up(folder, name, max(1, arguments.rounds // 2 + 1))
    else:
        rows = whole_run(folder, name, what)
    for row in rows:
        print("@" + json.dumps(row), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--what", help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.what:
        child(arguments)
        return
    small = next(iter(MODELS))
    plan = [
        *((what, name) for what in ("loglikelihood", "generation") for name in MODELS),
        ("start", small),
        ("memory", small),
        *(("processes", name) for name in MODELS),
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
