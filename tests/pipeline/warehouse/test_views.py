"""The database answers wherever it lies and however it is opened; where it cannot, its error names the command."""

import os
import shutil
import subprocess
from pathlib import Path

import duckdb
import pytest

from pipeline.shards.store import Store
from pipeline.shards.writer import StreamWriter
from pipeline.warehouse.__main__ import main
from pipeline.warehouse.build import build
from pipeline.warehouse.dataset_card import main as write_card
from pipeline.warehouse.present import registered
from pipeline.warehouse.views import MARKS, REMEDY
from pipeline.watch.recording import screens
from pipeline.watch.stored import find_recording
from schema.config import ReplayConfig
from schema.errors import WarehouseError
from tests.disk import small_disk
from tests.takes import make_takes

CONFIG = ReplayConfig(rows=6, cols=24)
REPO = "owner/name"
COUNT = "SELECT count(*) FROM {}steps"
COMMAND = "python -m pipeline.warehouse build --warehouse"


def film(warehouse: Path, episodes: int, *, repo_id: str = REPO, seed: int = 0) -> int:
    """Write or lengthen a stream and register it; its steps."""
    takes = list(make_takes(episodes, repo_id=repo_id, seed=seed))
    with StreamWriter(warehouse, repo_id, CONFIG, family=repo_id, licence="MIT") as writer:
        for take in takes[writer.manifest.episodes :]:
            writer.append(take)
    build(warehouse)
    return sum(take.episode.steps for take in takes)


def ask(database: Path | str, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(database), read_only=True) as db:
        return db.execute(query).fetchall()


