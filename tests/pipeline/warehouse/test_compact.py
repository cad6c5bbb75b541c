"""Packing small streams changes no row, and a packed stream grows on."""

from pathlib import Path

from pipeline.warehouse.__main__ import main
from pipeline.warehouse.build import build
from tests.pipeline.warehouse.films import ORDERED, ask, film


def test_compact_changes_no_row(several: Path) -> None:
    before = ask(several, ORDERED)
    assert main(["compact", "--warehouse", str(several / "warehouse")]) == 0
    assert ask(several, ORDERED) == before
    assert ask(several, "SELECT count(DISTINCT path) FROM shards")[0][0] < 4
    assert main(["verify", "--warehouse", str(several / "warehouse"), "--sample", "0"]) == 0


def test_a_packed_stream_grows_on(several: Path, history: Path, tmp_path: Path) -> None:
    main(["compact", "--warehouse", str(several / "warehouse")])
    film(history, several / "warehouse", "d/d")
    build(several / "warehouse")
    assert main(["verify", "--warehouse", str(several / "warehouse"), "--sample", "0"]) == 0
    film(history, tmp_path / "at once" / "warehouse", "d/d")
    build(tmp_path / "at once" / "warehouse")
    query = "SELECT * FROM steps WHERE repo_id = 'd/d' ORDER BY stream_step"
    assert ask(several, query) == ask(tmp_path / "at once", query)
    rows = ask(several, ORDERED)
    main(["compact", "--warehouse", str(several / "warehouse")])
    main(["build", "--warehouse", str(several / "warehouse")])
    assert ask(several, ORDERED) == rows
    assert main(["verify", "--warehouse", str(several / "warehouse")]) == 0
