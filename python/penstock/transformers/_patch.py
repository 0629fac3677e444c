"""The only assignments to classes that penstock does not own.

Each part of the package declares its replacements; this module puts them in place and takes them
back. A replaced attribute is kept as the very object that stood in the class, so that afterwards
the class is as it was.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock import _locks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MISSING = object()


@dataclass(frozen=True)
class Replacement:
    """One attribute of a class.

    Attributes:
        owner: The class.
        name: The attribute.
        make: Gets what `owner.name` is, inherited or not, as it stands in the class's `__dict__`
            (functions plain, class methods and properties as such), and returns what takes its
            place.
    """

    owner: type
    name: str
    make: Callable[[Any], Any]


class Group:
    """Replacements that come and go together.

    A group is in place while at least one reason holds, such as `install()` or a wrapped tokenizer
    that is in use.
    """

    def __init__(self, declare: Callable[[], list[Replacement]]) -> None:
        """`declare` is called when the group is first put in place: it may import what it needs."""
        self._declare = declare
        self._reasons: set[str] = set()
        self._kept: list[tuple[type, str, Any]] = []
        self._lock = _locks.rlock()

    @property
    def reasons(self) -> frozenset[str]:
        """Why the replacements are in place; empty when they are not."""
        return frozenset(self._reasons)

    def apply(self, reason: str) -> None:
        """Puts the replacements in place, unless they are, and notes the reason."""
        with self._lock:
            if not self._reasons:
                for replacement in self._declare():
                    self._put(replacement)
            self._reasons.add(reason)

    def revert(self, reason: str) -> None:
        """Takes a reason back; with the last one, every class gets its own objects back."""
        with self._lock:
            if reason not in self._reasons:
                return
            self._reasons.discard(reason)
            if not self._reasons:
                while self._kept:
                    owner, name, value = self._kept.pop()
                    if value is _MISSING:
                        delattr(owner, name)
                    else:
                        setattr(owner, name, value)

    def _put(self, replacement: Replacement) -> None:
        owner, name = replacement.owner, replacement.name
        for base in owner.__mro__:
            if name in base.__dict__:
                original = base.__dict__[name]
                break
        else:
            original = None
        self._kept.append((owner, name, owner.__dict__.get(name, _MISSING)))
        setattr(owner, name, replacement.make(original))


_INSTALL = "install"
_groups: list[Group] = []
_callbacks: list[Callable[[bool], None]] = []


def register(group: Group, *, on_change: Callable[[bool], None] | None = None) -> Group:
    """Makes a group part of `install()`; `on_change` hears True then, and False at the end."""
    _groups.append(group)
    if on_change is not None:
        _callbacks.append(on_change)
    return group


def install() -> None:
    """Makes every tokenizer of transformers run on penstock, those made by others' code too.

    Explicit and reversible: importing penstock changes nothing, `uninstall` puts everything back,
    and a second `install` does nothing. What penstock does not cover runs as before;
    `engine_of` tells.

    Example:
        >>> import penstock.transformers  # doctest: +SKIP
        >>> penstock.transformers.install()  # doctest: +SKIP
    """
    for group in _groups:
        group.apply(_INSTALL)
    for callback in _callbacks:
        callback(True)


def uninstall() -> None:
    """Takes `install` back; without an `install` it does nothing.

    Tokenizers made by `wrap` and `AutoTokenizer` of this package stay as they are.
    """
    for callback in _callbacks:
        callback(False)
    for group in _groups:
        group.revert(_INSTALL)


@contextmanager
def installed() -> Iterator[None]:
    """`install` for the length of a `with` block.

    An `install` that was there before stays.
    """
    before = is_installed()
    install()
    try:
        yield
    finally:
        if not before:
            uninstall()


def is_installed() -> bool:
    """True between `install` and `uninstall`."""
    return any(_INSTALL in group.reasons for group in _groups)
