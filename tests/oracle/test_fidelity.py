"""Whole histories, played for real: each frame, each tree, each subject."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.fidelity import Progress, Verdict, judge, sample
from pipeline.git.order import order
from schema.config import ReplayConfig
from tests.edge_cases import edge_cases, edited_texts
from tests.repositories import EXECUTABLE, GITLINK, SYMLINK, File, Repository, make_repository

pytestmark = pytest.mark.exact
ROOT = Path(__file__).resolve().parents[2]
ODD = {
    "漢字.md": "一つ目\n二つ目の行は長いので画面の端を越えてゆくはずである。まだまだ続く、どこまでも続く。\n".encode(),
    "crlf.txt": b"one\r\ntwo\r\nthree\r\n",
    "long.txt": b"word " * 90 + b"\nshort\n",
    "tabs.c": b"\tif (x)\n\t\treturn\ty;\n",
    "control": b"\x01\x02\x7f escape \x1b[0m\n",
    "latin": b"caf\xe9 na\xefve\n",
    "zero": "a\u200bb\ufeffc\n".encode(),
    "no end": b"last line",
}


def both_exact(path: Path, config: ReplayConfig, vim_here: str, *, frames: int, commits: int = 10**6) -> int:
    total = len(order(path))
    verdict = judge(path, config, sample(total, commits, 0), max_frames=frames)
    assert verdict.exact, f"{vim_here}\n" + "\n".join(verdict.shown)
    return verdict.frames


def test_a_sample_is_runs_of_consecutive_commits_over_the_whole_history() -> None:
    assert sample(5, 100, 0) == [(0, 5)]
    runs = sample(1_000, 45, 3)
    assert sum(length for _, length in runs) == 45
    assert runs == sample(1_000, 45, 3) != sample(1_000, 45, 4)
    assert all(first + length <= 1_000 for first, length in runs)
    assert max(first for first, _ in runs) > 500


def test_progress_is_told_now_and_then_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    rare, often = Progress(1e9), Progress(0)
    for number in range(3):
        rare(Verdict(commits=number))
        often(Verdict(commits=number))
    often.end()
    told = capsys.readouterr().err
    assert [line.split(",")[0] for line in told.splitlines()] == ["0 commits", "1 commits", "2 commits"]
    assert "\r" not in told


def test_edge_cases(vim_here: str, tmp_path: Path) -> None:
    repository = edge_cases(tmp_path / "r")
    assert both_exact(repository.path, ReplayConfig(), vim_here, frames=10_000, commits=60) > 3_000


@pytest.mark.parametrize(("rows", "cols"), [(24, 80), (9, 33)])
def test_all_text(vim_here: str, tmp_path: Path, rows: int, cols: int) -> None:
    path = edited_texts(tmp_path / "r", ODD)
    assert both_exact(path, ReplayConfig(rows=rows, cols=cols), vim_here, frames=10_000) > 500


def test_branches_and_merges(vim_here: str, tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    trunk = r.commit("Begin", {"a": b"1\n2\n3\n", "b": b"x\n"})
    side = r.commit("Side", {"a": b"1\n2 side\n3\n"}, parents=[trunk])
    main = r.commit('It\'s "main" $HOME !x \\ ' + "w" * 90, {"b": b"y\n"}, parents=[trunk])
    merge = r.commit("Merge", {"a": b"1\n2 side\n3\n"}, parents=[main, side])
    r.commit("", {"a": None, "d/c": b"1\n2 side\n3\n"}, parents=[merge])
    assert both_exact(r.path, ReplayConfig(), vim_here, frames=5_000) > 300


def test_folders_in_folders_are_moved(vim_here: str, tmp_path: Path) -> None:
    """Emptied folders go one below the other, and none of the commands says a word."""
    old: dict[str, bytes | File | None] = {"d/x": b"one\n", "d/sub/y": b"two\n", "d/sub/low/z": b"three\n"}
    new: dict[str, bytes | File | None] = {f"e/{name}": content for name, content in old.items()}
    path = make_repository(tmp_path / "r", old, new | dict.fromkeys(old), {"e/d/x": None, "top": b"one\n"})
    assert both_exact(path, ReplayConfig(), vim_here, frames=5_000) > 300


def test_links_take_the_place_of_what_they_lead_to(vim_here: str, tmp_path: Path) -> None:
    path = make_repository(
        tmp_path / "r",
        {"a": b"one\n", "b": File(b"a", SYMLINK), "c": b"two\n", "d/e": b"three\n"},
        {"a": File(b"b", SYMLINK), "b": File(b"c", SYMLINK), "d/e": File(b"./d/e", SYMLINK)},
    )
    assert both_exact(path, ReplayConfig(), vim_here, frames=5_000) > 150


def test_a_name_of_combining_marks_is_cut(vim_here: str, tmp_path: Path) -> None:
    """A file that macOS named: the message loses a letter together with its accent."""
    name = "re\u0301sume\u0301 e\u0301e\u0301e\u0301e\u0301.txt"
    contents = [b"x" * size + b"\n" for size in range(1, 40, 3)]
    path = make_repository(tmp_path / "r", *({name[: 5 + n]: content} for n, content in enumerate(contents)))
    assert both_exact(path, ReplayConfig(rows=6, cols=24), vim_here, frames=5_000) > 500


def test_a_clone_that_lacks_a_blob(vim_here: str, tmp_path: Path) -> None:
    """What the real git would only say an error about is stepped over; what comes later is exact again."""
    r = Repository(tmp_path / "r")
    r.commit("one", {"a": b"1\n"})
    r.commit("two", {"d/lost": b"lost\n", "b": b"2\n"})
    r.commit("three", {"a": b"3\n"})
    r.commit("four", {"d/lost": None})
    r.commit("five", {"a": b"5\n"})
    oid = r.store("blob", b"lost\n")
    (r.path / "objects" / oid[:2] / oid[2:]).unlink()
    verdict = judge(r.path, ReplayConfig(), [(0, 5)])
    assert verdict.exact, f"{vim_here}\n" + "\n".join(verdict.shown)
    assert (verdict.commits, verdict.dropped) == (2, {"missing": 3})


def test_what_git_would_complain_about(vim_here: str, tmp_path: Path) -> None:
    """Bad attributes are stepped over; a bad .gitmodules beside a gitlink disturbs nothing."""
    link = File(b"1234567890" * 4, GITLINK)
    path = make_repository(
        tmp_path / "r",
        {"f": b"1\n", ".gitmodules": b"<<<<<<< HEAD\n", "sub": link},
        {".gitattributes": b"* text # comment\n"},
        {".gitattributes": b"* text\n"},
        {"f": b"2\n", "sub": File(b"2345678901" * 4, GITLINK)},
        {"sub": None, ".gitmodules": None},
    )
    verdict = judge(path, ReplayConfig(), [(0, 5)])
    assert verdict.exact, f"{vim_here}\n" + "\n".join(verdict.shown)
    assert (verdict.commits, verdict.dropped) == (3, {"unplayable": 2})


def test_files_that_vim_cannot_be_drawn_with_come_by_checkout(vim_here: str, tmp_path: Path) -> None:
    """A control character in a name that does not fit the message line: new, changed, moved, another kind of file."""
    odd, other, long = "a\x7f" + "b" * 20, "d/\x01" + "c" * 20, b"one\ntwo\nthree\nfour\n"
    path = make_repository(
        tmp_path / "r",
        {odd: b"1\n", "plain": b"1\n", other: long},
        {odd: b"2\n", "plain": b"2\n", other: None, "e/" + other: File(long + b"five\n", EXECUTABLE)},
        {odd: File(b"plain", SYMLINK), "link\x02" + "f" * 20: File(b"plain", SYMLINK)},
        {odd: b"3\n", "link\x02" + "f" * 20: b"3\n", "plain": None},
        {odd: None, "e/" + other: File(long, EXECUTABLE), "c": b"2\n"},
    )
    verdict = judge(path, ReplayConfig(rows=10, cols=25), [(0, 5)])
    assert verdict.exact, f"{vim_here}\n" + "\n".join(verdict.shown)
    assert (verdict.commits, verdict.dropped, verdict.not_typed) == (5, {}, {"unsupported-key": 7})


def test_own_history(vim_here: str) -> None:
    """This project's commits, sampled; an unpacked archive or a shallow clone has none."""
    shallow = subprocess.run(
        ["git", "rev-parse", "--is-shallow-repository"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if shallow.stdout.strip() != "false" or len(order(ROOT)) < 5:
        pytest.skip("needs this project's own history: git clone it whole")
    assert both_exact(ROOT, ReplayConfig(), vim_here, frames=6_000, commits=30) >= 5_000


def test_command_line(vim_here: str, tmp_path: Path) -> None:
    path = make_repository(tmp_path / "r", {"a": b"one\n"}, {"a": b"two\n"})
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.fidelity", "--repo", str(path), "--commits", "2", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["commits"] == 2
    assert figures["mismatched_frames"] == figures["tree_mismatches"] == figures["subject_mismatches"] == 0


def test_not_a_repository(vim_here: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.fidelity", "--repo", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1


def test_files_with_private_lines_are_typed_in_part(vim_here: str, tmp_path: Path) -> None:
    token = b"gh" + b"p_" + b"5gHq2ZtX9bRw" * 3
    lines = [b"value_%d = compute(%d)" % (n, n) for n in range(120)]
    lines[60] = b"client.login('" + token + b"')"
    first = b"\n".join(lines) + b"\n"
    lines[110] = b"value = 'far'"
    far = b"\n".join(lines)
    lines[62] = b"value = 'near'"
    near = b"\n".join(lines)
    lines[3:90] = [b"one"]
    commits = [first, far, near, b"\n".join(lines), first, b"", near]
    path = make_repository(tmp_path / "r", *[{"a.py": content} for content in commits])
    assert both_exact(path, ReplayConfig(), vim_here, frames=20_000) > 5_000
