"""Measure a model as docs/accuracy.md reports it. A development-time script; prints one JSON object a line.

    python tools/measure_model.py marida   --data ../shared/data/marida [--model FILE]
    python tools/measure_model.py accra    --data ../shared/data/accra_l2a --points ../shared/data/spectra/…duarte.csv
    python tools/measure_model.py practice [--tiles 200]

`marida`: both protocols with the model's own thresholds, an interval by resampling scenes, the share of unlabelled
pixels flagged (all, and those farther than 3 pixels from labelled floating matter), and the calibration error. `accra`:
how seaweed points are marked, on an L2A scene. `practice`: false detections on practice tiles without debris.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.warp import transform
from scipy import ndimage

from engine.evaluation import POSITIVE, score_patches
from engine.metrics import ScoreHistogram
from engine.practice import SceneOptions, make_tile
from engine.prediction import Predictor
from engine.tiling import Window, blend, tile_axis

FLOATING = (1, 2, 3, 4, 9)
TILE, OVERLAP = 256, 64
DRAWS = 2000


def main() -> None:
    """Run one of the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("marida", "accra", "practice"))
    parser.add_argument("--model")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--split")
    parser.add_argument("--points", type=Path)
    parser.add_argument("--save", type=Path, help="accra: write probabilities (2, height, width) as .npy")
    parser.add_argument("--tiles", type=int, default=200)
    options = parser.parse_args()
    predictor = Predictor(options.model, "auto")
    measure = {"marida": marida, "accra": accra, "practice": practice}[options.what]
    about = {"what": options.what, "model": predictor.card.name, "sha256": predictor.sha256}
    print(json.dumps({**about, **measure(predictor, options)}))


def marida(predictor: Predictor, options: argparse.Namespace) -> dict[str, Any]:
    """Scores by MARIDA's protocols, with all that is said of them."""
    card = predictor.card
    thresholds = {"strict": card.threshold, "floating": card.floating_threshold}
    counts: dict[str, dict[str, np.ndarray]] = {name: defaultdict(lambda: np.zeros(4)) for name in POSITIVE}
    histograms = {name: ScoreHistogram() for name in POSITIVE}
    flagged, pixels = np.zeros(17, dtype=int), np.zeros(17, dtype=int)
    far_flagged = far_pixels = 0
    for scored in score_patches(options.data, options.split, predictor):
        classes, observed = scored.patch.classes, scored.patch.observed
        use = (classes > 0) & observed
        for name, positive in POSITIVE.items():
            p = scored.probability[0] if name == "strict" else scored.probability.sum(axis=0)
            truth = np.isin(classes[use], positive)
            found = p[use] >= thresholds[name]
            counts[name][scored.patch.scene] += [
                (found & truth).sum(), (found & ~truth).sum(), (~found & truth).sum(), (~found & ~truth).sum()
            ]  # fmt: skip
            histograms[name].add(p[use].clip(0, 1), truth)
        hit = np.nan_to_num(scored.probability[0]) >= card.threshold
        pixels += np.bincount(classes[observed], minlength=17)
        flagged += np.bincount(classes[observed & hit], minlength=17)
        floating = np.isin(classes, FLOATING)
        near = ndimage.distance_transform_edt(~floating) <= 3 if floating.any() else floating
        far = observed & (classes == 0) & ~near
        far_flagged, far_pixels = far_flagged + int((far & hit).sum()), far_pixels + int(far.sum())
    result: dict[str, Any] = {name: _summary(counts[name], thresholds[name]) for name in POSITIVE}
    for name in POSITIVE:
        result[name]["ece"] = round(histograms[name].calibration_error(), 5)
    result["flagged_by_class"] = {n: f"{flagged[n]}/{pixels[n]}" for n in range(17) if pixels[n]}
    result["unlabelled_flagged_percent"] = round(100 * flagged[0] / pixels[0], 5)
    result["unlabelled_far_flagged_percent"] = round(100 * far_flagged / far_pixels, 5)
    return result


