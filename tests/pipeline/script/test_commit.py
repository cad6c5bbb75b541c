"""What is typed for each commit; and that bash, vim and git, typed into, make the original's trees of it."""

import shutil
from pathlib import Path

import pytest

from pipeline.git import history
from pipeline.git.history import walk
from pipeline.git.objects import Blobs
from pipeline.git.order import continued, order
from pipeline.script.commit import COMMAND_BYTES, Script, SkippedCommit, Workspace, write_script
from pipeline.script.selection import Verdicts
from schema.config import ReplayConfig
from tests.edge_cases import edge_cases
from tests.playing import play_for_real
from tests.repositories import EXECUTABLE, GITLINK, SYMLINK, File, Files, Repository, make_repository
from tests.shapes import Shapes
from tests.walking import walked

CONFIG = ReplayConfig(skip_bots=False, scan_secrets=False)


def tell_all(
    path: Path, config: ReplayConfig = CONFIG, verdicts: Verdicts | None = None, commits: list[str] | None = None
) -> list[Script | str]:
    """The score of each commit, or why it is stepped over."""
    told: list[Script | str] = []
    with Blobs(path) as blobs:
        workspace = Workspace(config, verdicts)
        for commit in walk(blobs, commits=commits):
            try:
                told.append(write_script(commit, workspace))
            except SkippedCommit as refusal:
                told.append(refusal.reason)
            else:
                workspace.tree = commit.tree.oid
    return told


def lines(script: Script | str) -> list[str]:
    """The lines typed at the prompt."""
    assert isinstance(script, Script)
    keys, at = b"", 0
    for file in script.opened:
        keys += script.keys[at : file.start]
        at = file.stop
    return (keys + script.keys[at:]).decode().split("\r")[:-1]


def last(tmp_path: Path, *commits: Files) -> list[str]:
    """The lines typed for the last of these commits, without the recording one."""
    *typed, recorded = lines(tell_all(make_repository(tmp_path / "r", *commits))[-1])
    assert recorded.startswith("git add -Af && git commit -qm ")
    return typed


@pytest.mark.exact
@pytest.mark.skipif(not shutil.which("vim"), reason="needs vim: apt-get install vim")
def test_every_tree_and_subject_is_the_originals_on_edge_cases(tmp_path: Path) -> None:
    repository = edge_cases(tmp_path / "r")
    scripts = [script for script in tell_all(repository.path) if isinstance(script, Script)]
    commits = walked(repository.path)
    assert len(scripts) == len(commits) > 100
    played = play_for_real(repository.path, scripts, tmp_path / "work")
    assert [p.tree for p in played] == [commit.tree.oid for commit in commits]
    assert [p.subject for p in played] == [script.subject for script in scripts]


@pytest.mark.exact
@pytest.mark.skipif(not shutil.which("vim"), reason="needs vim: apt-get install vim")
@pytest.mark.parametrize("seed", [43, 48])
def test_every_tree_is_the_originals_in_the_order_of_a_stream_that_grew_over_foxtrots(
    tmp_path: Path, seed: int
) -> None:
    shapes = Shapes(tmp_path / "r", seed, strange=0)
    stream: list[str] = []
    for _ in shapes.grow(8):
        stream = continued(stream, order(shapes.path)) or []
    assert stream != order(shapes.path)
    assert len(stream) >= 8
    scripts = [script for script in tell_all(shapes.path, commits=stream) if isinstance(script, Script)]
    trees = [commit.tree.oid for commit in walked(shapes.path, commits=stream)]
    assert [p.tree for p in play_for_real(shapes.path, scripts, tmp_path / "work")] == trees


@pytest.mark.exact
@pytest.mark.skipif(not shutil.which("vim"), reason="needs vim: apt-get install vim")
def test_tight_limits_change_no_tree(tmp_path: Path) -> None:
    """Too long, too large and too many: checkouts and stepped-over commits among typed ones."""
    config = ReplayConfig(skip_bots=False, max_file_bytes=2_000, max_episode_keys=1_000, max_commit_files=45)
    repository = edge_cases(tmp_path / "r")
    told = tell_all(repository.path, config)
    kept = [(c, s) for c, s in zip(walked(repository.path), told, strict=True) if isinstance(s, Script)]
    assert "too-many-files" in told
    assert {"too-large", "episode-too-long"} <= {reason for _, s in kept for _, reason in s.drops}
    played = play_for_real(repository.path, [script for _, script in kept], tmp_path / "work")
    assert [p.tree for p in played] == [commit.tree.oid for commit, _ in kept]


