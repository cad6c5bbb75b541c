"""Which of a commit's files are typed, and which come by checkout, with one fixed word for why; lines are counted.

Reasons: gitlink, symlink, missing, too-large, path-too-long, secret, email, those of `pipeline.script.filters` and of
the editor's typist; the script adds episode-too-long and unsupported-key. A file that holds a secret or an address
not to be shown is typed in part (`pipeline.script.private`), and listed among the drops for its other lines.
"""

import io
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from rapidfuzz.distance import Indel

from pipeline.git.attribute_rules import find_attributes
from pipeline.git.changes import Commit, FileChange
from pipeline.git.entries import GITLINK, SYMLINK
from pipeline.git.tree import FileVersion, Tree
from pipeline.script import filters
from pipeline.script.edit import Untypable
from pipeline.script.filters import UNMARKED, Marks
from pipeline.script.private import open_part
from pipeline.script.secrets import BLOCKS, find_secrets, is_config_file
from pipeline.script.typists import typist
from pipeline.text.shared import shared_end, shared_start
from schema.config import ReplayConfig

COUNT_BYTES = 16 << 20  # a larger file's lines are not counted: nobody wrote them by hand
PATH_BYTES = 1_000  # the editor and the shell get no longer names than this
TARGET_BYTES = 1_000
_JUDGED = 1 << 14  # contents whose verdict is remembered: an old one was mostly judged when it was new

_K = TypeVar("_K")
_V = TypeVar("_V")
Verdict = tuple[bool, str]
Private = Mapping[bytes, str]  # lines that may not be typed or shown -> the rule: 'email', or one of the secrets'
_NOTHING: Private = {}
MARKS = (b"linguist-generated", b"linguist-vendored")  # in the order of Marks


class Verdicts(NamedTuple):
    """The filters, each answering (keep, reason); replaced in tests."""

    commit: Callable[[Commit, ReplayConfig], Verdict] = filters.commit_filter
    path: Callable[[bytes, Marks], Verdict] = filters.path_filter
    file: Callable[[bytes, bytes, ReplayConfig, Marks], Verdict] = filters.file_filter
    secrets: Callable[[Sequence[bytes], bytes], Iterable[tuple[int, str]]] = find_secrets


class Selection(NamedTuple):
    """One change: typed with `keys` (vim's for a file, empty for what the shell does), or dropped for `reason`.

    With a reason and keys it is typed in part: `git checkout` brings the rest behind them.
    """

    change: FileChange
    reason: str = ""  # empty: typed
    keys: bytes | None = None  # None: vim is not needed
    old: bytes | None = None  # what vim opens, private lines masked
    target: bytes | None = None  # of a new symlink
    lines: int = 0  # added and removed, if it is hand-written text
    lines_typed: int = 0
    masked: bool = False  # `old` holds masks


