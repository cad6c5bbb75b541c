"""Lets a fitted model act: its keys, played in the terminal from where a recorded commit began.

The screen is the one that the commit before left, the memory is warmed on the steps before it. First the model is
asked for each recorded key on the recorded screens (teacher forcing); then it types on its own. Nothing is executed:
the terminal is a screen model. A rollout ends where that model would no longer be exact, and says why.

Dimensions: T steps, R rows, C columns, D width, V actions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from pipeline.terminal.env import TerminalEnv
from schema.actions import Phase, action_name
from schema.columns import FRAME, STYLE
from schema.errors import ConfigError, CorruptError, UnsupportedKeyError
from schema.geometry import Geometry
from schema.screen import Screen, StyleRun, runs_by_row, style_runs
from training.analysis.metrics import CHUNK
from training.data.windows import FilmReader, FilmWindow, decode_cells
from training.model.backbones import State
from training.model.frame_model import FrameModel
from training.model.gradients import chunks

SHORT_RUN = (
    "After minutes of training expect one likely key over and over (often a space) and a final screen that is not "
    "reached: the line `taught` says what was learned; --given N and --temperature 1 show more of it."
)


class RolloutEpisode(NamedTuple):
    """A recorded episode: where it starts, what was typed, and the screen it ends on.

    `key_before`: the key pressed just before the first, if any. `files`: what the editor may open, by path as stored;
    None for a file that does not exist yet.
    """

    stream: int
    first_step: int
    commit: str
    subject: str
    keys: bytes
    key_before: int | None
    files: dict[str, bytes | None]
    start: Screen | None
    final: Screen


class RolloutEnd(NamedTuple):
    """How a rollout ended: the keys played, why it stopped, whether the episode's final screen is there."""

    keys: bytes
    reason: str
    reached: bool


def load_episode(reader: FilmReader, repo_id: str, ordinal: int) -> RolloutEpisode:
    """One episode of a warehouse. Raises ConfigError (no such film), CorruptError, SchemaVersionError."""
    names = [stream.repo_id for stream in reader.streams]
    if repo_id not in names:
        raise ConfigError(f"{reader.warehouse.root}: no film of {repo_id}; it has {', '.join(names[:8])}")
    before: dict[str, Any] | None = None
    for row in _rows(reader, repo_id, "episodes"):
        if row["episode"] == ordinal:
            break
        before = row
    else:
        last = "none" if before is None else f"0-{before['episode']}"
        raise ConfigError(f"{repo_id}: no episode {ordinal}; it has {last}")
    if not row["steps"]:
        raise ConfigError(f"{repo_id}: episode {ordinal} was stepped over ({row['reason']}); choose another one")
    wanted = {one["path"]: one["blob"] for one in reversed(row["opened"])}
    missing = {blob for blob in wanted.values() if blob is not None}
    contents: dict[str, bytes] = {}
    for table in reader.warehouse.tables(repo_id, "blobs", ["blob", "content"]):
        if missing <= contents.keys():
            break
        for blob, content in zip(*(table.column(name).to_pylist() for name in ("blob", "content")), strict=True):
            if blob in missing:
                contents[blob] = content
    if not missing <= contents.keys():
        raise CorruptError(
            f"{repo_id}: contents of episode {ordinal} are missing; run: python -m pipeline.warehouse verify"
        )
    files = {path: None if blob is None else contents[blob] for path, blob in wanted.items()}
    stream, first = names.index(repo_id), int(row["first_step"])
    keys = reader.window(stream, first, row["steps"]).action_T.astype(np.uint8).tobytes()
    key_before = int(reader.window(stream, first - 1, 1).action_T[0]) if first else None
    start = None if before is None else _final_screen(before)
    return RolloutEpisode(
        stream, first, row["commit"], row["subject"], keys, key_before, files, start, _final_screen(row)
    )


def _rows(reader: FilmReader, repo_id: str, kind: str) -> Iterator[dict[str, Any]]:
    for table in reader.warehouse.tables(repo_id, kind):
        yield from table.to_pylist()


