"""``python -m figures.frjt_layers``: see figures/sweep.py for the options."""

import sys

from figures.frjt_layers.config import FIGURE
from figures.sweep import main

if __name__ == "__main__":
    sys.exit(main(FIGURE))
