"""Imported by the process that workers are forked from, ahead of time: each worker then starts in milliseconds.

When the command ends, that process ends at once, too, instead of taking its libraries apart first.
"""

import atexit
import importlib
import os
import sys

importlib.import_module("pipeline.pool.run")
if "multiprocessing.forkserver" in sys.orig_argv[-1]:
    atexit.register(os._exit, 0)
