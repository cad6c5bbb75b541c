"""The frame head of the film figures: trained once, held still, every frame of the corpus its vector.

    python -m figures.film_head                     film the corpus, train the head, keep the vectors
    python -m figures.film_head --film joint        the same with the head that an LSTM helped to train
    python -m figures.film_head --mirrors FOLDER    the same from local clones

What a figure needs is made when it is missing, in ``runs/film/KEY``: KEY hashes the corpus, the head's settings and
this file's version. The head learns from the frame alone (backbone ``frame_only``) on the train repositories; then the
vectors are shifted and scaled to mean 0 and spread 1 over the train repositories, and stored as float16.

Dimensions: T steps of a stream, D width of the head.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from safetensors.torch import save_file

from figures import corpus
from figures.rows import ROOT
from schema.config import FrozenModel
from schema.errors import ConfigError, GitreelError
from training.analysis.word_lags import stored_word_lags
from training.data.batches import Sampler, make_batch
from training.data.splits import Segment
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader
from training.model.config import preset
from training.model.counts import parameter_counts
from training.model.frame_model import FrameModel
from training.model.gradients import token_losses
from training.tasks import recall
from training.tasks.frozen_head import VectorFilm, VectorStream

CACHE = ROOT.parent / "runs" / "film"
VERSION = 1  # of this file: another one makes other vectors
MIRRORS = "GITREEL_MIRRORS"  # environment variable: a folder of local clones
SPAN = 256  # frames embedded at once


class HeadConfig(FrozenModel):
    """Everything that decides the head's weights."""

    width: int = Field(48, ge=4, description="of the vectors; otherwise the preset `tiny`")
    updates: int = Field(1800, ge=1)
    window: int = Field(16, ge=1, description="consecutive steps, which share their work")
    batch: int = Field(32, ge=1, description="windows an update")
    rate: float = Field(4e-3, gt=0, description="peak, of the head")
    reader_rate: float = Field(5e-3, gt=0, description="peak, of what reads the vector while the head learns")
    joint_updates: int = Field(0, ge=0, description="further ones, in which an LSTM reads the vectors: see train_head")
    joint_window: int = Field(64, ge=2, description="consecutive steps of those")
    seed: int = Field(0, ge=0)


# The head of each film, by the film's name.
HEADS = {
    "real": HeadConfig.model_validate({}),
    "joint": HeadConfig.model_validate({"width": 64, "joint_updates": 1200}),
}


