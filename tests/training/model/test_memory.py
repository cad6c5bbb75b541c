"""The memory: equal to a plain loop over entries, at any chunking, and blind to what a reset cuts off."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from training.model.memory import LONGEST, Memory, Remembered

VOCABULARY = 5


def build() -> Memory:
    torch.manual_seed(0)
    memory = Memory(features=6, width=4, vocabulary=VOCABULARY, read=3).double()
    torch.nn.init.normal_(memory.match.weight)
    return memory


def film(lanes: int, steps: int, resets: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Features, previous keys and segment numbers of a random film of few keys, so that long matches occur."""
    torch.manual_seed(1)
    reset_BT = torch.rand(lanes, steps) < (0.1 if resets else 0.0)
    previous_BT = torch.randint(0, 2, (lanes, steps)).masked_fill(reset_BT, VOCABULARY)
    previous_BT[:, 0] = VOCABULARY
    return torch.randn(lanes, steps, 6, dtype=torch.float64), previous_BT, reset_BT.long().cumsum(1)


def slowly(memory: Memory, features_TD: Tensor, previous: list[int], segment: list[int], room: int) -> list[Tensor]:
    """The distribution over pressed keys at every step of one lane, entry by entry."""
    out = []
    for now in range(len(previous)):
        logits, pressed = [memory.sink(features_TD[now])[0]], []
        for then in range(max(0, now - room), now):
            if segment[then] != segment[now] or previous[then + 1] == VOCABULARY:
                continue
            match = 0
            while (
                match < LONGEST and then - match >= 0 and previous[then - match] == previous[now - match] != VOCABULARY
            ):
                match += 1
            query = F.normalize(memory.query(features_TD[now]), dim=0)
            entry = F.normalize(memory.entry(features_TD[then]), dim=0)
            logits.append(memory.scale * (query @ entry) + memory.match(features_TD[now])[match])
            pressed.append(previous[then + 1])
        weights = torch.stack(logits).softmax(0)[1:]
        told = torch.zeros(VOCABULARY, dtype=torch.float64)
        for weight, key in zip(weights, pressed, strict=True):
            told[key] += weight
        out.append(told)
    return out


def in_chunks(memory: Memory, chunk: int, room: int, resets: bool) -> Remembered:
    features, previous, segment = film(2, 40, resets)
    state, told = memory.initial_state(2, room), []
    for start in range(0, 40, chunk):
        part = slice(start, start + chunk)
        here = segment[:, part] - (segment[:, start - 1 : start] if start else 0)
        now, state = memory(features[:, part], previous[:, part], here, state)
        told.append(now)
    return Remembered(*(torch.cat(each, 1) for each in zip(*told, strict=True)))


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("room", [1, 7, 64])
def test_the_memory_equals_a_loop_over_its_entries(room: int, resets: bool) -> None:
    memory = build()
    told = in_chunks(memory, 40, room, resets)
    features, previous, segment = film(2, 40, resets)
    for lane in range(2):
        slow = slowly(memory, features[lane], previous[lane].tolist(), segment[lane].tolist(), room)
        torch.testing.assert_close(told.pressed_BTV[lane], torch.stack(slow))


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("chunk", [1, 3, 16])
def test_chunks_of_any_length_tell_the_same(chunk: int, resets: bool) -> None:
    memory = build()
    whole, cut = in_chunks(memory, 40, 9, resets), in_chunks(memory, chunk, 9, resets)
    for one, other in zip(whole, cut, strict=True):
        torch.testing.assert_close(one, other)


def test_an_empty_memory_leaves_everything_to_the_model() -> None:
    told = in_chunks(build(), 40, 0, False)
    assert not told.pressed_BTV.any()
    torch.testing.assert_close(told.left, torch.ones(2, 40, 1, dtype=torch.float64))


def test_more_room_after_training_is_the_same_weights() -> None:
    memory = build()
    short, long = in_chunks(memory, 40, 4, False), in_chunks(memory, 40, 30, False)
    torch.testing.assert_close(short.pressed_BTV[:, :4], long.pressed_BTV[:, :4])
    assert not torch.allclose(short.pressed_BTV[:, 20:], long.pressed_BTV[:, 20:])
