"""The film's page in a real browser: what it draws is what was stored, and what a repository contains runs nothing."""

import itertools
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from pipeline.harvester import HarvestConfig, harvest_repository
from pipeline.warehouse.build import build
from pipeline.watch.__main__ import main
from pipeline.watch.marks import indenting, marks
from pipeline.watch.pace import fitting
from pipeline.watch.recording import ChapterFilm
from pipeline.watch.stored import find_recording
from schema.actions import action_name
from schema.errors import CorruptError
from schema.screen import Screen, row_cells, safe
from tests.browser import Browser, Tab
from tests.repositories import Repository

# What would run, or break out of its place, on a page that takes content for markup or for script.
HOSTILE = (
    "<script>window.owned = 1</script>",
    "</script><script>window.owned = 2</script>",
    "<img src=x onerror='window.owned = 3'>",
    '"><svg onload="window.owned = 4">',
    "'; window.owned = 5; //",
    "\u2028window.owned = 6\u2029",
    "<!-- <script> ]]> --!>",
    "{{ 7 * 7 }} {% raw %} ${window.owned = 7} `",
    "&lt;b&gt; &#60;script&#62; &amp;",
    "javascript:window.owned=8",
    "\u202egnp.exe \u2066rtl\u2069 \u200b\ufeff",
    "\x1b]0;owned\x07 \x9b31m",
)

# Every cell of the screen: [character, or "" for a wide one's second cell, style, whether the cursor is on it].
CELLS = """() => [...document.getElementById("screen").children].map(row => [...row.childNodes].flatMap(node => {
  const look = node.classList || { contains: () => false };
  const style = (look.contains("bold") ? 1 : 0) + (look.contains("reverse") ? 2 : 0);
  const boxed = look.contains("narrow") || look.contains("wide");
  const letters = boxed ? [node.textContent] : node.textContent.split("");
  return letters.flatMap(letter => [
    [letter, style, look.contains("cursor")], ...(look.contains("wide") ? [["", style, look.contains("cursor")]] : [])
  ]);
}))"""


def stored_cells(screen: Screen, cols: int) -> list[list[list[Any]]]:
    """The same of a stored screen, every row `cols` cells long."""
    found = []
    for y, (text, runs) in enumerate(zip(screen.texts, screen.runs, strict=True)):
        cells = [[letter, 0, False] for letter in row_cells(safe(text))]
        cells += [[" ", 0, False] for _ in range(cols - len(cells))]
        for start, length, style in runs:
            for x in range(start, start + length):
                cells[x][1] = style
        if y == screen.cursor_row:
            x = min(screen.cursor_col, cols - 1)
            wide = (
                range(x - 1, x + 1)
                if cells[x][0] == ""
                else range(x, x + 1 + (cells[x + 1 : x + 2] == [["", 0, False]]))
            )
            for x in wide:
                cells[x][2] = True
        found.append(cells)
    return found


def drawn_cells(tab: Tab, cols: int) -> list[list[list[Any]]]:
    """What the page shows now, every row `cols` cells long."""
    return filled(tab.evaluate(f"({CELLS})()"), cols)


