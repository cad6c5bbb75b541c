"""Tokens made up in the documented forms, and the lines in which people leave them.

No token is written here: each is put together from its form and random characters, so that no scanner takes this file
for a leak. How many are found, by kind: `python -m benchmarks.planted`.
"""

import json
import random
import re
import string
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pipeline.script.secrets
from benchmarks.report import finish, header, parser, positive, table
from pipeline.script.secrets import find_secrets
from schema.errors import clear_errors

DATA = Path(pipeline.script.secrets.__file__).with_name("token_formats.json")
_PIECE = re.compile(r"\{(\w+):(\d+)(?:-\d+)?\}|\[([^]]+)\]|([^[{]+)")

# How a token stands in a line, and the path of the line's file.
PLACES: dict[str, tuple[str, bytes]] = {
    "quoted": ('client = Client("{}")', b"app.py"),
    "single quotes": ("send('{}')", b"app.rb"),
    "unquoted": ("export X={}", b"run.sh"),
    "argument": ("tool --with {} --verbose", b"run.sh"),
    "dotenv": ("X={}", b".env"),
    "YAML": ("  x: {}", b"deploy.yml"),
    "YAML list": ("  - {}", b"deploy.yaml"),
    "JSON": ('  "x": "{}",', b"config.json"),
    "TOML": ("x = '{}'", b"config.toml"),
    "Markdown": ("Call it with `{}`, then wait.", b"README.md"),
    "Markdown link": ("see [this](https://example.org/?x={})", b"README.md"),
    "prose": ("It is {}.", b"notes.txt"),
    "URL": ("https://example.org/a?x={}&y=1", b"a.txt"),
    "encoded URL": ("https://example.org/a?next=%2Fb%3Fx%3D{}", b"a.txt"),
    "header": ("curl -H 'X-Auth: {}' https://example.org", b"run.sh"),
    "escaped": ('"one\\n{}\\ntwo"', b"a.c"),
    "XML": ("<x>{}</x>", b"pom.xml"),
    "comment": ("# {}", b"a.py"),
    "diff": ("+{}", b"a.patch"),
    "alone": ("{}", b"token"),
}


@cache
def characters(alphabet: str) -> str:
    """The characters of a class: '0-9a-f' -> '0123456789abcdef'."""
    return "".join(c for c in string.printable if re.fullmatch(f"[{alphabet}]", c))


def made_up(form: str, alphabets: dict[str, str], rng: random.Random) -> str:
    """A token of one form, its counted parts as short as the form allows."""
    token = ""
    for name, least, one_of, literal in _PIECE.findall(form):
        if literal:
            token += literal
        elif one_of:
            token += rng.choice(characters(one_of))
        else:
            token += "".join(rng.choices(characters(alphabets[name]), k=int(least)))
    return token


def planted(seed: int = 7) -> Iterator[tuple[str, str, str, bytes, bytes]]:
    """Yield (kind, form, place, line, path) for each form in each place."""
    data = json.loads(DATA.read_text(encoding="utf-8"))
    rng = random.Random(seed)
    for entry in data["formats"]:
        for form in entry["forms"]:
            for place, (line, path) in PLACES.items():
                yield entry["kind"], form, place, line.format(made_up(form, data["alphabets"], rng)).encode(), path


@clear_errors
def main() -> int:
    """Print how many of the planted tokens are found, by kind; exit code 1 if any is not."""
    flags = parser(__doc__)
    flags.add_argument("--seeds", type=positive, default=5, help="tokens made up for each form and place")
    chosen = flags.parse_args()
    seeds = 1 if chosen.quick else chosen.seeds
    print(header("benchmarks.planted", places=len(PLACES), seeds=seeds))
    tokens: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for seed in range(seeds):
        for kind, _, _, line, path in planted(seed):
            tokens[kind] += 1
            found[kind] += any(True for _ in find_secrets([line], path))
    print(table(["kind", "planted", "found"], [[kind, n, found[kind]] for kind, n in tokens.items()]))
    missed = tokens.total() - found.total()
    finish({"kinds": len(tokens), "planted": tokens.total(), "missed": missed}, chosen.json)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
