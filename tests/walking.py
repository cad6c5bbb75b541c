"""A history walked to its end."""

from typing import Any

from pipeline.git.changes import Commit
from pipeline.git.history import walk
from pipeline.git.objects import Blobs
from pipeline.git.repository import Location


def walked(location: Location, **options: Any) -> list[Commit]:
    """What `walk` yields with these options; the contents of files cannot be read any more."""
    with Blobs(location) as blobs:
        return list(walk(blobs, **options))
