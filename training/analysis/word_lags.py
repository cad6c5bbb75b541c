"""Word lags, a certificate of memory: for each typed word, how many steps ago it was last on the screen.

A key that belongs to a word which is visible now can be copied from the frame; one that was visible 300 steps ago needs
300 steps of memory; one that was never visible can only be guessed. Computed from the film alone.

    lag -2   not a key of a typed word (a run of 3 or more letters, digits and _ typed as text or as a message)
    lag -1   the word was never on the screen before
    lag  0   it is on the screen when its first key is pressed
    lag  n   it was last on the screen n steps before its first key
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from schema.actions import Phase
from training.data.windows import FilmReader

NO_WORD, NEVER, VISIBLE = -2, -1, 0
SHORTEST = 3  # characters of a word
_WORD = re.compile(rb"[A-Za-z0-9_]{%d,}" % SHORTEST)
_TYPED = (Phase.INSERT, Phase.MESSAGE)
# lower edges of the bins of a table of losses by lag, with their names
BINS = ((NEVER, "never"), (VISIBLE, "visible now"), (1, "1-10"), (11, "11-100"), (101, "101-1000"), (1001, "> 1000"))


def typed_words(keys: bytes, phases: npt.NDArray[np.uint8]) -> Iterator[tuple[int, bytes]]:
    """(first step, word) of every word typed as text or as a message."""
    typed = np.isin(phases, _TYPED)
    masked = np.frombuffer(keys, np.uint8) * typed  # other keys end a word
    for match in _WORD.finditer(masked.astype(np.uint8).tobytes()):
        yield match.start(), match.group()


def word_lags(reader: FilmReader, stream: int) -> npt.NDArray[np.int32]:
    """Lag of every step of a stream, [T]. The reader must have no tokenizer."""
    assert reader.tokenizer is None, "lags are counted in keys"
    keys, phases = [], []
    for decoded in reader.groups(stream):
        keys.append(decoded.action_U.astype(np.uint8).tobytes())
        phases.append(decoded.phase_U)
    lag_T = np.full(sum(map(len, keys)), NO_WORD, np.int32)
    words = typed_words(b"".join(keys), np.concatenate(phases))
    start, word = next(words, (len(lag_T), b""))
    for step, visible, last_seen in _screens(reader, stream):
        if step < start:
            continue
        if visible.get(word, 0) > 0:
            lag = VISIBLE
        else:
            lag = step - last_seen[word] if word in last_seen else NEVER
        lag_T[start : start + len(word)] = lag
        start, word = next(words, (len(lag_T), b""))
    return lag_T


def _screens(reader: FilmReader, stream: int) -> Iterator[tuple[int, dict[bytes, int], dict[bytes, int]]]:
    """Each step with the words on its screen (and on how many rows) and the last step each gone word was seen."""
    visible: dict[bytes, int] = {}
    last_seen: dict[bytes, int] = {}
    shown: list[tuple[bytes, ...]] = [()] * reader.geometry.rows
    points, step = reader.max_code_point, 0
    for decoded in reader.groups(stream):
        texts_NC = (decoded.cells_NC % points).astype(np.uint8)
        found: dict[int, tuple[bytes, ...]] = {}
        ids_UR = decoded.ids_UR
        changed = np.ones(ids_UR.shape, dtype=bool)
        np.not_equal(ids_UR[1:], ids_UR[:-1], out=changed[1:])
        times, places = np.nonzero(changed)
        at, ends = 0, np.searchsorted(times, np.arange(len(ids_UR)), side="right")
        for t in range(len(ids_UR)):
            for place in places[at : ends[t]].tolist():
                number = int(ids_UR[t, place])
                if number not in found:
                    found[number] = tuple(set(_WORD.findall(texts_NC[number].tobytes())))
                new, old = found[number], shown[place]
                if new == old:
                    continue
                for word in new:
                    visible[word] = visible.get(word, 0) + 1
                for word in old:
                    visible[word] -= 1
                    if not visible[word]:
                        last_seen[word] = step - 1
                        del visible[word]
                shown[place] = new
            at = int(ends[t])
            yield step, visible, last_seen
            step += 1


def stored_word_lags(reader: FilmReader, stream: int) -> npt.NDArray[np.int32]:
    """`word_lags`, kept in `<warehouse>/memory/` for the next time where the warehouse is a folder."""
    info = reader.streams[stream]
    folder = Path(reader.warehouse.root) / "memory"
    path = folder / f"{info.repo_id.replace('/', '+')}-{info.digest}.parquet"
    if path.exists():
        stored: npt.NDArray[np.int32] = pq.read_table(path).column("lag").to_numpy()
        if len(stored) == info.steps:
            return stored
    lag_T = word_lags(reader, stream)
    if folder.parent.is_dir():
        folder.mkdir(exist_ok=True)
        beside = path.with_suffix(".part")
        pq.write_table(pa.table({"lag": lag_T}), beside, compression="zstd")
        beside.replace(path)
    return lag_T


def by_lag(losses: npt.NDArray[Any], lags: npt.NDArray[np.int32]) -> dict[str, tuple[float, int]]:
    """Mean of `losses` and number of steps in each bin of BINS that has any."""
    edges = np.array([edge for edge, _ in BINS])
    number = np.searchsorted(edges, lags.ravel(), side="right") - 1
    flat = losses.ravel()
    result = {}
    for index, (_, name) in enumerate(BINS):
        here = number == index
        if here.any():
            result[name] = (float(flat[here].mean(dtype=np.float64)), int(here.sum()))
    return result
