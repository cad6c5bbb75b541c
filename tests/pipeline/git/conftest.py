"""A small history with every kind of merge."""

from pathlib import Path

import pytest

from tests.repositories import Repository


@pytest.fixture
def branchy(tmp_path: Path) -> Repository:
    """Two side branches, one merged into the other, an orphan line, and an octopus.

    root - a ------- m1 - b --- m2 - c
            s1 - s2 -/  /      /  /
            t1 - t2 ---/(m0)  o1  u1
    """
    r = Repository(tmp_path / "branchy")
    root = r.commit("root", {"f": b"0\n"})
    a = r.commit("a", {"a": b"1\n"}, parents=[root])
    s1 = r.commit("s1", {"s": b"1\n"}, parents=[root])
    t1 = r.commit("t1", {"t": b"1\n"}, parents=[root])
    t2 = r.commit("t2", {"t": b"2\n"}, parents=[t1])
    m0 = r.commit("m0", {"t": b"2\n"}, parents=[s1, t2])
    s2 = r.commit("s2", {"s": b"2\n"}, parents=[m0])
    m1 = r.commit("m1", {"s": b"2\n", "t": b"2\n"}, parents=[a, s2])
    b = r.commit("b", {"f": b"b\n"}, parents=[m1])
    o1 = r.commit("o1", {"o": b"1\n"}, parents=[])
    u1 = r.commit("u1", {"u": b"1\n"}, parents=[t1])
    m2 = r.commit("m2", {"o": b"1\n", "u": b"1\n"}, parents=[b, o1, u1])
    r.commit("c", {"f": b"c\n"}, parents=[m2])
    return r
