"""True depth: the longest chain of dependent operations, and whether time could be parallel.

    python -m training.analysis.depth MODEL [--layers N] [--feedback]

Two separate questions. *How deep is this implementation?* A trace of single operations (nothing fused: oneDNN's LSTM
and flash attention are switched off) gives every tensor the length of the longest chain of operations it depends on,
forward, and again for the gradients. Declared costs: a view 0, an elementwise operation 1, a sum, product or scan over
k terms ceil(log2 k) (fan-in two) and one more for the multiplications. An operation without a declared cost is an
error, never a guess. A tensor counts as deep as its deepest part, so chains are upper bounds: the layers of a stacked
LSTM, which could overlap in time, are counted one after the other. *Could another implementation be shallower?* That is
asked of ``step``: which parts of the state feed which, and is each part's update affine in itself? Affine updates
compose, so a scan computes them in log time however long the loop that was traced.

Verdicts:
    re-associable        no cycle between parts of the state, each affine in itself (checked
                         numerically, float64); also: no state at all.
    known scan           the same, and a published parallel form exists (``KNOWN_SCANS``).
    recurrence-complete  a published argument exists (``KNOWN_COMPLETE``), the update is not
                         re-associable by the check above, and the trace deepens with every step,
                         forward and backward.
    unknown              anything else. Not affine is not yet serial: a running maximum is not
                         affine and still a scan.

Source: arXiv 2510.06828, true depth and recurrence completeness.
"""

from __future__ import annotations

import argparse
import copy
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from schema.errors import clear_errors
from training.model.backbones import BACKBONES, Backbone, State, make_backbone

KNOWN_SCANS = {
    "mamba2": "state-space duality, arXiv 2405.21060: scalar decay that sees the input only",
    "mingru": "prefix scan, arXiv 2410.01201: gates see the input only",
    "transformer": "causal attention, arXiv 1706.03762: a cache that only grows, read in parallel",
}
KNOWN_COMPLETE = {
    "lstm": "each gate is a saturating function of a full matrix times h (arXiv 2510.06828)",
}

Step = Callable[[Tensor, State], tuple[Tensor, State]]


def tree(count: int) -> int:
    """Depth of combining ``count`` terms two at a time."""
    return math.ceil(math.log2(max(1, count)))


def reduced(arguments: Sequence[Any]) -> int:
    """Terms in each result of a reduction called as (tensor, dimensions, ...)."""
    tensor = arguments[0]
    dimensions = arguments[1] if len(arguments) > 1 else None
    if dimensions is None or dimensions == []:
        return int(tensor.numel())
    listed = dimensions if isinstance(dimensions, list | tuple) else [dimensions]
    return math.prod(tensor.shape[d] for d in listed)


#: Depth of operations that are neither views nor elementwise, from their arguments.
COSTS: dict[str, Callable[[Sequence[Any]], int]] = {
    "mm": lambda a: 1 + tree(a[0].shape[-1]),
    "bmm": lambda a: 1 + tree(a[0].shape[-1]),
    "addmm": lambda a: 2 + tree(a[1].shape[-1]),
    "sum": lambda a: tree(reduced(a)),
    "mean": lambda a: 1 + tree(reduced(a)),
    "cumsum": lambda a: tree(a[0].shape[a[1]]),
    "logcumsumexp": lambda a: 3 * tree(a[0].shape[a[1]]),
    "_softmax": lambda a: 3 + 2 * tree(a[0].shape[a[1]]),
    "_safe_softmax": lambda a: 3 + 2 * tree(a[0].shape[a[1]]),
    "_softmax_backward_data": lambda a: 3 + tree(a[0].shape[a[2]]),
    "embedding": lambda a: 0,
    "masked_fill_": lambda a: 1,
    "addcmul": lambda a: 2,
}
#: Operations that only move or create numbers.
MOVES = {
    *("cat", "stack", "clone", "copy", "copy_", "_to_copy", "flip", "roll", "_unsafe_view"),
    *("zeros", "ones", "empty", "full", "arange", "scalar_tensor", "fill_", "zero_"),
    *("zeros_like", "ones_like", "empty_like", "full_like", "empty_strided"),
    *("new_zeros", "new_ones", "new_empty", "new_empty_strided", "lift_fresh", "detach_"),
    *("select_backward", "slice_backward", "unsafe_split", "tril", "tril_", "triu"),
    *("_local_scalar_dense", "index_select", "constant_pad_nd", "any", "all"),
}  # fmt: skip


