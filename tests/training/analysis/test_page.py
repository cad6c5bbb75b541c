"""The page about runs, in a real browser: what it shows is what the runs hold."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from schema.errors import ConfigError
from schema.screen import Screen
from tests.browser import Browser
from tests.training.runs import settings
from tests.training.warehouse import COLS, ROWS, write_warehouse
from training.analysis.evaluate import evaluate
from training.analysis.page import screen_of, write_run_page
from training.analysis.runs import load_runs, open_film
from training.loop.run import fit
from training.report import main


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs that differ in their seed."""
    folder = tmp_path_factory.mktemp("runs")
    root = write_warehouse(folder / "w", {"a/b": 900, "c/d": 500}, {"c/d": "validation"})
    made = []
    for name, changes in (("one", {}), ("two", {"seed": 5})):
        fit(settings(root, folder / name, **changes))
        made.append(folder / name)
    return made


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def test_the_page_shows_the_losses_of_the_evaluation(runs: list[Path], browser: Browser, tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    write_run_page(runs, target, windows=4)
    models, found = load_runs(runs)
    reader = open_film(models, found["shards"], found["repo"])
    wanted = evaluate(models, reader, "validation", found["window"], 4, found["window"])["models"]
    tab = browser.open(target)
    rows = dict(
        tab.evaluate("[...document.querySelectorAll('table')[0].rows].map(r => [r.cells[0].textContent, r.innerText])")
    )
    for name, model in wanted.items():
        assert f"{model['loss']:.3f}" in rows[name.replace("_", "-")]
    text = tab.evaluate("document.body.innerText")
    assert re.search(r"\bseed\b.*0.*5", text)
    assert "batch" not in text[text.index("Settings that differ") :]
    assert tab.evaluate("document.querySelectorAll('.chart svg').length") >= 3
    assert tab.errors() == []
    tab.close()


def test_a_strip_shows_the_screens_and_the_keys_of_the_film(runs: list[Path], browser: Browser, tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    write_run_page(runs[:1], target, windows=2)
    tab = browser.open(target)
    strips = tab.evaluate("pageData('strip-data')")
    models, found = load_runs(runs[:1])
    reader = open_film(models, found["shards"], found["repo"])
    assert len(strips) == 3 * len(models)
    start = int(strips[0]["title"].rpartition(" ")[2].replace(",", ""))
    stream = next(i for i, one in enumerate(reader.streams) if one.repo_id in strips[0]["title"])
    window = reader.window(stream, start, len(strips[0]["keys"]))
    tab.evaluate("document.querySelectorAll('.strip')[0].querySelectorAll('.typed button')[7].click()")
    shown = tab.evaluate("[...document.querySelector('.strip .screen').children].map(row => row.textContent.trimEnd())")
    assert tuple(shown) == screen_of(window.cells_TRC[7], reader.max_code_point).texts
    assert "1.00" not in tab.evaluate("document.querySelector('.guess.pressed').textContent")
    assert len(
        tab.evaluate("[...document.querySelectorAll('.strip')[0].querySelectorAll('.guess')].map(g => g.innerText)")
    ) in (5, 6)
    tab.close()


def test_cell_ids_are_the_screen_that_they_came_from() -> None:
    cells = np.full((ROWS, COLS), ord(" "), np.int32)
    cells[2, :3] = [ord("a"), ord("b") + 256, 255]  # plain, bold, clamped
    cells[3, 5] = ord("x") + 256 * 4  # the cursor's
    screen = screen_of(cells, 256)
    assert screen == Screen(
        ("", "", "ab\N{REPLACEMENT CHARACTER}", "     x", "", "", "", ""),
        ((), (), ((1, 1, 1),), (), (), (), (), ()),
        3,
        5,
    )
    wide = np.full((1, COLS), ord(" "), np.int32)
    wide[0, :3] = [0x6F22, 0, ord("c")]
    assert screen_of(wide, 1 << 17).texts == ("漢c",)


def test_the_same_runs_are_the_same_page(runs: list[Path], tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        assert main([str(runs[0]), "--html", str(tmp_path / name), "--windows", "2"]) == 0
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    text = (tmp_path / "a.html").read_text()
    assert "http:" not in text
    assert "https:" not in text


@pytest.mark.parametrize("arguments", [["none"], ["RUN", "--html", "a.txt"], ["RUN", "--windows", "0"]])
def test_what_cannot_be_meant_is_one_line(
    runs: list[Path], arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(runs[0]) if word == "RUN" else word for word in arguments]
    assert main(given) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_run_without_settings_is_told_of(runs: list[Path], tmp_path: Path) -> None:
    (runs[1] / "config.json").rename(tmp_path / "kept")
    try:
        with pytest.raises(ConfigError, match=r"config\.json"):
            write_run_page(runs[1:], tmp_path / "page.html", windows=2)
        (runs[1] / "config.json").write_text("[1]")
        with pytest.raises(ConfigError, match=r"config\.json: cannot be read \(it holds no settings\)"):
            write_run_page(runs[1:], tmp_path / "page.html", windows=2)
    finally:
        (tmp_path / "kept").rename(runs[1] / "config.json")
    assert json.loads((runs[1] / "config.json").read_text())["seed"] == 5
