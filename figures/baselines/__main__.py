"""``python -m figures.baselines``: see figures/sweep.py for the options."""

import sys

from figures.baselines.config import FIGURE
from figures.sweep import main

if __name__ == "__main__":
    sys.exit(main(FIGURE))
