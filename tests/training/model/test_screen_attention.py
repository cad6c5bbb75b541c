"""Attention to the screen's characters: its places equal plain loops, and what it says is a distribution over keys."""

import numpy as np
import pytest
import torch

from tests.training.film import typed_cells
from training.model.cursor_head import find_cursor
from training.model.screen_attention import STEPS, Places, ScreenAttention, find_places, left_slowly, places_slowly
from training.model.screen_copy import NO_GUESS

ALPHABETS = {
    "few letters": [32, 97, 98],
    "blanks": [32, 32, 32, 97],
    "wide and clamped": [32, 97, 0, 233, 300, 0xD800, 0x1F600],
    "control": [13, 32, 1],
}


def said(places: Places, lane: int, step: int) -> set[tuple[tuple[int, ...], int, int]]:
    """What `places_slowly` gives, of one of many screens."""
    own = (places.step_Q == lane * places.cursor_BT.shape[1] + step) & (places.keys_Q != NO_GUESS)
    left_XL = places.left_XL[places.text_BN[lane, places.text_Q[own]]]
    keys, distances = places.keys_Q[own].tolist(), places.distance_Q[own].tolist()
    found = list(zip(map(tuple, left_XL.tolist()), keys, distances, strict=True))
    return set(found)


def assert_as_slowly(codes_BTRC: np.ndarray, row_BT: np.ndarray, col_BT: np.ndarray) -> None:
    places = find_places(codes_BTRC, row_BT, col_BT)
    for lane, step in np.ndindex(row_BT.shape):
        codes, row, col = codes_BTRC[lane, step], int(row_BT[lane, step]), int(col_BT[lane, step])
        assert said(places, lane, step) == places_slowly(codes, row, col)
        assert tuple(places.left_XL[places.cursor_BT[lane, step]].tolist()) == left_slowly(
            tuple(codes[row].tolist()), col
        )


@pytest.mark.parametrize("alphabet", ALPHABETS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint32, np.int16])
def test_many_screens_at_once_equal_plain_loops(alphabet: str, dtype: type) -> None:
    random = np.random.default_rng(5)
    letters = [code for code in ALPHABETS[alphabet] if code <= np.iinfo(dtype).max]
    for _ in range(15):
        lanes, steps, rows, cols = (int(random.integers(1, most)) for most in (4, 6, 7, 12))
        codes = random.choice(letters, (lanes, steps, rows, cols)).astype(dtype)
        for step in range(1, steps):
            kept = random.random(rows) < 0.7
            codes[:, step, kept] = codes[:, step - 1, kept]
        assert_as_slowly(codes, *(random.integers(0, most, (lanes, steps)) for most in (rows, cols)))


def test_a_film_at_another_size_equals_plain_loops() -> None:
    cells = typed_cells(2, 20, 9, 31, seed=2).numpy()
    row, col = (each.reshape(2, 20) for each in find_cursor(cells.reshape(-1, 9, 31), 256))
    assert_as_slowly(cells % 256, row, col)


def attention(vocabulary: int = 256) -> ScreenAttention:
    torch.manual_seed(0)
    return ScreenAttention(8, width=4, features=3, vocabulary=vocabulary).double()


def screens(*rows: str, cursor: tuple[int, int]) -> Places:
    codes = np.array([[ord(letter) for letter in row.ljust(20)] for row in rows])[None, None]
    return find_places(codes, *(np.array([[place]]) for place in cursor))


def test_what_stands_behind_the_same_text_is_attended_to_from_the_start() -> None:
    pressed_BTV, read_BTD = attention()(screens("import numpy", "xyz", "import ", cursor=(2, 7)))
    assert int(pressed_BTV[0, 0].argmax()) == ord("n")
    assert 0.3 < pressed_BTV.sum().item() <= 1
    assert read_BTD.shape == (1, 1, 4)


def test_the_return_key_is_what_a_rows_end_says() -> None:
    pressed_BTV, _ = attention()(screens("foo();", "foo();", cursor=(1, 6)))
    assert int(pressed_BTV[0, 0].argmax()) == 13


def test_an_empty_screen_says_return_or_nothing() -> None:
    pressed_BTV, _ = attention()(screens("", cursor=(0, 0)))
    assert pressed_BTV.sum().item() == 0


def test_keys_outside_of_the_vocabulary_are_never_said() -> None:
    pressed_BTV, _ = attention(vocabulary=110)(screens("import numpy", "import ", cursor=(1, 7)))
    assert pressed_BTV.shape[-1] == 110
    assert pressed_BTV[0, 0, ord("m")].item() > 0


def test_a_token_of_the_number_of_no_key_is_never_said() -> None:
    shown = screens("import numpy", "xyz", "  foo(bar)", cursor=(2, 5))
    pressed_BTV = attention(vocabulary=300)(shown).pressed_BTV
    assert pressed_BTV[..., NO_GUESS:].abs().sum().item() == 0
    torch.testing.assert_close(pressed_BTV[..., :NO_GUESS], attention()(shown).pressed_BTV)


@pytest.mark.parametrize("rows", [("qrstuvwx",), ("",)])
def test_attention_that_is_sharp_stays_a_number(rows: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    sharp = ScreenAttention(8, width=4, features=3, vocabulary=256)
    torch.nn.init.constant_(sharp.scale, 115.0)
    with torch.no_grad():  # the cursor's own place is like it, and says nothing; all others are far from it
        at_start_H = torch.nn.functional.gelu(sharp.left_embed[torch.arange(8) * 256].sum(0))
        for layer in (sharp.entry, sharp.query):
            layer.bias -= 0.95 * layer(at_start_H)
    pressed_BTV, read_BTD = sharp(screens(*rows, cursor=(0, 0)))
    (pressed_BTV.square().sum() + read_BTD.square().sum()).backward()
    gradients = [each.grad for each in sharp.parameters() if each.grad is not None]
    assert len(gradients) == 9
    assert all(bool(each.isfinite().all()) for each in (pressed_BTV, read_BTD, *gradients))


def test_the_mixture_is_a_distribution_and_can_be_what_the_screen_says() -> None:
    copying = attention(vocabulary=4)
    features, own = torch.randn(1, 1, 3).double(), torch.randn(1, 1, 4).double()
    said_BTV = torch.tensor([[[0.0, 0.9, 0.1, 0.0]]]).double()
    torch.testing.assert_close(copying.mix(own, features, said_BTV).exp().sum(-1), torch.ones(1, 1).double())
    torch.nn.init.constant_(copying.gate.bias, 30.0)
    torch.testing.assert_close(copying.mix(own, features, said_BTV).exp()[0, 0, 1], torch.tensor(0.9).double())


def test_more_steps_than_are_looked_at_at_once_are_the_same() -> None:
    codes = typed_cells(1, STEPS + 5, 6, 20, seed=1).numpy() % 256
    row, col = (np.full((1, STEPS + 5), place) for place in (2, 3))
    whole = attention()(find_places(codes, row, col)).pressed_BTV
    parts = [attention()(find_places(*(each[:, part] for each in (codes, row, col)))).pressed_BTV
             for part in (slice(0, STEPS), slice(STEPS, None))]  # fmt: skip
    torch.testing.assert_close(torch.cat(parts, 1), whole)
