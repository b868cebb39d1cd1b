"""What a training starts with: its network, and the precision it computes in."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

from engine.ensemble import Network, build
from engine.network import NetworkConfig
from engine.training_jobs import TrainRequest

__all__ = ["network_for", "runs_mixed"]

STRETCH, CONTRAST_WINDOWS, STEM, HEAD = 8.0, (5, 15), 48, 32


def network_for(request: TrainRequest, bands: int, classes: int, start: Network | None) -> Network:
    """The network that a request asks for, or the one to go on from, with the request's dropout."""
    if start is not None:
        start.config = dataclasses.replace(start.config, dropout=request.dropout)
        return start
    extras: dict[str, Any] = {"contrast_windows": CONTRAST_WINDOWS, "stretch": STRETCH, "stem": STEM, "head": HEAD}
    sizes = {"bands": bands, "classes": classes, "width": request.width, "dropout": request.dropout}
    return build(NetworkConfig(**sizes, **({} if request.plain else extras)))  # type: ignore[arg-type]


def runs_mixed(request: TrainRequest, device: torch.device) -> bool:
    """Whether to compute in bfloat16 where that is safe: on CUDA, and on CPUs that multiply it in hardware."""
    if request.precision != "auto":
        return request.precision == "mixed"
    if device.type == "cpu":
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return device.type == "cuda"
