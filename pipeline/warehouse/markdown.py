"""Tables and lists for cards in Markdown. What stands in them comes from repositories that anybody may have written."""

import json
import re
from collections.abc import Iterable, Sequence

from schema.errors import one_line

# what ends a cell, or begins code, emphasis, a link, markup or an entity; inside of a word, _ means nothing
_MEANT = re.compile(r"[\\|`*~\[\]<]|&(?=#?\w+;)|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_BARE = re.compile(r"[A-Za-z][A-Za-z0-9.+-]*")  # a word of YAML that needs no quotes
_WORDS_OF_YAML = ("true", "false", "yes", "no", "on", "off", "null", "y", "n")


class Markdown(str):
    """Text of our own that is Markdown already."""


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table whose cells are numbers, Markdown, or text that is shown as it is.

    >>> print(markdown_table(["name", "steps"], [["a|b", 1000], [Markdown("`c`"), None]]))
    | name | steps |
    | --- | --- |
    | a\\|b | 1,000 |
    | `c` |  |
    """
    lines = [columns, ["---"] * len(columns), *([_cell(value) for value in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: object) -> str:
    if isinstance(value, Markdown):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    return "" if value is None else _MEANT.sub(lambda found: f"\\{found[0]}", one_line(value))


def yaml_list(words: Iterable[str]) -> str:
    """A list of YAML, a word a line.

    >>> yaml_list(["mit", "a: b"])
    '- mit\\n- "a: b"'
    """
    return "\n".join(f"- {word if _is_bare(word) else json.dumps(word)}" for word in words)


def _is_bare(word: str) -> bool:
    return bool(_BARE.fullmatch(word)) and word.lower() not in _WORDS_OF_YAML
