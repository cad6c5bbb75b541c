"""Devices and ranks."""

import pytest
import torch

from schema.errors import ConfigError
from training.loop.distributed import gather_lanes, has_bf16, own_lanes, pick_device, start_ranks


@pytest.mark.parametrize("name", ["cuda", "cuda:7", "mps"])
def test_a_device_that_is_not_there_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=f"--device {name}: this PyTorch .*; use --device cpu"):
        pick_device(name)


@pytest.mark.parametrize(("capability", "has"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_bf16_is_on_where_a_gpu_has_it(capability: tuple[int, int], has: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert has_bf16(torch.device("cuda", 0)) is has
    assert not has_bf16(torch.device("cpu"))


def test_every_rank_has_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert pick_device("auto") == torch.device("cuda", 1)
    assert pick_device("cuda:0") == torch.device("cuda", 0)
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(ConfigError, match=r"GPU 2 of 2; .*--nproc-per-node 2"):
        pick_device("cuda")
    own: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", own.append)
    start_ranks(torch.device("cuda", 1))
    assert own == [torch.device("cuda", 1)]


def test_alone_the_lanes_of_a_state_are_all_lanes() -> None:
    state = (torch.arange(6).view(3, 2),)
    assert gather_lanes(state) is state
    assert own_lanes(state) is state
