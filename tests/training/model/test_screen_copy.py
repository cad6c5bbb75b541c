"""The guesses that a screen makes of the next key: the fast form equals plain loops."""

import numpy as np
import pytest
import torch

from tests.training.film import typed_cells
from training.model.cursor_head import find_cursor
from training.model.screen_copy import (
    LONGEST,
    NO_GUESS,
    Guesses,
    ScreenCopy,
    find_copies,
    find_copies_slowly,
    first_byte,
)

ALPHABETS = {
    "few letters": [32, 97, 98],
    "blanks": [32, 32, 32, 97],
    "wide and clamped": [32, 97, 0, 233, 300, 0x1F600],
    "control": [13, 32, 1],
}


def guesses_of(codes: list[list[int]], row: int, col: int, count: int = 3) -> list[tuple[int, int]]:
    found = find_copies(np.array([codes], np.uint32), np.array([row]), np.array([col]), count)
    pairs = zip(found.keys_FK[0].tolist(), found.lengths_FK[0].tolist(), strict=True)
    return [pair for pair in pairs if pair[0] != NO_GUESS]


def screen(*rows: str, cols: int = 12) -> list[list[int]]:
    return [[ord(letter) for letter in row.ljust(cols)] for row in rows]


@pytest.mark.parametrize("alphabet", ALPHABETS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint32, np.int16])
def test_many_screens_at_once_equal_plain_loops(alphabet: str, dtype: type) -> None:
    random = np.random.default_rng(5)
    letters = [code for code in ALPHABETS[alphabet] if code <= np.iinfo(dtype).max]
    for _ in range(40):
        rows, cols, frames = (int(random.integers(1, most)) for most in (6, 12, 8))
        codes = random.choice(letters, (frames, rows, cols)).astype(dtype)
        row, col = random.integers(0, rows, frames), random.integers(0, cols, frames)
        found = find_copies(codes, row, col, 4)
        for frame in range(frames):
            slow = find_copies_slowly(codes[frame], int(row[frame]), int(col[frame]), 4)
            fast = zip(found.keys_FK[frame].tolist(), found.lengths_FK[frame].tolist(), strict=True)
            assert [pair for pair in fast if pair[0] != NO_GUESS] == slow


def test_a_film_at_another_size_equals_plain_loops() -> None:
    cells = typed_cells(1, 50, 9, 31, seed=2)[0].numpy()
    row, col = find_cursor(cells, 256)
    found = find_copies(cells % 256, row, col, 3)
    for frame in range(50):
        slow = find_copies_slowly(cells[frame] % 256, int(row[frame]), int(col[frame]), 3)
        fast = zip(found.keys_FK[frame].tolist(), found.lengths_FK[frame].tolist(), strict=True)
        assert [pair for pair in fast if pair[0] != NO_GUESS] == slow


def test_a_word_begun_again_is_continued() -> None:
    assert guesses_of(screen("return x", "ret"), 1, 3)[0] == (ord("u"), 3)


def test_the_longer_match_comes_first_and_the_nearer_of_equals() -> None:
    assert [key for key, _ in guesses_of(screen("1bcY", "2bcZ", "3bc"), 2, 3)] == [ord("Z"), ord("Y")]


def test_the_end_of_a_row_is_a_guess_of_return() -> None:
    assert guesses_of(screen("foo();", "foo();"), 1, 6)[0][0] == 13


def test_the_next_row_is_guessed_after_return() -> None:
    assert guesses_of(screen("{", "  body", "{", ""), 3, 0)[0] == (32, 2)


def test_an_empty_screen_has_no_guess() -> None:
    assert guesses_of(screen("", ""), 0, 0) == []


def test_a_match_counts_no_further_than_longest() -> None:
    row = "a" * (LONGEST + 20)
    assert guesses_of(screen(row, row, cols=LONGEST + 30), 1, LONGEST + 10)[0] == (ord("a"), LONGEST)


def test_a_character_is_guessed_by_its_first_byte() -> None:
    assert [first_byte(code) for code in (65, 0xE9, 0x4E2D, 0, 0xD800)] == [65, 0xC3, 0xE4, NO_GUESS, NO_GUESS]


def test_the_bonus_raises_the_guessed_key_alone() -> None:
    torch.manual_seed(0)
    copy = ScreenCopy(2, width=4, features=3)
    torch.nn.init.ones_(copy.bonus_embed)
    guesses = Guesses(torch.tensor([[[7, NO_GUESS]]]), torch.tensor([[[5, 0]]]))
    raised = copy.add_bonus(torch.zeros(1, 1, 10), torch.zeros(1, 1, 3), guesses)
    assert raised[0, 0].nonzero().flatten().tolist() == [7]


def test_a_guess_outside_of_the_vocabulary_adds_nothing() -> None:
    copy = ScreenCopy(1, width=4, features=3)
    torch.nn.init.ones_(copy.bonus_embed)
    guesses = Guesses(torch.tensor([[[200]]]), torch.tensor([[[5]]]))
    assert not copy.add_bonus(torch.zeros(1, 1, 10), torch.zeros(1, 1, 3), guesses).any()
