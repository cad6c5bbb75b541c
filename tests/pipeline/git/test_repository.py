"""One look at a repository: every layout is found, and what is no use is one line that says which it is and what to do.

The commands that the lines name are run as they are printed, where running them helps.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.crawl.source import parse_source
from pipeline.git.alternates import alternates_line
from pipeline.git.environment import git_environment, git_version
from pipeline.git.history import walk
from pipeline.git.objects import Blobs
from pipeline.git.order import order
from pipeline.git.repository import LocalRepository, open_repository
from pipeline.messages import denied
from schema.errors import SourceError
from tests.locked import open_folder, refused_while_locked
from tests.repositories import Repository, make_repository
from tests.walking import walked

KNOWS_REFTABLE = tuple(int(part) for part in git_version().split(".")[:2]) >= (2, 45)


def git(folder: Path, *arguments: str) -> str:
    """Run git in a working tree, as somebody with a name."""
    name = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org"}
    name |= {"GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org"}
    command = ["git", "-C", str(folder), "-c", "protocol.file.allow=always", *arguments]
    env = git_environment(protocol="file") | name
    return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout.strip()


def make_tree(folder: Path, commits: int = 2, *options: str) -> Path:
    """A working tree with a few commits."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main", *options)
    for number in range(commits):
        (folder / "a.txt").write_text(f"{number}\n")
        git(folder, "add", "a.txt")
        git(folder, "commit", "-q", "-m", f"Commit {number}")
    return folder


def refused(folder: Path) -> str:
    """The line that a repository without a usable history is answered with."""
    with pytest.raises(SourceError) as error:
        order(open_repository(folder))
    line = str(error.value)
    assert line.isprintable()
    assert line.startswith(f"repository '{folder}': ")
    return line


def advised(line: str) -> None:
    """Run the command that a line ends with."""
    command = line[line.rindex("git -C") :]
    subprocess.run(["bash", "-c", command], env=git_environment(protocol="file"), check=True, capture_output=True)


def object_file(git_dir: Path, name: str) -> Path:
    oid = git(git_dir, "rev-parse", name)
    return git_dir / "objects" / oid[:2] / oid[2:]


class TestLayouts:
    def test_a_bare_one_and_a_working_tree(self, tmp_path: Path) -> None:
        bare = make_repository(tmp_path / "bare", {"a": b"1\n"})
        git(tmp_path, "clone", "-q", str(bare), "tree")
        found = open_repository(tmp_path / "tree")
        assert (found.git_dir, found.objects) == (tmp_path / "tree/.git", (tmp_path / "tree/.git/objects",))
        assert found.tip == open_repository(tmp_path / "tree/.git").tip == open_repository(bare).tip

    def test_it_is_absolute(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        make_repository(tmp_path / "r", {"a": b""})
        monkeypatch.chdir(tmp_path)
        assert open_repository("r").git_dir == tmp_path / "r"

    def test_a_linked_working_tree(self, tmp_path: Path) -> None:
        tree = make_tree(tmp_path / "tree")
        git(tree, "worktree", "add", "-q", "-b", "side", "../linked", "HEAD~1")
        found = open_repository(tmp_path / "linked")
        assert found.common_dir.resolve() == tree / ".git"
        assert found.commit() == git(tree, "rev-parse", "HEAD~1")

    def test_a_submodule(self, tmp_path: Path) -> None:
        inner, outer = make_tree(tmp_path / "inner"), make_tree(tmp_path / "outer")
        git(outer, "submodule", "--quiet", "add", str(inner), "sub")
        assert open_repository(outer / "sub").commit() == git(inner, "rev-parse", "HEAD")

    def test_a_git_folder_elsewhere_and_one_that_is_linked(self, tmp_path: Path) -> None:
        tree = make_tree(tmp_path / "tree", 2, f"--separate-git-dir={tmp_path / 'elsewhere'}")
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / ".git").symlink_to(tmp_path / "elsewhere")
        assert open_repository(tree).tip == open_repository(tmp_path / "other").tip == git(tree, "rev-parse", "HEAD")

    def test_a_detached_head(self, tmp_path: Path) -> None:
        tree = make_tree(tmp_path / "tree")
        git(tree, "checkout", "-q", "--detach", "HEAD~1")
        assert len(order(tree)) == 1

    def test_sha256(self, tmp_path: Path) -> None:
        tree = make_tree(tmp_path / "tree", 3, "--object-format=sha256")
        found = open_repository(tree)
        assert (found.object_format, len(found.commit())) == ("sha256", 64)
        commits = walked(found)
        assert [commit.sha for commit in commits] == git(tree, "rev-list", "--reverse", "HEAD").split()
        with Blobs(found) as blobs:
            assert [v.content for c in walk(blobs) for v in c.changes[0].versions[-1:]] == [b"0\n", b"1\n", b"2\n"]

    @pytest.mark.parametrize(
        "name", ["c#", "a b", "q\"uo'te", "new\nline", "ä", "\udcff", "-dash", "a:b", "$(touch x)"]
    )
    def test_an_odd_name(self, tmp_path: Path, name: str) -> None:
        tree = make_tree(tmp_path / name / "tree")
        sharing = Repository(tree.parent / "sharing")
        (sharing.path / "objects/info/alternates").write_bytes(alternates_line(tree / ".git/objects"))
        sharing.move(git(tree, "rev-parse", "HEAD"))
        assert order(tree) == order(sharing.path)
        shutil.rmtree(tree)
        with pytest.raises(SourceError, match="which is gone") as error:
            order(sharing.path)
        assert str(error.value).isprintable()


