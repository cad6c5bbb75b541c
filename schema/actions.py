"""The action vocabulary: one byte sent to the terminal; its id is the byte. Phases: what kind of key it is."""

from enum import IntEnum

VOCABULARY = 256

_NAMED = {
    0x00: "<Nul>", 0x08: "<BS>", 0x09: "<Tab>", 0x0A: "<NL>", 0x0D: "<CR>",
    0x1B: "<Esc>", 0x20: "<Space>", 0x7F: "<Del>",
}  # fmt: skip


def action_name(action: int) -> str:
    """Readable name of an action, unique in 0..255: 13 -> '<CR>', 97 -> 'a', 22 -> '<C-V>', 195 -> '<xC3>'."""
    if action in _NAMED:
        return _NAMED[action]
    if action < 0x20:
        return f"<C-{chr(action + 64)}>"
    return chr(action) if action < 0x7F else f"<x{action:02X}>"


class Phase(IntEnum):
    """What kind of key a step holds. Nano has no modes: there a key's phase is by what it does."""

    SHELL = 0  # typed at the shell's prompt
    COMMAND_LINE = 1  # from ':' to Enter in vim; in nano from ^_ (go to a line) to Enter, ^S (save) and ^X (leave)
    MOTION = 2  # vim's Normal mode: motions, operators, counts, the key that enters Insert mode; nano: moves, deletions
    INSERT = 3  # vim's Insert mode, with the Esc that leaves it; nano: what puts text in, ^Q (verbatim) included
    MESSAGE = 4  # the commit's subject, typed at the shell
