"""Let Prefect send the events and logs that it has not sent yet: its workers send them now and then, in the background.

A program that watches a run stops reading when the run has ended, and a server of our own ends with the command.
"""

import threading

from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker

SECONDS = 10.0  # for a server that does not take them


def deliver_events() -> None:
    """Wait until the API has every event so far."""
    # without a limit of its own, this waits for ever for a server that is gone
    waiting = threading.Thread(target=EventsWorker.instance().wait_until_empty, daemon=True)
    waiting.start()
    waiting.join(SECONDS)


def deliver_logs() -> None:
    """Wait until the API has every line so far."""
    APILogWorker.drain_all(timeout=SECONDS, at_exit=False)
