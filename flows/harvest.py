"""Film repositories: `python -m flows.harvest --repo PATH_OR_URL [--repo …]`.

Works without any server: Prefect's API is started for the command and ended with it. Running it again does nothing for
what is filmed, appends what is new, and goes on where an interrupted run stopped. Exit code 2 and one line on bad
input.
"""

import argparse
import contextlib
import hashlib
import importlib
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from flows import console as shown
from flows.board import Board
from flows.server import prefect_api
from pipeline.crawl.listing import read_list
from pipeline.harvester import AUTHOR_KEY, HarvestConfig, Outcome, check_sources, finished
from pipeline.messages import pasteable, printable
from schema.config import ReplayConfig
from schema.errors import ConfigError, GitreelError
from schema.geometry import Geometry

OK, BAD_INPUT, INTERRUPTED = 0, 2, 130


class NameOfLast(argparse.Action):
    """`--repo PATH --name NAME`: keeps PATH -> NAME."""

    def __call__(
        self, parser: argparse.ArgumentParser, options: argparse.Namespace, value: object, flag: str | None = None
    ) -> None:
        """Take the name for the last repository named so far."""
        if not options.repo:
            parser.error(f"{flag} {value}: name the repository before it: --repo PATH_OR_URL {flag} {value}")
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
    add("--geometry", default="24x80", metavar="ROWSxCOLS", help="screen size, cells")
    add("--workers", type=int, default=0, help="repositories at a time; 0: one a core")
    add("--runner", choices=("auto", "threads", "processes", "dask"), default="auto",
        help="where workers run; auto: processes when there are several")  # fmt: skip
    add("--dask-address", default="", help="scheduler of an existing Dask cluster")
    add("--cache", default="", help="folder of clones; empty: ~/.cache/gitreel/clones")
    add("--cache-bytes", type=int, default=32 << 30, help="bytes of clones kept")
    add("--max-clone-bytes", type=int, default=4 << 30, help="bytes; a larger clone is killed")
    add("--timeout", type=float, default=3600.0, help="seconds a fetch may take")
    add("--retries", type=int, default=0, help="times to try an unreachable URL again")
    add("--protocol", action="append", default=[], choices=("ssh", "file"), help="allowed besides https")
    add("--http-host", action="append", default=[], help="host that plain http may be used with")
    add("--licence", action="append", default=[], metavar="SPDX", help="allow this licence too")
    add("--allow-unknown-licence", action="store_true", help="film URLs without a known licence too")
    add("--opt-out", action="append", default=[], metavar="OWNER", help="owner, or owner/name, never filmed")
    add("--replace", action="append", default=[], metavar="NAME",
        help="let a history with another root take the place of this repository's film")  # fmt: skip
    add("--report", type=Path, metavar="FILE", help="also write what became of each repository, as JSON")
    add("--set", action="append", default=[], metavar="NAME=VALUE",
        help="a replay setting: " + ", ".join(ReplayConfig.model_fields))  # fmt: skip
    return flags


def configured(options: argparse.Namespace) -> HarvestConfig:
    """The flags as one validated config. Raises ConfigError."""
    if options.report and (options.report.is_dir() or not options.report.absolute().parent.is_dir()):
        raise ConfigError(f"--report {options.report}: no file can be made there; name one in a folder that exists")
    geometry = Geometry.parse(options.geometry)
    replay: dict[str, Any] = {"rows": geometry.rows, "cols": geometry.cols}
    for text in options.set:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set {text}: write NAME=VALUE, for example --set max_file_bytes=65536")
        replay[name.strip()] = value.strip()
    replay |= author_setting()
    values: dict[str, Any] = {
        "warehouse": options.warehouse, "cache": options.cache, "replay": replay,
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
    try:
        return HarvestConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "settings"
        raise ConfigError(f"{name}: {first['msg']}; see: python -m flows.harvest --help") from None


def author_setting() -> dict[str, str]:
    """With GITREEL_AUTHOR_KEY set, author ids are stored, hashed with it; its own hash becomes part of the settings."""
    key = os.environ.get(AUTHOR_KEY, "")
    return {"author_key_hash": hashlib.sha256(key.encode()).hexdigest()} if key else {}


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


def harvest(named: list[str], config: HarvestConfig, options: argparse.Namespace, console: Console) -> list[Outcome]:
    """Run the flow with bars. Raises GitreelError."""
    workers = min(options.workers or os.cpu_count() or 1, len(named))
    runner = options.runner
    if runner == "auto":
        runner = "processes" if workers > 1 else "threads"
    board = Board()
    try:
        with prefect_api(meanwhile=lambda: importlib.import_module("flows.flow")):
            from flows.flow import harvest_local
            from flows.runner import task_runner

            run = harvest_local.with_options(task_runner=task_runner(runner, workers, options.dask_address))
            with shown.bars(console, named, board):
                results = run(named, retries=options.retries, board=str(board.folder), config=config)
        return [Outcome.model_validate(result) for result in results]
    finally:
        shutil.rmtree(board.folder, ignore_errors=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit code."""
    options = parser().parse_args(arguments)
    console, errors = Console(highlight=False), Console(stderr=True, highlight=False, soft_wrap=True)
    started = time.monotonic()
    try:
        config = configured(options)
        named = list(check_sources(named_repositories(options), config))
        outcomes = finished(named, config) or harvest(named, config, options, console)
    except GitreelError as error:
        errors.print(escape(str(error)))
        return BAD_INPUT
    except KeyboardInterrupt:
        errors.print("interrupted; run the same command again to go on")
        return INTERRUPTED
    if options.report:
        options.report.write_text(
            json.dumps({"repositories": [outcome.model_dump() for outcome in outcomes]}, indent=2) + "\n"
        )
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    if len(failed) < len(outcomes):
        console.print(shown.closing_table(outcomes, time.monotonic() - started))
        for line in shown.reasons([outcome for outcome in outcomes if outcome not in failed]):
            console.print(escape(line), soft_wrap=True)
        console.print(shown.verdict(outcomes))
    for outcome in failed:
        errors.print(escape(outcome.reason))
    if failed:
        return BAD_INPUT
    return INTERRUPTED if any(outcome.status == "partial" for outcome in outcomes) else OK


if __name__ == "__main__":
    code = 1
    with contextlib.suppress(BrokenPipeError):
        code = main()
        sys.stdout.flush()
        sys.stderr.flush()
    # All is stored and every process of ours has ended. Taking the libraries apart is left out: where a thread of
    # Prefect's still holds a frame, DuckDB's binding prints forty lines about it.
    os._exit(code)
