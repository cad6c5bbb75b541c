"""Standard output of a command line, and how the command ends where it cannot be written: no reader, no space left."""

import contextlib
import io
import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TextIO, cast

P = ParamSpec("P")


class OutputError(Exception):
    """Standard output could not be written. None of `schema.errors`: it ends the command, whatever that was doing."""


class _Output:
    """A stream whose errors are told from those of other files, at once or when its buffer is flushed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write it. Raises OutputError."""
        try:
            return self._stream.write(text)
        except OSError as error:
            raise OutputError from error

    def flush(self) -> None:
        """Write what is buffered. Raises OutputError."""
        try:
            self._stream.flush()
        except OSError as error:
            raise OutputError from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def clear_output(main: Callable[P, int]) -> Callable[P, int]:
    """Let a command line end without a traceback where its standard output cannot be written.

    Where nobody reads on (`| head`) it ends at once, silently, with exit code 1, as Python's documentation advises;
    else (a full disk) with one line on stderr and exit code 2. `--help` is output, too.
    """

    @wraps(main)
    def run(*args: P.args, **kwargs: P.kwargs) -> int:
        stream = sys.stdout
        if stream is None:  # closed by whoever started this: Python prints nothing then
            return main(*args, **kwargs)
        output = cast("TextIO", _Output(stream))
        try:
            with contextlib.redirect_stdout(output):
                try:
                    return main(*args, **kwargs)
                finally:
                    output.flush()
        except OutputError as error:
            _discard(stream)
            if isinstance(error.__cause__, BrokenPipeError):
                return 1
            reason = getattr(error.__cause__, "strerror", None) or error.__cause__
            tell(
                f"gitreel: standard output cannot be written ({reason}); free some space or send it elsewhere, then "
                "run the same command again"
            )
            return 2

    return run


def tell(line: str) -> None:
    """A line on stderr. Where that cannot be written either, the exit code alone tells."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        _discard(sys.stderr)


def _discard(stream: TextIO) -> None:
    """Let nothing take what is still buffered: Python flushes it when it ends, and would fail once more."""
    with contextlib.suppress(io.UnsupportedOperation):  # no file of the system's
        nothing = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nothing, stream.fileno())
        finally:
            os.close(nothing)
