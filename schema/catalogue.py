"""What `actions.db` and the files beside it know of every stream: the pipeline writes it, and the trainer reads it.

Rows of the streams registered last are tables of the database: of its schema INNER where there are segments, else of
its main one. Segments are Parquet files of rows; those of a stream that INNER.superseded names hold no longer.
"""

from typing import NamedTuple

DATABASE = "actions.db"
CHANGED = "changed"  # holds a file for each stream whose manifest may be younger than the database
FOLDER = "catalogue"
INNER = "gitreel_catalogue"  # schema of `segments` and others; the database may be attached as `catalogue`
LAYOUT = 2  # of the database, apart from the columns of its tables


class Segment(NamedTuple):
    """A segment: its number, the base of its files' names, and how many streams it was written with."""

    number: int
    name: str
    streams: int

    def path(self, table: str) -> str:
        """The file of one table, relative to the warehouse."""
        return f"{FOLDER}/{self.name}.{table}.parquet"
