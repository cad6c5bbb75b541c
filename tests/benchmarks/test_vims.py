"""What is not compared with another vim, and that all else is."""

from itertools import pairwise

import pytest

from benchmarks.oracle import vims
from benchmarks.oracle.compare import compare_film
from benchmarks.oracle.vims import ANOTHER_WIDTH, drawn_alike
from pipeline.terminal.terminal import Terminal
from schema.geometry import Geometry
from schema.screen import Runs, Screen

GEOMETRY = Geometry(4, 24)


def screen(text: str, runs: Runs = ()) -> Screen:
    return Screen(("", text, "", ""), ((), runs, (), ()), 0, 0)


@pytest.mark.parametrize(
    ("shown", "alike"),
    [
        (screen("def f(x): return ^x"), True),
        (screen("^X cut or not", ((0, 2, 1),)), False),  # which of both is not to be seen on the screen alone
        (screen("^ typed as text"), True),
        (screen("a^X", ((1, 2, 1),)), True),
        (screen("漢字 é 🎉"), True),
        (screen("a ䷀ hexagram"), False),
        (screen("\u2630"), False),
    ],
)
def test_only_what_versions_draw_in_another_way_is_left_out(shown: Screen, alike: bool) -> None:
    assert drawn_alike(shown) is alike


def test_the_ranges_are_in_order_and_apart() -> None:
    assert all(first <= last for first, last in ANOTHER_WIDTH)
    assert all(a[1] + 1 < b[0] for a, b in pairwise(ANOTHER_WIDTH))


class Wrong:
    """An oracle that shows nothing at all."""

    editor = "vim"

    def film(self, keys: bytes) -> list[Screen]:
        return [self.screen() for _ in keys]

    def at_rest(self) -> Screen:
        return self.screen()

    def screen(self) -> Screen:
        return Screen(("",) * 4, ((),) * 4, 3, 23)


@pytest.mark.parametrize(("version", "wrong", "otherwise"), [("9.0.1378", 4, 0), ("9.2.995", 2, 2)])
def test_a_difference_of_versions_is_no_mistake_and_with_the_modelled_one_all_counts(
    monkeypatch: pytest.MonkeyPatch, version: str, wrong: int, otherwise: int
) -> None:
    monkeypatch.setattr(vims, "version_here", lambda: version)
    monkeypatch.setattr(vims, "drawn_alike", lambda shown: shown.cursor_col == 2)  # of an empty prompt
    terminal = Terminal(GEOMETRY)
    film = terminal.play(b": \r")
    result = compare_film(film, terminal, Wrong())
    assert (result.frames, result.wrong, result.otherwise) == (4, 4 - otherwise, otherwise)
    assert result.wrong == wrong
