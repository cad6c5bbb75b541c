"""The benchmark of the search for secrets: what it counts, and that it never prints a value."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.secret_speed import build, film
from benchmarks.secrets import count
from tests.repositories import make_repository

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "gh" + "p_" + "5gHq2ZtX9bRw" * 3


def test_lines_lost_and_findings_are_counted(tmp_path: Path) -> None:
    content = b"a = 1\nb = 2\nlogin('" + TOKEN.encode() + b"')\n"
    tally = count(make_repository(tmp_path / "r", {"a.py": content}, {"b.py": b"x\n"}, {"a.py": content + b"c\n"}))
    assert (tally.commits, tally.typed, tally.lost) == (3, 3, 2)  # the edit would show the token
    assert dict(tally.findings) == {"GitHub token": 1}
    assert [path for path, _ in tally.files] == [b"a.py"]


def test_the_command_lists_files_and_rules_and_no_values(tmp_path: Path) -> None:
    path = make_repository(tmp_path / "r", {"a.py": b"x = 1\nlogin('" + TOKEN.encode() + b"')\n"})
    command = [sys.executable, "-m", "benchmarks.secrets", "--repo", str(path), "--list", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["lines_lost"] == figures["lines_typed"] == 1
    assert figures["percent_lost"] == 50
    assert ":a.py: GitHub token" in done.stdout
    assert TOKEN[4:16] not in done.stdout + done.stderr


def test_the_histories_to_time_differ_by_one_line(tmp_path: Path) -> None:
    plain, with_token = (build(tmp_path / name, 600, 3, special) for name, special in (("a", ""), ("b", TOKEN)))
    assert film(plain)[2] - film(with_token)[2] == 1
