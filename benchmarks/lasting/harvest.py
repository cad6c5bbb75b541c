"""The harvest itself: runs that are asked for as others end, workers that are killed and started again, samples."""

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.lasting import pages
from benchmarks.lasting.github import Group, SimulatedGitHub, failures
from benchmarks.lasting.samples import SECONDS, Sample, Streams, Table
from benchmarks.lasting.service import Run, Service, kill, memory, tree

KILLED = ("a worker", "a flow run and all its processes", "a worker, its flow runs and all their processes")
AT_A_TIME = 4  # flow runs, as prefect.yaml allows
MAX_WAIT_SECONDS = 20  # a rate limit that is longer than that ends a run, and the next one is scheduled
LONG_LIMIT_SECONDS = 30
POLL_SECONDS = 5.0  # between looks at Prefect's runs
PAGE_SECONDS = 60.0  # between looks at the pages
BACK_SECONDS = 10.0  # from a kill until somebody starts the worker again
PATIENCE_SECONDS = 120.0  # for what is under way when the time is over; then it is cancelled
AFTERMATH_SECONDS = 120.0  # after a kill: runs of a killed worker crash, and those that it had not begun stay pending
CANCEL_SECONDS = 180.0  # until a run that is cancelled has to have ended


class Asked(NamedTuple):
    """A flow run that was asked for: of which group, when, and what of it was there before."""

    group: Group
    began: float  # seconds since 1970
    steps: int  # that the warehouse had of the group
    first: bool  # of its group


