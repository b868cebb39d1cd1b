"""The job that measures a model on a folder in MARIDA's layout, by MARIDA's strict or floating protocol.

Positive are class 1 (strict), or 1, 2, 3, 4 and 9 (floating); negative are all other labelled pixels; not labelled (0)
and not observed pixels count nowhere. Counts are pooled over all pixels of all patches.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.errors import DataError
from engine.jobs import EvaluateRequest, EvaluateResult
from engine.marida import LabelledPatch, patch_names, read_patch
from engine.metrics import Scores
from engine.monitor import Monitor, silent
from engine.practice.job import CLASS_NAMES
from engine.prediction import Predictor

__all__ = ["POSITIVE", "ScoredPatch", "evaluate", "score_patches"]

log = logging.getLogger(__name__)

POSITIVE = {"strict": (1,), "floating": (1, 2, 3, 4, 9)}


@dataclass(frozen=True, eq=False)
class ScoredPatch:
    """A patch and what the model says about it."""

    patch: LabelledPatch
    probability: npt.NDArray[np.float32]
    """(2, height, width): debris, and other floating matter; NaN where nothing was observed."""


def evaluate(request: EvaluateRequest, monitor: Monitor = silent) -> EvaluateResult:
    """Score a model on labelled patches, with the threshold that Detect would use.

    Raises:
        DataError: the folder has no patches, or none with both kinds of pixel.
        ModelError: the model cannot be used.
        Cancelled: by the monitor.
    """
    predictor = Predictor(request.model, request.device)
    strict = request.protocol == "strict"
    own = predictor.card.threshold if strict else predictor.card.floating_threshold
    threshold = own if request.threshold is None else request.threshold
    tally = _Tally(POSITIVE[request.protocol])
    patches = 0
    for scored in score_patches(Path(request.data), request.split, predictor, monitor):
        probability = scored.probability[0] if strict else scored.probability.sum(axis=0)
        with np.errstate(invalid="ignore"):
            tally.add(scored.patch.classes, probability >= threshold, np.isfinite(probability))
        patches += 1
    scores = tally.scores(threshold)
    if not scores.tp + scores.fn or not scores.fp + scores.tn:
        raise DataError(f"{request.data} has no labelled pixels of both kinds: look at its labels (_cl.tif).")
    return EvaluateResult(
        precision=scores.precision,
        recall=scores.recall,
        f1=scores.f1,
        iou=scores.iou,
        threshold=threshold,
        protocol=request.protocol,
        patches=patches,
        counts={name: int(getattr(scores, name)) for name in ("tp", "fp", "fn", "tn")},
        flagged_by_class=_named(tally.flagged),
        pixels_by_class=_named(tally.pixels),
        unlabelled_flagged_share=float(tally.flagged[0] / max(tally.pixels[0], 1)),
        model_name=predictor.card.name,
        model_sha256=predictor.sha256,
    )


def score_patches(
    folder: Path, split: str | None, predictor: Predictor, monitor: Monitor = silent
) -> Iterator[ScoredPatch]:
    """Predict the patches of a folder one after the other, each whole, by the same code that Detect uses."""
    names = patch_names(folder, split)
    for number, name in enumerate(names):
        monitor(number / len(names), f"Patch {number + 1} of {len(names)}")
        patch = read_patch(folder, name, predictor.card.bands)
        if patch is not None:
            yield ScoredPatch(patch, predictor.probabilities(patch.reflectance[None], patch.observed[None])[0])


class _Tally:
    """Pixels and flagged pixels by class, 0 being not labelled."""

    def __init__(self, positive: tuple[int, ...]) -> None:
        self._positive = list(positive)
        self.pixels = np.zeros(256, dtype=np.int64)
        self.flagged = np.zeros(256, dtype=np.int64)

    def add(
        self, classes: npt.NDArray[np.uint8], flagged: npt.NDArray[np.bool_], observed: npt.NDArray[np.bool_]
    ) -> None:
        self.pixels += np.bincount(classes[observed], minlength=256)
        self.flagged += np.bincount(classes[observed & flagged], minlength=256)

    def scores(self, threshold: float) -> Scores:
        positive = np.zeros(256, dtype=bool)
        positive[self._positive] = True
        negative = ~positive
        negative[0] = False
        tp, fp = int(self.flagged[positive].sum()), int(self.flagged[negative].sum())
        return Scores(threshold, tp, fp, int(self.pixels[positive].sum()) - tp, int(self.pixels[negative].sum()) - fp)


def _named(counts: npt.NDArray[np.int64]) -> dict[str, int]:
    """Counts by class name, of the classes that are not 0."""
    names = dict(enumerate(CLASS_NAMES))
    return {names.get(number, f"class {number}"): int(count) for number, count in enumerate(counts) if count}
