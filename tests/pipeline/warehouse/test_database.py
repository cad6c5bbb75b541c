"""The warehouse's command line and database, on film of a repository built here."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from pipeline.shards import writer as shards
from pipeline.shards.manifest import load, manifests
from pipeline.shards.store import Store
from pipeline.shards.writer import StreamWriter, refuse
from pipeline.warehouse import splits as families
from pipeline.warehouse.__main__ import main
from pipeline.warehouse.build import build
from pipeline.watch.stored import find_recording
from schema.actions import VOCABULARY, Phase, action_name
from schema.columns import TABLES
from schema.config import ReplayConfig
from schema.errors import CorruptError, SchemaVersionError, WarehouseError
from schema.manifest import MANIFEST, stream_folder
from tests.disk import small_disk
from tests.pipeline.warehouse.films import CONFIG, REPO, ask, damaged, film
from tests.repositories import make_repository
from tests.takes import make_takes

ROOT = Path(__file__).parents[3]


def test_commands_that_errors_give_name_a_folder_with_a_blank_as_one_word(tmp_path: Path) -> None:
    folder = tmp_path / "wh ouse"
    with pytest.raises(WarehouseError, match="no such folder") as refused:
        find_recording(folder, "a/b")
    assert shlex.split(str(refused.value).partition("make one: ")[2])[-2:] == ["--warehouse", str(folder)]
    with StreamWriter(folder, REPO, CONFIG) as writer:
        for take in make_takes(1):
            writer.append(take)
    with pytest.raises(WarehouseError, match="is missing") as refused:
        find_recording(folder, REPO)
    command = shlex.split(str(refused.value).partition("run: ")[2])
    assert command[:3] == ["python", "-m", "pipeline.warehouse"]
    assert main(command[3:]) == 0
    with pytest.raises(WarehouseError, match="neither") as refused:
        find_recording(folder, "none")
    assert shlex.split(str(refused.value).partition("list them: ")[2])[:2] == ["duckdb", f"{folder}/actions.db"]


def test_tables_have_the_schema(filmed: Path) -> None:
    for name, columns in TABLES.items():
        found = ask(
            filmed, f"SELECT column_name FROM duckdb_columns() WHERE table_name = '{name}' ORDER BY column_index"
        )
        assert [c for (c,) in found] == [c.name for c in columns]


def test_every_step_leads_to_commit_and_licence(filmed: Path) -> None:
    (steps,) = ask(filmed, "SELECT count(*) FROM steps")[0]
    joined = ask(
        filmed,
        "SELECT count(*) FROM steps s JOIN episodes e USING (repo_id, episode) JOIN repositories r USING (repo_id)"
        " WHERE s.stream_step BETWEEN e.first_step AND e.first_step + e.steps - 1 AND r.licence = 'MIT'",
    )
    assert joined == [(steps,)]
    assert isinstance(steps, int)
    assert steps > 500


def readme_queries() -> list[str]:
    return re.findall(r"```sql\n(.*?)```", (ROOT / "warehouse" / "README.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("number", range(7))
def test_readme_query_answers_word_for_word(filmed: Path, number: int) -> None:
    assert len(ask(filmed, readme_queries()[number])) > 0


def test_the_front_page_asks_only_questions_that_are_tested() -> None:
    front = re.findall(r"```sql\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert front
    assert set(front) <= set(readme_queries())


def test_readme_and_query_file_agree() -> None:
    text = (ROOT / "warehouse" / "queries.sql").read_text()
    queries = [re.sub(r"^--.*\n", "", part.strip(), flags=re.MULTILINE).strip() for part in text.split(";\n")]
    assert [q for q in queries if q] == [q.strip().removesuffix(";") for q in readme_queries()]


def test_storage_is_readable_by_the_oldest_command_line(filmed: Path) -> None:
    header = (filmed / "warehouse" / "actions.db").read_bytes()[:64]
    assert header[8:12] == b"DUCK"
    assert int.from_bytes(header[12:20], "little") == 64  # storage version of DuckDB 0.10 to 1.1


def test_action_and_phase_macros_name_everything(filmed: Path) -> None:
    names = ask(filmed, f"SELECT action_name(a::UTINYINT) FROM range({VOCABULARY}) r(a) ORDER BY a")
    assert [n for (n,) in names] == [action_name(a) for a in range(VOCABULARY)]
    phases = ask(filmed, f"SELECT phase_name(p::UTINYINT) FROM range({len(Phase)}) r(p) ORDER BY p")
    assert [p for (p,) in phases] == ["shell", "command line", "motion", "insert", "message"]


def test_screen_shows_the_frame_with_its_cursor(filmed: Path) -> None:
    query = "SELECT stream_step, frame, cursor_row, cursor_col FROM steps WHERE stream_step % 37 = 0"
    for step, frame, row, col in ask(filmed, query):
        shown = ask(filmed, f"SELECT row, line, cursor FROM screen('{REPO}', {step})")
        assert [r for r, *_ in shown] == list(range(CONFIG.rows))
        for number, line, cursor in shown:
            if number != row:
                assert line == frame[number]
                assert cursor is None
            else:
                assert isinstance(line, str)
                before = line.split("█")[0]
                assert sum(2 if ch in "漢字" else ch != "\u0301" for ch in before) == col
                assert str(cursor).startswith(f"column {col}, on ")


def test_keys_are_shown_as_typed(filmed: Path) -> None:
    typed = ask(filmed, f"SELECT string_agg(typed, '') FROM keys('{REPO}', 0)")[0][0]
    actions = ask(filmed, "SELECT action FROM steps WHERE episode = 0 ORDER BY stream_step")
    assert typed == "".join(action_name(a) for (a,) in actions)


def test_an_empty_warehouse_answers(tmp_path: Path) -> None:
    (tmp_path / "warehouse").mkdir()
    assert build(tmp_path / "warehouse").streams == 0
    for name in TABLES:
        assert ask(tmp_path, f"SELECT count(*) FROM {name}") == [(0,)]
    assert ask(tmp_path, "FROM screen('none', 0)") == []


def test_build_twice_gives_the_same_answers(copy: Path) -> None:
    before = ask(copy, "FROM repositories"), ask(copy, "FROM shards"), ask(copy, "FROM episodes")
    build(copy / "warehouse")
    assert before == (ask(copy, "FROM repositories"), ask(copy, "FROM shards"), ask(copy, "FROM episodes"))


def test_a_refused_repository_is_a_drop(copy: Path) -> None:
    refuse(copy / "warehouse", "other/one", CONFIG, "licence", licence="GPL-3.0")
    build(copy / "warehouse")
    assert ask(copy, "SELECT repo_id, scope, rule FROM drops WHERE repo_id = 'other/one'") == [
        ("other/one", "repository", "licence")
    ]
    assert ask(copy, "SELECT status, split, steps FROM repositories WHERE repo_id = 'other/one'") == [
        ("refused", None, 0)
    ]


def test_superseded_files_stay_for_one_build(tmp_path: Path, history: Path) -> None:
    warehouse = tmp_path / "warehouse"
    old = film(history, warehouse, upto=4).shards[0].files["steps"].path
    build(warehouse)
    film(history, warehouse)
    with duckdb.connect(str(warehouse / "actions.db"), read_only=True) as reader:
        build(warehouse)
        assert reader.execute("SELECT count(*) FROM steps").fetchone() != (0,)
    assert (warehouse / old).exists()
    build(warehouse)
    assert not (warehouse / old).exists()


def test_a_replaced_generation_goes_after_the_next_build(tmp_path: Path) -> None:
    config, folder = ReplayConfig(rows=6, cols=24), tmp_path / "warehouse"
    with StreamWriter(folder, REPO, config) as writer:
        for take in make_takes(4):
            writer.append(take)
    old = [folder / ref.path for ref in writer.manifest.files()]
    build(folder)
    other = list(make_takes(6, seed=1))
    with StreamWriter(folder, REPO, config, outdated=lambda stream, in_place: "rewritten") as writer:
        for take in other:
            writer.append(take)
    build(folder)
    assert ask(tmp_path, "SELECT count(*) FROM steps") == [(sum(t.episode.steps for t in other),)]
    assert all(path.exists() for path in old)
    build(folder)
    assert not any(path.exists() for path in old)
    assert all((folder / ref.path).exists() for ref in writer.manifest.files())


def test_files_of_a_running_writer_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD_STEPS", 100)
    takes = list(make_takes(20))
    with StreamWriter(tmp_path, REPO, ReplayConfig(rows=6, cols=24)) as writer:
        for take in takes[:12]:
            writer.append(take)
        build(tmp_path)
        build(tmp_path)
        for take in takes[12:]:
            writer.append(take)
    build(tmp_path)
    assert main(["build", "--warehouse", str(tmp_path)]) == 0
    assert all((tmp_path / ref.path).exists() for ref in writer.manifest.files())


@pytest.mark.parametrize("command", ["build", "verify", "stats", "compact"])
def test_commands_succeed(copy: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--warehouse", str(copy / "warehouse")]) == 0
    assert capsys.readouterr().err == ""


def test_the_folder_may_stand_alone(filmed: Path) -> None:
    assert main(["stats", str(filmed / "warehouse")]) == 0


@pytest.mark.parametrize("command", ["build", "verify", "stats", "compact"])
def test_names_cannot_write_to_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    name = "\x1b]0;owned\x07[red]/x|y"
    with StreamWriter(tmp_path, name, ReplayConfig(rows=6, cols=24)) as writer:
        writer.append(next(iter(make_takes(1, repo_id=name))))
    build(tmp_path)
    main([command, "--warehouse", str(tmp_path)])
    said = capsys.readouterr()
    assert not {c for c in said.out + said.err if not c.isprintable() and c != "\n"}


@pytest.mark.parametrize("command", ["build", "verify", "stats", "compact"])
def test_a_missing_path_is_one_line(tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--warehouse", str(tmp_path / "none")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "flows.harvest" in error


@pytest.mark.parametrize("command", ["build", "verify", "compact", "stats"])
def test_one_warehouse_is_named(tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, str(tmp_path / "a"), "--warehouse", str(tmp_path / "b")]) == 2
    said = f"{tmp_path}/a and --warehouse {tmp_path}/b: two warehouses; name only one of them"
    assert capsys.readouterr().err == f"gitreel: {said}\n"
    assert main([command, ""]) == 2
    assert capsys.readouterr().err.startswith("gitreel: warehouse '': no name; ")
    assert main([command, str(tmp_path / "a"), "--warehouse", str(tmp_path / "a")]) == 2
    assert "no such folder" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["build"], ["compact"], ["remove", "owner", "--future"]])
@pytest.mark.parametrize("kind", ["repository", "files"])
def test_a_folder_of_other_things_is_left_as_it_is(
    tmp_path: Path, command: list[str], kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if kind == "repository":
        make_repository(tmp_path / "other", {"a.txt": b"mine\n"})
    else:
        (tmp_path / "other/dataset").mkdir(parents=True)
        (tmp_path / "other/dataset/mine.parquet").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    assert main([*command, "--warehouse", str(tmp_path / "other")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "holds other things and no film" in error
    assert "python -m flows.harvest" in error
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("command", [["build"], ["compact"], ["remove", "owner", "--future"]])
@pytest.mark.parametrize("file", ["README.md", "queries.sql", ".gitattributes", "lost+found/.keep"])
def test_what_lies_in_a_folder_before_film_does_is_no_other_thing(
    tmp_path: Path, command: list[str], file: str
) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("ours, or the disk's")
    assert main([*command, "--warehouse", str(tmp_path)]) == 0
    assert (tmp_path / file).read_text() == "ours, or the disk's"


@pytest.mark.parametrize("command", [["build"], ["compact"], ["remove", "owner", "--future"]])
def test_an_empty_folder_may_become_a_warehouse(tmp_path: Path, command: list[str]) -> None:
    assert main([*command, "--warehouse", str(tmp_path)]) == 0
    assert main(["build", "--warehouse", str(tmp_path)]) == 0


def test_a_damaged_database_is_one_line(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copy / "warehouse" / "actions.db").write_bytes(b"not a database" * 1000)
    assert main(["stats", "--warehouse", str(copy / "warehouse")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["build", "--warehouse", str(copy / "warehouse")]) == 0


def test_another_schema_is_one_line(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = copy / "warehouse" / stream_folder(REPO) / MANIFEST
    path.write_text(path.read_text().replace('"schema_version": "1.0"', '"schema_version": "2.0"'))
    assert main(["build", "--warehouse", str(copy / "warehouse")]) == 2
    assert "schema version 2.0" in capsys.readouterr().err


def test_an_unknown_kind_of_url_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", "--warehouse", "ftp://somewhere/x"]) == 2
    assert "s3://bucket/prefix" in capsys.readouterr().err


def test_stats_cut_no_name(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    name = f"{'a-long-owner' * 9}/{'and-a-long-name' * 9}"
    with StreamWriter(tmp_path, name, ReplayConfig(rows=6, cols=24), licence="MIT") as writer:
        writer.append(next(iter(make_takes(1, repo_id=name))))
    build(tmp_path)
    capsys.readouterr()
    assert main(["stats", str(tmp_path)]) == 0
    assert name in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["verify", "--sample", "-1"], ["compact", "--small", "0"]])
def test_a_number_that_cannot_be_meant_is_one_line(
    filmed: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--warehouse", str(filmed / "warehouse")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize("room", [64 << 10, 600 << 10], ids=["at the commit", "at the checkpoint"])
def test_a_disk_that_is_full_at_the_database_is_one_line(several: Path, tmp_path: Path, room: int) -> None:
    with small_disk(tmp_path / "disk", "16m") as disk:
        shutil.copytree(several / "warehouse", disk / "warehouse")
        before = (disk / "warehouse/actions.db").read_bytes()
        (disk / "fill").write_bytes(bytes(shutil.disk_usage(disk).free - room))
        command = [sys.executable, "-m", "pipeline.warehouse", "build", str(disk / "warehouse")]
        done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[3])
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert "No space left on device; make it writable or free some space" in done.stderr
        assert not list((disk / "warehouse").glob(".tmp*"))
        assert (disk / "warehouse/actions.db").read_bytes() == before


def test_a_running_harvest_settles_no_split(tmp_path: Path) -> None:
    for name in ("a/a", "b/b", "c/c"):
        with StreamWriter(tmp_path, name, ReplayConfig(rows=6, cols=24), family=name) as writer:
            writer.append(next(iter(make_takes(1, repo_id=name))))
        build(tmp_path, settle=False)
    query = "SELECT split FROM repositories ORDER BY repo_id"
    with duckdb.connect(str(tmp_path / "actions.db"), read_only=True) as db:
        assert db.execute(query).fetchall() == [(None,)] * 3
    build(tmp_path)
    with duckdb.connect(str(tmp_path / "actions.db"), read_only=True) as db:
        assert sorted(db.execute(query).fetchall()) == [("test",), ("train",), ("validation",)]


def test_builds_during_a_harvest_tell_the_same(several: Path, history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(several / "warehouse", "e/e", CONFIG, "licence")
    build(several / "warehouse", settle=False)
    film(history, several / "warehouse", "d/d")
    read: list[str] = []
    opened = Store.open
    monkeypatch.setattr(Store, "open", lambda self, name: (read.append(name), opened(self, name))[1])
    build(several / "warehouse", settle=False)
    assert {name.split("/")[1] for name in read} == {"d+d"}  # the others did not change
    monkeypatch.undo()
    tables = ("repositories", "episodes", "drops", "shards", "files")
    interim = {name: ask(several, f"FROM {name} ORDER BY ALL") for name in tables}
    build(several / "warehouse")
    assert interim == {name: ask(several, f"FROM {name} ORDER BY ALL") for name in tables}


@pytest.mark.parametrize("kind", ["steps", "episodes", "blobs", "drops"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_build_names_a_damaged_file(copy: Path, kind: str, damage: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = damaged(copy, kind)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
    else:
        path.unlink()
    assert main(["build", "--warehouse", str(copy / "warehouse")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "pipeline.warehouse verify" in error


def test_a_damaged_registry_is_refused(copy: Path) -> None:
    (copy / "warehouse" / families.REGISTRY).write_text("[]")
    with pytest.raises(CorruptError, match="remove it"):
        build(copy / "warehouse")


def test_manifests_of_another_version_are_refused(copy: Path) -> None:
    path = copy / "warehouse" / stream_folder(REPO) / MANIFEST
    path.write_text("{}")
    with pytest.raises(SchemaVersionError):
        list(manifests(Store(copy / "warehouse")))
    assert load(Store(copy / "warehouse"), "shards/none/stream.json") is None
