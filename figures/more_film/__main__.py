"""``python -m figures.more_film``: see figures/sweep.py for the options."""

import sys

from figures.more_film.config import FIGURE
from figures.sweep import main

if __name__ == "__main__":
    sys.exit(main(FIGURE))
