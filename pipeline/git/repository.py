"""Opens a repository on this machine: what kind it is, or one line that says why it cannot be used.

    open_repository('path/to/folder') -> LocalRepository

Bare repositories, working trees, linked working trees and submodules; SHA-1 and SHA-256; references in files or, with a
git that knows them, in reftable. What the repository configures is never run, and nothing in it is written.

git says little of why it cannot read one ("not a git repository" of a folder that is locked), so the files are looked
at first, and again where git gave up.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline.git.alternates import object_folders
from pipeline.git.environment import git_environment, git_version
from pipeline.messages import denied, may_read, pasteable, printable
from schema.errors import SourceError

# extension of a repository's format -> what it means, and the first git that knows it
_EXTENSIONS = {
    "refstorage": ("references in the reftable format", "2.45"),
    "objectformat": ("SHA-256 object names", "2.29"),
    "compatobjectformat": ("two kinds of object names", "2.45"),
    "relativeworktrees": ("working trees linked by relative paths", "2.48"),
    "worktreeconfig": ("a configuration for each working tree", "2.20"),
}
_REFTABLE_HEAD = "refs/heads/.invalid"  # what a git that does not know reftable finds in HEAD
SHOWN_BRANCHES = 5


class LocalRepository(NamedTuple):
    """A repository as it was when it was opened. `shown` is how the caller named it, and how errors name it.

    `git_dir` is its own git folder, `common_dir` the one that a linked working tree shares with its repository (else
    the same). `objects` are folders of objects: its own first, then those that it borrows from.
    """

    shown: str
    git_dir: Path
    common_dir: Path
    object_format: str  # 'sha1' or 'sha256'
    reference_storage: str  # 'files' or 'reftable'
    tip: str | None  # the commit that HEAD stands for
    shallow: bool  # the history of `tip` was cut off when it was cloned
    objects: tuple[Path, ...]
    lost: tuple[Path, ...]  # folders it borrows objects from that are gone
    cached: bool  # a clone of ours, which may be removed and fetched again

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Run one reading command on the repository itself, to its end; the caller looks at `returncode`."""
        return _ask(self.git_dir, *arguments)

    def commit(self, name: str | None = None) -> str:
        """The id of the commit that `name` (default: HEAD) stands for. Raises SourceError.

        Where it raises nothing, the repository has commits, and no clone has cut their history off.
        """
        if self.shallow:
            raise self.refusal(f"a shallow clone has no full history; run: {self.command('fetch --unshallow')}")
        if name is None:
            if self.tip is None and self.cached:
                raise self.unreadable("its newest commit is missing")
            if self.tip is None:
                raise self.refusal(_no_commit(self))
            return self.tip
        found = self.ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        if found.returncode:
            raise self.refusal(f"no commit {printable(name)}; see what it holds: {self.command('log --oneline --all')}")
        return found.stdout.decode().strip()

    def unreadable(self, said: str) -> SourceError:
        """The error for objects that git could not read: the reason that the files show, or what git `said`."""
        locked = next((place for folder in (*self.objects, *self.lost) for place in _locked_files(folder)), None)
        if locked:
            return self.refusal(denied(locked))
        if self.lost:
            return self.refusal(self._lost())
        if self.cached:
            return self.refusal(f"{said}; remove the damaged clone, and it is fetched anew: rm -r {self._place()}")
        if (self.common_dir / "shallow").exists():
            return self.refusal(f"{said}; a shallow clone lacks history; run: {self.command('fetch --unshallow')}")
        if self._is_partial():
            return self.refusal(
                f"{said}; a partial clone; complete it with: {self.command('fetch --refetch --no-filter')}"
            )
        return self.refusal(f"{said}; objects are missing or damaged; list them with: {self.command('fsck')}")

    def check_missing(self, oid: str) -> None:
        """Raise SourceError if an object that git calls missing is there, but locked or damaged, or in a lost folder.

        Without this it would count as one that a partial clone left out, and its commit would be stepped over.
        """
        if why := self.why_missing(oid):
            raise self.refusal(why)

    def why_missing(self, oid: str) -> str:
        """The reason as words; '' where the object is merely not there."""
        for folder in self.objects:
            place = folder / oid[:2] / oid[2:]
            if not may_read(place):
                return denied(place)
            if place.exists():
                return f"the object {oid} is damaged; check it with: {self.command('fsck')}"
        return self._lost() if self.lost else ""

    def refusal(self, why: str) -> SourceError:
        """The error that names this repository."""
        return _refusal(self.shown, why)

    def command(self, words: str) -> str:
        """A git command in this repository, to be pasted."""
        return f"git -C {self._place()} {words}"

    def _place(self) -> str:
        return pasteable(self.git_dir if self.cached or not Path(self.shown).is_dir() else self.shown)

    def _lost(self) -> str:
        listed = self.common_dir / "objects" / "info" / "alternates"
        return (
            f"it borrows objects from {printable(str(self.lost[0]))}, which is gone; bring that folder back, or "
            f"correct its line in {printable(str(listed))}"
        )

    def _is_partial(self) -> bool:
        """Whether a remote is to bring later what was not fetched."""
        names = r"^(extensions\.partialclone|remote\..*\.(promisor|partialclonefilter))$"
        return self.ask("config", "--get-regexp", names).returncode == 0


