"""Scores of a detector, gathered tile by tile: precision, recall, F1, IoU, best threshold, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["ScoreHistogram", "Scores", "bootstrap_f1"]

Counts = npt.NDArray[np.float64]
DRAWS = 2000


@dataclass(frozen=True)
class Scores:
    """What a threshold gives. Counts may be fractional, where pixels are weighted."""

    threshold: float
    tp: float
    fp: float
    fn: float
    tn: float

    @property
    def precision(self) -> float:
        """Tp / (tp + fp); 0 where nothing was flagged."""
        return self.tp / (self.tp + self.fp) if self.tp + self.fp else 0.0

    @property
    def recall(self) -> float:
        """Tp / (tp + fn); 0 where nothing is positive."""
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        total = 2 * self.tp + self.fp + self.fn
        return 2 * self.tp / total if total else 0.0

    @property
    def iou(self) -> float:
        """Tp / (tp + fp + fn)."""
        total = self.tp + self.fp + self.fn
        return self.tp / total if total else 0.0


class ScoreHistogram:
    """Weighted counts of probabilities in narrow bins, of positive and of negative pixels: memory does not grow."""

    def __init__(self, bins: int = 2000) -> None:
        self.bins = bins
        self.positive: Counts = np.zeros(bins)
        self.negative: Counts = np.zeros(bins)

    @classmethod
    def sum_of(cls, parts: Sequence[ScoreHistogram]) -> ScoreHistogram:
        """What was counted in several, all of as many bins."""
        result = cls(parts[0].bins)
        result.positive = np.sum([part.positive for part in parts], axis=0)
        result.negative = np.sum([part.negative for part in parts], axis=0)
        return result

    def add(
        self,
        probability: npt.NDArray[np.float32],
        positive: npt.NDArray[np.bool_],
        weight: npt.NDArray[np.float32] | None = None,
    ) -> None:
        """Count pixels: probabilities from 0 to 1, whether truly positive, and what each weighs (1 where None)."""
        index = np.minimum((probability * self.bins).astype(np.int64), self.bins - 1)
        for truth, counts in ((True, self.positive), (False, self.negative)):
            here = positive == truth
            counts += np.bincount(index[here], None if weight is None else weight[here], self.bins)

    def at(self, threshold: float) -> Scores:
        """Scores at a threshold, taken to the nearest edge of a bin; a pixel at the edge is flagged."""
        first = min(round(threshold * self.bins), self.bins)
        return self._scores(first)

    def _scores(self, first: int) -> Scores:
        tp, fp = float(self.positive[first:].sum()), float(self.negative[first:].sum())
        fn, tn = float(self.positive[:first].sum()), float(self.negative[:first].sum())
        return Scores(first / self.bins, tp, fp, fn, tn)

    def curve(self) -> tuple[Counts, Counts, Counts]:
        """Thresholds, precision and recall at every edge of a bin, from low to high."""
        tp, fp = (np.cumsum(counts[::-1])[::-1] for counts in (self.positive, self.negative))
        precision = np.divide(tp, tp + fp, out=np.ones(self.bins), where=tp + fp > 0)
        return np.arange(self.bins) / self.bins, precision, tp / max(float(self.positive.sum()), 1e-12)

    def best(self) -> Scores:
        """The scores of best F1; of thresholds that are as good, the middle one.

        The middle keeps the threshold off the edge of what was seen, where the next scene would fall on either side.
        """
        tp, fp = (np.cumsum(counts[::-1])[::-1] for counts in (self.positive, self.negative))
        f1 = 2 * tp / np.maximum(tp + fp + self.positive.sum(), 1e-12)
        good = np.flatnonzero(f1 >= f1.max() * (1 - 1e-3))
        return self._scores(int(good[len(good) // 2]))

    def calibration_error(self, groups: int = 15) -> float:
        """Expected calibration error: |share of positives - probability| over equal bins, weighted by their pixels."""
        total = self.positive + self.negative
        if not total.sum():
            return 0.0
        group = np.arange(self.bins) * groups // self.bins
        centre = (np.arange(self.bins) + 0.5) / self.bins
        pixels = np.bincount(group, total, groups)
        gap = np.abs(np.bincount(group, self.positive, groups) - np.bincount(group, total * centre, groups))
        return float(gap.sum() / pixels.sum())


def bootstrap_f1(groups: Sequence[npt.NDArray[np.int64]], draws: int = DRAWS, seed: int = 0) -> tuple[float, float]:
    """95 % percentile interval of F1 over draws of whole groups with replacement (Efron 1979).

    Args:
        groups: (tp, fp, fn, tn) of each scene.
        draws: how many.
        seed: the same gives the same interval.
    """
    counts = np.stack(groups).astype(np.float64)
    drawn = counts[np.random.default_rng(seed).integers(0, len(counts), (draws, len(counts)))].sum(axis=1)
    f1 = 2 * drawn[:, 0] / np.maximum(2 * drawn[:, 0] + drawn[:, 1] + drawn[:, 2], 1)
    low, high = np.percentile(f1, [2.5, 97.5])
    return float(low), float(high)
