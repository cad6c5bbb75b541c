"""Something that is looked at again and again while other work goes on."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def repeated(seconds: float, look: Callable[[], bool]) -> Iterator[None]:
    """Call `look` every `seconds`, in a thread of its own, until it returns False or the block ends.

    When the block has ended, no call is under way.
    """
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(seconds) and look():
            pass

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