def attached(query: str, **databases: Path) -> list[tuple[object, ...]]:
    """Ask from a session of its own that has the databases under these names."""
    with duckdb.connect() as db:
        for alias, path in databases.items():
            db.execute(f"ATTACH '{path}' AS \"{alias}\" (READ_ONLY)")
        return db.execute(query).fetchall()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder that holds `warehouse`, `other` and `notebooks`."""
    folder = tmp_path / "root"
    film(folder / "warehouse", 4)
    film(folder / "other", 7, seed=1)
    (folder / "notebooks").mkdir()
    return folder


STEPS = sum(take.episode.steps for take in make_takes(4))
OTHER_STEPS = sum(take.episode.steps for take in make_takes(7, seed=1))


@pytest.mark.parametrize(
    ("where", "path"),
    [
        (".", "warehouse/actions.db"),
        (".", "./warehouse/actions.db"),
        ("warehouse", "actions.db"),
        ("notebooks", "../warehouse/actions.db"),
        ("other", "../notebooks/../warehouse/actions.db"),
        ("/", "{root}/warehouse/actions.db"),
    ],
)
def test_it_answers_from_any_folder(root: Path, where: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root / where)
    for table in ("steps", "blobs", "episodes", f"screen('{REPO}', 3)", f"keys('{REPO}', 0)"):
        assert ask(path.format(root=root), f"SELECT count(*) > 0 FROM {table}") == [(True,)]


def test_it_answers_through_a_link_to_its_folder(root: Path) -> None:
    (root / "link").symlink_to("warehouse")
    assert ask(root / "link/actions.db", COUNT.format("")) == [(STEPS,)]
    assert attached(COUNT.format("film."), film=root / "link/actions.db") == [(STEPS,)]


@pytest.mark.parametrize("alias", ["film", "an odd name", "order", "steps", "temporary"])
def test_attached_under_any_name_views_and_macros_answer(root: Path, alias: str) -> None:
    name, path = f'"{alias}".', root / "warehouse/actions.db"
    assert attached(COUNT.format(name), **{alias: path}) == [(STEPS,)]
    assert len(attached(f"FROM {name}screen('{REPO}', 3)", **{alias: path})) == CONFIG.rows
    assert len(attached(f"FROM {name}keys('{REPO}', 0)", **{alias: path})) > 1
    assert attached(f"SELECT {name}action_name(65), {name}phase_name(0)", **{alias: path}) == [("A", "shell")]
    assert attached(f"SELECT count(*) > 0 FROM {name}blobs", **{alias: path}) == [(True,)]


def test_a_query_of_the_readme_answers_in_an_attached_database(root: Path) -> None:
    query = "SELECT line, cursor FROM f.screen((SELECT min(repo_id) FROM f.repositories WHERE steps > 0), 50)"
    assert attached(query, f=root / "warehouse/actions.db") == ask(
        root / "warehouse/actions.db", query.replace("f.", "")
    )


def test_two_warehouses_side_by_side_do_not_mix(root: Path) -> None:
    both = {"a": root / "warehouse/actions.db", "b": root / "other/actions.db"}
    query = f"SELECT ({COUNT.format('a.')}), ({COUNT.format('b.')})"
    assert attached(query, **both) == [(STEPS, OTHER_STEPS)]
    with duckdb.connect(str(both["a"]), read_only=True) as db:
        db.execute(f"ATTACH '{both['b']}' AS b (READ_ONLY)")
        assert db.execute(query.replace("a.steps", "steps")).fetchall() == [(STEPS, OTHER_STEPS)]
        db.execute("USE b")
        assert db.execute(query.replace("a.", "actions.").replace("b.", "")).fetchall() == [(STEPS, OTHER_STEPS)]


def test_beside_a_warehouse_of_the_same_folder_name_no_row_is_the_others(root: Path) -> None:
    film(root / "project/warehouse", 7, seed=1)  # the same repository, other film, files of the same names
    with duckdb.connect(str(root / "project/warehouse/actions.db"), read_only=True) as db:
        db.execute(f"ATTACH '{root}/warehouse/actions.db' AS b (READ_ONLY)")
        assert db.execute(COUNT.format("")).fetchall() == [(OTHER_STEPS,)]
        with pytest.raises(duckdb.IOException, match=COMMAND):
            db.execute(COUNT.format("b."))
    both = {"a": root / "project/warehouse/actions.db", "b": root / "warehouse/actions.db"}
    assert attached(COUNT.format("b."), **both) == [(STEPS,)]  # none of them opened first


@pytest.mark.parametrize("name", ["moved", "with 'quote", "a,b", "[x]*", "漢字 ü", "100% |pipe|", "line\nbreak"])
def test_a_warehouse_answers_as_it_is_when_its_parent_is_renamed(
    root: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.rename(root.with_name(name))
    assert ask(root.with_name(name) / "warehouse/actions.db", COUNT.format("")) == [(STEPS,)]
    monkeypatch.chdir(root.with_name(name))
    assert len(ask("warehouse/actions.db", f"FROM screen('{REPO}', 3)")) == CONFIG.rows
    monkeypatch.chdir("warehouse")
    assert ask("actions.db", "SELECT count(*) > 0 FROM blobs") == [(True,)]


@pytest.mark.parametrize("name", ["with 'quote", "a,b", "[x]*", "漢字 ü", "100% |pipe|"])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    steps = film(tmp_path / name, 4)
    assert ask(tmp_path / name / "actions.db", COUNT.format("")) == [(steps,)]
    path = str(tmp_path / name / "actions.db").replace("'", "''")
    assert attached(COUNT.format("film."), film=Path(path)) == [(steps,)]


def test_a_folder_that_duckdb_cannot_open_is_refused_at_once() -> None:
    with pytest.raises(WarehouseError, match="rename the folder"):
        Store("/tmp/what?/warehouse")
    with pytest.raises(WarehouseError, match="rename the folder"):
        Store(os.fsdecode(b"/tmp/\xff"))


def test_a_renamed_folder_names_the_command_that_mends_it(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "warehouse").rename(root / "renamed")
    path = root / "renamed/actions.db"
    for query in (COUNT.format(""), "FROM blobs", f"FROM screen('{REPO}', 3)", f"FROM keys('{REPO}', 0)"):
        with pytest.raises(duckdb.IOException, match=COMMAND):
            ask(path, query)
        with pytest.raises(duckdb.IOException, match=COMMAND):
            attached(query.replace("FROM ", "FROM film."), film=path)
    assert ask(path, "SELECT count(*) FROM episodes") == [(4,)]
    assert main(["build", "--warehouse", str(root / "renamed")]) == 0
    assert ask(path, COUNT.format("")) == [(STEPS,)]
    assert attached(COUNT.format("film."), film=path) == [(STEPS,)]


def test_the_remedy_in_the_error_is_the_command() -> None:
    assert f"run {COMMAND} FOLDER" == REMEDY


def shown(warehouse: Path) -> object:
    return list(screens(find_recording(warehouse, REPO)))


@pytest.mark.parametrize(
    "program",
    [
        lambda warehouse: main(["stats", "--warehouse", str(warehouse)]),
        lambda warehouse: main(["verify", "--warehouse", str(warehouse)]),
        lambda warehouse: write_card(["--warehouse", str(warehouse)]),
        lambda warehouse: registered(Store(warehouse)),
        shown,
        build,
    ],
    ids=["stats", "verify", "dataset_card", "harvest", "watch", "build"],
)
def test_a_program_that_opens_a_renamed_warehouse_mends_it(root: Path, program, capsys) -> None:
    (root / "warehouse").rename(root / "renamed")
    program(root / "renamed")
    assert "written in" not in capsys.readouterr().err
    assert attached(COUNT.format("film."), film=root / "renamed/actions.db") == [(STEPS,)]


def test_mending_changes_no_table_and_leaves_nothing_behind(root: Path) -> None:
    tables = ("repositories", "episodes", "shards", "drops", "files")
    before = [ask(root / "warehouse/actions.db", f"FROM {name} ORDER BY ALL") for name in tables]
    comments = "SELECT table_name, column_name, comment, data_type, is_nullable FROM duckdb_columns() ORDER BY ALL"
    columns = ask(root / "warehouse/actions.db", comments)
    (root / "warehouse").rename(root / "renamed")
    main(["stats", "--warehouse", str(root / "renamed")])
    assert before == [ask(root / "renamed/actions.db", f"FROM {name} ORDER BY ALL") for name in tables]
    assert columns == ask(root / "renamed/actions.db", comments)
    header = (root / "renamed/actions.db").read_bytes()[:64]
    assert int.from_bytes(header[12:20], "little") == 64  # still of DuckDB 0.10 to 1.1
    assert not list((root / "renamed").glob(".tmp*"))


def test_a_copy_is_a_warehouse_of_its_own(root: Path) -> None:
    shutil.copytree(root / "warehouse", root / "copy")
    steps = film(root / "copy", 9)
    film(root / "warehouse", 6)
    film(root / "warehouse", 7)
    assert ask(root / "copy/actions.db", COUNT.format("")) == [(steps,)]
    assert attached(COUNT.format("film."), film=root / "copy/actions.db") == [(steps,)]


def test_a_copy_does_not_read_the_film_of_an_original_that_went_on(root: Path) -> None:
    shutil.copytree(root / "warehouse", root / "copy")
    assert ask(root / "copy/actions.db", COUNT.format("")) == [(STEPS,)]  # the original's files, the same bytes
    film(root / "warehouse", 6)
    film(root / "warehouse", 7)
    with pytest.raises(duckdb.IOException, match=COMMAND):
        ask(root / "copy/actions.db", COUNT.format(""))
    main(["stats", "--warehouse", str(root / "copy")])
    assert ask(root / "copy/actions.db", COUNT.format("")) == [(STEPS,)]


def test_where_it_cannot_be_written_one_line_says_so_and_the_program_answers(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with small_disk(tmp_path / "disk", "16m") as disk:
        shutil.copytree(root / "warehouse", disk / "brought")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert main(["stats", "--warehouse", str(disk / "brought")]) == 0
        said = capsys.readouterr()
        assert REPO in said.out
        assert said.err.count("\n") == 1
        assert "Read-only file system" in said.err
        assert len(list(screens(find_recording(disk / "brought", REPO, 0)))) == STEPS + 1
        assert capsys.readouterr().err == ""  # said once


def test_marks_of_databases_that_nobody_opens_any_more_go(tmp_path: Path) -> None:
    for episodes in range(2, 7):
        film(tmp_path, episodes)
    assert len(list((tmp_path / MARKS).iterdir())) == 4  # of this database and the one before it, two views each


def test_an_empty_warehouse_answers_when_it_was_moved(tmp_path: Path) -> None:
    (tmp_path / "a/empty").mkdir(parents=True)
    build(tmp_path / "a/empty")
    (tmp_path / "a").rename(tmp_path / "b")
    assert ask(tmp_path / "b/empty/actions.db", COUNT.format("")) == [(0,)]


def test_a_session_with_its_own_folder_for_temporary_files_finds_the_film(root: Path, tmp_path: Path) -> None:
    with duckdb.connect(str(root / "warehouse/actions.db"), read_only=True) as db:
        for folder in (str(tmp_path), "/tmp/warehouse", ""):
            db.execute(f"SET temp_directory = '{folder}'")
            assert db.execute(COUNT.format("")).fetchall() == [(STEPS,)]
