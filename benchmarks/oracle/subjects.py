"""Look for a subject that the real bash and git do not record as it was typed: random trailers, spaces, punctuation.

    python -m benchmarks.oracle.subjects --cases 20000 --seed 0

For each subject two commands run in a real bash with the real git, in the scratch repository of the other oracles:

1. `git commit -qm` with the subject as it was made, to see whether git takes it for an empty message; `reads_as_empty`
   must say the same;
2. the line that `commit_line` types for it, which must print nothing, end with code 0, and leave the subject as the
   commit's whole message.

Exit code 1 when one differed.
"""

import argparse
import random
import string
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from benchmarks.report import positive
from pipeline.git.checkout import Scratch, environment, make_scratch
from pipeline.script.commit import commit_line
from pipeline.script.subject import reads_as_empty, subject_line
from pipeline.text.quoting import quote
from schema.errors import clear_errors

BATCH = 500  # subjects a bash
TRAILERS = (
    "Signed-off-by", "Signed-Off-By", "Signed-off", "Signed_off_by", "Signed off by", "Sign-off-by", "Co-authored-by",
    "Co-developed-by", "Reviewed-by", "Acked-by", "Tested-by", "Reported-by", "Suggested-by", "Helped-by", "Noticed-by",
    "Approved-by", "Cc", "Fixes", "Closes", "Refs", "Link", "See-also", "Change-Id", "Message-Id", "Commit-Queue",
    "git-svn-id", "BREAKING CHANGE", "Conflicts", "Merge-request", "Pull-request", "Release-note", "Bug", "Depends-on",
)  # fmt: skip
LINES = (
    "(cherry picked from commit 0123456789abcdef0123456789abcdef01234567)", "# Please enter the commit message",
    "# ------------------------ >8 ------------------------", "; comment", "diff --git a/a b/a", "---", "-- ", "***",
    "This reverts commit 0123456789abcdef0123456789abcdef01234567.", "fixup! a", "squash! a", "amend! a", "[PATCH] a",
    "Merge branch 'a' into b", "%s%n%%", "@{u}", "--amend", "-m", "--", "-", "", ":/a", "~", "!", "\\", "'", '"',
)  # fmt: skip
SEPARATORS = (
    ": ",
    ":",
    " : ",
    ":\t",
    ":  ",
    ":\u00a0",
    "\uff1a",
    " #",
    "= ",
    ":\r",
    ":\f",
    ": \n",
    " ",
    ":\n ",
    ":\u3000",
)
VALUES = (
    "A B <a@example.org>", "", " ", "\t", "\u00a0", "\u3000", "\ufeff", "#1", "https://example.org/a?b=c#d",
    "\u6f22\u5b57", "I0123456789abcdef", "e\u0301", "a@example.org", "<>", "\n", "\r\n", ".", "\U0001f680", "\\n",
    "$(id)", "`id`", "!!",
)  # fmt: skip
JOINTS = ("", " ", "\n", "\r\n", "\n\n", "\t", "\n\t", "\f", "\u2028", "\x85", "; ", "\u200b")


class Made(NamedTuple):
    """A subject as it stands in a history, and what was found wrong with it."""

    raw: bytes
    wrong: str


def make(rng: random.Random) -> bytes:
    """A subject's bytes: no NUL, mostly UTF-8, perhaps of several lines."""
    parts = [_PARTS[rng.randrange(len(_PARTS))](rng) for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5)))]
    text = rng.choice(JOINTS).join(parts)
    if rng.random() < 0.2:
        text = rng.choice(_spaces()) * rng.randint(1, 3) + text
    if rng.random() < 0.2:
        text += rng.choice(_spaces()) * rng.randint(1, 3)
    raw = text.replace("\0", " ").encode("utf-8", "surrogatepass")
    if rng.random() < 0.03:
        raw = text.encode("latin-1", "replace").replace(b"\0", b" ")
    return raw


def _trailer(rng: random.Random) -> str:
    # half of them are the one that git looks for, so that its neighbours in spelling are met often
    word = rng.choice(TRAILERS if rng.random() < 0.5 else TRAILERS[:1])
    word = rng.choice((str, str, str, str.lower, str.upper, str.title, str.swapcase))(word)
    return word + rng.choice(SEPARATORS if rng.random() < 0.6 else SEPARATORS[:1]) + rng.choice(VALUES)


def _line(rng: random.Random) -> str:
    return rng.choice(LINES)


