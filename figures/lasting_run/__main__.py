"""``python -m figures.lasting_run FOLDER``: take the samples of benchmarks.lasting from its folder, then plot."""

import sys

from figures.lasting_run.config import main

if __name__ == "__main__":
    sys.exit(main())
