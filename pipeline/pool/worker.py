"""A worker process: it ends its work soon when a signal or the status folder says so, and exits soon after its parent.

A terminal's Ctrl-C and `timeout` signal the whole process group, workers too. A worker therefore starts with signals
held back (`interruption.held_back`), so that its imports are never interrupted, and from `begin` on answers them by
ending what it does with what it has. A worker whose parent is killed stores what it has and ends: an executor's worker
would wait for its next task for ever, on a pipe that it holds open itself.
"""

import atexit
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from types import FrameType

from pipeline.pool.interruption import SIGNALS

_busy = threading.Lock()
_own_process = False
_signalled = False


def begin() -> None:
    """What a worker process does first; the initializer of a pool."""
    global _own_process
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    _own_process = True
    # Nothing of it needs an orderly end once its last result is sent, and where a thread still holds a frame when the
    # interpreter unloads its libraries, DuckDB's binding prints forty lines.
    atexit.register(os._exit, 0)
    for kind in SIGNALS:
        signal.signal(kind, _stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def stopped() -> bool:
    """Whether this worker was signalled, or is an orphan: nobody waits for its result."""
    parent = multiprocessing.parent_process()
    return _signalled or (parent is not None and not parent.is_alive())


@contextmanager
def at_work() -> Iterator[None]:
    """While the block runs, an orphaned worker stays: what it has done so far is to be stored first."""
    if not _own_process:
        yield
        return
    with _busy:
        yield


def _stop(number: int, frame: FrameType | None) -> None:
    global _signalled
    _signalled = True


def _end_after(parent: int) -> None:
    wait([parent])
    with _busy:
        os._exit(1)
