"""The editors that film is made in, and the version of each whose screen is drawn."""

from typing import Literal

from schema.widths import VIM_VERSION

Editor = Literal["vim", "nano"]
Motion = Literal["jumps", "arrows"]  # how nano's cursor goes: by words and numbers, or one place at a time
EDITOR_VERSIONS: dict[Editor, str] = {"vim": VIM_VERSION, "nano": "7.2"}
