"""Learning: what models that read the film are worth beside counts of its keys, on held-out repositories.

    python -m benchmarks.learning                                 the pinned corpus of figures/, ten CPU minutes a model
    python -m benchmarks.learning --test PATH_OR_URL --json       and a repository of your own, filmed and read as well
    python -m benchmarks.learning --models memory --minutes 60 --geometry 24x80 --save training/start
                                                                  the weights that come with the trainer, and their card
    python -m benchmarks.learning --quick                         made repositories, a minute in all

The repositories to learn from are read up to their later commit (corpus.toml's `further`, 11 M steps in all).

Four models learn on the corpus's training film, one after the other, each for the same CPU minutes of one thread:

    frame_only   the frame alone: no state, no keys     keys_only   the keys alone: no frame
    lstm         frame, previous key, LSTM              memory      the same with a memory of its own past

All are read along whole held-out streams with their state carried (training.analysis.carried) and stand beside counts
of keys: of the training film, and with the stream's own last 1,024 and 65,536 keys. `adapted`: weights that go on
learning as they read. memory_4096: trained at the preset's steps of memory, read at 4,096. Figures are nats a key.
"""

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks import report
from figures.corpus import film_all, further, own_geometry, read_corpus, warehouse_folder
from figures.rows import ROOT
from figures.streams import whole
from pipeline.example import make_example
from pipeline.harvester import HarvestConfig, harvest_repository
from schema.config import ReplayConfig
from schema.errors import ConfigError, clear_errors
from schema.geometry import Geometry
from training.analysis.adapting import AdaptConfig
from training.analysis.along import count_film, counted_losses, mixed
from training.analysis.carried import Stretch, follow, scores, stretches, truths
from training.data.carried import CarriedBatches
from training.data.splits import Segment
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader
from training.files import git_sha, write_atomically
from training.loop.config import FitConfig
from training.loop.data import choose_window
from training.loop.learner import Learner
from training.loop.optim import rate
from training.loop.plan import keep_freed_memory
from training.model.config import ModelConfig, preset
from training.model.frame_model import FrameModel
from training.model.key_counts import KeyCounts
from training.model.weights import save_weights

NAMED = ROOT.parent / "runs" / "learning"
WINDOWS = {"counts_static": 0, "counts_1024": 1024, "counts_65536": 65_536}
READ_AT = 4096  # steps of memory while held-out film is read
MODELS: dict[str, dict[str, Any]] = {
    "frame_only": {"backbone": "frame_only", "previous_key": False, "memory": 0},
    "keys_only": {"head": "none", "guesses": 0, "memory": 0},
    "lstm": {"memory": 0},
    "memory": {},
}


class Film(NamedTuple):
    """Streams to learn, to choose the counts' order with, and to be tested on; the last may lie elsewhere."""

    reader: FilmReader
    train: list[Segment]
    choosing: list[Segment]
    tests: dict[str, tuple[FilmReader, list[Segment]]]


class Trained(NamedTuple):
    """A model after its minutes."""

    model: FrameModel
    frames: int
    seconds: float  # of one thread


def corpus_film(geometry: Geometry, mirrors: Path | None, root: Path | None) -> Film:
    """The pinned corpus's film, made where it is missing, divided as corpus.toml says. Raises GitreelError."""
    corpus = read_corpus()
    folder = root or warehouse_folder(geometry, longer=True)
    if root is None:
        film_all(further(corpus), geometry, mirrors, folder)
    reader = FilmReader(Warehouse(str(folder)))
    if reader.geometry != geometry:
        raise ConfigError(f"{folder}: film at {reader.geometry}; add --geometry {reader.geometry}")
    train, choosing, test = (
        whole(reader, [repository.repo_id for repository in corpus.of(split)])
        for split in ("train", "validation", "test")
    )
    return Film(reader, train, choosing, {"corpus": (reader, test)})


