"""What is shown of film in nano: straight from a repository, coloured, with marks; and film is made once a file."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import pipeline.watch.live
from pipeline.film.frames import Film
from pipeline.git.changes import Commit
from pipeline.harvester import HarvestConfig, harvest_repository
from pipeline.replay import play_commit
from pipeline.script.commit import Script, Workspace
from pipeline.terminal.terminal import Terminal
from pipeline.warehouse.build import build
from pipeline.watch.__main__ import main
from pipeline.watch.colours import Hue, coloured
from pipeline.watch.live import Selection, open_live
from pipeline.watch.marks import marks
from pipeline.watch.recording import ChapterFilm, screens
from pipeline.watch.stored import find_recording
from schema.actions import Phase
from schema.config import ReplayConfig
from schema.editors import Motion
from tests.repositories import make_repository

MOTIONS: tuple[Motion, ...] = ("jumps", "arrows")
PYTHON = b'def one():\n    return "a"  # said\n'


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_repository(
        tmp_path_factory.mktemp("nano") / "story",
        {"a.py": PYTHON, "notes": b"one\ntwo\nthree\n"},
        {"a.py": PYTHON.replace(b"return", b"yield"), "notes": b"one\nthree\n"},
        {"a.py": None, "漢.py": PYTHON + b"x = 1\n" * 40},
    )


@pytest.fixture(scope="module", params=MOTIONS)
def live(story: Path, request: pytest.FixtureRequest) -> Iterator[list[ChapterFilm]]:
    config = ReplayConfig(editor="nano", motion=request.param)
    recording = open_live(str(story), Selection(), config)
    yield list(recording.films())
    recording.close()


def written(*arguments: str) -> bytes:
    assert main([*arguments]) == 0
    return Path(arguments[-1]).read_bytes()


@pytest.mark.parametrize("motion", MOTIONS)
def test_film_as_it_plays_is_the_film_that_a_harvest_stores(story: Path, motion: Motion, tmp_path: Path) -> None:
    config = ReplayConfig(editor="nano", motion=motion)
    harvest_repository(str(story), HarvestConfig(warehouse=str(tmp_path / "w"), replay=config))
    build(tmp_path / "w")
    stored = [step[:2] for step in screens(find_recording(tmp_path / "w", "story@nano", 0))]
    recording = open_live(str(story), Selection(), config)
    assert [step[:2] for step in screens(recording)] == stored
    recording.close()
    arguments = ("--episodes", "0", "--warehouse", str(tmp_path / "w"))
    asked = ("--repo", str(story), "--name", "story@nano", "--editor", "nano", "--motion", motion)
    for kind, ending in (("asciicast", "cast"), ("html", "html")):
        a, b = (str(tmp_path / f"{name}.{ending}") for name in "ab")
        same = written("story@nano", *arguments, f"--{kind}", a) == written(*asked, f"--{kind}", b)
        assert same


def test_both_editors_film_one_commit_differently(story: Path, tmp_path: Path) -> None:
    made = [
        written("--repo", str(story), "--commit", "HEAD", *editor, "--asciicast", str(tmp_path / "film.cast"))
        for editor in ((), ("--editor", "vim"), ("--editor", "nano"))
    ]
    assert made[0] == made[1] != made[2]
    assert b"GNU nano" in made[2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--repo", ".", "--motion", "arrows"],
            "--motion arrows: vim is not moved by arrow keys alone; add --editor nano",
        ),
        (
            ["story", "--editor", "nano"],
            "--editor: is for film that is made as it plays; name a repository: --repo PATH",
        ),
        (["story", "--geometry", "24x80"], "--geometry: is for film that is made as it plays"),
    ],
)
def test_settings_that_cannot_be_meant_are_one_line(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*arguments, "--html", "a.html"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("gitreel: ")
    assert words in said
    assert said.count("\n") == 1


def test_code_in_nano_is_coloured_below_its_title_and_nothing_else_is(live: list[ChapterFilm]) -> None:
    seen = set[Hue]()
    for film in live:
        for at in range(len(film) + 1):
            plain = film.step(at).screen
            shown = coloured(plain)
            hues = [[Hue(style >> 2) for _, _, style in runs if style > 3] for runs in shown.runs]
            assert (shown.texts, shown[2:]) == (plain.texts, plain[2:])
            assert [tuple(run for run in runs if run[2] < 4) for runs in shown.runs] == list(plain.runs)
            code = ".py" in plain.texts[0] and "GNU nano" in plain.texts[0]
            assert hues[0] == hues[-1] == []
            assert code or not any(hues)
            for text, row in zip(plain.texts, hues, strict=True):
                if code and text == PYTHON.decode().split("\n")[0]:
                    assert Hue.KEYWORD in row
                seen |= set(row)
    assert {Hue.KEYWORD, Hue.STRING, Hue.COMMENT, Hue.NAME, Hue.NUMBER} <= seen


def test_marks_in_nano_are_behind_what_was_put_in_and_behind_deletions(live: list[ChapterFilm]) -> None:
    for film in live:
        changes, lines = marks(film.film)
        action_T, phase_T = film.film.action_T, film.film.phase_T
        inserted_T = phase_T == Phase.INSERT
        deleted_T = (phase_T == Phase.MOTION) & np.isin(action_T, [0x04, 0x08, 0x0B, 0x14])
        for at in range(len(film)):
            last = at + 1 == len(film)
            left = inserted_T[at] and (last or not inserted_T[at + 1])
            gone = deleted_T[at] and (last or not deleted_T[at + 1] or action_T[at + 1] != action_T[at])
            assert (at + 1 in changes) == (left or gone)
            assert (at + 1 in lines) == (left or action_T[at] == 0x0D)
    assert any(marks(film.film).changes for film in live)


@pytest.mark.parametrize(("kind", "target"), [("asciicast", "film.cast"), ("gif", "film.gif"), ("html", "film.html")])
def test_each_commit_is_filmed_once_for_a_file_that_takes_given_seconds(
    story: Path, kind: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filmed: list[str] = []

    def counted(commit: Commit, workspace: Workspace, terminal: Terminal) -> tuple[Script, Film]:
        filmed.append(commit.sha)
        return play_commit(commit, workspace, terminal)

    monkeypatch.setattr(pipeline.watch.live, "play_commit", counted)
    assert main(["--repo", str(story), "--seconds", "3", f"--{kind}", str(tmp_path / target)]) == 0
    assert len(filmed) == len(set(filmed)) == 3