def cache_key(film: corpus.Corpus, head: HeadConfig) -> str:
    """12 hex digits: which film and which head's settings."""
    text = json.dumps([VERSION, film.digest, head.model_dump()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def train_head(reader: FilmReader, segments: Sequence[Segment], config: HeadConfig) -> FrameModel:
    """From the frame alone first; then, if asked, with an LSTM that reads the vectors, so that the head learns to keep
    what only a memory can use. That LSTM learns alone for a third of its updates. One thread, deterministic.
    """
    torch.manual_seed(config.seed)
    model = FrameModel(preset("published_tiny", *reader.geometry, width=config.width, backbone="frame_only"))
    sampler = Sampler(segments, config.window, config.seed)
    model.frame_head.centre(make_batch(reader, sampler, config.batch, 0).cells_BTRC[:, ::4])
    _learn(model, reader, sampler, config, config.batch, config.updates)
    if config.joint_updates:
        head = model.frame_head
        model = FrameModel(preset("published_tiny", *reader.geometry, width=config.width, backbone="lstm"))
        model.frame_head = head
        sampler = Sampler(segments, config.joint_window, config.seed + 1)
        batch = max(1, config.batch * config.window // config.joint_window)
        _learn(model, reader, sampler, config, batch, config.joint_updates, still=config.joint_updates // 3)
    return model.eval()


def _learn(
    model: FrameModel,
    reader: FilmReader,
    sampler: Sampler,
    config: HeadConfig,
    batch: int,
    updates: int,
    still: int = 0,
) -> None:
    """Train in place: linear warm-up, then linear decay over the second half; the head starts after `still` updates."""
    head = list(model.frame_head.parameters())
    rest = [p for name, p in model.named_parameters() if not name.startswith("frame_head.")]
    peaks = (config.rate, config.reader_rate)
    groups = [{"params": part, "lr": peak} for part, peak in zip((head, rest), peaks, strict=True)]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.01)
    recent: list[float] = []
    for update in range(updates):
        for parameter in head:
            parameter.requires_grad_(update >= still)
        film = make_batch(reader, sampler, batch, update)
        fall = min(1.0, max(0.02, 2 * (1 - update / updates)))
        for group, peak, start in zip(optimizer.param_groups, peaks, (still, 0), strict=True):
            group["lr"] = peak * fall * min(1.0, max(0, update + 1 - start) / 100)
        logits_BTV, _ = model(film.cells_BTRC)
        loss = token_losses(logits_BTV, film.actions_BT).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        recent = [*recent[-99:], float(loss.detach())]
        if (update + 1) % 100 == 0:
            print(f"head: update {update + 1} of {updates}, {np.mean(recent):.3f} nats", flush=True)


@torch.no_grad()
def vectors(model: FrameModel, reader: FilmReader, stream: int) -> NDArray[np.float32]:
    """[T, D]: every frame of a stream; frames that do not change are computed once."""
    length, parts = reader.lengths[stream], []
    for start in range(0, length, SPAN):
        window = reader.window(stream, start, min(SPAN, length - start))
        parts.append(model.embed(torch.from_numpy(window.cells_TRC)[None]).vectors_BTD[0].numpy())
    return np.concatenate(parts)


def make_cache(folder: Path, film: corpus.Corpus, head: HeadConfig, mirrors: Path | None) -> None:
    """Film the corpus where it is missing, train the head, and write its vectors. Raises GitreelError."""
    torch.set_num_threads(1)
    geometry = corpus.own_geometry(film)
    root = corpus.warehouse_folder(geometry)
    known = Warehouse(root).streams if root.exists() else ()
    whole = {(s.repo_id, s.steps) for s in known} == {(r.repo_id, r.steps) for r in film.repository}
    if not whole and (wrong := corpus.film_all(film, geometry, mirrors)):
        raise ConfigError(
            f"not the film of corpus.toml (does this version of the pipeline type other keys?): {'; '.join(wrong)}"
        )
    reader = FilmReader(Warehouse(root), cache_bytes=1 << 30)
    number = {stream.repo_id: place for place, stream in enumerate(reader.streams)}
    segments = [Segment(number[r.repo_id], 0, r.steps) for r in film.of("train")]
    began = time.process_time()
    model = train_head(reader, segments, head)
    trained = time.process_time() - began
    raw = {r.repo_id: vectors(model, reader, number[r.repo_id]) for r in film.repository}
    train = np.concatenate([raw[r.repo_id] for r in film.of("train")]).astype(np.float64)
    mean_D, spread_D = train.mean(0), train.std(0) + 1e-6
    folder.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), folder / "head.safetensors")
    weights = hashlib.sha256((folder / "head.safetensors").read_bytes()).hexdigest()[:12]
    for repository in film.repository:
        stream, stem = number[repository.repo_id], folder / repository.repo_id
        scaled = ((raw[repository.repo_id] - mean_D) / spread_D).astype(np.float16)
        np.save(f"{stem}.vectors.npy", scaled)
        np.save(f"{stem}.keys.npy", reader.actions(Segment(stream, 0, reader.lengths[stream])).astype(np.uint8))
        np.save(f"{stem}.lags.npy", stored_word_lags(reader, stream))
    about = {
        "head": head.model_dump(), "corpus": film.digest, "weights": weights, "parameters": parameter_counts(model),
        "train_cpu_seconds": round(trained), "all_cpu_seconds": round(time.process_time() - began),
    }  # fmt: skip
    (folder / "film.json").write_text(json.dumps(about, indent=1) + "\n")  # last: the cache is whole


def real_film(mirrors: Path | None = None, name: str = "real") -> VectorFilm:
    """The corpus as the vectors of HEADS[name], made where they are missing. Raises GitreelError."""
    film, head = corpus.read_corpus(), HEADS[name]
    folder = CACHE / cache_key(film, head)
    if not (folder / "film.json").exists():
        named = os.environ.get(MIRRORS)
        make_cache(folder, film, head, mirrors or (Path(named) if named else None))
    weights = json.loads((folder / "film.json").read_text())["weights"]

    def part(repository: corpus.Repository, kind: str) -> NDArray[Any]:
        return np.asarray(np.load(folder / f"{repository.repo_id}.{kind}.npy"))

    streams = [
        VectorStream(r.name, r.split, part(r, "vectors"), part(r, "keys").astype(np.int64), part(r, "lags"))
        for r in film.repository
    ]
    return VectorFilm(name, weights, tuple(streams))


def recall_film(
    width: int = HEADS["real"].width, train: int = 8, steps: int = 150_000, held: int = 50_000
) -> VectorFilm:
    """training.tasks.recall as a film: a fixed random vector for each different screen, streams made from seeds."""
    screens = 1 + recall.SLOTS * (recall.VALUES + 1)
    table_ND = np.random.default_rng(4).standard_normal((screens, width)).astype(np.float16)
    streams = []
    for seed, split in enumerate(["train"] * train + ["validation"] + ["test"] * 4):
        made = recall.make_recall(seed, steps if split == "train" else held)
        x_TD = table_ND[recall.screen_ids(made)]
        streams.append(VectorStream(f"{split} {seed}", split, x_TD, recall.keys(made), made.lag_T))
    return VectorFilm("recall", "recall-1", tuple(streams), questions=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m figures.film_head", description="Make the film figures' vectors.")
    parser.add_argument("--film", choices=sorted(HEADS), default="real", help="whose head [real]")
    parser.add_argument("--mirrors", type=Path, metavar="FOLDER", help=f"local clones, or set {MIRRORS}")
    options = parser.parse_args(arguments)
    try:
        film = real_film(options.mirrors, options.film)
    except GitreelError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    steps = sum(len(stream.action_T) for stream in film.streams)
    print(f"{steps:,} frames of {len(film.streams)} repositories, head {film.digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