def made_film(geometry: Geometry, folder: Path) -> Film:
    """Four made repositories: two to learn, one for the counts' order, one to be tested on."""
    made = [str(make_example(folder / f"made{seed}", 24, seed)) for seed in range(4)]
    reader = film_of(made, geometry, folder / "warehouse")
    streams = whole(reader)
    return Film(reader, streams[:2], streams[2:3], {"corpus": (reader, streams[3:])})


def film_of(named: Sequence[str], geometry: Geometry, folder: Path, most: int | None = None) -> FilmReader:
    """Film repositories, of each about the first `most` steps, into a warehouse of their own. Raises GitreelError."""
    replay = ReplayConfig.model_validate({"rows": geometry.rows, "cols": geometry.cols})
    config = HarvestConfig(warehouse=str(folder), replay=replay, allow_unknown_licence=True)
    found = []
    for name in named:
        steps = [0]

        def told(progress: Any, steps: list[int] = steps) -> None:
            steps[0] = progress.steps

        def enough(steps: list[int] = steps) -> bool:
            return most is not None and steps[0] > most

        found.append(harvest_repository(name, config, report=told, stop=enough).repo_id)
    return FilmReader(Warehouse(str(folder), found))


def train(config: ModelConfig, film: Film, minutes: float, size: str, seed: int) -> Trained:
    """Fit a model for so many CPU minutes, as training.fit does where states are carried.

    The learning rate follows the minutes instead of the updates.
    """
    fit = FitConfig.model_validate({"preset": size, "seed": seed})
    torch.manual_seed(seed)
    learner = Learner(FrameModel(config), fit, torch.device("cpu"))
    window = choose_window(fit, min(segment.stop - segment.start for segment in film.train))
    batches = CarriedBatches(film.reader, film.train, fit.batch, window, seed, fit.reset)
    budget, began, update = 60 * minutes, time.process_time(), 0
    while (spent := time.process_time() - began) < budget:
        factor = rate(int(1000 * spent), int(1000 * budget), fit.warmup, fit.decay, fit.course)
        learner.update(batches.batch(update), factor)
        update += 1
    return Trained(learner.model.eval(), update * fit.batch * window, spent)


class Table:
    """The figures of one set of test repositories, one row at a time."""

    def __init__(
        self, counts: KeyCounts, reader: FilmReader, segments: Sequence[Segment], steps: int, first: int
    ) -> None:
        self.reader = reader
        self.parts: list[Stretch] = stretches(segments, steps, first)
        self.truth = truths(reader, self.parts)
        self.counted = counted_losses(counts, reader, self.parts, list(WINDOWS.values()))
        self.rows = {name: scores(self.counted[window], self.truth) for name, window in WINDOWS.items()}

    def add(self, name: str, model: FrameModel, adapt: AdaptConfig | None = None) -> None:
        """Read the test film with a model, alone and mixed with the counts of the longest window."""
        tracks = follow(model, self.reader, self.parts, adapt)
        losses = [track.losses_T for track in tracks]
        self.rows[name] = scores(losses, self.truth, [track.ranks_T for track in tracks])
        self.rows[f"{name} + counts"] = scores(mixed(losses, self.counted[max(self.counted)]), self.truth)

    def figures(self) -> dict[str, float]:
        """Nats a key by row, the mixtures left out."""
        return {name: round(row["nats"], 4) for name, row in self.rows.items() if "+" not in name}


def read_all(trained: Mapping[str, Trained], tables: Mapping[str, Table]) -> None:
    """Every model's rows in every table."""
    for table in tables.values():
        for name, each in trained.items():
            if name != "memory":
                table.add(name, each.model)
            if name == "lstm":
                table.add("lstm_adapted", each.model, AdaptConfig())
            if name == "memory":
                each.model.memory_steps = READ_AT
                table.add("memory_4096", each.model)
                table.add("memory_adapted", each.model, AdaptConfig())


