"""Lines that nobody reads: a flow run whose worker was killed goes on, and logs into a pipe that has no other end.

Prefect logs through rich, which then raises SystemExit in whichever thread logs next. In the main thread that ends a
run which could go on; in the thread that takes the results of the processes that film, the run waits for ever.
"""

from rich.console import Console


def outlive_reader() -> None:
    """From now on, let rich's consoles of this process fall silent where nobody reads them, and do nothing else.

    rich has this method so that others override it; but Prefect makes its consoles itself, so there is no subclass.
    """
    Console.on_broken_pipe = _fall_silent  # type: ignore[assignment]  # mypy lets no method be replaced


def _fall_silent(console: Console) -> None:
    console.quiet = True
