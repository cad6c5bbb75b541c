"""Signals, to real processes: one line and exit code 130, an orderly end while at work, and how to insist."""

import os
import signal
import subprocess
import sys

import pytest

from pipeline.pool.interruption import LINE, Supervised

ARMED = """
from pipeline.pool import interruption
interruption.arm()
print("armed", flush=True)
import time
time.sleep(3600)
"""
SUPERVISED = """
import sys, threading, time
from pipeline.pool import interruption

interruption.arm()
if sys.argv[1] == "heeds":
    interruption.SAME_REQUEST_SECONDS = 3600  # however slow the machine is
asked = threading.Event()

def stop():
    asked.set()
    return sys.argv[1] != "nothing begun"

def work():
    print("working", flush=True)
    asked.wait()
    print("asked", flush=True)
    if sys.argv[1] == "deaf":
        time.sleep(3600)
    return "stored"

supervised = interruption.Supervised(work, stop=stop, clear=lambda: print("cleared", flush=True))
print(supervised.run(), supervised.interrupted, flush=True)
if sys.argv[1] == "lingers":
    sys.stdin.read()  # what is told at the end, and the interpreter's own end, take a while
"""


def started(script, *arguments):
    command = [sys.executable, "-c", script, *arguments]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout.readline() in ("armed\n", "working\n")
    return process


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_armed_process_says_one_line_and_ends_at_once(kind):
    process = started(ARMED)
    process.send_signal(kind)
    assert process.communicate() == ("", LINE + "\n")
    assert process.returncode == 130


def test_a_hangup_that_is_ignored_from_the_start_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        process = started(ARMED)
    finally:
        signal.signal(signal.SIGHUP, before)
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    assert process.communicate()[1] == LINE + "\n"  # of the second one alone


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_comes_while_an_interrupted_process_ends_changes_nothing(kind):
    process = started(SUPERVISED, "lingers")
    process.send_signal(kind)
    assert [process.stdout.readline() for _ in range(2)] == ["asked\n", "stored True\n"]
    process.send_signal(kind)
    assert process.communicate() == ("", "")
    assert process.returncode == 0


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_lets_the_work_end_in_order(kind):
    process = started(SUPERVISED, "heeds")
    os.kill(process.pid, kind)
    os.killpg(process.pid, kind)  # as `timeout` does: the same request
    assert process.communicate() == ("asked\nstored True\n", "")
    assert process.returncode == 0


def test_where_nothing_has_begun_the_first_one_ends_it_at_once():
    process = started(SUPERVISED, "nothing begun")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert ("cleared" in out, err, process.returncode) == (True, LINE + "\n", 130)


def test_a_later_signal_ends_work_that_does_not_heed_the_first():
    process = started(SUPERVISED, "deaf")
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "asked\n"
    while process.poll() is None:  # those within half a second of the first are one request with it
        process.send_signal(signal.SIGINT)
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
    assert process.communicate() == ("cleared\n", LINE + "\n")
    assert process.returncode == 130


def test_an_error_of_the_work_is_raised_where_it_was_started():
    def work():
        raise ValueError("of the work")

    handlers = [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with pytest.raises(ValueError, match="of the work"):
        Supervised(work, stop=lambda: True, clear=lambda: None).run()
    assert handlers == [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]


def test_no_signal_reaches_the_thread_of_the_work():
    blocked = Supervised(lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()), stop=lambda: True, clear=lambda: None)
    assert {signal.SIGINT, signal.SIGTERM, signal.SIGHUP} <= blocked.run()