class Selector:
    """Chooses file by file; remembers its verdicts on contents. `poll`, called before each, may raise to end it."""

    def __init__(self, config: ReplayConfig, verdicts: Verdicts, poll: Callable[[], None] = lambda: None) -> None:
        self.config = config
        self.verdicts = verdicts
        self.poll = poll
        self._edit = typist(config).edit
        self._verdicts: dict[tuple[str, bytes, Marks], str] = {}  # content, path, marks -> why its file is not typed
        self._private: dict[tuple[str, bool], Private] = {}  # (content, in a configuration file?)
        self._judged: dict[bytes, FileVersion] = {}  # path -> the last content of it that `_private` knew
        self._harmless: set[bytes] = set()  # paths without a private part

    def choose(self, change: FileChange, tree: Tree) -> Selection:
        """Decide about one added, changed or deleted path of the commit with this tree.

        Raises SourceError when git cannot read on.
        """
        self.poll()
        if GITLINK in (change.old_mode, change.new_mode):
            return Selection(change, "" if change.new is None else "gitlink")
        if change.new_mode == SYMLINK:
            return self._symlink(change)
        if change.same_content:
            return Selection(change)  # its mode alone
        if change.new is None:
            return Selection(change, lines=0 if change.old_mode == SYMLINK else self._lines(change, tree))
        sizes = [version.size for version in change.versions]
        known = [size for size in sizes if size is not None]
        marks = self._marks(change.path, tree)
        if self.config.skip_generated and not (verdict := self.verdicts.path(change.path, marks))[0]:
            return Selection(change, verdict[1])
        if len(known) < len(sizes):
            return Selection(change, "missing")
        if max(known) > self.config.max_file_bytes:
            return Selection(change, "too-large", lines=self._lines(change, tree))
        return self._file(change, marks)

    def lines(self, change: FileChange, tree: Tree) -> int:
        """Its added and removed lines, if it is hand-written text, without choosing. Raises SourceError."""
        self.poll()
        kinds = (change.old_mode, change.new_mode)
        if GITLINK in kinds or change.new_mode == SYMLINK or change.same_content:
            return 0
        return self._lines(change, tree)

    def _marks(self, path: bytes, tree: Tree) -> Marks:
        """What the tree's .gitattributes say of a path; 'false' is no, as on GitHub, any other value yes."""
        if not self.config.skip_generated:
            return UNMARKED
        found = find_attributes(tree, path, MARKS)
        if not found:
            return UNMARKED
        return Marks(*(found[name] not in (False, b"false") if name in found else None for name in MARKS))

    def _symlink(self, change: FileChange) -> Selection:
        assert change.new is not None
        size = change.new.size
        if size is None:
            return Selection(change, "missing")
        if size > TARGET_BYTES or len(change.path) > PATH_BYTES:
            return Selection(change, "path-too-long")
        target = change.new.content
        if not target or b"\0" in target:
            return Selection(change, "symlink")
        if why := self.private([target], change.path):
            return Selection(change, why)
        return Selection(change, target=target)

    def _file(self, change: FileChange, marks: Marks) -> Selection:
        """A regular file within the size limit, whose blobs are there."""
        assert change.new is not None
        new = change.new.content
        # no editor opens a symlink: it is removed, and the file is new
        old = change.old.content if change.old and change.old_mode != SYMLINK else None
        middles = without_shared_ends(old or b"", new)
        for version, content in ((change.old, old), (change.new, new)):
            if version and content is not None and (why := self._unwritten(version, content, change.path, marks)):
                return Selection(change, why)
        private = self._private_of_change(change, old, new, middles)
        typed = old, new
        lines = count_changed(old or b"", new, middles)
        if len(change.path) > PATH_BYTES:
            return Selection(change, "path-too-long", lines=lines)
        why = reason_of(private.values())
        try:
            if private:
                part = None if BLOCKS.intersection(private.values()) else open_part(old, new, private)
                if part is None:
                    return Selection(change, why, lines=lines)
                typed = part
            if old is None and len(typed[1]) > self.config.max_episode_keys:
                return Selection(change, why or "episode-too-long", lines=lines)  # every byte is a key or more
            keys = self._edit(*typed)
        except Untypable as untypable:
            return Selection(change, why or untypable.reason, lines=lines)
        lines_typed = count_changed(typed[0] or b"", typed[1]) if private else lines
        return Selection(change, why, keys, typed[0], None, lines, lines_typed, typed[0] != old)

    def _unwritten(self, version: FileVersion, content: bytes, path: bytes, marks: Marks) -> str:
        """Why no person typed this content; empty if one did."""
        key = (version.oid, path, marks)
        known = self._verdicts.get(key)
        if known is None:
            _, known = self.verdicts.file(path, content, self.config, marks)
            _put(self._verdicts, key, known)
        return known

    def _private_of_change(
        self, change: FileChange, old: bytes | None, new: bytes, middles: tuple[bytes, bytes]
    ) -> Private:
        """The private lines of what the editor would show or write."""
        kind = is_config_file(change.path)
        assert change.new is not None
        before = _NOTHING
        if old is not None and change.old:
            before = self._private_lines(change.old.oid, kind, old, change.path)
        key = (change.new.oid, kind)
        after = self._private.get(key)
        if after is None:
            after = self._after(before, new, middles, change.path)
            _put(self._private, key, after)
        _put(self._judged, change.path, change.new)
        return {**before, **after} if before or after else _NOTHING

    def _private_lines(self, oid: str, kind: bool, content: bytes, path: bytes) -> Private:
        """The private lines of an old content: no commit of the film wrote it if a merge did, or a commit left out."""
        known = self._private.get((oid, kind))
        if known is None:
            other = self._judged.get(path)
            before = self._private.get((other.oid, kind)) if other else None
            if other is None or before is None:
                known = self._find_private(content.split(b"\n"), path)
            else:
                known = self._after(before, content, without_shared_ends(other.content, content), path)
            _put(self._private, (oid, kind), known)
        return known

    def _after(self, before: Private, new: bytes, middles: tuple[bytes, bytes], path: bytes) -> Private:
        """The private lines of `new`, by those of the content before it: only lines that are new are searched.

        Whether a line is private depends on that line alone, so the answer is that of a search of all lines. Searching
        every revision of a file whole because one line of it is private was 100 times slower.
        """
        was, now = (middle.split(b"\n") for middle in middles)
        gone = set(was).difference(now)
        left = {line: why for line, why in before.items() if line not in gone or _holds(new, line)}
        fresh = self._find_private([*set(now).difference(was)], path)
        return {**left, **fresh} if left or fresh else _NOTHING

    def _find_private(self, lines: Sequence[bytes], path: bytes) -> Private:
        """The private ones of `lines`, as far as the settings ask."""
        found: dict[bytes, str] = {}
        if not self.config.show_emails:
            found.update((line, "email") for line in lines if b"@" in line and not filters.email_filter(line)[0])
        if self.config.scan_secrets:
            found.update((lines[number], rule) for number, rule in self.verdicts.secrets(lines, path))
        return found or _NOTHING

    def private(self, lines: Sequence[bytes], path: bytes) -> str:
        """'secret' or 'email' if such stands in lines to be typed or shown, as far as the settings ask; else ''."""
        return reason_of(self._find_private(lines, path).values())

    def private_words(self, subject: str, paths: Iterable[bytes]) -> str:
        """`private` of a commit's subject and paths; a path is searched once."""
        fresh = [path for path in paths if path not in self._harmless]
        why = self.private([subject.encode(), *fresh], b"")
        if not why:
            if len(self._harmless) >= _JUDGED:
                self._harmless.clear()
            self._harmless.update(fresh)
        return why

    def _lines(self, change: FileChange, tree: Tree) -> int:
        """Changed lines of a file that is deleted or too large; 0 unless it is hand-written text."""
        versions = change.versions
        if any((size := version.size) is None or size > COUNT_BYTES for version in versions):
            return 0
        marks = self._marks(change.path, tree)
        if self.config.skip_generated and not self.verdicts.path(change.path, marks)[0]:
            return 0
        for version in versions:
            if not self.verdicts.file(change.path, version.content, self.config, marks)[0]:
                return 0
        old = change.old.content if change.old and change.old_mode != SYMLINK else b""
        return count_changed(old, change.new.content if change.new else b"")


