"""The warehouse's list of those who want no film: as people save it, never read as less than it says."""

from pathlib import Path

import pytest

from pipeline.crawl.opt_out import OPT_OUT, opt_out_list, opted_out
from pipeline.shards.store import Store
from schema.errors import ConfigError


@pytest.mark.parametrize(
    "content",
    [
        b"mona_acme\nada/film\n", b"\xef\xbb\xbfmona_acme\r\nada/film\r\n", b"mona_acme # asked\n\n\t'ada/film'",
        b"# list\n\xef\xbb\xbfmona_acme#asked\nada/film#\n",
    ],
)  # fmt: skip
def test_whoever_is_listed_is_never_filmed(tmp_path: Path, content: bytes) -> None:
    (tmp_path / OPT_OUT).write_bytes(content)
    named = opt_out_list(Store(tmp_path))
    for repository in ("mona_acme/tool", "Mona_Acme/x", "ada/film"):
        assert opted_out(repository, named)
    assert not opted_out("ada/other", named)


def test_a_list_that_cannot_be_read_is_no_empty_list(tmp_path: Path) -> None:
    (tmp_path / OPT_OUT).write_bytes("ada\n".encode("utf-16"))
    with pytest.raises(ConfigError, match="iconv"):
        opt_out_list(Store(tmp_path))


def test_no_list_names_nobody(tmp_path: Path) -> None:
    assert opt_out_list(Store(tmp_path)) == ()
