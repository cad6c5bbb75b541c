"""Secrets in histories: what of a file can be typed is, and no line that holds a secret is typed, shown or stored."""

import random
import shutil
import string
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from pipeline.git.entries import blob_id
from pipeline.replay import FilmedCommit, replay
from pipeline.script.private import open_part
from schema.config import ReplayConfig
from tests.playing import play_for_real
from tests.repositories import Files, Repository, make_repository

RNG = random.Random(3)


def secret() -> str:
    return "gh" + "p_" + "".join(RNG.choices(string.ascii_letters + string.digits, k=36))


def source(lines: int, *secrets: tuple[int, str]) -> bytes:
    """So many lines of code, the n-th of them with a secret."""
    found = [f"value_{n} = compute({n})" for n in range(lines)]
    for number, token in secrets:
        found[number] = f"client.login({number}, '{token}')"
    return "\n".join(found).encode() + b"\n"


def film(path: Path, config: ReplayConfig | None = None) -> list[FilmedCommit]:
    return list(replay(path, "r", config or ReplayConfig()))


def everything(takes: Iterable[FilmedCommit]) -> bytes:
    """All keys, screen rows, stored contents, subjects and paths."""
    found = []
    for take in takes:
        found += [take.episode.subject, *(opened.path for opened in take.episode.opened), *take.episode.final_frame]
        found += [content.decode("latin-1") for _, content in take.blobs]
        found += [drop.path or "" for drop in take.drops]
        if take.film is not None:
            found.append(take.film.action_T.tobytes().decode("latin-1"))
            found += [take.table.row(number)[0] for number in np.unique(take.film.frames).tolist()]
    return "\n".join(found).encode("utf-8", "surrogateescape")


def shown(takes: Iterable[FilmedCommit], token: str) -> bool:
    """Whether eight characters of a secret in a row stand anywhere: a long row is cut by the window."""
    text = everything(takes)
    return any(token[at : at + 8].encode() in text for at in range(4, len(token) - 8))


def changed(content: bytes, number: int, text: str) -> bytes:
    lines = content.split(b"\n")
    lines[number] = text.encode()
    return b"\n".join(lines)


def test_a_new_file_is_typed_without_its_private_lines(tmp_path: Path) -> None:
    token = secret()
    takes = film(make_repository(tmp_path / "r", {"a.py": source(40, (20, token))}))
    (take,) = takes
    assert not shown(takes, token)
    assert (take.episode.lines, take.episode.lines_typed) == (40, 39)
    assert [drop.rule for drop in take.drops] == ["secret"]


def test_an_edit_far_from_a_private_line_is_typed_and_one_near_it_is_not(tmp_path: Path) -> None:
    token = secret()
    first = source(400, (200, token))
    far = changed(first, 390, "value_390 = other()")
    near = changed(far, 203, "value_203 = other()")
    takes = film(make_repository(tmp_path / "r", {"a.py": first}, {"a.py": far}, {"a.py": near}))
    assert not shown(takes, token)
    assert [take.episode.lines_typed for take in takes] == [399, 2, 0]
    assert [[drop.rule for drop in take.drops] for take in takes] == [["secret"]] * 3


@pytest.mark.parametrize("where", [0, 150, 299])
def test_a_private_line_that_is_changed_or_taken_away_is_never_seen(tmp_path: Path, where: int) -> None:
    one, other = secret(), secret()
    contents = [source(300, (where, one)), source(300, (where, other)), source(300), source(300, (where, one))]
    takes = film(make_repository(tmp_path / "r", *[{"a.py": content} for content in contents]))
    assert not shown(takes, one)
    assert not shown(takes, other)


def test_a_private_line_is_not_seen_when_its_file_is_moved_or_copied(tmp_path: Path) -> None:
    token = secret()
    content = source(300, (150, token))
    commits: list[Files] = [
        {"a.py": content},
        {"a.py": None, "b/c.py": content},
        {"b/c.py": None, "d.py": changed(content, 10, "moved = True")},
        {"e.py": content},
        {"d.py": None, "e.py": None},
    ]
    takes = film(make_repository(tmp_path / "r", *commits))
    assert not shown(takes, token)
    assert b"git mv a.py b/c.py" in everything(takes)


def test_a_secret_in_a_subject_or_a_path_keeps_its_commit_off_film(tmp_path: Path) -> None:
    one, other = secret(), secret()
    repository = Repository(tmp_path / "r")
    repository.commit("first", {"a.py": b"x\n"})
    repository.commit(f"Use {one}", {"a.py": b"y\n"})
    repository.commit("third", {f"{other}.py": b"y\n"})
    repository.commit("fourth", {"a.py": b"z\n"})
    takes = film(repository.path)
    assert [take.episode.status for take in takes] == ["filmed", "dropped", "dropped", "filmed"]
    assert not shown(takes, one)
    assert not shown(takes, other)


