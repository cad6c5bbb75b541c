"""Git history in, terminal film out: plain functions and generators, usable without Prefect.

    from pipeline import TerminalEnv, harvest, open_episode

    harvest("path/to/repository", "warehouse")                  # film it; run again, it grows
    for screen, key in open_episode("warehouse", "a1b2c3d"):    # play a commit
        print("\\n".join(screen.texts), key)
    screen = TerminalEnv(rows=24, cols=80).step(ord("v"))       # act in a terminal

The folders are the way of the data: crawl -> git -> script (text) -> terminal -> film -> shards -> warehouse -> watch.
These names load what they need when they are first asked for: importing a part of the pipeline does not import it all.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.api import Outcome, RecordedEpisode, Screen, TerminalEnv, harvest, open_episode

__all__ = ["Outcome", "RecordedEpisode", "Screen", "TerminalEnv", "harvest", "open_episode"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pipeline import api

    return getattr(api, name)
