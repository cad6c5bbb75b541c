"""What is typed: keys a changed line, and which of vim's commands they are.

    python -m benchmarks.keystrokes --repo PATH                    the oldest 600 commits
    python -m benchmarks.keystrokes --repo PATH --quick --json     150 of them

The peer is the plainest script that makes the same files: the same aligned lines, each removed with `dd` and each new
one typed whole behind `o`, with `{n}G` before every block. Keys are bytes sent to the terminal.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from benchmarks.report import finish, header, parser, positive, table
from pipeline.git.history import walk
from pipeline.git.objects import Blobs
from pipeline.script.commit import OpenedFile, SkippedCommit, Workspace, write_script
from pipeline.script.edit import blocks, typed
from pipeline.terminal.recorder import Recorder
from pipeline.terminal.terminal import Terminal
from pipeline.terminal.vim.normal import Vim
from pipeline.text.lines import split_lines
from schema.config import ReplayConfig
from schema.errors import clear_errors
from schema.geometry import Geometry

# One Normal-mode command: a count, an operator and its motion, or a motion; or a whole command line.
_COMMAND = re.compile(rb"([1-9][0-9]*)?(?:([cd])([1-9][0-9]*)?([cdlw]|t(?s:.))|(f(?s:.))|(:[^\r]*\r)|(?s:(.)))")
_INSERTED = re.compile(rb"(?:\x16(?s:.)|[^\x1b\x16])*\x1b")
_INSERTS = frozenset(["i", "I", "a", "A", "o", "O", "C", "c{n}l", "cc", "cw", "ct{c}"])


class Command(NamedTuple):
    """One command: its name, the keys that say it, the keys typed in Insert mode behind it (Esc included)."""

    name: str
    keys: int
    text: int


def commands(keys: bytes) -> Iterator[Command]:
    r"""The commands of one file's keys, from vim's start to the Enter of `:q`.

    >>> [command.name for command in commands(b"3Gfxcwyes\x1b:w\r")]
    ['{n}G', 'f{c}', 'cw', ':w']
    """
    at = 0
    while at < len(keys):
        match = _COMMAND.match(keys, at)
        assert match is not None  # its last branch takes any key
        count, operator, _, target, find, line, plain = match.groups()
        if operator:
            name = operator.decode() + {b"l": "{n}l", b"t": "t{c}"}.get(target[:1], target.decode("latin-1"))
        elif find:
            name = "f{c}"
        elif line:
            name = line.decode().rstrip("\r")
        else:
            name = {b"\r": "<CR>"}.get(plain, plain.decode("latin-1"))
            name = "{n}" + name if count and name in ("G", "|", "w") else name
        at = match.end()
        text = 0
        if name in _INSERTS:
            inserted = _INSERTED.match(keys, at)
            assert inserted is not None, "Insert mode ends with Esc"
            text = inserted.end() - at
            at = inserted.end()
        yield Command(name, match.end() - match.start(), text)


def plain(old: bytes, new: bytes) -> int:
    """Keys of the plainest script from `old` to `new`."""
    before, after = split_lines(old)[0] if old else [], split_lines(new)[0] if new else []
    total = 0
    for start, end, to, stop in blocks(before, after):
        total += len(b"%dG" % (start + 1)) + 2 * (end - start)
        total += len(typed(after[to:stop])) + 2 if stop > to else 0
    return total


class Tally(NamedTuple):
    """What a history's scripts hold."""

    times: Counter[str]
    keys: Counter[str]
    text: Counter[str]
    shell: int
    lines: int
    edited: int
    peer: int


def count(repo: Path, commits: int, config: ReplayConfig) -> Tally:
    """The tally of the oldest `commits` commits. Raises GitreelError."""
    times: Counter[str] = Counter()
    keys: Counter[str] = Counter()
    text: Counter[str] = Counter()
    shell = lines = edited = peer = 0
    with Blobs(repo) as blobs:
        workspace = Workspace(config)
        for commit in islice(walk(blobs, max_bytes=config.max_file_bytes), commits):
            try:
                script = write_script(commit, workspace)
            except SkippedCommit:
                continue
            workspace.tree = commit.tree.oid
            shell += len(script.keys) - sum(file.stop - file.start for file in script.opened)
            lines += script.lines_typed
            for file in script.opened:
                section = script.keys[file.start : file.stop]
                edited += len(section)
                for name, said, put in commands(section):
                    times[name] += 1
                    keys[name] += said
                    text[name] += put
                peer += plain(file.content or b"", _written(file, section)) + len(b":w\r:q\r")
    return Tally(times, keys, text, shell, lines, edited, peer)


def _written(file: OpenedFile, section: bytes) -> bytes:
    """What `:w` wrote, by the terminal model."""
    geometry = Geometry(24, 80)
    vim = Vim(Recorder(geometry, Terminal(geometry).screen()), "file", file.content)
    vim.feed(section, 0)
    return vim.content


@clear_errors
def main() -> int:
    """Command line; exit code 2 after a clear error."""
    flags = parser(__doc__)
    flags.add_argument("--repo", type=Path, default=Path("."), help="a repository with its whole history")
    flags.add_argument("--commits", type=positive, help="how many of the oldest (default: 600; with --quick 150)")
    chosen = flags.parse_args()
    commits = chosen.commits or (150 if chosen.quick else 600)
    print(header("benchmarks.keystrokes", ["rapidfuzz"], repo=chosen.repo.name, commits=commits))
    tally = count(chosen.repo, commits, ReplayConfig())
    total = max(1, tally.edited)
    rows = [
        [name, times, tally.keys[name], tally.text[name], 100 * (tally.keys[name] + tally.text[name]) / total]
        for name, times in tally.times.most_common()
    ]
    print(table(["command", "times", "keys", "keys inserted", "% of keys in vim"], rows))
    per_line, peer = tally.edited / max(1, tally.lines), tally.peer / max(1, tally.lines)
    print(
        f"{tally.edited:,} keys in vim and {tally.shell:,} at the shell for {tally.lines:,} changed lines: "
        f"{per_line:.1f} keys a changed line in vim, {peer:.1f} by the plainest script ({per_line / peer:.2f}x)"
    )
    figures = {
        "keys_a_changed_line": round(per_line, 2),
        "plain_keys_a_changed_line": round(peer, 2),
        "ratio": round(per_line / peer, 3),
        "shell_keys": tally.shell,
        "changed_lines": tally.lines,
        "commands": dict(tally.times.most_common()),
    }
    finish(figures, chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
