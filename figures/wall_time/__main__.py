"""``python -m figures.wall_time``: see figures/sweep.py for the options."""

import sys

from figures.sweep import main
from figures.wall_time.config import FIGURE

if __name__ == "__main__":
    sys.exit(main(FIGURE))
