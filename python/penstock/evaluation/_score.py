"""Runs batches: log-likelihoods at the needed positions, class scores, generated texts."""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from penstock.errors import TaskError
from penstock.evaluation._generate import generate
from penstock.evaluation._model import CAUSAL, SEQ2SEQ

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.evaluation._encode import TextEncoder
    from penstock.evaluation._model import Model
    from penstock.evaluation._plan import Group
    from penstock.evaluation._units import Unit

Output = list[Any]
"""What JSON holds of one unit: `[[log-likelihood, greedy], ...]` of its continuations, its class
scores, or `[text, number of tokens]`."""

_CHUNK_BYTES = 1 << 20
"""Logits that are normalised together: few enough to stay in a core's cache between the passes."""


class Scorer:
    """Runs the units of any group on a model."""

    def __init__(self, model: Model, encoder: TextEncoder, seed: int) -> None:
        self.model = model
        self.encoder = encoder
        self.seed = seed
        accepted = inspect.signature(model.module.forward).parameters
        self._keeps = "logits_to_keep" in accepted
        self._options: dict[str, Any] = {"use_cache": False} if "use_cache" in accepted else {}
        self._typed = "token_type_ids" in accepted

    @torch.inference_mode()
    def run(self, group: Group, units: Sequence[Unit]) -> list[Output]:
        """The outputs of units, in their order.

        Raises:
            TaskError: A score is not a number.
        """
        runs: dict[str, Callable[[Group, Sequence[Unit]], list[Output]]] = {
            "loglikelihood": self._loglikelihoods,
            "classify": self._classify,
            "generate": self._generate,
        }
        return runs[group.kind](group, units)

    def _loglikelihoods(self, group: Group, units: Sequence[Unit]) -> list[Output]:
        if self.model.head == SEQ2SEQ:
            logits, starts = self._logits_seq2seq(units)
        else:
            logits, starts = self._logits_causal(units)
        outputs = []
        for row, unit in enumerate(units):
            found = []
            for cont in unit.conts:
                end = starts[row] + (len(unit.ids) if self.model.head == CAUSAL else len(cont))
                value, greedy = score(logits[row, end - len(cont) : end], cont)
                if math.isnan(value):
                    message = "the model's logits are not numbers (NaN)"
                    raise TaskError(message, group.name, unit.sample)
                found.append([value, greedy])
            outputs.append(found)
        return outputs

    def _logits_causal(self, units: Sequence[Unit]) -> tuple[torch.Tensor, list[int]]:
        """Logits from the first position that some row needs; where each row begins in them.

        Rows are padded on the right, where no real position can see the padding.
        """
        width = max(len(unit.ids) for unit in units)
        ids = np.zeros((len(units), width), np.int64)
        for row, unit in enumerate(units):
            ids[row, : len(unit.ids)] = unit.ids
        first = min(len(unit.ids) - max(map(len, unit.conts)) for unit in units)
        options = dict(self._options)
        if self._keeps:
            options["logits_to_keep"] = width - first
        tokens = torch.from_numpy(ids).to(self.model.device)
        logits = self.model.module(input_ids=tokens, **options).logits
        # Also right for a model that puts positions of its own in front.
        return logits, [logits.shape[1] - width] * len(units)

    def _logits_seq2seq(self, units: Sequence[Unit]) -> tuple[torch.Tensor, list[int]]:
        width = max(len(unit.ids) for unit in units)
        target_width = max(len(unit.conts[0]) for unit in units)
        ids = np.zeros((len(units), width), np.int64)
        mask = np.zeros((len(units), width), np.int64)
        labels = np.zeros((len(units), target_width), np.int64)
        for row, unit in enumerate(units):
            ids[row, : len(unit.ids)] = unit.ids
            mask[row, : len(unit.ids)] = 1
            labels[row, : len(unit.conts[0])] = unit.conts[0]
        device = self.model.device
        shifted = self._shifted(torch.from_numpy(labels).to(device))
        logits = self.model.module(
            input_ids=torch.from_numpy(ids).to(device),
            attention_mask=torch.from_numpy(mask).to(device),
            decoder_input_ids=shifted,
            **self._options,
        ).logits
        return logits, [0] * len(units)

    def _shifted(self, labels: torch.Tensor) -> torch.Tensor:
        """What the decoder reads to predict `labels`."""
        start = self.model.module.config.decoder_start_token_id
        shifted = labels.new_full(labels.shape, start)
        shifted[:, 1:] = labels[:, :-1]
        return shifted

    def _classify(self, group: Group, units: Sequence[Unit]) -> list[Output]:
        width = max(len(unit.ids) for unit in units)
        ids = np.full((len(units), width), self.encoder.pad_id, np.int64)
        mask = np.zeros((len(units), width), np.int64)
        types = np.zeros((len(units), width), np.int64)
        for row, unit in enumerate(units):
            ids[row, : len(unit.ids)] = unit.ids
            mask[row, : len(unit.ids)] = 1
            if unit.types is not None:
                types[row, : len(unit.ids)] = unit.types
        device = self.model.device
        options = {}
        if self._typed and units[0].types is not None:
            options["token_type_ids"] = torch.from_numpy(types).to(device)
        logits = self.model.module(
            input_ids=torch.from_numpy(ids).to(device),
            attention_mask=torch.from_numpy(mask).to(device),
            **options,
        ).logits
        rows: list[Output] = logits.double().tolist()
        for unit, scores in zip(units, rows, strict=True):
            if any(math.isnan(value) for value in scores):
                message = "the model's logits are not numbers (NaN)"
                raise TaskError(message, group.name, unit.sample)
        return rows

    def _generate(self, group: Group, units: Sequence[Unit]) -> list[Output]:
        prompts = [unit.ids for unit in units]
        samples = [unit.sample for unit in units]
        return generate(self.model, self.encoder, group, prompts, samples, self.seed)


def score(logits: torch.Tensor, cont: Any) -> tuple[float, bool]:
    """Log-likelihood of a continuation, and whether greedy decoding would give it.

    Args:
        logits: `[len(cont), vocabulary]`, in the model's type.
        cont: Token ids.

    Returns:
        The float64 sum of float32 log-probabilities.
    """
    targets = torch.from_numpy(np.ascontiguousarray(cont, np.int64)).to(logits.device)[:, None]
    rows = max(1, _CHUNK_BYTES // (logits.shape[1] * 4))
    values: list[float] = []
    greedy = True
    for start in range(0, len(targets), rows):
        part = logits[start : start + rows].float()
        target = targets[start : start + rows]
        likely = torch.log_softmax(part, dim=-1)
        values += likely.gather(1, target)[:, 0].tolist()
        greedy = greedy and bool((part.argmax(dim=-1, keepdim=True) == target).all())
    return math.fsum(values) if all(map(math.isfinite, values)) else sum(values), greedy
