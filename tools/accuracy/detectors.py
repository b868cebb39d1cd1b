"""The detectors that are measured side by side: networks, and the baselines that a network has to beat.

The baselines learn from the same tiles as the network (a sample of their pixels) and get their thresholds by the same
rule. Trees: Breiman 2001 (doi 10.1023/A:1010933404324) on single pixels, as MARIDA's authors did; LightGBM (Ke et al.
2017) on single pixels and on windows. The index rule: FDI (Biermann et al. 2020, doi
10.1038/s41598-020-62298-z) and NDVI within the range that nine tenths of published debris pixels have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from lightgbm import LGBMClassifier
from scipy import ndimage
from sklearn.ensemble import RandomForestClassifier

from engine.bands import MARIDA_ORDER
from engine.evaluation import POSITIVE
from engine.marida import LabelledPatch, patch_names, read_patch
from engine.metrics import ScoreHistogram
from engine.practice.spectra import choose_conditions, signature_scenes
from engine.practice.spectra import pool as spectra_of
from engine.prediction import Predictor
from engine.training.grouping import pixel_weights
from engine.training.pool import PoolTiles
from engine.training.texture import EDGE, FOLDS, WEAK, fold_of
from tools.accuracy.scoring import Detector
from tools.thresholds import Seen, choose_together, negatives

__all__ = [
    "INDEX_COLUMNS", "WINDOW_COLUMNS", "Pixels", "TreeDetector", "boosted", "features", "index_rule",
    "network_detector", "sample", "train_trees",
]  # fmt: skip

PER_TILE, WEAK_WEIGHT = 25, 0.4
WINDOWS = (3, 7, 15)
UNLABELLED_STEP = 13
"""Trees are asked about every so many-th unlabelled pixel."""
INDEX_COLUMNS = tuple(range(11, 15))
WINDOW_COLUMNS = tuple(range(15, 61))
# The groups that trees tell apart, by class: clear, debris, Sargassum, natural organic material, foam.
DEBRIS = 1
GROUPS = np.zeros(17, dtype=int)
GROUPS[[1, 2, 3, 4, 9]] = [DEBRIS, 2, 2, 3, 4]


def network_detector(path: Path | None) -> tuple[Detector, dict[str, float], Predictor]:
    """A model file and its own thresholds."""
    predictor = Predictor(path)

    def detect(patch: LabelledPatch) -> np.ndarray:
        return predictor.probabilities(patch.reflectance[None], patch.observed[None])[0]

    return detect, {"strict": predictor.card.threshold, "floating": predictor.card.floating_threshold}, predictor


def indices(bands: np.ndarray) -> np.ndarray:
    """NDVI, NDWI, FDI, FAI of (11, …) reflectance in MARIDA's order: (4, …)."""
    _, _, green, red, _, edge, _, infrared, _, short, _ = bands
    ndvi = (infrared - red) / np.maximum(infrared + red, 1e-3)
    ndwi = (green - infrared) / np.maximum(green + infrared, 1e-3)
    fdi = infrared - (edge + (short - edge) * 10 * (832.8 - 664.6) / (1613.7 - 664.6))
    fai = infrared - (red + (short - red) * (832.8 - 664.6) / (1613.7 - 664.6))
    return np.stack([ndvi, ndwi, fdi, fai])


def features(reflectance: np.ndarray, windows: bool) -> np.ndarray:
    """(features, height, width): bands and indices; with windows also mean, deviation and contrast of four of them."""
    own = np.concatenate([reflectance, indices(reflectance)])
    if not windows:
        return own
    parts = [own]
    for layer in (reflectance[7], own[13], own[11], own[12]):
        for size in WINDOWS:
            mean = ndimage.uniform_filter(layer, size)
            square = ndimage.uniform_filter(layer * layer, size)
            parts.append(np.stack([mean, np.sqrt(np.maximum(square - mean * mean, 0))]))
    for layer in reflectance:
        parts.append(np.stack([layer - ndimage.uniform_filter(layer, 15), layer - ndimage.uniform_filter(layer, 31)]))
    return np.concatenate(parts).astype(np.float32)


@dataclass(frozen=True)
class Pixels:
    """A table of pixels."""

    table: np.ndarray
    """(pixels, features)"""
    classes: np.ndarray
    """(pixels,): MARIDA's numbers, 16 land, 0 real ones that nobody labelled."""
    real: np.ndarray
    """(pixels,), bool: from a real image, or from something painted on one."""


class TreeDetector:
    """A classifier of pixels: probabilities of debris, and of the other classes of the floating protocol."""

    def __init__(self, classifier: Any, windows: bool) -> None:
        self.classifier, self.windows = classifier, windows
        self.thresholds = {"strict": 0.5, "floating": 0.5}

    def fit(self, pixels: Pixels) -> None:
        """Learn groups of classes; rare classes weigh more, what nobody labelled weighs less."""
        counts = np.bincount(pixels.classes, minlength=17)
        weight = 1 / np.sqrt(np.maximum(counts, 1))
        weight[0] *= WEAK_WEIGHT
        self.classifier.fit(pixels.table, GROUPS[pixels.classes], sample_weight=(weight / weight.max())[pixels.classes])

    def __call__(self, patch: LabelledPatch) -> np.ndarray:
        """Probabilities of a patch, as a Detector: of labelled pixels, and of some of the others, which are many."""
        some = np.zeros(patch.classes.size, dtype=bool)
        some[::UNLABELLED_STEP] = True
        chosen = patch.observed & ((patch.classes > 0) | some.reshape(patch.classes.shape))
        return self.image(patch.reflectance, chosen)

    def image(self, reflectance: np.ndarray, observed: np.ndarray) -> np.ndarray:
        """Probabilities (2, height, width), NaN where not observed."""
        table = features(reflectance, self.windows)[:, observed].T
        result = np.full((2, *observed.shape), np.nan, dtype=np.float32)
        result[:, observed] = self.pixels(table).T
        return result

    def pixels(self, table: np.ndarray) -> np.ndarray:
        """Probabilities (pixels, 2) of rows of features."""
        classes = self.classifier.predict_proba(table)
        groups = self.classifier.classes_
        debris = classes[:, groups == DEBRIS].sum(axis=1)
        return np.stack([debris, classes[:, groups > DEBRIS].sum(axis=1)], axis=1)


