"""The environment of every git process that is started here: made from nothing, never from the caller's.

In a hook, under `git rebase --exec` or in a worktree, git has set GIT_DIR, GIT_INDEX_FILE, GIT_OBJECT_DIRECTORY,
GIT_CONFIG_PARAMETERS and more, and each of them makes git read another repository, or other settings, than its
command line names. A user's shell may have set any of the others. So no variable is inherited but those of _KEPT, and
no configuration, prompt, pager, editor, replacement object, lazy fetch or lock of the host has a say.
"""

import os
import shutil
import subprocess
from functools import cache

from schema.errors import ConfigError

_KEPT = ("PATH", "TMPDIR")


def git_environment(*, home: str | os.PathLike[str] = "/nonexistent", protocol: str = "none") -> dict[str, str]:
    """Variables for one git process. `protocol` is the only one over which it may fetch: 'https', 'ssh', 'file', ...

    A caller adds what its git needs besides (dates of a commit, a proxy), and takes nothing away.
    """
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {"PATH": os.defpath} | kept | {
        "HOME": os.fspath(home),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "false",
        "SSH_ASKPASS": "false",
        "GIT_PAGER": "cat",
        "GIT_EDITOR": "false",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",  # git 2.45 and security releases before it
        "GIT_ALLOW_PROTOCOL": protocol,  # 'none' is what stops a lazy fetch in older ones
        "GIT_PROTOCOL_FROM_USER": "0",
        "GIT_LFS_SKIP_SMUDGE": "1",
    }  # fmt: skip


def need_git() -> None:
    """Raise ConfigError where there is no git program."""
    if shutil.which("git") is None:
        raise ConfigError("git: no such program on PATH; install it: apt-get install git (Debian), brew install git")


@cache
def git_version() -> str:
    """The installed git's version, for example '2.39.5'."""
    done = subprocess.run(["git", "--version"], env=git_environment(), capture_output=True, text=True, check=True)
    return done.stdout.split()[2]
