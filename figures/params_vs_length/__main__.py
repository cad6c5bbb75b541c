"""``python -m figures.params_vs_length``: see figures/sweep.py for the options."""

import sys

from figures.params_vs_length.config import FIGURE
from figures.sweep import main

if __name__ == "__main__":
    sys.exit(main(FIGURE))
