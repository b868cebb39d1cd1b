"""Training: the recipe of the original system, on practice scenes, with a model file at the end."""

from __future__ import annotations

from engine.training.job import TrainingError, train

__all__ = ["TrainingError", "train"]
