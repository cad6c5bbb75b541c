"""Training: exactness of the gradients, memory of long windows, speed on real film, the loader, resuming, ranks.

    python -m benchmarks.training [--shards warehouse] [--quick] [--json]

Peers, in the same run: the plain implementation (every frame computed whole, full backpropagation) and
torch.utils.checkpoint. Without --shards a small repository made with git is filmed first. Times are processor seconds
of one thread, so that a busy machine changes them little; memory is the peak resident size of a process of its own.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from benchmarks import report
from benchmarks.updates import PUBLISHED, learners, side_by_side
from flows.server import free_port
from schema.errors import clear_errors
from training.data.batches import Sampler, collate, make_batch
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader
from training.loop.checkpoint import checkpoints
from training.loop.plan import free_memory, keep_freed_memory
from training.loop.report import read_log
from training.model.backbones import BACKBONES
from training.model.config import ModelConfig, preset
from training.model.frame_model import FrameModel
from training.model.gradients import Mode, backpropagate, chunks, token_losses
from training.model.reuse import distinct_fractions
from training.model.weights import load_weights

# One thread; and what is freed goes back to the system at once, so that the peak is what was held, not what was kept.
USUAL = {"OMP_NUM_THREADS": "1"}
WORKER = USUAL | {"MALLOC_MMAP_THRESHOLD_": "16384", "MALLOC_TRIM_THRESHOLD_": "16384"}  # what is freed is given back
AS_FITTED = "reuse, full, 4 windows of 64 (training.fit's)"
STATEFUL = [name for name in BACKBONES if name != "frame_only"]


def typed_film(batch: int, steps: int, rows: int, cols: int, seed: int = 0) -> Tensor:
    """Cell ids of a typist on a screen of letters, for the checks that need no real film."""
    random = np.random.default_rng(seed)
    film = np.empty((batch, steps, rows, cols), np.int16)
    for b in range(batch):
        screen, y, x = random.integers(97, 123, (rows, cols)), 0, 0
        for t in range(steps):
            film[b, t] = screen
            film[b, t, y, x] += 1024
            screen[y, x] = random.integers(97, 123)
            x = (x + 1) % cols
            if x == 0 or random.random() < 0.05:
                y = int(random.integers(rows))
    return torch.from_numpy(film)


def gradients(
    model: FrameModel, cells: Tensor, actions: Tensor, mode: Mode, chunk: int, reuse: float
) -> dict[str, Tensor]:
    model.zero_grad()
    backpropagate(model, cells, actions, mode, chunk, reuse)
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def difference(mine: dict[str, Tensor], theirs: dict[str, Tensor]) -> float:
    """Largest relative difference of a parameter's gradient, by norm."""
    return max(float((mine[n] - g).norm() / g.norm()) for n, g in theirs.items() if g.norm() > 0)


def exactness() -> tuple[list[list[object]], float, float]:
    """Streaming and reuse against plain full backpropagation; ragged tails, learned states away from 0."""
    rows: list[list[object]] = []
    worst = {torch.float64: 0.0, torch.float32: 0.0}
    for backbone in STATEFUL:
        for head in ("mean", "last_pos", "cursor"):
            torch.manual_seed(0)
            layers = 1 if backbone == "lstm" else 2
            config = ModelConfig(
                rows=12, cols=40, width=16, heads=2, attention_layers=2, backbone=backbone, backbone_layers=layers,
                reduce="last_pos" if head == "last_pos" else "mean", matched=False,
            )  # fmt: skip
            if head == "cursor":  # with the copy from the screen, the previous key and a memory
                learner = preset("tiny", 12, 40, width=16, memory=24, backbone=backbone, matched=False)
                config = learner.model_copy(update={"backbone_layers": layers})
            model = FrameModel(config)
            for name, parameter in model.named_parameters():
                if "h0" in name or "c0" in name:
                    torch.nn.init.normal_(parameter, std=0.5)
            cells, actions = typed_film(2, 37, 12, 40), torch.randint(0, 256, (2, 37))
            found: list[object] = [backbone, head]
            for dtype in (torch.float64, torch.float32):
                model.to(dtype)
                full = gradients(model, cells, actions, "full", 37, False)
                ways: list[tuple[Mode, int, float]] = [
                    ("stream", 8, False), ("stream", 8, 1.0), ("stream_embeddings", 8, 1.0), ("full", 37, 1.0),
                ]  # fmt: skip
                worst_here = max(difference(gradients(model, cells, actions, *way), full) for way in ways)
                worst[dtype] = max(worst[dtype], worst_here)
                found.append(f"{worst_here:.1e}")
            rows.append(found)
    return rows, worst[torch.float64], worst[torch.float32]


