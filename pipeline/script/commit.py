"""One commit as a developer at a terminal would type it: a checkout if need be, files removed, moved and edited, a
commit. After its keys the folder holds the commit's tree, byte for byte and mode for mode.

Typed in this order: `git checkout -q` of the parent (or `git switch --orphan` for a later root), `git rm`, `rm`,
`mkdir -p` and `git mv`, `rmdir -p`, `mkdir -p`, `ln -sfn`, the editor, `chmod`, `git checkout -q SHA -- PATHS` for what
is not typed, `git add -Af && git commit -qm SUBJECT`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from posixpath import normpath
from typing import NamedTuple

from pipeline.git.changes import Commit, FileChange, in_bulk
from pipeline.git.checkout_rules import MISSING, UNPLAYABLE, CheckoutRules, cannot_follow, lacks_content
from pipeline.git.entries import EXECUTABLE, GITLINK, REGULAR, SYMLINK, blob_id, empty_tree
from pipeline.script.renames import find_renames, folder_of
from pipeline.script.selection import Selection, Selector, Verdicts
from pipeline.script.subject import reads_as_empty, subject_line
from pipeline.script.typists import typist
from pipeline.text.quoting import arguments, operands, quote
from schema.config import ReplayConfig

# Commit ids are typed with 16 digits, never with git's own abbreviation, which grows with the repository. Among 10^8
# objects (the largest public histories and our own commits) two share 64 bits with a probability of 3e-4; a stream is
# typed the same whatever is added to its repository later.
SHA_DIGITS = 16
COMMAND_BYTES = 1_000  # longer lists of paths become several commands
_COUNTED_FILES = 5_000  # of a commit that has too many; a few seconds


class SkippedCommit(ValueError):
    """This commit cannot be filmed and is stepped over.

    `reason` is a fixed word, counted in `drops`; `lines` are those of its hand-written text, where a limit is why.
    """

    def __init__(self, reason: str, lines: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.lines = lines


class OpenedFile(NamedTuple):
    """A file that vim opens: `keys[start:stop]` of the script are typed in it, the last `:q` and Enter included."""

    path: bytes
    blob: str | None  # git's id of `content`
    content: bytes | None  # private lines masked
    start: int
    stop: int
    masked: bool = False


class Script(NamedTuple):
    """What is typed for one commit, and what is needed to redraw it. `lines` as in schema.columns."""

    keys: bytes
    opened: tuple[OpenedFile, ...]
    files: int
    files_typed: int
    lines: int
    lines_typed: int
    drops: tuple[tuple[bytes, str], ...]
    subject: str


class Workspace:
    """What stands in the terminal's folder: `tree` (None: nothing yet). Its trees can be checked out, or it says so.

    `poll` is called many times while a commit's script is written and played, and may raise to end that.
    """

    def __init__(
        self,
        config: ReplayConfig,
        verdicts: Verdicts | None = None,
        tree: str | None = None,
        poll: Callable[[], None] = lambda: None,
    ) -> None:
        self.config = config
        self.verdicts = verdicts or Verdicts()
        self.poll = poll
        self.selector = Selector(config, self.verdicts, poll)
        self.checkout = CheckoutRules()
        self.tree = tree


def write_script(commit: Commit, workspace: Workspace, undrawn: Collection[bytes] = ()) -> Script:
    """The script of one commit, for a folder that holds `workspace.tree`, which the caller then sets to the commit's.

    `undrawn` are paths of files that the terminal model cannot show in the editor: they come by checkout.
    Raises SkippedCommit for a commit to be stepped over, SourceError when git cannot read on.
    """
    subject = subject_line(commit.subject, mask=workspace.config.mask_emails)
    _refuse(commit, workspace, subject)
    writer = _ScriptWriter(commit, workspace, undrawn)
    writer.arrive()
    writer.rearrange()
    writer.edit()
    writer.commit(subject)
    return writer.script(subject)


def _refuse(commit: Commit, workspace: Workspace, subject: str) -> None:
    config, verdicts = workspace.config, workspace.verdicts
    keep, reason = verdicts.commit(commit, config)
    if not keep:
        raise SkippedCommit(reason)
    if commit.truncated or len(commit.changes) > config.max_commit_files:
        counted = in_bulk([] if commit.truncated else commit.changes[:_COUNTED_FILES], config.max_file_bytes)
        raise SkippedCommit("too-many-files", sum(workspace.selector.lines(change, commit.tree) for change in counted))
    if why := workspace.selector.private_words(subject, (c.path for c in commit.changes)):
        raise SkippedCommit(why)
    if _lacks_files(commit):
        raise SkippedCommit(MISSING)  # git could not check it out, and refuses to commit a tree that names it
    if any(cannot_follow(change) for change in commit.changes):
        raise SkippedCommit(UNPLAYABLE)
    if commit.parent_tree.oid != workspace.tree and (why := workspace.checkout.refusal(commit.parent_tree)):
        raise SkippedCommit(why)


def is_missing(commit: Commit, workspace: Workspace) -> bool:
    """Whether the clone lacks a file of this commit or of its parent, so that it is stepped over as 'missing'."""
    return _lacks_files(commit) or workspace.checkout.refusal(commit.parent_tree) == MISSING


def _lacks_files(commit: Commit) -> bool:
    return lacks_content(change.new for change in commit.changes if change.new)


class _ScriptWriter:
    """The keys of one commit as they grow."""

    def __init__(self, commit: Commit, workspace: Workspace, undrawn: Collection[bytes]) -> None:
        self.source = commit
        self.workspace = workspace
        self.undrawn = undrawn
        self.sha = commit.sha[:SHA_DIGITS].encode()
        self.keys = bytearray()
        self.opened: list[OpenedFile] = []
        self.drops: list[tuple[bytes, str]] = []
        self.lines = self.lines_typed = 0
        self.gone: set[bytes] = set()  # paths of the parent's tree that are no longer in the folder
        self.added: list[bytes] = []  # paths moved into place
        self.selections: list[Selection] = []
        self.modes: list[FileChange] = []  # moved as they are, but to another mode

    def type(self, *lines: bytes) -> None:
        """Type lines at the prompt, each with Enter."""
        for line in lines:
            self.keys += line + b"\r"

    def arrive(self) -> None:
        """Bring the folder to the parent's tree."""
        commit, tree = self.source, self.workspace.tree
        if commit.parent_tree.oid == (tree or empty_tree(len(commit.sha))):
            return
        if commit.parent is None:
            self.type(b"git switch -q --orphan r" + self.sha)
        else:
            self.type(b"git checkout -q " + commit.parent[:SHA_DIGITS].encode())

    def rearrange(self) -> None:
        """Remove, rename, make folders."""
        selector = self.workspace.selector
        renames, rest = find_renames(self.source, selector)
        removed = [c for c in rest if c.old_mode and _removed_first(c)]
        self.selections = [selector.choose(change, self.source.tree) for change in rest] + [
            rename.edited for rename in renames if rename.edited
        ]
        self.selections.sort(key=lambda selection: selection.change.path)
        for number, selection in enumerate(self.selections):
            if selection.keys is not None and selection.change.path in self.undrawn:
                self.selections[number] = selection._replace(reason=selection.reason or "unsupported-key", keys=None)
        self.type(*command_lines(b"git rm -q ", (c.path for c in removed if c.old_mode != GITLINK)))
        self.gone.update(c.path for c in removed)
        for change in removed:
            if change.old_mode == GITLINK:
                self._remove_gitlink(change.path)
        self.type(*command_lines(b"rm ", (c.change.path for c in self.selections if self._replaced(c))))
        self.make_folders(rename.target.path for rename in renames)
        for rename in renames:
            self.type(b"git mv " + operands([rename.source.path, rename.target.path]))
        self.gone.update(rename.source.path for rename in renames)
        self.added += [rename.target.path for rename in renames]
        emptied = dict.fromkeys(folder_of(rename.source.path) for rename in renames)
        left = [folder for folder in emptied if folder and not self.alive(folder)]
        self.type(*command_lines(b"rmdir -p --ignore-fail-on-non-empty ", _deepest(left)))
        exact = [rename for rename in renames if not rename.edited]
        self.modes = [m.target for m in exact if m.source.old_mode != m.target.new_mode]

    def edit(self) -> None:
        """Links, files and modes; what is not typed comes by checkout."""
        written = [c for c in self.selections if not c.reason or c.keys is not None]
        added = [c.change.path for c in written if c.change.new and not c.change.old]
        self.make_folders(added)
        for selection in self.selections:
            if selection.target is not None:
                self.type(b"ln -sfn " + operands([selection.target, selection.change.path]))
        for number, selection in enumerate(self.selections):
            if selection.keys is not None:
                self.selections[number] = self._type_file(selection)
        typed = [c.change for c in self.selections if not c.reason and c.change.new]
        typed += self.modes
        for mode, letter in ((EXECUTABLE, b"+x"), (REGULAR, b"-x")):
            before = REGULAR if mode == EXECUTABLE else EXECUTABLE
            paths = [c.path for c in typed if c.new_mode == mode and self._mode_now(c) == before]
            self.type(*command_lines(b"chmod " + letter + b" ", paths))
        for selection in self.selections:
            self.lines += selection.lines
            if selection.reason:
                self.drops.append((selection.change.path, selection.reason))
            if selection.keys is not None:
                self.lines_typed += selection.lines_typed
            elif not selection.reason:
                self.lines_typed += selection.lines
        fetched = [path for path, _ in self.drops]
        self.type(*command_lines(b"git checkout -q " + self.sha + b" -- ", fetched, dashes=False))

    def commit(self, subject: str) -> None:
        """Record it."""
        self.type(commit_line(subject, changes=bool(self.source.changes)))

    def script(self, subject: str) -> Script:
        """What was typed. Raises SkippedCommit when the shell's part alone is too long."""
        files = len(self.source.changes)
        in_editor = sum(file.stop - file.start for file in self.opened)
        if len(self.keys) - in_editor > self.workspace.config.max_episode_keys:
            raise SkippedCommit("episode-too-long", self.lines)
        return Script(
            bytes(self.keys),
            tuple(self.opened),
            files,
            files - len(self.drops),
            self.lines,
            self.lines_typed,
            tuple(self.drops),
            subject,
        )

    def _type_file(self, selection: Selection) -> Selection:
        """Open, edit, save and leave; by checkout instead if the episode would get too long."""
        assert selection.keys is not None
        change = selection.change
        typing = typist(self.workspace.config)
        line = typing.program + b" " + operands([change.path]) + b"\r"
        section = selection.keys + typing.save_and_leave
        if len(self.keys) + len(line) + len(section) > self.workspace.config.max_episode_keys:
            return selection._replace(reason=selection.reason or "episode-too-long", keys=None)
        start = len(self.keys) + len(line)
        self.keys += line + section
        blob = change.old.oid if change.old and selection.old is not None else None
        if selection.masked and selection.old is not None:
            blob = blob_id(selection.old, len(self.source.sha))
        self.opened.append(OpenedFile(change.path, blob, selection.old, start, len(self.keys), selection.masked))
        return selection

    def _replaced(self, selection: Selection) -> bool:
        """Whether what was there is removed first: editors follow a link, `ln` refuses to link a file to itself."""
        old_mode, target = selection.change.old_mode, selection.target
        if target is None or old_mode not in (REGULAR, EXECUTABLE):
            return selection.keys is not None and old_mode == SYMLINK
        seen = normpath(target)  # `ln` looks from the top folder
        if seen == selection.change.path:
            return True
        return self.source.parent_tree.meets_link(seen)

    def make_folders(self, paths: Iterable[bytes]) -> None:
        """`mkdir -p` for the folders of `paths` that are not there."""
        wanted = dict.fromkeys(folder for path in paths if (folder := folder_of(path)))
        missing = [folder for folder in wanted if not self.alive(folder)]
        self.type(*command_lines(b"mkdir -p ", _deepest(missing)))

    def alive(self, folder: bytes) -> bool:
        """Whether a file is left below `folder`, so that it is there."""
        inside = folder + b"/"
        if any(path.startswith(inside) for path in self.added):
            return True
        return self.source.parent_tree.keeps(folder, self.gone)

    def _remove_gitlink(self, path: bytes) -> None:
        """Git would edit .gitmodules too, so only the index entry and the empty folder go."""
        folder = folder_of(path)
        rmdir = b"rmdir " if not folder or self.alive(folder) else b"rmdir -p --ignore-fail-on-non-empty "
        self.type(b"git rm -q --cached " + operands([path]) + b" && " + rmdir + operands([path]))

    def _mode_now(self, change: FileChange) -> int:
        """The mode of a file that was typed, before any chmod."""
        if change in self.modes:
            return REGULAR if change.new_mode == EXECUTABLE else EXECUTABLE
        return change.old_mode if change.old_mode in (REGULAR, EXECUTABLE) else REGULAR


