"""Where vim's words begin and end in a line of ASCII: runs of letters, digits and `_`, or of other visible ones."""

import re

_RUN = re.compile(r"[A-Za-z0-9_]+|[^A-Za-z0-9_ \t]+")
_BLANKS = re.compile(r"[ \t]*")


def word_end(text: str, at: int) -> int:
    """Index behind the run that index `at` is in; `at` itself on a blank.

    >>> word_end("if (x)", 3), word_end("if (x)", 0)
    (4, 2)
    """
    run = _RUN.match(text, at)
    return run.end() if run else at


def next_word(text: str, at: int) -> int | None:
    """Index at which the next run begins; None when the line ends first.

    >>> next_word("if (x)", 0), next_word("if (x)", 5)
    (3, None)
    """
    blanks = _BLANKS.match(text, word_end(text, at))
    assert blanks is not None  # it matches the empty string, too
    return blanks.end() if blanks.end() < len(text) else None
