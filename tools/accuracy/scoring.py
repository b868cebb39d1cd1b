"""Scores of a detector on MARIDA's patches: both protocols, by scene and class, with intervals and calibration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine.bands import MARIDA_ORDER
from engine.evaluation import POSITIVE, marked
from engine.linking import linked
from engine.marida import LabelledPatch, patch_names, read_patch, scene_of
from engine.metrics import ScoreHistogram
from tools.thresholds import far_unlabelled

__all__ = [
    "OTHER_THRESHOLDS", "Detector", "Measured", "at_thresholds", "difference", "interval", "measure", "patches",
    "summary",
]  # fmt: skip

DRAWS = 2000
OTHER_THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
"""Thresholds of debris that a person may set instead of the model's own."""
Detector = Callable[[LabelledPatch], np.ndarray]
"""Probabilities (2, height, width) of debris and of other floating matter."""


@dataclass
class Measured:
    """What was counted: tp, fp, fn, tn by protocol and scene, and those of the strict protocol by patch."""

    thresholds: dict[str, float]
    counts: dict[str, dict[str, np.ndarray]] = field(default_factory=lambda: {name: {} for name in POSITIVE})
    histograms: dict[str, ScoreHistogram] = field(default_factory=lambda: {name: ScoreHistogram() for name in POSITIVE})
    reached: ScoreHistogram = field(default_factory=ScoreHistogram)
    """Labelled pixels of the strict protocol by what the groups reach that they belong to at its threshold."""
    by_patch: dict[str, np.ndarray] = field(default_factory=dict)
    flagged: np.ndarray = field(default_factory=lambda: np.zeros(17, dtype=int))
    floating: np.ndarray = field(default_factory=lambda: np.zeros(17, dtype=int))
    pixels: np.ndarray = field(default_factory=lambda: np.zeros(17, dtype=int))
    far: np.ndarray = field(default_factory=lambda: np.zeros(2, dtype=int))
    """Unlabelled pixels far from labelled floating matter: flagged as debris, and all."""

    def add(self, patch: LabelledPatch, probability: np.ndarray) -> None:
        """Count one patch; pixels whose probability is NaN count nowhere."""
        observed = patch.observed & np.isfinite(probability[0])
        use = (patch.classes > 0) & observed
        labels = patch.classes[use]
        debris = np.nan_to_num(probability[0]) >= self.thresholds["strict"]
        either = marked(probability, self.thresholds["strict"], self.thresholds["floating"])
        reached = linked(probability[0], self.thresholds["strict"])
        self.reached.add(reached[use].clip(0, 1), labels == 1)
        for name, positive in POSITIVE.items():
            p, hits = (probability[0], debris) if name == "strict" else (probability.sum(axis=0), either)
            truth, found = np.isin(labels, positive), hits[use]
            four = np.array(
                [(found & truth).sum(), (found & ~truth).sum(), (~found & truth).sum(), (~found & ~truth).sum()]
            )
            scenes = self.counts[name]
            scenes[patch.scene] = scenes.get(patch.scene, np.zeros(4, dtype=int)) + four
            self.histograms[name].add(p[use].clip(0, 1), truth)
            if name == "strict":
                self.by_patch[patch.name] = four
        self.pixels += np.bincount(patch.classes[observed], minlength=17)
        self.flagged += np.bincount(patch.classes[observed & debris], minlength=17)
        self.floating += np.bincount(patch.classes[observed & either], minlength=17)
        far = far_unlabelled(patch.classes, observed)
        self.far += [int((far & debris).sum()), int(far.sum())]


def patches(folder: Path, scenes: frozenset[str] | None = None) -> Iterator[LabelledPatch]:
    """The patches of a folder that hold data, or of some of its scenes."""
    for name in patch_names(folder):
        if scenes is None or scene_of(name) in scenes:
            patch = read_patch(folder, name, MARIDA_ORDER)
            if patch is not None:
                yield patch


def measure(detector: Detector, thresholds: dict[str, float], folder: Path) -> Measured:
    """Score a detector on all patches of a folder."""
    measured = Measured(thresholds)
    for patch in patches(folder):
        measured.add(patch, detector(patch))
    return measured


