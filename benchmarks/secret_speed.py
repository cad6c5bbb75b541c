"""What the search for secrets costs: histories with one such line beside the same without, and lines made to be slow.

    python -m benchmarks.secret_speed                  6,000 lines, 60 revisions of one line each, three rounds
    python -m benchmarks.secret_speed --quick --json   1,500 lines, 20 revisions

The histories are one file whose revisions change one line each: without a finding, with git's id of the empty blob (no
finding), and with a token (a finding: all other lines are typed). Filming them takes turns, and the best round of each
counts. The slow lines repeat what begins a form or a name of credentials and never ends it; a search of twice as many
characters takes twice as long.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.report import finish, header, parser, positive, table
from pipeline.git.environment import git_environment
from pipeline.replay import replay
from pipeline.script.secrets import find_secrets
from schema.config import ReplayConfig
from schema.errors import clear_errors

EMPTY_BLOB = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
TOKEN = "gh" + "p_" + "5gHq2ZtX9bRw" * 3  # put together, so that no scanner takes it for a leak
LINES = {"no such line": "", "git's id of the empty blob": EMPTY_BLOB, "a token": TOKEN}
SLOW = {
    "ordinary code": b"    let value = compute(number, other[3] * 7) + 1\n",
    "names of credentials": b"secretpassword_key",
    "names and blanks": b"password                   ",
    "starts of tokens": b"ghp_glpat-sk-AKIAxoxb-",
    "starts of web tokens": b"eyJhbGciOiJ.eyJ",
    "digits and letters": b"0a1b2c3d4e5f",
    "quotes": b"'\"`",
    "URLs": b"://a:",
    "private keys": b"-----BEGIN ",
}


def build(folder: Path, lines: int, revisions: int, special: str) -> Path:
    """A repository whose one file is changed line by line, by `git fast-import`."""
    content = [f"    let value_{n} = compute({n}, {n * 7 % 13})" for n in range(lines)]
    if special:
        content[lines // 2] = f"    let ref = '{special}'"
    stream = bytearray()
    for commit in range(revisions):
        content[commit * (lines // revisions)] = f"    let value_{commit} = compute({commit}, 'edited')"
        data = ("\n".join(content) + "\n").encode()
        stream += b"commit refs/heads/main\ncommitter A <a@example.org> %d +0000\n" % (1_600_000_000 + commit)
        stream += b"data 4\nEdit\nM 100644 inline plugin.vim\ndata %d\n%b\n" % (len(data), data)
    subprocess.run(
        ["git", "init", "-q", "--bare", "--template=", "-b", "main", folder], env=git_environment(), check=True
    )
    subprocess.run(["git", "-C", folder, "fast-import", "--quiet"], input=stream, env=git_environment(), check=True)
    return folder


def film(path: Path) -> tuple[float, int, int]:
    """Seconds to film a history, its steps, and its lines typed."""
    config = ReplayConfig(max_episode_keys=1_000_000)  # so that the first revision is typed, too
    started = time.perf_counter()
    steps = typed = 0
    for take in replay(path, "r", config):
        steps += take.episode.steps
        typed += take.episode.lines_typed
    return time.perf_counter() - started, steps, typed


def nanoseconds(piece: bytes, size: int) -> float:
    """A character's share of searching one long text."""
    text = (piece * (size // len(piece) + 1))[:size]
    lines = text.split(b"\n")
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        for _ in find_secrets(lines):
            pass
        best = min(best, time.perf_counter() - started)
    return 1e9 * best / size


@clear_errors
def main() -> int:
    """Measure and print."""
    flags = parser(__doc__)
    flags.add_argument("--rounds", type=positive, default=3)
    chosen = flags.parse_args()
    lines, revisions, size = (1_500, 20, 50_000) if chosen.quick else (6_000, 60, 400_000)
    print(header("benchmarks.secret_speed", lines=lines, revisions=revisions, rounds=chosen.rounds))
    best = dict.fromkeys(LINES, (float("inf"), 0, 0))
    with tempfile.TemporaryDirectory(prefix="secrets-") as root:
        paths = {
            name: build(Path(root) / str(number), lines, revisions, special)
            for number, (name, special) in enumerate(LINES.items())
        }
        for _ in range(chosen.rounds):
            for name, path in paths.items():
                best[name] = min(best[name], film(path))
    base = best["no such line"][0]
    rows: list[list[object]] = [[n, s, steps, typed, s / base] for n, (s, steps, typed) in best.items()]
    print(table(["history with", "seconds", "steps", "lines typed", "times as long"], rows))
    slow: list[list[object]] = []
    for name, piece in SLOW.items():
        once, twice = nanoseconds(piece, size // 2), nanoseconds(piece, size)
        slow.append([name, once, twice, twice / once])
    print(table(["one text of", f"ns a character of {size // 2:,}", f"of {size:,}", "ratio"], slow))
    figures = {
        "ratio_object_id": round(best["git's id of the empty blob"][0] / base, 3),
        "ratio_token": round(best["a token"][0] / base, 3),
        "slowest_ns": max(round(float(str(row[2])), 1) for row in slow),
        "worst_growth": max(round(float(str(row[3])), 2) for row in slow),
    }
    finish(figures, chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
