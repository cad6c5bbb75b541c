"""The pipeline's face: what `from pipeline import …` gives, used as README shows it."""

import subprocess
import sys
from pathlib import Path

import pytest

import pipeline
from pipeline import RecordedEpisode, TerminalEnv, harvest, open_episode
from schema.errors import ConfigError, UnsupportedKeyError, WarehouseError
from tests.repositories import Repository


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repository = Repository(tmp_path_factory.mktemp("history") / "story")
    repository.commit("Start", {"a.txt": b"one\ntwo\n"})
    repository.commit("Say more", {"a.txt": b"one\ntwo\nthree\n"})
    folder = tmp_path_factory.mktemp("film") / "warehouse"
    outcome = harvest(repository.path, folder, rows=8, cols=40)
    assert outcome.new_episodes == outcome.episodes == 2
    assert harvest(repository.path, folder, rows=8, cols=40).new_episodes == 0
    return folder


def test_an_episode_is_its_screens_and_keys_and_plays_again_in_a_terminal(warehouse: Path) -> None:
    episode = open_episode(warehouse, "story:1")
    assert (episode.subject, episode.geometry, len(episode)) == ("Say more", (8, 40), len(list(episode)))
    env = TerminalEnv(8, 40, {"a.txt": b"one\ntwo\n"}, start=open_episode(warehouse, "story:0").final_screen)
    for screen, key in episode:
        assert env.screen == screen
        env.step(key)
    assert env.screen == episode.final_screen
    assert env.files["a.txt"] == b"one\ntwo\nthree\n"


def test_an_episode_is_found_by_its_commit_and_a_wrong_name_is_one_clear_error(warehouse: Path) -> None:
    first = open_episode(warehouse, "story")
    assert isinstance(open_episode(warehouse, first.commit[:10]), RecordedEpisode)
    with pytest.raises(WarehouseError, match="neither REPO_ID:ORDINAL nor a repository nor a commit"):
        open_episode(warehouse, "nobody")


def test_a_screen_that_the_model_does_not_hold_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="rows must be 4-500"):
        harvest(tmp_path, tmp_path / "w", rows=2)
    with pytest.raises(ConfigError, match="cols 24-1000"):
        TerminalEnv(24, 8)
    for settings, words in (
        ({"motion": "arrows"}, "add editor=nano"),
        ({"rowz": 3}, "rowz: unknown setting; see"),
    ):
        with pytest.raises(ConfigError, match=words):
            harvest(tmp_path, tmp_path / "w", **settings)
    assert not (tmp_path / "w").exists()


def test_a_folder_of_other_things_takes_no_film(tmp_path: Path) -> None:
    made = Repository(tmp_path / "made")
    made.commit("Start", {"a.txt": b"one\n"})
    with pytest.raises(WarehouseError, match="holds other things and no film"):
        harvest(made.path, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_a_terminal_begins_anew_and_an_unnamed_file_is_a_new_one_unless_it_is_closed() -> None:
    env = TerminalEnv(8, 40)
    blank = env.screen
    for key in b"vim new.txt\rihello\x1b:w\r:q\r":
        env.step(key)
    assert env.files == {"new.txt": b"hello\n"}
    assert env.at_prompt
    assert env.reset() == blank
    assert env.files == {}
    closed = TerminalEnv(8, 40, closed=True)
    for key in b"vim new.txt":
        closed.step(key)
    with pytest.raises(UnsupportedKeyError, match="whose content is not held here"):
        closed.step(0x0D)


@pytest.mark.parametrize("key", [-1, 256])
def test_a_key_is_one_byte(key: int) -> None:
    with pytest.raises(ValueError, match="a key is one byte"):
        TerminalEnv().step(key)


def test_every_name_of_the_face_is_there_and_a_part_alone_does_not_load_the_whole() -> None:
    assert all(getattr(pipeline, name) for name in pipeline.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = pipeline.nothing
    code = "import sys, pipeline.text.cells; assert 'duckdb' not in sys.modules and 'pyarrow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
