"""Folders named by the date."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from schema.folders import make_dated_folder, real_folder


def test_no_two_runs_of_one_second_share_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("schema.folders.time.strftime", lambda form: "2026-11-25T22-31-05")
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: make_dated_folder(tmp_path / "runs", "demo-"), range(12)))
    names = {f"demo-2026-11-25T22-31-05{end}" for end in ("", *(f"-{n}" for n in range(2, 13)))}
    assert {folder.name for folder in made} == names
    assert all(folder.is_dir() for folder in made)


def test_the_name_is_the_date(tmp_path: Path) -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d", make_dated_folder(tmp_path).name)


def test_a_file_in_the_way_is_an_error_and_no_endless_search(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(OSError):
        make_dated_folder(tmp_path / "runs")


@pytest.mark.parametrize("target", ["b", "{parent}/b"], ids=["relative", "absolute"])
def test_a_link_is_followed_once(tmp_path: Path, target: str) -> None:
    (tmp_path / "latest").symlink_to(target.format(parent=tmp_path))
    assert real_folder(tmp_path / "latest") == tmp_path / "b"
    assert real_folder(tmp_path / "b") == tmp_path / "b"