def open_repository(path: str | os.PathLike[str], *, shown: str | None = None, cached: bool = False) -> LocalRepository:
    """Open the repository in a folder; parents are not searched. `shown`: its name in errors, if not its path.

    One without a commit is opened, too: ask it for its `commit` first. Raises SourceError for what is no repository,
    may not be read, is damaged, or needs another git.
    """
    name = shown or str(path)
    git_dir = _git_dir(Path(path), name)
    common_dir = _common_dir(git_dir, name)
    for place in _needed(git_dir, common_dir):
        if not may_read(place):
            raise _refusal(name, denied(place))
    answer = _ask(git_dir, "rev-parse", "--show-object-format", "HEAD^{commit}")
    object_format, *more = answer.stdout.decode().split("\n")
    if not object_format:
        raise _refusal(name, _not_opened(Path(path), git_dir, common_dir, answer.stderr))
    tip = more[0] if answer.returncode == 0 else None
    objects, lost = object_folders(common_dir / "objects")
    return LocalRepository(
        shown=name,
        git_dir=git_dir,
        common_dir=common_dir,
        object_format=object_format,
        reference_storage="reftable" if (common_dir / "reftable").is_dir() else "files",
        tip=tip,
        shallow=_is_cut_off(git_dir, common_dir, tip),
        objects=objects,
        lost=lost,
        cached=cached,
    )


Location = str | os.PathLike[str] | LocalRepository


def opened(location: Location) -> LocalRepository:
    """The repository itself, or the one in the folder that is named. Raises SourceError."""
    return location if isinstance(location, LocalRepository) else open_repository(location)


