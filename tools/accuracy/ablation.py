"""What each part of the training data and of the input is worth, measured with boosted trees, which train in seconds.

Each row leaves one thing out of the LightGBM with windows (see `detectors`), trained with the same seeds on the
same pixels less those left out, and sets its thresholds by the same rule. A network sees more than windows: this says
what the data teach, and not what a network would lose.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.bands import MARIDA_ORDER
from engine.evaluation import POSITIVE
from engine.marida import patch_names, read_patch, scene_of
from engine.metrics import ScoreHistogram
from engine.training.grouping import pixel_weights
from engine.training.pool import PoolTiles
from engine.training.texture import fold_of
from tools.accuracy.detectors import INDEX_COLUMNS, WINDOW_COLUMNS, Pixels, TreeDetector, boosted, features, sample
from tools.accuracy.scoring import interval, patches, scores
from tools.thresholds import Seen, choose, negatives

__all__ = ["ROWS", "ablate"]

FAR_STEP = 13
"""Every so many-th unlabelled pixel of the held-out images counts."""

Rows = Callable[[Pixels], np.ndarray]


def _all(pixels: Pixels) -> np.ndarray:
    return np.ones(len(pixels.classes), dtype=bool)


def _without(*classes: int) -> Rows:
    return lambda pixels: ~np.isin(pixels.classes, classes)


ROWS: dict[str, tuple[Rows, tuple[int, ...]]] = {
    "everything": (_all, ()),
    "no real images": (lambda pixels: ~pixels.real, ()),
    "no practice scenes": (lambda pixels: pixels.real, ()),
    "no unlabelled pixels as weak negatives": (_without(0), ()),
    "no ships": (_without(5), ()),
    "no wakes and waves": (_without(12, 14), ()),
    "no foam": (_without(9), ()),
    "no cloud and shadow": (_without(6, 13), ()),
    "no land": (_without(16), ()),
    "no Sargassum": (_without(2, 3), ()),
    "no natural organic material": (_without(4), ()),
    "no turbid, shallow or mixed water": (_without(8, 10, 11, 15), ()),
    "no windows: pixels alone": (_all, WINDOW_COLUMNS),
    "no indices": (_all, INDEX_COLUMNS),
}
"""Name: which pixels stay, and which columns go."""


@dataclass(frozen=True)
class _Tables:
    """Features and classes of pixels that are not trained on."""

    practice: tuple[np.ndarray, np.ndarray]
    known: tuple[np.ndarray, np.ndarray]
    far: np.ndarray
    test: tuple[np.ndarray, np.ndarray, np.ndarray]
    """The last are numbers of scenes."""


def ablate(
    pool: PoolTiles,
    textures: Path,
    data: Path,
    fold: int,
    tiles: int,
    seeds: tuple[int, ...],
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """One entry a row: strict F1 of each seed, their mean, its interval, and what it is on practice and real pixels."""
    numbers = np.random.default_rng([fold, 21]).permutation(pool.numbers("train", without_fold=fold))[:tiles]
    train = sample(pool, numbers.tolist(), True, np.random.default_rng([fold, 22]))
    tables = _tables(pool, textures, data, fold)
    say(f"{len(train.classes)} pixels to train on, {len(tables.test[1])} to score")
    result = []
    for name, (rows, dropped) in ROWS.items():
        keep = rows(train)
        columns = np.setdiff1d(np.arange(train.table.shape[1]), dropped)
        found = [_one(train, keep, columns, tables, seed) for seed in seeds]
        mean = {key: float(np.mean([one[key] for one in found])) for key in found[0] if key != "scenes"}
        pooled = {scene: np.sum([one["scenes"][scene] for one in found], axis=0) for scene in found[0]["scenes"]}
        result.append({"name": name, "seeds": [round(one["f1"], 4) for one in found], "interval": interval(pooled),
                       **{key: round(value, 4) for key, value in mean.items()}})  # fmt: skip
        say(f"{name}: strict F1 {mean['f1']:.3f}")
    return result


def _one(train: Pixels, keep: np.ndarray, columns: np.ndarray, tables: _Tables, seed: int) -> dict[str, Any]:
    """Train, set thresholds, score."""
    detector = TreeDetector(boosted(seed), True)
    detector.fit(Pixels(train.table[keep][:, columns], train.classes[keep], train.real[keep]))
    practice, real = (
        _histograms(detector, tables.practice, columns, True),
        _histograms(detector, tables.known, columns, False),
    )
    unlabelled = ScoreHistogram()
    far = detector.pixels(tables.far[:, columns])[:, 0]
    unlabelled.add(far, np.zeros(len(far), dtype=bool))
    threshold = choose(Seen(practice, real, unlabelled)).debris
    table, classes, scene = tables.test
    probability = detector.pixels(table[:, columns])[:, 0]
    hit, truth = probability >= threshold, classes == 1
    four = np.stack([hit & truth, hit & ~truth, ~hit & truth, ~hit & ~truth], axis=1)
    scenes = {str(number): four[scene == number].sum(axis=0) for number in np.unique(scene)}
    return {**scores(four.sum(axis=0)), "threshold": threshold, "scenes": scenes,
            "practice_f1": practice["debris"].at(threshold).f1,
            "recall_real": real["debris"].at(threshold).recall}  # fmt: skip


def _histograms(
    detector: TreeDetector, table: tuple[np.ndarray, np.ndarray], columns: np.ndarray, weighted: bool
) -> dict[str, ScoreHistogram]:
    values, classes = table
    probability = detector.pixels(values[:, columns])
    counts = np.bincount(classes, minlength=256)
    counts[0] = 0
    weight = pixel_weights(counts)[classes] if weighted else None
    result = {"debris": ScoreHistogram(), "floating": ScoreHistogram()}
    result["debris"].add(probability[:, 0], classes == 1, weight)
    result["floating"].add(probability.sum(axis=1).clip(0, 1), np.isin(classes, POSITIVE["floating"]), weight)
    return result


def _tables(pool: PoolTiles, textures: Path, data: Path, fold: int) -> _Tables:
    validation = sample(pool, pool.numbers("validate-busy").tolist(), True, np.random.default_rng([fold, 23]))
    known, far = [], []
    for number, name in enumerate(patch_names(textures)):
        patch = read_patch(textures, name, MARIDA_ORDER) if fold_of(number) == fold else None
        if patch is not None:
            table, here = features(patch.reflectance, True), patch.observed & (patch.classes > 0)
            known.append((table[:, here].T, patch.classes[here]))
            far.append(table[:, negatives(patch)].T[::FAR_STEP])
    test = []
    scenes = sorted({scene_of(name) for name in patch_names(data)})
    for patch in patches(data):
        here = patch.observed & (patch.classes > 0)
        if here.any():
            number = np.full(int(here.sum()), scenes.index(patch.scene))
            test.append((features(patch.reflectance, True)[:, here].T, patch.classes[here], number))
    return _Tables(
        (validation.table, validation.classes),
        (np.concatenate([t for t, _ in known]), np.concatenate([c for _, c in known])),
        np.concatenate(far),
        (
            np.concatenate([t[0] for t in test]),
            np.concatenate([t[1] for t in test]),
            np.concatenate([t[2] for t in test]),
        ),
    )
