"""What needs torch: its generator, the proof that its stream is ours, and rows that it decides.

torch is loaded by the first call that needs it, never by an import.
"""

from __future__ import annotations

import functools
import sys
import warnings
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from penstock import _locks, _native
from penstock.errors import LogitsError, MissingDependencyError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from numpy.typing import NDArray

    from penstock.sampling._params import Plans, Step

T = TypeVar("T")

# torch's AVX-512 build sums sixteen lanes, its AVX2 build eight.
DEFAULT_LANES = 16
_PROOF_SIZES = (7, 40, 1000, 4099)


class Torch(NamedTuple):
    """What a step takes of torch, looked up once."""

    tensor: Any
    from_numpy: Any
    generator: Any
    lock: threading.Lock
    lanes: int


# A draw reads a generator's state, and writes it later: of two threads at once both would draw the
# same numbers.
_generator_locks: weakref.WeakKeyDictionary[Any, threading.Lock] = weakref.WeakKeyDictionary()
_adding = _locks.lock()

# Empty until the program uses torch.
_ready: list[Torch] = []


def ready() -> Torch | None:
    """Torch, if the program uses it and the compiled stream is proven to be its own."""
    if not _ready and is_loaded() and (lanes := proof()):
        torch = module()
        own = torch.default_generator
        _ready.append(Torch(torch.Tensor, torch.from_numpy, own, lock_of(own), lanes))
    return _ready[0] if _ready else None


def lock_of(generator: Any) -> threading.Lock:
    """What a thread holds while it draws from a generator."""
    held = _generator_locks.get(generator)
    if held is None:
        with _adding:
            held = _generator_locks.setdefault(generator, _locks.lock())
    return held


def drawn_from(generator: Any, draw: Callable[[NDArray[np.uint8]], T]) -> T:
    """What `draw` gives, which advances the state of a generator; an error leaves it as it was."""
    with lock_of(generator):
        state = generator.get_state()
        drawn = draw(state.numpy())
        generator.set_state(state)
    return drawn


def is_loaded() -> bool:
    """Whether the program uses torch."""
    return "torch" in sys.modules


def module() -> Any:
    """Torch.

    Raises:
        MissingDependencyError: It is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingDependencyError(
            'rng="torch" without a seed uses torch\'s global generator, but torch is not '
            'installed; give a seed, or rng="row-seeds"'
        ) from error
    return torch


def from_numpy(array: Any) -> Any:
    """A tensor over the array's memory."""
    return sys.modules["torch"].from_numpy(array)


@functools.cache
def proof() -> int | None:
    """The lanes of torch's sums if this torch draws as the compiled stream does, else none.

    Compares softmax bit for bit, and draws, generator states and uniforms at odd positions, on
    generators of its own. Says so once if something differs.
    """
    torch = module()
    lanes = _lanes(torch)
    if lanes is not None and _stream_is_ours(torch, lanes):
        return lanes
    warnings.warn(
        f"torch {torch.__version__} does not draw as the compiled sampler does: filters stay "
        "compiled, the draws are made by torch.multinomial",
        RuntimeWarning,
        stacklevel=4,
    )
    return None


def _lanes(torch: Any) -> int | None:
    generator = torch.Generator().manual_seed(7)
    rows = [torch.randn(2, size, generator=generator) * 4 for size in _PROOF_SIZES]
    for lanes in (16, 8):
        ours = [_native.sampling_softmax(row.numpy(), lanes) for row in rows]
        if all(
            np.array_equal(torch.softmax(row, -1).numpy(), probs)
            for row, probs in zip(rows, ours, strict=True)
        ):
            return lanes
    return None


def _stream_is_ours(torch: Any, lanes: int) -> bool:
    for seed in (1, 2, 3):
        generator = torch.Generator().manual_seed(seed)
        torch.rand(seed, generator=generator)
        state = generator.get_state().numpy().copy()
        probs = torch.softmax(
            torch.randn(3, 400 + seed, generator=torch.Generator().manual_seed(seed)), -1
        )
        for count in (1, 3):
            expected = torch.multinomial(probs, count, generator=generator).numpy()
            ours = _native.torch_multinomial(probs.numpy(), state, count)
            if not np.array_equal(expected, ours):
                return False
        if not np.array_equal(
            torch.rand(5, generator=generator).numpy(), _native.torch_uniform(state, 5)
        ):
            return False
        if not np.array_equal(
            torch.multinomial(probs, 1, generator=generator).numpy(),
            _native.torch_multinomial(probs.numpy(), state, 1),
        ):
            return False
        if not np.array_equal(generator.get_state().numpy(), state):
            return False
    return lanes is not None


def lanes_without_torch() -> int:
    """The lanes to sum over: torch's if it is loaded and proven, else those of AVX-512."""
    return (proof() or DEFAULT_LANES) if is_loaded() else DEFAULT_LANES


