"""Scores of the models that tools/leave_one_scene_out.py trained, each on the scene that it did not see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.marida import LabelledPatch
from engine.metrics import ScoreHistogram
from tools.accuracy.scoring import Measured, patches

__all__ = ["Scenes", "measure_scenes"]

PROTOCOLS = ("strict", "floating")


@dataclass(frozen=True)
class Scenes:
    """What was measured: pooled over all, and by scene the thresholds that were used and histograms of scores."""

    total: Measured
    thresholds: dict[str, dict[str, float]]
    histograms: dict[str, dict[str, ScoreHistogram]]


def measure_scenes(folder: Path, data: Path) -> Scenes:
    """Pooled scores; a scene's thresholds are those of best F1 over the others.

    Args:
        folder: holds one .npz a scene, of probabilities (2, height, width) by patch.
        data: the labelled patches.
    """
    stored = {path.stem: dict(np.load(path)) for path in sorted(folder.glob("*.npz"))}
    if not stored:
        raise SystemExit(f"{folder} holds no .npz files: run tools/leave_one_scene_out.py first.")
    labelled = {scene: list(patches(data, frozenset({scene}))) for scene in stored}
    histograms = {scene: _histograms(labelled[scene], stored[scene]) for scene in stored}
    total = Measured({})
    chosen = {}
    for scene in stored:
        others = [histograms[name] for name in stored if name != scene]
        chosen[scene] = {
            name: ScoreHistogram.sum_of([one[name] for one in others]).best().threshold for name in PROTOCOLS
        }
        total.thresholds = chosen[scene]
        for patch in labelled[scene]:
            total.add(patch, stored[scene][patch.name].astype(np.float32))
    return Scenes(total, chosen, histograms)


def _histograms(found: Iterable[LabelledPatch], probabilities: dict[str, np.ndarray]) -> dict[str, ScoreHistogram]:
    measured = Measured({"strict": 0.5, "floating": 0.5})
    for patch in found:
        measured.add(patch, probabilities[patch.name].astype(np.float32))
    return measured.histograms
