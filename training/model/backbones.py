"""Sequence backbones behind one interface: ``sequence`` for training, ``step`` for streaming.

Every backbone maps embeddings ``x_BTD`` to features ``y_BTD`` and carries a *state*, a tuple of
tensors whose first dimension is the batch. ``sequence`` accepts a state with gradient and returns
one with gradient, so that backpropagation can be cut into chunks without changing the gradient.
``step`` is the same map, one position at a time; both forms agree to float32 rounding.

Dimensions: B batch, T time, D model width, L layers, H heads, K head width, E inner width of an
SSM or RNN, N SSM state size, C convolution channels, Q positions in a chunk, J chunks.

    >>> backbone = make_backbone("lstm", width=8, layers=1)
    >>> y_BTD, state = backbone.sequence(torch.zeros(2, 5, 8), backbone.initial_state(2))
    >>> y_BTD.shape, [tuple(part.shape) for part in state]
    (torch.Size([2, 5, 8]), [(2, 1, 8), (2, 1, 8)])

One's own backbone is a class derived from ``Backbone`` in a module that Python finds, named MODULE:CLASS
(``python -m training.fit --backbone my_gru:Gru``)::

    class Gru(Backbone):
        state_description = "h: [layers, width]"

        def __init__(self, width: int, layers: int = 1) -> None:
            super().__init__()
            self.width, self.layers = width, layers
            self.gru = nn.GRU(width, width, layers, batch_first=True)

        def initial_state(self, batch: int) -> State:
            return (next(self.parameters()).new_zeros(batch, self.layers, self.width),)

        def sequence(self, x_BTD: Tensor, state: State) -> tuple[Tensor, State]:
            y_BTD, h_LBD = self.gru(x_BTD, state[0].transpose(0, 1).contiguous())
            return y_BTD, (h_LBD.transpose(0, 1),)

``load_backbone`` and ``check_backbone`` say what is asked of it. It keeps the size that it has: only the backbones
here are sized to an LSTM's parameters. Its weights are saved under its name, and loading them imports the module.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from schema.errors import ConfigError
from training.model.scans import mingru_scan, positive, ssd_scan

State = tuple[Tensor, ...]


class Backbone(nn.Module):
    """The interface. A subclass takes (width, layers), sets both, and fills in ``initial_state`` and ``sequence``."""

    width: int
    layers: int
    #: What the state is, in words, with shapes of one sequence. One that grows does so at the end of its third
    #: dimension and keeps what it has: streaming stores its longest form alone.
    state_description: str = "none"

    def initial_state(self, batch: int) -> State:
        """State before the first step, for ``batch`` sequences (learned parts carry gradient)."""
        raise NotImplementedError

    def sequence(self, x_BTD: Tensor, state: State) -> tuple[Tensor, State]:
        """Features of a whole chunk and the state after it."""
        raise NotImplementedError

    def step(self, x_BD: Tensor, state: State) -> tuple[Tensor, State]:
        """Features of one position and the state after it; here, a chunk of one."""
        y_B1D, state = self.sequence(x_BD.unsqueeze(1), state)
        return y_B1D.squeeze(1), state

    def state_bytes(self, steps: int) -> int:
        """Bytes of state that one sequence carries after ``steps`` steps, in the weights' type."""
        weight = next(self.parameters())
        with torch.no_grad():
            x_BTD = torch.zeros(1, 1, self.width, dtype=weight.dtype, device=weight.device)
            start = self.initial_state(1)
            _, after = self.sequence(x_BTD, start)
        first = sum(part.numel() * part.element_size() for part in start)
        growth = sum(part.numel() * part.element_size() for part in after) - first
        return first + steps * growth

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Features of whole sequences from the initial state."""
        return self.sequence(x_BTD, self.initial_state(x_BTD.shape[0]))[0]


class FrameOnly(Backbone):
    """No memory: pre-norm residual MLPs on each frame alone. The control line for every memory."""

    def __init__(self, width: int, layers: int = 1, hidden: int | None = None) -> None:
        super().__init__()
        self.width, self.layers = width, layers
        self.blocks = nn.ModuleList(PreNormMlp(width, hidden or 4 * width) for _ in range(layers))
        self.norm = nn.RMSNorm(width)

    def initial_state(self, batch: int) -> State:
        return ()

    def sequence(self, x_BTD: Tensor, state: State) -> tuple[Tensor, State]:
        for block in self.blocks:
            x_BTD = x_BTD + block(x_BTD)
        return self.norm(x_BTD), ()


class Lstm(Backbone):
    """``nn.LSTM`` with learned ``h0`` and ``c0`` (one vector each a layer), the paper's backbone.

    ``recurrent_init``: "uniform" is PyTorch's (and the published model's) +-1/sqrt(width);
    "orthogonal" draws each gate's recurrent matrix orthogonal, which the toy tasks need.
    ``chrono`` T: forget and input gates start out so that the units keep what they hold for 1 to T steps
    (chrono initialisation, arXiv 1804.11188, section 2.3). 0: PyTorch's.
    """

    state_description = "h and c: 2 x [layers, width]"

    def __init__(self, width: int, layers: int = 1, recurrent_init: str = "uniform", chrono: int = 0) -> None:
        super().__init__()
        if recurrent_init not in ("uniform", "orthogonal"):
            raise ConfigError(f"recurrent_init {recurrent_init!r}: choose uniform or orthogonal")
        self.width, self.layers = width, layers
        self.lstm = nn.LSTM(width, width, layers, batch_first=True)
        self.h0_LD = nn.Parameter(torch.zeros(layers, width))
        self.c0_LD = nn.Parameter(torch.zeros(layers, width))
        if recurrent_init == "orthogonal":
            for layer in range(layers):
                for gate_DD in getattr(self.lstm, f"weight_hh_l{layer}").chunk(4):
                    nn.init.orthogonal_(gate_DD.data)
        if chrono:
            for layer in range(layers):
                self._remember(layer, chrono)

    def _remember(self, layer: int, steps: int) -> None:
        """Chrono initialisation of one layer's gate biases, which PyTorch keeps in the order i, f, g, o."""
        kept_D = torch.log(1 + (steps - 1) * torch.rand(self.width))
        bias = dict(self.lstm.named_parameters())
        with torch.no_grad():
            for name in (f"bias_ih_l{layer}", f"bias_hh_l{layer}"):
                bias[name][: 2 * self.width] = 0
            bias[f"bias_ih_l{layer}"][: self.width] = -kept_D
            bias[f"bias_ih_l{layer}"][self.width : 2 * self.width] = kept_D

    def initial_state(self, batch: int) -> State:
        h_BLD = self.h0_LD.expand(batch, -1, -1)
        c_BLD = self.c0_LD.expand(batch, -1, -1)
        return h_BLD, c_BLD

    def sequence(self, x_BTD: Tensor, state: State) -> tuple[Tensor, State]:
        h_LBD, c_LBD = (part.transpose(0, 1).contiguous() for part in state)
        y_BTD, (h_LBD, c_LBD) = self.lstm(x_BTD, (h_LBD, c_LBD))
        return y_BTD, (h_LBD.transpose(0, 1), c_LBD.transpose(0, 1))


