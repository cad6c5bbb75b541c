"""One repository that holds what breaks replays: odd names, modes, swaps, links, shapes, messages and line ends."""

from collections.abc import Mapping
from pathlib import Path

from tests.repositories import EXECUTABLE, GITLINK, SYMLINK, File, Repository, make_repository

ODD_NAMES = [
    b"a b.txt", b"it's", b'say "hi"', b"$HOME", b"!!", b"back\\slash", b"`id`", b"*", b"?", b"[a]", b"~", b"#x",
    b"-rf", b"--", b"-", b"+x", b"a\nb", b"a\tb", b"\x1b[31m", b"caf\xc3\xa9.txt", b"caf\xe9.txt",
    b"\xe6\xbc\xa2\xe5\xad\x97.md", b"a\xe2\x80\x8bb", b"e\xcc\x81", b"'", b"''", b"\\", b"a;b&c|d<e>f", b" ",
    b" lead", b"trail ", b":(top)x", b":/x", b"x=y", b"\xff\xfe", b"@", b"@{u}", b"HEAD", b"main", b"http:x", b"x.gz",
    b"x.tar", b"%", b"^", b"{a,b}", b"con.", b"git", b".gitx", b"..x", b"...", b"~root", b"=",
]  # fmt: skip
SUBJECTS = [
    b'It\'s "quoted"', b"back\\slash and `ticks` $HOME !! !x $(id)", b"tab\there", b"-m starts with dash",
    b"#hash first", b"%s %n", b"caf\xc3\xa9 \xe6\xbc\xa2\xe5\xad\x97", b"caf\xe9 latin", b"\x1b[31mred\x1b[0m",
    b"zero\xe2\x80\x8bwidth e\xcc\x81",
    b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    b"  padded  ", b"'", b'"', b"\\", b"~", b"two\nlines of subject\n\nbody", b"\xff\xfe\x00", b"!", b"ends with !",
    b"a\r\nb", b"Signed-off-by: A B <a@example.org>", b"Signed-off-by: A\nSigned-off-by: B", b"Signed-off-by:",
    b"signed-off-by: A", b"(cherry picked from commit 0123456789abcdef0123456789abcdef01234567)",
]  # fmt: skip


def edge_cases(path: Path) -> Repository:
    """Build it at `path`: about a hundred commits."""
    r = Repository(path)
    r.commit("Root", {"readme": b"one\ntwo\nthree\n", ".hidden": b"x\n", "d/e/f/deep.txt": b"deep\n"})
    _names(r)
    _modes_and_links(r)
    _swaps(r)
    _renames(r)
    _gitlinks(r)
    _attributes(r)
    _contents(r)
    _messages(r)
    _shapes(r)
    return r


def _names(r: Repository) -> None:
    for start in range(0, len(ODD_NAMES), 12):
        names = ODD_NAMES[start : start + 12]
        r.commit("Add odd names", dict.fromkeys(names, b"one\n") | {b"odd/" + name: b"\0" for name in names})
    r.commit("Change them all", dict.fromkeys(ODD_NAMES, b"one\nmore\n"))
    r.commit("Move some", dict.fromkeys(ODD_NAMES[:9]) | {b"m/" + n: b"one\nmore\n" for n in ODD_NAMES[:9]})
    r.commit("Make some executable", {n: File(b"one\nmore\n", EXECUTABLE) for n in ODD_NAMES[9:20]})
    r.commit("Link to some", {b"l/" + n: File(n, SYMLINK) for n in ODD_NAMES})
    r.commit("Undo the links", {b"l/" + n: None for n in ODD_NAMES})
    r.commit("Drop the odd ones", {b"odd/" + n: None for n in ODD_NAMES})
    deep = b"/".join([b"level"] * 60)
    r.commit("Go deep", {deep + b"/file": b"x\n", b"n" * 255: b"y\n"})
    r.commit("Change deep", {deep + b"/file": b"x\nz\n", deep + b"/more": b"w\n"})
    r.commit("Leave deep", {deep + b"/file": None, deep + b"/more": None})


