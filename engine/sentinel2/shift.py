"""Moving a scene, band by band, so that its water has the level that the model knows: for surface reflectance (L2A).

Atmospheric correction over water errs by a nearly constant amount a scene and band. What it costs and what the shift
gains is measured by `benchmarks.levels`; see DESIGN.md for why it is off unless asked for.
"""

from __future__ import annotations

import json
import logging
from importlib import resources

import numpy as np
import numpy.typing as npt

from engine.raster import Scene
from engine.sentinel2.masks import LOOK
from engine.sentinel2.quality import Quality, sample_windows

__all__ = ["usual_water", "water_shift"]

log = logging.getLogger(__name__)

MARINE_WATER = "7"
LEAST_PIXELS = 500


def usual_water(bands: tuple[str, ...]) -> npt.NDArray[np.float32]:
    """Rayleigh-corrected reflectance of marine water, (bands,): the median over MARIDA's train and val scenes.

    NaN for bands that MARIDA has not.
    """
    stored = json.loads(resources.files("engine.practice").joinpath("signatures.json").read_text(encoding="utf-8"))
    means = [scene[MARINE_WATER]["mean"] for scene in stored["scenes"].values() if MARINE_WATER in scene]
    level = dict(zip(stored["bands"], np.median(means, axis=0), strict=True))
    return np.array([level.get(band, np.nan) for band in bands], dtype=np.float32)


def water_shift(scene: Scene, quality: Quality) -> npt.NDArray[np.float32]:
    """What to add to each band, (bands,), so that the median of the scene's water is the usual one.

    From patches spread over the scene; 0 where they hold too little water to tell.
    """
    parts = []
    for window in sample_windows(scene.grid):
        reflectance, observed = scene.read(window)
        parts.append(reflectance[:, observed & (quality.read(window) == LOOK)])
    pixels = np.concatenate(parts, axis=1)
    if pixels.shape[1] < LEAST_PIXELS:
        log.warning("The scene holds too little water to shift it by.")
        return np.zeros(len(scene.bands), dtype=np.float32)
    wanted = usual_water(scene.bands) - np.median(pixels, axis=1)
    shift: npt.NDArray[np.float32] = np.nan_to_num(wanted).astype(np.float32)
    listed = ", ".join(f"{band} {step:+.4f}" for band, step in zip(scene.bands, shift, strict=True))
    log.info("Shift to the usual level of water: %s.", listed)
    return shift
