"""``python -m figures.length_law``: see figures/sweep.py for the options."""

import sys

from figures.length_law.config import FIGURE
from figures.sweep import main

if __name__ == "__main__":
    sys.exit(main(FIGURE))