def test_a_private_key_keeps_its_whole_file_off_film(tmp_path: Path) -> None:
    body = "".join(RNG.choices(string.ascii_letters, k=64))
    content = f"a = 1\n-----BEGIN PRIVATE {'KEY'}-----\n{body}\n-----END PRIVATE {'KEY'}-----\n".encode()
    takes = film(make_repository(tmp_path / "r", {"a.py": content}))
    assert not shown(takes, body)
    assert takes[0].episode.lines_typed == 0


def test_the_rest_of_a_value_that_goes_on_in_the_next_line_is_private(tmp_path: Path) -> None:
    token, rest = secret(), "".join(RNG.choices(string.ascii_letters + string.digits, k=40))
    content = f"a = 1\nb = ('{token}'\n     '{rest}')\nc = 2\n".encode()
    takes = film(make_repository(tmp_path / "r", {"a.py": content}))
    assert not shown(takes, rest)
    assert takes[0].episode.lines_typed == 2


def test_an_opened_file_is_stored_under_the_id_of_its_masked_content(tmp_path: Path) -> None:
    first = source(400, (200, secret()))
    takes = film(make_repository(tmp_path / "r", {"a.py": first}, {"a.py": changed(first, 390, "x")}))
    ((oid, content),) = takes[1].blobs
    assert oid == blob_id(content, 40) == takes[1].episode.opened[0].blob
    assert len(content) == len(first)
    assert content.count(b"\n") == first.count(b"\n")


@pytest.mark.exact
@pytest.mark.skipif(shutil.which("vim") is None, reason="vim is not on PATH")
def test_after_each_commit_the_tree_is_the_original(tmp_path: Path) -> None:
    from pipeline.git.history import walk
    from pipeline.git.objects import Blobs
    from pipeline.replay import play_commit
    from pipeline.script.commit import Workspace
    from pipeline.terminal.terminal import Terminal

    first = source(300, (150, secret()), (151, secret()))
    contents = [first, changed(first, 290, "x = 1"), changed(first, 152, "y = 2"), source(300), first[:-1], b"", first]
    commits: list[Files] = [{"a/b.py": content} for content in contents] + [{"a/b.py": None, "c.py": first + b"z\n"}]
    path = make_repository(tmp_path / "r", *commits)
    config = ReplayConfig()
    scripts, trees = [], []
    with Blobs(path) as blobs:
        workspace, terminal = Workspace(config), Terminal(config.geometry)
        for commit in walk(blobs):
            script, _ = play_commit(commit, workspace, terminal)
            workspace.tree = commit.tree.oid
            scripts.append(script)
            trees.append(commit.tree.oid)
    assert [played.tree for played in play_for_real(path, scripts, tmp_path / "work")] == trees
    assert sum(script.lines_typed for script in scripts) > 900


def test_addresses_that_are_not_to_be_shown_keep_their_lines_off_film_and_no_others(tmp_path: Path) -> None:
    path = make_repository(tmp_path / "r", {"a.py": b"# by joe@m\xc3\xbcller.example\nx = 1\ny = 2\n"})
    takes = film(path, ReplayConfig(show_emails=False))
    assert b"ller.example" not in everything(takes)
    assert [drop.rule for drop in takes[0].drops] == ["email"]
    assert takes[0].episode.lines_typed == 2


def test_nothing_is_typed_where_only_private_lines_change() -> None:
    assert open_part(b"a\nKEY\n", b"a\n", {b"KEY"}) is None
    assert open_part(b"a\n", b"a\nKEY\n", {b"KEY"}) is None
    assert open_part(None, b"KEY\n", {b"KEY"}) is None


@pytest.mark.parametrize("seed", range(20))
def test_no_random_history_shows_a_secret(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    tokens = [secret() for _ in range(3)]
    lines = [f"line {n}" for n in range(rng.choice([3, 30, 120]))]
    commits: list[Files] = []
    for _ in range(12):
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(lines) + 1)
            kind = rng.choice(["insert", "secret", "delete", "swap"])
            if kind == "insert":
                lines.insert(at, f"new {rng.randrange(99)}")
            elif kind == "secret":
                lines.insert(at, f"x = '{rng.choice(tokens)}'")
            elif at < len(lines) > 1:
                if kind == "delete":
                    del lines[at]
                else:
                    lines[at], lines[0] = lines[0], lines[at]
        commits.append({"a.py": "\n".join(lines).encode() + rng.choice([b"", b"\n"])})
    takes = film(make_repository(tmp_path / "r", *commits))
    assert not any(shown(takes, token) for token in tokens)
