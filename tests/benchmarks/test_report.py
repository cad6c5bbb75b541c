"""Flags that are numbers: a benchmark of nothing finds nothing wrong, and must not say so."""

import runpy
import sys
from pathlib import Path

import pytest

from benchmarks.github_server import main as serve
from benchmarks.report import positive
from tests.repositories import make_repository

COUNTED = {
    "commits": ("crash", "editors", "fidelity", "histories", "interrupt", "keystrokes", "oracle.repositories", "scale",
                "secrets", "tiny", "walk"),
    "rounds": ("interrupt", "secret_speed", "walk"),
    "cases": ("oracle.fuzz", "oracle.subjects"),
    "seeds": ("learning", "planted"),
    "kills": ("crash",),
    "repositories": ("interrupt", "lasting", "tiny"),
    "streams": ("catalogue",),
}  # fmt: skip


def refused(
    program: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """The last line of a program that refuses what it is asked."""
    monkeypatch.setattr(sys, "argv", [program, *arguments])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(f"benchmarks.{program}", run_name="__main__")
    assert ended.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("number", ["0", "-1"])
@pytest.mark.parametrize(("flag", "program"), [(flag, name) for flag, names in COUNTED.items() for name in names])
def test_nothing_is_not_measured(
    flag: str, program: str, number: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(program, [f"--{flag}", number], monkeypatch, capsys)
    assert said.endswith(f"argument --{flag}: '{number}': write a whole number, 1 or more")


def test_a_number_is_one() -> None:
    assert positive("12") == 12


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
def test_settings_that_do_not_go_together_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    repo = make_repository(tmp_path / "r", {"a.txt": b"one\n"})
    for program, flags, words in (
        ("fidelity", ["--motion", "arrows"], "fidelity: motion=arrows: vim is not moved by arrow keys alone"),
        ("replay", ["--motion", "arrows", "--quick"], "gitreel: motion=arrows: vim is not moved by arrow keys alone"),
        ("replay", ["--first", "7", "--quick"], f"gitreel: --first 7: {repo} has commits 0 to 0"),
    ):
        assert refused(program, ["--repo", str(repo), *flags], monkeypatch, capsys).startswith(words)


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_a_port_that_there_is_not_is_refused(port: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        serve([str(tmp_path), "--", port])
    assert f"port {port}: write a number from 0 to 65535" in capsys.readouterr().err
