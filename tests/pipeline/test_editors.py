"""One history in two editors: side by side in one warehouse, each with all that holds for film."""

import hashlib
import shutil
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from pipeline.harvester import HarvestConfig, harvest_repository
from pipeline.shards.manifest import load, manifests
from pipeline.shards.reader import StreamReader
from pipeline.shards.store import Store
from pipeline.warehouse.build import build
from pipeline.warehouse.compact import compact
from pipeline.warehouse.redraw import open_stream, refilm
from pipeline.warehouse.remove import remove
from pipeline.warehouse.verify import verify
from pipeline.watch.recording import screens
from pipeline.watch.stored import find_recording
from schema.config import ReplayConfig
from schema.editors import EDITOR_VERSIONS, Editor, Motion
from schema.errors import ConfigError, WarehouseError
from schema.geometry import Geometry
from schema.manifest import MANIFEST, Manifest, repository_of, stream_folder, stream_id
from tests.repositories import Repository, make_repository
from training import windows
from training.analysis.rollout import arrived, load_episode, start_terminal
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader

VERSIONS = (
    {"a.py": b"".join(b"line %d\n" % n for n in range(40)), "b.txt": b"no end"},
    {"a.py": b"".join(b"line %d\n" % (n * (n != 33)) for n in range(40) if n % 9), "b.txt": b"no end\n"},
    {"wide.txt": "漢字 é\t|\n".encode() * 3, "b.txt": None},
)


def film(path: Path, folder: Path, editor: Editor, motion: Motion = "jumps") -> None:
    config = HarvestConfig(warehouse=str(folder), replay=ReplayConfig(editor=editor, motion=motion))
    assert harvest_repository(str(path), config).status == "complete"