class PreNormMlp(nn.Module):
    """Pre-norm two-layer GELU MLP."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)

    def forward(self, x_BTD: Tensor) -> Tensor:
        y_BTD: Tensor = self.down(F.gelu(self.up(self.norm(x_BTD))))
        return y_BTD


class CausalAttention(nn.Module):
    """Pre-norm causal self-attention with rotary positions and a growing key-value cache."""

    def __init__(self, width: int, inner: int, heads: int) -> None:
        super().__init__()
        if inner % (2 * heads):
            raise ConfigError(f"attention width {inner} is not a multiple of 2 x {heads} heads")
        self.heads = heads
        self.norm = nn.RMSNorm(width)
        self.qkv = nn.Linear(width, 3 * inner, bias=False)
        self.out = nn.Linear(inner, width, bias=False)

    def forward(self, x_BTD: Tensor, k_BHTK: Tensor, v_BHTK: Tensor) -> tuple[Tensor, State]:
        """Attend from each position to itself, those before it and those in the cache."""
        batch, time, _ = x_BTD.shape
        past = k_BHTK.shape[2]
        qkv_BTD = self.qkv(self.norm(x_BTD))
        q, k, v = qkv_BTD.view(batch, time, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k = rotate(q, past), rotate(k, past)
        k, v = torch.cat((k_BHTK, k), 2), torch.cat((v_BHTK, v), 2)
        if past == 0:
            y_BHTK = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            seen_TS = torch.ones(time, past + time, dtype=torch.bool, device=q.device).tril(past)
            y_BHTK = F.scaled_dot_product_attention(q, k, v, attn_mask=seen_TS)
        return self.out(y_BHTK.transpose(1, 2).reshape(batch, time, -1)), (k, v)


def rotate(x_BHTK: Tensor, start: int) -> Tensor:
    """Rotary position embedding of positions ``start ...`` (arXiv 2104.09864), half-split form."""
    half = x_BHTK.shape[-1] // 2
    place_T = torch.arange(start, start + x_BHTK.shape[2], device=x_BHTK.device)
    frequency_F = 10000.0 ** (-torch.arange(half, device=x_BHTK.device) / half)
    angle_TF = place_T[:, None] * frequency_F
    cos_TF, sin_TF = angle_TF.cos().to(x_BHTK.dtype), angle_TF.sin().to(x_BHTK.dtype)
    a, b = x_BHTK[..., :half], x_BHTK[..., half:]
    return torch.cat((a * cos_TF - b * sin_TF, a * sin_TF + b * cos_TF), -1)


class Transformer(Backbone):
    """Causal pre-norm transformer; its state is the key-value cache, which grows with time."""

    state_description = "key-value cache: layers x 2 x [steps, attention width]"

    def __init__(
        self,
        width: int,
        layers: int = 2,
        heads: int = 4,
        hidden: int | None = None,
        inner: int | None = None,
    ) -> None:
        super().__init__()
        self.width, self.layers, self.heads = width, layers, heads
        self.inner = inner or width
        self.attentions = nn.ModuleList(CausalAttention(width, self.inner, heads) for _ in range(layers))
        self.mlps = nn.ModuleList(PreNormMlp(width, hidden or 4 * width) for _ in range(layers))
        self.norm = nn.RMSNorm(width)

    def initial_state(self, batch: int) -> State:
        empty_BHTK = self.norm.weight.new_zeros(batch, self.heads, 0, self.inner // self.heads)
        return (empty_BHTK,) * (2 * self.layers)

    def sequence(self, x_BTD: Tensor, state: State) -> tuple[Tensor, State]:
        after: State = ()
        for layer, (attention, mlp) in enumerate(zip(self.attentions, self.mlps, strict=True)):
            y_BTD, cache = attention(x_BTD, state[2 * layer], state[2 * layer + 1])
            x_BTD = x_BTD + y_BTD
            x_BTD = x_BTD + mlp(x_BTD)
            after += cache
        return self.norm(x_BTD), after


class Mamba2Mixer(nn.Module):
    """One Mamba-2 mixer; parameter names follow ``transformers``' so that weights can be loaded."""

    def __init__(self, width: int, inner: int, heads: int, state_size: int) -> None:
        super().__init__()
        if inner % heads:
            raise ConfigError(f"inner width {inner} is not a multiple of {heads} heads")
        self.inner, self.heads, self.head_width = inner, heads, inner // heads
        self.state_size, self.kernel = state_size, 4
        self.channels = self.inner + 2 * state_size
        self.in_proj = nn.Linear(width, self.inner + self.channels + self.heads, bias=False)
        self.conv1d = nn.Conv1d(self.channels, self.channels, self.kernel, groups=self.channels)
        step_H = torch.exp(torch.empty(self.heads).uniform_(math.log(1e-3), math.log(1e-1)))
        self.dt_bias = nn.Parameter(step_H + torch.log(-torch.expm1(-step_H)))
        self.A_log = nn.Parameter(torch.arange(1.0, self.heads + 1).log())
        self.D = nn.Parameter(torch.ones(self.heads))
        self.norm = nn.RMSNorm(self.inner, eps=1e-5)
        self.out_proj = nn.Linear(self.inner, width, bias=False)

    def initial_state(self, batch: int) -> State:
        """Zeros: no inputs in the convolution's window and an empty state."""
        zeros = self.D.new_zeros
        return (
            zeros(batch, self.kernel - 1, self.channels),
            zeros(batch, self.heads, self.head_width, self.state_size),
        )

    def forward(self, x_BTD: Tensor, window_BKC: Tensor, state_BHPN: Tensor) -> tuple[Tensor, State]:
        """Mix a chunk given the last inputs of the convolution and the state."""
        batch, time, _ = x_BTD.shape
        gate_BTE, inputs_BTC, step_BTH = self.in_proj(x_BTD).split((self.inner, self.channels, self.heads), -1)
        inputs_BTC = torch.cat((window_BKC, inputs_BTC), 1)
        window_BKC = inputs_BTC[:, -(self.kernel - 1) :]
        taps_CK = self.conv1d.weight[:, 0]
        mixed_BTC: Tensor = self.conv1d.get_parameter("bias")
        for tap in range(self.kernel):  # 1.4 times faster than a grouped conv1d on a CPU
            mixed_BTC = torch.addcmul(mixed_BTC, inputs_BTC[:, tap : tap + time], taps_CK[:, tap])
        x_BTE, b_BTN, c_BTN = torch.split(F.silu(mixed_BTC), [self.inner, self.state_size, self.state_size], -1)
        step_BTH = F.softplus(step_BTH + self.dt_bias)
        x_BTHP = x_BTE.reshape(batch, time, self.heads, self.head_width)
        y_BTHP, state_BHPN = ssd_scan(
            x_BTHP * step_BTH[..., None],
            -self.A_log.exp() * step_BTH,
            b_BTN,
            c_BTN,
            state_BHPN,
        )
        y_BTE = (y_BTHP + x_BTHP * self.D[:, None]).reshape(batch, time, self.inner)
        return self.out_proj(self.norm(y_BTE * F.silu(gate_BTE))), (window_BKC, state_BHPN)


