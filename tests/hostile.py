"""Repositories made to do harm, or merely odd: one function builds one kind."""

import zlib
from collections.abc import Callable

from tests.repositories import EXECUTABLE, FOLDER, GITLINK, REGULAR, SYMLINK, File, Repository

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
        r.commit(text, {"a": b"1\n"}, **more)

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


def malformed_headers(r: Repository) -> None:
    r.commit("Root", {"a": b"1\n"})
    author, committer = b"author A <a@b> 1600000000 +0000", b"committer A <a@b> 1600000000 +0000"
    headers = [
        [b"author A <a@b>", b"committer A <a@b>"], [b"author <> 99999999999999999999 +9999", committer],
        [b"author A a@b 5 x", b"committer"], [committer], [author], [],
        [author, committer, b"gpgsig -----BEGIN PGP SIGNATURE-----", b" x" * 9000, b"x-odd \xff\x1b[2J"],
        [author, committer, b"encoding " + b"x" * 5000],
    ]  # fmt: skip
    for number, lines in enumerate(headers):
        tree = r.tree({b"a": (REGULAR, r.store("blob", b"%d\n" % number))})
        above = [f"tree {tree}".encode(), f"parent {r.head}".encode(), *lines]
        sha = r.store("commit", b"\n".join(above) + b"\n\n\0nul \0 \xe9 first\n")
        r.trees[sha] = {}
        r.move(sha)


def tag_for_a_branch(r: Repository) -> None:
    sha = r.commit("Root", {"a": b"1\n"})
    r.move(r.store("tag", f"object {sha}\ntype commit\ntag v1\ntagger A <a@b> 1 +0000\n\nx\n".encode()))


def submodule_options(r: Repository) -> None:
    option = f"-u./payload;{touch(r)}"
    text = f'[submodule "{option}"]\n\tpath = {option}\n\turl = {option}\n[submodule "../../x"]\n\tpath = y\n'
    text += f"\turl = file:///etc\n\tupdate = !{touch(r)}\n"
    r.commit("Options", {".gitmodules": text.encode(), "y": File(b"1" * 40, GITLINK)})
    r.commit("Edit them", {".gitmodules": text.encode() + b"\tbranch = --upload-pack=x\n"})


def links_to_git(r: Repository) -> None:
    hook = f"#!/bin/sh\n{touch(r)}\n".encode()
    r.commit("Root", {"a": File(b".git", SYMLINK), "A/hooks/post-checkout": File(hook, EXECUTABLE)})
    r.commit("Through it", {"a": None, "a/hooks/post-checkout": File(hook, EXECUTABLE)})
    r.commit("The folder itself", {".git": File(b"/etc", SYMLINK)})
    r.commit("Its configuration", {".git": None, ".gitmodules": File(b"/etc/passwd", SYMLINK)})
    r.commit("Back", {".gitmodules": None})


def many_parents(r: Repository) -> None:
    root = r.commit("Root", {"a": b"1\n"})
    sides = [r.commit(f"Side {n}", {f"s{n}": b"x\n"}, parents=[root]) for n in range(100)]
    main = r.commit("Main", {"a": b"2\n"}, parents=[root])
    r.commit("A hundred parents", {"a": b"3\n"}, parents=[main, *sides])


def impossible_trees(r: Repository) -> None:
    r.commit("Root", {"a": b"1\n"})
    blob = bytes.fromhex(r.store("blob", b"x\n"))
    tree = bytes.fromhex(r.store("tree", b"100644 f\0" + blob))
    r.commit("File and folder of one name", tree=r.store("tree", b"100644 a\0" + blob + b"40000 a\0" + tree))
    r.commit("Unsorted", tree=r.store("tree", b"100644 z\0" + blob + b"100644 a\0" + blob))
    r.commit("No such object", tree=r.store("tree", b"100644 z\0" + bytes(20)))
    r.commit("Back", {"a": b"2\n"}, tree=r.tree({b"a": (REGULAR, r.store("blob", b"2\n"))}))


def a_lie_about_its_size(r: Repository) -> None:
    r.commit("Root", {"a": b"1\n"})
    r.commit("Lie", {"a": b"2\n"})
    oid = r.store("blob", b"2\n")
    (r.path / "objects" / oid[:2] / oid[2:]).write_bytes(zlib.compress(b"blob 999999999999\0" + b"x" * 100))


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
    "names of other systems": named("con", "aux.txt", "a.", "a ", "c:x", "a\\b", "a:b:$DATA"),
    "bidirectional text": named("a\u202etxt.exe", "\u2066b\u2069", "\ufeff", "\u2028c\u2029"),
    "bidirectional contents": holding("if \u202e } \u2066 // \u2069\n".encode(), "\ufeff\u061c\u00ad\n".encode()),
    "subject like a patch": saying("From 1 Mon Sep 17\n---\ndiff --git a/x b/x\ncommit " + "1" * 40),
    "malformed headers": malformed_headers,
    "a tag for a branch": tag_for_a_branch,
    "submodule options": submodule_options,
    "links to .git": links_to_git,
    "a hundred parents": many_parents,
    "impossible trees": impossible_trees,
    "a lie about its size": a_lie_about_its_size,
}
