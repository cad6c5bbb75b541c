"""Film repositories: `python -m flows.harvest --repo PATH_OR_URL [--repo …]`.

Works without any server: a pool of processes films (`pipeline.pool`). Where a Prefect server is named and answers, or
with --prefect, the same functions run as a Prefect flow, which its UI shows. Running it again does nothing for what is
filmed, appends what is new, and goes on where an interrupted run stopped. Exit code 2 and one line on bad input, 130
and one line when interrupted.
"""

import argparse
import contextlib
import importlib
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.markup import escape

from flows import address
from flows import console as shown
from flows.status import write_status_page
from pipeline import temporary
from pipeline.crawl.listing import read_list
from pipeline.harvester import AUTHOR_KEY, HarvestConfig, Outcome, author_setting, check_sources, finished
from pipeline.messages import pasteable, printable
from pipeline.pool import interruption, process
from pipeline.pool.groups import Grouping
from pipeline.pool.overview import Observer, Overview, observed
from pipeline.pool.run import Kind, film_all
from pipeline.pool.status import StatusFolder
from schema.config import ReplayConfig
from schema.editors import Editor, Motion
from schema.errors import ConfigError, GitreelError
from schema.geometry import Geometry
from schema.output import clear_output

Model = TypeVar("Model", bound=BaseModel)
OK, BAD_INPUT, INTERRUPTED = 0, 2, interruption.INTERRUPTED


class NameOfLast(argparse.Action):
    """`--repo PATH --name NAME`: keeps PATH -> NAME."""

    def __call__(
        self, parser: argparse.ArgumentParser, options: argparse.Namespace, value: object, flag: str | None = None
    ) -> None:
        """Give the name to the last repository named so far."""
        if not options.repo:
            parser.error(f"{flag} {value}: name the repository before it: --repo PATH_OR_URL {flag} {value}")
        if (first := (options.name or {}).get(options.repo[-1], value)) != value:
            parser.error(f"{flag} {value}: --repo {options.repo[-1]} has a name already: {first}")
        options.name = {**(options.name or {}), options.repo[-1]: str(value)}


def parser() -> argparse.ArgumentParser:
    """The command's flags; help texts say units and defaults."""
    flags = argparse.ArgumentParser(
        prog="python -m flows.harvest",
        description="Film git histories and store them in a warehouse.",
        epilog="Environment: GITHUB_TOKEN (private repositories), GITREEL_AUTHOR_KEY (author ids, hashed with it).",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = flags.add_argument
    add("--repo", action="append", default=[], metavar="PATH_OR_URL", help="repository; may be repeated")
    add("--name", action=NameOfLast, metavar="NAME",
        help="name in the warehouse of the --repo before it; default: owner/name, or the folder's name")  # fmt: skip
    add(
        "--repos-from",
        metavar="FILE",
        help="file with one repository a line; a '#' at its start, or behind a blank, starts a comment",
    )
    add("--warehouse", default="warehouse", help="folder, or s3://bucket/prefix")
    unset = argparse.SUPPRESS  # what is given by its flag and by --set must agree, a default need not
    add("--geometry", default=unset, metavar="ROWSxCOLS", help="screen size, cells (default: 24x80)")
    add("--editor", choices=get_args(Editor), default=unset, help="editor that files are edited in (default: vim)")
    add("--motion", choices=get_args(Motion), default=unset,
        help="how nano's cursor goes: by words, lines and line numbers too, or one place at a time (default: jumps)",
    )  # fmt: skip
    add("--workers", type=number, default=0, help="repositories at a time; 0: one a core")
    add("--runner", choices=("auto", "threads", "processes", "dask"), default="auto",
        help="where workers run; auto: processes when there are several")  # fmt: skip
    add("--dask-address", default="", help="scheduler of an existing Dask cluster")
    add("--prefect", action=argparse.BooleanOptionalAction,
        help="as a Prefect flow, seen in its UI; by default where a Prefect server is named and answers")  # fmt: skip
    add("--group", action="append", default=[], metavar="NAME=VALUE",
        help="how small repositories share a task of Prefect's: " + ", ".join(Grouping.model_fields)
        + "; repositories=1: none does")  # fmt: skip
    add("--cache", default="", help="folder of clones; empty: ~/.cache/gitreel/clones")
    add("--cache-bytes", type=int, default=32 << 30, help="bytes of clones kept")
    add("--max-clone-bytes", type=int, default=4 << 30, help="bytes; a larger clone is killed")
    add("--timeout", type=float, default=3600.0, help="seconds a fetch may take")
    add("--retries", type=number, default=0, help="times to try an unreachable URL again")
    add("--protocol", action="append", default=[], choices=("ssh", "file"), help="allowed besides https")
    add("--http-host", action="append", default=[], help="host that plain http may be used with")
    add("--licence", action="append", default=[], metavar="SPDX", help="allow this licence too")
    add("--allow-unknown-licence", action="store_true", help="film URLs without a known licence too")
    add("--opt-out", action="append", default=[], metavar="OWNER", help="owner, or owner/name, never filmed")
    add("--replace", action="append", default=[], metavar="NAME",
        help="let a history with another root take the place of this repository's film")  # fmt: skip
    add("--report", type=Path, metavar="FILE", help="also write what became of each repository, as JSON")
    add("--html", type=Path, metavar="FILE", help="also keep a page: rate, time left, failures by reason, refreshed")
    add("--set", action="append", default=[], metavar="NAME=VALUE",
        help="a replay setting: " + ", ".join(ReplayConfig.model_fields))  # fmt: skip
    return flags


def number(text: str) -> int:
    """A flag's whole number from 0 on. argparse names the flag in the error."""
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r}: write a whole number, 0 or more")
    return int(text)