class Mamba2Layer(nn.Module):
    """Pre-norm residual block around a mixer."""

    def __init__(self, width: int, inner: int, heads: int, state_size: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width, eps=1e-5)
        self.mixer = Mamba2Mixer(width, inner, heads, state_size)

    def forward(self, x_BTD: Tensor, window_BKC: Tensor, state_BHPN: Tensor) -> tuple[Tensor, State]:
        """Residual update of a chunk and the state after it."""
        y_BTD, state = self.mixer(self.norm(x_BTD), window_BKC, state_BHPN)
        return y_BTD, state


class Mamba2(Backbone):
    """Mamba-2 (arXiv 2405.21060): a linear state space with input-dependent scalar decay."""

    state_description = "layers x (convolution [3, channels] and SSM [heads, head width, states])"

    def __init__(
        self,
        width: int,
        layers: int = 2,
        inner: int | None = None,
        heads: int = 4,
        state_size: int = 16,
    ) -> None:
        super().__init__()
        self.width, self.layers = width, layers
        self.blocks = nn.ModuleList(Mamba2Layer(width, inner or 2 * width, heads, state_size) for _ in range(layers))
        self.norm_f = nn.RMSNorm(width, eps=1e-5)

    def initial_state(self, batch: int) -> State:
        state: State = ()
        for layer in self.blocks:
            state += cast("Mamba2Layer", layer).mixer.initial_state(batch)
        return state

    def sequence(self, x_BTD: Tensor, state: State) -> tuple[Tensor, State]:
        after: State = ()
        for index, layer in enumerate(self.blocks):
            y_BTD, carried = layer(x_BTD, *state[2 * index : 2 * index + 2])
            x_BTD = x_BTD + y_BTD
            after += carried
        return self.norm_f(x_BTD), after


