"""Pictures of film, and what colours them: a view, of which stored film knows nothing."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.watch import __main__ as program
from pipeline.watch.__main__ import main
from pipeline.watch.colours import CONSOLE, Hue, coloured, theme, theme_names
from pipeline.watch.live import Selection, open_live
from pipeline.watch.pace import CHAPTER_PAUSE, LAST, Pace, fitting
from pipeline.watch.picture import CURSOR, Painter
from pipeline.watch.recording import ChapterFilm
from schema.config import ReplayConfig
from schema.errors import ConfigError
from schema.screen import Screen
from tests.repositories import Repository

CODE = b'def one(x):\n    """Say what\n    it is: def.\n    """\n    return x + 1  # a comment\n'
BLANK = Screen(("",) * 24, ((),) * 24, 0, 0)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Repository(tmp_path_factory.mktemp("picture") / "story")
    made.commit("Add code", {"a.py": CODE, "notes": b"def is no keyword here\n"})
    made.commit("More", {"a.py": CODE + b"\n\nTWO = 'two'\n"})
    return made.path


@pytest.fixture(scope="module")
def found(story: Path) -> list[ChapterFilm]:
    with closing(open_live(str(story), Selection(), ReplayConfig.model_validate({}))) as live:
        return list(live.films())


def hue_at(screen: Screen, row: str, word: str) -> Hue:
    """The hue of a word in the row that holds `row`."""
    y = next(y for y, text in enumerate(screen.texts) if row in text)
    x = screen.texts[y].index(word)
    return Hue(next((style >> 2 for start, length, style in screen.runs[y] if start <= x < start + length), 0))


def test_code_is_coloured_by_what_it_is_across_rows(found: list[ChapterFilm]) -> None:
    shown = [found[1].step(at).screen for at in range(len(found[1]))]
    screen = coloured(
        next(screen for screen in shown if {"def one(x):", CODE.decode().splitlines()[-1]} <= {*screen.texts})
    )
    assert hue_at(screen, "def one", "def") is Hue.KEYWORD
    assert hue_at(screen, "def one", "one") is Hue.NAME
    assert hue_at(screen, "it is: def", "def") is Hue.STRING  # within a string that an earlier row opened
    assert hue_at(screen, "return x", "return") is Hue.KEYWORD
    assert hue_at(screen, "return x", "1") is Hue.NUMBER
    assert hue_at(screen, "return x", "a comment") is Hue.COMMENT


def test_what_is_no_code_has_no_colours(found: list[ChapterFilm]) -> None:
    shells = [step.screen for film in found for step in map(film.step, range(12)) if film is found[0]]
    assert all(coloured(screen) == screen for screen in shells)
    notes = [
        film.step(at).screen for film in found for at in range(len(film)) if "notes" in film.step(at).screen.texts[22]
    ]
    assert notes
    assert all(coloured(screen) == screen for screen in notes)


def test_colours_change_no_text_no_style_and_no_cursor(found: list[ChapterFilm]) -> None:
    for film in found:
        for at in range(0, len(film) + 1, 7):
            plain = film.step(at).screen
            shown = coloured(plain)
            assert (shown.texts, shown[2:]) == (plain.texts, plain[2:])
            uncoloured = [tuple(run for run in runs if run[2] < 4) for runs in shown.runs]
            assert uncoloured == list(plain.runs)
            assert all(start + length <= 80 for runs in shown.runs for start, length, _ in runs)


def test_every_theme_can_be_used() -> None:
    for name in theme_names():
        found = theme(name)
        for colour in (found.paper, found.ink, found.bold, *found.hues):
            assert len(colour) == 7
            int(colour[1:], 16)
        Painter(80, found).picture(BLANK)
    with pytest.raises(ConfigError, match="monokai"):
        theme("nosuch")


def test_themes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--theme", "help"]) == 0
    assert capsys.readouterr().out.splitlines() == theme_names()


def test_a_picture_has_the_cursor_in_its_cell_and_differs_where_cells_do() -> None:
    painter = Painter(80)
    one = BLANK._replace(texts=("abc漢d", *BLANK.texts[1:]), cursor_row=3, cursor_col=5)
    other = one._replace(texts=("abX漢d", *BLANK.texts[1:]))
    first, second = (np.asarray(painter.picture(screen).convert("RGB")) for screen in (one, other))
    rows, columns = np.nonzero((first != second).any(axis=2))
    assert (rows.max() < 16, columns.min() >= 16, columns.max() < 24) == (True, True, True)
    wanted = tuple(int(CURSOR[at : at + 2], 16) for at in (1, 3, 5))
    ys, xs = np.nonzero((first == np.array(wanted)).all(axis=2))
    assert (ys.min() // 16, ys.max() // 16, xs.min() // 8, xs.max() // 8) == (3, 3, 5, 5)


@pytest.mark.parametrize("seconds", [1, 1.5, 3, 12])
def test_a_gif_takes_the_seconds_asked_for_and_ends_on_the_last_screen(
    story: Path, found: list[ChapterFilm], seconds: float, tmp_path: Path
) -> None:
    target = tmp_path / "film.gif"
    arguments = ["--repo", str(story), "--gif", str(target), "--no-keys", "--seconds", str(seconds)]
    assert main(arguments) == 0
    last = Painter(80).picture(found[-1].final).convert("RGB")
    took = 0
    with Image.open(target) as image:
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            took += image.info["duration"]
        assert np.array_equal(np.asarray(image.convert("RGB")), np.asarray(last))
        assert image.info["loop"] == 0
    assert took == pytest.approx(seconds * 1000, abs=1)


def test_the_same_film_is_the_same_gif(story: Path, tmp_path: Path) -> None:
    for name in ("a.gif", "b.gif"):
        assert main(["--repo", str(story), "--gif", str(tmp_path / name), "--seconds", "1", "--colour"]) == 0
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()


def test_a_png_is_the_screen_asked_for(story: Path, found: list[ChapterFilm], tmp_path: Path) -> None:
    target = tmp_path / "screen.png"
    assert main(["--repo", str(story), "--png", str(target), "--step", "40"]) == 0
    wanted = Painter(80).picture(found[0].step(40).screen).convert("RGB")
    with Image.open(target) as image:
        assert np.array_equal(np.asarray(image.convert("RGB")), np.asarray(wanted))
    assert main(["--repo", str(story), "--png", str(target), "--step", "99999"]) == 2


def test_absurd_lengths_are_refused_without_force(
    story: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "MOST_KEYS", 100)
    monkeypatch.setattr(program, "MOST_SECONDS", 2.0)
    monkeypatch.chdir(tmp_path)
    for arguments in (["--html", "a.html"], ["--asciicast", "a.cast"], ["--gif", "a.gif"]):
        assert main(["--repo", str(story), *arguments]) == 2
        assert "--force" in capsys.readouterr().err
        assert list(tmp_path.iterdir()) == []
    assert main(["--repo", str(story), "--html", "a.html", "--force"]) == 0


def test_a_pace_fits_the_seconds_whatever_the_commits() -> None:
    for seconds, keys, commits in ((12.0, 900, 1), (12.0, 900, 3), (12.0, 90_000, 400), (1.0, 5, 2)):
        pace = fitting(seconds, keys, commits)
        assert pace.duration(keys, commits) == pytest.approx(seconds)
        assert 0 < pace.pause <= CHAPTER_PAUSE
        moving = fitting(seconds, keys, commits, picture=0.1)
        assert moving.duration(keys, commits) + 0.15 + moving.last == pytest.approx(seconds)
        assert 0 < moving.last <= LAST
    assert Pace(10).duration(100, 1) == 10
    assert CONSOLE.paper == "#000000"