@pytest.mark.parametrize(
    "message",
    [
        "",
        "Signed-off-by: A <a@b>",
        "Signed-off-by: A\nSigned-off-by: B",
        "Signed-off-by: A\nmore",
        "Signed-off-by: \u3000",
    ],
)
def test_a_subject_that_git_takes_for_empty_is_allowed(tmp_path: Path, message: str) -> None:
    r = Repository(tmp_path / "r")
    r.commit(message, {"a": b""})
    assert lines(tell_all(r.path)[0])[-1].endswith(" --allow-empty-message")


@pytest.mark.parametrize(
    "message",
    [
        "Signed-off-by:", "Signed-off-by: ", "signed-off-by: A", "Signed-Off-By: A", "\u3000Signed-off-by: A", "\u3000",
        "#", "Co-authored-by: A <a@b>", "fix\nSigned-off-by: A", "(cherry picked from commit 01234567)",
        "Signed-off-by : A",
    ],
)  # fmt: skip
def test_any_other_subject_is_typed_as_ever(tmp_path: Path, message: str) -> None:
    r = Repository(tmp_path / "r")
    r.commit(message, {"a": b""})
    assert "--allow-empty-message" not in lines(tell_all(r.path)[0])[-1]


def test_an_edit_is_vim_and_a_commit(tmp_path: Path) -> None:
    path = make_repository(tmp_path / "r", {"a.py": b"x = 1\n"}, {"a.py": b"x = 2\n"})
    first, second = tell_all(path)
    assert isinstance(second, Script)
    assert lines(first) == ["vim a.py", "git add -Af && git commit -qm 'Commit 1'"]
    (file,) = second.opened
    assert (file.path, file.content) == (b"a.py", b"x = 1\n")
    assert second.keys[: file.start] == b"vim a.py\r"
    assert second.keys[file.start : file.stop].endswith(b":w\r:q\r")
    assert (second.files, second.files_typed, second.lines, second.lines_typed) == (1, 1, 2, 2)