class MinGruLayer(nn.Module):
    """Pre-norm minGRU and its output projection."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width)
        self.gates = nn.Linear(width, 2 * inner)
        self.out = nn.Linear(inner, width, bias=False)
        self.h0_E = nn.Parameter(torch.zeros(inner))

    def forward(self, x_BTD: Tensor, h_BE: Tensor) -> tuple[Tensor, Tensor]:
        """Residual update of a chunk and the hidden vector after it."""
        gate_BTE, candidate_BTE = self.gates(self.norm(x_BTD)).chunk(2, -1)
        if x_BTD.shape[1] == 1:
            z_BE = torch.sigmoid(gate_BTE[:, 0])
            h_BTE = torch.lerp(h_BE, positive(candidate_BTE[:, 0]), z_BE)[:, None]
        else:
            h_BTE = mingru_scan(gate_BTE.to(h_BE.dtype), candidate_BTE.to(h_BE.dtype), h_BE)
        return self.out(h_BTE), h_BTE[:, -1]


class MinGru(Backbone):
    """minGRU (arXiv 2410.01201): gates see the input only, so time is an associative scan."""

    state_description = "h: layers x [inner]"

    def __init__(self, width: int, layers: int = 2, inner: int | None = None) -> None:
        super().__init__()
        self.width, self.layers = width, layers
        self.blocks = nn.ModuleList(MinGruLayer(width, inner or 2 * width) for _ in range(layers))
        self.norm = nn.RMSNorm(width)

    def initial_state(self, batch: int) -> State:
        starts = (cast("MinGruLayer", layer).h0_E for layer in self.blocks)
        return tuple(positive(h0_E).expand(batch, -1) for h0_E in starts)

    def sequence(self, x_BTD: Tensor, state: State) -> tuple[Tensor, State]:
        after: State = ()
        for layer, h_BE in zip(self.blocks, state, strict=True):
            y_BTD, h_BE = layer(x_BTD, h_BE)
            x_BTD = x_BTD + y_BTD
            after += (h_BE,)
        return self.norm(x_BTD), after


BACKBONES: dict[str, Callable[..., Backbone]] = {
    "lstm": Lstm,
    "frame_only": FrameOnly,
    "transformer": Transformer,
    "mamba2": Mamba2,
    "mingru": MinGru,
}


def load_backbone(name: str) -> Callable[..., Backbone]:
    """The class of a backbone called ``name``: one of ``BACKBONES``, or MODULE:CLASS of one's own.

    Raises:
        ConfigError: the name is unknown, or its class cannot be imported, is no ``Backbone`` or lacks a method.
    """
    if name in BACKBONES:
        return BACKBONES[name]
    module_name, colon, class_name = name.partition(":")
    if not (module_name and colon and class_name):
        raise ConfigError(f"unknown backbone {name!r}: choose one of {', '.join(BACKBONES)}, or MODULE:CLASS")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever the module raises
        raise ConfigError(f"backbone {name}: {module_name} cannot be imported ({_said(error)})") from error
    found = getattr(module, class_name, None)
    if found is None:
        raise ConfigError(f"backbone {name}: {module_name} has no {class_name}")
    if not (isinstance(found, type) and issubclass(found, Backbone)):
        raise ConfigError(f"backbone {name}: not a class derived from training.model.backbones.Backbone")
    for method in ("initial_state", "sequence"):
        if getattr(found, method) is getattr(Backbone, method):
            raise ConfigError(f"backbone {name}: lacks the method {method} (training.model.backbones.Backbone)")
    return found


def check_backbone(name: str, backbone: Backbone, width: int, layers: int) -> None:
    """Ask a backbone of one's own for three positions at once, and for two and one more by ``step``.

    Raises:
        ConfigError: it raises, its features are not [B, T, D], its state is no tuple of tensors whose first dimension
        is the batch, or the two ways differ: then the state does not hold what the backbone remembers.
    """
    expected = (2, 3, width)
    if (getattr(backbone, "width", None), getattr(backbone, "layers", None)) != (width, layers):
        raise ConfigError(f"backbone {name}: sets no width and layers, or other ones than it is given")
    training = backbone.training
    weight = next(backbone.parameters(), torch.zeros(()))
    x_BTD = torch.linspace(-1, 1, 6 * width, dtype=weight.dtype, device=weight.device).reshape(expected)
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            backbone.eval()
            y_BTD, state = backbone.sequence(x_BTD, backbone.initial_state(2))
            _, between = backbone.sequence(x_BTD[:, :2], backbone.initial_state(2))
            last_BD, _ = backbone.step(x_BTD[:, 2], between)
    except Exception as error:  # whatever its author's code raises
        raise ConfigError(f"backbone {name}: fails on input of shape {expected} ({_said(error)})") from error
    finally:
        backbone.train(training)
    if y_BTD.shape != expected or last_BD.shape != (2, width):
        raise ConfigError(
            f"backbone {name}: gives features of shape {tuple(y_BTD.shape)} and, by step, {tuple(last_BD.shape)} "
            f"where {expected} and {(2, width)} are needed"
        )
    if not isinstance(state, tuple) or any(not isinstance(part, Tensor) or part.shape[:1] != (2,) for part in state):
        raise ConfigError(f"backbone {name}: its state is not a tuple of tensors whose first dimension is the batch")
    if y_BTD.device.type != "meta" and not torch.allclose(y_BTD[:, 2], last_BD, rtol=1e-3, atol=1e-4):
        raise ConfigError(
            f"backbone {name}: the same steps in two parts give other features: its state loses something"
        )


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0][:200]


def make_backbone(name: str, width: int, layers: int, **settings: Any) -> Backbone:
    """The backbone called ``name``: lstm, frame_only, transformer, mamba2, mingru, or MODULE:CLASS of one's own.

    Raises:
        ConfigError: as ``load_backbone``, and as ``check_backbone`` for one's own.
    """
    make = load_backbone(name)
    if name in BACKBONES:
        return make(width, layers, **settings)
    try:
        backbone = make(width, layers, **settings)
    except Exception as error:  # whatever its author's code raises
        raise ConfigError(
            f"backbone {name}: cannot be made of width {width}, {layers} layers ({_said(error)})"
        ) from error
    check_backbone(name, backbone, width, layers)
    return backbone
