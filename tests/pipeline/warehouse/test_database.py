"""The warehouse's command line and database, on film of a repository built here."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from pipeline.replay import replay
from pipeline.shards import writer as shards
from pipeline.shards.manifest import load, manifests
from pipeline.shards.store import Store
from pipeline.shards.writer import StreamWriter, refuse
from pipeline.warehouse import splits as families
from pipeline.warehouse.__main__ import main
from pipeline.warehouse.build import build
from pipeline.warehouse.compact import full_packs
from pipeline.warehouse.redraw import open_stream
from schema.actions import VOCABULARY, Phase, action_name
from schema.columns import TABLES
from schema.config import ReplayConfig
from schema.errors import CorruptError, SchemaVersionError
from schema.manifest import MANIFEST, Manifest, stream_folder
from tests.disk import small_disk
from tests.repositories import Repository
from tests.takes import make_takes

ROOT = Path(__file__).parents[3]
CONFIG = ReplayConfig(rows=8, cols=40)
REPO = "owner/name"


def film(git_dir: Path, warehouse: Path, repo_id: str = REPO, *, upto: int | None = None) -> Manifest:
    """Harvest without Prefect, clone or filters of repositories."""
    with StreamWriter(warehouse, repo_id, CONFIG, source="a folder", licence="MIT", family=repo_id) as writer:
        for take in replay(git_dir, repo_id, CONFIG, resume=writer.resume_point):
            writer.append(take)
            if upto is not None and take.episode.episode == upto:
                break
    return writer.manifest


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten commits: typed text, wide characters, a combining mark, a binary file, a deletion."""
    repository = Repository(tmp_path_factory.mktemp("history") / "r")
    text = b""
    for number in range(8):
        text += b"line %d: \xe6\xbc\xa2\xe5\xad\x97 e\xcc\x81 and a tab\there\n" % number
        repository.commit(f"Commit {number}", {"a.txt": text, f"b{number}": b"one\ntwo\n" * number})
    repository.commit("Add a picture", {"picture.png": b"\x89PNG\0\0" + bytes(range(256))})
    repository.commit("Remove one", {"b3": None})
    return repository.path


