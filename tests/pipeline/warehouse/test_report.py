"""The page about a warehouse, in a real browser."""

from pathlib import Path

import pytest

from pipeline.harvester import HarvestConfig, harvest_repository
from pipeline.warehouse.__main__ import main
from pipeline.warehouse.build import build
from pipeline.watch.stored import find_recording
from tests.browser import Browser
from tests.repositories import Repository

HOSTILE = "</script><script>window.owned = 1</script><img src=x onerror='window.owned = 2'>"


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    made = Repository(folder / "story")
    made.commit("One", {"a.txt": b"one\n"})
    made.commit(HOSTILE, {"evil.html": HOSTILE.encode() + b"\n" + b"long\n" * 40})
    harvest_repository(str(made.path), HarvestConfig(warehouse=str(folder / "w")))
    build(folder / "w")
    return folder / "w"


def test_the_page_shows_what_is_stored_and_runs_nothing_of_it(warehouse: Path, tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    assert main(["report", "--warehouse", str(warehouse), "--html", str(target)]) == 0
    recording = find_recording(warehouse, "story", 0)
    longest = max(range(len(recording.chapters)), key=lambda index: recording.chapters[index].steps)
    with Browser(tmp_path) as browser:
        tab = browser.open(target)
        rows = tab.evaluate("[...document.querySelector('.screen').children].map(row => row.textContent.trimEnd())")
        assert tuple(rows) == recording.film(longest).final.texts
        text = tab.evaluate("document.body.innerText")
        assert f"{recording.steps:,} keys" in text
        assert HOSTILE in text
        assert f"python -m pipeline.watch story:{longest}" in text
        assert tab.evaluate("'owned' in window") is False
        assert tab.evaluate("document.images.length") == 0
        assert tab.errors() == []


def test_another_ending_is_one_line(warehouse: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--warehouse", str(warehouse), "--html", str(tmp_path / "a.txt")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
