"""``python -m figures.maze``: see figures/sweep.py for the options."""

import sys

from figures.maze.config import FIGURE
from figures.sweep import main

if __name__ == "__main__":
    sys.exit(main(FIGURE))