def _summary(by_scene: dict[str, np.ndarray], threshold: float) -> dict[str, Any]:
    """Pooled scores, and the 2.5 and 97.5 percentiles of F1 over scenes drawn with replacement."""
    table = np.array(list(by_scene.values()))
    tp, fp, fn, _ = total = table.sum(axis=0)
    rng = np.random.default_rng(0)
    drawn = table[rng.integers(0, len(table), (DRAWS, len(table)))].sum(axis=1)
    f1 = 2 * drawn[:, 0] / np.maximum(2 * drawn[:, 0] + drawn[:, 1] + drawn[:, 2], 1)
    scores = {
        "f1": 2 * tp / (2 * tp + fp + fn), "iou": tp / (tp + fp + fn), "precision": tp / max(tp + fp, 1),
        "recall": tp / (tp + fn),
    }  # fmt: skip
    return {
        **{name: round(float(value), 4) for name, value in scores.items()},
        "f1_interval": [round(float(v), 3) for v in np.percentile(f1, [2.5, 97.5])],
        "threshold": threshold,
        "counts": dict(zip(("tp", "fp", "fn", "tn"), total.astype(int).tolist(), strict=True)),
    }


def accra(predictor: Predictor, options: argparse.Namespace) -> dict[str, Any]:
    """Seaweed points of the L2A scene of Accra: how many are marked, as what."""
    files = {re.search(r"_B(\d\d|8A)_", path.name).group(1): path for path in options.data.glob("*.tiff")}  # type: ignore[union-attr]
    bands = []
    for band in predictor.card.bands:
        number = band[1:] if band == "B8A" else f"{int(band[1:]):02d}"
        with rasterio.open(files[number]) as dataset:
            bands.append(dataset.read(1).astype(np.float32))
            grid = dataset.transform, dataset.crs
    image = np.stack(bands)
    seen = (image != 0).any(axis=0)
    probability = np.concatenate([block for _, block in _sliding(predictor, image, seen)], axis=1)
    if options.save:
        np.save(options.save, probability)
    with options.points.open(newline="") as stream:
        points = [row for row in csv.DictReader(stream) if row["class"] == "seaweed"]
    x, y = transform("EPSG:4326", grid[1], [float(r["lon"]) for r in points], [float(r["lat"]) for r in points])
    col, row = (np.floor(v).astype(int) for v in ~grid[0] @ (np.array(x), np.array(y)))
    inside = (row >= 0) & (col >= 0) & (row < seen.shape[0]) & (col < seen.shape[1])
    debris, floating = probability[:, row[inside], col[inside]]
    card = predictor.card
    marked = (debris >= card.threshold) | (debris + floating >= card.floating_threshold)
    whole = np.nan_to_num(probability)
    return {
        "points": int(inside.sum()),
        "as_debris": int((debris >= card.threshold).sum()),
        "as_debris_or_floating": int(marked.sum()),
        "observed_pixels": int(seen.sum()),
        "debris_pixels": int((whole[0] >= card.threshold).sum()),
        "floating_pixels": int((whole.sum(axis=0) >= card.floating_threshold).sum()),
    }


def _sliding(predictor: Predictor, image: np.ndarray, seen: np.ndarray) -> Any:
    rows, cols = (tile_axis(length, TILE, OVERLAP) for length in seen.shape)

    def predict(windows: Any) -> Any:
        for window in windows:
            part = _cut(image, window), _cut(seen[None], window)[0]
            yield predictor.probabilities(part[0][None], part[1][None])[0]

    return blend(rows, cols, 2, predict)


def _cut(array: np.ndarray, window: Window) -> np.ndarray:
    result = np.zeros((len(array), window.height, window.width), dtype=array.dtype)
    part = array[:, window.row : window.row + window.height, window.col : window.col + window.width]
    result[:, : part.shape[1], : part.shape[2]] = part
    return result


def practice(predictor: Predictor, options: argparse.Namespace) -> dict[str, Any]:
    """False detections per 100 km² of observed water, on practice tiles without debris."""
    scenes = SceneOptions(without=("debris",), density=0.5)
    detections = pixels = water = 0
    by_class = np.zeros(17, dtype=int)
    for seed in range(900_000, 900_000 + options.tiles):
        tile = make_tile(seed, TILE, replace(scenes))
        hit = np.nan_to_num(predictor.probabilities(tile.reflectance[None], tile.observed[None])[0, 0])
        found = hit >= predictor.card.threshold
        detections += ndimage.label(found, np.ones((3, 3)))[1]
        pixels += int(found.sum())
        by_class += np.bincount(tile.classes[found], minlength=17)
        water += int((tile.observed & (tile.classes != 16)).sum())
    return {
        "water_km2": round(water / 1e4, 1),
        "false_detections": detections,
        "false_pixels": pixels,
        "false_detections_per_100_km2": round(detections / (water / 1e6), 3),
        "false_pixels_by_class": {n: int(count) for n, count in enumerate(by_class) if count},
    }


if __name__ == "__main__":
    main()
