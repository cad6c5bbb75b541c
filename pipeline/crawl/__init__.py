"""Which repositories to film, and their objects brought within reach: search, GitHub, sources, clones, licences."""

import os

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # without git, GitPython raises at its import; we say it in a line
