"""Repositories made to do harm, or merely odd: each is replayed or refused with one line, and nothing else happens."""

from pathlib import Path

import duckdb
import pytest

from pipeline.harvester import HarvestConfig, Outcome, harvest_repository
from pipeline.shards.store import Store
from pipeline.warehouse import build as warehouse
from pipeline.warehouse.dataset_card import card
from schema.config import ReplayConfig
from schema.errors import SourceError
from tests.hostile import CANARY, HOSTILE
from tests.repositories import AUTHOR, SYMLINK, File, Repository

# Assembled, so that no scanner takes this file for a leak.
SECRET = "AKIA" + "Q3X7TZPLMW5RYBCD"

# merges, and what is no part of the history
NO_EPISODES = {"octopus and orphans": 2, "a hundred parents": 1, "replace refs and grafts": 1}


def harvest(folder: Path, tmp_path: Path) -> Outcome:
    config = HarvestConfig(warehouse=str(tmp_path / "warehouse"), cache=str(tmp_path / "cache"))
    outcome = harvest_repository(str(folder), config)
    warehouse.build(config.warehouse)
    return outcome


def listing(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*")}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_repository_is_replayed_and_does_nothing(kind, tmp_path):
    made = Repository(tmp_path / "hostile")
    HOSTILE[kind](made)
    before = listing(tmp_path)
    outcome = harvest(made.path, tmp_path)
    new = {name for name in listing(tmp_path) - before if not name.startswith(str(tmp_path / "warehouse"))}
    assert not new
    assert not (tmp_path / CANARY).exists()
    assert outcome.status == "complete"
    assert outcome.episodes == len(made.trees) - NO_EPISODES.get(kind, 0)
    with duckdb.connect(str(tmp_path / "warehouse/actions.db"), read_only=True) as database:
        rows = database.execute("SELECT DISTINCT unnest(frame) FROM steps").fetchall()
        texts = [row[0] for row in rows] + [r[0] for r in database.execute("SELECT subject FROM episodes").fetchall()]
    assert not [text for text in texts if any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in text)]


BROKEN = [
    "empty", "unborn branch", "missing parent", "missing tree", "tip is a tree", "a file without a name",
    "a truncated commit", "a truncated file",
]  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_repository_is_refused_with_one_line(what, tmp_path):
    made = Repository(tmp_path / "broken")
    if what == "unborn branch":
        (made.path / "HEAD").write_text("ref: refs/heads/none\n")
    elif what == "missing parent":
        made.trees["1" * 40] = {}
        made.commit("x", {"a": b"1\n"}, parents=["1" * 40])
    elif what == "missing tree":
        made.commit("x", {"a": b"1\n"})
        made.commit("y", tree="2" * 40)
    elif what == "a file without a name":
        made.commit("x", tree=made.store("tree", b"100644 \0" + bytes.fromhex(made.store("blob", b""))))
    elif what.startswith("a truncated"):
        made.commit("x", {"a": b"1\n" * 1000})
        oid = made.store("blob", b"1\n" * 1000) if what.endswith("file") else made.head
        place = made.path / "objects" / oid[:2] / oid[2:]
        place.write_bytes(place.read_bytes()[:20])
    elif what == "tip is a tree":
        made.move(made.tree({}))
    with pytest.raises(SourceError) as refused:
        harvest(made.path, tmp_path)
    assert "\n" not in str(refused.value)
    assert str(refused.value).isprintable()
    assert "gitreel-borrow" not in str(refused.value)
    assert not [*(tmp_path / "warehouse").rglob("*.parquet")] if (tmp_path / "warehouse").exists() else True


def scroll_to_it(made: Repository, name: str, line: bytes) -> None:
    """The secret far down and far right of a file that is edited at its top-left, then right beside it."""
    lines = [b"line %d" % number for number in range(200)]
    lines[150] = b" " * 200 + line.rstrip() + b" " * 200
    made.commit("Leak", {name: b"\n".join(lines) + b"\n"})
    lines[0] = b"first"
    made.commit("Edit far from it", {name: b"\n".join(lines) + b"\n"})
    lines[149] = lines[151] = b"beside"
    made.commit("Edit beside it", {name: b"\n".join(lines) + b"\n"})
    made.commit("Move it", {name: None, f"moved/{name}": b"\n".join(lines) + b"\n"})
    lines[150] = b"removed"
    made.commit("Remove it", {f"moved/{name}": b"\n".join(lines) + b"\n", name: b"one more\ntwo\n"})