def words(rows: Mapping[str, dict[str, Any]], repos: Sequence[str]) -> str:
    """Rows as a table: nats a key with their interval over repositories, shares right, nats by repository."""
    body: list[list[object]] = []
    for name, row in rows.items():
        shares = [f"{row[key]:.1%}" if key in row else "" for key in ("right", "top5")]
        interval = f"[{row['low']:.3f}, {row['high']:.3f}]"
        body.append([name, f"{row['nats']:.3f}", interval, *shares, *(f"{row['by_repo'][repo]:.3f}" for repo in repos)])
    return report.table(["", "nats a key", "95 % by repository", "right", "in top 5", *repos], body)


def phases(rows: Mapping[str, dict[str, Any]]) -> str:
    """The share of keys right in each phase, of the rows that have one."""
    kept = {name: row["right_by_phase"] for name, row in rows.items() if "right_by_phase" in row}
    names = list(next(iter(kept.values()), {}))
    return report.table(["right, by phase", *names], [[n, *(f"{r[p]:.1%}" for p in names)] for n, r in kept.items()])


CARD = """# A trained start

Weights of the frame model (training.model.frame_model), fitted in {minutes:g} minutes of one CPU thread to {steps:,}
steps of film at {geometry}. `python -m training.fit --init FILE` goes on from them; the screen may have another size.

Made by `python -m benchmarks.learning` (its first lines have the command) at commit {commit}, corpus {corpus}.

## Learned from

| repository | licence | up to commit |
|---|---|---|
{learned}

The weights hold no frame and no file. But a model of keys can repeat lines that it has seen often: to those the
repositories' licences apply.

## Worth, on repositories that it has not seen

Nats a key on {tests}: steps {scored:,} to {stop:,} of each at most, the state carried; the interval is over
repositories. Counts are Kneser-Ney, order {order}.

| | nats a key | 95 % | right |
|---|---|---|---|
{rows}
"""


def write_start(
    folder: Path, trained: Mapping[str, Trained], table: Table, film: Film, order: int, minutes: float
) -> None:
    """The models' weights, and a card: what they learned from, what they are worth. Raises WarehouseError."""
    corpus, commit = further(read_corpus()), git_sha()[:12]
    facts = {"corpus": corpus.digest, "git": commit, "cpu_minutes": f"{minutes:g}"}
    for name, each in trained.items():
        save_weights(folder / f"{name}-{film.reader.geometry}.safetensors", each.model, facts)
    learned = [f"| {r.name} | {r.licence} | {r.commit[:12]} |" for r in corpus.of("train")]
    rows = []
    for name, row in table.rows.items():
        right = f"{row['right']:.1%}" if "right" in row else ""
        rows.append(f"| {name} | {row['nats']:.3f} | {row['low']:.3f} to {row['high']:.3f} | {right} |")
    card = CARD.format(
        minutes=minutes, steps=sum(segment.stop - segment.start for segment in film.train),
        geometry=film.reader.geometry, commit=commit, corpus=corpus.digest, learned="\n".join(learned),
        tests=", ".join(repository.name for repository in corpus.of("test")), scored=table.parts[0].scored,
        stop=max(part.stop for part in table.parts), order=order, rows="\n".join(rows),
    )  # fmt: skip
    write_atomically(folder / "README.md", card.encode())