def boosted(seed: int) -> Any:
    """LightGBM as it is measured here."""
    return LGBMClassifier(
        n_estimators=200, num_leaves=31, learning_rate=0.08, min_child_samples=40, subsample=0.8, subsample_freq=1,
        colsample_bytree=0.6, n_jobs=2, random_state=seed, verbosity=-1, deterministic=True, force_row_wise=True,
    )  # fmt: skip


def train_trees(
    kind: str, pool: PoolTiles, textures: Path, seeds: Sequence[int], tiles: int, say: Callable[[str], None]
) -> list[TreeDetector]:
    """Train `forest`, `lightgbm` or `lightgbm-windows` once a seed, each on a sample of the pool less the seed's fold;
    thresholds by the network's rule, the same for all.
    """
    detectors = [_train(kind, pool, seed, tiles, say) for seed in seeds]
    choice = choose_together([_look(one, pool, textures, seed) for one, seed in zip(detectors, seeds, strict=True)])
    for detector in detectors:
        detector.thresholds = {"strict": choice.debris, "floating": choice.floating}
    return detectors


def _train(kind: str, pool: PoolTiles, seed: int, tiles: int, say: Callable[[str], None]) -> TreeDetector:
    windows = kind.endswith("windows")
    rng = np.random.default_rng([seed, 21])
    numbers = rng.permutation(pool.numbers("train", without_fold=seed % FOLDS))[:tiles]
    pixels = sample(pool, numbers.tolist(), windows, rng)
    say(f"{kind}, seed {seed}: {len(pixels.classes)} pixels of {len(numbers)} tiles")
    forest = RandomForestClassifier(125, max_depth=20, min_samples_leaf=3, n_jobs=2, random_state=seed)
    detector = TreeDetector(forest if kind == "forest" else boosted(seed), windows)
    detector.fit(pixels)
    return detector


def sample(pool: PoolTiles, numbers: Sequence[int], windows: bool, rng: np.random.Generator) -> Pixels:
    """Some pixels of each class and tile."""
    rows, labels, real = [], [], []
    textures = pool.numbers("train-texture")
    for number in numbers:
        tile = pool.tile(number)
        table = features(tile.reflectance, windows)
        for name in np.unique(tile.classes[tile.classes > 0]):
            places = np.argwhere((tile.classes == name) & tile.observed)
            chosen = places[rng.permutation(len(places))[:PER_TILE]]
            rows.append(table[:, chosen[:, 0], chosen[:, 1]].T)
            labels.append(np.full(len(chosen), 0 if name in (EDGE, WEAK) else name))
            real.append(np.full(len(chosen), number in textures))
    return Pixels(np.concatenate(rows), np.concatenate(labels), np.concatenate(real))


def _look(detector: TreeDetector, pool: PoolTiles, textures: Path, seed: int) -> Seen:
    """What the rule asks for."""
    fold = seed % FOLDS
    practice = {"debris": ScoreHistogram(), "floating": ScoreHistogram()}
    real = {"debris": ScoreHistogram(), "floating": ScoreHistogram()}
    unlabelled = ScoreHistogram()
    numbers = pool.numbers("validate-busy").tolist()
    pixels = sample(pool, numbers, detector.windows, np.random.default_rng([fold, 23]))
    counts = np.bincount(pixels.classes, minlength=256)
    counts[0] = 0
    _add(practice, detector.pixels(pixels.table).T, pixels.classes, pixel_weights(counts))
    for number, name in enumerate(patch_names(textures)):
        patch = read_patch(textures, name, MARIDA_ORDER) if fold_of(number) == fold else None
        if patch is None:
            continue
        probability = detector(patch)
        known, far = patch.observed & (patch.classes > 0), negatives(patch)
        far &= np.isfinite(probability[0])
        _add(real, probability[:, known], patch.classes[known], None)
        unlabelled.add(probability[0][far], np.zeros(int(far.sum()), dtype=bool))
    return Seen(practice, real, unlabelled)


def _add(
    histograms: dict[str, ScoreHistogram], probability: np.ndarray, classes: np.ndarray, weights: np.ndarray | None
) -> None:
    weight = None if weights is None else weights[classes]
    histograms["debris"].add(probability[0], classes == 1, weight)
    histograms["floating"].add(probability.sum(axis=0).clip(0, 1), np.isin(classes, POSITIVE["floating"]), weight)


def index_rule(patch: LabelledPatch) -> np.ndarray:
    """1 where FDI and NDVI are as those of published debris pixels, 0 elsewhere; it names no other floating matter.

    Each index lies between its 5 and 95 percentiles over the debris mixture of engine.practice.spectra, on the water of
    its scenes in turn.
    """
    excess = spectra_of("debris")
    water = np.array([choose_conditions(0, (name,)).water for name in signature_scenes()])
    debris = excess + water[np.arange(len(excess)) % len(water)]
    ranges = np.percentile(indices(debris.T)[[0, 2]], (5, 95), axis=1)
    found = indices(patch.reflectance)[[0, 2]]
    inside = ((found >= ranges[0][:, None, None]) & (found <= ranges[1][:, None, None])).all(axis=0) & patch.observed
    return np.stack([inside, np.zeros_like(inside)]).astype(np.float32)