def no_folder(path: Path) -> str:
    """What to do with something that is no folder: a bundle or an archive has to be unpacked first."""
    if not path.is_file():
        return "not a folder; pass a folder or a URL"
    if not may_read(path):
        return denied(path)
    with path.open("rb") as file:
        start = file.read(16)
    if start.startswith((b"# v2 git bundle", b"# v3 git bundle")):
        return f"a git bundle; unpack it and pass the folder: git clone --bare {pasteable(path)} FOLDER"
    if start.startswith((b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")):
        return "an archive, not a folder; unpack it, and pass the folder that has .git in it"
    return "a file, not a folder; a list of repositories is passed with: --repos-from"


def _refusal(name: str, why: str) -> SourceError:
    return SourceError(f"repository {printable(name)}: {why}")


def _ask(git_dir: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = ["git", f"--git-dir={git_dir}", *arguments]
    # in a process group of its own: a terminal's Ctrl-C is for us
    return subprocess.run(
        command, env=git_environment(), stdin=subprocess.DEVNULL, capture_output=True, process_group=0
    )


def _git_dir(folder: Path, name: str) -> Path:
    """The git folder of a bare repository or of a working tree, absolute."""
    dot_git = folder / ".git"
    for place in (folder, dot_git):
        if not may_read(place):
            raise _refusal(name, denied(place))
    if not folder.exists():
        gone = f" (a link to {printable(os.readlink(folder))})" if folder.is_symlink() else ""
        raise _refusal(name, f"no such folder{gone}; give a git repository: --repo PATH_OR_URL")
    if not folder.is_dir():
        raise _refusal(name, no_folder(folder))
    if dot_git.is_dir():
        return dot_git.absolute()
    if dot_git.is_file():  # of a submodule or a linked working tree
        return _linked(dot_git, name)
    if dot_git.is_symlink():
        target = printable(os.readlink(dot_git))
        raise _refusal(name, f"its .git is a link to {target}, which leads nowhere; correct the link")
    return folder.absolute()


def _linked(dot_git: Path, name: str) -> Path:
    """The git folder that a `.git` file names: 'gitdir: PATH'."""
    word, _, rest = dot_git.read_text(errors="surrogateescape").partition("gitdir:")
    target = dot_git.parent / rest.rstrip("\n").strip(" ")
    if word or not rest.strip():
        raise _refusal(name, "its .git file names no git folder; clone it again, or pass another folder or a URL")
    if not may_read(target):
        raise _refusal(name, denied(target))
    if not target.is_dir():
        gone = printable(os.path.normpath(target))
        raise _refusal(
            name,
            f"its .git file names {gone}, which is gone; pass the repository that this working tree or submodule "
            "belongs to, or mend it there: git worktree repair, git submodule update --init",
        )
    return target.absolute()


def _common_dir(git_dir: Path, name: str) -> Path:
    """The folder of objects and references: another one than `git_dir` for a linked working tree."""
    listed = git_dir / "commondir"
    if not listed.is_file():
        return git_dir
    common_dir = git_dir / listed.read_text(errors="surrogateescape").rstrip("\n")
    if not may_read(common_dir):
        raise _refusal(name, denied(common_dir))
    if not common_dir.is_dir():
        raise _refusal(name, f"its repository {printable(str(common_dir))} is gone; pass another folder or a URL")
    return common_dir


def _needed(git_dir: Path, common_dir: Path) -> Iterator[Path]:
    """What git must be able to read, but for single objects and references."""
    yield from (git_dir / "HEAD", git_dir / "refs")
    yield from (common_dir / part for part in ("config", "packed-refs", "refs", "refs/heads", "reftable", "shallow"))
    for folder in object_folders(common_dir / "objects")[0]:
        yield from (folder, folder / "pack", folder / "info" / "alternates")
        if may_read(folder) and folder.is_dir():
            yield from (place for place in folder.iterdir() if len(place.name) == 2)
        if may_read(folder / "pack") and (folder / "pack").is_dir():
            yield from (folder / "pack").iterdir()


def _locked_files(folder: Path) -> Iterator[Path]:
    """What may not be read in a folder of objects, or above it."""
    if not may_read(folder):
        yield folder
        return
    for place in sorted(folder.rglob("*")):
        if not may_read(place):
            yield place


def _is_cut_off(git_dir: Path, common_dir: Path, tip: str | None) -> bool:
    """Whether `tip` has an ancestor whose parents were not cloned. A shallow clone may hold whole branches, too."""
    listed = common_dir / "shallow"
    cut = set(listed.read_text(errors="replace").split()) if listed.is_file() else set()
    if not cut or tip is None:
        return False
    return not cut.isdisjoint(_lines(_ask(git_dir, "rev-list", tip)))


def _not_opened(folder: Path, git_dir: Path, common_dir: Path, stderr: bytes) -> str:
    """Why git does not open it at all, and what to do."""
    said = stderr.decode(errors="replace")
    if extension := re.search(r"^\t(\S+)$", said, re.MULTILINE):
        return _too_new(extension[1].lower())
    first = next((line for line in said.splitlines() if not line.startswith("warning:")), "")
    said = printable(re.sub(r"^(fatal|error): ", "", first))[1:-1]
    if "git repo version" in first:
        return f"{said}: this is git {git_version()}; install a newer one"
    if not first.startswith("fatal: not a git repository"):
        return f"git cannot open it ({said}); correct that, or clone it again"
    parts = {"HEAD": git_dir / "HEAD", "objects": common_dir / "objects", "refs": common_dir / "refs"}
    gone = [part for part, place in parts.items() if not place.exists()]
    if not gone:
        return "its HEAD is damaged; name its branch again: echo 'ref: refs/heads/main' > " + pasteable(parts["HEAD"])
    if len(gone) < len(parts):
        return f"a damaged git repository, without {' and '.join(gone)}; clone it again, or take it from a copy"
    above = next((parent for parent in folder.absolute().parents if (parent / ".git").exists()), None)
    if above:
        return f"not a git repository, but a folder inside of one; pass that: --repo {pasteable(above)}"
    below = next((place for place in sorted(folder.iterdir()) if _is_repository(place)), None)
    if below:
        return f"not a git repository, but a folder of some; pass them one by one: --repo {pasteable(below)}"
    return "not a git repository; run git init there, or pass another folder or a URL"


def _is_repository(folder: Path) -> bool:
    """Whether it looks like one, bare or not."""
    return may_read(folder) and (
        (folder / ".git").exists() or all((folder / part).exists() for part in ("HEAD", "objects", "refs"))
    )


def _no_commit(repository: LocalRepository) -> str:
    """Why HEAD stands for no commit, and what to do."""
    ask, command = repository.ask, repository.command
    head = _line(ask("symbolic-ref", "--quiet", "HEAD")) or _named_by(repository.git_dir / "HEAD")
    place = repository.common_dir / head
    if head and not may_read(place):
        return denied(place)
    if oid := _line(ask("rev-parse", "--verify", "--quiet", "HEAD")):
        kind = _line(ask("cat-file", "-t", oid))
        if not kind and (why := repository.why_missing(oid)):
            return why
        what = f"a {kind}, no commit" if kind else "missing or damaged"
        return f"HEAD stands for {oid}, which is {what}; check it with: {command('fsck')}"
    if head == _REFTABLE_HEAD and _version(git_version()) < _version(_EXTENSIONS["refstorage"][1]):
        return _too_new("refstorage")
    if repository.reference_storage == "files" and place.is_file() and head != "HEAD":
        return f"the branch {printable(head)}, which HEAD names, is damaged; check it with: {command('fsck')}"
    if head in ("", "HEAD", _REFTABLE_HEAD):
        where = "its reftable has no HEAD" if repository.reference_storage == "reftable" else "its HEAD is damaged"
        return f"{where}; name its branch again: {command('symbolic-ref HEAD refs/heads/main')}"
    branch = head.removeprefix("refs/heads/")
    if branches := _lines(ask("for-each-ref", "--format=%(refname)", "refs/heads")):
        names = ", ".join(printable(name.removeprefix("refs/heads/"))[1:-1] for name in branches[:SHOWN_BRANCHES])
        more = f" and {len(branches) - SHOWN_BRANCHES} more" if len(branches) > SHOWN_BRANCHES else ""
        return (
            f"HEAD names the branch {printable(branch)}, which is not there; there are {names}{more}; "
            f"choose one: {command(f'symbolic-ref HEAD {pasteable(branches[0])}')}"
        )
    if others := _lines(ask("for-each-ref", "--count=1", "--format=%(refname)")):
        return (
            f"no commits on a branch, only {printable(others[0])} and such; make it one: "
            f"{command(f'branch {pasteable(branch)} {pasteable(others[0])}')}"
        )
    return "no commits yet; commit something, or pass another one"


def _named_by(head: Path) -> str:
    """The reference that a HEAD file names, which git does not tell where that reference is damaged; '' for none."""
    return head.read_text(errors="surrogateescape").partition("ref:")[2].strip()


def _too_new(extension: str) -> str:
    """That the repository's format has something which this git does not know."""
    what, since = _EXTENSIONS.get(extension, (f"the format extension {printable(extension)}", ""))
    needed = f"git {since} or newer" if since else "a newer git"
    return f"it has {what}, which needs {needed}, and this is git {git_version()}; install a newer one"


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:2])


def _lines(answer: subprocess.CompletedProcess[bytes]) -> list[str]:
    return os.fsdecode(answer.stdout).split("\n")[:-1]


def _line(answer: subprocess.CompletedProcess[bytes]) -> str:
    return os.fsdecode(answer.stdout).rstrip("\n")
