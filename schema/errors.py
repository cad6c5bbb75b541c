"""Every error a user can meet. Programs print its one line and exit with code 2.

GitreelError
├── SourceError (ValueError)         a repository that cannot be used: where, why, what to run next
├── SchemaVersionError (ValueError)  a shard, database or checkpoint of another version
├── CorruptError (ValueError)        stored bytes that do not check
├── WarehouseError (OSError)         a warehouse that cannot be read or written
│   └── LockedError                  what another process is writing: it passes
├── ConfigError (ValueError)         settings that cannot work together
└── UnsupportedKeyError (ValueError) a key the terminal model does not draw
"""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from schema.output import clear_output, tell

P = ParamSpec("P")


class GitreelError(Exception):
    """Base of all: `str(error)` is one clear line naming the thing, where, and the next command."""


class SourceError(GitreelError, ValueError):
    """A repository that cannot be used."""


class SchemaVersionError(GitreelError, ValueError):
    """A file written under another major version of the schema."""


class CorruptError(GitreelError, ValueError):
    """Stored bytes that do not match their checksum, count or lineage."""


class WarehouseError(GitreelError, OSError):
    """A warehouse that is missing, empty, read-only or full."""


class LockedError(WarehouseError):
    """What another process is writing now; when it has ended, the same may be tried again."""


class ConfigError(GitreelError, ValueError):
    """Settings that are unknown, out of range or contradict each other."""


class UnsupportedKeyError(GitreelError, ValueError):
    """A key, command or screen state outside of what the terminal model draws exactly."""


def one_line(text: object) -> str:
    """Text for a terminal: control characters, which names of repositories may hold, are spelt out."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))


def clear_errors(main: Callable[P, int]) -> Callable[P, int]:
    """Let a command line end with exit code 2 after one line on stderr, where it raises a GitreelError.

    Interrupted, it ends with one line and exit code 130, unless it has words of its own for that. Where its output
    cannot be written it ends as `schema.output.clear_output` says.
    """

    @wraps(main)
    def run(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            return main(*args, **kwargs)
        except GitreelError as error:
            tell(f"gitreel: {one_line(error)}")
            return 2
        except KeyboardInterrupt:
            tell("gitreel: interrupted; run the same command again")
            return 130  # as a shell has it

    return clear_output(run)
