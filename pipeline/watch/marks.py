"""Places in a film that a reviewer goes to: where a change is complete, and where a line is.

They follow from the keys and their phases alone, so that they hold for any screen size.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.film.frames import Film
from schema.actions import Phase

_ENTER, _NEWLINE = 0x0D, 0x0A
_DELETES = b"xD"  # keys of vim's Normal mode that change the text and leave the mode as it is; `dd` does too
_NANO_DELETES = b"\x04\x08\x0b\x14"  # ^D, ^H, ^K and ^T, which are not typed in vim's Normal mode


class Marks(NamedTuple):
    """Steps whose screens show something just completed, rising.

    `changes`: an insertion was left, or text was deleted; in nano, where one deletes key by key, by the last of equal
    keys. `lines`: Enter was pressed, or an insertion left.
    """

    changes: list[int]
    lines: list[int]


def marks(film: Film) -> Marks:
    """The marks of one commit's film; a mark at its number of steps is the final screen."""
    phase_T, key_T = film.phase_T, film.action_T
    inserting_T = phase_T == Phase.INSERT
    left_T = inserting_T & ~np.append(inserting_T[1:], False)
    normal_T = phase_T == Phase.MOTION
    deleted_T = normal_T & (
        np.isin(key_T, np.frombuffer(_DELETES, np.uint8)) | _second_d(normal_T & (key_T == ord("d")))
    )
    nano_T = normal_T & np.isin(key_T, np.frombuffer(_NANO_DELETES, np.uint8))
    deleted_T |= nano_T & ~np.append(nano_T[1:] & (key_T[1:] == key_T[:-1]), False)
    entered_T = np.isin(key_T, (_ENTER, _NEWLINE))
    return Marks(_behind(left_T | deleted_T), _behind(left_T | entered_T))


def _behind(keys_T: npt.NDArray[np.bool_]) -> list[int]:
    """The screens that these keys left."""
    found: list[int] = (np.flatnonzero(keys_T) + 1).tolist()
    return found


def _second_d(d_T: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The second key of every `dd`: the even ones of each run of d."""
    count_T = np.cumsum(d_T)
    before_T = np.maximum.accumulate(np.where(d_T, 0, count_T))  # keys d before the run
    even: npt.NDArray[np.bool_] = d_T & ((count_T - before_T) % 2 == 0)
    return even


def indenting(film: Film) -> npt.NDArray[np.bool_]:
    """The steps [T] that type a line's indentation: blanks and tabs inserted where only these stand before the cursor.

    >>> keys = b"i  a b"
    >>> film = Film(*(np.zeros(0),) * 3, np.frombuffer(keys, np.uint8), np.array([2, 3, 3, 3, 3, 3]))
    >>> indenting(film).astype(int).tolist()
    [0, 1, 1, 0, 0, 0]
    """
    blank_T = (film.phase_T == Phase.INSERT) & np.isin(film.action_T, (0x20, 0x09))
    starts_T = np.append(True, (film.phase_T[:-1] != Phase.INSERT) | np.isin(film.action_T[:-1], (_ENTER, _NEWLINE)))
    # a blank is part of the indentation where no other key was pressed since the last start
    place_T = np.arange(len(blank_T))
    start_T = np.maximum.accumulate(np.where(starts_T, place_T, 0))
    other_T = np.cumsum(~blank_T)
    since_T = other_T - other_T[start_T] + ~blank_T[start_T]
    found: npt.NDArray[np.bool_] = blank_T & (since_T == 0)
    return found
