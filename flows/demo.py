"""The whole line on one repository: film its history, look at it, train on it. `make demo` runs this.

Two programs run one after the other, each printed as you would type it:

    python -m flows.harvest --repo REPO
    (one of its frames, shown as a screen)
    python -m training.fit --shards warehouse/ --run runs/demo-DATE --init training/start/memory-24x80.safetensors

Each demo writes into a folder of its own and says which; an earlier demo's stays as it is.
"""

import argparse
import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Any

from pipeline.crawl.source import parse_source
from pipeline.example import make_example
from pipeline.git.repository import open_repository
from pipeline.messages import pasteable
from pipeline.pool import interruption
from pipeline.watch.recording import RecordedStep, screens
from pipeline.watch.stored import find_recording
from schema.actions import action_name
from schema.errors import ConfigError, SourceError, clear_errors
from schema.folders import make_dated_folder
from schema.screen import safe

RUNS, PREFIX = Path("runs"), "demo-"
# Weights trained on seven other repositories: two minutes are too few for a model that begins with nothing.
START = Path(__file__).resolve().parents[1] / "training" / "start" / "memory-24x80.safetensors"
BASELINES = {  # loss_NAME in the run's summary, and what it is called
    "unigram": "unigram", "counts_4": "order-4 counts of keys", "frame_only": "frame-only", "keys_only": "keys-only",
    "counts": "counts of the best order",
}  # fmt: skip
FEW_STEPS = 50_000  # of film; below, a model has little to learn that counts of keys do not have
FEWEST = 20  # commits; a shorter history is too little to train on


def usable(repo: str) -> str | None:
    """Why a folder's history cannot be the demo's, or None. URLs are taken as they are."""
    folder = Path(repo)
    if not folder.is_dir():
        return None
    try:
        repository = open_repository(folder)
        counted = repository.ask("rev-list", "--count", repository.commit())
    except SourceError as error:
        return str(error)
    count = int(counted.stdout or 0)
    return f"{folder.resolve().name}: it has {count} commits, fewer than {FEWEST}" if count < FEWEST else None


def run_program(*arguments: str) -> None:
    """Run one of our programs, shown first; its failure is the demo's, and so is its end when interrupted."""
    print(f"\n$ python {' '.join(arguments)}", flush=True)
    program = subprocess.Popen([sys.executable, *arguments])

    def pass_on(number: int, frame: FrameType | None) -> None:
        if number != signal.SIGINT:  # a terminal's Ctrl-C reaches the program itself
            program.send_signal(signal.SIGINT)

    with interruption.answered(pass_on):
        code = program.wait()
    if code < 0:  # ended by a signal before it could say so
        interruption.leave(interruption.LINE)
    if code:
        raise SystemExit(code)


def _fullness(step: RecordedStep) -> int:
    """Rows with text, when the next key is a visible one."""
    return sum(text not in ("", "~") for text in step.screen.texts) if step.action > 0x20 else -1


def filming_speed(film: dict[str, Any], earlier: Iterable[Path]) -> int | None:
    """Steps a second; of a repository that an earlier demo has filmed, as that demo's report has it."""
    reports = [film]
    for path in earlier:
        try:
            reports += json.loads(path.read_text())["repositories"]
        except (OSError, ValueError, KeyError):  # of a demo that was killed while it wrote
            continue
    for report in reports:
        if report["repo_id"] == film["repo_id"] and report["new_steps"] and report["seconds"]:
            return round(float(report["new_steps"]) / float(report["seconds"]))
    return None


def show_frame(warehouse: Path, repo_id: str) -> None:
    """Print the busiest screen of the first longer episode, with its cursor and the key pressed next."""
    recording = find_recording(warehouse, repo_id, 12)
    best = max(screens(recording), key=_fullness)
    chapter = next(c for c in recording.chapters if c.episode == best.episode)
    rows, cols = recording.geometry
    print(f"\nOne of its frames, {rows} x {cols} (commit {chapter.commit[:12]}, {safe(chapter.subject)}):")
    print("┌" + "─" * cols + "┐")
    for y, text in enumerate(best.screen.texts):
        shown = safe(text).ljust(cols)
        if y == best.screen.cursor_row:
            x = best.screen.cursor_col
            shown = f"{shown[:x]}\x1b[7m{shown[x : x + 1]}\x1b[0m{shown[x + 1 :]}"
        print(f"│{shown}│")
    print("└" + "─" * cols + "┘")
    print(f"the key pressed next: {action_name(best.action)}", flush=True)


