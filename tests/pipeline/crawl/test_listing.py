"""Lists that people and programs write: what is a comment, what is part of a name, and how the file is encoded."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.crawl.listing import names_in, read_list
from schema.errors import ConfigError


@pytest.mark.parametrize(
    ("line", "names"),
    [
        (b"/data/c#/proj  # ours", ["/data/c#/proj"]), (b"/data/c#", ["/data/c#"]), (b"a#b", ["a#b"]),
        (b"https://h/a/c%23", ["https://h/a/c%23"]), (b"a\t# tab", ["a"]), (b"a # b # c", ["a"]), (b"a #", ["a"]),
        (b"# whole line", []), (b"  # indented", []), (b"#no blank", []), (b"#", []), (b"", []), (b" \t ", []),
        (b"./#x", ["./#x"]), (b"a\r", ["a"]), (b"  a b  ", ["a b"]), (b"a\xc2\xa0", ["a"]),
        (b'"my #1 project"', ["my #1 project"]), (b"' a ' # blanks kept", [" a "]), (b"'it's'", ["it's"]),
        (b'"a" # "b"', ["a"]), (b'"a', ['"a']), (b"\"a'", ["\"a'"]), (b"it's", ["it's"]), (b'"a" b', ['"a" b']),
        (b"\xef\xbb\xbfa", ["a"]), (b"\xef\xbb\xbf# a", []), (b"\xef\xbb\xbf'a b'", ["a b"]), (b"a\xff", ["a\udcff"]),
        (b"a\x0cb", ["a\x0cb"]), (b"a\xe2\x80\xa8b", ["a\u2028b"]), (b"git@h:a/b.git", ["git@h:a/b.git"]),
    ],
)  # fmt: skip
def test_a_line(line: bytes, names: list[str]) -> None:
    assert names_in(line, "list") == names
    assert names_in(b"before\r\n" + line + b"\r\nafter", "list") == ["before", *names, "after"]


def test_lists_put_together_have_marks_inside() -> None:
    one = b"\xef\xbb\xbfa\r\n"
    assert names_in(one + one.replace(b"a", b"b") + b"c", "list") == ["a", "b", "c"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_another_encoding_is_one_line_that_says_how_to_convert(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "list").write_bytes("/data/r\r\n".encode(encoding))
    with pytest.raises(ConfigError, match="iconv") as error:
        read_list(tmp_path / "list", "--repos-from")
    assert str(error.value).startswith(f"--repos-from {tmp_path / 'list'}: ")
    assert str(error.value).isprintable()


@pytest.mark.parametrize("name", ["none", "."])
def test_no_file_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_list(tmp_path / name, "--repos-from")


@given(st.text(st.characters(blacklist_characters="\n\0", blacklist_categories=("Cs",)), min_size=1))
def test_a_name_in_quotes_stays_as_it_is(name: str) -> None:
    quote = '"' if '"' not in name else "'"
    if quote not in name:
        assert names_in(f"{quote}{name}{quote}  # why".encode(), "list") == [name]