def sums(folder: Path) -> dict[str, str]:
    files = [file for file in folder.rglob("*") if file.suffix in (".parquet", ".json")]
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository `story` in both editors: warehouse/, and in vim alone: vim/."""
    folder = tmp_path_factory.mktemp("editors")
    path = make_repository(folder / "story", *VERSIONS)
    film(path, folder / "vim", "vim")
    for editor in EDITOR_VERSIONS:
        film(path, folder / "warehouse", editor)
    build(folder / "warehouse")
    return folder


def streams(folder: Path) -> dict[str, Manifest]:
    return {manifest.repo_id: manifest for manifest in manifests(Store(folder))}


def test_a_stream_is_named_by_its_repository_and_by_its_editor_where_that_is_not_vim() -> None:
    assert stream_id("a/b", "vim") == "a/b"
    assert [repository_of(stream_id("a/b", editor)) for editor in EDITOR_VERSIONS] == ["a/b", "a/b"]
    assert [repository_of(name) for name in ("@nano", "a@vim", "a@b/c")] == ["@nano", "a@vim", "a@b/c"]


def test_the_hash_of_vims_settings_is_that_of_the_time_before_there_were_two_editors() -> None:
    assert ReplayConfig().digest == ReplayConfig(editor="vim", motion="jumps").digest == "2c381fd967b6dd44"
    others = [ReplayConfig(editor="nano"), ReplayConfig(editor="nano", motion="arrows")]
    assert len({config.digest for config in (ReplayConfig(), *others)}) == 3
    assert all(ReplayConfig.model_validate_json(config.model_dump_json()) == config for config in others)
    with pytest.raises(ValueError, match="add editor=nano"):
        ReplayConfig(motion="arrows")


def test_vims_film_says_nothing_of_editors_and_nanos_says_which_it_is(both: Path) -> None:
    found = streams(both / "warehouse")
    assert b"editor" not in found["story"].dump()
    assert found["story@nano"].config.editor == "nano"
    for repo_id, wanted in (("story", None), ("story@nano", EDITOR_VERSIONS["nano"].encode())):
        for ref in found[repo_id].files():
            metadata = pq.read_schema(both / "warehouse" / ref.path).metadata
            assert metadata.get(b"editor_version") == wanted
            assert metadata[b"config_hash"].decode() == found[repo_id].config.digest


def test_nanos_film_beside_it_leaves_vims_bytes_as_they_are(both: Path) -> None:
    alone = sums(both / "vim" / "shards")
    assert alone.items() <= sums(both / "warehouse" / "shards").items()
    assert len(alone) == 4


def test_the_database_tells_both_apart_and_joins_them(both: Path) -> None:
    with duckdb.connect(str(both / "warehouse" / "actions.db"), read_only=True) as db:
        rows = db.execute(
            "SELECT repo_id, repository, editor, motion, duplicate_of, split FROM repositories ORDER BY repo_id"
        ).fetchall()
        versions = db.execute("SELECT editor, editor_version FROM shards ORDER BY editor").fetchall()
        trees = db.execute(
            'SELECT count(*), bool_and(v.tree = n.tree) FROM episodes v JOIN episodes n USING ("commit")'
            " WHERE v.repo_id = 'story' AND n.repo_id = 'story@nano'"
        ).fetchone()
        steps = dict(db.execute("SELECT repo_id, count(*) FROM steps GROUP BY ALL").fetchall())
    split = rows[0][-1]
    assert rows == [
        ("story", "story", "vim", "jumps", None, split),
        ("story@nano", "story", "nano", "jumps", None, split),
    ]
    assert versions == [("nano", "7.2"), ("vim", EDITOR_VERSIONS["vim"])]
    assert trees == (3, True)
    assert steps == {repo_id: manifest.steps for repo_id, manifest in streams(both / "warehouse").items()}


def test_both_are_verified_packed_and_filmed_again_at_another_size(both: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(both / "warehouse", folder)
    store = Store(folder)
    build(folder)
    assert verify(store, list(manifests(store)), sample=0).wrong == []
    reader = StreamReader(store, open_stream(store, "story@nano"))
    made = refilm(reader, Geometry(9, 33), Store(tmp_path / "small"))
    assert (made.config.editor, made.config.rows, made.steps) == ("nano", 9, reader.manifest.steps)
    compact(store, 10**6)
    build(folder)
    assert verify(store, list(manifests(store)), sample=0).wrong == []


@pytest.mark.parametrize("motion", ["jumps", "arrows"])
def test_a_stream_that_grew_is_the_stream_filmed_at_once(tmp_path: Path, motion: Motion) -> None:
    repository = Repository(tmp_path / "story")
    for number, version in enumerate(VERSIONS):
        repository.commit(f"Commit {number}", version)
        film(repository.path, tmp_path / "grown", "nano", motion)
    film(repository.path, tmp_path / "once", "nano", motion)
    grown, once = sums(tmp_path / "grown" / "shards"), sums(tmp_path / "once" / "shards")
    assert once.items() <= grown.items()  # beside them lie the ends that it had before


def test_one_editor_moves_in_one_way_in_one_warehouse(both: Path) -> None:
    with pytest.raises(ConfigError, match="story@nano was filmed with motion=jumps, not motion=arrows; "):
        film(both / "story", both / "warehouse", "nano", "arrows")


def test_both_are_watched_and_a_commit_that_both_film_is_asked_about(both: Path) -> None:
    recording = find_recording(both / "warehouse", "story@nano", 0)
    shown = list(screens(recording))
    assert len(shown) == recording.steps + 1
    assert any("GNU nano 7.2" in step.screen.texts[0] for step in shown)
    with pytest.raises(WarehouseError, match="story:0 and story@nano:0 film this commit; name one of them"):
        find_recording(both / "warehouse", recording.chapters[0].commit)


def test_an_owner_who_opts_out_is_taken_out_in_both_editors(both: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(both / "warehouse", folder)
    assert remove(Store(folder), ["story"]).streams == 2
    assert [stream.steps for stream in streams(folder).values()] == [0, 0]
    config = HarvestConfig(warehouse=str(folder), replay=ReplayConfig(editor="nano"))
    assert harvest_repository(str(both / "story"), config).status == "refused"
    assert load(Store(folder), f"{stream_folder('story@nano')}/{MANIFEST}") is not None


def test_a_harvest_in_one_editor_withdraws_the_film_of_both(both: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(both / "warehouse", folder)
    config = HarvestConfig(warehouse=str(folder), replay=ReplayConfig(editor="nano"), opt_out=("story",))
    assert harvest_repository(str(both / "story"), config).reason == "opt-out"
    assert {name: (m.steps, m.reason) for name, m in streams(folder).items()} == {
        "story": (0, "opt-out"),
        "story@nano": (0, "opt-out"),
    }


def test_the_trainer_reads_one_editor_or_both(both: Path) -> None:
    root = both / "warehouse"

    def read(only: tuple[str, ...], editor: Editor | None) -> list[tuple[str, Editor]]:
        return sorted((stream.repo_id, stream.editor) for stream in Warehouse(root, only, editor).streams)

    assert read((), None) == [("story", "vim"), ("story@nano", "nano")]
    assert read((), "nano") == read(("story",), "nano") == read(("story@nano",), None) == [("story@nano", "nano")]
    assert read(("story",), None) == read(("story",), "vim") == [("story", "vim")]
    with pytest.raises(ConfigError, match=r"no film of none in nano; harvest .* --editor nano"):
        read(("none",), "nano")
    with pytest.raises(ConfigError, match=r"no shards in nano; harvest .* --editor nano"):
        Warehouse(both / "vim", (), "nano")
    counts = [len(list(windows(root, length=8, editor=editor))) for editor in ("vim", "nano", None)]
    assert counts[0] + counts[1] == counts[2]


def test_recorded_keys_lead_a_rollouts_terminal_through_nano(both: Path) -> None:
    reader = FilmReader(Warehouse(both / "warehouse", (), "nano"))
    for ordinal in range(3):
        episode = load_episode(reader, "story@nano", ordinal)
        env = start_terminal(reader.geometry, episode)
        for key in episode.keys:
            env.step(key)
        assert arrived(env, episode)