def reason_of(rules: Collection[str]) -> str:
    """'secret' or 'email', by the rules of private lines; empty if there are none."""
    if not rules:
        return ""
    return "email" if set(rules) == {"email"} else "secret"


def _holds(content: bytes, line: bytes) -> bool:
    """Whether `line` is a whole line of `content`."""
    return b"\n" + line + b"\n" in b"\n" + content + b"\n"


def _put(cache: dict[_K, _V], key: _K, value: _V) -> None:
    """Remember, and forget all when that gets much: what is asked for is mostly recent."""
    if len(cache) >= _JUDGED:
        cache.clear()
    cache[key] = value


def count_changed(old: bytes, new: bytes, middles: tuple[bytes, bytes] | None = None) -> int:
    """Added plus removed lines; 0 unless both are UTF-8 without NUL. Past 1 MiB, moved lines count as unchanged."""
    if not (_is_text(old) and _is_text(new)):
        return 0
    a, b = (io.BytesIO(middle).readlines() for middle in middles or without_shared_ends(old, new))
    if not a or not b:
        return len(a) + len(b)
    if len(old) + len(new) > 2 << 20:
        return (Counter(a) - Counter(b)).total() + (Counter(b) - Counter(a)).total()
    return int(Indel.distance(a, b))


def without_shared_ends(old: bytes, new: bytes) -> tuple[bytes, bytes]:
    """Both without the whole lines that they share at the start and at the end."""
    limit = min(len(old), len(new))
    head = shared_start(old, new, limit)
    if head == len(old) == len(new):
        return b"", b""
    head = old.rfind(b"\n", 0, head) + 1
    limit -= head
    tail = shared_end(old, new, limit)
    starts = all(len(side) - tail == head or side[-tail - 1 : len(side) - tail] == b"\n" for side in (old, new))
    if tail and not starts:  # the first of the shared lines is not shared from its start
        tail = len(old) - 1 - at if (at := old.find(b"\n", len(old) - tail)) >= 0 else 0
    return old[head : len(old) - tail], new[head : len(new) - tail]


def _is_text(content: bytes) -> bool:
    if b"\0" in content:
        return False
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
