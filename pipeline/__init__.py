"""Git history in, terminal film out: plain functions and generators, usable without Prefect.

github -> clone -> history -> filters -> story (keystrokes, quoting) -> terminal (shell, vim) -> replay
    -> shards -> warehouse
"""

import os

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # without git, GitPython raises at its import; we say it in a line
