"""What a person sees: one bar a repository while it is filmed, one table at the end."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)  # fmt: skip
from rich.progress import (
    Progress as Bars,
)
from rich.table import Table
from rich.text import Text

from pipeline.harvester import Outcome
from pipeline.pool.repeating import repeated
from pipeline.pool.status import StatusFolder

POLL_SECONDS = 0.25
STATUSES = ("complete", "partial", "refused", "failed", "not begun")


class StepsRate(ProgressColumn):
    """Steps a second since the bar began to move."""

    def render(self, task: Task) -> Text:
        seconds = task.elapsed or 0.0
        rate = task.fields.get("steps", 0) / seconds if seconds else 0.0
        return Text(f"{rate:,.0f} steps/s", style="progress.data.speed")


class StoppableBars(Bars):
    """Bars that say, below, that the work has been asked to end."""

    stopping = False

    def get_renderables(self) -> Iterator[RenderableType]:
        """The bars, and what is awaited."""
        yield from super().get_renderables()
        if self.stopping:
            yield Text("storing what was filmed; Ctrl-C once more ends at once")


@contextmanager
def bars(console: Console, names: Sequence[str], status: StatusFolder) -> Iterator[None]:
    """Draw the status until the block ends: commits done of all, steps a second, remaining time, messages."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("commits"),
        StepsRate(), TimeRemainingColumn(compact=True),
    )  # fmt: skip
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    with StoppableBars(*columns, console=console, disable=not console.is_terminal) as drawn:
        rows = [drawn.add_task(escape(name), total=None, start=False, steps=0) for name in names]

        printed = 0

        def draw() -> bool:
            nonlocal printed
            for line in status.said(printed):
                printed += 1
                (console if console.is_terminal else errors).print(escape(line), soft_wrap=True)
            if not console.is_terminal:
                return True  # to look for the progress of 5,000 takes a third of a processor
            drawn.stopping = status.stopped
            for place, row in enumerate(rows):
                progress = status.read(place)
                if progress is not None:
                    if not drawn.tasks[place].started:
                        drawn.start_task(row)
                    drawn.update(row, completed=progress.done, total=progress.total, steps=progress.steps)
                    if progress.done >= progress.total:
                        drawn.stop_task(row)  # its rate stands still
            return True

        try:
            with repeated(POLL_SECONDS, draw):
                yield
        finally:
            draw()
            drawn.stopping = False


def closing_table(outcomes: Sequence[Outcome], seconds: float) -> Table:
    """Repositories, episodes, steps, new steps, bytes a frame, steps a second; their status where one is not complete.

    An owner and a name of usual length have room on a line of 80 cells.
    """
    unlike = any(outcome.status != "complete" for outcome in outcomes)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False)
    table.add_column("repository", overflow="fold")
    if unlike:
        table.add_column("status")
    for name in ("episodes", "steps", "new steps", "B/frame", "steps/s"):
        table.add_column(name, justify="right")

    def add(name: str, outcome: Outcome) -> None:
        table.add_row(escape(name), *([outcome.status] if unlike else []), *_numbers(outcome))

    for outcome in outcomes:
        add(outcome.repo_id, outcome)
    if len(outcomes) > 1:
        table.add_section()
        add(f"{len(outcomes)} repositories", totals(outcomes, seconds))
    return table


def reasons(outcomes: Sequence[Outcome]) -> list[str]:
    """What this run dropped, and why repositories were refused, filmed anew or kept as they were: one line each."""
    lines = []
    for outcome in outcomes:
        if outcome.status in ("failed", "refused"):
            lines.append(f"{outcome.status} {outcome.repo_id}: {outcome.reason}")
            continue
        if outcome.reason:
            lines.append(f"{outcome.repo_id}: {outcome.reason}")
        if outcome.drops:
            lines.append(f"dropped of {outcome.repo_id}: {drops_text(outcome.drops)}")
    return lines


def totals(outcomes: Sequence[Outcome], seconds: float) -> Outcome:
    """The sum of all, as one more outcome; its status counts theirs."""
    drops: Counter[str] = Counter()
    for outcome in outcomes:
        drops.update(outcome.drops)
    status = Counter(outcome.status for outcome in outcomes)
    return Outcome(
        repo_id="total",
        status=", ".join(f"{count} {name}" for name, count in sorted(status.items())),
        episodes=sum(o.episodes for o in outcomes),
        steps=sum(o.steps for o in outcomes),
        bytes=sum(o.bytes for o in outcomes),
        new_episodes=sum(o.new_episodes for o in outcomes),
        new_steps=sum(o.new_steps for o in outcomes),
        drops=dict(drops),
        seconds=seconds,
    )


def drops_text(drops: dict[str, int]) -> str:
    """'file binary 12, commit bot 3', most frequent first; '-' for none."""
    ordered = sorted(drops.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{rule} {count:,}" for rule, count in ordered) or "-"


def verdict(outcomes: Sequence[Outcome]) -> str:
    """One closing sentence: what changed, if anything did."""
    complete = [o for o in outcomes if o.status == "complete"]
    new = sum(o.new_episodes for o in outcomes)
    if outcomes and len(complete) == len(outcomes) and not new:
        return "Nothing to do: everything was filmed before, not a byte changed."
    sentences = [f"{new:,} new episodes, {sum(o.new_steps for o in outcomes):,} new steps."]
    replaced = [o.repo_id for o in complete if o.replaced]
    if replaced:
        sentences.append(f"Film replaced: {', '.join(replaced)}.")
    if any(o.status == "partial" for o in outcomes):
        sentences.append("Stopped early: run the same command again to go on.")
    return " ".join(sentences)


def interrupted(outcomes: Sequence[Outcome], named: int) -> str:
    """The one line of an interrupted run: what it did of the repositories named."""
    counts = Counter(outcome.status for outcome in outcomes)
    counts["not begun"] = named - len(outcomes)
    words = [f"{count} {status}" for status in STATUSES if (count := counts[status])]
    return f"interrupted ({', '.join(words)}); run the same command again to go on"


def _numbers(outcome: Outcome) -> list[str]:
    frame = f"{outcome.bytes / outcome.steps:.2f}" if outcome.steps else "-"
    rate = f"{outcome.new_steps / outcome.seconds:,.0f}" if outcome.new_steps and outcome.seconds else "-"
    return [f"{outcome.episodes:,}", f"{outcome.steps:,}", f"{outcome.new_steps:,}", frame, rate]
