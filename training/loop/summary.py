"""What a run says of itself: the plan before its first update, its settings, and the summary after its last."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import torch
from rich.console import Console
from rich.text import Text

from training.analysis.metrics import Predictions
from training.files import git_sha, write_atomically
from training.loop.folder import SETTINGS, TOKENIZER, resume_command
from training.loop.held_out import count_held_out
from training.loop.prepare import Prepared
from training.loop.report import draw_loss, read_log, verdict
from training.model.counts import parameter_counts


def plan_words(run: Prepared) -> str:
    """What will be done."""
    config, data = run.config, run.data
    counts = parameter_counts(next(iter(run.learners.values())).model)
    named = {name.replace("_", " "): count for name, count in counts.items() if name != "total"}
    named["the rest"] = counts["total"] - sum(named.values())  # copying, the previous key, memory
    parts = ", ".join(f"{name} {count:,}" for name, count in named.items() if count)
    steps = sum(segment.stop - segment.start for segment in data.segments["train"])
    tokenizer = data.reader.tokenizer
    said = data.warehouse.notes[:5]
    if tokenizer and len(tokenizer) < config.tokens:
        said = [*said, f"the keys to learn hold no more than {len(tokenizer)} tokens, {config.tokens} were asked"]
    notes = [f"  note        {note}\n" for note in said]
    unit = f"tokens of {data.vocabulary}" if tokenizer else "steps"
    time_words = (
        f"about {run.asked.minutes:.3g} minutes ({run.cost.update:.2f} s an update, measured)"
        if run.asked.steps is None and run.done == 0
        else f"from update {run.done:,}"
    )
    names = " and of ".join(name.replace("_", "-") for name in run.learners)
    return (
        f"  film        {len(data.reader.streams)} streams at {data.reader.geometry}, {steps:,} {unit} to learn\n"
        f"  splits      {data.split_words}\n"
        f"  model       {config.preset}, {config.backbone}: {counts['total']:,} parameters ({parts})\n"
        f"  windows     {_windows_words(run, unit)}\n"
        f"  machine     {run.process.device}, {torch.get_num_threads()} threads, {run.process.world} ranks, "
        f"{'bf16' if config.bf16 else 'fp32'}\n"
        f"  plan        {config.steps:,} updates of {names}, {time_words}\n"
        f"  written to  {run.folder}/\n"
        f"  if stopped  {resume_command(run.folder, run.process.world)}\n" + "".join(notes)
    )


def _windows_words(run: Prepared, unit: str) -> str:
    size = f"{run.config.batch} x {run.config.window} {unit} an update"
    if run.data.carried:
        return f"{size}: {run.config.batch} streams side by side in their order, the state carried on"
    return f"{size}; {run.data.sampler.starts:,} starts, {run.data.sampler.skipped} streams too short"


def write_settings(run: Prepared) -> None:
    """Write config.json, plan.txt and the tokenizer into the run's folder."""
    run.folder.mkdir(parents=True, exist_ok=True)
    resolved = {
        **run.config.model_dump(),
        "asked": run.asked.model_dump(),
        "model": {name: learner.model.config.model_dump() for name, learner in run.learners.items()},
        "gitreel": version("gitreel"),
        "git": git_sha(),
        "torch": torch.__version__,
    }
    write_atomically(run.folder / SETTINGS, json.dumps(resolved, indent=1, allow_nan=False).encode() + b"\n")
    write_atomically(run.folder / "plan.txt", plan_words(run).encode())
    if run.data.reader.tokenizer:
        run.data.reader.tokenizer.save(run.folder / TOKENIZER)


def finish(run: Prepared, updates: int, predictions: Predictions, sample: Sequence[Text]) -> dict[str, Any]:
    """Write summary.json and loss.png, print `sample` and how the models compare; the summary.

    `predictions`: the main model's, of the held-out film.
    """
    name, data = run.config.backbone, run.data
    lines = read_log(run.folder / "log.jsonl")
    validations = [line for line in lines if f"validation/{name}/loss" in line]
    last = {key.split("/", 1)[1]: value for key, value in validations[-1].items() if key.startswith("validation/")}
    counted = count_held_out(data.reader, data.segments["train"], data.held_out)
    trained = {other: last[f"{other}/loss"] for other in run.learners if other != name}
    summary = {
        "steps": sum(stream.steps for stream in data.reader.streams),
        "episodes": data.warehouse.episodes,
        "bytes_per_frame": round(data.warehouse.bytes / max(1, data.warehouse.steps), 3),
        "steps_per_second": round(lines[-2].get("frames_per_second", 0.0), 1) if len(lines) > 1 else 0.0,
        "loss_first": validations[0][f"validation/{name}/loss"],
        "loss_last": last[f"{name}/loss"],
        "loss_unigram": data.unigram,
        "loss_counts": counted and counted.loss(counted.order),
        "loss_counts_4": counted and counted.loss(4),
        "loss_mixed": counted and counted.mixed(predictions.losses),
        "loss_frame_only": trained.get("frame_only"),
        "loss_keys_only": trained.get("keys_only"),
        "updates": updates,
        "seconds": round(time.monotonic() - run.started, 1),
        "preset": run.config.preset,
        **last,
    }
    write_atomically(run.folder / "summary.json", json.dumps(summary, indent=1).encode() + b"\n")
    title = f"{run.config.preset} {name}, windows of {run.config.window} at {data.reader.geometry}"
    draw_loss(run.folder, list(run.learners), data.unigram, title)
    Console().print("", *sample, sep="\n", soft_wrap=True)
    others, mixed = {"unigram": data.unigram}, ""
    if counted:
        others |= {f"order-{order} counts": counted.loss(order) for order in sorted({4, counted.order})}
        mixed = f"  with counts {summary['loss_mixed']:.3f} nats a step, the model and the counts mixed as it reads\n"
    others |= {other.replace("_", "-"): loss for other, loss in trained.items()}
    run.process.say(_closing_words(run, last, verdict(summary["loss_last"], others, name), mixed))
    return summary


def _closing_words(run: Prepared, last: Mapping[str, float], compared: str, mixed: str) -> str:
    """`last`: the last validation's figures, by model and name."""
    name = run.config.backbone
    phases = ", ".join(
        f"{key.removeprefix(name + '/accuracy_').replace('_', ' ')} {value:.0%}"
        for key, value in last.items()
        if key.startswith(f"{name}/accuracy_")
    )
    return (
        f"\n  right       {last[f'{name}/accuracy']:.0%} of held-out keys ({phases})\n"
        f"  bits a key  {last[f'{name}/bits_per_key']:.2f}\n"
        f"  verdict     {compared}\n{mixed}"
        f"  written     {run.folder}/loss.png, summary.json, best.safetensors, log.jsonl, tensorboard/\n"
        f"  look        python -m training.report {shlex.quote(str(run.folder))}"
    )
