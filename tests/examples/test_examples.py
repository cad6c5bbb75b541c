"""Every example runs from its first cell to its last, as in an editor that knows `# %%`."""

import re
import tempfile
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.py"))
CELL = re.compile(r"^# %%(?: \[markdown\])?$", re.MULTILINE)


def cells(path: Path) -> list[str]:
    """The code of each cell; a markdown cell has none but comments."""
    first, *rest = CELL.split(path.read_text())
    assert not first, "an example begins with a cell"
    return rest


def run(path: Path) -> dict[str, Any]:
    """Run the cells one after the other; what they leave."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(cells(path)):
        exec(compile(cell, f"{path.name}, cell {number}", "exec"), names)
    return names


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where examples put what they make, and where they are run."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    return tmp_path


def test_the_film_example_films_asks_and_learns_more_than_counts(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [path] = [path for path in EXAMPLES if path.name == "film.py"]
    left = run(path)
    left["plt"].close("all")
    said = capsys.readouterr().out
    assert f"shapes: 120 commits are {left['film'].steps:,} keys" in said
    assert said.count("█") == 1
    assert f"the commit's subject: {left['episode'].subject!r}" in said
    assert left["kinds"]["keys"].sum() == left["film"].steps == left["stored"].collect().height
    assert left["held"] < 0.6 * left["unigram"]
    [picture] = folder.glob("film-*/film.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert said.endswith(f"{picture}\n")


def test_every_example_is_run_by_a_test() -> None:
    tests = Path(__file__).read_text()
    assert [path.name for path in EXAMPLES if f'"{path.name}"' not in tests] == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_markdown_cell_holds_no_code(path: Path) -> None:
    text = path.read_text()
    markdown = re.findall(r"^# %% \[markdown\]\n(.*?)(?=^# %%|\Z)", text, re.MULTILINE | re.DOTALL)
    assert markdown
    assert all(line.startswith("#") for part in markdown for line in part.splitlines() if line)