class Lasting:
    """One lasting harvest. `say` gets a line for a person now and then."""

    def __init__(
        self, hub: SimulatedGitHub, service: Service, folder: Path, say: Callable[[str], None], *, seed: int
    ) -> None:
        self.hub, self.service, self.say = hub, service, say
        self.warehouse, self.random = folder / "warehouse", random.Random(seed)
        self.streams, self.table = Streams(self.warehouse), Table(folder / "samples.csv")
        self.asked: dict[str, Asked] = {}
        self.untrue: list[str] = []  # of pages
        self.fell: list[str] = []  # runs that failed or crashed, and that nobody had killed
        self.looked = self.kills = self.never_begun = 0
        self.failed: dict[str, str] = {}  # repository -> the reason that the last run of its group gave
        self.whole: set[str] = set()  # groups of which a run ended by itself
        self.cut: set[str] = set()  # groups whose last run was cancelled when the time was over
        self._waiting = list(hub.groups)  # those that are harvested next
        self._again: list[Group] = []
        self._visits: list[tuple[float, str]] = []
        self._read = 0
        self._struck = 0.0  # when something was killed last
        self._taken: set[str] = set()  # runs that were pending then
        self._cpu: dict[int, float] = {}  # by process, ended ones too
        self._faults: Counter[str] = Counter()
        self._killed_runs: set[str] = set()
        self._judged: set[str] = set()
        self._come_back: list[tuple[float, str]] = []

    def last(self, seconds: float, workers: int, kills: int) -> None:
        """Harvest for so long, and until what is under way then has ended."""
        names = [f"worker-{number}" for number in range(1, workers + 1)]
        for name in names:
            self.service.start_worker(name)
        self._began = time.time()
        due = {"sample": 0.0, "poll": 0.0, "page": PAGE_SECONDS / 2}
        strikes, cancelled = moments(self.random, seconds, kills), False
        while True:
            passed = time.time() - self._began
            if strikes and passed >= strikes[0] and self._strike(KILLED[self.kills % len(KILLED)], names):
                strikes.pop(0)
            for moment, name in [each for each in self._come_back if passed >= each[0]]:
                self._come_back.remove((moment, name))
                self.service.start_worker(name)
                self.say(f"{passed:.0f} s: started {name} again")
            if passed >= due["sample"]:
                due["sample"] += SECONDS
                self._sample(passed)
            if passed >= due["poll"]:
                due["poll"] = passed + POLL_SECONDS
                busy = self._poll(passed < seconds)
                if not busy and passed >= seconds:
                    break
            if passed >= due["page"]:
                due["page"] = passed + PAGE_SECONDS
                self._look_at_pages()
            if passed > seconds + PATIENCE_SECONDS and not cancelled:
                cancelled = True
                self._cancel()
            if passed > seconds + PATIENCE_SECONDS + CANCEL_SECONDS:
                self.say(f"{passed:.0f} s: some runs do not end")
                break
            time.sleep(0.5)
        self._sample(time.time() - self._began)

    def _poll(self, more: bool) -> bool:
        """Ask for further runs while there is time; whether any is under way, or has to be."""
        runs = self.service.runs()
        for run in runs:
            self._know(run)
        dead = [run for run in runs if run.state in ("CRASHED", "FAILED") and run.id not in self._judged]
        for run in dead:
            self._judged.add(run.id)
            if run.state == "FAILED" or time.time() - self._struck > AFTERMATH_SECONDS:
                self.fell.append(f"{run.name} ended as {run.state}: {run.message}")
            self.say(f"run {run.name} ended as {run.state}: {run.message[:100]}; it is run again")
            self._again.append(self.asked[run.id].group)
        for run in runs:
            if run.state == "COMPLETED" and run.id not in self._judged:
                self._judged.add(run.id)
                self._judge(run)
        if self._taken and time.time() - self._struck > AFTERMATH_SECONDS:
            for run in [run for run in runs if run.id in self._taken and run.state == "PENDING"]:
                self.say(f"{run.name} was taken by a worker that was killed, and never begun; it is run again")
                self.service.cancel(run.id, "CANCELLED")
                self.never_begun += 1
                self._again.append(self.asked[run.id].group)
            self._taken.clear()
            runs = self.service.runs()
        alive = [run for run in runs if not run.ended and run.id not in self._killed_runs]
        while len(alive) < AT_A_TIME and (group := self._next(more)):
            alive.append(self._ask(group))
        return bool(alive)

    def _next(self, more: bool) -> Group | None:
        """The group to harvest next; after the last one the first comes again, with new commits."""
        if self._again:
            return self._again.pop(0)
        if not more:
            return None
        busy = {self.asked[run.id].group.name for run in self.service.runs() if not run.ended and run.id in self.asked}
        for group in self._waiting:
            if group.name not in busy:
                self._waiting.remove(group)
                self._waiting.append(group)
                if any(asked.group is group for asked in self.asked.values()):
                    self.hub.push(group)
                return group
        return None

    def _cancel(self) -> None:
        """Cancel what is under way, as `prefect flow-run cancel` does: it stores what it has."""
        for run in self.service.runs():
            if not run.ended and run.id not in self._killed_runs:
                self.service.cancel(run.id)
                self.cut.add(self.asked[run.id].group.name)
                self.say(f"cancelled {run.name}")

    def _ask(self, group: Group) -> Run:
        first = all(asked.group is not group for asked in self.asked.values())
        parameters = group.parameters | {
            "limit": 100_000, "api_url": self.hub.hub.api, "warehouse": str(self.warehouse),
            "max_wait_seconds": MAX_WAIT_SECONDS, "retries": 2,
        }  # fmt: skip
        if not first:
            parameters["query"] = {"refresh_hours": 0}
        self.hub.trouble(group)
        if len(self.asked) in (2, 9):
            self.hub.limit(group, LONG_LIMIT_SECONDS)
        run = self.service.submit(parameters)
        self.asked[run] = Asked(group, time.time(), self._steps_of(group), first)
        self.say(f"asked for {group.name} ({', '.join(group.parameters)})")
        return Run(run, "", "SCHEDULED", "", parameters)

    def _know(self, run: Run) -> None:
        """Note a run that was scheduled by another one, when its rate limit ended."""
        if run.id not in self.asked:
            group = next(g for g in self.hub.groups if g.parameters.items() <= run.parameters.items())
            self.asked[run.id] = Asked(group, time.time(), self._steps_of(group), False)
            self.say(f"a rate limit: {group.name} was scheduled again")

    def _steps_of(self, group: Group) -> int:
        members, streams = set(group.members), self.streams.look()
        return sum(steps for name, (_, steps) in streams.items() if name in members)

    def _judge(self, run: Run) -> None:
        """Compare the last page of a run that ended with the record."""
        summary = self.service.artifact(run.id, "harvest-summary")
        if summary is None or not (rows := json.loads(summary["data"])):
            return  # a rate limit ended it
        group = self.asked[run.id].group
        clonable = {f"{self.hub.hub.origin}/{name}.git": name for name in self.hub.clonable(group)}
        fetched = [row for row in rows if row["repository"] in {*clonable, *clonable.values()}]
        wanted = Counter(row["status"] for row in fetched)
        page = self.service.artifact(run.id, "harvest-status")
        found = pages.wrong_in_the_end(
            pages.page_of(page) if page else None, wanted, sum(row["new steps"] for row in fetched)
        )
        streams = self.streams.look()
        for row in fetched:
            if row["status"] in ("complete", "refused"):
                status, steps = streams.get(row["repository"], ("not there", 0))
                if (status, steps) != (row["status"], row["steps"]):
                    found.append(
                        f"{row['repository']}: {row['status']} with {row['steps']} steps, stored: {status}, {steps}"
                    )
        if len(rows) != len(self.hub.record(group)):
            found.append(f"{len(rows)} rows of {len(self.hub.record(group))} repositories")
        for row in fetched:
            name = clonable.get(row["repository"], row["repository"])
            self.failed.pop(name, None)
            if row["status"] == "failed":
                self.failed[name] = row["reason"]
        self.untrue += [f"{run.name}: {line}" for line in found]
        self.looked += 1
        self.whole.add(group.name)
        self.say(f"{run.name} ended: {dict(wanted)}{' UNTRUE: ' + '; '.join(found) if found else ''}")

    def _look_at_pages(self) -> None:
        """Compare the pages of runs that are under way with the warehouse."""
        complete = self.complete()
        self._read_log()
        for run in self.service.runs():
            if run.state != "RUNNING" or run.id in self._killed_runs or run.id not in self.asked:
                continue
            artifact = self.service.artifact(run.id, "harvest-status")
            page = pages.page_of(artifact) if artifact else None
            if page is None or page.last:
                continue
            asked = self.asked[run.id]
            found = pages.wrong_meanwhile(page, asked.group.members, complete, self._visited(asked))
            self.untrue += [f"{run.name}: {line}" for line in found]
            self.looked += 1
            for line in found:
                self.say(f"UNTRUE page of {run.name}: {line}")

    def _visited(self, asked: Asked) -> Callable[[float], int]:
        members = set(asked.group.members)
        moments = sorted(moment for moment, name in self._visits if moment >= asked.began - SECONDS and name in members)
        return lambda until: sum(moment <= until for moment in moments)

    def _read_log(self) -> None:
        """Take in what the simulated GitHub has answered since the last look; moments are exact to a sample."""
        requests = self.hub.hub.requests
        end, now = len(requests), time.time()
        new = requests[self._read : end]
        self._read = end
        self._faults.update(failures(new))
        self._visits += [
            (now, path.partition(".git/info/refs")[0].lstrip("/"))
            for _, path, status in new
            if ".git/info/refs" in path and status < 429
        ]

    def _sample(self, passed: float) -> None:
        self._read_log()
        streams, processes = self.streams.look(), self.service.processes()
        states = Counter(status for status, _ in streams.values())
        used = memory(processes)
        self._cpu.update({process.id: process.cpu_seconds for process in processes})
        runs = self.service.runs()
        self.table.add(Sample(
            seconds=round(passed, 1), visits=len(self._visits), complete=states["complete"], refused=states["refused"],
            steps=sum(steps for _, steps in streams.values()),
            runs_ended=sum(run.ended for run in runs), runs_alive=sum(run.state == "RUNNING" for run in runs),
            server_mb=used["server"], worker_mb=used["worker"], flow_mb=used["flow"], film_mb=used["film"],
            processes=len(processes), files=sum(process.files for process in processes),
            api_faults=self._faults["api faults"], git_faults=self._faults["git faults"],
            rate_limits=self._faults["rate limits"], kills=self.kills,
            cpu_seconds=round(sum(self._cpu.values()), 1), load=round(os.getloadavg()[0], 2),
        ))  # fmt: skip

    def _strike(self, what: str, names: Sequence[str]) -> bool:
        """Kill something; a worker comes back a little later. False where no flow run could be hit."""
        processes = self.service.processes()
        name = self.random.choice(names)
        worker = self.service.workers[name]
        running = [run for run in self.service.runs() if run.state == "RUNNING" and run.id not in self._killed_runs]
        flows = {run.id: process for run in running if (process := self.service.flow_of(run))}
        below = set(tree(worker.pid, processes))
        if not flows:
            return False
        victims = {run: process for run, process in flows.items() if process in below} or flows
        if what == KILLED[1]:
            victims = dict([self.random.choice(sorted(victims.items()))])
        if what != KILLED[1]:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
            self._come_back.append((time.time() - self._began + BACK_SECONDS, name))
        if what != KILLED[0]:
            for run, process in victims.items():
                self._killed_runs.add(run)
                for each in tree(process, processes):
                    kill(each)
                if what == KILLED[2]:  # nobody is left to tell Prefect
                    self._again.append(self.asked[run].group)
                    self._judged.add(run)
        self.kills += 1
        self._struck = time.time()
        self._taken = {run.id for run in self.service.runs() if run.state == "PENDING"}
        self.say(f"{time.time() - self._began:.0f} s: killed {what} ({name}, {len(victims)} runs)")
        return True

    def complete(self) -> set[str]:
        """Repositories whose streams are complete now."""
        return {name for name, (status, _) in self.streams.look().items() if status == "complete"}

    def left_running(self) -> list[str]:
        """Runs that were killed, and that Prefect shows as running still."""
        return [run.name for run in self.service.runs() if run.id in self._killed_runs and not run.ended]


def moments(chance: random.Random, seconds: float, kills: int) -> list[float]:
    """When to kill: once in each equal part of the time, at random, but neither in its first nor in its last tenth."""
    part = seconds / max(1, kills)
    return [part * (number + chance.uniform(0.1, 0.9)) for number in range(kills)]
