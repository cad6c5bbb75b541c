"""The command `python -m pipeline.redraw`: film drawn again from its script (pipeline.warehouse.redraw)."""

import sys

from pipeline.warehouse.redraw import main

if __name__ == "__main__":
    sys.exit(main())
