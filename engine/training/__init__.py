"""Training: the recipe of the original system on three sources of data, with a model file at the end."""

from __future__ import annotations

from engine.training.job import train
from engine.training.sources import inspect

__all__ = ["inspect", "train"]
