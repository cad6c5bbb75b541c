"""The recurrent frame model, its baselines, and the tasks that ask what a memory is worth."""

import os

# Threads that spin while they wait for each other take a shared machine's processors from whoever they wait for: beside
# three busy processes on two cores, a convolution and its gradient took 1.6 to 6 times as long (LOG.md). Read by
# OpenMP when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from training.api import FittedRun, load_run, windows  # after the variable is set

__all__ = ["FittedRun", "load_run", "windows"]
