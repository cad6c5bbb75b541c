"""How fast a film is shown: keys a second, and a pause after each commit."""

from typing import NamedTuple

CHAPTER_PAUSE = 0.7  # seconds after a commit
FAST = 8  # times as fast, for as long as one asks for it
MIN_RATE, MAX_RATE = 0.01, 100_000.0  # keys a second


class Pace(NamedTuple):
    """`rate` in keys a second, `pause` in seconds after a commit that another one follows."""

    rate: float = 30.0
    pause: float = CHAPTER_PAUSE

    def duration(self, keys: int, commits: int) -> float:
        """Seconds that a film takes."""
        return keys / self.rate + max(0, commits - 1) * self.pause


USUAL = Pace()


def fitting(seconds: float, keys: int, commits: int) -> Pace:
    """The pace at which a film takes just these seconds; at most half of them are pauses.

    >>> fitting(12.0, 1000, 1), fitting(10.0, 500, 101)
    (Pace(rate=83.33333333333333, pause=0.7), Pace(rate=100.0, pause=0.05))
    """
    gaps = max(0, commits - 1)
    pause = min(CHAPTER_PAUSE, seconds / 2 / gaps) if gaps else CHAPTER_PAUSE
    return Pace(keys / (seconds - gaps * pause), pause)