def _modes_and_links(r: Repository) -> None:
    r.commit("Executable from birth", {"run.sh": File(b"#!/bin/sh\n", EXECUTABLE)})
    r.commit("Edit it", {"run.sh": File(b"#!/bin/sh\nexit\n", EXECUTABLE)})
    r.commit("Mode only", {"run.sh": b"#!/bin/sh\nexit\n"})
    r.commit("Mode and content", {"run.sh": File(b"#!/bin/sh\nexit 1\n", EXECUTABLE)})
    r.commit("File to link", {"run.sh": File(b"readme", SYMLINK), "x/only": File(b"../readme", SYMLINK)})
    r.commit("Link to link", {"run.sh": File(b"nowhere at all", SYMLINK)})
    r.commit("Link to file", {"run.sh": File(b"back\n", EXECUTABLE), "x/only": b"a file now\n"})
    r.commit("Link to folder", {"to-d": File(b"d", SYMLINK), "loop": File(b"loop", SYMLINK)})
    r.commit("Folder link moves", {"to-d": File(b"d/e", SYMLINK)})
    r.commit("Folder link to folder", {"to-d": None, "to-d/file": b"real\n", "loop": None})
    r.commit("Folder to folder link", {"to-d/file": None, "to-d": File(b"d", SYMLINK)})
    r.commit("Odd targets", {"t1": File(b"-rf", SYMLINK), "t2": File(b"a\nb\xff", SYMLINK), "t3": File(b" ", SYMLINK)})
    r.commit("Link renamed", {"t1": None, "t4/t5": File(b"-rf", SYMLINK)})
    r.commit("Three", {"s1": b"a file\n", "s2": File(b"s1", SYMLINK), "x/s3": b"another\n", "s4": b"four\n"})
    r.commit("To itself", {"s1": File(b"./x/../s1", SYMLINK), "x/s3": File(b"x/s3", SYMLINK)})
    r.commit("Files again", {"s1": b"a file\n", "x/s3": b"another\n"})
    r.commit("Links turned round", {"s1": File(b"s2", SYMLINK), "s2": File(b"s4", SYMLINK)})
    r.commit("Link to binary", {"t2": b"\0\1\2", "t3": b"new\n"})
    r.commit("Binary to link", {"t2": File(b"readme", SYMLINK)})


def _swaps(r: Repository) -> None:
    r.commit("A file", {"swap": b"file\n", "swap2/a": b"a\n", "swap2/b": b"b\n", "swap3": b"three\n"})
    r.commit("File to folder", {"swap": None, "swap/inner": b"inner\n"})
    r.commit("Folder to file", {"swap/inner": None, "swap": b"file again\n"})
    r.commit("Moved below itself", {"swap": None, "swap/inner": b"file again\n"})
    r.commit("Moved above itself", {"swap/inner": None, "swap": b"file again\n"})
    r.commit("Folder moved to its name", {"swap2/a": None, "swap2/b": None, "swap2": b"a\n", "other/b": b"b\n"})
    r.commit("Into a file's place", {"swap2": None, "swap3": None, "swap2/x": b"three\n"})
    r.commit("Chain", {"c1": b"one of two\n", "c2": b"two of two\n", "dir/c3": b"three\n"})
    r.commit("Exchange", {"c1": b"two of two\n", "c2": b"one of two\n"})
    r.commit(
        "Chain of moves", {"c1": None, "c2/c1": b"two of two\n", "c2": None, "dir/c3": None, "c4": b"one of two\n"}
    )
    r.commit("Link under file", {"c4": None, "c4/x": File(b"y", SYMLINK), "c2/c1": None, "c2": File(b"c4", SYMLINK)})


