"""Parameter counts: of a model's parts, and backbones sized to a given count."""

from __future__ import annotations

import torch
from torch import nn

from schema.errors import ConfigError
from training.model.backbones import make_backbone


def parameter_counts(model: nn.Module) -> dict[str, int]:
    """Trainable scalars of a FrameModel: frame_head, backbone, head, and total, which counts what else it has too."""
    counts = {name: count_parameters(getattr(model, name)) for name in ("frame_head", "backbone", "head")}
    return {**counts, "total": count_parameters(model)}


#: The setting by which ``match_parameters`` sizes a backbone, and the multiple it must be of.
SIZE_KNOBS = {
    "frame_only": ("hidden", 1),
    "transformer": ("hidden", 1),
    "mamba2": ("inner", 4),
    "mingru": ("inner", 1),
}


def count_parameters(module: nn.Module) -> int:
    """Trainable scalars in a module."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def match_parameters(name: str, width: int, layers: int, target: int) -> dict[str, int]:
    """Settings with which a backbone of this width and depth has about ``target`` parameters.

    The width belongs to the frame head and stays; the MLP's hidden width (frame_only,
    transformer) or the inner width (mamba2, mingru) moves. Where a transformer's attention alone
    would use up the target, its attention width is halved. An LSTM has no such setting: it is the
    one that the others are matched to. A backbone of one's own has none either: it keeps its size.

        >>> match_parameters("mingru", 64, 2, target=33_408)
        {'inner': 85}

    Raises:
        ConfigError: no setting fits, because ``layers`` is too many for the target.
    """
    if name not in SIZE_KNOBS:
        return {}
    knob, multiple = SIZE_KNOBS[name]
    fixed: dict[str, int] = {"inner": width} if name == "transformer" else {}
    while True:
        small, large = multiple, 2 * multiple
        with torch.device("meta"):
            count = count_parameters(make_backbone(name, width, layers, **fixed, **{knob: small}))
            more = count_parameters(make_backbone(name, width, layers, **fixed, **{knob: large}))
        units = 1 + round((target - count) / (more - count))
        if units * multiple >= width // 2:
            return fixed | {knob: units * multiple}
        if name != "transformer" or fixed["inner"] <= 16:
            raise ConfigError(
                f"{name} with {layers} layers of width {width} cannot be as small as {target} "
                f"parameters: use fewer layers"
            )
        fixed["inner"] //= 2
