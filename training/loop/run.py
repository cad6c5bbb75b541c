"""The training loop: update, validate, save, until the updates that were planned are made."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import torch
from rich.text import Text

from schema.errors import ConfigError, GitreelError
from training.analysis.display import plain
from training.analysis.metrics import Predictions, scores
from training.data.batches import Batch
from training.files import git_sha
from training.loop.config import FitConfig
from training.loop.distributed import await_ranks
from training.loop.folder import BEST, resume_command
from training.loop.held_out import sample, validate
from training.loop.optim import rate
from training.loop.plan import UPDATES, fewer_updates
from training.loop.prepare import Prepared, prepare
from training.loop.report import Log
from training.loop.resume import save
from training.loop.summary import finish, plan_words, write_settings
from training.model.weights import save_weights


def fit(config: FitConfig) -> dict[str, Any]:
    """Run to the end (resuming if begun) and return the summary.

    Raises GitreelError, and KeyboardInterrupt with words that say how to go on.
    """
    prepared = prepare(config)
    prepared.process.say("training.fit")
    prepared.process.say(plan_words(prepared))
    try:
        summary = Run(prepared).train()
        await_ranks()
        return summary
    except KeyboardInterrupt as stop:
        resume = resume_command(prepared.folder, prepared.process.world)
        raise KeyboardInterrupt(f"go on with it: {resume}") from stop


class Run:
    """The loop of one run, and how far it is. Rank 0 writes and prints."""

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        self.process, self.folder = prepared.process, prepared.folder
        self.data, self.learners = prepared.data, prepared.learners
        self.done, self.best = prepared.done, prepared.best
        assert prepared.config.steps is not None
        self.steps = prepared.config.steps  # updates in all; fewer once the machine turns out slower than planned
        self.judged: Predictions | None = None  # the main model's at the last validation
        self.sample: list[Text] = []  # of them, to look at

    @property
    def config(self) -> FitConfig:
        """The run's settings, with as many updates as there will be."""
        return self.prepared.config.model_copy(update={"steps": self.steps})

    def train(self) -> dict[str, Any]:
        """Run the loop. Returns the summary, on rank 0. Raises GitreelError when a loss is no number."""
        if self.process.rank:
            self._loop(None)
            return {}
        write_settings(self.prepared)
        with Log(self.folder, self.done) as log:
            self._loop(log)
        for name, learner in self.learners.items():
            save_weights(self.folder / "models" / f"{name}.safetensors", learner.model, self._lineage())
        main = self.learners[self.prepared.config.backbone]
        predictions = validate(main, self.data.held_out) if self.judged is None else self.judged
        return finish(self.prepared, self.done, predictions, self.sample or self._sample(predictions))

    def _loop(self, log: Log | None) -> None:
        config, planned, first = self.prepared.config, self.steps, self.done
        due = {round(planned * k / config.evaluations) for k in range(1, config.evaluations)} | {0, planned}
        began = time.monotonic()
        samplers = self.data.samplers(config.seed)
        with self.data.loader(samplers, config.length_warmup, first, planned) as loader:
            batches = iter(loader)
            if self.done == 0:
                self._evaluate(log)
            while self.done < self.steps:
                batch = next(batches)
                values = self._update(batch)
                self.done += 1
                frames = batch.actions_BT.numel() * self.process.world * (self.done - first)
                values["frames_per_second"] = frames / (time.monotonic() - began)
                values["seconds"] = round(time.monotonic() - self.prepared.started, 3)
                if log:
                    log.write(self.done, values)
                if self.done in due:
                    self._evaluate(log)
                    self.steps = self._replanned(began, first)
                    due |= {self.steps}

    def _update(self, batch: Batch) -> dict[str, Any]:
        """One update of every model; what is logged of it. Raises ConfigError when a loss is no number."""
        config = self.prepared.config
        values: dict[str, Any] = {}
        frozen = self.done < config.frozen_share * self.steps
        factor = rate(self.done, self.steps, config.warmup, config.decay, config.course)
        for name, learner in self.learners.items():
            learner.freeze_head(frozen)
            loss, norm = learner.update(batch, factor)
            values |= {f"train/{name}": loss, f"gradient/{name}": norm}
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise self._diverged(name, loss, batch)
        return values

    def _evaluate(self, log: Log | None) -> None:
        """Judge every model on held-out film, by rank 0, and save a checkpoint."""
        if log:
            values: dict[str, Any] = {}
            words = []
            for name, learner in self.learners.items():
                predictions = validate(learner, self.data.held_out)
                found = scores(predictions, self.data.reader.tokenizer)
                values |= {f"validation/{name}/{key}": value for key, value in found.items()}
                words.append(f"{name.replace('_', '-')} {found['loss']:.3f}")
                if name == self.prepared.config.backbone:
                    self._note(predictions, found["loss"])
            log.write(self.done, values)
            passed = time.monotonic() - self.prepared.started
            self.process.say(
                f"  {passed:6.0f} s  update {self.done:5d} of {self.steps}: held out, nats a step: {', '.join(words)}"
            )
        if self.done:
            asked, film = self.prepared.asked, self.data.identity
            save(asked, self.config, self.learners, film, self.process, self.folder, self.done, self.best)

    def _note(self, predictions: Predictions, loss: float) -> None:
        """Show some of the main model's predictions, and keep its weights if they are the best so far."""
        self.judged, self.sample = predictions, self._sample(predictions)
        with (self.folder / "samples.txt").open("a" if self.done else "w") as samples:
            samples.write(f"update {self.done}\n{plain(self.sample)}\n\n")
        if loss < self.best:
            self.best = loss
            main = self.learners[self.prepared.config.backbone]
            save_weights(self.folder / BEST, main.model, self._lineage())

    def _sample(self, predictions: Predictions) -> list[Text]:
        main = self.learners[self.prepared.config.backbone]
        return sample(main.model, self.data.reader, self.data.held_out, predictions, self.data.window)

    def _replanned(self, began: float, first: int) -> int:
        """Fewer updates where --minutes would be passed by a fifth: the machine became busier than the probe saw."""
        steps, asked = self.steps, self.prepared.asked
        if asked.steps is not None or self.process.world > 1 or self.done >= steps or self.done == first:
            return steps
        left = 60 * asked.minutes - (time.monotonic() - self.prepared.started)
        each = (time.monotonic() - began) / (self.done - first)
        possible = fewer_updates(self.done, steps, left, each)
        if possible != steps:
            late = "" if possible != UPDATES else f", past the {asked.minutes:g} minutes: fewer teach little"
            self.process.say(f"  slower than planned: {possible} updates instead of {steps}{late}")
        return possible

    def _diverged(self, name: str, loss: float, batch: Batch) -> GitreelError:
        path = self.folder / f"diverged-rank{self.process.rank}.pt"
        torch.save({"batch": batch._asdict(), "model": self.learners[name].model.state_dict()}, path)
        return ConfigError(
            f"{name}: loss {loss} at update {self.done + 1}; its batch and weights are in {path}; "
            "try a lower --learning-rate with --overwrite"
        )

    def _lineage(self) -> dict[str, str]:
        return {"update": str(self.done), "run": json.dumps(self.config.model_dump()), "git": git_sha()}