@pytest.fixture(scope="module")
def filmed(history: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds a built warehouse."""
    folder = tmp_path_factory.mktemp("root")
    film(history, folder / "warehouse")
    build(folder / "warehouse")
    return folder


@pytest.fixture
def copy(filmed: Path, tmp_path: Path) -> Path:
    """The same, to be damaged."""
    return Path(shutil.copytree(filmed, tmp_path / "copy"))


def ask(folder: Path, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(folder / "warehouse" / "actions.db"), read_only=True) as db:
        return db.execute(query).fetchall()


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
    assert typed == "".join(action_name(a) for (a,) in actions)  # type: ignore[arg-type]


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


def test_verify_redraws_everything_from_the_score(filmed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--warehouse", str(filmed / "warehouse"), "--sample", "0"]) == 0
    assert "10 episodes" in capsys.readouterr().out


def damaged(copy: Path, kind: str) -> Path:
    manifest = open_stream(Store(copy / "warehouse"), REPO)
    return copy / "warehouse" / manifest.shards[0].files[kind].path


@pytest.mark.parametrize("kind", ["steps", "episodes", "blobs", "drops"])
def test_verify_finds_a_changed_byte(copy: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = damaged(copy, kind)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert main(["verify", "--warehouse", str(copy / "warehouse")]) == 2
    assert str(path.name) in capsys.readouterr().err


def test_verify_finds_a_missing_file(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged(copy, "steps").unlink()
    assert main(["verify", "--warehouse", str(copy / "warehouse")]) == 2
    assert "is missing" in capsys.readouterr().err


def test_verify_finds_film_that_its_keys_do_not_draw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with StreamWriter(tmp_path, REPO, ReplayConfig(rows=6, cols=24)) as writer:
        for take in make_takes(3):
            writer.append(take)
    build(tmp_path)
    assert main(["verify", "--warehouse", str(tmp_path)]) == 2
    assert REPO in capsys.readouterr().err


def test_verify_finds_an_old_database(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with StreamWriter(copy / "warehouse", "other/name", ReplayConfig(rows=6, cols=24)) as writer:
        writer.append(next(iter(make_takes(1, repo_id="other/name"))))
    assert main(["verify", "--warehouse", str(copy / "warehouse")]) == 2
    assert "pipeline.warehouse build" in capsys.readouterr().err


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


@pytest.fixture
def several(history: Path, tmp_path: Path) -> Path:
    """Four short streams, one of them to grow."""
    for name in ("a/a", "b/b", "c/c"):
        film(history, tmp_path / "warehouse", name)
    film(history, tmp_path / "warehouse", "d/d", upto=5)
    build(tmp_path / "warehouse")
    return tmp_path


ORDERED = "SELECT * FROM steps ORDER BY repo_id, stream_step"


def test_compact_changes_no_row(several: Path) -> None:
    before = ask(several, ORDERED)
    assert main(["compact", "--warehouse", str(several / "warehouse")]) == 0
    assert ask(several, ORDERED) == before
    assert ask(several, "SELECT count(DISTINCT path) FROM shards")[0][0] < 4  # type: ignore[operator]
    assert main(["verify", "--warehouse", str(several / "warehouse"), "--sample", "0"]) == 0


def test_a_packed_stream_grows_on(several: Path, history: Path, tmp_path: Path) -> None:
    main(["compact", "--warehouse", str(several / "warehouse")])
    film(history, several / "warehouse", "d/d")
    build(several / "warehouse")
    assert main(["verify", "--warehouse", str(several / "warehouse"), "--sample", "0"]) == 0
    film(history, tmp_path / "at once" / "warehouse", "d/d")
    build(tmp_path / "at once" / "warehouse")
    query = "SELECT * FROM steps WHERE repo_id = 'd/d' ORDER BY stream_step"
    assert ask(several, query) == ask(tmp_path / "at once", query)
    rows = ask(several, ORDERED)
    main(["compact", "--warehouse", str(several / "warehouse")])
    main(["build", "--warehouse", str(several / "warehouse")])
    assert ask(several, ORDERED) == rows
    assert main(["verify", "--warehouse", str(several / "warehouse")]) == 0


def held(root: Path) -> set[str]:
    """Repositories of which any file of the warehouse has a step, listed or not."""
    files = [path for path in root.rglob("*.parquet") if "steps" in str(path.relative_to(root))]
    return {repo for path in files for repo in pq.read_table(path, columns=["repo_id"]).column(0).to_pylist()}


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "alone"])
def test_removed_film_is_on_no_disk_and_its_neighbours_stay(
    several: Path, packed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    root = several / "warehouse"
    if packed:
        main(["compact", "--warehouse", str(root)])
        main(["build", "--warehouse", str(root)])
    neighbours = "SELECT * FROM steps WHERE repo_id NOT IN ('a/a', 'd/d') ORDER BY repo_id, stream_step"
    before = ask(several, neighbours)
    assert held(root) == {"a/a", "b/b", "c/c", "d/d"}
    capsys.readouterr()
    assert main(["remove", "A", "d/d", "--warehouse", str(root)]) == 0
    assert "2 streams emptied" in capsys.readouterr().out
    assert held(root) == {"b/b", "c/c"}
    assert ask(several, neighbours) == before
    named = {ref.path for stream in manifests(Store(root)) for ref in stream.files()}  # of every kind, blobs too
    assert {
        str(path.relative_to(root)) for top in ("shards", "packs") for path in (root / top).rglob("*.parquet")
    } == named
    packs = {path for path in named if path.startswith("packs/")}
    assert bool(packs) is packed
    assert set(full_packs(Store(root), list(manifests(Store(root))))) == packs
    refused = "SELECT repo_id, status, reason, steps FROM repositories WHERE status = 'refused' ORDER BY 1"
    assert ask(several, refused) == [("a/a", "refused", "opt-out", 0), ("d/d", "refused", "opt-out", 0)]
    assert (root / "opt-out.txt").read_text() == "A\nd/d\n"
    assert main(["verify", "--warehouse", str(root), "--sample", "0"]) == 0
    assert main(["remove", "a", "--warehouse", str(root)]) == 0
    assert (root / "opt-out.txt").read_text() == "A\nd/d\n"


def test_a_removal_that_was_killed_goes_on(several: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = several / "warehouse"
    main(["compact", "--warehouse", str(root)])
    with monkeypatch.context() as killed:
        killed.setattr("pipeline.warehouse.remove.repack", lambda store: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            main(["remove", "a/a", "--warehouse", str(root)])
    assert "a/a" in held(root)
    assert main(["remove", "a/a", "--warehouse", str(root)]) == 0
    assert held(root) == {"b/b", "c/c", "d/d"}
    assert main(["verify", "--warehouse", str(root), "--sample", "0"]) == 0


@pytest.mark.parametrize("name", ["", "a/b/c", "a b", "#a", "a\nb"])
def test_only_owners_are_removed(several: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["remove", "a/a", name, "--warehouse", str(several / "warehouse")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (several / "warehouse/opt-out.txt").exists()
    assert "a/a" in held(several / "warehouse")


@pytest.mark.parametrize(
    ("name", "meant"), [("a/aa", "a/a"), ("aa/a", "a/a"), ("B/C", "b/b"), ("nobody", None), ("d/d/", "")]
)
def test_a_slip_of_the_pen_removes_nothing(
    several: Path, name: str, meant: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    root = several / "warehouse"
    capsys.readouterr()
    code = main(["remove", "c/c", name, "--warehouse", str(root)])
    if meant == "":  # right as it is
        assert (code, held(root)) == (0, {"a/a", "b/b"})
        return
    error = capsys.readouterr().err
    assert (code, error.count("\n")) == (2, 1)
    assert f"remove {name} --future" in error
    assert ("did you mean" in error) == (meant is not None)
    assert (meant or "") in error
    assert not (root / "opt-out.txt").exists()
    assert held(root) == {"a/a", "b/b", "c/c", "d/d"}


def test_a_name_can_be_kept_out_of_harvests_to_come(several: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = several / "warehouse"
    assert main(["remove", "nobody/yet", "--future", "--warehouse", str(root)]) == 0
    assert (root / "opt-out.txt").read_text() == "nobody/yet\n"
    assert main(["remove", "nobody/yet", "--warehouse", str(root)]) == 0  # it is listed: no slip
    assert held(root) == {"a/a", "b/b", "c/c", "d/d"}
    refuse(root, "e/e", CONFIG, "licence")
    assert main(["remove", "e/e", "--warehouse", str(root)]) == 0  # met before, though never filmed


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