class TestReftable:
    @pytest.mark.parametrize("version", ["0", "1"])
    def test_its_name_and_the_git_that_it_needs(self, tmp_path: Path, version: str) -> None:
        git_dir = make_repository(tmp_path / "r", {"a": b"1\n"})
        git(git_dir, "config", "core.repositoryFormatVersion", version)
        git(git_dir, "config", "extensions.refStorage", "reftable")
        shutil.rmtree(git_dir / "refs")
        (git_dir / "refs").mkdir()
        (git_dir / "refs" / "heads").write_text("this repository uses the reftable format")
        (git_dir / "reftable").mkdir()
        (git_dir / "reftable" / "tables.list").write_text("")
        (git_dir / "HEAD").write_text("ref: refs/heads/.invalid\n")
        line = refused(git_dir)
        assert "reftable" in line
        assert KNOWS_REFTABLE or ("git 2.45 or newer" in line and git_version() in line)

    @pytest.mark.skipif(not KNOWS_REFTABLE, reason="needs git 2.45 or newer")
    def test_a_git_that_knows_it_reads_it(self, tmp_path: Path) -> None:
        tree = make_tree(tmp_path / "tree", 2, "--ref-format=reftable")
        assert len(order(tree)) == 2
        assert open_repository(tree).reference_storage == "reftable"


