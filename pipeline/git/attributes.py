"""Which .gitattributes files git reads without a warning.

Nothing keeps git 2.39 from reading them, and at nearly every command it complains on the screen about a comment behind
a pattern, a pattern with `!`, a macro in a subfolder; how often depends on the order in which it visits folders.
Source: attr.c of git 2.39, `parse_attr_line` and `parse_attr`.
"""

import re

ATTRIBUTES_BYTES = 1 << 20  # a larger file is not looked at; git itself refuses 100 MiB
_LINE_BYTES = 2048  # longer lines are ignored, and git says so
_BLANK = b" \t\r\n"
_NAME = re.compile(rb"[A-Za-z0-9._][-A-Za-z0-9._]*")
_QUOTED = re.compile(rb'"([^"\\]*)"(.*)', re.DOTALL)
_MACRO = b"[attr]"


def quiet_attributes(content: bytes, *, top: bool = True) -> bool:
    r"""Whether git reads this .gitattributes silently; in doubt it does not. `top`: it stands in the root folder.

    >>> quiet_attributes(b"*.png binary\n"), quiet_attributes(b"*.png binary # images\n")
    (True, False)
    """
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    return all(_quiet(line.partition(b"\0")[0], top) for line in lines)


def _quiet(line: bytes, top: bool) -> bool:
    text = line.strip(_BLANK)
    return not text or text.startswith(b"#") or attribute_words(line, top) is not None


def attribute_words(line: bytes, top: bool) -> tuple[bytes, bytes, list[bytes]] | None:
    """(the macro it defines, its pattern, the attributes) of a line that git reads silently, else None."""
    text = line.strip(_BLANK)
    if not text or text.startswith(b"#") or len(line) >= _LINE_BYTES:
        return None
    if text.startswith(b'"'):
        quoted = _QUOTED.fullmatch(text)
        if quoted is None:
            return None
        pattern, attributes = quoted[1], re.findall(rb"[^ \t\r]+", quoted[2])
        top = False  # of a macro's name that is quoted git reads the quotes
    else:
        pattern, *attributes = re.split(rb"[ \t\r]+", text)
    if not _valid(attributes):
        return None
    if pattern.startswith(_MACRO) and pattern != _MACRO:
        macro = pattern.removeprefix(_MACRO)
        return (macro, b"", attributes) if top and _NAME.fullmatch(macro) else None
    return None if pattern.startswith(b"!") else (b"", pattern, attributes)


def _valid(attributes: list[bytes]) -> bool:
    return all(
        _NAME.fullmatch(word.partition(b"=")[0], 1 if word[:1] in (b"-", b"!") else 0) is not None
        for word in attributes
    )
