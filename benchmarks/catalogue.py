"""What the number of streams costs: to build, to register one more, to open for training, to ask; at 1,000 and at N.

    python -m benchmarks.catalogue                           20,000 streams
    python -m benchmarks.catalogue --streams 100000 --json   the last line is JSON

The streams are made by code, three commits and 144 keys each, and stand in packs as a harvest leaves them. What a
harvest, a trainer and a person who asks do is then timed through the functions that they use:

    build          from nothing: every manifest is read (once)
    again          the same with nothing changed
    register       one new stream: the build that follows its harvest
    grow           one new commit of a stream that is in a pack: the build that follows
    open           for training: which streams there are, their splits, and where windows may start
    batch          eight windows, each of another stream, drawn by chance
    screen         one repository's screen, by its id, from a new connection
    question 1-5   of warehouse/README.md, from a new connection

Seconds are the least of --repeats, in turn at both sizes, because what else a machine does is no cost of ours; growth
is the time at N over the time at 1,000. The file system's cache is warm. Files are what a reader may open: Parquet
files that the database lists, and the catalogue's own.
"""

import argparse
import itertools
import json
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks.report import ROOT, finish, header, parser, positive, table
from pipeline.replay import FilmedCommit
from pipeline.shards.reader import tables_of
from pipeline.shards.shard_file import GROUP_RECORDS, GROUP_STEPS, TableFile
from pipeline.shards.store import Store
from pipeline.shards.writer import StreamWriter
from pipeline.terminal.terminal import Terminal
from pipeline.warehouse.build import build
from pipeline.warehouse.compact import PACK_STREAMS, pile_of
from schema.config import ReplayConfig
from schema.errors import clear_errors
from schema.geometry import Geometry
from schema.manifest import KINDS, MANIFEST, PACKS, FileRef, Manifest, stream_folder
from schema.records import Episode, final_fields
from training.data.batches import Sampler, make_batch
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader

SMALL = 1_000
CONFIG = ReplayConfig(rows=12, cols=40)
WINDOW = 64
COMMITS = 3
TYPED = b"echo a line that is long enough to fill a window\r"
QUESTIONS = 5


def commits(repo_id: str, first: Episode | None = None, count: int = COMMITS) -> Iterator[FilmedCommit]:
    """Commits made by code, from behind `first` on: keys typed at the shell's prompt, and no file."""
    terminal = Terminal(Geometry(CONFIG.rows, CONFIG.cols), first.final_screen if first else None)
    step, begin = (first.first_step + first.steps, first.episode + 1) if first else (0, 0)
    for number in range(begin, begin + count):
        film = terminal.play(TYPED, [])
        sha = f"{number:040x}"
        fields = {
            "repo_id": repo_id, "episode": number, "commit": sha, "parent": None, "authored_at": None,
            "committed_at": 1_600_000_000 + number, "author": None, "subject": f"Commit {number}", "status": "filmed",
            "reason": None, "files": 1, "files_typed": 0, "lines": 1, "lines_typed": 0, "first_step": step,
            "steps": len(TYPED), "tree": sha, "opened": (),
        }  # fmt: skip
        episode = Episode.model_validate({**fields, **final_fields(terminal.screen())})
        yield FilmedCommit(episode, film, terminal.table, [], [])
        step += len(TYPED)


def name(number: int) -> str:
    """The repository of this number: neighbours by number are none by name."""
    return f"owner-{number * 7919 % 9973:04d}/repository-{number:06d}"


def film(store: Store, repo_id: str, count: int = COMMITS) -> Manifest:
    """Write a stream, or lengthen it, as a harvest does."""
    with StreamWriter(store, repo_id, CONFIG, source=repo_id, family=repo_id, licence="MIT") as writer:
        for commit in commits(repo_id, writer.resume_point, count):
            writer.append(commit)
    return writer.manifest


