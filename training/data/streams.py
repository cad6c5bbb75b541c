"""The streams of a warehouse, as many as there are: what is known of all of them at once, the rest of each when asked.

`actions.db` knows every stream's length, split and screen, so that a warehouse of a hundred thousand is opened without
reading their manifests. Which files hold a stream's steps is read from its manifest when the stream is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, overload

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schema.catalogue import INNER, Segment
from schema.editors import Editor
from schema.geometry import Geometry
from schema.manifest import slug

PLAIN = b"/._-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"  # of names that need no quoting
PLAIN_LENGTH = 150
SLICES = 64  # of a table, above which its columns are copied instead
KEPT = 4096  # streams whose places in their files are remembered
COLUMNS = ("repo_id", "split", "duplicate_of", "editor", "rows", "cols", "steps", "episodes")
REPEATED = ("split", "editor")  # few values, read as numbers of them
_WORD = pa.dictionary(pa.int32(), pa.string())
KNOWN = pa.schema(
    [
        *(pa.field(name, _WORD if name in REPEATED else pa.string()) for name in COLUMNS[:4]),
        *(pa.field(name, pa.int16()) for name in COLUMNS[4:6]),
        *(pa.field(name, pa.int64()) for name in COLUMNS[6:]),
    ]
)
_STREAM = ("repo_id", "split", "rows", "cols", "steps", "editor")


class RowGroup(NamedTuple):
    """One row group of a shard, or a stream's part of one: `steps` consecutive steps of its stream, behind `skip`."""

    path: str
    row_group: int
    steps: int
    skip: int = 0


class Places(NamedTuple):
    """Where the steps of a stream lie; `digest` identifies the film."""

    groups: tuple[RowGroup, ...]
    digest: str


class Stream:
    """One repository's film in one editor. `split` is None where `actions.db` does not know it."""

    def __init__(
        self,
        repo_id: str,
        split: str | None,
        geometry: Geometry,
        steps: int,
        editor: Editor,
        places: Callable[[], Places],
    ) -> None:
        self.repo_id, self.split, self.geometry, self.steps, self.editor = repo_id, split, geometry, steps, editor
        self._places = places

    @property
    def groups(self) -> tuple[RowGroup, ...]:
        """Its row groups in order. Raises CorruptError, SchemaVersionError."""
        return self._places().groups

    @property
    def digest(self) -> str:
        """Identifies the film. Raises CorruptError, SchemaVersionError."""
        return self._places().digest

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and self._known() == other._known()

    def __hash__(self) -> int:
        return hash(self.repo_id)

    def _known(self) -> tuple[Any, ...]:
        return self.repo_id, self.split, self.geometry, self.steps, self.editor, self._places()


class Streams(Sequence[Stream]):
    """Streams by number, in the order of their folders, from a table of COLUMNS.

    `places` finds where one's steps lie, by its id and length.
    """

    def __init__(self, known: pa.Table, places: Callable[[str, int], Places]) -> None:
        self._known, self._order = known.select(_STREAM), folder_order(known.column("repo_id"))
        self._places = lru_cache(maxsize=KEPT)(places)
        self.lengths: npt.NDArray[np.int64] = known.column("steps").to_numpy()[self._order]

    def forget_places(self) -> None:
        """Find out anew where steps lie, when they are asked for."""
        self._places.cache_clear()

    @property
    def names(self) -> pa.Array:
        """The id of each."""
        return self._known.column("repo_id").take(self._order).combine_chunks()

    @property
    def splits(self) -> pa.DictionaryArray:
        """The split of each."""
        return self._known.column("split").unify_dictionaries().take(self._order).combine_chunks()

    @property
    def geometries(self) -> dict[Geometry, str]:
        """Every size of screen, and a stream that has it."""
        rows, cols = (self._known.column(name).to_numpy().astype(np.int64) for name in ("rows", "cols"))
        sizes, first = np.unique(rows << 16 | cols, return_index=True)
        names = self._known.column("repo_id")
        return {
            Geometry(int(size >> 16), int(size & 0xFFFF)): names[int(number)].as_py()
            for size, number in zip(sizes, first, strict=True)
        }

    def __len__(self) -> int:
        return len(self._known)

    @overload
    def __getitem__(self, number: int) -> Stream: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Stream]: ...
    def __getitem__(self, number: int | slice) -> Stream | Sequence[Stream]:
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        if not -len(self) <= number < len(self):
            raise IndexError(number)
        place = int(self._order[number])
        return self._stream(*(self._known.column(name)[place].as_py() for name in _STREAM))

    def __iter__(self) -> Iterator[Stream]:
        return map(self._stream, *(self._known.column(name).take(self._order).to_pylist() for name in _STREAM))

    def _stream(self, repo_id: str, split: str | None, rows: int, cols: int, steps: int, editor: Editor) -> Stream:
        return Stream(repo_id, split, Geometry(rows, cols), steps, editor, lambda: self._places(repo_id, steps))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)


