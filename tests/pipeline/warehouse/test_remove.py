"""Taking film out: it is on no disk, its neighbours stay, and a slip of the pen removes nothing."""

from pathlib import Path

import pytest

from pipeline.shards.manifest import manifests
from pipeline.shards.store import Store
from pipeline.shards.writer import refuse
from pipeline.warehouse.__main__ import main
from pipeline.warehouse.compact import full_packs
from tests.pipeline.warehouse.films import CONFIG, ask, held


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "alone"])
def test_removed_film_is_on_no_disk_and_its_neighbours_stay(
    several: Path, packed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    root = several / "warehouse"
    if packed:
        main(["compact", "--warehouse", str(root)])
        main(["build", "--warehouse", str(root)])
    neighbours = "SELECT * FROM steps WHERE repo_id NOT IN ('a/a', 'd/d') ORDER BY repo_id, stream_step"
    before = ask(several, neighbours)
    assert held(root) == {"a/a", "b/b", "c/c", "d/d"}
    capsys.readouterr()
    assert main(["remove", "A", "d/d", "--warehouse", str(root)]) == 0
    assert "2 streams emptied" in capsys.readouterr().out
    assert held(root) == {"b/b", "c/c"}
    assert ask(several, neighbours) == before
    named = {ref.path for stream in manifests(Store(root)) for ref in stream.files()}  # of every kind, blobs too
    assert {
        str(path.relative_to(root)) for top in ("shards", "packs") for path in (root / top).rglob("*.parquet")
    } == named
    packs = {path for path in named if path.startswith("packs/")}
    assert bool(packs) is packed
    assert set(full_packs(Store(root), list(manifests(Store(root))))) == packs
    refused = "SELECT repo_id, status, reason, steps FROM repositories WHERE status = 'refused' ORDER BY 1"
    assert ask(several, refused) == [("a/a", "refused", "opt-out", 0), ("d/d", "refused", "opt-out", 0)]
    assert (root / "opt-out.txt").read_text() == "A\nd/d\n"
    assert main(["verify", "--warehouse", str(root), "--sample", "0"]) == 0
    assert main(["remove", "a", "--warehouse", str(root)]) == 0
    assert (root / "opt-out.txt").read_text() == "A\nd/d\n"


def test_a_removal_that_was_killed_goes_on(several: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = several / "warehouse"
    main(["compact", "--warehouse", str(root)])
    with monkeypatch.context() as killed:
        killed.setattr("pipeline.warehouse.remove.repack", lambda store: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            main(["remove", "a/a", "--warehouse", str(root)])
    assert "a/a" in held(root)
    assert main(["remove", "a/a", "--warehouse", str(root)]) == 0
    assert held(root) == {"b/b", "c/c", "d/d"}
    assert main(["verify", "--warehouse", str(root), "--sample", "0"]) == 0


@pytest.mark.parametrize("name", ["", "a/b/c", "a b", "#a", "a\nb"])
def test_only_owners_are_removed(several: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["remove", "a/a", name, "--warehouse", str(several / "warehouse")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (several / "warehouse/opt-out.txt").exists()
    assert "a/a" in held(several / "warehouse")


@pytest.mark.parametrize(
    ("name", "meant"), [("a/aa", "a/a"), ("aa/a", "a/a"), ("B/C", "b/b"), ("nobody", None), ("d/d/", "")]
)
def test_a_slip_of_the_pen_removes_nothing(
    several: Path, name: str, meant: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    root = several / "warehouse"
    capsys.readouterr()
    code = main(["remove", "c/c", name, "--warehouse", str(root)])
    if meant == "":  # right as it is
        assert (code, held(root)) == (0, {"a/a", "b/b"})
        return
    error = capsys.readouterr().err
    assert (code, error.count("\n")) == (2, 1)
    assert f"remove {name} --future" in error
    assert ("did you mean" in error) == (meant is not None)
    assert (meant or "") in error
    assert not (root / "opt-out.txt").exists()
    assert held(root) == {"a/a", "b/b", "c/c", "d/d"}


def test_a_name_can_be_kept_out_of_harvests_to_come(several: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = several / "warehouse"
    assert main(["remove", "nobody/yet", "--future", "--warehouse", str(root)]) == 0
    assert (root / "opt-out.txt").read_text() == "nobody/yet\n"
    assert main(["remove", "nobody/yet", "--warehouse", str(root)]) == 0  # it is listed: no slip
    assert held(root) == {"a/a", "b/b", "c/c", "d/d"}
    refuse(root, "e/e", CONFIG, "licence")
    assert main(["remove", "e/e", "--warehouse", str(root)]) == 0  # met before, though never filmed
