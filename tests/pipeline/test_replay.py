"""Takes: gap-free, resumable anywhere, deterministic, bounded, every commit accounted for."""

import hashlib
import subprocess
from pathlib import Path

import numpy as np
import pytest

from pipeline import replay as module
from pipeline.git.environment import git_environment
from pipeline.git.order import RewrittenHistoryError
from pipeline.replay import FilmedCommit, replay
from pipeline.terminal.terminal import Terminal
from schema.config import ReplayConfig
from schema.errors import ConfigError, SourceError, UnsupportedKeyError
from tests.repositories import Repository, make_repository
from tests.walking import walked

CONFIG = ReplayConfig(scan_secrets=False)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    r = Repository(tmp_path / "r")
    root = r.commit("Root", {"a": b"one\n", "d/b": b"\0"})
    r.commit("By a bot", {"a": b"two\n"}, author=b"x[bot] <x@bots>")
    one = r.commit("One for e@mail.org", {"a": b"two\nthree\n"})
    side = r.commit("Side", {"c/\xe9".encode("latin-1"): b"side\n"}, parents=[root])
    r.commit("Merge", {b"c/\xe9": b"side\n"}, parents=[one, side])
    for i in range(8):
        r.commit(f"Commit {i}", {"a": b"line %d\n" % i * (i + 3)})
    return r


def texts(take: FilmedCommit) -> list[tuple[str, ...]]:
    """Each frame as its rows."""
    assert take.film is not None
    return [tuple(take.table.texts[number] for number in frame) for frame in take.film.frames]


def same(take: FilmedCommit, other: FilmedCommit) -> bool:
    """Whether two takes would be stored alike."""
    if (take.episode, take.blobs, take.drops) != (other.episode, other.blobs, other.drops):
        return False
    if take.film is None or other.film is None:
        return take.film is other.film
    arrays = zip(take.film[1:], other.film[1:], strict=True)
    return texts(take) == texts(other) and all(np.array_equal(a, b) for a, b in arrays)


def test_every_commit_is_a_take_and_steps_have_no_gap(repository: Repository) -> None:
    takes = list(replay(repository.path, "o/r", CONFIG))
    assert [take.episode.commit for take in takes] == [commit.sha for commit in walked(repository.path)]
    assert [take.episode.episode for take in takes] == list(range(len(takes)))
    step = 0
    for take in takes:
        assert take.episode.first_step == step
        assert take.episode.steps == (len(take.film.action_T) if take.film else 0)
        step += take.episode.steps


def test_a_stepped_over_commit_says_why_and_changes_nothing(repository: Repository) -> None:
    first, bot, after, *_ = replay(repository.path, "o/r", CONFIG)
    assert (bot.episode.status, bot.episode.reason, bot.episode.steps, bot.film) == ("dropped", "bot", 0, None)
    assert [(d.scope, d.rule, d.path) for d in bot.drops] == [("commit", "bot", None)]
    assert bot.episode.tree == first.episode.tree
    assert bot.episode.final_frame == first.episode.final_frame
    assert after.film is not None
    assert bytes(after.film.action_T).startswith(b"git checkout -q " + bot.episode.commit[:16].encode())


def test_files_brought_by_checkout_and_opened_ones_are_listed(repository: Repository) -> None:
    takes = list(replay(repository.path, "o/r", CONFIG))
    assert [(d.path, d.scope, d.rule, d.commit) for d in takes[0].drops] == [
        ("d/b", "file", "binary", takes[0].episode.commit)
    ]
    assert [(file.path, file.blob) for file in takes[0].episode.opened] == [("a", None)]
    assert [file.path for file in takes[3].episode.opened] == ["c/\\xe9"]
    oid = takes[2].episode.opened[0].blob
    assert takes[2].blobs == [(oid, b"two\n")]


def test_subjects_are_as_typed(repository: Repository) -> None:
    assert [take.episode.subject for take in replay(repository.path, "o/r", CONFIG)][2] == "One for"


@pytest.mark.parametrize("at", [0, 1, 3, 10])
def test_resuming_gives_the_same_takes(repository: Repository, at: int) -> None:
    whole = list(replay(repository.path, "o/r", CONFIG))
    rest = list(replay(repository.path, "o/r", CONFIG, resume=whole[at].episode))
    assert len(rest) == len(whole) - at - 1
    assert all(same(a, b) for a, b in zip(rest, whole[at + 1 :], strict=True))