class TestHead:
    def test_an_empty_repository(self, tmp_path: Path) -> None:
        assert "no commits yet" in refused(Repository(tmp_path / "r").path)

    def test_a_branch_that_is_not_there(self, tmp_path: Path) -> None:
        r = Repository(tmp_path / "it's")
        r.commit("one", {"a": b"1\n"})
        for name in ("a;b", "$HOME", "c'd"):
            r.git("branch", name, "main")
        r.git("symbolic-ref", "HEAD", "refs/heads/master")
        line = refused(r.path)
        assert "'master'" in line
        assert all(name in line for name in ("a;b", "$HOME", "main"))
        advised(line)
        assert len(order(r.path)) == 1

    def test_more_branches_than_a_line_holds(self, tmp_path: Path) -> None:
        r = Repository(tmp_path / "r")
        r.commit("one", {"a": b"1\n"})
        for number in range(20):
            r.git("branch", f"branch-{number:02}", "main")
        r.git("symbolic-ref", "HEAD", "refs/heads/master")
        assert "branch-04 and 16 more" in refused(r.path)

    def test_an_orphan_branch(self, tmp_path: Path) -> None:
        tree = make_tree(tmp_path / "tree")
        git(tree, "checkout", "-q", "--orphan", "new")
        assert "'new'" in refused(tree)

    @pytest.mark.parametrize("kind", ["tags", "remotes/origin"])
    def test_only_tags_or_only_what_was_fetched(self, tmp_path: Path, kind: str) -> None:
        r = Repository(tmp_path / "r")
        sha = r.commit("one", {"a": b"1\n"})
        r.git("update-ref", f"refs/{kind}/v1", sha)
        r.git("update-ref", "-d", "refs/heads/main")
        line = refused(r.path)
        assert f"refs/{kind}/v1" in line
        advised(line)
        assert order(r.path) == [sha]

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", "HEAD is damaged"), (b"\xff\xfe\0", "HEAD is damaged"), (b"ref: HEAD\n", "HEAD is damaged"),
            (b"1" * 40 + b"\n", "missing or damaged"), (None, "without HEAD"),
        ],
    )  # fmt: skip
    def test_a_damaged_head(self, tmp_path: Path, content: bytes | None, words: str) -> None:
        r = Repository(tmp_path / "r")
        r.commit("one", {"a": b"1\n"})
        (r.path / "HEAD").unlink()
        if content is not None:
            (r.path / "HEAD").write_bytes(content)
        assert words in refused(r.path)

    @pytest.mark.parametrize("content", [b"", b"\0" * 41, b"ref: refs/heads/main\n", b"nonsense\n"])
    def test_a_damaged_branch(self, tmp_path: Path, content: bytes) -> None:
        r = Repository(tmp_path / "r")
        r.commit("one", {"a": b"1\n"})
        (r.path / "refs/heads/main").write_bytes(content)
        assert "the branch 'refs/heads/main', which HEAD names, is damaged" in refused(r.path)

    def test_no_commit_but_a_tag_of_one_or_a_file(self, tmp_path: Path) -> None:
        r = Repository(tmp_path / "r")
        r.commit("one", {"a": b"1\n"})
        r.git("-c", "user.name=A", "-c", "user.email=a@example.org", "tag", "-a", "-m", "x", "v1")
        (r.path / "HEAD").write_text(r.git("rev-parse", "v1") + "\n")
        assert order(r.path) == [r.head]
        (r.path / "HEAD").write_text(r.git("rev-parse", "main:a") + "\n")
        assert "a blob, no commit" in refused(r.path)


class TestNoRepository:
    def test_a_plain_folder_and_an_empty_git_folder(self, tmp_path: Path) -> None:
        (tmp_path / "plain").mkdir()
        (tmp_path / "empty" / ".git").mkdir(parents=True)
        assert "git init" in refused(tmp_path / "plain")
        assert "not a git repository" in refused(tmp_path / "empty")

    def test_a_folder_inside_of_one_and_a_folder_of_some(self, tmp_path: Path) -> None:
        tree = make_tree(tmp_path / "all" / "tree")
        (tree / "sub" / "dir").mkdir(parents=True)
        assert refused(tree / "sub" / "dir").endswith(f"--repo {tree}")
        assert refused(tmp_path / "all").endswith(f"--repo {tree}")

    def test_a_git_file_that_leads_nowhere(self, tmp_path: Path) -> None:
        tree = make_tree(tmp_path / "tree")
        git(tree, "worktree", "add", "-q", "-b", "side", "../linked")
        shutil.rmtree(tree)
        line = refused(tmp_path / "linked")
        assert "which is gone" in line
        assert "worktree repair" in line

    @pytest.mark.parametrize("content", ["", "gitdir:\n", "hello\n", "x gitdir: ..\n"])
    def test_a_git_file_that_is_none(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "r").mkdir()
        (tmp_path / "r" / ".git").write_text(content)
        assert "names no git folder" in refused(tmp_path / "r")

    def test_a_git_link_that_leads_nowhere(self, tmp_path: Path) -> None:
        (tmp_path / "r").mkdir()
        (tmp_path / "r" / ".git").symlink_to("../nowhere")
        assert "leads nowhere" in refused(tmp_path / "r")

    @pytest.mark.parametrize("part", ["objects", "refs"])
    def test_a_git_folder_without_a_part(self, tmp_path: Path, part: str) -> None:
        path = make_repository(tmp_path / "r", {"a": b"1\n"})
        shutil.rmtree(path / part)
        assert f"without {part}" in refused(path)

    def test_a_bundle_and_an_archive(self, tmp_path: Path) -> None:
        tree = make_tree(tmp_path / "tree")
        git(tree, "bundle", "create", "-q", "../all.bundle", "--all")
        git(tree, "archive", "-o", "../tree.zip", "HEAD")
        shutil.make_archive(str(tmp_path / "tree"), "gztar", tree)
        line = refused(tmp_path / "all.bundle")
        command = line[line.index("git clone") :].replace("FOLDER", str(tmp_path / "unpacked"))
        subprocess.run(["bash", "-c", command], check=True, capture_output=True, env=git_environment(protocol="file"))
        assert order(tmp_path / "unpacked") == order(tree)
        for name in ("tree.zip", "tree.tar.gz"):
            assert "unpack it" in refused(tmp_path / name)