def make(store: Store, streams: int) -> None:
    """Fill a new warehouse: packs of copies of one stream, each under a name of its own."""
    with tempfile.TemporaryDirectory(prefix="gitreel-one-") as folder:
        one = Store(folder)
        pattern = film(one, "owner/pattern")
        rows = {kind: pa.concat_tables(tables_of(one, ref)) for kind, ref in pattern.shards[0].files.items()}
    piles: dict[str, list[str]] = {}
    for number in range(streams):
        piles.setdefault(pile_of(pattern.model_copy(update={"family": name(number)})), []).append(name(number))
    for pile, repos in sorted(piles.items()):
        repos.sort()
        for first in range(0, len(repos), PACK_STREAMS):
            _pack(store, pattern, rows, repos[first : first + PACK_STREAMS], f"{PACKS}/{pile.split()[1]}-{first:06d}")


def _pack(store: Store, pattern: Manifest, rows: dict[str, pa.Table], repos: Sequence[str], base: str) -> None:
    refs: dict[str, tuple[FileRef, int, int]] = {}
    for kind in KINDS:
        if kind not in rows:
            continue
        file, count = TableFile(store, f"{base}.{kind}.parquet", kind, CONFIG), len(rows[kind])
        share = (GROUP_STEPS if kind == "steps" else GROUP_RECORDS) // count  # streams in a row group
        for first in range(0, len(repos), share):
            some = repos[first : first + share]
            ids = pa.DictionaryArray.from_arrays(np.repeat(np.arange(len(some), dtype=np.int32), count), some)
            copies = pa.concat_tables([rows[kind]] * len(some))
            if "repo_id" in copies.column_names:
                place = copies.schema.get_field_index("repo_id")
                copies = copies.set_column(place, "repo_id", ids.cast(file.schema.field(place).type))
            file.write(copies.cast(file.schema).unify_dictionaries().combine_chunks())
        ref = file.publish(f"{base}.{kind}.parquet")
        assert ref is not None
        refs[kind] = ref, share, count
    fields = json.loads(pattern.dump())
    common = {kind: ref.model_dump(mode="json") for kind, (ref, _, _) in refs.items()}
    for number, repo_id in enumerate(repos):
        fields |= {"repo_id": repo_id, "source": repo_id, "family": repo_id}
        fields["resume"]["repo_id"] = repo_id
        fields["shards"][0]["files"] = {
            kind: common[kind] | {"rows": count, "row_groups": (number // share, 1), "skip": number % share * count}
            for kind, (ref, share, count) in refs.items()
        }
        place = Path(store.path(stream_folder(repo_id)))
        place.mkdir(parents=True)
        (place / MANIFEST).write_bytes(json.dumps(fields, sort_keys=True, indent=1).encode() + b"\n")


class Subject:
    """A warehouse of so many streams, and what is done with it."""

    def __init__(self, folder: Path, streams: int) -> None:
        self.folder, self.store, self.streams = folder, Store(folder), streams
        self._fresh, self._grown = map(name, itertools.count(10_000_000)), map(name, itertools.count())
        self._asked, self._steps = map(name, itertools.count(streams // 2)), itertools.count()
        make(self.store, streams)

    def build(self) -> None:
        """What a harvest does when it ends."""
        build(self.store)

    def prepare_register(self) -> None:
        """Harvest one more, on top of a database without leftovers."""
        self.build()
        film(self.store, next(self._fresh))

    def prepare_grow(self) -> None:
        """Harvest a new commit of one that is in a pack."""
        self.build()
        film(self.store, next(self._grown), 1)

    def open(self) -> None:
        """What a trainer does before its first batch."""
        self._reader = FilmReader(Warehouse(self.folder))
        self._sampler = Sampler(self._reader.segments(WINDOW)[0]["train"], WINDOW)

    def batch(self) -> None:
        """What it does then."""
        make_batch(self._reader, self._sampler, 8, next(self._steps))

    def screen(self) -> None:
        """Look at a repository nobody has just looked at."""
        assert len(self.ask(f"FROM screen('{next(self._asked)}', 50)")) == CONFIG.rows

    def ask(self, question: str) -> list[Any]:
        """The answer, from a new connection."""
        with duckdb.connect() as db:
            db.execute(f"ATTACH '{self.folder / 'actions.db'}' AS film (READ_ONLY)")
            db.execute("USE film")
            return db.execute(question).fetchall()

    def files(self) -> int:
        """Files that a reader may open."""
        ((listed,),) = self.ask("SELECT count(DISTINCT path) FROM files")
        return int(listed) + len(list((self.folder / "catalogue").glob("*.parquet")))


Action = Callable[[Subject], object]


def least(
    subjects: Sequence[Subject], repeats: int, action: Action, before: Action = lambda subject: None
) -> list[tuple[float, float]]:
    """(seconds, seconds of processor) of an action with each subject, the least of the repeats."""
    found: list[list[tuple[float, float]]] = [[] for _ in subjects]
    for _ in range(repeats):
        for subject, times in zip(subjects, found, strict=True):
            before(subject)
            begun = time.perf_counter(), time.process_time()
            action(subject)
            times.append((time.perf_counter() - begun[0], time.process_time() - begun[1]))
    return [(min(wall for wall, _ in times), min(own for _, own in times)) for times in found]


def measure(subjects: Sequence[Subject], repeats: int) -> dict[str, list[tuple[float, float]]]:
    """(seconds, seconds of processor) with each subject, by what was done."""
    found = {"build": least(subjects, 1, Subject.build), "again": least(subjects, repeats, Subject.build)}
    found["register"] = least(subjects, repeats, Subject.build, Subject.prepare_register)
    found["grow"] = least(subjects, repeats, Subject.build, Subject.prepare_grow)
    for action in (Subject.open, Subject.batch, Subject.screen):
        found[action.__name__] = least(subjects, repeats, action)
    for number, question in enumerate(questions(), 1):
        found[f"question {number}"] = least(subjects, repeats, partial(Subject.ask, question=question))
    return found


def questions() -> list[str]:
    """Five questions of the warehouse's README."""
    text = (ROOT / "warehouse" / "README.md").read_text()
    return re.findall(r"```sql\n(.*?)```", text, re.DOTALL)[:QUESTIONS]


@clear_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    flags = parser(__doc__)
    flags.add_argument("--streams", type=positive, default=20_000, help="N (default %(default)s)")
    flags.add_argument("--repeats", type=positive, default=5)
    flags.add_argument("--folder", type=Path, help="make the warehouses here and leave them; default: a temporary one")
    options = flags.parse_args(arguments)
    if options.quick:
        options.streams, options.repeats = min(options.streams, 2_000), min(options.repeats, 2)
    with tempfile.TemporaryDirectory(prefix="gitreel-catalogue-") as folder:
        return report(options, options.folder or Path(folder))


def report(options: argparse.Namespace, folder: Path) -> int:
    """Measure and print."""
    print(header("catalogue", ["duckdb", "pyarrow"], streams=options.streams, repeats=options.repeats))
    sizes = (min(SMALL, options.streams), options.streams)
    subjects = [Subject(folder / f"{place}-{streams}", streams) for place, streams in enumerate(sizes)]
    found = measure(subjects, options.repeats)
    rows = [
        [what, *(round(wall, 4) for wall, _ in pair), pair[1][0] / pair[0][0], pair[1][1] / pair[0][1]]
        for what, pair in found.items()
    ]
    files = [subject.files() for subject in subjects]
    at = [f"s at {size:,}" for size in sizes]
    print(table(["what", *at, "growth", "of processor time"], [*rows, ["files", *files, files[1] / files[0], ""]]))
    figures: dict[str, object] = {"streams": options.streams, "files": files[1]}
    for what, ((small, small_own), (large, large_own)) in found.items():
        key = "one_repository" if what == "screen" else what.replace(" ", "_")
        figures[f"{key}_seconds"], figures[f"{key}_growth"] = round(large, 4), round(large / small, 3)
        figures[f"{key}_processor_growth"] = round(large_own / max(small_own, 1e-6), 3)
    finish(figures, options.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
