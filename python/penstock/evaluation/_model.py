"""The model under evaluation: which head it has, how it is loaded, what names its weights."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import transformers

from penstock.errors import MissingFileError, TaskError

if TYPE_CHECKING:
    from collections.abc import Iterable

CAUSAL, SEQ2SEQ, CLASSIFIER = "causal", "seq2seq", "classifier"
_HEADS = {
    "perplexity": (CAUSAL, SEQ2SEQ),
    "multiple_choice": (CAUSAL, SEQ2SEQ),
    "generation": (CAUSAL, SEQ2SEQ),
    "classification": (CLASSIFIER,),
}
_HEAD_NAMES = {
    CAUSAL: "a language-model head",
    SEQ2SEQ: "a sequence-to-sequence head",
    CLASSIFIER: "a sequence-classification head",
}
_DEFAULT_LENGTH = 2048
_LENGTH_NAMES = ("n_positions", "max_position_embeddings", "n_ctx")
_UNSET_LENGTH = 10**12
"""Tokenizers without a length say 1e30."""
_ALIGNMENT = 64
_DIGEST_CHUNK = 1 << 24


@dataclass(frozen=True)
class Model:
    """A model ready to be run.

    Attributes:
        module: The module, in evaluation mode, on its device.
        head: `causal`, `seq2seq` or `classifier`.
        max_length: Tokens that it reads at most.
        device: Where it is.
    """

    module: Any
    head: str
    max_length: int
    device: torch.device

    @property
    def dtype(self) -> str:
        """Type of the weights."""
        return str(next(self.module.parameters()).dtype).removeprefix("torch.")


def is_path(model: Any) -> bool:
    """Whether a model is named rather than given."""
    return isinstance(model, (str, os.PathLike))


def config_of(model: Any) -> Any:
    """The configuration of a model or of the one in a folder.

    Raises:
        MissingFileError: There is no such folder.
        TaskError: transformers does not know it.
    """
    if not is_path(model):
        return getattr(model, "config", None)
    path = os.fspath(model)
    if path.startswith((".", "/", "~")) and not os.path.isdir(path):  # noqa: PTH112
        raise MissingFileError(2, "No such folder", path)
    try:
        return transformers.AutoConfig.from_pretrained(path)
    except (OSError, ValueError) as error:
        raise TaskError(f"no model loads from {path}: {error}") from error


def head_of(model: Any, config: Any) -> str:
    """Which head a model has, from its class or from what its folder says of it."""
    if is_path(model):
        names = list(getattr(config, "architectures", None) or [])
    else:
        names = [base.__name__ for base in type(model).__mro__]
    if any(name.endswith("ForSequenceClassification") for name in names):
        return CLASSIFIER
    if getattr(config, "is_encoder_decoder", False):
        return SEQ2SEQ
    generates = getattr(model, "can_generate", None)
    if is_path(model):
        # A folder that names no class may hold anything; loading it finds out.
        known = not names or any(_generates(name) for name in names)
        return CAUSAL if known else names[0]
    return CAUSAL if generates is None or generates() else type(model).__name__


def _generates(name: str) -> bool:
    return name.endswith(("LMHeadModel", "ForCausalLM", "ForConditionalGeneration"))


def check_head(head: str, tasks: Iterable[Any]) -> None:
    """Refuses tasks that need another head.

    Raises:
        TaskError: One does.
    """
    for task in tasks:
        needed = _HEADS[task.kind]
        if head not in needed:
            wanted = " or ".join(_HEAD_NAMES[name] for name in needed)
            has = _HEAD_NAMES.get(head, head)
            message = f"a {task.kind} task needs a model with {wanted}; this one has {has}"
            raise TaskError(message, task.name)


def max_length_of(config: Any, tokenizer: Any = None) -> int:
    """Tokens that a model reads at most: from its configuration, else its tokenizer, else 2048."""
    text_config = getattr(config, "text_config", None) or config
    for name in _LENGTH_NAMES:
        value = getattr(text_config, name, None)
        if value is not None:
            return int(value)
    value = getattr(tokenizer, "model_max_length", None)
    return int(value) if value is not None and value < _UNSET_LENGTH else _DEFAULT_LENGTH


def load_model(
    model: Any, head: str, max_length: int, device: torch.device, dtype: Any = "auto"
) -> Model:
    """Loads a model from a folder or a name, or takes the one given, and puts it on its device.

    Raises:
        TaskError: Weights are missing, so that transformers would make them up.
    """
    if is_path(model):
        module = _load(os.fspath(model), head, dtype)
        module.to(device)
    else:
        module = model
        device = getattr(module, "device", device)
    _align(module)
    module.eval()
    return Model(module, head, max_length, device)


def _load(path: str, head: str, dtype: Any) -> Any:
    classes: dict[str, Any] = {
        CAUSAL: transformers.AutoModelForCausalLM,
        SEQ2SEQ: transformers.AutoModelForSeq2SeqLM,
        CLASSIFIER: transformers.AutoModelForSequenceClassification,
    }
    logging: Any = transformers.logging
    level = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        module, found = classes[head].from_pretrained(path, dtype=dtype, output_loading_info=True)
    except (OSError, ValueError) as error:
        raise TaskError(f"no model loads from {path}: {error}") from error
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
    if missing := sorted(found.get("missing_keys") or ()):
        message = f"{path} has no weights for {', '.join(missing[:4])} of {_HEAD_NAMES[head]}"
        raise TaskError(message)
    return module


def _align(module: Any) -> None:
    """Moves weights on the CPU to memory as torch allocates it.

    Weights mapped from a file lie where the file has them, and MKL's product of a matrix and a
    single vector sums in another order for another address modulo 16: the same batch would get
    other last bits in another process.
    """
    for tensor in (*module.parameters(), *module.buffers()):
        if (
            tensor.device.type == "cpu"
            and tensor.data_ptr() % _ALIGNMENT
            and not tensor.is_shared()
        ):
            tensor.data = tensor.data.clone()


def model_digest(module: Any) -> dict[str, str]:
    """Names a model: digests of its configuration and of its weights as they are in memory.

    A name alone would miss a folder whose files were replaced.
    """
    config: Any = getattr(module, "config", None)
    described = config.to_dict() if hasattr(config, "to_dict") else {}
    for key in ("_name_or_path", "transformers_version", "architectures", "dtype"):
        described.pop(key, None)
    text = json.dumps(described, sort_keys=True, default=str)
    seen: set[tuple[int, tuple[int, ...]]] = set()
    tensors: list[tuple[str, torch.Tensor]] = []
    for name, tensor in sorted(module.state_dict().items()):
        place = (tensor.data_ptr(), tuple(tensor.shape))
        if place not in seen:  # tied weights have two names
            seen.add(place)
            tensors.append((name, tensor))
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        parts = list(pool.map(lambda item: _tensor_digest(*item), tensors))
    return {
        "model class": type(module).__name__,
        "model config": hashlib.sha256(text.encode()).hexdigest(),
        "model weights": hashlib.sha256("".join(parts).encode()).hexdigest(),
    }


def _tensor_digest(name: str, tensor: torch.Tensor) -> str:
    hasher = hashlib.sha256(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
    flat = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
    for start in range(0, len(flat), _DIGEST_CHUNK):
        # hashlib lets other threads run while it hashes.
        hasher.update(flat[start : start + _DIGEST_CHUNK].cpu().numpy().tobytes())
    return hasher.hexdigest()