class TestFormat:
    @pytest.mark.parametrize(
        ("setting", "value", "words"),
        [
            ("core.repositoryFormatVersion", "9", "version"), ("extensions.quantum", "true", "'quantum'"),
            ("extensions.objectFormat", "sha512", "sha512"),
        ],
    )  # fmt: skip
    def test_one_that_this_git_does_not_know(self, tmp_path: Path, setting: str, value: str, words: str) -> None:
        path = make_repository(tmp_path / "r", {"a": b"1\n"})
        git(path, "config", "core.repositoryFormatVersion", "1")
        git(path, "config", setting, value)
        assert words in refused(path)

    def test_a_configuration_that_is_none(self, tmp_path: Path) -> None:
        path = make_repository(tmp_path / "r", {"a": b"1\n"})
        with (path / "config").open("a") as config:
            config.write("[core\n")
        assert "bad config line" in refused(path)


class TestLocked:
    @pytest.mark.parametrize(
        "place",
        [
            "all", "all/tree", "all/tree/.git", "all/tree/.git/HEAD", "all/tree/.git/config", "all/tree/.git/refs",
            "all/tree/.git/refs/heads", "all/tree/.git/refs/heads/main", "all/tree/.git/objects",
        ],
    )  # fmt: skip
    def test_the_place_is_named_and_never_is_git_init(self, place: str) -> None:
        with open_folder() as folder:
            tree = make_tree(folder / "all" / "tree")
            line = refused_while_locked(folder / place, lambda: order(tree))
        assert line.startswith(f"repository '{tree}': permission denied: '{folder / place}'")
        assert "git init" not in line

    @pytest.mark.parametrize("packed", [True, False])
    @pytest.mark.parametrize("name", ["HEAD", "HEAD~1", "HEAD~1^{tree}"])
    def test_an_object_of_the_history(self, name: str, packed: bool) -> None:
        with open_folder() as folder:
            tree = make_tree(folder / "tree")
            place = object_file(tree / ".git", name)
            if packed:
                git(tree, "gc", "-q")
                (place,) = (tree / ".git/objects/pack").glob("*.pack")
            line = refused_while_locked(place, lambda: walked(tree))
        assert f"permission denied: '{place}'" in line

    @pytest.mark.parametrize("ask", [Blobs.sizes, Blobs.read_many])
    def test_a_file_is_not_taken_for_one_that_is_missing(self, ask: Callable[[Blobs, list[str]], object]) -> None:
        with open_folder() as folder:
            tree = make_tree(folder / "tree")
            oid, place = git(tree, "rev-parse", "HEAD:a.txt"), object_file(tree / ".git", "HEAD:a.txt")

            def read() -> None:
                with Blobs(tree) as blobs:
                    ask(blobs, [oid])

            assert f"permission denied: '{place}'" in refused_while_locked(place, read)

    def test_a_folder_that_objects_are_borrowed_from(self) -> None:
        with open_folder() as folder:
            tree = make_tree(folder / "tree")
            git(tree, "clone", "-q", "--shared", ".", "../sharing")
            line = refused_while_locked(tree / ".git/objects", lambda: order(folder / "sharing"))
        assert f"permission denied: '{tree / '.git/objects'}'" in line

    def test_a_folder_is_told_where_it_is_named(self) -> None:
        with open_folder() as folder:
            make_tree(folder / "all" / "tree")
            line = refused_while_locked(folder / "all", lambda: parse_source(str(folder / "all" / "tree")))
        assert f"permission denied: '{folder / 'all'}'" in line

    def test_ones_own_folder_is_opened_by_the_command_that_is_named(self, tmp_path: Path) -> None:
        place = tmp_path / "it's"
        place.mkdir(mode=0)
        subprocess.run(["bash", "-c", denied(place).partition("run: ")[2]], check=True)
        assert place.stat().st_mode & 0o500 == 0o500

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
    def test_another_users_repository_that_may_be_read_is_read(self, tmp_path: Path) -> None:
        path = make_repository(tmp_path / "r", {"a": b"1\n"})
        for place in (path, *path.rglob("*")):
            os.chown(place, 12345, 12345)
        assert len(order(path)) == 1

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
    def test_its_owner_is_named(self) -> None:
        with open_folder() as folder:
            path = make_repository(folder / "r", {"a": b"1\n"})
            os.chown(path, 12345, 12345)
            line = refused_while_locked(path, lambda: order(path))
        assert "belongs to user 12345" in line