def test_growing_gives_the_same_takes_as_at_once(repository: Repository) -> None:
    whole = list(replay(repository.path, "o/r", CONFIG))
    for tip in repository.git("rev-list", "--first-parent", "main").split():
        older = list(replay(repository.path, "o/r", CONFIG, tip=tip))
        assert all(same(a, b) for a, b in zip(older, whole, strict=False))


def test_forgetting_rows_changes_nothing(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = list(replay(repository.path, "o/r", CONFIG))
    monkeypatch.setattr(module, "TABLE_ROWS", 10)
    small = list(replay(repository.path, "o/r", CONFIG))
    assert len({id(take.table) for take in small}) > 5
    assert all(same(a, b) for a, b in zip(small, whole, strict=True))


def test_the_final_screen_is_where_the_next_take_starts(repository: Repository) -> None:
    previous: FilmedCommit | None = None
    for take in replay(repository.path, "o/r", CONFIG):
        if previous and take.film is not None:
            screen = previous.episode.final_screen
            assert texts(take)[0] == screen.texts
            assert (take.film.cursor_row_T[0], take.film.cursor_col_T[0]) == (screen.cursor_row, screen.cursor_col)
        previous = take


def test_a_rewritten_history_is_noticed(repository: Repository) -> None:
    *_, last = replay(repository.path, "o/r", CONFIG)
    repository.git("update-ref", "refs/heads/main", "main~2")
    with pytest.raises(RewrittenHistoryError):
        list(replay(repository.path, "o/r", CONFIG, resume=last.episode))


def test_authors_are_hashed_with_the_key_that_the_settings_name(repository: Repository) -> None:
    key = b"secret key"
    config = CONFIG.model_copy(update={"author_key_hash": hashlib.sha256(key).hexdigest()})
    takes = list(replay(repository.path, "o/r", config, author_key=key))
    authors = {take.episode.author for take in takes}
    assert len(authors) == 2
    assert all(author and len(author) == 16 for author in authors)
    assert {take.episode.author for take in replay(repository.path, "o/r", CONFIG)} == {None}
    for wrong in (None, b"other"):
        with pytest.raises(ConfigError, match="author key"):
            list(replay(repository.path, "o/r", config, author_key=wrong))


def test_a_key_that_cannot_be_drawn_drops_the_commit_only(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = Terminal.play

    def refuse(self: Terminal, keys: bytes, contents: object = (), **named: object) -> object:
        film = play(self, keys, contents, **named)
        if b"Commit 3" in keys:
            raise UnsupportedKeyError("a test's")
        return film

    monkeypatch.setattr(Terminal, "play", refuse)
    takes = list(replay(repository.path, "o/r", CONFIG))
    dropped = [take for take in takes if take.episode.reason == "unsupported-key"]
    assert len(dropped) == 1
    following = takes[dropped[0].episode.episode + 1]
    assert following.film is not None
    assert texts(following)[0] == dropped[0].episode.final_frame
    assert bytes(following.film.action_T).startswith(b"git checkout -q ")


ODD = [f"{letter}\x7f{'x' * 80}" for letter in "abc"]  # too wide for a message that vim is known to draw


def test_files_whose_vim_is_not_drawn_come_by_checkout_and_the_commit_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    r = Repository(tmp_path / "r")
    r.commit("One", dict.fromkeys([*ODD, "plain"], b"1\n"))
    r.commit("Two", dict.fromkeys([*ODD, "plain"], b"2\n"))
    told: list[set[bytes]] = []
    write_script = module.write_script
    monkeypatch.setattr(
        module, "write_script", lambda c, d, undrawn: (told.append(set(undrawn)), write_script(c, d, undrawn))[1]
    )
    takes = list(replay(r.path, "o/r", CONFIG))
    assert told == [set(), {name.encode() for name in ODD}] * 2  # found at once, not one after the other
    for take in takes:
        assert (take.episode.status, take.episode.files, take.episode.files_typed) == ("filmed", 4, 1)
        assert (take.episode.lines_typed * 4, len(take.blobs)) == (take.episode.lines, take.episode.episode)
        assert [(d.path, d.scope, d.rule) for d in take.drops] == [(name, "file", "unsupported-key") for name in ODD]
        assert [file.path for file in take.episode.opened] == ["plain"]
    (rest,) = replay(r.path, "o/r", CONFIG, resume=takes[0].episode)
    assert same(rest, takes[1])


def test_a_commit_is_stepped_over_while_its_tree_holds_a_missing_blob(tmp_path: Path) -> None:
    """Git can neither check such a tree out nor commit one like it; once the file is gone, the story goes on."""
    r = Repository(tmp_path / "r")
    r.commit("one", {"a": b"1\n"})
    r.commit("two", {"d/lost": b"lost\n"})
    r.commit("three", {"a": b"3\n"})
    r.commit("four", {"d/lost": None})
    r.commit("five", {"a": b"5\n"})
    oid = r.store("blob", b"lost\n")
    (r.path / "objects" / oid[:2] / oid[2:]).unlink()
    takes = list(replay(r.path, "o/r", CONFIG))
    assert [take.episode.reason for take in takes] == [None, "missing", "missing", "missing", None]
    film = takes[-1].film
    assert film is not None
    assert bytes(film.action_T).startswith(b"git checkout -q " + takes[-2].episode.commit[:16].encode())


def test_resumed_behind_a_missing_blob_it_is_the_same(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    r.commit("one", {"a": b"1\n"})
    r.commit("two", {"lost": b"lost\n"})
    r.commit("three", {"a": b"3\n"})
    oid = r.store("blob", b"lost\n")
    (r.path / "objects" / oid[:2] / oid[2:]).unlink()
    takes = list(replay(r.path, "o/r", CONFIG))
    (again,) = replay(r.path, "o/r", CONFIG, resume=takes[1].episode)
    assert again.episode == takes[2].episode


def test_a_partial_clone_fetches_nothing(tmp_path: Path) -> None:
    r = Repository(tmp_path / "origin")
    r.commit("one", {"a": b"1\n", "d/b": b"2\n"})
    r.commit("two", {"a": b"3\n", "d/b": None})
    r.git("config", "uploadpack.allowFilter", "true")
    url = f"file://{r.path}"
    r.git("clone", "-q", "--bare", "--filter=blob:none", url, str(tmp_path / "partial"))
    takes = list(replay(tmp_path / "partial", "o/r", CONFIG))
    assert [[(drop.scope, drop.rule) for drop in take.drops] for take in takes] == [[("commit", "missing")]] * 2
    r.git("clone", "-q", "--bare", "--filter=tree:0", url, str(tmp_path / "treeless"))
    with pytest.raises(SourceError, match="partial clone"):
        list(replay(tmp_path / "treeless", "o/r", CONFIG))


def test_a_history_is_filmed_alike_whatever_names_its_objects_have(tmp_path: Path) -> None:
    """SHA-1 or SHA-256; and a stream goes on where it was interrupted."""
    films = []
    for kind in ("sha1", "sha256"):
        tree = tmp_path / kind
        name = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        env = git_environment() | {"GIT_AUTHOR_DATE": "1600000000 +0000", "GIT_COMMITTER_DATE": "1600000000 +0000"}
        subprocess.run(["git", "init", "-q", f"--object-format={kind}", tree], check=True, env=env)
        for number in range(4):
            (tree / "a.py").write_text("".join(f"line {n} of {number}\n" for n in range(9)))
            (tree / f"dir{number}").mkdir()
            (tree / f"dir{number}" / "b").write_text(f"{number}\n")
            for command in (["add", "-A"], [*name, "commit", "-q", "-m", f"Commit {number}"]):
                subprocess.run(["git", *command], cwd=tree, check=True, env=env)
        takes = list(replay(tree, "o/r", CONFIG))
        (*_, last) = replay(tree, "o/r", CONFIG, resume=takes[1].episode)
        assert last.episode == takes[3].episode
        films.append([(texts(take), take.film.action_T.tobytes()) for take in takes if take.film])
    assert films[0] == films[1]
    assert len(films[0]) == 4


def test_lines_of_a_commit_over_a_limit_are_counted_as_not_typed(tmp_path: Path) -> None:
    path = make_repository(tmp_path / "r", {f"f{i}": b"1\n2\n" for i in range(4)} | {"yarn.lock": b"1\n"})
    (take,) = replay(path, "o/r", ReplayConfig(max_commit_files=3))
    assert (take.episode.status, take.episode.lines, take.episode.lines_typed) == ("dropped", 8, 0)


def test_times_that_no_calendar_holds_are_null(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    r.clock = 10**15
    r.commit("far future", {"a": b""})
    (take,) = replay(r.path, "o/r", CONFIG)
    assert take.episode.authored_at is None


def test_no_commits_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no commits"):
        list(replay(make_repository(tmp_path / "r"), "o/r", CONFIG))