def configured(options: argparse.Namespace) -> HarvestConfig:
    """The flags as one validated config. Raises ConfigError."""
    if options.report and (options.report.is_dir() or not options.report.absolute().parent.is_dir()):
        raise ConfigError(f"--report {options.report}: no file can be made there; name one in a folder that exists")
    if options.html and options.html.suffix != ".html":
        raise ConfigError(f"--html {options.html}: a page's name ends in .html, for example harvest.html")
    if options.dask_address and options.runner != "dask":
        raise ConfigError(f"--dask-address {options.dask_address}: only --runner dask asks it; add that")
    values: dict[str, Any] = {
        "warehouse": options.warehouse, "cache": options.cache, "replay": replay_settings(options),
        "allow_unknown_licence": options.allow_unknown_licence, "opt_out": tuple(options.opt_out),
        "names": options.name or {}, "replace": tuple(options.replace),
        "clone": {
            "protocols": ("https", *options.protocol), "http_hosts": tuple(options.http_host),
            "timeout_seconds": options.timeout, "max_bytes": options.max_clone_bytes,
            "cache_bytes": options.cache_bytes,
        },
    }  # fmt: skip
    if options.licence:
        values["licences"] = (*HarvestConfig.model_fields["licences"].default, *options.licence)
    return validated(HarvestConfig, values)


def replay_settings(options: argparse.Namespace) -> dict[str, Any]:
    """What --set, flags of their own and the environment say of the film. Raises ConfigError where they disagree."""
    replay: dict[str, Any] = settings("--set", options.set, "max_file_bytes=65536")
    said: list[tuple[str, str, object]] = []
    given = vars(options)
    if "geometry" in given:
        geometry = Geometry.parse(options.geometry)
        said += [(f"--geometry {options.geometry}", name, value) for name, value in geometry._asdict().items()]
    said += [(f"--{name} {given[name]}", name, given[name]) for name in ("editor", "motion") if name in given]
    said += [(AUTHOR_KEY, name, value) for name, value in author_setting().items()]
    for by, name, value in said:
        if str(replay.setdefault(name, value)) != str(value):
            raise ConfigError(f"{by} and --set {name}={replay[name]} disagree; give only one of them")
    return replay