class TestObjects:
    def test_a_folder_of_borrowed_objects_that_is_gone(self, tmp_path: Path) -> None:
        tree = make_tree(tmp_path / "tree")
        git(tree, "clone", "-q", "--shared", ".", "../sharing")
        sharing = tmp_path / "sharing"
        assert order(sharing) == order(tree)
        git(sharing, "commit", "-q", "--allow-empty", "-m", "Its own")
        tree.rename(tmp_path / "moved")
        line = refused(sharing)
        assert f"it borrows objects from '{tree / '.git/objects'}', which is gone" in line
        assert str(sharing / ".git/objects/info/alternates") in line
        listed = sharing / ".git/objects/info/alternates"
        listed.write_text("# moved\n../../../moved/.git/objects\n")
        assert len(order(sharing)) == 3

    def test_one_that_is_gone_and_not_needed(self, tmp_path: Path) -> None:
        tree = make_tree(tmp_path / "tree")
        (tree / ".git/objects/info").mkdir(exist_ok=True)
        (tree / ".git/objects/info/alternates").write_text("/nowhere/objects\n")
        assert open_repository(tree).lost == (Path("/nowhere/objects"),)
        assert len(walked(tree)) == 2

    def test_a_file_that_only_a_lost_folder_has_is_not_stepped_over(self, tmp_path: Path) -> None:
        tree = make_tree(tmp_path / "tree")
        object_file(tree / ".git", "HEAD:a.txt").unlink()
        oid = git(tree, "rev-parse", "HEAD:a.txt")
        with Blobs(tree) as blobs:
            assert blobs.sizes([oid]) == {oid: None}
        (tree / ".git/objects/info/alternates").write_text("/nowhere/objects\n")
        with Blobs(tree) as blobs, pytest.raises(SourceError, match="which is gone"):
            blobs.sizes([oid])

    @pytest.mark.parametrize("name", ["HEAD", "HEAD~1", "HEAD^{tree}"])
    @pytest.mark.parametrize("damage", ["junk", "", "gone"])
    def test_damage_leads_to_fsck(self, tmp_path: Path, name: str, damage: str) -> None:
        tree = make_tree(tmp_path / "tree")
        place = object_file(tree / ".git", name)
        place.chmod(0o644)
        place.unlink() if damage == "gone" else place.write_text(damage)
        with pytest.raises(SourceError, match=f"git -C {tree} fsck") as error:
            walked(tree)
        assert str(error.value).isprintable()

    def test_a_damaged_file_is_not_taken_for_one_that_is_missing(self, tmp_path: Path) -> None:
        tree = make_tree(tmp_path / "tree")
        oid, place = git(tree, "rev-parse", "HEAD:a.txt"), object_file(tree / ".git", "HEAD:a.txt")
        place.chmod(0o644)
        place.write_text("junk")
        with Blobs(tree) as blobs, pytest.raises(SourceError, match=f"{oid} is damaged"):
            blobs.sizes([oid])

    def test_a_partial_clone_without_trees(self, tmp_path: Path) -> None:
        tree = make_tree(tmp_path / "tree")
        git(tree, "config", "uploadpack.allowFilter", "true")
        git(tmp_path, "clone", "-q", "--bare", "--filter=tree:0", f"file://{tree}", "partial")
        with pytest.raises(SourceError, match="a partial clone") as error:
            walked(tmp_path / "partial")
        advised(str(error.value))
        assert len(walked(tmp_path / "partial")) == 2

    def test_a_damaged_clone_of_the_cache_is_to_be_removed(self, tmp_path: Path) -> None:
        tree = make_tree(tmp_path / "tree")
        object_file(tree / ".git", "HEAD~1").unlink()
        found = open_repository(tree, shown="https://example.org/a/b", cached=True)
        with pytest.raises(SourceError, match=f"rm -r {tree}/.git") as error:
            order(found)
        assert str(error.value).startswith("repository 'https://example.org/a/b': ")


