"""The oracle by itself: what a real bash and vim show for keys whose screens are known."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.oracle.decode import Decoder
from benchmarks.oracle.machine import Oracle, OracleError
from schema.geometry import Geometry

pytestmark = pytest.mark.exact
GEOMETRY = Geometry(8, 30)


@pytest.fixture
def oracle(vim_here: str, tmp_path: Path) -> Iterator[Oracle]:
    (tmp_path / "work").mkdir()
    with Oracle(GEOMETRY, tmp_path / "work", tmp_path / "support") as oracle:
        yield oracle


def press(oracle: Oracle, keys: bytes) -> tuple[str, ...]:
    for key in keys:
        oracle.send(key)
    return oracle.screen().texts


def test_starts_at_an_empty_prompt(oracle: Oracle) -> None:
    assert oracle.screen().texts == ("$", *[""] * 7)
    assert oracle.screen()[2:] == (0, 2)


def test_output_is_complete_after_enter(oracle: Oracle) -> None:
    assert press(oracle, b"echo 1; echo 2\r")[:4] == ("$ echo 1; echo 2", "1", "2", "$")


def test_a_line_that_fills_the_row_wraps_at_once(oracle: Oracle) -> None:
    texts = press(oracle, b": " + b"y" * 26)
    assert texts[:2] == ("$ : " + "y" * 26, "")
    assert oracle.screen()[2:] == (1, 0)


def test_vim_opens_types_saves_and_leaves(oracle: Oracle, tmp_path: Path) -> None:
    assert press(oracle, b"vim a\r")[6] == "a                          0/1"
    assert press(oracle, "ié漢\x1b".encode())[0] == "é漢"
    assert oracle.screen().runs[6] == ((0, 30, 3),)
    assert press(oracle, b":w\r")[7] == '"a" [New] 1L, 6B'
    assert press(oracle, b":q\r")[6:] == ("a                          1/1", "$")
    assert (tmp_path / "work" / "a").read_text() == "é漢\n"
    assert not oracle.in_editor


def test_pending_keys_are_waited_for(oracle: Oracle) -> None:
    press(oracle, b"vim a\r")
    assert press(oracle, b"2d")[7] == " " * 19 + "2d"
    assert press(oracle, b"\x1bi\x16")[0] == "^"
    assert oracle.screen().runs[0] == ((0, 1, 1),)


def test_names_that_look_like_options_are_files(oracle: Oracle, tmp_path: Path) -> None:
    press(oracle, b"vim -- +1\rix\x1b:w\r:q\r")
    assert (tmp_path / "work" / "+1").read_text() == "x\n"


def test_keys_in_bulk_end_in_the_same_screen(oracle: Oracle, tmp_path: Path) -> None:
    oracle.run(b"vim b\rione\rtwo\x1b:w\r:q\rcp b c; echo done\r")
    assert oracle.screen().texts[-2:] == ("done", "$")
    assert (tmp_path / "work" / "c").read_text() == "one\ntwo\n"


def test_what_comes_after_a_program_seemed_to_wait_is_waited_for(oracle: Oracle, tmp_path: Path) -> None:
    oracle.run(b"(until [ -e go ]; do sleep 0.01; done; printf later) &\r")
    assert (oracle.at_rest(), oracle.late) == (oracle.screen(), 0)
    (tmp_path / "work" / "go").touch()
    while "$ later" not in oracle.screen().texts:  # for ever, if it never comes
        oracle.at_rest()
    assert oracle.late == 1
    assert (oracle.at_rest(), oracle.late) == (oracle.screen(), 1)


def test_output_can_be_drained_unread(vim_here: str, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    with Oracle(GEOMETRY, tmp_path / "work", tmp_path / "support", decode=False) as oracle:
        for key in b"vim a\rix\x1b:w\r:q\r":
            oracle.send(key)
        assert oracle.received > 500
        with pytest.raises(OracleError, match="decode=True"):
            oracle.screen()
    assert (tmp_path / "work" / "a").read_text() == "x\n"


def test_nothing_of_the_hosts_shell_leaks_in(vim_here: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPT_COMMAND", "echo leaked")
    monkeypatch.setenv("VIMINIT", "set number")
    (tmp_path / "work").mkdir()
    before = os.umask(0o077)
    try:
        with Oracle(GEOMETRY, tmp_path / "work", tmp_path / "support") as oracle:
            texts = press(oracle, b"vim a\rione\x1b:w\r")
            press(oracle, b":q\r")
    finally:
        os.umask(before)
    assert texts[0] == "one"
    assert (tmp_path / "work" / "a").stat().st_mode & 0o777 == 0o644


def test_decoder_puts_a_wide_character_on_the_next_row() -> None:
    decoder = Decoder(Geometry(4, 24))
    decoder.feed(b"x" * 23 + "漢".encode())
    assert decoder.screen().texts == ("x" * 23, "漢", "", "")


def test_decoder_reads_styles() -> None:
    decoder = Decoder(Geometry(4, 24))
    decoder.feed(b"a\x1b[1mb\x1b[7mc\x1b[0md")
    assert decoder.screen().runs[0] == ((1, 1, 1), (2, 1, 3))


def test_decoder_refuses_what_films_do_not_have() -> None:
    decoder = Decoder(Geometry(4, 24))
    decoder.feed(b"\x1b[31mred")
    with pytest.raises(ValueError, match="a style that films do not have"):
        decoder.screen()