def test_other_branches_are_reached_by_checkout_and_other_roots_by_orphan(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    root = r.commit("root", {"a": b""})
    one = r.commit("one", {"b": b""})
    side = r.commit("side", {"c": b""}, parents=[root])
    other = r.commit("other", {"d": b""}, parents=[])
    r.commit("merge", {"c": b""}, parents=[one, side, other])
    told = [lines(script)[0] for script in tell_all(r.path)]
    assert told == ["vim a", "vim b", f"git checkout -q {root[:16]}", f"git switch -q --orphan r{other[:16]}"]


def test_a_commit_on_the_same_tree_needs_no_checkout(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    root = r.commit("root", {"a": b""})
    r.commit("empty")
    again = r.commit("side", {"c": b""}, parents=[root])
    r.commit("merge", {"c": b""}, parents=[root, r.commit("more", parents=[again])])
    assert not any("checkout" in line for script in tell_all(r.path) for line in lines(script))


def test_deletions_come_first(tmp_path: Path) -> None:
    assert last(tmp_path, {"a": b"", "-b": b"", "d/c": b""}, {"-b": None, "d/c": None, "e": b""}) == [
        "git rm -q -- -b d/c",
        "vim e",
    ]


def test_an_exact_rename_is_moved_and_its_empty_folder_goes(tmp_path: Path) -> None:
    assert last(tmp_path, {"p/q/a": b"1\n", "z": b""}, {"p/q/a": None, "n/m/a": b"1\n"}) == [
        "mkdir -p n/m",
        "git mv p/q/a n/m/a",
        "rmdir -p --ignore-fail-on-non-empty p/q",
    ]


def test_empty_files_are_only_moved_under_the_same_name(tmp_path: Path) -> None:
    moved = last(tmp_path, {"a/i": b"", "b/j": b"", "z": b""}, {"a/i": None, "c/i": b"", "b/j": None, "c/k": b""})
    assert [line for line in moved if "mv" in line] == ["git mv a/i c/i"]


def test_a_file_that_changed_little_is_moved_and_edited(tmp_path: Path) -> None:
    body = b"".join(b"line %d\n" % i for i in range(20))
    first: Files = {"a/x.py": body, "b/other": b"z\n" * 20, "c/y": body + b"end\n", "keep": b""}
    second: Files = {
        "a/x.py": None,
        "n/x.py": File(body + b"more\n", EXECUTABLE),
        "b/other": None,
        "c/z": b"new\n",
        "c/y": None,
    }
    assert last(tmp_path, first, second) == [
        "git rm -q b/other c/y",
        "mkdir -p n",
        "git mv a/x.py n/x.py",
        "rmdir -p --ignore-fail-on-non-empty a",
        "mkdir -p c",
        "vim c/z",
        "vim n/x.py",
        "chmod +x n/x.py",
    ]


def test_a_folder_that_goes_with_the_one_below_it_is_not_named(tmp_path: Path) -> None:
    """`rmdir -p d/sub d` would say that `d` is no longer there."""
    old = {"d/x": b"one\n", "d/sub/y": b"two\n", "d/sub/low/z": b"three\n", "k": b"k\n"}
    new = {"d/x": None, "d/sub/y": None, "d/sub/low/z": None, "e/x": b"one\n", "e/y": b"two\n", "e/z": b"three\n"}
    assert last(tmp_path, old, new)[-1] == "rmdir -p --ignore-fail-on-non-empty d/sub/low"


def test_of_several_alike_the_same_name_wins_then_the_most_alike(tmp_path: Path) -> None:
    body = b"".join(b"line %d\n" % i for i in range(20))
    first: Files = {"a/x": body + b"1\n", "a/y": body, "keep": b""}
    second: Files = {"a/x": None, "a/y": None, "b/x": body + b"2\n", "b/z": body + b"3\n"}
    moved = [line for line in last(tmp_path, first, second) if line.startswith("git mv")]
    assert moved == ["git mv a/x b/x", "git mv a/y b/z"]


def test_a_move_onto_what_was_a_folder_is_a_deletion_and_an_addition(tmp_path: Path) -> None:
    assert last(tmp_path, {"d/a": b"1\n", "z": b""}, {"d/a": None, "d": b"1\n"}) == ["git rm -q d/a", "vim d"]


def test_folders_are_made_once_and_only_if_they_are_missing(tmp_path: Path) -> None:
    new: Files = {"there/b": b"", "n/x": b"", "n/m/y": b"", "n/m/z": b""}
    assert last(tmp_path, {"there/a": b""}, new)[0] == "mkdir -p n/m"


def test_links_modes_and_kinds(tmp_path: Path) -> None:
    first: Files = {"f": b"#!\n", "l": File(b"f", SYMLINK), "g": b"x\n"}
    second: Files = {
        "f": File(b"#!\n", EXECUTABLE),
        "l": b"file\n",
        "g": File(b"-t", SYMLINK),
        "n": File(b"f", SYMLINK),
    }
    assert last(tmp_path, first, second) == ["rm l", "ln -sfn -- -t g", "ln -sfn f n", "vim l", "chmod +x f"]


def test_a_submodule_comes_by_checkout_and_leaves_without_git_editing_gitmodules(tmp_path: Path) -> None:
    link = File(b"1" * 40, GITLINK)
    path = make_repository(tmp_path / "r", {"a": b"", "v/s": link}, {"v/s": None})
    first, second = tell_all(path)
    assert isinstance(first, Script)
    assert first.drops == ((b"v/s", "gitlink"),)
    assert lines(second)[0] == "git rm -q --cached v/s && rmdir -p --ignore-fail-on-non-empty v/s"


def test_what_is_not_typed_comes_by_checkout_with_its_reason(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    sha = r.commit("x", {"b": b"\0", "l": b"\xff\n", "yarn.lock": b"x\n", "long": b"y" * 2_000, "t": b"t\n"})
    (script,) = tell_all(r.path, ReplayConfig(max_file_bytes=1_000))
    assert isinstance(script, Script)
    assert dict(script.drops) == {b"b": "binary", b"l": "invalid-utf8", b"long": "too-large", b"yarn.lock": "lock"}
    assert lines(script)[1] == f"git checkout -q {sha[:16]} -- b l long yarn.lock"
    assert (script.files, script.files_typed) == (5, 1)
    assert (script.lines, script.lines_typed) == (2, 1)  # long and t; the others are no hand-written text


def test_a_file_past_the_limit_of_keys_comes_by_checkout_and_smaller_ones_are_still_typed(tmp_path: Path) -> None:
    path = make_repository(tmp_path / "r", {"a": b"a\n" * 200, "b": b"b\n" * 600, "c": b"c\n" * 100})
    (script,) = tell_all(path, ReplayConfig(max_episode_keys=1_000))
    assert isinstance(script, Script)
    assert script.drops == ((b"b", "episode-too-long"),)
    assert (script.lines, script.lines_typed) == (900, 300)
    assert len(script.keys) <= 1_000 + 100


def test_long_lists_of_paths_become_several_commands(tmp_path: Path) -> None:
    names = [f"some/folder/name{i:03}" for i in range(150)]
    typed = last(tmp_path, {"keep": b""} | dict.fromkeys(names, b""), dict.fromkeys(names))
    assert len(typed) > 2
    assert all(line.startswith("git rm -q ") and len(line) <= COMMAND_BYTES for line in typed)
    assert [word for line in typed for word in line.split()[3:]] == names


def test_an_empty_commit_and_message(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    r.commit("")
    assert lines(tell_all(r.path)[0]) == ["git add -Af && git commit -qm '' --allow-empty --allow-empty-message"]


def test_addresses_in_subjects_are_masked_by_setting(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    r.commit("for a@b.org now", {"a": b""})
    for mask, subject in ((True, "for  now"), (False, "for a@b.org now")):
        (script,) = tell_all(r.path, ReplayConfig(mask_emails=mask))
        assert isinstance(script, Script)
        assert script.subject == subject


class TestSteppedOver:
    def test_bots(self, tmp_path: Path) -> None:
        r = Repository(tmp_path / "r")
        r.commit("one", {"a": b""}, author=b"dependabot[bot] <1+dependabot[bot]@users.noreply.github.com>")
        assert tell_all(r.path, ReplayConfig()) == ["bot"]

    def test_more_files_than_the_limit_and_the_next_commit_starts_with_checkout(self, tmp_path: Path) -> None:
        path = make_repository(tmp_path / "r", {f"f{i}": b"" for i in range(11)}, {"f0": b"x\n"})
        first, second = tell_all(path, ReplayConfig(max_commit_files=10))
        assert first == "too-many-files"
        assert lines(second)[0].startswith("git checkout -q ")

    @pytest.mark.parametrize(
        "bad",
        [
            {b"d/.git/config": b"x"},
            {b".GIT": b"x"},
            {b"../outside": b"x"},
            {b"a/./b": b"x"},
            {b"n" * 256: b"x"},
            {b"/".join([b"n" * 200] * 30): b"x"},
            {"empty-target": File(b"", SYMLINK)},
            {"nul-target": File(b"a\0b", SYMLINK)},
            {".gitmodules": File(b"x", SYMLINK)},
        ],
    )
    def test_what_git_cannot_check_out_with_all_that_stands_on_it(self, tmp_path: Path, bad: Files) -> None:
        r = Repository(tmp_path / "r")
        fine = r.commit("fine", {"a": b"1\n"})
        bad_one = r.commit("bad", bad)
        r.commit("on it", {"a": b"2\n"})
        r.commit("removed", dict.fromkeys(bad))
        good = r.commit("good again", {"a": b"3\n"})
        r.commit("side", {"b": b"1\n"}, parents=[fine])
        merge = r.commit("merge of bad", {"b": b"1\n"}, parents=[good, r.head or ""])
        r.commit("after", {"b": b"2\n"}, parents=[merge])
        evil = r.commit("evil merge", bad, parents=[r.head or "", bad_one])
        r.commit("after evil", {"b": b"3\n"}, parents=[evil])
        told = [script if isinstance(script, str) else "told" for script in tell_all(r.path)]
        wanted = ["told", "unplayable", "unplayable", "unplayable", "told", "told", "told", "unplayable"]
        assert sorted(told) == sorted(wanted)

    def test_a_tree_bomb(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(history, "DIFF_MEMORY", 48 << 20)
        r = Repository(tmp_path / "r")
        tree = r.store("blob", b"")
        mode = 0o100644
        for _ in range(10):
            entries = b"".join(b"%o f%d\0%s" % (mode, i, bytes.fromhex(tree)) for i in range(10))
            tree, mode = r.store("tree", entries), 0o040000
        fine = r.commit("fine", {"a": b"1\n"})
        r.commit("bomb", tree=tree, parents=[fine])
        r.commit("less", {"a": b"2\n"})
        r.commit("more", {"a": b"3\n"})
        first, second, third, fourth = tell_all(r.path)
        assert isinstance(first, Script)
        assert (second, third) == ("too-many-files", "too-many-files")
        assert isinstance(fourth, Script)

    def test_a_commit_that_is_too_long_without_any_file(self, tmp_path: Path) -> None:
        r = Repository(tmp_path / "r")
        r.commit("x" * 2_000, {"a": b""})
        assert tell_all(r.path, ReplayConfig(max_episode_keys=1_000)) == ["episode-too-long"]


class TestSecrets:
    """With a filter that knows one word."""

    config = ReplayConfig()
    verdicts = Verdicts(secrets=lambda lines, path: [(n, "hush") for n, line in enumerate(lines) if b"HUSH" in line])

    def test_a_revision_with_one_is_never_opened(self, tmp_path: Path) -> None:
        path = make_repository(
            tmp_path / "r", {"a": b"1\n"}, {"a": b"1\nHUSH\n"}, {"a": b"2\nHUSH\n"}, {"a": b"2\n"}, {"a": b"3\n"}
        )
        told = tell_all(path, self.config, self.verdicts)
        drops = [script.drops for script in told if isinstance(script, Script)]
        assert drops == [(), ((b"a", "secret"),), ((b"a", "secret"),), ((b"a", "secret"),), ()]
        for script in told:
            assert isinstance(script, Script)
            assert b"HUSH" not in script.keys
            assert not any(file.content and b"HUSH" in file.content for file in script.opened)

    def test_it_is_not_typed_as_subject_path_or_target(self, tmp_path: Path) -> None:
        r = Repository(tmp_path / "r")
        r.commit("HUSH", {"a": b""})
        r.commit("path", {"HUSH": b""})
        r.commit("target", {"l": File(b"HUSH", SYMLINK)})
        first, second, third = tell_all(r.path, self.config, self.verdicts)
        assert (first, second) == ("secret", "secret")
        assert isinstance(third, Script)
        assert third.drops == ((b"l", "secret"),)


def test_a_file_that_becomes_a_link_to_itself_is_removed_first(tmp_path: Path) -> None:
    """`ln -sfn` would refuse: source and destination are the same file."""
    old: dict[str, bytes | File | None] = {"a": b"one\n", "b": File(b"a", SYMLINK), "c": b"two\n"}
    new: dict[str, bytes | File | None] = {"a": File(b"b", SYMLINK), "b": File(b"c", SYMLINK)}
    assert last(tmp_path, old, new) == ["rm a", "ln -sfn b a", "ln -sfn c b"]


@pytest.mark.parametrize(
    ("path", "bad", "good"),
    [
        (".gitattributes", b"*.png binary # images\n", b"*.png binary\n"),
        ("d/.gitattributes", b"[attr]foo bar\n", b"* foo\n"),
        (".gitattributes", File(b"f", SYMLINK), b"* text\n"),
        ("d/.gitignore", File(b"../f", SYMLINK), b"*.o\n"),
    ],
)
def test_what_git_complains_about_is_stepped_over(
    tmp_path: Path, path: str, bad: bytes | File, good: bytes | File
) -> None:
    """Until the file is right again, and the commit that mends it starts from the bad one."""
    repository = make_repository(
        tmp_path / "r", {"f": b"1\n"}, {path: bad}, {"f": b"2\n"}, {path: good}, {"f": b"3\n"}, {path: None}
    )
    told = tell_all(repository)
    assert told[1:4] == ["unplayable"] * 3
    assert all(isinstance(script, Script) for script in (told[0], *told[4:]))


def test_macros_in_the_root_are_played(tmp_path: Path) -> None:
    told = tell_all(make_repository(tmp_path / "r", {".gitattributes": b"[attr]foo bar\n"}, {"f": b"1\n"}))
    assert all(isinstance(script, Script) for script in told)