def draw(
    native: Any,
    plans: Plans,
    array: Any,
    brain: bool,
    options: dict[str, Any] | None,
    generator: Any,
) -> Any:
    """Draws from a torch generator and leaves it where `torch.multinomial` would."""
    lanes = proof()
    if generator is None:
        generator = sys.modules["torch"].default_generator
    if lanes is None:
        return _draw_by_torch(native, plans, array, brain, options, generator)
    if lanes != DEFAULT_LANES:
        options = {**(options or {}), "lanes": lanes}
    drawn = drawn_from(generator, lambda state: native.draw_torch(array, state, brain, options))
    return resolve(drawn, plans, array, brain, options) if drawn[1] else drawn


def resolve(
    drawn: Any,
    plans: Plans,
    array: Any,
    brain: bool,
    options: dict[str, Any] | None,
) -> Any:
    """Lets torch decide the rows that depend on a rounding or an order of ties inside of it."""
    torch = module()
    tokens = drawn[0]
    for row, state in drawn[1]:
        scores = scores_by_torch(plans, array, brain, options, row)
        if state is None:
            tokens[row] = torch.argmax(scores, -1).item()
        else:
            probs = torch.softmax(scores, -1).numpy()
            position = np.frombuffer(state, dtype=np.uint8).copy()
            tokens[row] = _native.torch_multinomial(probs, position, 1)[0, 0]
        if drawn[2] is not None:
            raw = options is not None and options["raw_logprobs"]
            source = row_tensor(array, brain, row) if raw else scores
            drawn[2][0][row] = torch.log_softmax(source, -1)[0, tokens[row]].item()
    return tokens, [], drawn[2]


def exact_scores(
    native: Any,
    plans: Plans,
    array: Any,
    brain: bool,
    options: dict[str, Any] | None,
) -> Any:
    """The scores of a batch; rows that depend on torch are computed by it if it is there."""
    if is_loaded() and (lanes := proof()) not in (None, DEFAULT_LANES):
        options = {**(options or {}), "lanes": lanes}
    scores, uncertain = native.scores(array, brain, options)
    if uncertain and is_loaded():
        for row in uncertain:
            scores[row] = scores_by_torch(plans, array, brain, options, row).numpy()[0]
    return scores


def _draw_by_torch(
    native: Any,
    plans: Plans,
    array: Any,
    brain: bool,
    options: dict[str, Any] | None,
    generator: Any,
) -> Any:
    """Compiled filters, torch's own draw: for a torch whose stream is another."""
    torch = module()
    scores = torch.from_numpy(exact_scores(native, plans, array, brain, options))
    greedy = torch.argmax(scores, -1)
    probs = torch.softmax(scores, -1)
    if not torch.isfinite(probs).all():
        bad = int((~torch.isfinite(probs)).any(-1).nonzero()[0, 0])
        raise LogitsError(f"row {bad}: the row has no distribution", bad)
    tokens = torch.multinomial(probs, 1, generator=generator)[:, 0]
    samples = torch.tensor([plans[row if len(plans) > 1 else 0][0] for row in range(len(array))])
    drawn = native.draw_rows(array, [(0, 0)] * len(array), brain, options)
    return torch.where(samples, tokens, greedy).numpy(), [], drawn[2]


def row_tensor(array: Any, brain: bool, row: int) -> Any:
    """One row of the caller's logits as a `float32` tensor `[1, vocabulary]`."""
    torch = module()
    values = np.ascontiguousarray(array[row : row + 1])
    if values.dtype == np.float32:
        return torch.from_numpy(values.copy())
    dtype = torch.bfloat16 if brain else torch.float16
    return torch.from_numpy(values.view(np.int16)).view(dtype).to(torch.float32)


def scores_by_torch(
    plans: Plans,
    array: Any,
    brain: bool,
    options: dict[str, Any] | None,
    row: int,
) -> Any:
    """The steps of one row, in torch's operations."""
    from penstock.sampling import _torch_steps

    torch = module()
    options = options or {}

    def part(name: str) -> Any:
        rows = options.get(name)
        return None if rows is None else torch.from_numpy(np.ascontiguousarray(rows[row : row + 1]))

    def number(name: str) -> Any:
        values = options.get(name)
        return values[row] if values else 0

    history = _torch_steps.History(
        input_ids=part("input_ids"),
        encoder_ids=part("encoder_ids"),
        allowed=part("allowed"),
        prefix_allowed=part("prefix_allowed"),
        padding=[number("padding")],
        prompt=[number("prompt")],
        guide=part("guide"),
        forced=[bool(number("forced"))],
        mark=options["marks"][row] if "marks" in options else None,
        row=row,
        alone=len(array) == 1,
    )
    steps = plans[row if len(plans) > 1 else 0][1]
    return _torch_steps.run(steps, row_tensor(array, brain, row), history)


def scores_of_batch(steps: list[Step], logits: Any, options: dict[str, Any] | None) -> Any:
    """The steps of all rows of a tensor, in torch's operations."""
    torch = module()
    array = logits.to(torch.float32).numpy()
    plans = [(True, steps)]
    return torch.cat([scores_by_torch(plans, array, False, options, r) for r in range(len(array))])
