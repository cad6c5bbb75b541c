"""The device of a process, and what the ranks of one run exchange."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import NamedTuple, TypeVar

import torch
import torch.distributed as dist

from schema.errors import ConfigError

T = TypeVar("T")


class Process(NamedTuple):
    """One process of a run: its device, its rank, and how many ranks there are. Rank 0 writes and prints."""

    device: torch.device
    rank: int
    world: int

    def say(self, words: str) -> None:
        """Print, from rank 0."""
        if self.rank == 0:
            print(words, flush=True)


def join_ranks(device: str) -> Process:
    """This process, after joining its group under torchrun. Raises ConfigError for a device that is not there."""
    picked = pick_device(device)
    return Process(picked, *start_ranks(picked))


def start_ranks(device: torch.device) -> tuple[int, int]:
    """(rank, world) under torchrun, after joining the group; (0, 1) otherwise."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if device.type == "cuda":
        torch.cuda.set_device(device)  # what names no number means this rank's own GPU
    if world > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def reports_first() -> bool:
    """Whether no other rank of a torchrun has reported an error yet; the first reports for all."""
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return True
    try:
        store = dist.TCPStore(  # type: ignore[attr-defined]
            os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False, timeout=timedelta(seconds=10)
        )
        return int(store.add(f"gitreel/errors/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", 1)) == 1
    except (RuntimeError, KeyError, ValueError):  # the store has gone: twice is better than never
        return True


def await_ranks() -> None:
    """Wait until every rank is here: one that ends while another still works takes the group's connections with it."""
    if dist.is_initialized():
        dist.barrier()


def from_first(value: T) -> T:
    """Rank 0's value, on every rank."""
    if not dist.is_initialized():
        return value
    shared = [value]
    dist.broadcast_object_list(shared, 0)
    return shared[0]


def average_gradients(model: torch.nn.Module) -> None:
    """Mean of every gradient over the ranks, in one message."""
    if not dist.is_initialized():
        return
    parameters = [p for p in model.parameters() if p.requires_grad]
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    flat = torch.cat([p.grad.reshape(-1) for p in parameters if p.grad is not None])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for parameter, part in zip(parameters, torch.split(flat, [p.numel() for p in parameters]), strict=True):
        parameter.grad = part.view_as(parameter)


def average(value: float) -> float:
    """Mean of a number over the ranks."""
    if not dist.is_initialized():
        return value
    tensor = torch.tensor(value, dtype=torch.float64)
    if dist.get_backend() == "nccl":
        tensor = tensor.cuda()
    dist.all_reduce(tensor)
    return float(tensor) / dist.get_world_size()


def gather_lanes(state: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """Every rank's lanes of a state, in the order of all lanes: rank r has lanes r, r + world, ..."""
    if not dist.is_initialized():
        return state
    gathered = []
    for piece in state:
        parts = [torch.empty_like(piece, memory_format=torch.contiguous_format) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, piece.contiguous())
        gathered.append(torch.stack(parts, 1).flatten(0, 1))
    return tuple(gathered)


def own_lanes(state: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """Inverse of `gather_lanes`: this rank's lanes."""
    if not dist.is_initialized():
        return state
    return tuple(piece[dist.get_rank() :: dist.get_world_size()] for piece in state)


def has_bf16(device: torch.device) -> bool:
    """Whether a GPU computes in bfloat16; emulation, and a processor's, gains nothing."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)


def pick_device(name: str) -> torch.device:
    """'auto': cuda, then the processor. Raises ConfigError for a device that is not there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"--device {name}: choose auto, cpu, cuda or mps") from error
    if device.type not in ("cpu", "cuda", "mps"):
        raise ConfigError(f"--device {name}: choose auto, cpu, cuda or mps")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError(f"--device {name}: this PyTorch has no Metal; use --device cpu")
    if device.type != "cuda":
        return device
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not gpus:
        raise ConfigError(f"--device {name}: this PyTorch sees no GPU; use --device cpu")
    number = int(os.environ.get("LOCAL_RANK", "0")) if device.index is None else device.index
    if number >= gpus:
        raise ConfigError(
            f"--device {name}: GPU {number} of {gpus}; use --device cuda:0, or torchrun --nproc-per-node {gpus}"
        )
    return torch.device("cuda", number)
