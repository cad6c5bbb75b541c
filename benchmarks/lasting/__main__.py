"""A harvest that lasts: a simulated GitHub, two workers of a Prefect work pool that are killed now and then, an hour.

    python -m benchmarks.lasting                          5,000 repositories, an hour, three kills
    python -m benchmarks.lasting --quick --json           two minutes; the last line is JSON
    python -m benchmarks.lasting --folder FOLDER          keep samples.csv, the warehouse and Prefect's logs there

The repositories are made by code, two to four commits each, and harvested by runs of the deployment harvest/github (by
search, by owner and by name) as prefect.yaml says: a work pool, `prefect worker start` twice, four runs at a time.
When all have been harvested the first come again, a tenth of them with a new commit. The simulated GitHub speaks the
API and git's smart HTTP, fails now and then, limits rates, and has repositories that no harvest can have. In turn,
kills (SIGKILL) strike a worker, a flow run with its processes, and a worker with its flow runs; a worker is started
again after ten seconds, and a flow run that crashed is run again with the same parameters.

In the end every repository must be complete, its steps equal to a recording made without Prefect (--compare of them, by
chance), or be in the record with the reason that the simulation gave it; and what the page of each flow run said,
meanwhile and in the end, must be what the warehouse held.

rate_spread is that of visits a second in the three thirds of the time: the largest less the smallest, over the mean.
"""

import argparse
import signal
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.lasting import proof, samples
from benchmarks.lasting.github import SimulatedGitHub
from benchmarks.lasting.harvest import Lasting
from benchmarks.lasting.service import Service
from benchmarks.report import finish, header, parser, positive, table
from pipeline.warehouse.build import build
from schema.errors import clear_errors

QUICK_REPOSITORIES, QUICK_MINUTES, QUICK_COMPARE = 60, 1.0, 20


@clear_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns 0 where nothing was lost or stands twice, pages were true and no run failed."""
    flags = parser(__doc__)
    flags.add_argument("--repositories", type=positive, default=5000)
    flags.add_argument("--minutes", type=float, default=60.0, help="after that, no further runs are begun")
    flags.add_argument("--workers", type=positive, default=2)
    flags.add_argument("--kills", type=int, default=3)
    flags.add_argument("--compare", type=int, default=1000, help="repositories, by chance; 0: all")
    flags.add_argument("--seed", type=int, default=0)
    flags.add_argument("--folder", type=Path, help="a new folder, which stays; default: a temporary one")
    options = flags.parse_args(arguments)
    if options.quick:
        options.repositories = min(options.repositories, QUICK_REPOSITORIES)
        options.minutes, options.compare = min(options.minutes, QUICK_MINUTES), QUICK_COMPARE
    if options.repositories < 20 or options.kills < 0 or options.minutes <= 0:
        flags.error("--repositories: 20 or more; --kills: 0 or more; --minutes: more than 0")
    if options.folder and options.folder.exists() and any(options.folder.iterdir()):
        flags.error(f"--folder {options.folder}: name a new folder, or an empty one")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that everything that was started ends
    with tempfile.TemporaryDirectory(prefix="gitreel-lasting-") as folder:
        return run(options, (options.folder or Path(folder)).absolute())


def run(options: argparse.Namespace, folder: Path) -> int:
    """Harvest, prove and print."""

    def say(line: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)

    settings = {name: getattr(options, name) for name in ("repositories", "minutes", "workers", "kills", "seed")}
    print(header("lasting", ["prefect", "duckdb", "pyarrow"], **settings))
    folder.mkdir(parents=True, exist_ok=True)
    github = SimulatedGitHub(folder, options.repositories, options.seed)
    github.make()
    say(f"made {options.repositories:,} repositories in {len(github.groups)} groups")
    with github.hub, Service(folder) as service:
        lasting = Lasting(github, service, folder, say, seed=options.seed)
        lasting.last(60 * options.minutes, options.workers, options.kills)
        still = lasting.left_running()
    build(lasting.warehouse)
    groups = {asked.group.name: asked.group for asked in lasting.asked.values()}
    known = {name: reason for group in groups.values() for name, reason in github.record(group).items()}
    wanted = {name: known[name] for name in known if name.split("/")[0] in lasting.whole}
    unsure = {name for cut in lasting.cut for name in github.pushed.get(cut, ())}  # with the new commit, or without
    picked = proof.chosen(sorted(lasting.complete() - unsure), options.compare, options.seed)
    say(f"recording {len(picked)} repositories without Prefect")
    direct = proof.record_directly({name: github.hub.git_dirs[name] for name in picked}, folder / "direct")
    found = proof.prove(lasting.warehouse, wanted, known, lasting.failed, direct)
    for line in [
        *found.lost,
        *found.doubled,
        *lasting.untrue,
        *lasting.fell,
        *(f"{name}: shown as running for ever" for name in still),
    ]:
        print(f"WRONG {line}")
    rows = lasting.table.rows
    figures: dict[str, object] = {
        **samples.figures(rows),
        "seconds": rows[-1].seconds, "repositories": len(wanted),
        "cut_short": len(lasting.cut), "visits": rows[-1].visits,
        "complete": rows[-1].complete, "refused": rows[-1].refused, "steps": rows[-1].steps,
        "flow_runs": len(lasting.asked), "kills": lasting.kills, "compared": found.compared,
        "lost": len(found.lost), "doubled": len(found.doubled), "failures": len(lasting.failed),
        "api_faults": rows[-1].api_faults, "git_faults": rows[-1].git_faults, "rate_limits": rows[-1].rate_limits,
        "pages_looked_at": lasting.looked, "pages_wrong": len(lasting.untrue), "runs_failed": len(lasting.fell),
        "progress_page_true": not lasting.untrue,
        "left_running": len(still), "never_begun": lasting.never_begun,
    }  # fmt: skip
    samples.write_summary(folder / "summary.csv", figures)
    print(table(["figure", "value"], [[name, str(value)] for name, value in figures.items()]))
    finish(figures, options.json)
    return 0 if not (found.lost or found.doubled or lasting.untrue or lasting.fell or still) else 1


if __name__ == "__main__":
    raise SystemExit(main())
