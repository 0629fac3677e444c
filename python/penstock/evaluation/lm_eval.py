"""The model class `penstock` for lm-eval: its `hf` model, split over any number of processes.

    python -m penstock.evaluation.lm_eval --model penstock --model_args pretrained=DIR --tasks ...

takes lm-eval's own arguments, and `--processes N`; it also runs under torchrun and `accelerate
launch`. In code, hand an instance to `lm_eval.simple_evaluate(model=PenstockLM(...))`; where tasks
are local files, `task_manager=TaskManager(include_path=..., include_defaults=False)` saves the six
seconds in which lm-eval reads its 14,000 task files.

lm-eval's world stays a single process: each one is given all requests, runs its share of the global
batches, and reads the others' from the part files. So batches, and scores, do not depend on the
number of processes, and `run_dir` makes them survive a kill.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lm_eval.api.registry import register_model
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs

from penstock.errors import PenstockError, TaskError
from penstock.evaluation._draw import check_sampling
from penstock.evaluation._encode import TextEncoder
from penstock.evaluation._launch import run_workers
from penstock.evaluation._model import CAUSAL, SEQ2SEQ, Model
from penstock.evaluation._parts import FORMAT
from penstock.evaluation._plan import (
    Group,
    Origin,
    digest,
    plan_generation,
    plan_pairs,
    plan_rolling,
)
from penstock.evaluation._progress import Bars
from penstock.evaluation._run import (
    THREADS,
    base_fingerprint,
    execute,
    thread_count,
)
from penstock.evaluation._score import Scorer
from penstock.evaluation._session import Process, Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lm_eval.api.instance import Instance

_SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p", "repetition_penalty")


@register_model("penstock")
class PenstockLM(HFLM):  # type: ignore[misc]
    """lm-eval's `hf` model on our batches.

    Args:
        pretrained: A folder or name, or a model of transformers.
        run_dir: Folder where finished batches are kept, so that a run that was killed goes on; the
            name of a subfolder names all that its scores depend on.
        seed: Of sampled generation; draws depend on it and on the request.
        batch_size: A number; lm-eval's `auto` would make batches depend on the machine.
        device: Where the model goes; what accelerate says when None.
        **options: As for `hf`.

    Raises:
        TaskError: An option of `hf` that is not supported here.
    """

    def __init__(
        self,
        pretrained: Any,
        run_dir: str | os.PathLike[str] | None = None,
        seed: int = 0,
        batch_size: int | str | None = 8,
        device: str | None = None,
        **options: Any,
    ) -> None:
        if not str(batch_size).isdigit():
            raise TaskError(f"batch_size is {batch_size!r}; the model `penstock` takes a number")
        for name in ("parallelize", "tp_plan", "mixed_precision_dtype"):
            if options.get(name):
                raise TaskError(f"the model `penstock` has no {name}; use `hf`")
        self._process = Process.current()
        super().__init__(
            pretrained,
            batch_size=int(batch_size or 8),
            device=device or str(self._process.device),
            **options,
        )
        # Every process gets all requests.
        self._rank, self._world_size = 0, 1
        # lm-eval writes results where this is 0, which is once on each node.
        if self._process.rank and os.environ.get("LOCAL_RANK") == "0":
            os.environ["LOCAL_RANK"] = "1"
        self._run_dir = None if run_dir is None else Path(run_dir)
        self._seed = seed
        head = CAUSAL if self.backend == "causal" else SEQ2SEQ
        self._ready = Model(self.model, head, self.max_length, torch.device(self.device))
        self._encoder = TextEncoder(
            self.tokenizer,
            adds=self.add_bos_token is not False,
            prefix_id=self.prefix_token_id,
        )
        self._base: dict[str, Any] | None = None

    # ------------------------------------------------------------------ requests

    def loglikelihood(
        self, requests: list[Instance], disable_tqdm: bool = False
    ) -> list[tuple[float, bool]]:
        """Log-likelihoods of continuations, and whether greedy decoding would give them."""
        if self.enable_thinking:
            found: list[tuple[float, bool]] = super().loglikelihood(requests, disable_tqdm)
            return found
        if not requests:
            return []
        group = plan_pairs(
            self._encoder,
            [request.args for request in requests],
            _origin(requests),
            max_length=self.max_length,
            joint=self._joint,
        )
        (outputs,) = self._execute("loglikelihood", [group], len(requests), disable_tqdm)
        answers = []
        for request, (unit, slot) in zip(requests, group.slots, strict=True):
            value, greedy = outputs[unit][slot]
            answers.append((value, greedy))
            self.cache_hook.add_partial("loglikelihood", request.args, answers[-1])
        return answers

    def loglikelihood_rolling(
        self, requests: list[Instance], disable_tqdm: bool = False
    ) -> list[float]:
        """Log-likelihoods of whole texts."""
        if not requests:
            return []
        group = plan_rolling(
            self._encoder,
            [request.args[0] for request in requests],
            _origin(requests),
            max_length=self.max_length,
            stride=self.max_length,
            joint=self._joint,
            empty=True,
        )
        (outputs,) = self._execute("rolling", [group], len(requests), disable_tqdm)
        units = iter(outputs)
        answers = []
        for request, count in zip(requests, group.options["windows"], strict=True):
            answers.append(float(sum(next(units)[0][0] for _ in range(count))))
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, answers[-1])
        return answers

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Texts after prompts."""
        if self.think_end_token is not None:
            # A stop then counts only after the thought; `hf` does that, on every process.
            found: list[str] = super().generate_until(requests, disable_tqdm)
            return found
        if not requests:
            return []
        by_options: dict[str, list[int]] = {}
        for index, request in enumerate(requests):
            by_options.setdefault(repr(sorted(request.args[1].items())), []).append(index)
        groups, orders = [], []
        for indices in by_options.values():
            order = self._in_order_of_length(requests, indices)
            chosen = [requests[index] for index in order]
            groups.append(self._plan_generation(chosen))
            orders.append(order)
        outputs = self._execute("generate", groups, len(requests), disable_tqdm)
        answers = [""] * len(requests)
        for order, rows in zip(orders, outputs, strict=True):
            for index, (text, _) in zip(order, rows, strict=True):
                answers[index] = text
                self.cache_hook.add_partial("generate_until", requests[index].args, text)
        return answers

    # ------------------------------------------------------------------ how they run

    @property
    def _joint(self) -> bool:
        return bool(self.backend == "causal")

    def _in_order_of_length(self, requests: Sequence[Instance], indices: list[int]) -> list[int]:
        """Longest first, then by text: `hf`'s order, in which it cuts batches."""
        texts = [requests[index].args[0] for index in indices]
        ids = self._encoder.encode_unique(texts)
        return sorted(indices, key=lambda i: (-len(ids[requests[i].args[0]]), requests[i].args[0]))

    def _plan_generation(self, requests: Sequence[Instance]) -> Group:
        """Requests of one set of options, as `hf` reads them."""
        options = normalize_gen_kwargs(requests[0].args[1], self.max_gen_toks)
        end = self.tok_decode(self.eot_token_id, skip_special_tokens=False)
        stop = handle_stop_sequences(options.pop("until", None), eos=end)
        longest = options.pop("max_gen_toks")
        sampled = options.pop("do_sample", False)
        sampling = None
        if sampled:
            sampling = {name: options.pop(name) for name in _SAMPLING if name in options}
            check_sampling(requests[0].task_name or "generate_until", sampling)
        options.pop("temperature", None)
        return plan_generation(
            self._encoder,
            [request.args[0] for request in requests],
            _origin(requests),
            max_length=self.max_length,
            options={
                "max_new_tokens": longest,
                "stop": stop,
                "sampling": sampling,
                "generate": dict(options),
                "plus_width": not self._joint,
            },
            joint=self._joint,
        )

    def _execute(self, kind: str, groups: list[Group], count: int, quiet: bool) -> list[list[Any]]:
        """Outputs of all units, on every process."""
        for group in groups:
            group.cut(self.batch_size, None)
        if self._base is None:
            self._base = base_fingerprint(self._ready, self._encoder)
        fingerprint = {
            **self._base,
            "kind": kind,
            "batch_size": self.batch_size,
            "max_length": self.max_length,
            "seed": self._seed,
            "batches": [group.digest() for group in groups],
            "options": [{k: repr(v) for k, v in group.options.items()} for group in groups],
        }
        output = None
        if self._run_dir is not None:
            output = self._run_dir / f"{kind}-{digest(fingerprint)[:16]}"
        bars = Bars([(kind, count)], shown=self._process.is_main and not quiet)
        with (
            Session(self._process, output) as session,
            thread_count(session, None, resume=True) as threads,
            bars if len(groups) == 1 else nullcontext(),
        ):
            manifest = {"format": FORMAT, "fingerprint": fingerprint, THREADS: threads}
            scorer = Scorer(self._ready, self._encoder, self._seed)
            outputs = execute(
                session, groups, scorer, manifest, resume=True, bars=bars, everywhere=True
            )
        if outputs is None:
            raise TaskError(f"{output} holds a run of another kind")
        return outputs


