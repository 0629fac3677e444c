"""Locks that a forked child can take, whatever its parent's threads held."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

_locks: weakref.WeakSet[Any] = weakref.WeakSet()


def lock() -> threading.Lock:
    """A `threading.Lock`, free in every child."""
    made = threading.Lock()
    _locks.add(made)
    return made


def rlock() -> threading.RLock:
    """A `threading.RLock`, free in every child."""
    made = threading.RLock()
    _locks.add(made)
    return made


def _free_all() -> None:
    # The threads that hold them are not in the child, so nobody would ever let go.
    for held in _locks:
        held._at_fork_reinit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_all)
