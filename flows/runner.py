"""Where tasks run: threads, processes or Dask, chosen by the process's environment.

GITREEL_RUNNER   threads | processes | dask      default: processes
GITREEL_WORKERS  repositories at a time           default: one a core
GITREEL_DASK     address of a Dask scheduler      default: a local cluster
"""

import logging
import os
from typing import Any, get_args

from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner

from flows.unread import outlive_reader
from pipeline.pool import worker
from pipeline.pool.run import Kind
from schema.errors import ConfigError


def configured_runner() -> TaskRunner[Any]:
    """The runner that the environment asks for. Raises ConfigError."""
    kind = os.environ.get("GITREEL_RUNNER", "processes")
    workers = os.environ.get("GITREEL_WORKERS", "") or str(os.cpu_count() or 1)
    if kind not in get_args(Kind) or not workers.isdigit() or int(workers) < 1:
        raise ConfigError(
            f"GITREEL_RUNNER={kind} GITREEL_WORKERS={workers}: write threads, processes or dask, and a number from 1"
        )
    return task_runner(kind, int(workers), os.environ.get("GITREEL_DASK", ""))


def task_runner(kind: str, workers: int, dask_address: str = "") -> TaskRunner[Any]:
    """The task runner by name. Raises ConfigError when Dask is asked for and not installed."""
    if kind == "threads":
        return ThreadPoolTaskRunner(max_workers=workers)
    if kind == "processes":
        return ProcessPoolTaskRunner(max_workers=workers, initializer=_begin)
    try:
        from prefect_dask.task_runners import DaskTaskRunner
    except ImportError:
        raise ConfigError("task runner dask: not installed; run: pip install -e '.[dask]'") from None
    logging.getLogger("distributed").setLevel(logging.ERROR)
    runner: TaskRunner[Any]
    if dask_address:
        runner = DaskTaskRunner(address=dask_address)
    else:
        runner = DaskTaskRunner(cluster_kwargs={"n_workers": workers, "threads_per_worker": 1})
    return runner


def _begin() -> None:
    """What a process that films does first."""
    worker.begin()
    outlive_reader()
