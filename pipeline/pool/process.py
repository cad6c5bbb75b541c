"""Runs a call in a process of its own: neither a signal nor a crash of the call ends the caller.

On Linux the process is forked from one that has imported everything (`pipeline.pool.preload`), so that it starts in
milliseconds; elsewhere it is a new interpreter, which takes a second: macOS's own libraries do not survive a fork.
"""

import multiprocessing
import shutil
import signal
import sys
from collections.abc import Callable
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.util import get_temp_dir
from typing import Any, ParamSpec, TypeVar

from pipeline.pool import interruption, worker

P = ParamSpec("P")
T = TypeVar("T")


class DiedError(Exception):
    """The process ended without an answer; `str(error)` says how."""


def apart(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """`function(*arguments)` in a process of its own; all of them are pickled. Raises DiedError.

    There, `worker.stopped` says when the function should end soon; an exception that it raises is a DiedError here.
    """
    start_tracker()
    context = _context()
    answer, question = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(question, function, arguments, named))
    with interruption.held_back():
        process.start()
    question.close()
    try:
        result: T = answer.recv()
        return result
    except EOFError:
        process.join()
        raise DiedError(_how(process.exitcode or 0)) from None
    finally:
        answer.close()
        process.join()


def start_tracker() -> None:
    """Start the process that multiprocessing starts before its first one, so that a hang-up does not end it.

    It lets signals through to the thread that starts it: whoever holds them back from a new process does this first.
    """
    with interruption.held_back():
        resource_tracker.ensure_running()


def end_all() -> None:
    """Kill every such process at once: what it had stored stays, and the next run goes on behind it."""
    processes = multiprocessing.active_children()
    for process in processes:
        process.kill()
    for process in processes:
        process.join(1.0)
    shutil.rmtree(get_temp_dir(), ignore_errors=True)  # the library's own, for the process they are forked from


def _context() -> ForkServerContext | SpawnContext:
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    # a child runs its parent's main module under another name: preloaded under its own, Python would warn of it
    context.set_forkserver_preload(["pipeline.pool.preload"])
    return context


def _answer(
    question: Connection, function: Callable[..., object], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    worker.begin()
    with worker.at_work():
        question.send(function(*arguments, **named))


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    return signal.Signals(-code).name + (": was memory short?" if code == -signal.SIGKILL else "")
