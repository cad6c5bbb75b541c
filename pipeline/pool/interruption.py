"""SIGINT (Ctrl-C), SIGTERM and SIGHUP: one line on standard error and exit code 130, whenever they come.

A command calls `arm` before its long imports: from then on a signal ends it at once. Its work is `Supervised`: it runs
in a thread that no signal reaches, while the main thread waits: the first signal asks the work to end soon with what it
has, a second one ends the process at once. So a signal never raises an exception in the middle of a function, in a
library or in an interpreter that is about to end.

Only the standard library is imported here, because a command imports this module first.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Generic, NoReturn, TypeVar

INTERRUPTED = 130  # the exit code that a shell reports after SIGINT
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LINE = "interrupted; run the same command again to go on"
# `timeout` signals its child and then the child's group: signals that are this close together are one request
SAME_REQUEST_SECONDS = 0.5
POLL_SECONDS = 0.1
_SHOW_CURSOR = b"\x1b[?25h\r\n"

T = TypeVar("T")


def arm(line: str = LINE) -> None:
    """From now on, a signal prints `line` and ends the process at once. Call it in the main thread."""
    _answer(lambda number, frame: leave(line))


def leave(line: str) -> NoReturn:
    """Print `line` on standard error and end the process at once, with exit code 130."""
    with contextlib.suppress(OSError):
        if os.isatty(1) and "rich.live" in sys.modules:  # progress bars hide the cursor
            os.write(1, _SHOW_CURSOR)
        os.write(2, f"{line}\n".encode())
    os._exit(INTERRUPTED)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """No signal reaches this thread in the block, nor the threads and processes that it starts there."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def heard(first: Callable[[], None], second: Callable[[], None]) -> Iterator[None]:
    """In the block, the first signal calls `first`, later ones call `second`. Does nothing outside the main thread."""
    begun = 0.0

    def answer(number: int, frame: FrameType | None) -> None:
        nonlocal begun
        if not begun:
            begun = time.monotonic()
            first()
        elif time.monotonic() - begun > SAME_REQUEST_SECONDS:
            second()

    with answered(answer):
        yield


@contextlib.contextmanager
def answered(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """In the block, `handler` is called on every signal. Does nothing outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {kind: signal.getsignal(kind) for kind in SIGNALS}
    _answer(handler)
    try:
        yield
    finally:
        for kind, earlier in before.items():
            signal.signal(kind, earlier)


class Supervised(Generic[T]):
    """Work in a thread that no signal reaches, watched by the main thread.

    `stop` asks the work to end soon; it says whether the work needs that (False: nothing has begun, leave at once).
    `clear` is called before the process is left at once: it ends child processes and removes temporary files.
    """

    def __init__(self, work: Callable[[], T], *, stop: Callable[[], bool], clear: Callable[[], None]) -> None:
        self._work, self._stop, self._clear = work, stop, clear
        self._results: list[T] = []
        self._errors: list[BaseException] = []
        self.interrupted = False

    def run(self) -> T:
        """Run the work to its end and return its result, or raise what it raised. Call it in the main thread.

        After an interruption signals are ignored from then on: the process is about to end as asked, and `timeout`'s
        second signal, or an impatient one, would kill the interpreter while it does.
        """
        thread = threading.Thread(target=self._run, name="work")
        with contextlib.ExitStack() as ends:
            with heard(self._first, self._at_once):
                with held_back():  # a thread starts with the mask of the one that starts it
                    thread.start()
                while thread.is_alive():
                    thread.join(POLL_SECONDS)
                ends.enter_context(held_back())  # none comes between two handlers
            if self.interrupted and threading.current_thread() is threading.main_thread():
                for kind in SIGNALS:
                    signal.signal(kind, signal.SIG_IGN)
        if self._errors:
            raise self._errors[0]
        return self._results[0]

    def _run(self) -> None:
        try:
            self._results.append(self._work())
        except BaseException as error:  # raised again by `run`
            self._errors.append(error)

    def _first(self) -> None:
        self.interrupted = True
        if not self._stop():
            self._at_once()

    def _at_once(self) -> None:
        try:
            self._clear()
        finally:
            leave(LINE)


def _answer(handler: Callable[[int, FrameType | None], object]) -> None:
    for kind in SIGNALS:
        if kind is signal.SIGHUP and signal.getsignal(kind) is signal.SIG_IGN:
            continue  # nohup
        signal.signal(kind, handler)