def filled(rows: list[Any], cols: int) -> list[list[list[Any]]]:
    """Rows with blanks up to their ends."""
    return [row + [[" ", 0, False]] * (cols - len(row)) for row in rows]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose contents, paths and subjects are hostile, and that is wide, marked, long and scrolled, too."""
    folder = tmp_path_factory.mktemp("page")
    repository = Repository(folder / "story")
    repository.commit("Start", {"a.py": b"def one():\n    return 1\n", "b.txt": b"one\n"})
    repository.commit(HOSTILE[1], {"evil.html": "\n".join(HOSTILE).encode() + b"\n", "b.txt": b"one\ntwo\n"})
    for number, text in enumerate(HOSTILE):
        clean = text.replace("\x1b", "").replace("\x07", "").replace("/", "|").replace("\0", "")
        repository.commit(text, {f"{number} {clean[:40]}".encode(): f"{number} {text}\n".encode()})
    wide = ("漢字 kana かな é e\u0301 ünï " * 8 + "\n") * 3
    repository.commit(
        "Wide 漢字 é", {"wide.txt": wide.encode(), "a.py": b"def one():\n    return 2\n\n\n" + b"x = 1\n" * 30}
    )
    repository.commit("Delete", {"a.py": b"def one():\n    return 2\n\n\n" + b"x = 1\n" * 20, "b.txt": b"two\n"})
    harvest_repository(str(folder / "story"), HarvestConfig(warehouse=str(folder / "warehouse")))
    build(folder / "warehouse")
    return folder / "warehouse"


@pytest.fixture(scope="module")
def found(warehouse: Path) -> list[ChapterFilm]:
    """The stored film of every commit."""
    return list(find_recording(warehouse, "story", 0).films())


@pytest.fixture(scope="module")
def page(warehouse: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the whole stream."""
    target = tmp_path_factory.mktemp("written") / "film.html"
    assert main(["story", "--episodes", "0", "--warehouse", str(warehouse), "--html", str(target)]) == 0
    return target


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all."""
    with Browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture
def tab(browser: Browser, page: Path, found: list[ChapterFilm]) -> Iterator[Tab]:
    """The page, paused on its first screen; a place in the address keeps it from playing."""
    opened = browser.open(page, f"#{found[0].chapter.episode}:0")
    at_place(opened, found[0], 0)
    yield opened
    opened.close()


def at_place(tab: Tab, film: ChapterFilm, step: int) -> None:
    """Wait until the page shows that step."""
    tab.wait(f'document.getElementById("screen").dataset.place === "{film.chapter.episode}:{step}"')


def go(tab: Tab, film: ChapterFilm, step: int) -> None:
    """Go there by the address."""
    tab.evaluate(f'location.hash = "#{film.chapter.episode}:{step}"')
    at_place(tab, film, step)


def test_every_cell_drawn_is_the_stored_one(tab: Tab, found: list[ChapterFilm]) -> None:
    """Forward, then backward, which starts from kept screens; and every commit's last screen."""
    for number, film in enumerate(found):
        forward = sorted({*range(0, len(film), 41), len(film) - 1, len(film)})
        steps = [*forward, *forward[::-4]]
        drawn = tab.evaluate(
            f"(async () => {{ const cells = {CELLS}, found = []; for (const step of {steps}) {{ "
            f"await seek({number}, step); found.push(cells()); }} return found; }})()"
        )
        for step, rows in zip(steps, drawn, strict=True):
            assert filled(rows, 80) == stored_cells(film.step(step).screen, 80), (film.chapter, step)
    assert tab.errors() == []


