"""Licences: recognised by their text, kept by their id."""

from pathlib import Path

import pytest

from pipeline.crawl.licence import licence_filter, licence_of, recognise
from tests.repositories import Repository

ROOT = Path(__file__).parents[3]
MIT = (ROOT / "LICENSE").read_bytes()


def test_the_licence_file_of_the_newest_commit(tmp_path):
    repository = Repository(tmp_path)
    repository.commit("one", {"a": b"x\n"})
    assert licence_of(tmp_path, "HEAD") is None
    repository.commit("two", {"LICENSE.md": MIT, "NOTICE": b"x\n"})
    assert licence_of(tmp_path, "HEAD") == "MIT"


@pytest.mark.parametrize(
    ("text", "spdx"),
    [
        (b"Apache License\n   Version 2.0, January 2004", "Apache-2.0"),
        (b"GNU GENERAL PUBLIC LICENSE Version 3 " + b"x " * 500 + b"GNU Affero General Public License", "GPL-3.0"),
        (b"GNU AFFERO GENERAL PUBLIC LICENSE\n Version 3", "AGPL-3.0"),
        (b"This is free and unencumbered software released into the\npublic domain.", "Unlicense"),
        (b"Do as you like.", None),
        (b"", None),
    ],
)
def test_a_text_is_recognised_or_unknown(text, spdx):
    assert recognise(text) == spdx


@pytest.mark.parametrize(
    ("licence", "unknown", "verdict"),
    [
        ("MIT", False, (True, "")),
        ("GPL-3.0", False, (False, "licence-refused")),
        ("GPL-3.0", True, (False, "licence-refused")),
        (None, False, (False, "licence-unknown")),
        ("NOASSERTION", False, (False, "licence-unknown")),
        (None, True, (True, "")),
    ],
)
def test_the_allow_list(licence, unknown, verdict):
    assert licence_filter(licence, allow_unknown=unknown) == verdict