def read_catalogue(
    database: str, open_file: Callable[[str], Any], table: str = "repositories", columns: Sequence[str] = COLUMNS
) -> pa.Table | None:
    """Columns of a table that `actions.db`, a file of this machine, knows, `repo_id` among them.

    None where an older gitreel wrote it. `open_file` opens a file of the warehouse by its name. Raises duckdb.Error,
    OSError, pyarrow's errors.
    """
    names, repeated = ", ".join(columns), [name for name in columns if name in REPEATED]
    with duckdb.connect() as db:  # opened by its path, it could be the one that this process opened before a build
        path = database.replace("'", "''")
        db.execute(f"ATTACH '{path}' AS film (READ_ONLY)")
        inner = f"SELECT 1 FROM duckdb_tables() WHERE schema_name = '{INNER}' AND table_name = 'segments'"
        if not db.execute(inner).fetchall():
            return None
        segments = [Segment(*row) for row in db.execute(f"FROM film.{INNER}.segments ORDER BY number").fetchall()]
        recent = f"film.{INNER if segments else 'main'}.{table}"
        found = [_with_words(db.sql(f"SELECT {names} FROM {recent}").to_arrow_table())]
        old: dict[int, list[str]] = {}
        for number, repo in db.execute(f"FROM film.{INNER}.superseded").fetchall():
            old.setdefault(number, []).append(repo)
    for segment in segments:
        with open_file(segment.path(table)) as source:
            rows = pq.ParquetFile(source, read_dictionary=repeated).read(columns=list(columns), use_threads=False)
        if segment.number in old:
            rows = without(rows, pc.is_in(rows.column("repo_id"), pa.array(old[segment.number])))
        found.append(rows.cast(found[0].schema))
    return pa.concat_tables(found)


def _with_words(rows: pa.Table) -> pa.Table:
    """Rows with the columns of few values as KNOWN has them."""
    kinds = [pa.field(each.name, _WORD if each.name in REPEATED else each.type) for each in rows.schema]
    return rows.cast(pa.schema(kinds))


def without(rows: pa.Table, gone: pa.ChunkedArray) -> pa.Table:
    """Rows but for those that are gone; where these are few, the rest is not copied."""
    places = pc.indices_nonzero(gone).to_pylist()
    if len(places) > SLICES:
        return rows.filter(pc.invert(gone))
    parts = zip([0, *(place + 1 for place in places)], [*places, len(rows)], strict=True)
    return pa.concat_tables([rows.slice(start, stop - start) for start, stop in parts])


def read_splits(database: str) -> dict[str, tuple[str | None, str | None]]:
    """repo_id -> split and canonical member, by the table `repositories`. Raises duckdb.Error."""
    with duckdb.connect(database, read_only=True) as db:
        rows = db.execute("SELECT repo_id, split, duplicate_of FROM repositories").fetchall()
    return {repo: (split, other) for repo, split, other in rows}


def folder_order(names: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Places of the names in the order of their manifests' paths, which numbers streams."""
    ids = names.combine_chunks()
    keys = _plain_folders(ids)
    if keys is None:
        keys = pa.array([slug(name) for name in ids.to_pylist()], pa.string())
    order: npt.NDArray[np.int64] = pc.sort_indices(pc.binary_join_element_wise(keys, "/", "")).to_numpy()
    return order.astype(np.int64)


def _plain_folders(names: pa.Array) -> pa.Array | None:
    """`slug` of many names at once; None where one of them needs more than a + for a /."""
    _, offsets, data = names.buffers()
    place = np.frombuffer(offsets, np.int32)[names.offset : names.offset + len(names) + 1]
    text = bytes(memoryview(data)[place[0] : place[-1]]) if data is not None else b""
    place = place - place[0]
    first = np.frombuffer(text, np.uint8)[np.minimum(place[:-1], max(0, len(text) - 1))]
    long = np.diff(place).max(initial=0) > PLAIN_LENGTH
    if long or text.translate(None, PLAIN) or (first == ord(".")).any():
        return None
    text = text.replace(b"/", b"+")
    return pa.Array.from_buffers(pa.string(), len(names), [None, pa.py_buffer(place), pa.py_buffer(text)])
