"""``python -m figures.two_editors``: see figures/sweep.py for the options."""

import sys

from figures.sweep import main
from figures.two_editors.config import FIGURE

if __name__ == "__main__":
    sys.exit(main(FIGURE))
