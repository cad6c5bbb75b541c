"""A worker process: deaf to Ctrl-C, which the board passes on, and gone soon after the process that started it.

An executor's worker waits for its next task on a pipe that it holds open itself: with its parent killed, it would wait
forever.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait

_busy = threading.Lock()
_own_process = False


def begin() -> None:
    """What a worker process does first; the pool's initializer."""
    global _own_process
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    _own_process = True
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the board says when to end
    threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def orphaned() -> bool:
    """Whether this is a child of a process that has gone: nobody waits for the result."""
    parent = multiprocessing.parent_process()
    return parent is not None and not parent.is_alive()


@contextmanager
def at_work() -> Iterator[None]:
    """While the block runs, an orphaned worker stays: what it has done so far is to be stored first."""
    if not _own_process:
        yield
        return
    with _busy:
        yield


def _end_after(parent: int) -> None:
    wait([parent])
    with _busy:
        os._exit(1)
