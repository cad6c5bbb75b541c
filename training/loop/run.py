"""One training run: opens the film, plans, trains, validates and reports."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.text import Text

from schema.errors import ConfigError, CorruptError, GitreelError
from schema.folders import real_folder
from training.analysis.display import plain
from training.analysis.metrics import Predictions, run_windows, scores, unigram_loss
from training.data.batches import Batch, Loader, Prefetcher, Sampler, collate, make_batch
from training.data.carried import CarriedBatches
from training.data.splits import Segment
from training.data.tokenizer import Tokenizer
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader
from training.files import git_sha, write_atomically
from training.loop.checkpoint import checkpoints, load_checkpoint, save_checkpoint
from training.loop.config import FitConfig, course_is_flat, saved_settings
from training.loop.distributed import from_first, has_bf16, pick_device, start_ranks
from training.loop.folder import SETTINGS, new_run_folder, resume_command
from training.loop.held_out import counted_loss, sample, window_held_out
from training.loop.learner import Learner
from training.loop.optim import rate
from training.loop.plan import (
    UPDATES,
    Cost,
    check_memory,
    check_time,
    choose_window,
    fewer_updates,
    keep_freed_memory,
    longest_segments,
    model_configs,
    planned_updates,
    probe,
    processors,
)
from training.loop.report import Log, draw_loss, read_log, verdict
from training.model.counts import parameter_counts
from training.model.frame_head import FrameHead
from training.model.frame_model import FrameModel
from training.model.weights import check_weights, save_weights

UNIGRAM_GROUPS = 64  # row groups whose keys give the unigram frequencies and the tokenizer


class Run:
    """One training run: film, models, plan, and the loop. `rank` 0 writes and speaks.

    `folder`: where it writes. One that is not named is made last, when nothing can be refused any more.
    """

    folder: Path

    def __init__(self, config: FitConfig) -> None:
        self.started = time.monotonic()
        self.device = pick_device(config.device)
        self.rank, self.world = start_ranks(self.device)
        if config.run is not None:
            self.folder = real_folder(Path(config.run))
        if config.batch % self.world:
            raise ConfigError(
                f"batch {config.batch} does not divide by {self.world} ranks; "
                f"use --batch {config.batch // self.world * self.world or self.world}"
            )
        self.asked = config
        keep_freed_memory()
        torch.set_num_threads(config.threads or max(1, processors() // self.world))
        resumed = self._resume_point(config)
        self.resumed = resumed is not None
        self.config = saved_settings(resumed["config"], self.folder) if resumed else config
        if self.config.bf16 is None:
            self.config = self.config.model_copy(update={"bf16": has_bf16(self.device)})
        self._open_film()
        self.models = self._build(self.config.preset or "small")
        self.done = 0
        if resumed:
            self._restore(resumed)
        else:
            self._choose()
        if config.run is None:
            self.folder = from_first(new_run_folder() if self.rank == 0 else Path())
        self.config = self.config.model_copy(update={"run": str(self.folder)})

    # film ------------------------------------------------------------------------------------------------------

    def _open_film(self) -> None:
        config = self.config
        self.warehouse = Warehouse(config.shards, config.repo)
        self.reader = FilmReader(self.warehouse, self._max_code_point(), config.cache_megabytes << 20)
        self.tokenizer = None
        if config.tokens:
            self.tokenizer = self._tokenizer(config.tokens)
            self.reader = FilmReader(
                self.warehouse, self._max_code_point(), config.cache_megabytes << 20, self.tokenizer
            )
        window = self._window()
        self.segments, self.split_words = self.reader.segments(window)
        self.sampler = Sampler(self.segments["train"], window, config.seed)
        held_window = window_held_out(window, config.carried, self.segments["validation"])
        held_sampler = Sampler(self.segments["validation"], held_window)
        self.validation_places = held_sampler.spread(config.validation_windows)
        windows = [self.reader.window(*place, held_window) for place in self.validation_places]
        self.unscored = held_window // 2 if config.carried else 0
        self.validation_batches = [collate(windows[i : i + 8]) for i in range(0, len(windows), 8)]
        vocabulary = len(self.tokenizer) if self.tokenizer else 256
        train_keys = np.concatenate([self.reader.actions(s) for s in self._some(self.segments["train"])])
        scored = [batch.actions_BT[:, self.unscored :] for batch in self.validation_batches]
        validation_keys = np.concatenate([actions_BT.numpy().ravel() for actions_BT in scored])
        self.unigram = unigram_loss(train_keys, validation_keys, vocabulary)
        self.vocabulary = vocabulary
        self.carried = None
        if config.carried:
            self.carried = CarriedBatches(
                self.reader, self.segments["train"], config.batch, window, config.seed, config.reset,
                self.rank, self.world, vocabulary,
            )  # fmt: skip
        self.config = config.model_copy(update={"window": window})

    def _window(self) -> int:
        """Steps of a window: as asked, or what suits the film. Raises ConfigError where no stream is that long."""
        longest = longest_segments(self.reader.segments(2)[0])
        window = fitting = choose_window(self.config, min(longest))
        while fitting > 1 and min(longest_segments(self.reader.segments(fitting)[0])) < fitting:
            fitting //= 2
        if fitting < 2 or (fitting < window and self.config.window is not None):
            raise ConfigError(
                f"window of {window} steps, but the longest stream to learn has {longest[0]} and the longest held-out "
                f"one {longest[1]}; {f'use --window {fitting}, or ' if fitting > 1 else ''}harvest more commits"
            )
        return fitting

    def _max_code_point(self) -> int:
        return int(self.config.model.get("max_code_point", 256))

    def _some(self, segments: Sequence[Segment]) -> list[Segment]:
        """The segments, or of a large split evenly spread pieces of them."""
        total = sum(s.stop - s.start for s in segments)
        share = min(1.0, UNIGRAM_GROUPS * 16_384 / total)
        return [s._replace(stop=s.start + max(1, int((s.stop - s.start) * share))) for s in segments]

    def _tokenizer(self, size: int) -> Tokenizer:
        """A resumed run's own; otherwise fitted on the keys to learn, by rank 0 for all."""
        if self.resumed:
            return Tokenizer.load(self.folder / "tokenizer.jsonl")
        tokens: tuple[bytes, ...] = ()
        if self.rank == 0:
            segments, _ = self.reader.segments(self.config.window or 128)
            keys = (self.reader.actions(s).astype(np.uint8).tobytes() for s in self._some(segments["train"]))
            tokens = Tokenizer.fit(keys, size).tokens
        return Tokenizer(from_first(tokens))

    # plan ------------------------------------------------------------------------------------------------------

    def _build(self, preset: str) -> dict[str, Learner]:
        learners = {}
        configs = model_configs(self.config, preset, self.reader.geometry, self.vocabulary)
        assert self.config.window is not None
        for name, model_config in configs.items():
            check_memory(model_config, self.config, self.config.window, self.device, self.world)
            torch.manual_seed(self.config.seed)
            model = FrameModel(model_config)
            if self.config.centre and isinstance(model.frame_head, FrameHead):
                batch = make_batch(self.reader, self.sampler, 8, 1 << 30)  # no training step's windows
                model.frame_head.centre(batch.cells_BTRC[:, :: max(1, self.sampler.window // 4)])
            learners[name] = Learner(model, self.config, self.device)
        return learners

    def _choose(self) -> None:
        """Preset and number of updates, by a short probe."""
        config = self.config
        cost = Cost(math.nan, math.nan)
        name = config.preset or "small"
        if config.steps is None or config.preset is None:
            if config.steps is None:
                some = self.reader.window(*self.sampler.place(0), min(16, self.sampler.window))
                check_time(self.models, collate([some]), config, self.world)
            spent = time.monotonic() - self.started
            cost = probe(self.models, self._batch, self.validate, self.frozen_share)
            if config.preset is None and planned_updates(config.minutes, spent, cost, config.evaluations) < UPDATES:
                name, self.models = "tiny", self._build("tiny")
                cost = probe(self.models, self._batch, self.validate, self.frozen_share)
        spent = time.monotonic() - self.started
        steps = config.steps or planned_updates(config.minutes, spent, cost, config.evaluations)
        if self.world > 1:  # every rank measured its own time
            shared = torch.tensor([steps], device=self.device)
            torch.distributed.broadcast(shared, 0)
            steps = int(shared)
        self.cost = cost
        self.config = config.model_copy(update={"preset": name, "steps": steps})

    def _batch(self, step: int) -> Batch:
        """This rank's share of an update's film."""
        config = self.config
        if self.carried:
            return self.carried.batch(step)
        return make_batch(self.reader, self.sampler, config.batch, step, self.rank, self.world)

    def plan(self) -> str:
        """What will be done, in words."""
        config, main = self.config, next(iter(self.models.values()))
        counts = parameter_counts(main.model)
        parts = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in counts.items() if name != "total")
        steps = sum(s.stop - s.start for s in self.segments["train"])
        said = self.warehouse.notes[:5]
        if self.tokenizer and len(self.tokenizer) < config.tokens:
            most = len(self.tokenizer)
            said = [*said, f"the keys to learn hold no more than {most} tokens, {config.tokens} were asked"]
        notes = [f"  note        {note}\n" for note in said]
        unit = f"tokens of {self.vocabulary}" if self.tokenizer else "steps"
        time_words = (
            f"about {self.asked.minutes:.3g} minutes ({self.cost.update:.2f} s an update, measured)"
            if self.asked.steps is None and self.done == 0
            else f"from update {self.done:,}"
        )
        names = " and of ".join(name.replace("_", "-") for name in self.models)
        return (
            f"  film        {len(self.reader.streams)} streams at {self.reader.geometry}, {steps:,} {unit} to learn\n"
            f"  splits      {self.split_words}\n"
            f"  model       {config.preset}, {config.backbone}: {counts['total']:,} parameters ({parts})\n"
            f"  windows     {self._windows_words(unit)}\n"
            f"  machine     {self.device}, {torch.get_num_threads()} threads, {self.world} ranks, "
            f"{'bf16' if config.bf16 else 'fp32'}\n"
            f"  plan        {config.steps:,} updates of {names}, {time_words}\n"
            f"  written to  {self.folder}/\n"
            f"  if stopped  {resume_command(self.folder, self.world)}\n" + "".join(notes)
        )

    def _windows_words(self, unit: str) -> str:
        size = f"{self.config.batch} x {self.config.window} {unit} an update"
        if self.carried:
            return f"{size}: {self.config.batch} streams side by side in their order, the state carried on"
        return f"{size}; {self.sampler.starts:,} starts, {self.sampler.skipped} streams too short"

    # checkpoints -----------------------------------------------------------------------------------------------

    def _resume_point(self, config: FitConfig) -> dict[str, Any] | None:
        """The newest whole checkpoint of an unfinished run with the same settings. Raises ConfigError."""
        if config.run is None or config.overwrite or not (found := checkpoints(self.folder / "checkpoints")):
            return None
        for path in reversed(found):
            try:
                state = load_checkpoint(path)
            except CorruptError as error:
                self.say(f"{error}")
                continue
            saved_settings(state["config"], self.folder)
            ours, theirs = config.model_dump(), state["asked"]
            other = [key for key in ours if ours[key] != theirs.get(key) and key not in ("run", "threads", "overwrite")]
            other += [key for key in ("world",) if state["world"] != self.world]
            if other == ["steps"] and config.steps and theirs["steps"] and course_is_flat(state["config"]):
                if config.steps < state["step"]:
                    raise ConfigError(
                        f"{self.folder} holds {state['step']} updates already; give more --steps, or --overwrite"
                    )
                state["config"]["steps"] = config.steps
                return state
            if other:
                length = "the learning rate falls towards a run's end, so that a longer run is another one; "
                raise ConfigError(
                    f"{self.folder} holds a run with another {', '.join(other)}; "
                    f"{length if {'steps', 'minutes'} & {*other} else ''}give this one its own --run FOLDER, "
                    "or --overwrite"
                )
            return state
        raise CorruptError(f"{self.folder}/checkpoints: no whole checkpoint; start anew with --overwrite")

    def _restore(self, state: dict[str, Any]) -> None:
        if state["film"] != self._film():
            raise ConfigError(f"{self.config.shards}: the film has changed since {self.folder} began; use --overwrite")
        for name, learner in self.models.items():
            saved = state["models"].get(name)
            if saved is None:
                raise ConfigError(f"{self.folder}: its checkpoint holds no {name}; start anew with --overwrite")
            check_weights(learner.model, saved["model"], f"{self.folder}/checkpoints")
            try:
                learner.restore(saved)
            except (KeyError, ValueError) as error:
                raise ConfigError(
                    f"{self.folder}/checkpoints: the optimizer's state of {name} is another model's ({error}); "
                    "start anew with --overwrite"
                ) from error
        self.done, self.best = state["step"], state["best"]
        self.cost = Cost(math.nan, math.nan)

    def _film(self) -> list[Any]:
        return [[stream.repo_id, stream.steps] for stream in self.reader.streams]

    def _save(self) -> None:
        models = {name: learner.state() for name, learner in self.models.items()}  # of every rank
        if self.rank:
            return
        state = {
            "asked": self.asked.model_dump(),
            "config": self.config.model_dump(),
            "film": self._film(),
            "world": self.world,
            "best": self.best,
            "models": models,
        }
        save_checkpoint(self.folder / "checkpoints", self.done, state, self.config.keep)

    # the loop --------------------------------------------------------------------------------------------------

    best: float = math.inf
    sample: Sequence[Text] = ()

    @property
    def frozen_share(self) -> float:
        """Fraction of the updates in which the frame head stays as it started."""
        return self.config.freeze_head if self.config.preset != "paper" and self.config.centre else 0.0

    def validate(self, learner: Learner) -> Predictions:
        """Every held-out step, predicted."""
        return run_windows(learner.model, self.validation_batches, learner.reuse, learner.cast()).after(self.unscored)

    def samplers(self) -> list[Sampler]:
        """Samplers of the windows' lengths: a quarter, a half, the whole."""
        window = self.sampler.window
        return [Sampler(self.segments["train"], max(2, window // part), self.config.seed) for part in (4, 2, 1)]

    def train(self) -> dict[str, Any]:
        """The loop. Returns the summary. Raises GitreelError when a loss is no number."""
        config = self.config
        assert config.steps is not None
        steps = config.steps
        lengths = self.samplers()

        def sampler(step: int) -> Sampler:
            progress = step / max(1.0, config.length_warmup * steps)
            return lengths[min(2, int(2 * progress))] if config.length_warmup else lengths[2]

        due = {round(steps * k / config.evaluations) for k in range(1, config.evaluations)} | {0, steps}
        if self.rank == 0:
            self._write_config()
        with Log(self.folder, self.done) if self.rank == 0 else nullcontext() as log:
            self._loop(log, steps, due, sampler)
        return self._finish() if self.rank == 0 else {}

    def _loop(self, log: Log | None, steps: int, due: set[int], sampler: Callable[[int], Sampler]) -> None:
        config = self.config
        began, first = time.monotonic(), self.done
        with self._loader(sampler) as loader:
            batches = iter(loader)
            if self.done == 0:
                self._evaluate(log, steps)
            while self.done < steps:
                batch = next(batches)
                values: dict[str, Any] = {}
                frozen = self.done < self.frozen_share * steps
                for name, learner in self.models.items():
                    learner.freeze_head(frozen)
                    loss, norm = learner.update(
                        batch, rate(self.done, steps, config.warmup, config.decay, config.course)
                    )
                    values |= {f"train/{name}": loss, f"gradient/{name}": norm}
                    if not (math.isfinite(loss) and math.isfinite(norm)):
                        raise self._diverged(name, loss, batch)
                self.done += 1
                frames = batch.actions_BT.numel() * self.world * (self.done - first)
                values["frames_per_second"] = frames / (time.monotonic() - began)
                values["seconds"] = round(time.monotonic() - self.started, 3)
                if log:
                    log.write(self.done, values)
                if self.done in due:
                    self._evaluate(log, steps)
                    steps = self._replan(steps, began, first)
                    due |= {steps}

    def _loader(self, sampler: Callable[[int], Sampler]) -> Prefetcher:
        """Batches from the next update on, prepared in threads; carried ones by one, since lanes go on in order."""
        if self.carried:
            return Prefetcher(self.carried.batch, self.done, threads=1)
        return Loader(self.reader, sampler, self.config.batch, self.done, self.rank, self.world)

    def _evaluate(self, log: Log | None, steps: int) -> None:
        if self.rank == 0 and log:
            values: dict[str, Any] = {}
            words = []
            for name, learner in self.models.items():
                predictions = self.validate(learner)
                found = scores(predictions, self.tokenizer)
                values |= {f"validation/{name}/{key}": value for key, value in found.items()}
                words.append(f"{name.replace('_', '-')} {found['loss']:.3f}")
                if name == self.config.backbone:
                    self.sample = self._sample(predictions)
                    with (self.folder / "samples.txt").open("a" if self.done else "w") as samples:
                        samples.write(f"update {self.done}\n{plain(self.sample)}\n\n")
                    if found["loss"] < self.best:
                        self.best = found["loss"]
                        save_weights(self.folder / "best.safetensors", learner.model, self._lineage())
            log.write(self.done, values)
            passed = time.monotonic() - self.started
            self.say(f"  {passed:6.0f} s  update {self.done:5d} of {steps}: held out, nats a step: {', '.join(words)}")
        if self.done:
            self._save()

    def _sample(self, predictions: Predictions) -> list[Text]:
        assert self.config.window is not None
        model = self.models[self.config.backbone].model
        return sample(model, self.reader, self.validation_places, predictions, self.unscored, self.config.window)

    def _replan(self, steps: int, began: float, first: int) -> int:
        """Fewer updates where --minutes would be passed by a fifth: the machine became busier than the probe saw."""
        if self.asked.steps is not None or self.world > 1 or self.done >= steps or self.done == first:
            return steps
        left = 60 * self.asked.minutes - (time.monotonic() - self.started)
        each = (time.monotonic() - began) / (self.done - first)
        possible = fewer_updates(self.done, steps, left, each)
        if possible == steps:
            return steps
        late = "" if possible != UPDATES else f", past the {self.asked.minutes:g} minutes: fewer teach little"
        self.say(f"  slower than planned: {possible} updates instead of {steps}{late}")
        self.config = self.config.model_copy(update={"steps": possible})
        return possible

    def _diverged(self, name: str, loss: float, batch: Batch) -> GitreelError:
        path = self.folder / f"diverged-rank{self.rank}.pt"
        torch.save({"batch": batch._asdict(), "model": self.models[name].model.state_dict()}, path)
        return ConfigError(
            f"{name}: loss {loss} at update {self.done + 1}; its batch and weights are in {path}; "
            "try a lower --learning-rate with --overwrite"
        )

    # the end ---------------------------------------------------------------------------------------------------

    def _write_config(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        resolved = {
            **self.config.model_dump(),
            "asked": self.asked.model_dump(),
            "model": {name: learner.model.config.model_dump() for name, learner in self.models.items()},
            "gitreel": version("gitreel"),
            "git": git_sha(),
            "torch": torch.__version__,
        }
        write_atomically(self.folder / SETTINGS, json.dumps(resolved, indent=1, allow_nan=False).encode() + b"\n")
        write_atomically(self.folder / "plan.txt", self.plan().encode())
        if self.tokenizer:
            self.tokenizer.save(self.folder / "tokenizer.jsonl")

    def _lineage(self) -> dict[str, str]:
        return {"update": str(self.done), "run": json.dumps(self.config.model_dump()), "git": git_sha()}

    def _finish(self) -> dict[str, Any]:
        name = self.config.backbone
        lines = read_log(self.folder / "log.jsonl")
        held = [line for line in lines if f"validation/{name}/loss" in line]
        last = {key.split("/", 1)[1]: value for key, value in held[-1].items() if key.startswith("validation/")}
        counted = counted_loss(self.reader, self.segments["train"], self.validation_batches, self.unscored)
        trained = {other: last[f"{other}/loss"] for other in self.models if other != name}
        summary = {
            "steps": sum(stream.steps for stream in self.reader.streams),
            "episodes": self.warehouse.episodes,
            "bytes_per_frame": round(self.warehouse.bytes / max(1, self.warehouse.steps), 3),
            "steps_per_second": round(lines[-2].get("frames_per_second", 0.0), 1) if len(lines) > 1 else 0.0,
            "loss_first": held[0][f"validation/{name}/loss"],
            "loss_last": last[f"{name}/loss"],
            "loss_unigram": self.unigram,
            "loss_counts": next(iter(counted.values()), None),
            "loss_frame_only": trained.get("frame_only"),
            "loss_keys_only": trained.get("keys_only"),
            "updates": self.done,
            "seconds": round(time.monotonic() - self.started, 1),
            "preset": self.config.preset,
            **last,
        }
        write_atomically(self.folder / "summary.json", json.dumps(summary, indent=1).encode() + b"\n")
        for each, learner in self.models.items():
            save_weights(self.folder / "models" / f"{each}.safetensors", learner.model, self._lineage())
        title = f"{self.config.preset} {name}, windows of {self.config.window} at {self.reader.geometry}"
        draw_loss(self.folder, list(self.models), self.unigram, title)
        shown = self.sample or self._sample(self.validate(self.models[name]))
        Console().print("", *shown, sep="\n", soft_wrap=True)
        phases = ", ".join(
            f"{key.removeprefix(name + '/accuracy_').replace('_', ' ')} {value:.0%}"
            for key, value in last.items()
            if key.startswith(f"{name}/accuracy_")
        )
        self.say(f"\n  right       {last[f'{name}/accuracy']:.0%} of held-out keys ({phases})")
        self.say(f"  bits a key  {last[f'{name}/bits_per_key']:.2f}")
        others = {"unigram": self.unigram, **counted, **{each.replace("_", "-"): x for each, x in trained.items()}}
        self.say(f"  verdict     {verdict(summary['loss_last'], others, name)}")
        self.say(f"  written     {self.folder}/loss.png, summary.json, best.safetensors, log.jsonl, tensorboard/")
        return summary

    def say(self, words: str) -> None:
        """Print, from rank 0."""
        if self.rank == 0:
            print(words, flush=True)


def fit(config: FitConfig) -> dict[str, Any]:
    """Run to the end (resuming if begun) and return the summary.

    Raises GitreelError, and KeyboardInterrupt with words that say how to go on.
    """
    run = Run(config)
    run.say("training.fit")
    run.say(run.plan())
    try:
        return run.train()
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(f"go on with it: {resume_command(run.folder, run.world)}") from stop
