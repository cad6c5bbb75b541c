"""Prefect wiring: flows, deployments and the command line. The work itself is in `pipeline`.

flows.harvest   the command: python -m flows.harvest --repo PATH_OR_URL
flows.serve     the deployments harvest/github and harvest/local, served by one command
flows.flow      the two flows and their task: one repository
flows.worker    a worker process, and its end
flows.board     progress between the workers and whoever watches, across threads, processes and machines
flows.console   bars and the closing table
flows.server    Prefect's own API, started for one command when there is none
"""