def _renames(r: Repository) -> None:
    r.commit(
        "Names", {"name.txt": b"content of name\n", "p/q/one": b"one of p\n", "p/q/two": b"two of p\n", "empty": b""}
    )
    r.commit("Case only", {"name.txt": None, "NAME.txt": b"content of name\n"})
    r.commit("Case and place", {"NAME.txt": None, "Name/Name.TXT": b"content of name\n"})
    r.commit("Empties the folder", {"p/q/one": None, "p/q/two": None, "one": b"one of p\n", "two": b"two of p\n"})
    r.commit("Fills it again", {"p": b"now a file\n"})
    r.commit("Renamed with mode", {"one": None, "uno": File(b"one of p\n", EXECUTABLE)})
    r.commit("Within a folder", {"Name/Name.TXT": None, "Name/other": b"content of name\n"})
    r.commit("One moved, one gone", {"g/h/1": b"1 of g\n", "g/h/2": b"2 of g\n"})
    r.commit("Now", {"g/h/1": None, "g/h/2": None, "h/2": b"2 of g\n", "g/new": b"new\n"})
    r.commit("Copies and two alike", {"k1": b"same\n", "k2": b"same\n"})
    r.commit("Both moved", {"k1": None, "k2": None, "s/k2": b"same\n", "s/k3": b"same\n", "s/k4": b"same\n"})
    r.commit("Empty moved", {"empty": None, "e2/empty": b"", "e3": b""})
    long = b"".join(b"line %d\n" % i for i in range(30))
    r.commit(
        "To be moved and edited", {"w/a.py": long, "w/b b.py": long + b"b\n", "w/v/c": File(long + b"c", EXECUTABLE)}
    )
    r.commit("Moved and edited", {
        "w/a.py": None, "w/b b.py": None, "w/v/c": None,
        "w": long + b"now a file\n", "u/b b.py": long, "u/c": long + b"\0", "u/a.py": b"first\n" + long,
    })  # fmt: skip
    r.commit(
        "Moved back",
        {"w": None, "w/a.py": long, "u/a.py": None, "u/b b.py": None, "u/b": File(long + b"b", EXECUTABLE)},
    )
    nested = {"n/x": b"x of n\n", "n/y/y": b"y of n\n", "n/y/z/z": b"z of n\n", "n2/only/one": b"one of n2\n"}
    r.commit("Folders in folders", nested)
    moved: dict[str, bytes | File | None] = {f"o/{name}": text for name, text in nested.items()}
    r.commit("Renamed at the top", moved | dict.fromkeys(nested))
    r.commit("Everything goes", dict.fromkeys(r.trees[r.head or ""]))
    r.commit("And comes back", {"readme": b"one\ntwo\nthree\n", "d/e": b"e\n"})


def _gitlinks(r: Repository) -> None:
    first, second = (r.head or "").encode(), b"1234567890" * 4
    modules = b'[submodule "sub"]\n\tpath = sub\n\turl = ./x\n\tignore = all\n'
    r.commit("Gitlink", {"sub": File(first, GITLINK), ".gitmodules": modules, "v/lib": File(second, GITLINK)})
    r.commit("Gitlink moves on", {"sub": File(second, GITLINK)})
    r.commit("Beside a gitlink", {"v/file": b"x\n", "readme": b"one\ntwo\n"})
    r.commit("Gitlink to file", {"sub": b"a file\n"})
    r.commit("File to gitlink", {"sub": File(first, GITLINK)})
    r.commit("Gitlink to folder", {"sub": None, "sub/a": b"x\n", "v/file": None})
    r.commit("Gitlinks gone", {"v/lib": None, ".gitmodules": None})
    r.commit("Folder to gitlink", {"sub/a": None, "sub": File(second, GITLINK)})
    r.commit("Gitlink to link", {"sub": File(b"d", SYMLINK)})


