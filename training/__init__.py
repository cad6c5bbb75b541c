"""The recurrent frame model, its baselines, and the tasks that measure what a memory is worth.

    from training import evaluate, load_run, windows

    for batch in windows("warehouse", length=64, batch=4, limit=10):  # film as tensors
        batch.cells_BTRC, batch.actions_BT
    run = load_run("runs/latest")                                     # after python -m training.fit
    evaluate(run, "warehouse")                                        # nats a key by model, on held-out film

The folders are the way of the data: data -> model -> analysis -> loop. These names load what they need when they are
first asked for: importing a part of the trainer does not import torch for it.
"""

import os
from typing import TYPE_CHECKING, Any

# Threads that spin while they wait for each other take a shared machine's processors from whoever they wait for: beside
# three busy processes on two cores, a convolution and its gradient took 1.6 to 6 times as long (LOG.md). Read by
# OpenMP when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

if TYPE_CHECKING:
    from training.api import Batch, FittedRun, evaluate, load_run, windows

__all__ = ["Batch", "FittedRun", "evaluate", "load_run", "windows"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from training import api

    return getattr(api, name)
