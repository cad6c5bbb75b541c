"""Words in a line, and the keys that go by them."""

import pytest

from pipeline.script.edit import edit, words_between
from pipeline.text.words import next_word, word_end


def test_a_word_is_letters_digits_and_underscores_or_other_visible_characters() -> None:
    line = "if (x_1 != y):"
    assert [word_end(line, at) for at in (0, 1, 2, 3, 4, 8)] == [2, 2, 2, 4, 7, 10]
    assert [next_word(line, at) for at in (0, 2, 3, 4, 8, 12)] == [3, 3, 4, 8, 11, None]


def test_trailing_blanks_are_no_word() -> None:
    assert next_word("end  ", 0) is None
    assert next_word("", 0) is None


@pytest.mark.parametrize(("start", "end", "count"), [(0, 7, 1), (0, 9, 2), (0, 8, 0), (7, 0, 0), (0, 0, 0)])
def test_words_between_two_places(start: int, end: int, count: int) -> None:
    assert words_between("return a + b", start, end) == count


def test_words_are_counted_in_visible_ascii_only() -> None:
    assert words_between("é b", 0, 2) == 0


@pytest.mark.parametrize(
    ("old", "new", "keys"),
    [
        (b"total = price + tax\n", b"total = a + tax\n", b"fpcwa\x1b"),
        (b"not really here\n", b"not here\n", b"wdw"),
        (b"a + a + a\n", b"a + a + b\n", b"4wCb\x1b"),
    ],
)
def test_whole_words_are_changed_as_words(old: bytes, new: bytes, keys: bytes) -> None:
    assert edit(old, new) == keys
