"""What nano shows besides the text: the title bar, the status bar and the question for a line number.

Each function gives a row of `cols` cells as (text, style runs).
"""

from pipeline.text.cells import cell_count
from pipeline.text.nano_lines import shown_name
from schema.editors import EDITOR_VERSIONS
from schema.errors import UnsupportedKeyError
from schema.geometry import Style
from schema.screen import Runs

BRAND = f"GNU nano {EDITOR_VERSIONS['nano']}"
MODIFIED = "Modified"
QUESTION = "Enter line number, column number"
_REVERSE = int(Style.REVERSE)
Row = tuple[str, Runs]


def title(name: str, modified: bool, cols: int) -> Row:
    """The title bar: the version, the file's name in the middle, whether it was changed.

    Where there is too little room, the version goes first, then the room kept for `Modified`, then the blanks at the
    sides, and last the start of the name. Raises UnsupportedKeyError for a name that is not drawn.
    """
    shown = list(shown_name(name))
    name_cells = sum(width for _, width in shown) + modified
    state = len(MODIFIED) * modified + 2  # with the blanks at the right
    room = 0 if modified else len(MODIFIED) + 1  # kept for the word
    left = len(BRAND) + 3
    branded = left + name_cells + room + state <= cols
    if not branded:
        left = 2
        if left + name_cells + room + state > cols:
            room = 0
        if left + name_cells + state > cols:
            left, state = 0, state - 2
    start = left + (cols - left - room - state - name_cells) // 2 if left else 0
    if name_cells + room + state <= cols:
        middle = " " * start + "".join(text for text, _ in shown)
    else:
        middle = "..." + _tail(shown, 3 + name_cells - cols + state)
    if branded:
        middle = f"  {BRAND}" + middle[2 + len(BRAND) :]
    if modified:
        middle += " " * (cols - state - cell_count(middle)) + MODIFIED
    return middle.rstrip(" "), ((0, cols, _REVERSE),)


def _tail(shown: list[tuple[str, int]], column: int) -> str:
    """A name from cell `column` on; half of a wide character is `]`, half of `^X` its second half."""
    at = 0
    for number, (text, width) in enumerate(shown):
        if at + width > column:
            rest = "".join(text for text, _ in shown[number + 1 :])
            if at == column:
                return text + rest
            return (text[1] if len(text) == 2 else "]") + rest
        at += width
    return ""


def status(message: str, cols: int) -> Row:
    """A message of ASCII on the status bar, centred and reversed."""
    if not message:
        return "", ()
    if len(message) > cols:
        raise UnsupportedKeyError(f"nano: the message {message!r} does not fit")
    start = (cols - len(message)) // 2
    if start > 1:
        start, message = start - 2, f"[ {message} ]"
    return " " * start + message, ((start, len(message), _REVERSE),)


def prompt(answer: str, cols: int) -> tuple[Row, int]:
    """The question for a line number with what was typed so far, and the cursor's column."""
    question = QUESTION[: cols - 5]
    base = len(question) + 2
    column = base + len(answer)
    page, last_page = _answer_page(base, column, cols), _answer_page(base, column - 1, cols)
    shown = answer[page : page + cols - base]
    if page + cols - base < len(answer):
        shown = shown[:-1]
    text = f"{question}:{'<' if page else ' '}{shown}"
    if page < last_page and column - page > cols:
        text = text.ljust(cols - 1) + ">"
    return (text.rstrip(" "), ((0, cols, _REVERSE),)), column - page


def _answer_page(base: int, column: int, cols: int) -> int:
    """The first column of the answer that is shown; `column` counts the question, too."""
    if column == base or column < cols - 1:
        return 0
    if cols > base + 2:
        return column - base - 1 - (column - base - 1) % (cols - base - 2)
    return column - 2
