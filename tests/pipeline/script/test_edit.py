"""Typing is right when the buffer ends as it should; the terminal model plays the keys, the oracle judges the model."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Indel

from pipeline.script import edit as module
from pipeline.script.edit import Untypable, alike, blocks, edit, is_like, spans
from pipeline.terminal.terminal import Terminal
from schema.errors import UnsupportedKeyError
from schema.geometry import Geometry

PIECES = [*"ab (){}\t\r\x01\x1b\x7fé漢😀\u200b\x80", "word ", "a longer piece of text, "]
TEXT = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
LINES = st.lists(TEXT, max_size=30)


def content(lines: list[str], ended: bool) -> bytes:
    return ("\n".join(lines) + ("\n" if lines and ended else "")).encode()


@st.composite
def revisions(draw: st.DrawFn) -> tuple[bytes | None, bytes]:
    """(old, new) where new often keeps much of old."""
    old = draw(LINES)
    new = list(old)
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, len(new)))
        kind = draw(st.sampled_from(["insert", "delete", "patch", "retype"]))
        if kind == "insert":
            new[at:at] = draw(st.lists(TEXT, min_size=1, max_size=3))
        elif kind == "delete":
            del new[at : at + draw(st.integers(1, 4))]
        elif at < len(new):
            keep = draw(st.integers(0, len(new[at]))) if kind == "patch" else 0
            new[at] = new[at][:keep] + draw(TEXT) + (new[at][keep + 1 :] if kind == "patch" else "")
    before = None if draw(st.booleans()) and not old else content(old, draw(st.booleans()))
    return before, content(new, draw(st.booleans()))


@given(revisions(), st.sampled_from([Geometry(5, 24), Geometry(24, 80), Geometry(9, 41)]))
@example((b"", b"\n"), Geometry())
@example((None, b""), Geometry())
@example((b"a\nb", b""), Geometry())
@example((b"a\n", b"a"), Geometry())
@example((b"a", b"a\n"), Geometry())
@example((b"", "\taaa\raaa\t漢".encode()), Geometry(5, 24))
@settings(max_examples=300)
def test_keys_make_the_new_bytes_whatever_the_old_were(
    revision: tuple[bytes | None, bytes], geometry: Geometry
) -> None:
    old, new = revision
    terminal = Terminal(geometry)
    try:
        terminal.play(b"vim f\r" + edit(old, new), [old])
    except UnsupportedKeyError as refusal:  # the one screen the model knows it cannot draw; the commit is stepped over
        assert "wide text behind a control character cut at the left edge" in str(refusal)
        return
    assert terminal.editor is not None
    assert terminal.editor.content == new


@given(st.binary(max_size=60), st.binary(max_size=60))
@settings(max_examples=300)
def test_any_bytes_are_typed_right_or_refused_with_a_word(old: bytes, new: bytes) -> None:
    try:
        keys = edit(old, new)
    except Untypable as refusal:
        assert refusal.reason in {"binary", "invalid-utf8", "combining", "control-c"}
        return
    terminal = Terminal(Geometry())
    terminal.play(b"vim f\r" + keys, [old])
    assert terminal.editor is not None
    assert terminal.editor.content == new


@pytest.mark.parametrize(
    ("old", "new", "keys"),
    [
        ("one\ntwo\n", "one\ntwo\nthree\n", b"\rothree\x1b"),
        ("one\ntwo\nthree\n", "one\nthree\n", b"\rdd"),
        ("a\nb\nc\nd\ne\nf\n", "a\nb\nc\nd\nE\nf\n", b"5GccE\x1b"),
        ("a\nb\nc\nd\ne\nf\n", "a\nb\nc\nd\ne\n", b"Gdd"),
        ("value = 1\n", "value = 12\n", b"A2\x1b"),
        ("value = call(one, two)\n", "value = call(three, two)\n", b"foc2lthre\x1b"),
        ("def area(x):\n", "def area(x, y):\n", b"f)i, y\x1b"),
        ("    return x\n", "    return x  # why\n", b"A  # why\x1b"),
        ("    return x\n", "    yield\n", b"cc    yield\x1b"),
        ("keep this tail\n", "keep this\n", b"10|D"),
        ("ab cafe\u0301 ab, ok\n", "ab cafe\u0301 aX, ok\n", b"10|clX\x1b"),  # cells, not code points
        ("xe\u0301 of e, then\n", "xe\u0301 of i, then\n", b"7|cli\x1b"),  # vim's fe would stop at any e
        ("see ❤\ufe0f it\n", "see ☀\ufe0f it\n", "5|cl☀\ufe0f\x1b".encode()),
        ("same\n", "same", b":set nobin noeol\r"),
        ("same", "same\n", b":set nobin eol\r"),
    ],
)
def test_a_developer_would_type_it_so(old: str, new: str, keys: bytes) -> None:
    assert edit(old.encode(), new.encode()) == keys


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"", b"a\0b", "binary"),
        (b"", "\u0301a\n".encode(), "combining"),  # at the start of a line, vim shows it on a blank
        ("\u0301a\n".encode(), b"plain\n", "combining"),
        (b"", "\t\u0301\n".encode(), "combining"),
        (b"", " \u0301\n".encode(), "combining"),  # vim's I would go between the two
        (b"", "\u200b\u0301\n".encode(), "combining"),
        (b"", "e\u0301\u0302\u0303\u0304\u0305\u0306\u0307\n".encode(), "combining"),
        (b"", b"caf\xe9\n", "invalid-utf8"),
        (b"\xed\xa0\x80\n", b"x\n", "invalid-utf8"),
        (b"", b"stop\x03\n", "control-c"),
    ],
)
def test_what_cannot_be_drawn_exactly_is_refused(old: bytes, new: bytes, reason: str) -> None:
    with pytest.raises(Untypable) as refusal:
        edit(old, new)
    assert refusal.value.reason == reason


def test_latin1_that_stays_is_kept_byte_for_byte() -> None:
    old, new = b"caf\xe9 one\nx\n", b"caf\xe9 one\ny\n"
    terminal = Terminal(Geometry())
    terminal.play(b"vim f\r" + edit(old, new), [old])
    assert terminal.editor is not None
    assert terminal.editor.content == new


def test_blocks_name_what_changed() -> None:
    assert blocks(list("abcdef"), list("abXdeYf")) == [(2, 3, 2, 3), (5, 5, 5, 6)]
    assert blocks(list("abc"), list("abc")) == []


def test_alike_pairs_rise_in_both() -> None:
    old = ["def one(a):", "    return a", "def two(b):"]
    new = ["# new", "def one(a, b):", "    return a + b", "def two(c):"]
    assert alike(old, new) == [(0, 1), (1, 2), (2, 3)]


@given(st.text("abc", max_size=60), st.text("abc", max_size=60), st.booleans())
def test_long_lines_are_alike_by_the_same_rule_as_short_ones(old: str, new: str, mostly: bool) -> None:
    if mostly:
        new = old[:20] + new[:5] + old[25:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LONG", -1)
        assert is_like(old, new) == (Indel.normalized_similarity(old, new) >= 0.6)


def test_spans_make_one_line_the_other() -> None:
    old, new = "call(alpha, beta, gamma)", "call(alphas, beta, delta)"
    text = old
    for start, cut, put in spans(old, new):
        text = text[:start] + put + text[start + cut :]
    assert text == new