@pytest.mark.parametrize(
    "where", ["content", "subject", "path", "configuration", "link", "folder", "scrolled", "renamed to configuration"]
)
def test_a_planted_secret_is_never_shown_typed_or_stored(where, tmp_path):
    made = Repository(tmp_path / "leaky")
    made.commit("Root", {"a.py": b"one\ntwo\n"})
    name = "app.yml" if where.endswith("configuration") else "a.py"
    secret = "hunter2" + "Zq9" if where.endswith("configuration") else SECRET
    line = f"password: {secret}\n" if where.endswith("configuration") else f"key = {secret}\n"
    if where in ("content", "configuration"):
        made.commit("Leak", {name: b"one\n" + line.encode() + b"two\n"})
        made.commit("Edit beside it", {name: b"one more\n" + line.encode() + b"two\n"})
        made.commit("Remove it", {name: b"one more\ntwo\n"})
    elif where == "renamed to configuration":
        made.commit("No leak by its name", {"app.bin": b"\0" + line.encode()})
        made.commit("Leak", {"app.bin": None, name: b"one\n" + line.encode()})
        made.commit("Remove it", {name: b"one\n"})
    elif where == "scrolled":
        scroll_to_it(made, name, line.encode())
    elif where == "link":
        made.commit("Leak", {"link": File(secret.encode(), SYMLINK)})
        made.commit("Move it", {"link": File(b"elsewhere", SYMLINK)})
    elif where == "folder":
        made.commit("Leak", {f"{secret}/deep/x.txt": b"x\n", "b": b"y\n"})
        made.commit("Rename it", {f"{secret}/deep/x.txt": None, f"{secret}/deep/y.txt": b"x\n"})
        made.commit("Edit beside it", {"b": b"y\nz\n"})
        made.commit("Remove it", {f"{secret}/deep/y.txt": None})
    elif where == "subject":
        made.commit(f"Use {secret} from now on", {"a.py": b"one\n2\n"})
    else:
        made.commit("Leak", {f"{secret}.txt": b"x\n"})
        made.commit("Remove it", {f"{secret}.txt": None})
    made.commit("Go on", {"a.py": b"one more\ntwo\nthree\n"})
    outcome = harvest(made.path, tmp_path)
    assert outcome.status == "complete"
    assert [rule for rule in outcome.drops if rule.endswith("secret")]
    with duckdb.connect(str(tmp_path / "warehouse/actions.db"), read_only=True) as database:
        frames = "\n".join(row[0] for row in database.execute("SELECT DISTINCT unnest(frame) FROM steps").fetchall())
        keys = database.execute("SELECT action FROM steps ORDER BY stream_step").fetchall()
        blobs = b"".join(row[0] for row in database.execute("SELECT content FROM blobs").fetchall())
        drops = str(database.execute("SELECT * EXCLUDE (path) FROM drops").fetchall())
        episodes = str(database.execute("SELECT subject, final_frame FROM episodes").fetchall())
    part = secret if where.endswith("configuration") else secret[:12]
    for told in (frames, bytes(row[0] for row in keys).decode("latin-1"), blobs.decode("latin-1"), drops, episodes):
        assert part not in told
    assert "three" in frames


def test_one_repository_cannot_pass_for_another(tmp_path):
    folder = tmp_path / "..x"
    Repository(folder).commit("Root", {"a": b"1\n"}, author=AUTHOR)
    assert harvest(folder, tmp_path).repo_id == "..x"
    stored = [p.relative_to(tmp_path / "warehouse").parts for p in (tmp_path / "warehouse").rglob("*.json")]
    assert all(".." not in parts for parts in stored)


@pytest.mark.parametrize("shown", [True, False])
def test_addresses_inside_of_files_are_shown_or_not_as_the_settings_say(shown, tmp_path):
    made = Repository(tmp_path / "addressed")
    made.commit("Root", {"a.py": b"one\ntwo\n"})
    made.commit("Add it", {"a.py": b"one\nwrite to nobody@nowhere.example\ntwo\n"})
    made.commit("Edit beside it", {"a.py": b"one more\nwrite to nobody@nowhere.example\ntwo\n"})
    made.commit("Remove it", {"a.py": b"one more\ntwo\n"})
    made.commit("In a link", {"link": File(b"nobody@nowhere.example", SYMLINK)})
    made.commit("In a name", {"nobody@nowhere.example": b"x\n"})
    made.commit("Go on", {"a.py": b"one more\ntwo\nthree\n"})
    config = HarvestConfig(
        warehouse=str(tmp_path / "warehouse"), cache=str(tmp_path / "cache"), replay=ReplayConfig(show_emails=shown)
    )
    outcome = harvest_repository(str(made.path), config)
    warehouse.build(config.warehouse)
    assert outcome.status == "complete"
    with duckdb.connect(str(tmp_path / "warehouse/actions.db"), read_only=True) as database:
        rows = [row[0] for row in database.execute("SELECT DISTINCT unnest(frame) FROM steps").fetchall()]
        contents = [row[0] for row in database.execute("SELECT content FROM blobs").fetchall()]
        drops = database.execute("SELECT scope, count(*) FROM drops WHERE rule = 'email' GROUP BY ALL").fetchall()
    seen = any("nobody@nowhere" in row for row in rows) or any(b"nobody@nowhere" in content for content in contents)
    assert seen == shown
    assert dict(drops) == ({} if shown else {"file": 4, "commit": 1})
    told = card(Store(config.warehouse))
    assert ("hold an e-mail address are never typed, shown or stored: yes" in told) == (not shown)
