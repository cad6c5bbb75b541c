"""Commits straight from a repository: filmed as a harvest films them, chosen as git chooses them, nothing stored."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.git.history import listed, walk
from pipeline.git.objects import Blobs
from pipeline.harvester import HarvestConfig, harvest_repository
from pipeline.warehouse.build import build
from pipeline.watch.__main__ import main
from pipeline.watch.live import LiveRecording, Selection, open_live
from pipeline.watch.recording import screens
from pipeline.watch.stored import find_recording
from schema.config import ReplayConfig
from schema.errors import SourceError
from tests.repositories import Repository

CONFIG = ReplayConfig.model_validate({})


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Seven commits by two authors, a merge among them."""
    made = Repository(tmp_path_factory.mktemp("live") / "story")
    first = made.commit("First", {"a.txt": b"one\n"})
    side = made.commit("Side", {"b/c.txt": b"side\n"}, parents=[first], author=b"Other <other@localhost>")
    second = made.commit("Second", {"a.txt": b"one\ntwo\n"}, parents=[first])
    made.commit("Merge", {"b/c.txt": b"side\n"}, parents=[second, side])
    made.commit("Third", {"a.txt": b"one\ntwo\nthree\n"})
    made.commit("Fourth", {"b/c.txt": b"other\n"}, author=b"Other <other@localhost>")
    return made


Opener = Callable[..., LiveRecording]


@pytest.fixture
def opened(story: Repository) -> Iterator[Opener]:
    """Opens the story's commits by a selection; they are closed with the test."""
    with contextlib.ExitStack() as closing:

        def open_story(**selection: Any) -> LiveRecording:
            live = open_live(str(story.path), Selection(**selection), CONFIG)
            return closing.enter_context(contextlib.closing(live))

        yield open_story


def subjects(recording: LiveRecording) -> list[str]:
    return [film.chapter.subject for film in recording.films()]


def test_the_whole_history_is_the_film_that_a_harvest_stores(story: Repository, opened: Opener, tmp_path: Path) -> None:
    harvest_repository(str(story.path), HarvestConfig(warehouse=str(tmp_path / "w")))
    build(tmp_path / "w")
    stored = [step[:2] for step in screens(find_recording(tmp_path / "w", "story", 0))]
    assert [step[:2] for step in screens(opened())] == stored


def test_a_chapter_can_be_filmed_before_those_that_come_first(opened: Opener) -> None:
    """A jump ahead films what lies between: the screen is that of one terminal."""
    jumped, walked = opened().film(3), list(opened().films())[3]
    assert jumped is not None
    assert [jumped.step(at) for at in range(len(jumped) + 1)] == [walked.step(at) for at in range(len(walked) + 1)]


def test_one_commit_is_filmed_from_its_parents_tree(opened: Opener) -> None:
    [film] = opened(commit="HEAD~1").films()
    assert film.chapter.subject == "Third"
    assert b"checkout" not in bytes(film.film.action_T)