def step_equals_sequence() -> list[list[object]]:
    """One step at a time against the whole sequence, T = 256, float32."""
    rows: list[list[object]] = []
    for backbone in BACKBONES:
        torch.manual_seed(0)
        layers = 1 if backbone in ("lstm", "frame_only") else 2
        config = ModelConfig(rows=12, cols=40, width=32, backbone=backbone, backbone_layers=layers, matched=False)
        body = FrameModel(config).backbone
        x_BTD = torch.randn(2, 256, 32)
        with torch.no_grad():
            whole_BTD, _ = body.sequence(x_BTD, body.initial_state(2))
            state, worst = body.initial_state(2), 0.0
            for t in range(256):
                y_BD, state = body.step(x_BTD[:, t], state)
                worst = max(worst, float((y_BD - whole_BTD[:, t]).abs().max()))
        rows.append([backbone, f"{worst:.1e}"])
    return rows


def plain_checkpointed(model: FrameModel, cells: Tensor, actions: Tensor, chunk: int) -> None:
    """The usual remedy: torch.utils.checkpoint around chunks of the plain model."""
    state: tuple[Tensor, ...] = model.backbone.initial_state(len(cells))
    losses = []

    def part_of(cells_BTRC: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        logits, after = model(cells_BTRC, None, state, reuse=False)
        return (logits, *after)

    for part in chunks(cells.shape[1], chunk):
        logits, *after = checkpoint(part_of, cells[:, part], *state, use_reentrant=False)
        state = tuple(after)
        losses.append(token_losses(logits, actions[:, part]).sum())
    torch.stack(losses).sum().backward()


def memory_worker(rows: int, cols: int, steps: int, way: str) -> None:
    """One backward pass in this process: prints peak over start (bytes) and processor seconds."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    width = 32 if cols < 80 else 16
    model = FrameModel(ModelConfig(rows=rows, cols=cols, width=width, reduce="last_pos"))
    cells, actions = typed_film(1, steps, rows, cols), torch.randint(0, 256, (1, steps))
    backpropagate(model, cells[:, :1], actions[:, :1], "stream", 1, False)  # libraries load; one frame is held
    if way == "checkpoint":
        plain_checkpointed(model, cells[:, :1], actions[:, :1], 1)
    before = _resident()
    start = time.process_time()
    if way == "checkpoint":
        plain_checkpointed(model, cells, actions, 16)
    elif way == "stream reuse":
        backpropagate(model, cells, actions, "stream", 16, True)
    else:
        backpropagate(model, cells, actions, cast("Mode", way), 16, False)
    print(json.dumps([_peak() - before, before, time.process_time() - start]))


def _resident() -> int:
    """Bytes resident now; the peak is counted from here on (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak() -> int:
    return _status("VmHWM")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024


def memory(
    rows: int, cols: int, lengths: list[int], ways: list[str], allocator: dict[str, str] = WORKER
) -> tuple[list[list[object]], dict[str, float], dict[str, float]]:
    """(peak memory and time by window length, growth over what the start had, growth of the whole process).

    `full` is left out where four times what a quarter of the window took would not fit half of the free memory.
    """
    table: list[list[object]] = []
    growth: dict[str, float] = {}
    growth_in_all: dict[str, float] = {}
    base: dict[int, float] = {}
    for way in ways:
        used, used_in_all = {}, {}
        for steps in lengths:
            if way == "full" and used and used[max(used)] * steps / max(used) > free_memory(torch.device("cpu")) / 2:
                table.append([f"{rows}x{cols}", way, steps, "no room", "", "", ""])
                continue
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.training", "--worker", f"{rows},{cols},{steps},{way}"],
                capture_output=True, text=True, env={**os.environ, **allocator}, check=True,
            )  # fmt: skip
            above, start, seconds = json.loads(done.stdout.splitlines()[-1])
            used[steps], used_in_all[steps] = above, start + above
            if way == "full":
                base[steps] = seconds
            ratio = seconds / base[steps] if steps in base else "-"
            table.append([f"{rows}x{cols}", way, steps, above / 1e6, (start + above) / 1e6, seconds, ratio])
        growth[way] = used[max(used)] / used[min(used)]
        growth_in_all[way] = used_in_all[max(used)] / used_in_all[min(used)]
    return table, growth, growth_in_all


def per_second(work: Callable[[], int], seconds: float) -> float:
    """Frames a processor second, after one warm-up."""
    work()
    frames, start = 0, time.process_time()
    while time.process_time() - start < seconds:
        frames += work()
    return frames / (time.process_time() - start)


def speed(root: Path, quick: bool) -> tuple[list[list[object]], dict[str, float], list[list[object]]]:
    """Training frames a second on real film, `small` preset, same weights and batch; the loader's beside it.

    The loader is compared over batches of training.fit's usual size, 4 windows of 64, where a window costs it most.
    Ratios are to the faster of two plain ways. The last table's last column is of the batch that was timed.
    """
    torch.set_num_threads(1)
    keep_freed_memory()
    warehouse = Warehouse(root)
    rows, cols = warehouse.geometry
    reader = FilmReader(warehouse)
    window, batch = (64, 2) if quick else (128, 4)
    sampler = Sampler(reader.segments(window)[0]["train"], window, 0)
    windows = make_batch(reader, sampler, batch, 0)
    torch.manual_seed(0)
    model = FrameModel(preset("published_small", rows, cols))
    cells, actions = windows.cells_BTRC, windows.actions_BT
    frames = actions.numel()
    seconds = 3.0 if quick else 15.0

    def ours(mode: Mode, reuse: bool | float, bf16: bool = False) -> Callable[[], int]:
        def work() -> int:
            model.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                backpropagate(model, cells, actions, mode, 64, reuse)
            return frames

        return work

    def window_by_window() -> int:
        model.zero_grad()
        for cells_BTRC, actions_BT in zip(cells.split(1), actions.split(1), strict=True):
            backpropagate(model, cells_BTRC, actions_BT, "full", 64, False, scale=1 / batch)
        return frames

    usual = Sampler(reader.segments(64)[0]["train"], 64, 0)
    drawn = itertools.cycle([make_batch(reader, usual, 4, step) for step in range(12)])

    def as_fitted() -> int:
        model.zero_grad()
        film = next(drawn)
        backpropagate(model, film.cells_BTRC, film.actions_BT, "full", 64, True)
        return film.actions_BT.numel()

    ways = {
        "plain, full": ours("full", False),
        "plain, full, a window at a time": window_by_window,
        "reuse, full (ours)": ours("full", True),
        "reuse, stream": ours("stream", True),
        "reuse, stream_embeddings": ours("stream_embeddings", True),
        "reuse, full, bf16": ours("full", True, True),
        "plain, full, bf16": ours("full", False, True),
    }
    if quick:
        ways = dict(list(ways.items())[:4])
    rates = {name: per_second(work, seconds) for name, work in ways.items()}
    step = itertools.count()
    cold = FilmReader(warehouse, cache_bytes=1)
    rates |= side_by_side(
        {
            AS_FITTED: as_fitted,
            "loader, warm": lambda: make_batch(reader, usual, 4, next(step)).actions_BT.numel(),
            "loader, nothing cached": lambda: make_batch(cold, usual, 4, next(step)).actions_BT.numel(),
        },
        seconds,
    )
    base = max(rates["plain, full"], rates["plain, full, a window at a time"])
    table = [[name, rate, rate / base] for name, rate in rates.items()]
    fractions = [
        distinct_fractions(collate([reader.window(*sampler.place(int(n)), window)]).cells_BTRC, model.frame_head)
        for n in np.linspace(0, sampler.starts - 1, 100)
    ]
    spread: list[list[object]] = []
    timed = distinct_fractions(cells, model.frame_head)
    for level in fractions[0]:
        values = np.array([f[level] for f in fractions])
        percentiles = [float(np.percentile(values, q)) for q in (5, 50, 95)]
        spread.append([level, *percentiles, float(values.mean()), timed[level]])
    return table, rates, spread


def fit_flags(root: Path, run: Path, steps: int) -> list[str]:
    return [
        *("--shards", str(root), "--preset", "tiny", "--steps", str(steps), "--window", "16", "--batch", "2"),
        *("--evaluations", "10", "--validation-windows", "2", "--threads", "1", "--no-baseline", "--freeze-head", "0"),
        *("--folder", str(run)),
    ]


def resumed(root: Path, folder: Path, steps: int) -> bool:
    """kill -9 in mid-run, the same command again: are the final weights those of an undisturbed run, bit for bit?"""

    def command(name: str) -> list[str]:
        return [sys.executable, "-m", "training.fit", *fit_flags(root, folder / name, steps)]

    subprocess.run(command("whole"), check=True, capture_output=True)
    process = subprocess.Popen(command("killed"), stdout=subprocess.DEVNULL)
    while len(checkpoints(folder / "killed/checkpoints")) < 2 and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    if process.wait() != -signal.SIGKILL or (folder / "killed/summary.json").exists():
        raise RuntimeError("the run ended before it could be killed: nothing was resumed")
    subprocess.run(command("killed"), check=True, capture_output=True)
    mine, theirs = (
        load_weights(folder / name / "models/lstm.safetensors")[0].state_dict() for name in ("killed", "whole")
    )
    return all(torch.equal(mine[key], theirs[key]) for key in theirs)


def two_ranks(root: Path, folder: Path, steps: int) -> float:
    """Largest difference of a training loss between one process and two over the same global batches."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(free_port())]
    subprocess.run(
        [*launch, "-m", "training.fit", *fit_flags(root, folder / "ranks", steps)],
        check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    curves = [
        [line["train/lstm"] for line in read_log(folder / name / "log.jsonl") if "train/lstm" in line]
        for name in ("whole", "ranks")
    ]
    return max(abs(a - b) for a, b in zip(*curves, strict=True))


def example_film(folder: Path) -> Path:
    """A small repository made with git, filmed by the harvest itself."""
    from pipeline.example import make_example

    repository = make_example(folder / "example", commits=25)
    root = folder / "warehouse"
    subprocess.run(
        [sys.executable, "-m", "flows.harvest", "--repo", str(repository), "--warehouse", str(root)],
        check=True, capture_output=True,
    )  # fmt: skip
    return root


@clear_errors
def main(arguments: list[str] | None = None) -> int:
    """Run everything; --quick leaves the longest windows and the slow forms out."""
    parser = report.parser(__doc__)
    parser.add_argument("--shards", help="film to measure on (default: a small repository, filmed first)")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker:
        rows, cols, steps, way = options.worker.split(",")
        memory_worker(int(rows), int(cols), int(steps), way)
        return 0
    if options.shards:
        Warehouse(options.shards)  # what cannot be read is told before ten minutes of other measurements
    return measure(options)


def measure(options: argparse.Namespace) -> int:
    """Run every measurement and print it. Raises GitreelError."""
    quick = options.quick
    print(report.header("benchmarks.training", ["torch", "numpy", "pyarrow"], quick=quick))
    figures: dict[str, object] = {}

    rows, double, single = exactness()
    print("\nGradients against plain full backpropagation, largest relative difference (chunks of 8, T = 37)")
    print(report.table(["backbone", "reduce", "float64", "float32"], rows))
    figures |= {"gradient_max_relative_difference": double, "gradient_max_relative_difference_float32": single}

    rows = step_equals_sequence()
    print("\nOne step at a time against the sequence form, T = 256, float32, largest difference")
    print(report.table(["backbone", "difference"], rows))
    figures["step_max_difference"] = max(float(str(row[1])) for row in rows)

    lengths = [64, 256] if quick else [64, 256, 1024, 4096]
    ways = ["full", "stream", "stream reuse"] if quick else ["full", "checkpoint", "stream", "stream reuse"]
    table: list[list[object]] = []
    for size in ((12, 40),) if quick else ((12, 40), (24, 80)):
        part, growth, in_all = memory(*size, lengths, ways)
        table += part
        figures["stream_memory_growth" if size == (12, 40) else "stream_memory_growth_24x80"] = growth["stream"]
        figures[f"growth_{size[0]}x{size[1]}"] = growth
        figures[f"growth_in_all_{size[0]}x{size[1]}"] = in_all
    print(f"\nPeak memory of one window, chunks of 16, a process each (growth {lengths[0]} to {lengths[-1]})")
    print(report.table(["screen", "way", "T", "MB over start", "MB in all", "processor s", "x full"], table))
    usual = memory(12, 40, [lengths[0], lengths[-1]], ["stream"], USUAL)[1]["stream"]
    figures["stream_memory_growth_usual_allocator"] = usual
    print(f"growth over start, stream, 12x40: {figures['stream_memory_growth']:.3f}x; "
          f"with an allocator that keeps what is freed: {usual:.2f}x")  # fmt: skip

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        root = Path(options.shards) if options.shards else example_film(folder)
        table, rates, spread = speed(root, quick)
        where = f"{Warehouse(root).geometry}, {len(Warehouse(root).streams)} streams"
        print(f"\nTraining on real film ({where}), small preset, frames a processor second of one thread")
        print(report.table(["way", "frames/s", "ratio"], table))
        print("\nFraction of places that a window must compute (100 windows)")
        print(report.table(["level", "5 %", "median", "95 %", "mean", "as timed"], spread))
        fitting = learners(root, quick)
        print("\nWhole updates as training.fit makes them, frames a processor second of one thread")
        table = [[name, rate, rate / fitting[PUBLISHED]] for name, rate in fitting.items()]
        print(report.table(["model", "frames/s", "ratio"], table))
        ours = rates["reuse, full (ours)"]
        figures |= {
            "speedup": ours / max(rates["plain, full"], rates["plain, full, a window at a time"]),
            "frames_per_second": rates,
            "fitting_frames_per_second": fitting,
            "small_over_published_small": fitting["small"] / fitting[PUBLISHED],
            "loader_over_model": rates["loader, nothing cached"] / rates[AS_FITTED],
            "loader_over_model_warm": rates["loader, warm"] / rates[AS_FITTED],
            "distinct_fractions": {str(row[0]): row[-2] for row in spread},
        }
        steps = 10 if quick else 20
        figures["resume_identical"] = resumed(root, folder, steps)
        print(f"\nkill -9 and the same command again: identical weights: {figures['resume_identical']} (one thread)")
        if not quick:
            figures["ranks_max_loss_difference"] = two_ranks(root, folder, steps)
            print(f"torchrun, 2 processes against 1, {steps} updates: loss differs by at most "
                  f"{figures['ranks_max_loss_difference']:.1e}")  # fmt: skip
    print(f"\nspeed-up on real film {figures['speedup']:.1f}x; gradients equal to {double:.0e}")
    report.finish(figures, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
