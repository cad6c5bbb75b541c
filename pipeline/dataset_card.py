"""The command `python -m pipeline.dataset_card`: the warehouse's DATASET.md (pipeline.warehouse.dataset_card)."""

import sys

from pipeline.warehouse.dataset_card import main

if __name__ == "__main__":
    sys.exit(main())
