"""Look for a commit that is played wrong: random repositories, ugly on purpose, against the real programs.

    python -m benchmarks.oracle.repositories --commits 500 --seed 0 --rows 24 --cols 80

Each seed is one repository of up to some forty commits: odd names that turn into folders and links and back, moves,
modes, gitlinks, attributes, jumps between branches, merges, roots in the middle, messages in any encoding. Its whole
history is judged as by benchmarks.fidelity: every frame, every tree, every subject. Exit code 1 when one was wrong.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.fidelity import Verdict, judge
from benchmarks.oracle.cases import Maker
from benchmarks.report import positive
from pipeline.git.order import order
from schema.config import ReplayConfig
from schema.errors import clear_errors
from schema.geometry import Geometry
from tests.repositories import EXECUTABLE, GITLINK, REGULAR, SYMLINK, Repository

NAMES = [
    b"a", b"b", b"c", b"d", b"A", b"a b", b"-x", b"\xe6\xbc\xa2", b"\xc3\xa9", b"e\xcc\x81", b"r\xe9", b"\xff",
    b".gitignore", b".gitattributes", b".gitmodules", b".git~1", b".Git2", b"gi t", b"HEAD", b"x.py", b"it's", b"a.b",
    b"a-", b"a0", b"~", b"*", b"[a]", b"a\nb", b"t\tt", b"\x7f", b"!", b"#", b"--", b"+", b"\\", b"$x", b"`", b"a,v",
    b"a;b", b"%", b"0", b"=", b":x", b"^", b"{a,b}", b"@{-1}", b"con", b"nul", b"ftp:x", b"scp:x", b"sftp:", b"rcp:y",
    b"x.gz", b"x.zip", b"x.tar.gz", b"x.orig", b"x.bz2", b"x.Z", b"x.jar",
    b"\x01" * 30,
]  # fmt: skip
_TARGETS = [b"..", b".", b"/dev/null", b".git", b"\xff", b"-f", b"a\nb"]
_ENCODINGS = [None] * 6 + ["iso-8859-1", "utf-16", "nonsense", "Shift_JIS", "cp1252"]
_FILES = (REGULAR, EXECUTABLE)
_FILE_BYTES = 3_000

Entries = dict[bytes, tuple[int, str]]  # path -> mode, object id


class Grower:
    """Grows one random repository at `path`."""

    def __init__(self, path: Path, seed: int, geometry: Geometry) -> None:
        self.rng = random.Random(seed)
        self.maker = Maker(random.Random(seed + 1), geometry, composing=self.rng.random() < 0.2)
        self.repository = Repository(path)
        self.contents: dict[str, bytes] = {}
        self.names = self.rng.sample(NAMES, self.rng.randint(3, 14))
        self.commits: list[str] = []
        self.files: Entries = {}  # of the commit that grows

    def grow(self) -> None:
        """Commit by commit; mostly, the last one leads to some of the others."""
        rng, repository = self.rng, self.repository
        for _ in range(rng.randint(10, 35)):
            parents = self._parents()
            self.files = dict(repository.trees[parents[0]]) if parents else {}
            for _ in range(rng.choice([0, 1, 1, 2, 3, 5, 8])):
                self._change()
            tree = repository.tree(self.files)
            sha = repository.commit(self._message(), parents=parents, encoding=rng.choice(_ENCODINGS), tree=tree)
            repository.trees[sha] = self.files
            self.commits.append(sha)
        if rng.random() < 0.8:
            last = self.commits[-1]
            others = [sha for sha in rng.sample(self.commits, 4) if sha != last]
            repository.commit("join", parents=[last, *others])

    def _parents(self) -> list[str]:
        rng, commits = self.rng, self.commits
        kind = rng.random()
        if not commits or kind < 0.05:
            return []
        if kind < 0.25:
            return [rng.choice(commits)]
        if kind < 0.35 and len(commits) > 2:
            others = rng.sample(commits, rng.choice([1, 1, 2]))
            return [commits[-1], *(sha for sha in others if sha != commits[-1])]
        return [commits[-1]]

    def _message(self) -> bytes:
        rng, maker = self.rng, self.maker
        subjects = [b"plain subject", b"", b" ", b"- dash", b"'", b"\\", b'"$x"!', b"!" + maker.piece("code")]
        subjects += [maker.line(flavour) for flavour in ("any", "wide", "long", "control", "composing")]
        subjects += [b"x" * rng.randint(1, 300), "漢".encode() * rng.randint(1, 90), maker.piece("any")]
        return rng.choice(subjects).replace(b"\0", b"") + rng.choice([b"", b"", b"\n\nbody"])

    def _change(self) -> None:
        if not self.files:
            self._write()
            return
        kinds: dict[Callable[[], None], int] = {
            self._write: 30, self._edit: 15, self._delete: 10, self._delete_folder: 7, self._move: 13,
            self._move_folder: 5, self._link: 8, self._gitlink: 4, self._mode: 5, self._copy: 3,
        }  # fmt: skip
        self.rng.choices(list(kinds), list(kinds.values()))[0]()

    def _write(self) -> None:
        rng, maker = self.rng, self.maker
        lines = [b"line %d %s\n" % (rng.randrange(40), maker.piece("code")) for _ in range(rng.randint(1, 12))]
        content = rng.choice([b"", maker.content()[: _FILE_BYTES // 2], b"".join(lines), b"".join(lines)])
        self._put(self._new_path(), (rng.choice([REGULAR, *_FILES]), self._store(content)))

    def _edit(self) -> None:
        path = self._path()
        mode, oid = self.files[path]
        if mode in _FILES:
            changed = self.maker.changed(self.contents[oid])[:_FILE_BYTES]
            self.files[path] = (self.rng.choice([mode, mode, *_FILES]), self._store(changed))

    def _delete(self) -> None:
        del self.files[self._path()]

    def _delete_folder(self) -> None:
        self._take_out(self._path().split(b"/")[0])

    def _move(self) -> None:
        entry = self.files.pop(self._path())
        self._put(self._new_path(), entry)

    def _move_folder(self) -> None:
        target = self._new_path()
        for rest, entry in self._take_out(self._path().split(b"/")[0]).items():
            self._put(target + rest, entry)

    def _link(self) -> None:
        path = self._path()
        odd = [*_TARGETS, self._new_path(), b"x" * self.rng.randint(1, 200), self.maker.piece("wide")]
        target = self.rng.choice([path, path.split(b"/")[0], *odd])
        self._put(self._new_path(), (SYMLINK, self._store(target)))

    def _gitlink(self) -> None:
        self._put(self._new_path(), (GITLINK, f"{self.rng.getrandbits(160):040x}"))

    def _mode(self) -> None:
        path = self._path()
        mode, oid = self.files[path]
        if mode in _FILES:
            self.files[path] = (REGULAR if mode == EXECUTABLE else EXECUTABLE, oid)

    def _copy(self) -> None:
        self._put(self._new_path(), self.files[self._path()])

    def _path(self) -> bytes:
        return self.rng.choice(list(self.files))

    def _new_path(self) -> bytes:
        return b"/".join(self.rng.choices(self.names, k=self.rng.choice([1, 1, 2, 2, 3, 4])))

    def _store(self, content: bytes) -> str:
        oid = self.repository.store("blob", content)
        self.contents[oid] = content
        return oid

    def _put(self, path: bytes, entry: tuple[int, str]) -> None:
        """Put a file in place; what stands below or above its path goes."""
        self._take_out(path)
        for at, byte in enumerate(path):
            if byte == 0x2F:
                self.files.pop(path[:at], None)
        self.files[path] = entry

    def _take_out(self, folder: bytes) -> Entries:
        """Remove all files below a folder: by what follows its name."""
        inside = [path for path in self.files if path.startswith(folder + b"/")]
        return {path[len(folder) :]: self.files.pop(path) for path in inside}


def search(geometry: Geometry, seed: int, commits: int, seconds: float = float("inf")) -> Iterator[tuple[int, Verdict]]:
    """(seed, verdict) for one repository after the other, until `commits` commits were played or time is up.

    Raises GitreelError, OracleError; a note on it names the seed.
    """
    deadline = time.monotonic() + seconds
    config = ReplayConfig(rows=geometry.rows, cols=geometry.cols, scan_secrets=False)
    played = 0
    while played < commits and time.monotonic() < deadline:
        with tempfile.TemporaryDirectory(prefix="film-") as root:
            path = Path(root) / "r"
            try:
                Grower(path, seed, geometry).grow()
                verdict = judge(path, config, [(0, min(len(order(path)), commits - played))])
            except Exception as error:
                error.add_note(f"the random repository of seed {seed} at {geometry}")
                raise
        yield seed, verdict
        played += verdict.commits + verdict.dropped.total()
        seed += 1


@clear_errors
def main() -> int:
    """Search, print what was wrong and the totals."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--commits", type=positive, default=200, help="commits to play, of as many repositories as it takes"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the first repository")
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--cols", type=int, default=80)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start no repository after so long")
    parser.add_argument("--show", type=int, default=3, help="wrong repositories to draw")
    parser.add_argument("--json", action="store_true", help="totals as one JSON object on the last line")
    options = parser.parse_args()
    geometry = Geometry(options.rows, options.cols).check()
    repositories = commits = frames = 0
    wrong: list[int] = []
    dropped: Counter[str] = Counter()
    not_typed: Counter[str] = Counter()
    for seed, verdict in search(geometry, options.seed, options.commits, options.seconds):
        repositories += 1
        commits += verdict.commits
        frames += verdict.frames
        dropped += verdict.dropped
        not_typed += verdict.not_typed
        if not verdict.exact:
            wrong.append(seed)
            if len(wrong) <= options.show:
                print(f"=== seed {seed}", *verdict.shown, sep="\n", flush=True)
    print(f"commits stepped over: {dict(dropped.most_common())}; files not typed: {dict(not_typed.most_common())}")
    print(
        f"{repositories} repositories, {commits} commits, {frames} frames at {geometry},"
        f" {len(wrong)} repositories with a mismatch: seeds {wrong[:40]}"
    )
    if options.json:
        totals = {"repositories": repositories, "commits": commits, "frames": frames, "wrong": len(wrong)}
        print(json.dumps(totals))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
