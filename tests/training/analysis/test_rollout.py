"""Rollouts: restored screens, recorded keys played again, and every way in which a rollout ends."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.terminal.env import TerminalEnv
from schema.errors import ConfigError, CorruptError, UnsupportedKeyError
from tests.training.recorded import MODEL, REPO, recorded_model
from training.analysis.rollout import (
    RolloutEnd,
    RolloutEpisode,
    arrived,
    keys_before,
    load_episode,
    on_path,
    picture,
    rollout,
    run_free,
    screen_cells,
    start_terminal,
    teacher_forced,
    warm_state,
)
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader
from training.model.config import ModelConfig
from training.model.frame_model import FrameModel


class Parrot(FrameModel):
    """Presses given keys in turn, whatever it sees. Its state is how many frames it has seen."""

    def __init__(self, keys: bytes, seen: int = 0) -> None:
        super().__init__(ModelConfig.model_validate(MODEL))
        self.keys, self.seen = keys, seen
        self.backbone.initial_state = lambda batch: (torch.tensor(0),)

    def forward(
        self,
        cells_BTRC: Tensor,
        previous_BT: Tensor | None = None,
        state: tuple[Tensor, ...] | None = None,
        resets_BT: Tensor | None = None,
        reuse: bool | float = True,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        assert state is not None
        start, steps = int(state[0]), cells_BTRC.shape[1]
        logits_BTV = torch.zeros(1, steps, 256)
        for t in range(steps):
            place = start + t - self.seen
            if 0 <= place < len(self.keys):
                logits_BTV[0, t, self.keys[place]] = 50.0
        return logits_BTV, (torch.tensor(start + steps),)


def type_all(env: TerminalEnv, keys: bytes) -> None:
    for key in keys:
        env.step(key)


@pytest.mark.parametrize("ordinal", [0, 1, 3, 4])
def test_recorded_keys_make_the_recorded_frames_and_end_on_the_final_screen(
    history_reader: FilmReader, ordinal: int
) -> None:
    episode = load_episode(history_reader, REPO, ordinal)
    env = start_terminal(history_reader.geometry, episode)
    stored = history_reader.window(episode.stream, episode.first_step, len(episode.keys))
    for step, key in enumerate(episode.keys):
        np.testing.assert_array_equal(screen_cells(env, 256)[0, 0].numpy(), stored.cells_TRC[step])
        assert not arrived(env, episode) or step == 0
        env.step(key)
    assert arrived(env, episode)


def test_what_vim_writes_is_what_it_opens_again(history_reader: FilmReader) -> None:
    episode = load_episode(history_reader, REPO, 1)
    assert episode.files == {"a.txt": b"one\ntwo\n", "it's b.txt": None}
    env = start_terminal(history_reader.geometry, episode)
    type_all(env, b"vim a.txt\rdd:w\r:q\r")
    assert env.files["a.txt"] == b"two\n"
    type_all(env, b'vim "it\'s b.txt"\r:q\r')
    assert env.files["it's b.txt"] is None
    type_all(env, b"vim a.txt\r")
    assert env.terminal.screen().texts[:2] == ("two", "~")


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        (b"vim other.txt\r", r"an editor was started on 'other.txt', whose content is not held here"),
        (b"vim a.txt b.txt\r", "does not open one file"),
        (b"vim\r", "does not open one file"),
        (b"vim ${X}\r", "whose content is not held here|not quoted as a replay quotes"),
        (b"ls -l\r", "'ls -l' is no command that a replay types"),
        (b"git log\r", "'git log' is no command that a replay types"),
        (b"git rm -q 'a\r", "is not a whole line of shell"),
        (b"\x01", r"<C-A> is not drawn here"),
        (b"\xff", r"<xFF> is not drawn here"),
        (b"vim a.txt\rZ", r"Z is not drawn here"),
        (b"vim a.txt\rdd:q\r", r"<CR> is not drawn here: .*unsaved"),
        (b"vim a.txt\r:wq\r", r"<CR> is not drawn here: .*:wq"),
    ],
)
def test_what_the_terminal_does_not_draw_ends_it_with_a_reason(
    history_reader: FilmReader, keys: bytes, reason: str
) -> None:
    episode = load_episode(history_reader, REPO, 1)
    type_all(start_terminal(history_reader.geometry, episode), keys[:-1])
    with pytest.raises(UnsupportedKeyError, match=reason):
        type_all(start_terminal(history_reader.geometry, episode), keys)
    end = run_free(
        Parrot(keys), start_terminal(history_reader.geometry, episode), episode, (torch.tensor(0),), 99, 0, 0.0, 0
    )
    assert end.keys == keys[:-1]
    assert not end.reached


def test_no_keys_at_all_can_crash_it(history_reader: FilmReader) -> None:
    episode, random = load_episode(history_reader, REPO, 1), np.random.default_rng(0)
    likely = np.frombuffer(b"vim a.txt\rGdcwlfx0iIaAoOCD-|129\r\x1b:wq\x16\x08\t '\"$\xe6\xbc\xa2\xff", np.uint8)
    for _ in range(60):
        start = b"vim a.txt\r" if random.random() < 0.7 else b""
        keys = start + random.choice(likely, 80).astype(np.uint8).tobytes()
        end = run_free(
            Parrot(keys), start_terminal(history_reader.geometry, episode), episode, (torch.tensor(0),), 80, 0, 0.0, 0
        )
        assert keys.startswith(end.keys)


def test_a_model_that_knows_the_keys_reaches_the_end(history_reader: FilmReader) -> None:
    episode = load_episode(history_reader, REPO, 3)
    warm = 20
    report, env = rollout(Parrot(episode.keys, warm), history_reader, episode, warm=warm)
    assert report["teacher_forced"]["agreement"] == 1.0
    assert (report["keys"], report["on_path"], report["reached"]) == (len(episode.keys), len(episode.keys), True)
    assert arrived(env, episode)
    assert "Say less" not in picture(env).splitlines()[1]


def test_given_keys_are_typed_first_and_not_counted(history_reader: FilmReader) -> None:
    episode = load_episode(history_reader, REPO, 1)
    wrong = episode.keys[:9] + b"x" * 40
    report, _ = rollout(Parrot(wrong), history_reader, episode, warm=0, given=5, keys=12)
    assert (report["keys"], report["on_path"], report["reached"]) == (12, 4, False)
    assert report["reason"] == "12 keys are played"
    assert report["played"] == [*(chr(key) for key in episode.keys[5:9]), *"xxx"]
    with pytest.raises(ConfigError, match="leave at least one to the model"):
        rollout(Parrot(wrong), history_reader, episode, warm=0, given=len(episode.keys))


@pytest.mark.parametrize("backbone", ["lstm", "frame_only", "transformer", "learner"])
def test_a_rollout_predicts_as_teacher_forcing_does(history_reader: FilmReader, backbone: str) -> None:
    """On the recorded path, step by step or in chunks, with the memory warmed or not."""
    model, episode = recorded_model(backbone), load_episode(history_reader, REPO, 3)
    with torch.no_grad():
        for warm in (0, 70):
            state = warm_state(model, history_reader, episode, warm)
            window = history_reader.window(0, episode.first_step - warm, warm + 10)
            before_BT = keys_before(model, history_reader, 0, episode.first_step - warm, window)
            logits_BTV, _ = model(torch.from_numpy(window.cells_TRC)[None], before_BT, reuse=False)
            first = int(logits_BTV[0, warm].argmax())
            end = run_free(model, start_terminal(history_reader.geometry, episode), episode, state, 1, 0, 0.0, 0)
            assert end.keys in (bytes([first]), b"")
            taught = teacher_forced(model, history_reader, episode._replace(keys=episode.keys[:10]), state)
            right = logits_BTV[0, warm:].argmax(-1).numpy() == window.action_T[warm:]
            assert taught["agreement"] == pytest.approx(right.mean())


def test_sampling_depends_on_the_seed_alone(history_reader: FilmReader) -> None:
    model, episode = recorded_model(), load_episode(history_reader, REPO, 1)

    def played(seed: int) -> RolloutEnd:
        with torch.no_grad():
            state = warm_state(model, history_reader, episode, 10)
            return run_free(model, start_terminal(history_reader.geometry, episode), episode, state, 30, 20, 1.0, seed)

    assert played(3) == played(3)
    assert len({played(seed) for seed in range(8)}) > 1


def test_keys_in_common() -> None:
    assert [on_path(a, b"abc") for a in (b"", b"ab", b"abc", b"abcd", b"axc")] == [0, 2, 3, 3, 1]


def test_episodes_that_are_not_there_are_refused(history_reader: FilmReader) -> None:
    with pytest.raises(ConfigError, match="no episode 9; it has 0-4"):
        load_episode(history_reader, REPO, 9)
    with pytest.raises(ConfigError, match=r"episode 2 was stepped over \(too-many-files\)"):
        load_episode(history_reader, REPO, 2)
    with pytest.raises(ConfigError, match="no film of a/b; it has owner/name"):
        load_episode(history_reader, "a/b", 0)


def test_another_screen_than_the_stored_one_is_refused(history_reader: FilmReader) -> None:
    episode = load_episode(history_reader, REPO, 1)
    assert episode.start is not None
    moved: RolloutEpisode = episode._replace(start=episode.start._replace(cursor_col=30))
    with pytest.raises(CorruptError, match="is not the one that the episode before it left"):
        rollout(recorded_model(), history_reader, moved, warm=0)


def test_missing_contents_are_told(history_root: Path, tmp_path: Path) -> None:
    shutil.copytree(history_root, tmp_path / "w")
    manifest = next((tmp_path / "w/shards").glob("*/stream.json"))
    loaded = json.loads(manifest.read_text())
    for shard in loaded["shards"]:
        del shard["files"]["blobs"]
    manifest.write_text(json.dumps(loaded))
    with pytest.raises(CorruptError, match="contents of episode 1 are missing"):
        load_episode(FilmReader(Warehouse(tmp_path / "w")), REPO, 1)