def scores(counts: np.ndarray) -> dict[str, float]:
    """F1, IoU, precision and recall of tp, fp, fn, tn."""
    tp, fp, fn, _ = (float(value) for value in counts)
    return {"f1": 2 * tp / max(2 * tp + fp + fn, 1), "iou": tp / max(tp + fp + fn, 1),
            "precision": tp / max(tp + fp, 1), "recall": tp / max(tp + fn, 1)}  # fmt: skip


def _drawn(scenes: dict[str, np.ndarray]) -> np.ndarray:
    """F1 of each of DRAWS draws of the scenes with replacement; the same draws for the same scenes."""
    table = np.array([scenes[name] for name in sorted(scenes)])
    drawn = table[np.random.default_rng(0).integers(0, len(table), (DRAWS, len(table)))].sum(axis=1)
    return np.asarray(2 * drawn[:, 0] / np.maximum(2 * drawn[:, 0] + drawn[:, 1] + drawn[:, 2], 1))


def interval(scenes: dict[str, np.ndarray]) -> list[float]:
    """2.5 and 97.5 percentiles of F1 over draws of scenes."""
    return [round(float(v), 3) for v in np.percentile(_drawn(scenes), [2.5, 97.5])]


def difference(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> list[float]:
    """2.5 and 97.5 percentiles of F1 of one less that of the other, over the same draws of scenes."""
    return [round(float(v), 3) for v in np.percentile(_drawn(one) - _drawn(other), [2.5, 97.5])]


def summary(measured: Measured) -> dict[str, Any]:
    """What is reported, ready for JSON."""
    result: dict[str, Any] = {}
    for name in POSITIVE:
        total = np.sum(list(measured.counts[name].values()), axis=0)
        result[name] = {
            **{key: round(value, 4) for key, value in scores(total).items()},
            "interval": interval(measured.counts[name]),
            "threshold": measured.thresholds[name],
            "counts": dict(zip(("tp", "fp", "fn", "tn"), (int(v) for v in total), strict=True)),
            "ece": round(measured.histograms[name].calibration_error(), 5),
            "scenes": {scene: four.tolist() for scene, four in sorted(measured.counts[name].items())},
        }
    result["flagged_by_class"] = {
        str(n): [int(measured.flagged[n]), int(measured.floating[n]), int(measured.pixels[n])]
        for n in range(1, 17)
        if measured.pixels[n]
    }
    result["unlabelled_flagged_percent"] = round(100 * measured.flagged[0] / max(measured.pixels[0], 1), 5)
    result["unlabelled_far_flagged_percent"] = round(100 * measured.far[0] / max(measured.far[1], 1), 5)
    result["reliability"] = reliability(measured.histograms["strict"])
    return result


def at_thresholds(measured: Measured) -> list[list[float]]:
    """Of each of OTHER_THRESHOLDS: itself, F1, precision, recall, strict protocol, as Detect marks.

    Above the model's own threshold the groups are those of its own.
    """
    plain, own = measured.histograms["strict"], measured.thresholds["strict"]
    found = [(measured.reached if threshold > own else plain).at(threshold) for threshold in OTHER_THRESHOLDS]
    return [[one.threshold, *(round(value, 4) for value in (one.f1, one.precision, one.recall))] for one in found]


def reliability(histogram: ScoreHistogram, groups: int = 10) -> list[list[float]]:
    """For each tenth of probability: pixels, mean probability, share of debris."""
    total = histogram.positive + histogram.negative
    group = np.arange(histogram.bins) * groups // histogram.bins
    centre = (np.arange(histogram.bins) + 0.5) / histogram.bins
    pixels = np.bincount(group, total, groups)
    mean = np.bincount(group, total * centre, groups) / np.maximum(pixels, 1)
    share = np.bincount(group, histogram.positive, groups) / np.maximum(pixels, 1)
    return [[int(n), round(float(m), 4), round(float(s), 4)] for n, m, s in zip(pixels, mean, share, strict=True)]
