"""`python -m training.evaluate`: see training.analysis.command.

A command alone: as an imported module it would take the place of the function `training.evaluate`.
"""

import sys

from training.analysis.command import main

if __name__ != "__main__":
    raise ImportError("training.evaluate is a command; in Python: from training import evaluate")

sys.exit(main())