def mean_figures(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Means over seeds."""
    return {key: round(float(np.mean([one[key] for one in found])), 4) for key in found[0]}


def measure(film: Film, options: Any, size: str) -> dict[str, Any]:
    """Every seed's models and tables, printed as they come; the figures."""
    counts = count_film(film.reader, film.train, film.choosing)
    print(
        f"counts: {counts.smoothing}, order {counts.order}, chosen on {len(film.choosing)} repositories of their own\n"
    )
    found: dict[str, list[dict[str, float]]] = {name: [] for name in film.tests}
    speeds, minutes = [], []
    for seed in range(options.seeds):
        trained = {}
        for name in options.models:
            config = preset(size, *film.reader.geometry, **MODELS[name])
            trained[name] = train(config, film, options.minutes, size, seed)
            frames, seconds = trained[name].frames, trained[name].seconds
            print(f"seed {seed}: {name}: {frames:,} frames in {seconds / 60:.2f} CPU minutes", flush=True)
        main = trained.get("lstm") or next(iter(trained.values()))
        speeds.append(main.frames / main.seconds)
        minutes.append(main.seconds / 60)
        tables = {
            name: Table(counts, reader, segments, options.steps, options.scored_from)
            for name, (reader, segments) in film.tests.items()
        }
        read_all(trained, tables)
        for name, table in tables.items():
            repos = list(dict.fromkeys(one.repo_id for one in table.truth))
            print(f"\n{name}, seed {seed}: {sum(len(one.actions_T) for one in table.truth):,} keys scored")
            print(words(table.rows, repos) + "\n\n" + phases(table.rows) + "\n", flush=True)
            found[name].append(table.figures())
    if options.save:
        write_start(options.save, trained, tables["corpus"], film, counts.order, options.minutes)
    figures: dict[str, Any] = mean_figures(found["corpus"])
    figures |= {"frames_per_second": round(float(np.mean(speeds))), "cpu_minutes": round(float(np.mean(minutes)), 3)}
    figures |= {"counts_order": counts.order, "seeds": found["corpus"]}
    if "named" in found:
        figures["named"] = {**mean_figures(found["named"]), "seeds": found["named"]}
    return figures


@clear_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    flags = report.parser(__doc__)
    flags.add_argument("--minutes", type=float, default=10.0, help="CPU minutes of training a model (default 10)")
    flags.add_argument("--test", action="append", default=[], metavar="REPOSITORY", help="a path or URL; repeatable")
    flags.add_argument("--seeds", type=report.positive, default=1, help="trainings of every model (default 1)")
    flags.add_argument("--models", type=lambda text: text.split(","), default=list(MODELS), help=",".join(MODELS))
    flags.add_argument("--preset", default="small", choices=["tiny", "small", "medium"], help="size (default small)")
    flags.add_argument("--geometry", metavar="ROWSxCOLS", help="screen size; the corpus's own by default")
    flags.add_argument("--mirrors", type=Path, metavar="FOLDER", help="local clones of the corpus's repositories")
    flags.add_argument("--film", type=Path, metavar="WAREHOUSE", help="film of the corpus's repositories, made before")
    flags.add_argument("--save", type=Path, metavar="FOLDER", help="keep the last seed's weights there, with a card")
    flags.add_argument("--steps", type=int, default=80_000, help="steps read of each test stream (default 80,000)")
    flags.add_argument("--scored-from", type=int, default=16_384, help="the first step that counts (default 16,384)")
    options = flags.parse_args(arguments)
    size = "tiny" if options.quick else options.preset
    torch.set_num_threads(1)
    keep_freed_memory()  # as training.fit does
    for name in options.models:
        if name not in MODELS:
            raise ConfigError(f"--models {name}: choose some of {','.join(MODELS)}")
    if options.minutes <= 0 or options.steps < 64 or options.scored_from < 0:
        raise ConfigError("--minutes above 0, --steps at least 64, --scored-from at least 0")
    geometry = Geometry.parse(options.geometry) if options.geometry else own_geometry(read_corpus())
    if options.quick:
        options.minutes, options.steps, options.scored_from = min(options.minutes, 0.05), 2048, 512
    with tempfile.TemporaryDirectory(prefix="gitreel-learning-") as folder:
        if options.quick:
            film = made_film(geometry, Path(folder))
        else:
            film = corpus_film(geometry, options.mirrors, options.film)
        if options.test:
            named = film_of(options.test, geometry, NAMED / str(geometry), options.steps)
            film.tests["named"] = (named, whole(named))
        settings = {"minutes": options.minutes, "preset": size, "screen": geometry, "seeds": options.seeds}
        print(report.header("learning", ["torch", "numpy"], **settings))
        figures = measure(film, options, size)
    if not options.json:
        print(
            json.dumps({key: value for key, value in figures.items() if not isinstance(value, list | dict)}, indent=1)
        )
    report.finish(figures, options.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