def grouping(options: argparse.Namespace) -> Grouping:
    """How small repositories share a task of Prefect's. Raises ConfigError."""
    return validated(Grouping, settings("--group", options.group, "repositories=1"))


def settings(flag: str, texts: Sequence[str], example: str) -> dict[str, str]:
    """The NAME=VALUE of a flag that may be repeated. Raises ConfigError."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise ConfigError(f"{flag} {text}: write NAME=VALUE, for example {flag} {example}")
        if found.setdefault(name, value) != value:
            raise ConfigError(f"{flag} {text} and {flag} {name}={found[name]} disagree; give only one of them")
    return found


def validated(kind: type[Model], values: dict[str, Any]) -> Model:
    """A model of these values. Raises ConfigError with the first that does not hold."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "settings"
        said = "unknown setting" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
        words = f"{name}: {said}; see: python -m flows.harvest --help"
    raise ConfigError(words)  # not from pydantic's, which would keep modules alive that complain at the end


def named_repositories(options: argparse.Namespace) -> list[str]:
    """--repo and --repos-from, in order, each once. Raises ConfigError."""
    names = list(options.repo)
    if options.repos_from:
        names += read_list(options.repos_from, "--repos-from")
        if not names:
            raise ConfigError(f"--repos-from {options.repos_from}: no repository in it; write one path or URL a line")
    for name in names:
        if name.encode("utf-8", "replace").decode() != name:  # other bytes: no flow's parameter holds them
            link = f"ln -s {pasteable(name)} NAME"
            raise ConfigError(f"repository {printable(name)}: not a UTF-8 name; link it under another one: {link}")
    return list(dict.fromkeys(name for name in names if name))


class Harvest:
    """One run of the command: its work, for the thread that no signal reaches, and how that work is ended."""

    def __init__(self, options: argparse.Namespace, console: Console) -> None:
        self.options, self.console = options, console
        self.status: StatusFolder | None = None
        self.named: list[str] = []
        self.begun = False

    def work(self) -> list[Outcome]:
        """Film what is named. Raises GitreelError."""
        self.status = status = StatusFolder()
        try:
            return self._work(status)
        finally:
            status.remove()

    def _work(self, status: StatusFolder) -> list[Outcome]:
        config, group = configured(self.options), grouping(self.options)
        self.named = list(check_sources(named_repositories(self.options), config))
        if outcomes := finished(self.named, config):
            self._write_finished(outcomes, status, config)
            return outcomes
        workers = min(self.options.workers or os.cpu_count() or 1, len(self.named))
        kind: Kind = self.options.runner
        if self.options.runner == "auto":
            kind = "processes" if workers > 1 else "threads"
        if self._as_flow():
            return self._flow(status, config, kind, workers, group)
        with self._shown(status, config):
            return film_all(
                self.named, config, status, runner=kind, workers=workers,
                dask_address=self.options.dask_address, retries=self.options.retries,
            )  # fmt: skip

    def _as_flow(self) -> bool:
        """Whether Prefect runs it: as asked for, else where a server is named and answers."""
        if self.options.prefect is not None:
            return bool(self.options.prefect)
        named = address.named()
        if named is None or address.answers(named.url):
            return named is not None
        if named.by not in address.FILES:  # those of this folder name one for whoever starts it, today or not
            self.console.print(f"Prefect: none answers at {named.url} ({named.by}); filming without it", soft_wrap=True)
        return False

    def _flow(
        self, status: StatusFolder, config: HarvestConfig, kind: Kind, workers: int, group: Grouping
    ) -> list[Outcome]:
        from flows.server import prefect_api

        with prefect_api(meanwhile=lambda: importlib.import_module("flows.flow")) as url:
            from flows.flow import harvest_local
            from flows.runner import task_runner

            if self.console.is_terminal:
                self.console.print(f"Prefect: {url.removesuffix('/api')}", soft_wrap=True)
            run = harvest_local.with_options(task_runner=task_runner(kind, workers, self.options.dask_address))
            process.start_tracker()
            with self._shown(status, config):
                results = run(
                    self.named, retries=self.options.retries, status_folder=str(status.folder), config=config,
                    grouping=group,
                )  # fmt: skip
        return [Outcome.model_validate(result) for result in results]

    def _write_finished(self, outcomes: Sequence[Outcome], status: StatusFolder, config: HarvestConfig) -> None:
        """The page, where one is asked for, of a harvest that has nothing to do."""
        if self.options.html:
            for place, outcome in enumerate(outcomes):
                status.end(place, outcome)
            now = Observer(status, self.named).look()
            write_status_page(now, config.warehouse, self.options.html, last=True)

    @contextlib.contextmanager
    def _shown(self, status: StatusFolder, config: HarvestConfig) -> Iterator[None]:
        """Bars here, and a page where one is asked for, until the block ends. Raises WarehouseError (no page)."""

        def show(now: Overview, last: bool) -> None:
            write_status_page(now, config.warehouse, self.options.html, last=last)

        with contextlib.ExitStack() as shows:
            shows.enter_context(shown.bars(self.console, self.named, status))
            if self.options.html:
                shows.enter_context(observed(status, self.named, show))
            self.begun = True
            yield

    def stop(self) -> bool:
        """Ask the work to end soon; False where nothing has begun that would have to."""
        if self.status:
            self.status.stop()
        return self.begun

    def clear(self) -> None:
        """End what was started, before this process ends at once."""
        process.end_all()
        temporary.remove_all()


