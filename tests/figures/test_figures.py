"""The committed figures: every CSV reads, every PNG redraws, every command line answers."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from figures import SAME_ARITHMETIC, claims
from figures.__main__ import figure_names
from figures.lasting_run import config as lasting_run
from figures.rows import ROOT, Row, processor, read_rows
from figures.sweep import Figure, main
from figures.true_depth import config as true_depth
from figures.true_depth.critical import critical_length

SWEPT = [name for name in figure_names() if name not in ("true_depth", "lasting_run")]


def figure_of(name: str) -> Figure:
    figure: Figure = importlib.import_module(f"figures.{name}.config").FIGURE
    return figure


@pytest.mark.parametrize("name", SWEPT)
def test_committed_rows_belong_to_the_sweep(name: str) -> None:
    figure = figure_of(name)
    rows = read_rows(figure.results, figure.kind)
    assert len({row.key for row in rows}) == len(rows)
    asked = {
        other.kind.key(config)
        for other in map(figure_of, SWEPT)
        if other.results == figure.results
        for config in other.cells()
    }
    assert {row.key for row in rows} <= asked
    own = [row for row in rows if row.key in {figure.kind.key(config) for config in figure.cells()}]
    assert own
    assert sum(row.result.cpu_seconds for row in own) < 4 * 3600


def test_the_readmes_say_what_the_rows_say() -> None:
    said = [path for path in claims.readmes() if claims.CLAIM.search(path.read_text())]
    assert len(said) > len(SWEPT)
    for path in said:
        assert claims.rewrite(path.read_text()) == path.read_text(), f"{path}: run python -m figures"


@pytest.mark.parametrize("name", [*SWEPT, "lasting_run"])
def test_a_readme_begins_with_its_verdict(name: str) -> None:
    text = (ROOT / name / "README.md").read_text()
    assert text.split("\n\n")[1].startswith(f"<!-- {name}: verdict -->\n")


def test_a_claim_of_no_figure_is_an_error() -> None:
    with pytest.raises(ValueError, match="no figure nothing"):
        claims.rewrite("<!-- nothing: verdict --><!-- end -->")


@pytest.mark.parametrize("name", SWEPT)
def test_each_swept_figure_redraws(name: str, tmp_path: Path) -> None:
    figure = figure_of(name)
    png = tmp_path / "figure.png"
    figure.plot(read_rows(figure.results, figure.kind), png)
    assert png.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", SWEPT)
def test_each_swept_figure_has_a_table(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(figure_of(name), ["table"]) == 0
    assert capsys.readouterr().out.startswith("| ")


def test_true_depth_redraws_and_its_cells_rerun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(true_depth, "PNG", tmp_path / "figure.png")
    assert true_depth.redraw().read_bytes().startswith(b"\x89PNG")
    assert true_depth.main(["--cell", "lstm-l1", "--check"]) == 0
    assert true_depth.main(["--cell", "mingru-l2", "--check"]) == 0
    with pytest.raises(SystemExit):
        true_depth.main(["--cell", "nothing"])


def test_the_lasting_run_redraws_from_its_samples_and_takes_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    committed = lasting_run.SAMPLES, lasting_run.SUMMARY
    for name, place in zip(("SAMPLES", "SUMMARY"), committed, strict=True):
        monkeypatch.setattr(lasting_run, name, tmp_path / place.name)
    monkeypatch.setattr(lasting_run, "PNG", tmp_path / "figure.png")
    assert lasting_run.main([str(committed[0].parent)]) == 0
    assert lasting_run.PNG.read_bytes().startswith(b"\x89PNG")
    assert lasting_run.SAMPLES.read_bytes() == committed[0].read_bytes()
    with pytest.raises(SystemExit):
        lasting_run.main([str(tmp_path / "nothing")])
    assert capsys.readouterr().err.count("\n") == 1


def test_every_figure_is_documented_and_redrawable() -> None:
    for name in figure_names():
        assert (ROOT / name / "README.md").exists()
        assert (ROOT / name / f"{name}.png").exists()
        assert callable(importlib.import_module(f"figures.{name}.config").redraw)


@pytest.mark.parametrize("name", SWEPT)
def test_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_status:
        main(figure_of(name), ["--help"])
    assert exit_status.value.code == 0
    assert "--check" in capsys.readouterr().out


def smallest(figure: str, model: str) -> Row:
    """The row that cost least."""
    rows = [row for row in read_rows(ROOT / figure / "results.csv") if row.config.model == model]
    return min(rows, key=lambda row: (row.result.cpu_seconds, row.key))


def test_a_committed_row_is_measured_again() -> None:
    """To the last bit where its kind of processor is here; elsewhere as closely as a short training allows."""
    if not (torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512") and processor().startswith("AMD")):
        row = smallest("frjt_layers", "transformer")
        again = row.kind.fit(row.config)
        assert again.loss == pytest.approx(row.result.loss, rel=1e-3)
        assert again.accuracy == pytest.approx(row.result.accuracy, abs=0.01)
        return
    command = [sys.executable, "-m", "figures.frjt_lstm", "--cell", smallest("frjt_lstm", "lstm").key, "--check"]
    clean = {name: value for name, value in os.environ.items() if name not in SAME_ARITHMETIC}
    told = subprocess.run(command, cwd=ROOT.parent, env=clean, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr


def test_critical_length_finds_where_a_known_curve_falls() -> None:
    curve = {n: 0.5 + 0.5 / (1 + (n / 20) ** 2) for n in range(1, 65)}
    # accuracy .9 where (n / 20)^2 = 1 / .8 - 1 = .25
    length, beyond = critical_length(curve, 0.9)
    assert (length, beyond) == (pytest.approx(10, rel=0.01), "")
    assert critical_length({1: 1.0, 4: 0.8}, 0.9) == (pytest.approx(2), "")  # half way in log length
    assert critical_length({1: 0.95, 2: 0.85, 4: 0.95}, 0.9)[0] == pytest.approx(2**0.5)  # the first fall counts
    assert critical_length(dict.fromkeys(range(1, 17), 1.0), 0.9) == (16, ">=")
    assert critical_length({2: 0.8, 4: 0.7}, 0.9) == (2, "<")


def test_no_critical_length_contradicts_what_was_measured() -> None:
    rows = [row for name in ("frjt_lstm", "frjt_layers", "maze") for row in read_rows(ROOT / name / "results.csv")]
    for row in rows:
        length, beyond = critical_length(row.result.curve)
        below = [n for n in row.result.curve if n < length]
        assert all(row.result.curve[n] >= 0.9 for n in below)
        assert beyond == ">=" or min(row.result.curve[n] for n in row.result.curve if n >= length) < 0.9
