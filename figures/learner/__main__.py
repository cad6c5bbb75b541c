"""``python -m figures.learner``: see figures/sweep.py for the options."""

import sys

from figures.learner.config import FIGURE
from figures.sweep import main

if __name__ == "__main__":
    sys.exit(main(FIGURE))