def commit_line(subject: str, *, changes: bool) -> bytes:
    """The line that records a commit. `changes`: whether its tree differs from the one before."""
    line = b"git add -Af && git commit -qm " + quote(subject.encode())
    if not changes:
        line += b" --allow-empty"
    if reads_as_empty(subject):
        line += b" --allow-empty-message"
    return line


def _deepest(folders: list[bytes]) -> list[bytes]:
    """Those with no other of them below: `-p` makes and removes the ones above, and would say so if they were named."""
    above = {folder[:at] for folder in folders for at, byte in enumerate(folder) if byte == 0x2F}
    return [folder for folder in folders if folder not in above]


def _removed_first(change: FileChange) -> bool:
    """Deleted, or turned into another kind of thing that cannot simply take its place."""
    return not change.new or (GITLINK in (change.old_mode, change.new_mode) and change.old_mode != change.new_mode)


def command_lines(head: bytes, paths: Iterable[bytes], *, dashes: bool = True) -> Iterator[bytes]:
    """`head` with all paths, as several commands where one would get long."""
    batch: list[bytes] = []
    size = 0
    for path in paths:
        length = len(quote(path)) + 1
        if batch and len(head) + size + length > COMMAND_BYTES:
            yield head + (operands(batch) if dashes else arguments(*batch))
            batch, size = [], 0
        batch.append(path)
        size += length
    if batch:
        yield head + (operands(batch) if dashes else arguments(*batch))
