"""A small repository made with git, for a first look where there is no history at hand.

Deterministic: the same commits, with the same shas, every time.
"""

import random
import subprocess
from pathlib import Path

from pipeline.git.environment import git_environment

_WORDS = (
    "area", "bound", "cell", "count", "depth", "edge", "field", "grid", "head", "index", "join",
    "key", "length", "mark", "node", "order", "point", "queue", "range", "scale", "total", "unit",
    "value", "width", "zone",
)  # fmt: skip
_START = 1_700_000_000  # seconds since 1970, the first commit's time


def make_example(folder: Path, commits: int = 60, seed: int = 0) -> Path:
    """Make a git repository of `commits` commits in `folder` (must not exist); return it.

    A small Python package grows by functions, gets renamed arguments, tests, a README and a few deletions.
    """
    rng = random.Random(seed)
    folder.mkdir(parents=True)
    _git(folder, _START, "init", "-q", "-b", "main", ".")
    modules: dict[str, list[tuple[str, str, str]]] = {}
    for n in range(commits):
        if n == 0:
            (folder / "README.md").write_text("# shapes\n\nSmall functions about shapes.\n")
            subject = "Start with a README"
        elif n % 12 == 11 and len(modules) > 2:
            name = sorted(modules)[rng.randrange(len(modules))]
            modules.pop(name)
            (folder / f"{name}.py").unlink()
            subject = f"Remove {name}, nothing uses it"
        elif n % 7 == 6 and modules:
            name = sorted(modules)[rng.randrange(len(modules))]
            at = rng.randrange(len(modules[name]))
            function, old, body = modules[name][at]
            new = rng.choice([word for word in _WORDS if word != old])
            modules[name][at] = (function, new, body)
            _write(folder, name, modules[name])
            subject = f"Rename {old} to {new} in {function}"
        elif n % 9 == 8:
            with (folder / "README.md").open("a") as readme:
                word = rng.choice(_WORDS)
                readme.write(f"\n## {word.capitalize()}\n\nHow the {word} is computed and why.\n")
            subject = f"Explain the {word}"
        else:
            names = [*sorted(modules), rng.choice(_WORDS)]
            name = rng.choice(names) if len(modules) < 4 else rng.choice(sorted(modules))
            function = f"{rng.choice(_WORDS)}_{rng.choice(_WORDS)}"
            argument, other = rng.sample(_WORDS, 2)
            body = f"{other} = {{0}} * {rng.randrange(2, 9)}\n    return {other} + {rng.randrange(9)}"
            modules.setdefault(name, []).append((function, argument, body))
            _write(folder, name, modules[name])
            subject = f"Add {function} to {name}"
        when = _START + 3600 * n
        _git(folder, when, "add", "-A")
        _git(folder, when, "commit", "-q", "-m", subject)
    return folder


def _write(folder: Path, name: str, functions: list[tuple[str, str, str]]) -> None:
    parts = [f'"""Functions about the {name}."""\n']
    for function, argument, body in functions:
        parts.append(f"\n\ndef {function}({argument}):\n    {body.format(argument)}\n")
    (folder / f"{name}.py").write_text("".join(parts))


def _git(folder: Path, when: int, *arguments: str) -> None:
    environment = git_environment(home=folder) | {
        "GIT_AUTHOR_NAME": "Example",
        "GIT_AUTHOR_EMAIL": "example@localhost",
        "GIT_COMMITTER_NAME": "Example",
        "GIT_COMMITTER_EMAIL": "example@localhost",
        "GIT_AUTHOR_DATE": f"{when} +0000",
        "GIT_COMMITTER_DATE": f"{when} +0000",
    }
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, env=environment)
