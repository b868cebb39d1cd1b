"""False detections on practice tiles that hold no debris."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import ndimage

from engine.linking import EIGHT_NEIGHBOURS, linked
from engine.practice import SceneOptions, make_tile
from engine.prediction import Predictor
from tools.accuracy.scoring import OTHER_THRESHOLDS

__all__ = ["BUSY", "KINDS", "QUIET", "false_detections"]

TILE, FIRST_SEED, PROCESSES = 256, 900_000, 2
CLEAR = ("debris", "sargassum", "organic")
BUSY, QUIET = "water, glint, foam, ships, cloud", "the first kind, as sparse as a quiet sea"
KINDS = {
    BUSY: (CLEAR, 0.5, 1),
    "the same, with Sargassum and natural organic material": (("debris",), 0.5, 5),
    QUIET: (CLEAR, 0.02, 5),
}
"""What is left out of the scenes (nothing is debris in any), the factor on the number of things (0.5 makes 27 ships
and boats on 100 km², 0.02 makes one), and of how many tiles of the first kind there is one."""

_state: dict[str, Predictor] = {}


def false_detections(model: Path | None, tiles: int) -> dict[str, Any]:
    """For each kind of scene: groups of 8-connected debris pixels per 100 km² of observed water.

    Args:
        model: the file, the bundled one where None.
        tiles: of the first kind; there are fewer of the others.
    """
    result = {}
    with multiprocessing.get_context("spawn").Pool(PROCESSES, _start, (model,)) as workers:
        for name, (without, density, fewer) in KINDS.items():
            tasks = [(without, density, FIRST_SEED + number) for number in range(-(-tiles // fewer))]
            counted = np.array(workers.map(_count, tasks, chunksize=8)).sum(axis=0)
            result[name] = {"tiles": len(tasks), **_figures(counted)}
    return result


def _figures(counted: np.ndarray) -> dict[str, Any]:
    others, own = counted[: len(OTHER_THRESHOLDS)].tolist(), counted[len(OTHER_THRESHOLDS) :].tolist()
    groups, pixels, water, *by_class = own
    return {
        "water_km2": round(water / 1e4, 1),
        "false_detections": groups,
        "false_pixels": pixels,
        "per_100_km2": round(groups / (water / 1e6), 2),
        "per_100_km2_at_thresholds": [round(count / (water / 1e6), 2) for count in others],
        "false_pixels_by_class": {str(number): count for number, count in enumerate(by_class) if count},
    }


def _start(model: Path | None) -> None:
    torch.set_num_threads(1)
    _state["predictor"] = Predictor(model)


def _count(task: tuple[tuple[str, ...], float, int]) -> list[int]:
    """Groups at each of OTHER_THRESHOLDS; by the model's own: groups, pixels, observed water pixels, and flagged pixels
    by class.
    """
    without, density, seed = task
    predictor = _state["predictor"]
    tile = make_tile(seed, TILE, SceneOptions(without=without, density=density))
    probability = np.nan_to_num(predictor.probabilities(tile.reflectance[None], tile.observed[None])[0, 0])
    card = predictor.card
    found = probability >= card.threshold
    *others, groups = (
        int(ndimage.label(linked(probability, card.extent_at(t)) >= t, EIGHT_NEIGHBOURS)[1])
        for t in (*OTHER_THRESHOLDS, card.threshold)
    )
    water = int((tile.observed & (tile.classes != 16)).sum())
    return [*others, groups, int(found.sum()), water, *np.bincount(tile.classes[found], minlength=17).tolist()]
