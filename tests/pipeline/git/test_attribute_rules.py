"""What .gitattributes files say of a path, against `git check-attr` itself."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.git.attribute_rules import find_attributes
from pipeline.git.attributes import quiet_attributes
from pipeline.git.environment import git_environment
from pipeline.git.objects import Blobs
from pipeline.git.tree import Tree
from tests.repositories import Repository

NAMES = [b"linguist-generated", b"linguist-vendored", b"text", b"diff", b"own"]
PATHS = [
    b"a",
    b"b.c",
    b"d/a",
    b"d/b.c",
    b"d/e/a",
    b"d/e/b.c",
    b"d/e/f/-x y",
    b"d/[z]",
    b"\xc3\xa9/a",
    b"ab/b.cc",
    b"d/d/a",
]


def answers(folder: Path) -> dict[bytes, dict[bytes, bytes]]:
    """What git says of each path, from the working tree's files."""
    done = subprocess.run(
        ["git", "-C", folder, "check-attr", "-z", "--stdin", *NAMES],
        input=b"\0".join(PATHS) + b"\0",
        env=git_environment(),
        stdout=subprocess.PIPE,
        check=True,
    )
    words = done.stdout.split(b"\0")
    found: dict[bytes, dict[bytes, bytes]] = {path: {} for path in PATHS}
    for path, name, value in zip(words[0::3], words[1::3], words[2::3], strict=False):
        if value != b"unspecified":
            found[path][name] = value
    return found


def shown(value: bytes | bool) -> bytes:
    return value if isinstance(value, bytes) else b"set" if value else b"unset"


ATOM = st.sampled_from(
    [
        b"*",
        b"**",
        b"?",
        b"/",
        b"a",
        b"b",
        b"d",
        b"e",
        b".c",
        b"[a-d]",
        b"[!a]",
        b"[^b-]",
        b"[[:alpha:]]",
        b"[]a]",
        b"\\a",
        b"-",
        b"\xc3\xa9",
        b"/**",
        b"**/",
        b"/**/",
        b"[[:digit:]x]",
        b"[\\]]",
        b"d/e",
        b"*.c",
        b"[",
        b"[a",
        b"\\",
        b"[b-",
        b"[z-a]",
    ]
)
PATTERN = st.lists(ATOM, min_size=1, max_size=5).map(b"".join).filter(lambda p: p[:1] not in b'#!"')
STATE = st.tuples(
    st.sampled_from([b"", b"", b"-", b"!"]),
    st.sampled_from([*NAMES, b"binary", b"gen"]),
    st.sampled_from([b"", b"", b"=false", b"=x=y", b"="]),
).map(b"".join)
LINE = st.one_of(
    st.tuples(PATTERN, st.lists(STATE, min_size=1, max_size=3)).map(lambda t: b" ".join([t[0], *t[1]])),
    st.tuples(PATTERN, STATE).map(lambda t: b'  "' + t[0].replace(b"\\", b"") + b'"\t' + t[1]),
    st.lists(STATE, max_size=2).map(lambda words: b" ".join([b"[attr]gen", *words])),
    st.sampled_from(
        [
            b"",
            b"# a",
            b"* " + NAMES[0],
            b"* -" + NAMES[0],
            b"*\t" + NAMES[1] + b"\r",
            b"\xef\xbb\xbf* own",
            b"[attr] own",
        ]
    ),
)
CONTENT = st.lists(LINE, max_size=6).map(b"\n".join)


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(top=CONTENT, below=CONTENT, deep=CONTENT)
def test_the_answers_are_those_of_git(
    tmp_path_factory: pytest.TempPathFactory, top: bytes, below: bytes, deep: bytes
) -> None:
    contents = {b".gitattributes": top, b"d/.gitattributes": below, b"d/e/.gitattributes": deep}
    contents = {p: c for p, c in contents.items() if c and quiet_attributes(c, top=p == b".gitattributes")}
    folder = tmp_path_factory.mktemp("r")
    repository = Repository(folder / "bare")
    tree = repository.git("rev-parse", repository.commit("one", {**dict.fromkeys(PATHS, b"x"), **contents}) + "^{tree}")
    work = folder / "work"
    for path, content in contents.items():
        target = work / path.decode()
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    subprocess.run(["git", "init", "-q", "--template=", work], env=git_environment(), check=True)
    expected = answers(work)
    with Blobs(repository.path) as blobs:
        top_folder = Tree(tree, blobs)
        found = {path: {n: shown(v) for n, v in find_attributes(top_folder, path, NAMES).items()} for path in PATHS}
    assert found == expected
