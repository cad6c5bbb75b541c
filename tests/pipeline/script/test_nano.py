"""Typing in nano is right when the buffer ends as it should; the terminal model plays the keys."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.script import nano
from pipeline.script.edit import Untypable
from pipeline.script.nano import edit
from pipeline.terminal.terminal import Terminal
from schema.errors import UnsupportedKeyError
from schema.geometry import Geometry
from tests.pipeline.script.test_edit import revisions

ARROWS = {*nano.UP, *nano.DOWN, *nano.LEFT, *nano.RIGHT, *nano.ENTER, *nano.BACKSPACE, *nano.DELETE}
SIZES = st.sampled_from([Geometry(5, 24), Geometry(24, 80), Geometry(9, 41)])


def play(old: bytes | None, keys: bytes, geometry: Geometry) -> Terminal:
    terminal = Terminal(geometry)
    terminal.play(b"nano f\r" + keys, [old])
    return terminal


@given(revisions(), st.booleans(), SIZES)
@example((b"", b"\n"), False, Geometry())
@example((None, b""), True, Geometry())
@example((b"a\nb", b""), False, Geometry())
@example((b"a\nb", b""), True, Geometry())
@example((b"a\nb\n", b"a"), True, Geometry())
@example((b"a\n", b"a"), False, Geometry())
@example((b"a", b"a\n"), True, Geometry())
@example((b"\n\n\n", b"\n"), True, Geometry())
@example((b"x\ny\nlast", b"x\ny\nend"), False, Geometry())
@settings(max_examples=300)
def test_keys_make_the_new_bytes_whatever_the_old_were(
    revision: tuple[bytes | None, bytes], arrows: bool, geometry: Geometry
) -> None:
    old, new = revision
    try:
        terminal = play(old, edit(old, new, arrows=arrows) + nano.SAVE_AND_LEAVE[:1], geometry)
    except (Untypable, UnsupportedKeyError) as refusal:
        assert "\u200b" in ((old or b"") + new).decode(), refusal  # the one character here of doubtful width
        return
    assert terminal.editor is not None
    assert terminal.editor.content == new


@given(st.binary(max_size=60), st.binary(max_size=60), st.booleans())
@example(b"caf\xe9\xa9 \xc3x\xa9", b"caf\xe9 \xc3\xa9", False)
@settings(max_examples=300)
def test_any_bytes_are_typed_right_or_refused(old: bytes, new: bytes, arrows: bool) -> None:
    try:
        terminal = play(old, edit(old, new, arrows=arrows), Geometry())
    except Untypable as refusal:
        assert refusal.reason in {"combining", "unsupported-key"}
        return
    except UnsupportedKeyError:
        return
    assert terminal.editor is not None
    assert terminal.editor.content == new


@given(revisions())
@settings(max_examples=100)
def test_arrows_are_moved_by_arrows_alone(revision: tuple[bytes | None, bytes]) -> None:
    try:
        keys = edit(*revision, arrows=True)
    except Untypable:
        return
    at = 0
    while at < len(keys):
        if keys[at : at + 1] == nano.VERBATIM:
            at += 2
            continue
        assert keys[at] >= 0x20 or keys[at] == 0x09 or keys[at] in ARROWS
        at += 1


@pytest.mark.parametrize(
    ("old", "new", "keys"),
    [
        ("one\ntwo\n", "one\ntwo\nthree\n", b"\x0e\x05\rthree"),
        ("one\ntwo\nthree\n", "one\nthree\n", b"\x0e\x0b"),
        ("a\nb\nc\nd\ne\nf\ng\n", "a\nb\nc\nd\ne\nF\ng\n", b"\x1f6\r\x04F"),
        ("value = 1\n", "value = 12\n", b"\x052"),
        ("value = call(one, two)\n", "value = call(three, two)\n", b"\x07\x07\x04\x04thre"),
        ("def area(x):\n", "def area(x, y):\n", b"\x05\x02\x02, y"),
        ("keep this tail\n", "keep this\n", b"\x07\x07\x02\x14\x14"),
        (
            "ab cafe\u0301 ab, ok\n",
            "ab cafe\u0301 aX, ok\n",
            b"\x05\x02\x02\x02\x02\x08X",
        ),  # characters, not code points
        ("same\n", "same", b"\x05\x04"),
        ("same", "same\n", b"\x05\r"),
        ("caf\n", "caf\x01\n", b"\x05\x11\x01"),
        ("same\n", "same\n", b""),
    ],
)
def test_a_developer_would_type_it_so(old: str, new: str, keys: bytes) -> None:
    assert edit(old.encode(), new.encode()) == keys


def test_bytes_that_are_not_utf8_are_typed_as_they_are() -> None:
    assert edit(b"caf\n", b"caf\xe9\n") == b"\x05\xe9"


def test_a_mark_that_starts_a_line_is_refused_with_a_word() -> None:
    with pytest.raises(Untypable) as refusal:
        edit(b"a\n", "a\n\u0301b\n".encode())
    assert refusal.value.reason == "combining"


@given(st.text(st.sampled_from("ab .\t\u00e9"), max_size=14), st.data())
def test_a_way_that_is_not_searched_is_the_one_that_a_search_finds(text: str, data: st.DataObject) -> None:
    at, unit = (data.draw(st.integers(0, len(text))) for _ in range(2))
    assert nano.across_line(text, at, unit) == nano.fewest_across(text, at, unit)