def _final_screen(row: dict[str, Any]) -> Screen:
    """The screen that an episode's row ends on."""
    runs = runs_by_row((StyleRun(**run) for run in row["final_style"]), len(row["final_frame"]))
    return Screen(tuple(row["final_frame"]), runs, row["final_cursor_row"], row["final_cursor_col"])


def start_terminal(geometry: Geometry, episode: RolloutEpisode) -> TerminalEnv:
    """The terminal where the episode begins; its editor opens the episode's files alone."""
    return TerminalEnv(*geometry, files=episode.files, start=episode.start, closed=True)


def arrived(env: TerminalEnv, episode: RolloutEpisode) -> bool:
    """Whether the screen is the one that the recorded episode ended on."""
    return env.at_prompt and env.screen == episode.final


def screen_cells(env: TerminalEnv, max_code_point: int) -> Tensor:
    """The screen now as the model reads it, [1, 1, R, C] cell ids."""
    screen = env.screen
    table = pa.table(
        {
            "frame": pa.array([list(screen.texts)], FRAME),
            "style": pa.array([[run._asdict() for run in style_runs(screen.runs)]], STYLE),
            "cursor_row": pa.array([screen.cursor_row], pa.int16()),
            "cursor_col": pa.array([screen.cursor_col], pa.int16()),
        }
    )
    ids_TR, cells_NC = decode_cells(table, env.geometry, max_code_point)
    return torch.from_numpy(cells_NC[ids_TR])[None]


def picture(env: TerminalEnv) -> str:
    """The screen as text between two rules."""
    rule = "+" + "-" * env.geometry.cols + "+"
    return "\n".join([rule, *(f"|{text}" for text in env.screen.texts), rule])


def warm_state(model: FrameModel, reader: FilmReader, episode: RolloutEpisode, warm: int) -> State:
    """The memory after the `warm` steps before the episode (fewer where the stream starts)."""
    warm = min(warm, episode.first_step)
    state = model.initial_state(1)
    for part in chunks(warm, CHUNK) if warm else ():
        window = reader.window(episode.stream, episode.first_step - warm + part.start, part.stop - part.start)
        previous_BT = keys_before(model, reader, episode.stream, episode.first_step - warm + part.start, window)
        _, state = model(torch.from_numpy(window.cells_TRC)[None], previous_BT, state)
    return state


def keys_before(model: FrameModel, reader: FilmReader, stream: int, start: int, window: FilmWindow) -> Tensor:
    """[1, T]: the key pressed before each step of a window that starts at `start`; before a stream's first, none."""
    first = int(reader.window(stream, start - 1, 1).action_T[0]) if start else model.vocabulary
    return torch.from_numpy(np.concatenate(([first], window.action_T[:-1])))[None]


def teacher_forced(model: FrameModel, reader: FilmReader, episode: RolloutEpisode, state: State) -> dict[str, Any]:
    """How the model does on the recorded screens: loss (nats), agreement, agreement by phase."""
    total, right, phases = 0.0, [], []
    for part in chunks(len(episode.keys), CHUNK):
        window = reader.window(episode.stream, episode.first_step + part.start, part.stop - part.start)
        previous_BT = keys_before(model, reader, episode.stream, episode.first_step + part.start, window)
        logits_BTV, state = model(torch.from_numpy(window.cells_TRC)[None], previous_BT, state)
        action_T = torch.from_numpy(window.action_T)
        total += float(torch.nn.functional.cross_entropy(logits_BTV[0], action_T, reduction="sum"))
        right.append((logits_BTV[0].argmax(-1) == action_T).numpy())
        phases.append(window.phase_T)
    right_T, phase_T = np.concatenate(right), np.concatenate(phases)
    by_phase = {p.name.lower(): float(right_T[phase_T == p].mean()) for p in Phase if (phase_T == p).any()}
    return {"loss": total / len(right_T), "agreement": float(right_T.mean()), "by_phase": by_phase}