def test_pictures_differ_exactly_where_stored_cells_do(tab: Tab, found: list[ChapterFilm]) -> None:
    """Equal cells are painted alike, and others are not, wherever they stand: of the cells that any font can draw."""
    painted: dict[tuple[Any, ...], npt.NDArray[np.int16]] = {}
    checked = 0
    left, width, top, height = tab.evaluate(
        "(b => [b.x, b.width / 80, b.y, b.height])"
        "(document.getElementById('screen').children[0].getBoundingClientRect())"
    )
    for film in found:
        for step in range(0, len(film) + 1, max(1, len(film) // 2)):
            go(tab, film, step)
            image = np.asarray(tab.picture()).astype(np.int16)
            for y, row in enumerate(stored_cells(film.step(step).screen, 80)):
                if any(not letter.isascii() for letter, _, _ in row):
                    continue
                for x, cell in enumerate(row):
                    box = image[
                        round(top + y * height) + 2 : round(top + (y + 1) * height) - 2,
                        round(left + x * width) + 1 : round(left + (x + 1) * width) - 1,
                    ]
                    pixels = painted.setdefault(tuple(cell), box)
                    assert alike(pixels, box, PLAIN if cell[1] == 0 else BOLD), (film.chapter, step, y, x, cell)
                    checked += 1
    assert checked > 20_000
    letters = [(cell, pixels) for cell, pixels in painted.items() if cell[0].isalnum() and cell[1:] == (0, False)]
    assert len(letters) > 30
    for (cell, pixels), (other, others) in itertools.combinations(letters, 2):
        assert not alike(pixels, others, PLAIN), (cell, other)


# How much a pixel of one letter may differ, of 255: browsers smooth letters by where in a pixel they begin, and bold
# ones, drawn in one piece from the row's left edge to its right, drift by up to half a pixel.
PLAIN, BOLD = 64, 160


def alike(one: npt.NDArray[np.int16], other: npt.NDArray[np.int16], most: int) -> bool:
    """Whether two pieces of a picture are of one size and differ by less than that in every pixel."""
    return one.shape == other.shape and int(np.abs(one - other).max()) < most


def test_a_wrong_cell_is_found(tab: Tab, found: list[ChapterFilm]) -> None:
    """The comparison itself: a page that shows another screen differs."""
    go(tab, found[0], 40)
    assert drawn_cells(tab, 80) != stored_cells(found[0].step(41).screen, 80)
    tab.evaluate("document.getElementById('screen').children[0].firstChild.textContent += '!'")
    assert drawn_cells(tab, 80) != stored_cells(found[0].step(40).screen, 80)


def test_what_a_repository_contains_runs_nothing(tab: Tab, page: Path, found: list[ChapterFilm]) -> None:
    for film in found:
        go(tab, film, len(film) // 2)
        go(tab, film, len(film))
    scripts = tab.evaluate("document.scripts.length")
    assert scripts == len(found) + 2  # the commits, the index, and the page's own
    assert tab.evaluate("'owned' in window") is False
    assert tab.evaluate("document.images.length + document.querySelectorAll('svg, iframe, object, embed').length") == 0
    assert tab.errors() == []
    shown = tab.evaluate("[...document.querySelectorAll('#chapters a')].map(link => link.title)")
    assert shown == [safe(film.chapter.subject) for film in found]
    assert "</script><script>window.owned" not in page.read_text()


def test_the_pages_policy_stops_a_script_that_gets_into_it(browser: Browser, page: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.html"
    broken.write_text(page.read_text().replace("<header", "<script>window.owned = 1</script><header"))
    opened = browser.open(broken)
    assert opened.evaluate("'owned' in window") is False
    assert opened.errors()


def test_keys_play_pause_and_go_to_places(tab: Tab, found: list[ChapterFilm]) -> None:
    first, second = found[0], found[1]
    for key, step in (
        (".", 1),
        (".", 2),
        (",", 1),
        ("ArrowRight", 21),
        ("ArrowLeft", 1),
        ("End", len(first)),
        ("Home", 0),
    ):
        tab.press(key)
        at_place(tab, first, step)
    tab.press("n")
    at_place(tab, second, 0)
    tab.press("p")
    at_place(tab, first, 0)
    tab.press("End")
    tab.press("ArrowRight")  # goes on in the next commit
    at_place(tab, second, 0)
    tab.press("ArrowLeft")
    at_place(tab, first, len(first))
    tab.press("Home")
    tab.press(" ")
    tab.wait("state.playing && state.step > 3")
    tab.press(" ")
    tab.wait("!state.playing && location.hash === '#' + document.getElementById('screen').dataset.place")


@pytest.mark.parametrize(("key", "which"), [("c", 0), ("l", 1)])
def test_changes_and_lines_are_stepped_through_both_ways(
    tab: Tab, found: list[ChapterFilm], key: str, which: int
) -> None:
    film = found[-1]
    wanted = marks(film.film)[which]
    assert len(wanted) > 1
    go(tab, film, 0)
    for mark in wanted:
        tab.press(key)
        at_place(tab, film, mark)
    for mark in reversed(wanted[:-1]):
        tab.press(key.upper(), shift=True)
        at_place(tab, film, mark)


def test_keys_shown_are_those_that_were_pressed(tab: Tab, found: list[ChapterFilm]) -> None:
    film = found[0]
    for step in (0, 5, 40, len(film)):
        go(tab, film, step)
        pressed = [action_name(key) for key in film.film.action_T[max(0, step - 13) : step + 1].tolist()]
        shown = tab.evaluate("[...document.querySelectorAll('#keys kbd')].map(key => key.textContent)")
        assert shown == [*pressed, *(["end"] if step == len(film) else [])]


def test_a_film_fits_the_seconds_that_are_asked_for(tab: Tab, found: list[ChapterFilm]) -> None:
    keys = sum(map(len, found))
    tab.evaluate("(s => { s.value = 20; s.dispatchEvent(new Event('change')) })(document.getElementById('seconds'))")
    assert tab.evaluate("[state.rate, state.gap]") == pytest.approx([*fitting(20, keys, len(found))[:2]])
    assert "0:20 left" in tab.evaluate("document.getElementById('place').textContent")


def test_a_keyboard_alone_reaches_every_control(tab: Tab) -> None:
    seen = set()
    for _ in range(60):
        tab.press("Tab")
        seen.add(tab.evaluate("document.activeElement.id"))
    assert {"play", "next-commit", "rate", "seconds", "fast", "seek", "screen", "filter", "scheme"} <= seen
    tab.evaluate("document.getElementById('rate').focus()")
    tab.press("n")  # typed into the field, it is no command
    assert tab.evaluate("state.chapter") == 0


def test_commits_are_unpacked_one_at_a_time(
    browser: Browser, page: Path, found: list[ChapterFilm], tmp_path: Path
) -> None:
    """A commit that cannot be unpacked stops nobody who does not look at it."""
    name = f'id="film-{found[1].chapter.episode}">'
    head, tail = page.read_text().split(name)
    (tmp_path / "film.html").write_text(head + name + "AAAA" + tail[4:])
    tab = browser.open(tmp_path / "film.html", f"#{found[2].chapter.episode}:3")
    at_place(tab, found[2], 3)
    assert tab.errors() == []
    tab.evaluate("seekChapter(-1).catch(error => { window.failed = 1 })")
    assert tab.evaluate("window.failed") == 1


def test_dark_and_light_follow_the_system_and_the_button(tab: Tab) -> None:
    def corner() -> int:
        image: Image.Image = tab.picture()
        return sum(image.getpixel((4, 4)))

    tab.scheme("light")
    assert corner() > 600
    tab.scheme("dark")
    assert corner() < 200
    tab.evaluate("document.getElementById('scheme').click()")  # dark
    tab.evaluate("document.getElementById('scheme').click()")  # light
    assert corner() > 600


@pytest.mark.parametrize("width", [360, 800, 1400])
def test_nothing_overlaps_at_any_width(tab: Tab, width: int) -> None:
    tab.resize(width, 800)
    boxes = tab.evaluate(
        "[...document.querySelectorAll('header.top > *, .caption, .stage, .keys, #seek, .controls > *')]"
        ".filter(e => e.getClientRects().length && e.className !== 'fill')"
        ".map(e => (b => [b.left, b.top, b.right, b.bottom])(e.getBoundingClientRect()))"
    )
    for i, (left, top, right, bottom) in enumerate(boxes):
        assert right <= width + 1
        for other in boxes[i + 1 :]:
            apart = right <= other[0] + 1 or other[2] <= left + 1 or bottom <= other[1] + 4 or other[3] <= top + 4
            assert apart, (boxes[i], other)


def test_the_same_film_is_the_same_page(warehouse: Path, page: Path, tmp_path: Path) -> None:
    target = tmp_path / "again.html"
    assert main(["story", "--episodes", "0", "--warehouse", str(warehouse), "--html", str(target)]) == 0
    assert target.read_bytes() == page.read_bytes()


def test_the_page_names_no_other_place(page: Path) -> None:
    text = page.read_text()
    for loads in ("http:", "https:", "@import", "url(", "<link"):
        assert loads not in text
    assert not re.search(r"<\w[^>]*\ssrc\s*=", text)


def test_film_that_cannot_be_read_leaves_no_half_of_a_page(
    warehouse: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(warehouse, tmp_path / "w")
    for path in (tmp_path / "w/shards").rglob("*.steps.parquet"):
        path.write_bytes(path.read_bytes()[:200])
    assert main(["story", "--warehouse", str(tmp_path / "w"), "--html", str(tmp_path / "film.html")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["w"]
    with pytest.raises(CorruptError):
        find_recording(tmp_path / "w", "story").film(0)


def test_marks_are_where_changes_and_lines_are_complete(found: list[ChapterFilm]) -> None:
    """By the screens: behind a mark of a change vim is in Normal mode, or the text just became shorter."""
    for film in found:
        changes, lines = marks(film.film)
        assert set(changes) <= set(range(1, len(film) + 1))
        for mark in changes:
            key = film.film.action_T[mark - 1]
            assert key == 0x1B or chr(key) in "xDd"
        for mark in lines:
            assert film.film.action_T[mark - 1] in (0x1B, 0x0D)
    deleted = found[-1]
    assert any(chr(deleted.film.action_T[mark - 1]) == "d" for mark in marks(deleted.film).changes)


def test_indentation_is_told_from_other_blanks(found: list[ChapterFilm]) -> None:
    film = found[0]
    typed = bytes(film.film.action_T)
    at = typed.index(b"    return 1")
    found_T = indenting(film.film)
    assert found_T[at : at + 4].all()
    assert not found_T[at + 4 : at + 12].any()
