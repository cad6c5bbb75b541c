"""How fast a film is shown: keys a second, and a pause after each commit."""

from typing import NamedTuple

CHAPTER_PAUSE = 0.7  # seconds after a commit
LAST = 2.0  # seconds for which the last picture of a GIF stays, before it starts anew
FAST = 8  # times as fast, for as long as one asks for it
MIN_RATE, MAX_RATE = 0.01, 100_000.0  # keys a second


class Pace(NamedTuple):
    """`rate` in keys a second, `pause` in seconds after a commit that another one follows.

    `last`: seconds for which a film that starts anew by itself stays at its end.
    """

    rate: float = 30.0
    pause: float = CHAPTER_PAUSE
    last: float = LAST

    def duration(self, keys: int, commits: int) -> float:
        """Seconds that a film takes, without its stay at the end."""
        return keys / self.rate + max(0, commits - 1) * self.pause


USUAL = Pace()


def fitting(seconds: float, keys: int, commits: int, *, picture: float = 0.0) -> Pace:
    """The pace at which a film takes just these seconds; at most half of them are pauses.

    `picture`: the seconds of one picture of a GIF. Its stay at the end is among the seconds then, about a quarter of
    them at most, and the keys end in the middle of a picture, so that rounding neither adds one nor takes one away.

    >>> fitting(12.0, 1000, 1)[:2], fitting(10.0, 500, 101)[:2]
    ((83.33333333333333, 0.7), (100.0, 0.05))
    >>> fitting(12.0, 1000, 1, picture=0.1).last, fitting(1.0, 1000, 1, picture=0.1).last
    (2.0, 0.3)
    """
    played, last = seconds, LAST
    if picture:
        pictures = int((seconds - min(LAST, seconds / 4)) / picture + 1e-9)
        played, last = (pictures - 1.5) * picture, round(seconds - pictures * picture, 6)
    gaps = max(0, commits - 1)
    pause = min(CHAPTER_PAUSE, played / 2 / gaps) if gaps else CHAPTER_PAUSE
    return Pace(keys / (played - gaps * pause), pause, last)
