"""A flow run that logs after its worker was killed: its lines are lost, and nothing else."""

import subprocess
import sys

import pytest

SCRIPT = """
import logging, sys, threading
from pathlib import Path
import prefect
from prefect.logging import get_logger
from prefect.logging.configuration import setup_logging
from flows.unread import outlive_reader

def log():
    for number in range(3):
        get_logger("prefect.worker").warning("line %d", number)
        logging.getLogger("other").warning("line %d", number)
    Path(sys.argv[2]).open("a").write("logged ")

setup_logging()
if sys.argv[1] == "outlived":
    outlive_reader()
get_logger("prefect.worker").warning("ready")
sys.stdin.readline()
thread = threading.Thread(target=log)
thread.start()
thread.join()
log()
"""


@pytest.mark.parametrize(("how", "logged"), [("outlived", "logged logged "), ("as it comes", "logged ")])
def test_lines_that_nobody_reads_end_no_thread(tmp_path, environment, how, logged):
    script, told = tmp_path / "script.py", tmp_path / "told"
    script.write_text(SCRIPT)
    told.touch()
    with subprocess.Popen(
        [sys.executable, str(script), how, str(told)], env=environment, cwd=tmp_path, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        while "ready" not in process.stderr.readline():
            assert process.poll() is None
        process.stdout.close()
        process.stderr.close()
        process.stdin.write("go on\n")
        process.stdin.flush()
        process.wait()
    assert told.read_text() == logged
