"""Repositories made to do harm, or merely odd: each is replayed or refused with one line, and nothing else happens."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from pipeline import warehouse
from pipeline.harvest import HarvestConfig, Outcome, harvest_repository
from schema.errors import SourceError
from tests.repositories import AUTHOR, FOLDER, GITLINK, REGULAR, SYMLINK, File, Repository

# Assembled, so that no scanner takes this file for a leak.
SECRET = "AKIA" + "Q3X7TZPLMW5RYBCD"
CANARY = "canary"
Build = Callable[[Repository], object]


def touch(repository: Repository) -> str:
    """A shell command that would betray itself."""
    return f"touch {repository.path.parent / CANARY}"


def named(*names: str | bytes) -> Build:
    def build(r: Repository) -> None:
        r.commit("Root", {"a": b"1\n"})
        paths = [n.replace("TOUCH", touch(r)).encode() if isinstance(n, str) else n for n in names]
        r.commit("Names", {path[:250]: b"one\n" for path in paths})
        r.commit("Edit them", {path[:250]: b"one\ntwo\n" for path in paths})

    return build


def saying(message: str | bytes, **more: object) -> Build:
    def build(r: Repository) -> None:
        text = message.replace("TOUCH", touch(r)) if isinstance(message, str) else message
        r.commit(text, {"a": b"1\n"}, **more)  # type: ignore[arg-type]

    return build


def holding(*contents: bytes, path: str = "a.txt") -> Build:
    def build(r: Repository) -> None:
        for number, content in enumerate(contents):
            r.commit(f"Content {number}", {path: content.replace(b"TOUCH", touch(r).encode())})

    return build


def config_of_its_own(r: Repository) -> None:
    r.commit("Root", {"a": b"1\n"})
    command = touch(r)
    with (r.path / "config").open("a") as config:
        config.write(
            f"[core]\n\tfsmonitor = {command}\n\tpager = {command}\n\teditor = {command}\n\tsshCommand = {command}\n"
        )
        config.write(f"[log]\n\tshowSignature = true\n[gpg]\n\tprogram = {command}\n[diff]\n\texternal = {command}\n")
        config.write(f'[filter "evil"]\n\tsmudge = {command}\n\tclean = {command}\n\trequired = true\n')
        config.write(f'[remote "o"]\n\turl = ext::{command}\n\tpromisor = true\n[include]\n\tpath = /dev/zero.none\n')
    (r.path / "hooks").mkdir()
    for hook in ("post-checkout", "pre-commit", "post-commit", "reference-transaction", "post-index-change"):
        (r.path / "hooks" / hook).write_text(f"#!/bin/sh\n{command}\n")
        (r.path / "hooks" / hook).chmod(0o755)
    r.commit("Second", {"a": b"2\n", ".gitattributes": b"* filter=evil diff=evil working-tree-encoding=UTF-16\n"})
    r.commit("Third", {"a": b"3\n", ".gitmodules": f'[submodule "x"]\n\turl = ext::{command}\n\tpath = x\n'.encode()})


def replaced_and_grafted(r: Repository) -> None:
    first = r.commit("Root", {"a": b"1\n"})
    second = r.commit("Second", {"a": b"2\n"})
    other = r.commit("Not part of it", {"a": b"evil\n"}, parents=[first])
    r.move(second)
    (r.path / "refs/replace").mkdir()
    (r.path / "refs/replace" / second).write_text(other + "\n")
    (r.path / "info").mkdir(exist_ok=True)
    (r.path / "info/grafts").write_text(f"{first} {other}\n")


def merges(r: Repository) -> None:
    root = r.commit("Root", {"a": b"1\n"})
    sides = [r.commit(f"Side {n}", {f"s{n}": b"x\n"}, parents=[root]) for n in range(8)]
    orphan = r.commit("Orphan", {"o": b"x\n"}, parents=[])
    main = r.commit("Main", {"a": b"2\n"}, parents=[root])
    merge = r.commit("Octopus", {f"s{n}": b"x\n" for n in range(8)} | {"o": b"x\n"}, parents=[main, *sides, orphan])
    r.commit("Same parent twice", {"a": b"3\n"}, parents=[merge, merge])


def links(r: Repository) -> None:
    r.commit("Loops", {"x": File(b"y", SYMLINK), "y": File(b"x", SYMLINK), "self": File(b"self", SYMLINK)})
    outside = str(r.path.parent / "outside").encode()
    r.commit("Out", {"out": File(outside, SYMLINK), "up": File(b"../../..", SYMLINK), "etc": File(b"/etc", SYMLINK)})
    r.commit("Through", {"out": None, "out/canary": b"written through a link\n", "up": None, "up/canary": b"x\n"})
    r.commit("Long", {"long": File(b"t" * 4000, SYMLINK)})


def gitlinks(r: Repository) -> None:
    r.commit("Submodule", {"sub": File(b"1" * 40, GITLINK), "a": b"1\n"})
    r.commit("Move it", {"sub": File(b"2" * 40, GITLINK)})
    r.commit("A file instead", {"sub": b"file\n"})
    r.commit("And back", {"sub": File(b"3" * 40, GITLINK)})


def many_files(r: Repository) -> None:
    r.commit("Root", {"a": b"1\n"})
    blob = r.store("blob", b"x\n")
    entries = b"".join(b"100644 f%06d\0%s" % (n, bytes.fromhex(blob)) for n in range(100_000))
    r.commit("A hundred thousand files", tree=r.store("tree", entries))
    r.commit("Back to one", {"a": b"2\n"}, tree=r.tree({b"a": (REGULAR, r.store("blob", b"2\n"))}))


def many_by_sharing(r: Repository) -> None:
    r.commit("Root", {"a": b"1\n"})
    tree = r.store("tree", b"100644 f\0" + bytes.fromhex(r.store("blob", b"x\n")))
    for _ in range(4):  # 10 ** 4 files from four trees
        tree = r.store("tree", b"".join(b"%o d%d\0%s" % (FOLDER, n, bytes.fromhex(tree)) for n in range(10)))
    r.commit("Many by sharing", tree=tree)
    r.commit("Back", {"a": b"2\n"}, tree=r.tree({b"a": (REGULAR, r.store("blob", b"2\n"))}))


def deep(r: Repository) -> None:
    r.commit("Root", {"a": b"1\n"})
    tree = r.store("tree", b"100644 f\0" + bytes.fromhex(r.store("blob", b"x\n")))
    for _ in range(1500):
        tree = r.store("tree", b"40000 d\0" + bytes.fromhex(tree))
    r.commit("Deep", tree=tree)
    r.commit("Back", {"a": b"2\n"}, tree=r.tree({b"a": (REGULAR, r.store("blob", b"2\n"))}))


def odd_times(r: Repository) -> None:
    for number, clock in enumerate((-5, 0, 1 << 40, 253_402_300_800, (1 << 63) - 1)):
        r.clock = clock - 60
        r.commit(f"Time {number}", {"a": b"%d\n" % number})


def doubled_entries(r: Repository) -> None:
    r.commit("Root", {"a": b"1\n"})
    blob = bytes.fromhex(r.store("blob", b"x\n"))
    r.commit("Twice the same name", tree=r.store("tree", b"100644 a\0" + blob + b"100644 a\0" + blob))
    r.commit("Odd modes", tree=r.store("tree", b"100664 a\0" + blob + b"0100644 b\0" + blob + b"100600 c\0" + blob))
    r.commit("Back", {"a": b"2\n"}, tree=r.tree({b"a": (REGULAR, r.store("blob", b"2\n"))}))


def cases(r: Repository) -> None:
    r.commit("Lower", {"readme": b"1\n"})
    r.commit("Case-only rename", {"readme": None, "README": b"1\n"})
    r.commit("Both", {"readme": b"2\n", "ReadMe": b"3\n"})


def names_in_utf8_and_not(r: Repository) -> None:
    r.commit("Root", {b"caf\xe9": b"1\n", b"\xff\xfe/\x80": b"1\n", "e\u0301": b"1\n", "\u00e9": b"2\n"})
    r.commit(b"\xff\xfe not text", {b"caf\xe9": b"2\n"}, author=b"\xe9\xff <\xfe@\xff>")
    r.commit(b"Latin", {b"caf\xe9": b"3\n"}, encoding="latin-1")
    r.commit(b"Unknown", {b"caf\xe9": b"4\n"}, encoding="no-such-encoding")


HOSTILE: dict[str, Build] = {
    "dot dot": named("../canary", "d/../../canary"),
    "dot": named("./a", "d/./e"),
    "git folder": named(".git/hooks/post-checkout", ".git/config"),
    "git folder in capitals": named(".GIT/config", "d/.Git/x", "git~1/x", ".g\u200cit/config"),
    "newline": named("a\nb", "\n", "d\n/e"),
    "escape sequences": named("\x1b[2J\x1b]0;x\x07", "\x9b31m", "\x7f"),
    "options": named("-rf", "--", "--upload-pack=TOUCH", "-c", "--exec=TOUCH", "+!TOUCH"),
    "command substitution": named("$(TOUCH)", "`TOUCH`", "${IFS}", "$HOME"),
    "separators": named("; TOUCH;", "| TOUCH", "& TOUCH &", "\n TOUCH \n", "' TOUCH '", '" TOUCH "', "!TOUCH", "!!"),
    "pathspecs": named(":(top)a", ":!a", "*", "?", "[a-z]", ":/x"),
    "long names": named("n" * 250, "/".join(["d" * 200] * 20)),
    "names that are no text": names_in_utf8_and_not,
    "case-only renames": cases,
    "subject with commands": saying("$(TOUCH) `TOUCH` '; TOUCH; ' \" ; TOUCH; \" !TOUCH !! \\"),
    "subject with escapes": saying(b"\x1b[2J\x1b]52;c;x\x07 \x00 \x03 \x16 \r red \x9b31m"),
    "subject of 100,000 characters": saying("long " * 20_000),
    "no subject": saying(b""),
    "author with everything": saying("x", author=b"$(touch canary) \x1b[31m <-oProxyCommand=x\xff>"),
    "modeline": holding(b"# vim: set modeline exrc shell=/bin/sh :!TOUCH\n", b"/* ex: !TOUCH */\n:!TOUCH\n"),
    "keys of vim as text": holding(b"\x1b:!TOUCH\r\n", b"\x1b:!TOUCH\r\n\x16\x1bZZ\x03\x03:q!\rTOUCH\r\n"),
    "escape sequences as text": holding(b"\x1b]0;x\x07\x1b[2J\x1bc\x9b?25l\n", b"\x1b[?1049h\n\x85\n"),
    "an endless line": holding(b"x" * 200_000 + b"\n", b"y" + b"x" * 200_000 + b"\n"),
    "carriage returns alone": holding(b"a\rb\rc", b"a\rb\rd\r\r\n"),
    "a huge blob": holding(b"line of text\n" * 500_000, b"small\n", b"line of text\n" * 500_000),
    "a compressible giant": holding(b"a" * (64 << 20), b"small\n"),
    "own configuration, hooks, filters, submodules": config_of_its_own,
    "replace refs and grafts": replaced_and_grafted,
    "octopus and orphans": merges,
    "links": links,
    "gitlinks": gitlinks,
    "100,000 files": many_files,
    "10,000 files of four trees": many_by_sharing,
    "deep tree": deep,
    "odd times": odd_times,
    "doubled entries and odd modes": doubled_entries,
}


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
    assert outcome.episodes == len([*made.trees]) - (1 if kind in ("replace refs and grafts",) else 0) - (
        2 if kind == "octopus and orphans" else 0
    )
    with duckdb.connect(str(tmp_path / "warehouse/actions.db"), read_only=True) as database:
        database.execute(f"SET file_search_path = '{tmp_path}'")
        rows = database.execute("SELECT DISTINCT unnest(frame) FROM steps").fetchall()
        texts = [row[0] for row in rows] + [r[0] for r in database.execute("SELECT subject FROM episodes").fetchall()]
    assert not [text for text in texts if any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in text)]


BROKEN = ["empty", "unborn branch", "missing parent", "missing tree", "tip is a tree", "a file without a name"]


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
    elif what == "tip is a tree":
        made.move(made.tree({}))
    with pytest.raises(SourceError) as refused:
        harvest(made.path, tmp_path)
    assert "\n" not in str(refused.value)
    assert str(refused.value).isprintable()
    assert "gitreel-borrow" not in str(refused.value)
    assert not [*(tmp_path / "warehouse").rglob("*.parquet")] if (tmp_path / "warehouse").exists() else True


@pytest.mark.parametrize("where", ["content", "subject", "path", "configuration"])
def test_a_planted_secret_is_never_shown_typed_or_stored(where, tmp_path):
    made = Repository(tmp_path / "leaky")
    made.commit("Root", {"a.py": b"one\ntwo\n"})
    name = "app.yml" if where == "configuration" else "a.py"
    secret = "hunter2" + "Zq9" if where == "configuration" else SECRET
    line = f"password: {secret}\n" if where == "configuration" else f"key = {secret}\n"
    if where in ("content", "configuration"):
        made.commit("Leak", {name: b"one\n" + line.encode() + b"two\n"})
        made.commit("Edit beside it", {name: b"one more\n" + line.encode() + b"two\n"})
        made.commit("Remove it", {name: b"one more\ntwo\n"})
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
        database.execute(f"SET file_search_path = '{tmp_path}'")
        frames = "\n".join(row[0] for row in database.execute("SELECT DISTINCT unnest(frame) FROM steps").fetchall())
        keys = database.execute("SELECT action FROM steps ORDER BY stream_step").fetchall()
        blobs = b"".join(row[0] for row in database.execute("SELECT content FROM blobs").fetchall())
        drops = str(database.execute("SELECT * EXCLUDE (path) FROM drops").fetchall())
        episodes = str(database.execute("SELECT subject, final_frame FROM episodes").fetchall())
    part = secret[:12] if where != "configuration" else secret
    for told in (frames, bytes(row[0] for row in keys).decode("latin-1"), blobs.decode("latin-1"), drops, episodes):
        assert part not in told
    assert "three" in frames


def test_one_repository_cannot_pass_for_another(tmp_path):
    folder = tmp_path / "..x"
    Repository(folder).commit("Root", {"a": b"1\n"}, author=AUTHOR)
    assert harvest(folder, tmp_path).repo_id == "..x"
    stored = [p.relative_to(tmp_path / "warehouse").parts for p in (tmp_path / "warehouse").rglob("*.json")]
    assert all(".." not in parts for parts in stored)
