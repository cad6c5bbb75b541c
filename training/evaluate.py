"""`python -m training.evaluate`: see training.analysis.command. `training.evaluate` in Python is training.api's."""

import sys

from training.analysis.command import main

if __name__ == "__main__":
    sys.exit(main())