def _white(rng: random.Random) -> str:
    return "".join(rng.choice(_spaces()) for _ in range(rng.randint(1, 6)))


def _punctuation(rng: random.Random) -> str:
    return "".join(rng.choice(string.punctuation + " " * 8) for _ in range(rng.randint(1, 12)))


def _anything(rng: random.Random) -> str:
    planes = (0x80, 0x800, 0x3000, 0x10000, 0x20000, 0x110000)
    return "".join(chr(rng.randrange(1, rng.choice(planes))) for _ in range(rng.randint(1, 8)))


def _words(rng: random.Random) -> str:
    return " ".join(
        rng.choice(("fix", "the", "a", "thing", "it's", "\u6f22", "\u00e9")) for _ in range(rng.randint(1, 30))
    )


_PARTS = (_trailer, _trailer, _trailer, _line, _white, _punctuation, _anything, _words)


@cache
def _spaces() -> tuple[str, ...]:
    """Every character that anything might call white space, and those without width."""
    found = [
        chr(point) for point in range(1, 0x10000) if unicodedata.category(chr(point)) in ("Zs", "Zl", "Zp", "Cc", "Cf")
    ]
    return (*found, *" \t\n\r" * 8)


def check(scratch: Scratch, raws: Sequence[bytes], *, mask: bool = False) -> Iterator[Made]:
    """Those that git does not record as they are typed, with what it did. Raises OSError without bash and git."""
    subjects = [subject_line(raw, mask=mask) for raw in raws]
    script = bytearray(b"git checkout -q --orphan a$$\n")
    for raw, subject in zip(raws, subjects, strict=True):
        for line in (b"git commit --allow-empty -qm " + quote(_one_line(raw)), commit_line(subject, changes=False)):
            script += line + b"\nprintf '\\0%s\\0' $?\n"
    script += b"git log --reverse --format=%B%x00\n"
    done = subprocess.run(
        ["bash", "--norc", "--noprofile"], cwd=scratch.folder, env=scratch.environment, input=bytes(script),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    *told, log = done.stdout.split(b"\0", 4 * len(raws))
    messages = iter([message.strip(b"\n") for message in log.split(b"\0\n")])
    for number, (raw, subject) in enumerate(zip(raws, subjects, strict=True)):
        said, code, typed_said, typed_code = told[4 * number : 4 * number + 4]
        refused = b"empty commit message" in said
        wrong = []
        if code not in (b"0", b"1") or refused != (code == b"1"):
            wrong.append(f"git commit -m ended with {code.decode()}: {said!r}")
        if refused != reads_as_empty(_one_line(raw).decode("utf-8", "surrogateescape")):
            wrong.append(f"git {'takes' if refused else 'does not take'} it for an empty message")
        if code == b"0":
            next(messages, None)
        if (typed_said, typed_code) != (b"", b"0"):
            wrong.append(f"typed, git ended with {typed_code.decode()}: {typed_said!r}")
        elif (found := next(messages, None)) != subject.encode():
            wrong.append(f"typed as {subject!r}, recorded as {found!r}")
        if wrong:
            yield Made(raw, "; ".join(wrong))


def _one_line(raw: bytes) -> bytes:
    """As `git log --format=%s` gives a subject's lines."""
    return b" ".join(raw.split(b"\n"))


def search(seed: int, cases: int) -> Iterator[tuple[int, Made]]:
    """(subjects so far, finding) for each that is recorded otherwise."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="film-") as root:
        scratch = empty_scratch(Path(root))
        for first in range(0, cases, BATCH):
            raws = [make(rng) for _ in range(min(BATCH, cases - first))]
            for finding in check(scratch, raws, mask=rng.random() < 0.5):
                yield first + len(raws), finding


def empty_scratch(root: Path) -> Scratch:
    """A scratch repository over the objects of an empty one, both below `root`."""
    origin = root / "origin"
    subprocess.run(["git", "init", "-q", "--bare", origin], env=environment(root), check=True)
    return make_scratch(root / "work", origin)


@clear_errors
def main() -> int:
    """Search, print findings and the total."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--cases", type=positive, default=1_000, help="subjects")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=int, default=5, help="findings to print")
    options = parser.parse_args()
    found = 0
    for _, finding in search(options.seed, options.cases):
        found += 1
        if found <= options.show:
            print(f"{finding.raw!r}\n    {finding.wrong}", flush=True)
    version = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"{options.cases} subjects from seed {options.seed}, {version}: {found} not recorded as typed")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