class DepthTrace(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records on every tensor the longest chain of operations that it depends on."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.deepest = 0
        self._chains = WeakTensorKeyDictionary()  # of the tensors that are still alive

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        given = _tensors((args, kwargs or {}))
        depth = max(map(self.depth_of, given), default=0) + self.cost(func, args)
        results = func(*args, **(kwargs or {}))
        for tensor in _tensors(results):
            self._chains[tensor] = depth
        self.deepest = max(self.deepest, depth)
        return results

    def depth_of(self, tensor: Tensor) -> int:
        """Longest chain recorded on a tensor in this trace; inputs and weights have none."""
        return int(self._chains[tensor]) if tensor in self._chains else 0

    def cost(self, func: Any, args: tuple[Any, ...]) -> int:
        """Declared depth of one operation.

        Raises:
            NotImplementedError: no cost is declared for it.
        """
        name = func.overloadpacket.__name__
        if func.is_view or name in MOVES:
            return 0
        if name in COSTS:
            return COSTS[name](args)
        if torch.Tag.pointwise in func.tags or name.endswith("_backward"):
            return 1
        raise NotImplementedError(f"no depth is declared for {func}: add it to training.analysis.depth.COSTS")


def _tensors(value: Any) -> list[Tensor]:
    """All tensors inside nested containers."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        return _tensors(list(value.values()))
    if isinstance(value, list | tuple):
        return [tensor for item in value for tensor in _tensors(item)]
    return []


class Depth(NamedTuple):
    """Longest chains of one pass over ``steps`` steps, operations."""

    steps: int
    forward: int
    backward: int


def measure(run: Callable[[Tensor], Tensor], width: int, steps: int) -> Depth:
    """Depth of a pass ``run(x_BTD) -> y_BTD`` and of its gradients, for one length.

    The backward chain counts gradient operations only (stored activations are at hand).
    """
    x_BTD = torch.randn(1, steps, width, requires_grad=True)
    with unfused():
        with DepthTrace() as trace:
            y_BTD = run(x_BTD)
            forward = trace.depth_of(y_BTD)
        with DepthTrace() as trace:
            y_BTD.backward(torch.ones_like(y_BTD))  # type: ignore[no-untyped-call]
    return Depth(steps, forward, trace.deepest)


@contextmanager
def unfused() -> Iterator[None]:
    """Run LSTMs and attention as single operations: no oneDNN, no flash attention."""
    before = torch.backends.mkldnn.enabled
    torch.backends.mkldnn.enabled = False  # type: ignore[assignment]
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mkldnn.enabled = before


class OutputFeedback(Backbone):
    """A backbone whose last output is added to its next input: the shape of chain of thought."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone, self.width, self.layers = backbone, backbone.width, backbone.layers
        self.mix = nn.Linear(backbone.width, backbone.width)

    def initial_state(self, batch: int) -> State:
        output_BD = self.mix.weight.new_zeros(batch, self.width)
        return (output_BD, *self.backbone.initial_state(batch))

    def step(self, x_BD: Tensor, state: State) -> tuple[Tensor, State]:
        y_BD, after = self.backbone.step(x_BD + self.mix(state[0]), state[1:])
        return y_BD, (y_BD, *after)

    def sequence(self, x_BTD: Tensor, state: State) -> tuple[Tensor, State]:
        outputs = []
        for x_BD in x_BTD.unbind(1):
            y_BD, state = self.step(x_BD, state)
            outputs.append(y_BD)
        return torch.stack(outputs, 1), state


class StateGraph(NamedTuple):
    """How a step's new state depends on the old one, part by part."""

    feeds: tuple[tuple[int, int], ...]  # (old part, new part), different ones
    affine: tuple[bool, ...]  # each part's update, in itself
    order: tuple[int, ...] | None  # an order without cycles, if there is one

    @property
    def re_associable(self) -> bool:
        return self.order is not None and all(self.affine)


def state_graph(step: Step, state: State, x_BD: Tensor, trials: int = 4) -> StateGraph:
    """Probe ``step`` around random states: what feeds what, and what is affine.

    Dependence shows as any change under a random perturbation, affinity as
    ``f(a s + (1 - a) r) = a f(s) + (1 - a) f(r)`` to 1e-9, for a outside [0, 1] too. Both can
    only err towards "affine" and "no dependence", on a set of measure zero.
    """
    parts = len(state)
    feeds: set[tuple[int, int]] = set()
    affine = [True] * parts

    def update(values: State) -> State:
        return step(x_BD, values)[1]

    with torch.no_grad():
        for _ in range(trials):
            base = tuple(torch.rand_like(part) + 0.1 for part in state)
            before = update(base)
            for old in range(parts):
                other = list(base)
                other[old] = torch.rand_like(state[old]) + 0.1
                after = update(tuple(other))
                feeds |= {(old, new) for new in range(parts) if new != old and not torch.equal(before[new], after[new])}
                for share in (0.3, 1.7):
                    middle = list(base)
                    middle[old] = share * base[old] + (1 - share) * other[old]
                    expected = share * before[old] + (1 - share) * after[old]
                    found = update(tuple(middle))[old]
                    affine[old] &= torch.allclose(found, expected, rtol=1e-9, atol=1e-9)
    return StateGraph(tuple(sorted(feeds)), tuple(affine), _order(parts, feeds))


def _order(parts: int, feeds: set[tuple[int, int]]) -> tuple[int, ...] | None:
    """Parts sorted so that each feeds only later ones, None when there is a cycle."""
    order: list[int] = []
    while len(order) < parts:
        free = [
            part
            for part in range(parts)
            if part not in order and all(old in order for old, new in feeds if new == part)
        ]
        if not free:
            return None
        order += free
    return tuple(order)


class Verdict(NamedTuple):
    """A class of recurrence and why."""

    verdict: str
    reason: str


def judge(name: str, backbone: Backbone, depths: Sequence[Depth]) -> Verdict:
    """Classify a backbone by its step and its measured depths (shortest length first)."""
    probe = copy.deepcopy(backbone).double()
    x_BD = torch.randn(2, backbone.width, dtype=torch.float64)
    state = probe.initial_state(2)
    for _ in range(3):  # a cache must hold something to be probed
        state = probe.step(x_BD, state)[1]
    if not state:
        return Verdict("re-associable", "there is no state: every step stands alone")
    graph = state_graph(probe.step, state, x_BD)
    if graph.re_associable:
        if name in KNOWN_SCANS:
            return Verdict("known scan", KNOWN_SCANS[name])
        return Verdict(
            "re-associable",
            "no cycle between the parts of the state and each update is affine in its own part",
        )
    why = "the state's update is not affine" if graph.order else "parts of the state feed a cycle"
    forward, backward = slopes(depths)
    if name in KNOWN_COMPLETE and min(forward, backward) >= 1:
        return Verdict("recurrence-complete", f"{why}; {KNOWN_COMPLETE[name]}")
    return Verdict("unknown", f"{why}, and no argument for or against a scan is listed")


def slopes(depths: Sequence[Depth]) -> tuple[float, float]:
    """Operations a step, forward and backward, between the two longest lengths."""
    short, long = sorted(depths)[-2:]
    gap = long.steps - short.steps
    return (long.forward - short.forward) / gap, (long.backward - short.backward) / gap


def report(name: str, layers: int, feedback: bool, width: int, lengths: Sequence[int]) -> str:
    """The command's table, as text."""
    torch.manual_seed(0)
    backbone: Backbone = make_backbone(name, width, layers)
    if feedback:
        backbone, name = OutputFeedback(backbone), f"{name}+feedback"
    depths = [measure(backbone, width, steps) for steps in lengths]
    verdict = judge(name, backbone, depths)
    lines = [f"{name}, {layers} layers", "   steps  forward  backward"]
    lines += [f"{d.steps:8d} {d.forward:8d} {d.backward:9d}" for d in depths]
    forward, backward = slopes(depths)
    lines.append(f"a step  {forward:9.3f} {backward:9.3f}")
    lines.append(f"verdict: {verdict.verdict} ({verdict.reason})")
    return "\n".join(lines)


@clear_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: depth against sequence length and the verdict for one backbone."""
    parser = argparse.ArgumentParser(prog="python -m training.analysis.depth", description=__doc__.split("\n\n")[0])
    parser.add_argument("model", choices=sorted(BACKBONES), help="the backbone")
    parser.add_argument("--layers", type=int, default=1, help="of the backbone (%(default)s)")
    parser.add_argument("--width", type=int, default=32, help="of the backbone (%(default)s)")
    parser.add_argument("--feedback", action="store_true", help="feed each output back")
    parser.add_argument("--lengths", type=int, nargs="+", default=[16, 32, 64, 128], help="steps, at least two lengths")
    options = parser.parse_args(arguments)
    if len(set(options.lengths)) < 2:
        parser.error("--lengths needs two different lengths for a slope")
    for name, low in (("layers", options.layers), ("width", options.width), ("lengths", min(options.lengths))):
        if low < 1:
            parser.error(f"--{name} {low}: at least 1")
    print(report(options.model, options.layers, options.feedback, options.width, options.lengths))
    return 0


if __name__ == "__main__":
    sys.exit(main())
