"""The job that measures a model on labels: a folder in MARIDA's layout, or rasters with class rasters or polygons.

Positive are class 1 (strict), or 1, 2, 3, 4 and 9 (floating), or the classes named; negative are all other labelled
pixels; not labelled (0) and not observed pixels count nowhere. Counts are pooled over all pixels of all patches.
Flagged is what Detect's mask marks: as debris, or (floating) as debris or other floating matter.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.errors import DataError
from engine.jobs import EvaluateRequest, EvaluateResult
from engine.labelled import open_labelled
from engine.labels import patch_windows, scene_names
from engine.linking import linked
from engine.marida import LabelledPatch, patch_names, read_patch
from engine.metrics import ScoreHistogram, Scores, bootstrap_f1
from engine.monitor import Monitor, silent
from engine.practice.job import CLASS_NAMES
from engine.prediction import Predictor
from engine.raster import gdal_settings
from engine.tiling import Window

__all__ = ["POSITIVE", "ScoredPatch", "evaluate", "marked", "score_patches", "score_rasters"]

log = logging.getLogger(__name__)

POSITIVE = {"strict": (1,), "floating": (1, 2, 3, 4, 9)}
SIDE, MARGIN = 256, 64
"""Pixels: of the patches that rasters are cut to, and of what the network sees around them."""


@dataclass(frozen=True, eq=False)
class ScoredPatch:
    """A patch and what the model says about it."""

    patch: LabelledPatch
    probability: npt.NDArray[np.float32]
    """(2, height, width): debris, and other floating matter; NaN where nothing was observed."""


def evaluate(request: EvaluateRequest, monitor: Monitor = silent) -> EvaluateResult:
    """Score a model on labelled patches, with the thresholds that Detect would use.

    Raises:
        DataError: there are no labels, or none with both kinds of pixel.
        ModelError: the model cannot be used.
        Cancelled: by the monitor.
    """
    predictor = Predictor(request.model, request.device, request.precision)
    protocol, positive = _protocol(request)
    card = predictor.card
    alone = protocol != "floating" or not card.channels("floating")
    own = card.threshold if alone else card.floating_threshold
    threshold = own if request.threshold is None else request.threshold
    debris_threshold = threshold if alone else card.threshold
    extent = card.extent_at(debris_threshold)
    tally = _Tally(positive)
    with gdal_settings():
        scored = (
            score_patches(Path(request.data), request.split, predictor, monitor)
            if request.data
            else score_rasters(request, predictor, monitor)
        )
        for patch in scored:
            debris, either = patch.probability[0], patch.probability.sum(axis=0)
            if alone:
                tally.add(patch.patch, debris, linked(debris, extent) >= threshold)
            else:
                tally.add(patch.patch, either, marked(patch.probability, debris_threshold, threshold, extent))
    scores = tally.scores(threshold)
    _check_kinds(request, scores, positive)
    interval, drawn = tally.interval()
    negative = {n for n in range(1, 256) if n not in positive}
    return EvaluateResult(
        precision=scores.precision,
        recall=scores.recall,
        f1=scores.f1,
        iou=scores.iou,
        threshold=threshold,
        protocol=protocol,
        positive_classes=positive,
        data=request.data,
        split=request.split,
        rasters=request.rasters,
        labels=request.labels,
        patches=tally.patches,
        counts={name: int(getattr(scores, name)) for name in ("tp", "fp", "fn", "tn")},
        flagged_by_class=_named(tally.flagged),
        pixels_by_class=_named(tally.pixels),
        false_positives=_named(tally.flagged, negative),
        interval=interval,
        interval_by=drawn,
        ece=tally.histogram.calibration_error(),
        unlabelled_flagged_share=float(tally.flagged[0] / max(tally.pixels[0], 1)),
        model_name=predictor.card.name,
        model_sha256=predictor.sha256,
    )


def _check_kinds(request: EvaluateRequest, scores: Scores, positive: tuple[int, ...]) -> None:
    """Refuse labels of one kind alone."""
    debris, others = int(scores.tp + scores.fn), int(scores.fp + scores.tn)
    if debris and others:
        return
    place = request.data or ", ".join(request.labels)
    listed = ", ".join(map(str, positive))
    kinds = f"{debris:,} observed pixels labelled as debris (class {listed}) and {others:,} labelled as something else"
    raise DataError(
        f"{place} has {kinds}. Scores need both: add labels of {'what is no debris' if debris else 'debris'}"
        f"{'' if debris or others else ' and of what is none'}, or name other classes that count as debris."
    )


def _protocol(request: EvaluateRequest) -> tuple[str, tuple[int, ...]]:
    """The protocol's name and the positive classes; classes that are a protocol's own stand for it."""
    if request.positive_classes is None:
        return request.protocol, POSITIVE[request.protocol]
    given = tuple(sorted(set(request.positive_classes)))
    return next((name for name, classes in POSITIVE.items() if classes == given), "own classes"), given


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


def score_rasters(request: EvaluateRequest, predictor: Predictor, monitor: Monitor = silent) -> Iterator[ScoredPatch]:
    """Predict where rasters have labels, in patches of 256 pixels with what lies around them."""
    names = scene_names(request.rasters)
    for number, name in enumerate(names):
        with open_labelled(request, number, predictor.card.bands) as (scene, labels):
            windows = patch_windows(labels, SIDE)
            for done, window in enumerate(windows):
                monitor((number + done / len(windows)) / len(names), f"Raster {number + 1}, patch {done + 1}")
                # The network sees what lies around, as it does in Detect.
                top, left = min(MARGIN, window.row), min(MARGIN, window.col)
                around = Window(window.row - top, window.col - left, SIDE + top + MARGIN, SIDE + left + MARGIN)
                reflectance, observed = scene.read(around)
                probability = predictor.probabilities(reflectance[None], observed[None])[0]
                inner = (..., slice(top, top + SIDE), slice(left, left + SIDE))
                part = labels[window.row : window.row + SIDE, window.col : window.col + SIDE]
                classes = np.pad(part, [(0, SIDE - part.shape[0]), (0, SIDE - part.shape[1])])
                seen = observed[inner]
                classes = np.where(seen, classes, 0).astype(np.uint8)
                patch_name = f"{name}+{window.row}+{window.col}"
                patch = LabelledPatch(patch_name, name, reflectance[inner], seen, classes, np.zeros_like(classes))
                yield ScoredPatch(patch, probability[inner])


def marked(
    probability: npt.NDArray[np.float32],
    debris_threshold: float,
    floating_threshold: float,
    extent: float | None = None,
) -> npt.NDArray[np.bool_]:
    """What a mask marks as debris or as other floating matter: either is reason enough.

    Args:
        probability: (2, height, width), debris and other floating matter; NaN where nothing was observed.
        debris_threshold: which a group of pixels must reach to be marked as debris.
        floating_threshold: from which the sum of both is.
        extent: from which pixels belong to a group (see `engine.linking`); the debris threshold where None.

    Returns:
        (height, width); False where nothing was observed.
    """
    # From the threshold itself on, what a pixel's group reaches says nothing more than the pixel does.
    debris = probability[0] if extent is None else linked(probability[0], extent)
    return np.asarray((debris >= debris_threshold) | (probability.sum(axis=0) >= floating_threshold))


class _Tally:
    """Pixels and flagged pixels by class, 0 being not labelled; and by scene and patch, for the interval."""

    def __init__(self, positive: tuple[int, ...]) -> None:
        self._positive = list(positive)
        self.pixels = np.zeros(256, dtype=np.int64)
        self.flagged = np.zeros(256, dtype=np.int64)
        self.histogram = ScoreHistogram()
        self.patches = 0
        self._by_patch: dict[tuple[str, str], npt.NDArray[np.int64]] = {}

    def add(self, patch: LabelledPatch, probability: npt.NDArray[np.float32], hits: npt.NDArray[np.bool_]) -> None:
        """Count one patch; `probability` is NaN where nothing was observed, `hits` are what is flagged."""
        observed = np.isfinite(probability)
        pixels = np.bincount(patch.classes[observed], minlength=256)
        flagged = np.bincount(patch.classes[observed & hits], minlength=256)
        labelled = observed & (patch.classes > 0)
        self.histogram.add(probability[labelled].clip(0, 1), np.isin(patch.classes[labelled], self._positive))
        self.pixels += pixels
        self.flagged += flagged
        self.patches += 1
        key = patch.scene, patch.name
        self._by_patch[key] = self._by_patch.get(key, 0) + self._counts(pixels, flagged)

    def _counts(self, pixels: npt.NDArray[np.int64], flagged: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """True positives, false positives, false negatives, true negatives."""
        positive = np.zeros(256, dtype=bool)
        positive[self._positive] = True
        negative = ~positive
        negative[0] = False
        tp, fp = flagged[positive].sum(), flagged[negative].sum()
        return np.array([tp, fp, pixels[positive].sum() - tp, pixels[negative].sum() - fp], dtype=np.int64)

    def scores(self, threshold: float) -> Scores:
        return Scores(threshold, *(int(count) for count in self._counts(self.pixels, self.flagged)))

    def interval(self) -> tuple[tuple[float, float], str] | tuple[None, None]:
        """The bootstrap interval of F1, and what was drawn; None where there is nothing to draw from."""
        scenes: dict[str, npt.NDArray[np.int64]] = defaultdict(lambda: np.zeros(4, dtype=np.int64))
        for (scene, _), counts in self._by_patch.items():
            scenes[scene] += counts
        if len(scenes) > 1:
            return bootstrap_f1(list(scenes.values())), "scenes"
        if len(self._by_patch) > 1:
            return bootstrap_f1(list(self._by_patch.values())), "patches"
        return None, None


def _named(counts: npt.NDArray[np.int64], only: Iterable[int] = range(256)) -> dict[str, int]:
    """Counts by class name, of the classes that are not 0."""
    names, wanted = dict(enumerate(CLASS_NAMES)), set(only)
    return {names.get(n, f"class {n}"): int(count) for n, count in enumerate(counts) if count and n in wanted}
