"""Prefect: deployments, tasks, artifacts, and the commands. The work itself is in `pipeline`, and runs without Prefect.

flows.harvest   the command: python -m flows.harvest --repo PATH_OR_URL
flows.serve     the deployments harvest/github and harvest/local, served by one command
flows.demo      the whole line on one repository
flows.flow      the two flows
flows.filming   the task: one repository
flows.names     what a flow run is called
flows.artifacts what a run leaves in Prefect's UI, and the token's Secret block
flows.console   bars and the closing table
flows.status    a page, and an artifact, of a harvest that runs long
flows.address   where Prefect's API is
flows.server    Prefect's own API, started for one command when there is none
flows.serving   one flows.serve at a time at one API
flows.delivery  lets Prefect send its last events and logs
flows.runner    where a flow's tasks run
flows.runs      which flow runs live on this host
"""

import sys

from pipeline.pool import interruption

if sys.argv[0] == "-m":  # python -m flows.…, whose module is being looked for: its imports may be interrupted, too
    interruption.arm()