def run_free(
    model: FrameModel,
    env: TerminalEnv,
    episode: RolloutEpisode,
    state: State,
    keys: int,
    given: int,
    temperature: float,
    seed: int,
) -> RolloutEnd:
    """At most `keys` keys: the first `given` as recorded, then the model's own on the screens they make.

    `temperature` 0: its likeliest key each time.
    """
    random = torch.Generator().manual_seed(seed)
    points, played = model.config.max_code_point, bytearray()
    before = model.vocabulary if episode.key_before is None else episode.key_before
    while len(played) < keys:
        logits_BTV, state = model(screen_cells(env, points), torch.tensor([[before]]), state, reuse=False)
        logits_V = logits_BTV[0, -1].float()
        if len(played) < given:
            key = episode.keys[len(played)]
        elif temperature:
            key = int(torch.multinomial(torch.softmax(logits_V / temperature, 0), 1, generator=random))
        else:
            key = int(logits_V.argmax())
        try:
            env.step(key)
        except UnsupportedKeyError as error:
            return RolloutEnd(bytes(played), str(error), False)
        played.append(key)
        before = key
        if arrived(env, episode):
            return RolloutEnd(bytes(played), "the episode's final screen is reached", True)
    return RolloutEnd(bytes(played), f"{keys} keys are played", False)


def on_path(played: bytes, recorded: bytes) -> int:
    """Keys that two sequences share from their start."""
    pairs = zip(played, recorded, strict=False)
    return next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(played), len(recorded)))


def rollout(
    model: FrameModel,
    reader: FilmReader,
    episode: RolloutEpisode,
    *,
    warm: int,
    keys: int | None = None,
    given: int = 0,
    temperature: float = 0.0,
    seed: int = 0,
) -> tuple[dict[str, Any], TerminalEnv]:
    """The report of one episode, and the terminal as the rollout left it. Raises ConfigError, CorruptError."""
    if not 0 <= given < len(episode.keys):
        raise ConfigError(f"--given {given}: the episode has {len(episode.keys)} keys; leave at least one to the model")
    env = start_terminal(reader.geometry, episode)
    first = reader.window(episode.stream, episode.first_step, 1).cells_TRC
    if not np.array_equal(screen_cells(env, model.config.max_code_point)[0].numpy(), first):
        raise CorruptError(
            f"{reader.streams[episode.stream].repo_id}: the screen at step {episode.first_step} is not the one that "
            "the episode before it left; run: python -m pipeline.warehouse verify"
        )
    with torch.no_grad():
        state = warm_state(model, reader, episode, warm)
        taught = teacher_forced(model, reader, episode, state)
        end = run_free(model, env, episode, state, keys or len(episode.keys), given, temperature, seed)
    return {
        "commit": episode.commit,
        "subject": episode.subject,
        "recorded_keys": len(episode.keys),
        "warm": min(warm, episode.first_step),
        "given": given,
        "temperature": temperature,
        "seed": seed,
        "teacher_forced": taught,
        "keys": len(end.keys),
        "on_path": max(0, on_path(end.keys, episode.keys) - given),
        "reached": end.reached,
        "reason": end.reason,
        "played": [action_name(key) for key in end.keys[given:]],
    }, env


def words(report: dict[str, Any]) -> str:
    """The report for people."""
    taught, own = report["teacher_forced"], max(0, report["keys"] - report["given"])
    phases = ", ".join(f"{name.replace('_', ' ')} {value:.0%}" for name, value in taught["by_phase"].items())
    how = f"sampled at temperature {report['temperature']:g}" if report["temperature"] else "likeliest keys"
    typed = " ".join(report["played"][:60]) + (" ..." if own > 60 else "")
    path = f"{own} keys, {report['on_path']} of them on the recorded path"
    lines = [
        f"commit        {report['commit'][:12]} {report['subject']}",
        f"recorded      {report['recorded_keys']:,} keys; memory warmed on {report['warm']:,} steps before them",
        f"taught        {taught['agreement']:.1%} of recorded keys are its likeliest; {taught['loss']:.3f} nats a key",
        f"              {phases}",
        f"on its own    {how}, after {report['given']} recorded keys: {path}",
        f"              {typed}",
        f"ended         {report['reason']}",
        f"final screen  {'reached' if report['reached'] else 'NOT reached'}",
    ]
    return "\n".join(lines)