def _origin(requests: Sequence[Instance]) -> Origin:
    return Origin(
        requests[0].task_name or "lm-eval",
        [request.doc_id or 0 for request in requests],
        [request.idx or 0 for request in requests],
        [request.task_name or "lm-eval" for request in requests],
    )


def main(arguments: list[str]) -> int:
    """lm-eval's command line, with `--processes N` on top."""
    if "--processes" in arguments:
        place = arguments.index("--processes")
        count = arguments[place + 1 : place + 2]
        if not count or not count[0].isdigit() or int(count[0]) < 1:
            print("penstock: error: --processes takes a number", file=sys.stderr)
            return 2
        rest = arguments[:place] + arguments[place + 2 :]
        if int(count[0]) > 1:
            command = [sys.executable, "-m", "penstock.evaluation.lm_eval", *rest]
            with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
                try:
                    run_workers(command, int(count[0]), Path(folder))
                except PenstockError as error:
                    print(f"penstock: error: {error}", file=sys.stderr)
                    return 1
            return 0
        arguments = rest
    from lm_eval.__main__ import cli_evaluate

    sys.argv = ["lm_eval", *arguments]
    if int(os.environ.get("RANK", "0")):
        # One process prints and writes; the others have the same to say.
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
        for option in ("--output_path", "-o"):
            if option in arguments:
                place = sys.argv.index(option)
                del sys.argv[place : place + 2]
        sys.argv = [word for word in sys.argv if word not in ("--log_samples", "-s")]
    cli_evaluate()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