@clear_errors
def main(arguments: list[str] | None = None) -> int:
    """Command line; the exit code is 2 after a clear error."""
    parser = argparse.ArgumentParser(prog="python -m flows.demo", description=__doc__.splitlines()[0])
    parser.add_argument("--repo", default=".", help="a repository's folder or URL (default: this one)")
    parser.add_argument("--warehouse", default="warehouse", help="folder to film into (default: warehouse)")
    parser.add_argument("--minutes", type=float, default=2.0, help="training time, minutes of CPU (default 2)")
    options = parser.parse_args(arguments)
    if not 0 < options.minutes < math.inf:
        raise ConfigError(f"--minutes {options.minutes:g}: a number above 0")
    if "://" not in options.repo:
        parse_source(options.repo)  # before anything is made
    started = time.monotonic()
    try:
        run = make_dated_folder(RUNS, PREFIX)
    except OSError as error:
        print(f"gitreel: {RUNS}: {error.strerror}; run the demo where you may write", file=sys.stderr)
        return 2
    print(f"this demo's folder: {run}/")
    repo, warehouse = options.repo, Path(options.warehouse)
    why = usable(repo)
    if why:
        print(f"{why}; using a small repository made with git instead")
        repo = str(make_example(run / "example"))
    report = run / "harvest.json"
    run_program("-m", "flows.harvest", "--repo", repo, "--warehouse", str(warehouse), "--report", str(report))
    film = json.loads(report.read_text())["repositories"][0]
    repo_id = film["repo_id"]
    show_frame(warehouse, repo_id)
    run_program(
        *("-m", "training.fit", "--shards", f"{warehouse}/", "--repo", repo_id, "--run", str(run)),
        *("--minutes", str(options.minutes), "--init", str(START)),
    )
    fit = json.loads((run / "summary.json").read_text())
    summary = {
        "steps": film["steps"],
        "episodes": film["episodes"],
        "bytes_per_frame": round(film["bytes"] / max(1, film["steps"]), 2),
        "steps_per_second": filming_speed(film, sorted(RUNS.glob(f"{PREFIX}*/harvest.json"), reverse=True)),
        **{f"loss_{name}": fit[f"loss_{name}"] for name in ("first", "last", *BASELINES, "mixed")},
    }
    (run / "demo.json").write_text(json.dumps(summary, indent=2) + "\n")
    print(f"\n{time.monotonic() - started:.0f} s in all. {run}/loss.png, {run}/demo.json:")
    print(json.dumps(summary, indent=2))
    print(verdict(summary))
    of_it = "" if options.warehouse == "warehouse" else f" --warehouse {pasteable(options.warehouse)}"
    print(
        "\nFive things to try next:\n"
        f"  .venv/bin/python -m pipeline.watch {pasteable(repo_id)} --episodes 5{of_it}        # watch the film\n"
        f"  .venv/bin/python -m training.report {run}                       # what the model expects, as a page\n"
        f"  .venv/bin/python -m training.evaluate {run}\n"
        "  make demo REPO=https://github.com/pallets/itsdangerous          # another history\n"
        f"  .venv/bin/python -m training.fit --shards {pasteable(f'{warehouse}/')}           # train longer"
    )
    return 0


def verdict(summary: dict[str, Any]) -> str:
    """What the model beat and what not, plainly, and what helps where it beat little."""
    last = summary["loss_last"]
    losses = {
        words: summary[f"loss_{name}"] for name, words in BASELINES.items() if summary[f"loss_{name}"] is not None
    }
    said = {words: f"{words} {loss:.3f}" for words, loss in losses.items()}
    won, lost = ([said[words] for words, loss in losses.items() if (last < loss) is better] for better in (True, False))
    words = f"The model, begun with weights of other repositories, has {last:.3f} nats a held-out step."
    if won:
        words += f" It beat {', '.join(won)}."
    if lost:
        words += f" It did NOT beat {', '.join(lost)}."
    if (mixed := summary["loss_mixed"]) is not None:
        beaten = " and is better than everything above" if mixed < min(last, *losses.values()) else ""
        words += f" Mixed with the counts as it reads it has {mixed:.3f}{beaten}."
    if len(lost) > 1:
        few = summary["steps"] < FEW_STEPS
        small = (
            f"This history is small: {summary['steps']:,} steps are little to learn from; try a longer one with --repo."
        )
        words += f" {small if few else 'Longer training helps: --minutes 10.'}"
    return words


if __name__ == "__main__":
    sys.exit(main())
