"""``python -m figures.true_depth``: trace every cell, then plot."""

import sys

from figures.true_depth.config import main

if __name__ == "__main__":
    sys.exit(main())
