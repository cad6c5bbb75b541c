"""Who types: the program that a replay's settings name, its keys for an edit, and how it saves and is left.

The one place where the script depends on the editor.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from pipeline.script import edit as vim
from pipeline.script import nano
from schema.config import ReplayConfig


class Typist(NamedTuple):
    """`edit` gives the keys from a file's old bytes (None: no such file) to its new ones, or raises Untypable."""

    program: bytes
    edit: Callable[[bytes | None, bytes], bytes]
    save_and_leave: bytes


def typist(config: ReplayConfig) -> Typist:
    """The typist of these settings."""
    known = {
        "vim": Typist(b"vim", vim.edit, b":w\r:q\r"),
        "nano": Typist(b"nano", partial(nano.edit, arrows=config.motion == "arrows"), nano.SAVE_AND_LEAVE),
    }
    return known[config.editor]