@pytest.mark.parametrize(
    ("selection", "wanted"),
    [
        ({}, ["First", "Second", "Side", "Third", "Fourth"]),
        ({"commit": "HEAD"}, ["Fourth"]),
        ({"commit": "HEAD~2..HEAD"}, ["Third", "Fourth"]),
        ({"commit": "HEAD~2.."}, ["Third", "Fourth"]),
        ({"commit": f"{'0' * 40}..HEAD"}, ["First", "Second", "Side", "Third", "Fourth"]),
        ({"commit": f"{'0' * 64}..HEAD~1"}, ["First", "Second", "Side", "Third"]),
        ({"author": "Other"}, ["Side", "Fourth"]),
        ({"path": "b"}, ["Side", "Fourth"]),
        ({"path": "a.txt", "commit": "HEAD~1"}, ["First", "Second", "Third"]),
        ({"author": "Other", "commit": "HEAD~1"}, ["Side"]),
        ({"before": "1970-01-01"}, None),
        ({"path": "none"}, None),
        ({"commit": "none"}, None),
        ({"commit": "HEAD..HEAD"}, None),
        ({"commit": "HEAD~2...HEAD"}, None),
        ({"commit": "..HEAD"}, None),
        ({"commit": "--all"}, None),
    ],
)
def test_commits_are_chosen_as_git_chooses_them(
    opened: Opener, selection: dict[str, str], wanted: list[str] | None
) -> None:
    if wanted is None:
        with pytest.raises(SourceError):
            opened(**selection)
        return
    found = subjects(opened(**selection))
    assert sorted(found) == sorted(wanted)
    assert [subject for subject in ("First", "Second", "Third", "Fourth") if subject in found] == [
        subject for subject in found if subject != "Side"
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--author", "["], "--author '[': git takes no such pattern (header, '[': "),
        (["--before", "nonsense"], "--before 'nonsense': names no date; "),
        (["--after", "2024-02-30"], "--after '2024-02-30': names no date; "),
        (["--path", "../a.txt"], "--path '../a.txt': is not inside of "),
        (["--path", "/etc/passwd"], "--path '/etc/passwd': is not inside of "),
    ],
)
def test_a_selection_that_git_cannot_understand_names_its_option(
    story: Repository, arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--repo", str(story.path), *arguments, "--html", str(tmp_path / "film.html")]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"gitreel: {said}")
    assert "fsck" not in error
    assert error.count("\n") == 1


def test_a_path_may_be_absolute_dotted_or_behind_a_link(story: Repository, opened: Opener, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(story.path.parent)
    wanted = subjects(opened(path="b"))
    for path in ("./b/", story.path / "b", story.path / "x" / ".." / "b" / "c.txt", tmp_path / "link" / "story" / "b"):
        assert subjects(opened(path=str(path))) == wanted
    assert len(subjects(opened(path=str(story.path)))) == 5


@pytest.mark.parametrize(
    "text", ["2 weeks ago", "yesterday", "1.week.ago", "last friday", "two days ago", "Thu, 7 Apr 2005 22:14:13 +0200"]
)
def test_the_usual_dates_are_taken(opened: Opener, text: str) -> None:
    with contextlib.suppress(SourceError):
        assert subjects(opened(before=text))


def test_dates_narrow_the_history(story: Repository, opened: Opener) -> None:
    with Blobs(story.path) as blobs:
        times = [commit.committed_at for commit in walk(blobs)]
    assert None not in times
    latest = max(time for time in times if time)
    assert subjects(opened(after=f"@{latest - 30}")) == ["Fourth"]
    assert "Fourth" not in subjects(opened(before=f"@{latest - 30}"))


def test_a_random_order_is_of_all_commits_and_the_seeds(opened: Opener) -> None:
    orders = [opened(random=True, seed=seed).chapters for seed in (0, 0, 1, 2, 3)]
    assert orders[0] == orders[1]
    assert len({tuple(chapter.commit for chapter in order) for order in orders}) > 1
    assert {chapter.commit for chapter in orders[0]} == {chapter.commit for chapter in opened().chapters}
    assert len(subjects(opened(random=True))) == 5


def test_just_the_listed_commits_are_read(story: Repository) -> None:
    with Blobs(story.path) as blobs:
        walked = {commit.sha: commit for commit in walk(blobs)}
        wanted = [list(walked)[number] for number in (3, 0, 4)]
        found = list(listed(blobs, wanted))
    for commit, sha in zip(found, wanted, strict=True):
        other = walked[sha]
        assert (commit.sha, commit.subject, commit.parent) == (other.sha, other.subject, other.parent)
        assert (commit.tree.oid, commit.parent_tree.oid) == (other.tree.oid, other.parent_tree.oid)
        assert [change.path for change in commit.changes] == [change.path for change in other.changes]


def test_a_commit_that_is_not_filmed_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Repository(tmp_path / "bot")
    made.commit("One", {"a.txt": b"one\n"})
    made.commit("Bump", {"a.txt": b"two\n"}, author=b"dependabot[bot] <bot@localhost>")
    target = tmp_path / "film.html"
    assert main(["--repo", str(made.path), "--html", str(target)]) == 0
    said = capsys.readouterr()
    assert "1 commits" in said.out
    assert f"{made.head[:12] if made.head else ''} is not filmed: bot" in said.err


def test_nothing_is_stored_beside_the_file(story: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(story.path.rglob("*"))
    assert main(["--repo", str(story.path), "--html", "film.html"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["film.html"]
    assert sorted(story.path.rglob("*")) == before


def test_an_episode_and_a_repository_are_one_too_many(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["story:0", "--repo", ".", "--html", "a.html"]) == 2
    assert "only one of them may be named" in capsys.readouterr().err
    assert main(["--html", "a.html"]) == 2
    assert "name an episode of the warehouse, REPO_ID:ORDINAL, or a repository" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--repo", "none", "--html", "a.html"],
        ["--repo", "https://localhost/a/b", "--html", "a.html"],
        ["story", "--repo", ".", "--html", "a.html"],
        ["--html", "a.html"],
        ["story", "--commit", "HEAD", "--html", "a.html"],
        ["--repo", ".", "--geometry", "1x1", "--html", "a.html"],
        ["--repo", ".", "--seconds", "nan", "--html", "a.html"],
        ["--repo", ".", "--theme", "nosuch", "--html", "a.html"],
        ["--repo", ".", "--html", "a.html", "--gif", "a.gif"],
        ["--repo", ".", "--step", "3", "--html", "a.html"],
        ["--repo", ".", "--episodes", "2", "--html", "a.html"],
        ["--repo", ".", "--warehouse", "warehouse", "--html", "a.html"],
    ],
)
def test_arguments_that_cannot_be_meant_are_one_line(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
