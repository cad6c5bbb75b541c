"""Drawings of pages: what is drawn can be told apart, and the same lines give the same bytes."""

import re

from schema.pages.charts import Line, line_chart

LINES = {
    "lstm": Line([0.0, 1.0], [3.0, 1.0]),
    "unigram": Line([0.0], [3.5], dashed=True),
    "counts of keys": Line([0.0], [1.5], dashed=True),
}


def test_levels_have_dashes_of_their_own() -> None:
    dashes = re.findall(r"stroke-dasharray: ([^;\"]+)", line_chart(LINES, "updates", "nats a key"))
    assert len(set(dashes)) == 2


def test_the_same_lines_give_the_same_bytes() -> None:
    assert line_chart(LINES, "updates", "nats a key") == line_chart(LINES, "updates", "nats a key")
