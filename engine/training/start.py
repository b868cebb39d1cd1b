"""What a training starts with: its network."""

from __future__ import annotations

import dataclasses
from typing import Any

from engine.ensemble import Network, build
from engine.network import NetworkConfig
from engine.training_jobs import TrainRequest

__all__ = ["network_for"]

STRETCH, CONTRAST_WINDOWS, STEM, HEAD = 8.0, (5, 15), 48, 32


def network_for(request: TrainRequest, bands: int, classes: int, start: Network | None) -> Network:
    """The network that a request asks for, or the one to go on from, with the request's dropout."""
    if start is not None:
        start.config = dataclasses.replace(start.config, dropout=request.dropout)
        return start
    extras: dict[str, Any] = {"contrast_windows": CONTRAST_WINDOWS, "stretch": STRETCH, "stem": STEM, "head": HEAD}
    sizes = {"bands": bands, "classes": classes, "width": request.width, "dropout": request.dropout}
    return build(NetworkConfig(**sizes, **({} if request.plain else extras)))  # type: ignore[arg-type]
