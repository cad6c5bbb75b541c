"""``python -m figures.frjt_lstm``: see figures/sweep.py for the options."""

import sys

from figures.frjt_lstm.config import FIGURE
from figures.sweep import main

if __name__ == "__main__":
    sys.exit(main(FIGURE))
