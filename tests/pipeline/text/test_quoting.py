"""Quoting against the real bash."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.script.subject import subject_line
from pipeline.text.quoting import operands, quote, unquote
from schema.widths import SHELL_SAFE

WORDS = [
    b"plain.txt", b"a b", b"it's", b'say "hi"', b"it's $HOME", b"!!", b"it's !1", b"a!b", b"back\\slash", b"`id`",
    b"$(id)", b"*", b"~", b"#x", b"-rf", b"--", b"a\nb", b"a\tb", b"\x1b[31m", b"caf\xc3\xa9", b"caf\xe9",
    b"\xe6\xbc\xa2", b"a\xe2\x80\x8bb", b"a\xcc\x81", b"'", b"''", b"\\", b"\\'", b'"', b"'\"", b"a;b&c|d<e>f(g)h{i}",
    b"j[k]l?m^n", b" ", b"=x", b"x=y", b"\x7f", b"\xff'!\\\x01", b"!\xff", b"a\r", b"\x011", b"%1",
]  # fmt: skip


def read_by_bash(line: bytes) -> list[bytes]:
    """The words that bash makes of a line, with history expansion on as in an interactive shell."""
    script = b"set -o history -o histexpand\ntrue one two\nprintf '%s\\0' " + line + b"\n"
    done = subprocess.run(
        ["bash", "--norc", "--noprofile"],
        input=script,
        capture_output=True,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HISTFILE": ""},
        check=True,
    )
    assert done.stderr == b""
    return done.stdout.split(b"\0")[:-1]


def test_bash_reads_back_every_kind_of_word() -> None:
    assert read_by_bash(b" ".join(quote(word) for word in WORDS)) == WORDS


@given(st.lists(st.binary(min_size=1, max_size=12).filter(lambda b: b"\0" not in b), min_size=1, max_size=8))
def test_unquote_reads_back_any_bytes(words: list[bytes]) -> None:
    assert unquote(b" ".join(quote(word) for word in words)) == words


def test_bash_reads_back_random_bytes() -> None:
    words = [bytes((i * 37 + j * 101 + i * j) % 255 + 1 for j in range(i % 9 + 1)) for i in range(200)]
    assert read_by_bash(b" ".join(quote(word) for word in words)) == words


@given(st.text(min_size=1, max_size=20).filter(lambda t: "\0" not in t))
def test_what_is_typed_is_printable(text: str) -> None:
    typed = quote(text.encode("utf-8", "surrogatepass")).decode("utf-8")
    assert all(SHELL_SAFE[ord(character)] for character in typed)


def test_a_plain_path_stays_bare() -> None:
    assert quote(b"src/click/_compat.py") == b"src/click/_compat.py"


def test_operands_get_a_double_dash_only_when_one_looks_like_an_option() -> None:
    assert operands([b"a", b"b"]) == b"a b"
    assert operands([b"a", b"-b"]) == b"-- a -b"
    assert operands([b"+b"]) == b"-- +b"


def test_foreign_syntax_is_refused() -> None:
    for line in (b"a $HOME", b"a 'b", b"a > b", b"`id`"):
        with pytest.raises(ValueError, match="not quoted"):
            unquote(line)


@pytest.mark.parametrize(
    ("raw", "typed"),
    [
        (b"Fix it", "Fix it"),
        (b"  \ttabs\tand\x1b[1m  ", "tabs and [1m"),
        ("e\u0301".encode(), "é"),
        ("a\u200bb\u200dc\ufe0f".encode(), "abc"),
        (b"caf\xe9", "café"),
        ("漢字".encode(), "漢字"),
        (b"", ""),
        (b"x\x80\xff", "x ÿ"),
    ],
)
def test_subjects_are_made_typable(raw: bytes, typed: str) -> None:
    assert subject_line(raw) == typed


def test_addresses_are_masked_only_when_asked() -> None:
    assert subject_line(b"thanks a@b.org!") == "thanks a@b.org!"
    assert subject_line(b"thanks a@b.org", mask=True) == "thanks"