def write_report(outcomes: Sequence[Outcome], report: Path) -> str:
    """Write what became of each repository; why that cannot be done, or ""."""
    try:
        report.write_text(json.dumps({"repositories": [outcome.model_dump() for outcome in outcomes]}, indent=2) + "\n")
    except OSError as error:  # a full disk: what was filmed is stored all the same
        return (
            f"--report {report}: cannot be written ({error.strerror}); all film is stored: run the same command again "
            "with another file"
        )
    return ""


@clear_output
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit code. Call it in the main thread."""
    options = parser().parse_args(arguments)
    console, errors = Console(highlight=False), Console(stderr=True, highlight=False, soft_wrap=True)
    started = time.monotonic()
    harvest = Harvest(options, console)
    supervised = interruption.Supervised(harvest.work, stop=harvest.stop, clear=harvest.clear)
    try:
        outcomes = supervised.run()
    except Exception as error:
        if supervised.interrupted:
            errors.print(interruption.LINE)
            return INTERRUPTED
        if not isinstance(error, GitreelError):
            raise
        errors.print(escape(str(error)))
        return BAD_INPUT
    unwritten = write_report(outcomes, options.report) if options.report else ""
    if supervised.interrupted:
        errors.print(shown.interrupted(outcomes, len(harvest.named)))
        return INTERRUPTED
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    if len(failed) < len(outcomes):
        console.print(shown.closing_table(outcomes, time.monotonic() - started))
        for line in shown.reasons([outcome for outcome in outcomes if outcome not in failed]):
            console.print(escape(line), soft_wrap=True)
        console.print(shown.verdict(outcomes))
    for line in [*(outcome.reason for outcome in failed), *([unwritten] if unwritten else [])]:
        errors.print(escape(line))
    if failed or unwritten:
        return BAD_INPUT
    return INTERRUPTED if any(outcome.status == "partial" for outcome in outcomes) else OK


if __name__ == "__main__":
    others = "prefect" in sys.modules  # a program that runs this module inside of itself goes on
    code = main()
    if "prefect" in sys.modules and not others:
        # All is stored, reported and ended. Unloading the libraries is left out: where a thread of Prefect's still
        # holds a frame, DuckDB's binding prints forty lines about it.
        temporary.remove_all()
        os._exit(code)
    sys.exit(code)
