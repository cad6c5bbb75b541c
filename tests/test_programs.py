"""Every `python -m` program: it explains itself without doing anything, and an extra that is missing is one line."""

import os
import runpy
import sys
from pathlib import Path
from typing import TextIO

import pytest

import figures.__main__
from benchmarks.report import need

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("benchmarks", "figures", "flows", "pipeline", "training")
EXTRAS = (
    "asciinema", "dask", "datasets", "distributed", "hypothesis", "moto", "prefect_dask", "ptyprocess", "pydriller",
    "pygit2", "pyte", "transformers", "wcwidth",
)  # fmt: skip


def programs() -> list[str]:
    """Modules that run as programs."""
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if any(f'\nif __name__ {sign} "__main__":' in path.read_text() for sign in ("==", "!=")):
                found.append(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__"))
    return found


def run(program: str, *arguments: str) -> int | str | None:
    """Run it as `python -m` does, in this process; its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [program, *arguments])
        with pytest.raises(SystemExit) as ended:
            runpy.run_module(program, run_name="__main__")
    return ended.value.code


def state() -> set[tuple[str, int]]:
    """Names and times of the files that git keeps, and what lies beside them."""
    folders = (ROOT, *(ROOT / package for package in PACKAGES), *(ROOT / "figures").iterdir())
    return {
        (str(path), path.stat().st_mtime_ns if path.is_file() else 0)
        for folder in folders
        if folder.is_dir()
        for path in folder.iterdir()
        if path.name != "__pycache__"
    }


def test_programs_are_found() -> None:
    wanted = {
        "pipeline.warehouse",
        "flows.harvest",
        "training.fit",
        "training.evaluate",
        "figures",
        "benchmarks.fidelity",
    }
    assert wanted <= set(programs())


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("program", programs())
def test_help_explains_and_does_nothing(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = state()
    assert run(program, "--help") == 0
    said = capsys.readouterr()
    assert said.out.startswith("usage: ")
    assert said.err == ""
    assert state() == before


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("program", programs())
def test_an_unknown_flag_is_refused(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = state()
    assert run(program, "--no-such-flag") == 2
    assert "error: " in capsys.readouterr().err.splitlines()[-1]
    assert state() == before


def full_disk() -> TextIO:
    """A file that takes nothing."""
    return open(os.open("/dev/full", os.O_WRONLY), "w")


def run_into(output: TextIO, program: str, *arguments: str) -> int | str | None:
    """Run it with this standard output, which is closed then, as a process's end does: what it holds is flushed."""
    with output, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", output)
        return run(program, *arguments)


def without_reader() -> TextIO:
    """A pipe that nobody reads any more."""
    ours, output = os.pipe()
    os.close(ours)
    return open(output, "w")


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("program", programs())
def test_output_that_cannot_be_written_is_no_traceback(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_into(full_disk(), program, "--help") == 2
    said = capsys.readouterr().err
    assert said.startswith("gitreel: standard output cannot be written (No space left on device); ")
    assert said.count("\n") == 1
    assert run_into(without_reader(), program, "--help") == 1
    assert capsys.readouterr() == ("", "")


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("program", programs())
def test_without_any_extra_it_explains_itself_or_names_the_extra(
    program: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "benchmarks"]:
        monkeypatch.delitem(sys.modules, name)  # to be imported anew
    for name in EXTRAS:
        monkeypatch.setitem(sys.modules, name, None)
    code = run(program, "--help")
    said = capsys.readouterr()
    if code:
        assert code == 2
        assert said.err.count("\n") == 1
        assert "not installed; run: pip install -e '.[test]'" in said.err
    else:
        assert said.out.startswith("usage: ")


def test_an_error_inside_of_an_extra_is_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_extra.py").write_text("import no_such_module_at_all\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_module_at_all"):
        need("test", "broken_extra")


def test_figures_are_drawn_by_name(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(figures.__main__, "redraw", lambda name: (drawn.append(name), ROOT / "figures" / name)[1])
    assert figures.__main__.main(["maze", "baselines"]) == 0
    assert drawn == ["maze", "baselines"]
    assert figures.__main__.main([]) == 0
    assert drawn[2:] == figures.__main__.figure_names()
    with pytest.raises(SystemExit):
        figures.__main__.main(["maze", "maize"])
    assert "no figure maize; there are baselines, " in capsys.readouterr().err
    assert len(drawn) == 2 + len(figures.__main__.figure_names())
