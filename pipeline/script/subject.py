"""A commit's subject as it is typed behind `git commit -qm`."""

import unicodedata

from pipeline.script.filters import mask_emails
from schema.widths import CLASS, COMPOSING, SHELL_SAFE

_SIGN_OFF = "Signed-off-by: "
_GIT_SPACE = " \t\n\r"  # what git's isspace takes for white space: no form feed, nothing beyond ASCII


def subject_line(raw: bytes, *, mask: bool = False) -> str:
    """A commit's subject as it is typed: NFC, no control or zero-width characters, nothing drawn in doubt.

    Bytes that are not UTF-8 are read as Latin-1. Control characters become spaces, characters of doubtful width '?',
    and `mask` removes e-mail addresses. What git itself would strip from the ends is stripped.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    text = mask_emails(text) if mask else text
    if not (text.isascii() and text.isprintable()):
        text = "".join(_shown(character) for character in unicodedata.normalize("NFC", text))
    return (mask_emails(text) if mask else text).strip(" ")  # again: what was left out may have parted an address


def reads_as_empty(subject: str) -> bool:
    """Whether `git commit -m SUBJECT` aborts because git takes this one line for an empty message.

    With `-m`, git strips white space from the end of the line (comment lines stay), and then calls a message empty if
    it holds nothing but white space and sign-offs, spelt exactly so. `--allow-empty-message` records it as it is.
    Source: git's sequencer.c, `message_is_empty`; the same in every version since 1.5.4 (2008).
    """
    line = subject.rstrip(_GIT_SPACE)
    return not line or line.startswith(_SIGN_OFF)


def _shown(character: str) -> str:
    point = ord(character)
    if character.isascii():
        return character if character.isprintable() else " "
    if SHELL_SAFE[point]:
        return character
    category = unicodedata.category(character)
    if category in ("Cc", "Zl", "Zp"):
        return " "
    return "" if category in ("Cf", "Mn", "Me", "Mc") or CLASS[point] == COMPOSING else "?"
