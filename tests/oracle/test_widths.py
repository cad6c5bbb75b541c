"""The width table: vim's own, whole, and the one the model uses."""

import numpy as np
import pytest

from benchmarks.oracle.widths import read_vim
from schema.widths import CELLS, CLASS, SHELL_SAFE, VIM_VERSION, WIDTH_HASH, cell_width


def test_every_code_point_has_a_class() -> None:
    assert CLASS.shape == SHELL_SAFE.shape == (0x110000,)
    assert set(np.unique(CLASS).tolist()) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize(
    ("text", "cells"),
    [("", 0), ("abc", 3), ("é", 1), ("漢字", 4), ("\x1b", 2), ("\x9b", 4), ("\u200b", 6), ("e\u0301", 1), ("🎉", 2)],
)
def test_cells_of_text(text: str, cells: int) -> None:
    assert cell_width(text) == cells


def test_what_is_safe_at_the_prompt_is_printable() -> None:
    assert np.isin(CELLS[SHELL_SAFE], (1, 2)).all()
    assert SHELL_SAFE[0x20:0x7F].all()
    assert not SHELL_SAFE[[0x00, 0x1B, 0x7F, 0x9B, 0x301, 0x200B]].any()


def test_hash_names_the_table() -> None:
    assert len(WIDTH_HASH) == 16


@pytest.mark.exact
def test_the_installed_vim_draws_this_table(vim_here: str) -> None:
    """At the first and the last code point of every range."""
    change = np.flatnonzero(np.diff(CLASS)).tolist()
    points = sorted({1, 0x10FFFF, *change, *(point + 1 for point in change)} - {0})
    version, classes = read_vim(points[1:])
    if version != VIM_VERSION:  # a newer vim follows a newer Unicode; the table stays the modelled version's
        pytest.skip(f"{vim_here}: widths are compared with the modelled version alone")
    wrong = [hex(p) for p, kind in zip(points[1:], classes, strict=True) if CLASS[p] != kind]
    assert not wrong, f"{vim_here}, which draws these in other cells: {wrong[:20]}"