def _attributes(r: Repository) -> None:
    r.commit(
        "Ignored but tracked", {".gitignore": b"*\n!.gitignore\n", "ignored.o": b"tracked\n", "d/.gitignore": b"*\n"}
    )
    r.commit("Edit an ignored file", {"ignored.o": b"tracked\nstill\n", "build/x": b"new\n"})
    attributes = b"* text=auto eol=crlf\n*.id ident\n*.f filter=lfs diff=x merge=y\n*.u working-tree-encoding=UTF-16\n"
    r.commit(
        "Attributes",
        {".gitattributes": attributes, "a.id": b"$Id$\n", "a.f": b"x\n", "a.u": b"y\n", "crlf": b"a\r\nb\n"},
    )
    r.commit(
        "Edit under attributes", {"a.id": b"$Id: x $\nz\n", "a.f": b"xx\n", "a.u": b"yy\n", "crlf": b"a\r\nb\r\nc\n"}
    )
    r.commit("Attributes gone", {".gitattributes": None, ".gitignore": None, "a.u": b"\xff\xfex\0"})


def _contents(r: Repository) -> None:
    texts = [
        b"", b"\n", b"x", b"x\n", b"\n\n", b"a\r\nb\r\n", b"\ttab\t\n", b"\x01\x02\x1b\x7f\n", "漢字\n".encode(),
        b"caf\xe9\n", b"\xff", b"a\0b", b":w\n:q\n\x1b:q!\n", b"~\n", b"c\x03d\n", "é\n".encode(), b"x" * 5_000 + b"\n",
        b"line\n" * 300, b"\x16\x16\n", b"  \n \n",
    ]  # fmt: skip
    r.commit("Every content", {f"t{i}": text for i, text in enumerate(texts)})
    for shift in (1, 3, 7):
        r.commit("Other contents", {f"t{i}": texts[(i + shift) % len(texts)] for i in range(len(texts))})


def _messages(r: Repository) -> None:
    for number, subject in enumerate(SUBJECTS):
        r.commit(subject.replace(b"\0", b""), {"readme": b"message %d\n" % number})
    r.commit("", {"readme": b"no message\n"})
    r.commit("")
    r.commit("Nothing changed")
    r.commit(b"caf\xe9 declared", {"readme": b"latin\n"}, encoding="iso-8859-1")


def _shapes(r: Repository) -> None:
    trunk = r.head or ""
    side = r.commit("Side", {"side": b"1\n"}, parents=[trunk])
    side2 = r.commit("Side 2", {"side": b"1\n2\n", "d/s": b"s\n"}, parents=[side])
    orphan = r.commit("Another root", {"orphan": b"o\n", "d/e": b"other\n"}, parents=[])
    orphan2 = r.commit("On it", {"orphan": b"o\np\n"}, parents=[orphan])
    empty_root = r.commit("An empty root", parents=[])
    other = r.commit("Trunk goes on", {"trunk": b"t\n"}, parents=[trunk])
    merge = r.commit("Merge", {"side": b"1\n2\n", "d/s": b"s\n"}, parents=[other, side2])
    octopus = r.commit("Octopus", {"orphan": b"o\np\n"}, parents=[merge, orphan2, empty_root])
    r.commit("After the octopus", {"side": b"3\n"}, parents=[octopus])
    evil = r.commit("Evil merge", {"evil": b"only in the merge\n"}, parents=[r.head or "", side])
    r.commit("After the evil merge", {"evil": b"changed\n"}, parents=[evil])


def edited_texts(path: Path, contents: Mapping[str, bytes]) -> Path:
    """A repository of files that are added, changed in their middle and at their end, and halved or removed."""

    def more(content: bytes) -> bytes:
        half = len(content) // 2
        return content[:half] + b"+" + content[half:] + b"\xe6\xbc\xa2 more\n"

    return make_repository(
        path,
        contents,
        {name: more(content) for name, content in contents.items()},
        {name: content[::2] if content.isascii() else None for name, content in contents.items()},
    )