class TestShallow:
    @pytest.fixture
    def origin(self, tmp_path: Path) -> Path:
        tree = make_tree(tmp_path / "origin", 3)
        git(tree, "checkout", "-q", "--orphan", "other")
        for number in range(3):
            git(tree, "commit", "-q", "--allow-empty", "-m", f"Other {number}")
        git(tree, "checkout", "-q", "main")
        return tree

    @pytest.mark.parametrize("options", [("--depth=1",), ("--depth=2", "--bare")])
    def test_a_history_that_is_cut_off(self, origin: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
        git(tmp_path, "clone", "-q", "--branch=main", *options, f"file://{origin}", "shallow")
        line = refused(tmp_path / "shallow")
        advised(line)
        assert order(tmp_path / "shallow") == order(origin)

    def test_another_branch_that_is_cut_off_does_not_matter(self, origin: Path, tmp_path: Path) -> None:
        git(tmp_path, "clone", "-q", "--single-branch", "--branch=main", f"file://{origin}", "whole")
        git(tmp_path / "whole", "fetch", "-q", "--depth=1", "origin", "other:other")
        assert (tmp_path / "whole/.git/shallow").read_text()
        assert order(tmp_path / "whole") == order(origin)
        with pytest.raises(SourceError, match="--unshallow"):
            order(tmp_path / "whole", "other")

    def test_an_empty_list_cuts_nothing_off(self, origin: Path) -> None:
        (origin / ".git/shallow").write_text("")
        assert len(order(origin)) == 3


def test_nothing_is_written_and_nothing_of_it_is_run(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    r.commit("one", {"a": b"1\n"})
    canary = tmp_path / "canary"
    for name in ("core.fsmonitor", "core.pager", "core.sshCommand", "core.alternateRefsCommand", "alias.rev-parse"):
        r.git("config", name, f"!touch {canary}")

    def times() -> dict[Path, int]:
        return {place: place.stat().st_mtime_ns for place in r.path.rglob("*")}

    before = times()
    assert isinstance(open_repository(r.path), LocalRepository)
    assert times() == before
    r.git("symbolic-ref", "HEAD", "refs/heads/none")
    before = times()
    refused(r.path)
    assert times() == before
    assert not canary.exists()


@pytest.mark.parametrize(
    "write", [lambda path: b"plain", lambda path: b'"a\\tb\\303\\244\\"\\\\"'], ids=["plain", "quoted"]
)
def test_a_quoted_line_of_alternates(tmp_path: Path, write: Callable[[Path], bytes]) -> None:
    tree = make_tree(tmp_path / "tree")
    name = 'a\tbä"\\' if write(tree).startswith(b'"') else "plain"
    shutil.copytree(tree / ".git/objects", tree / ".git/objects" / name)
    (tree / ".git/objects/info").mkdir(exist_ok=True)
    (tree / ".git/objects/info/alternates").write_bytes(write(tree) + b"\n")
    assert open_repository(tree).objects[1].name == name
