"""A real coast without labels, Accra: what the bundled model marks there, beside what can be seen in FDI.

It goes the way a person's product goes, masks of land and cloud included. What stands out in the Floating Debris Index
(Biermann et al. 2020, doi 10.1038/s41598-020-62298-z) out at sea is taken for floating matter that anybody would see:
that is no truth, but beside the picture it says whether the lines are marked, and whether the shore is.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from scipy import ndimage

from engine.bands import MARIDA_ORDER
from engine.detection import detect
from engine.jobs import DetectRequest
from engine.sentinel2.source import open_source
from engine.tiling import Window
from tools.accuracy.detectors import indices
from tools.accuracy.pictures import colour_infrared, write_picture

__all__ = ["look_at_coast", "shares"]

AROUND = 41
"""Side of the window, in pixels, whose median FDI pixels stand out from."""
VISIBLE = 0.01, 0.02
SHORE, NEAR_CLOUD, OPEN_SEA = 15, 15, 30
"""Distances in pixels: marks nearer than these to land and to cloud are counted, and where the open sea begins."""
LAND_PIXELS = 10_000
"""Pixels that an area without data has at least to be the land, which is cut out of this image, or its frame."""
DEBRIS, FLOATING, CLOUD, NO_DATA = 1, 2, 4, 255
ORANGE, MAGENTA, GREY = (255, 150, 0), (255, 0, 255), (150, 150, 150)
FDI_RANGE = -0.005, 0.03


def look_at_coast(folder: Path, picture: Path) -> dict[str, Any]:
    """Detect in the product at `folder`, draw it, and count."""
    with tempfile.TemporaryDirectory() as scratch:
        request = DetectRequest(product=(str(folder),), mask=str(Path(scratch) / "mask.tif"), precision="float32")
        result = detect(request)
        with rasterio.open(request.mask) as dataset:
            mask = dataset.read(1)
        with open_source(request, MARIDA_ORDER) as source:
            height, width = mask.shape
            reflectance, _ = source.scene.read(Window(0, 0, height, width))
    index = indices(reflectance)[2]
    write_picture(picture, _panels(reflectance, index, mask))
    return {"scene": result.scene, "level": result.level, "model": result.model_name, **shares(index, mask)}


def shares(index: np.ndarray, mask: np.ndarray) -> dict[str, Any]:
    """What is marked of what stands out at sea, and how much is marked along the shore and beside cloud.

    Args:
        index: (height, width), FDI in reflectance.
        mask: (height, width), values as in the mask that Detect writes.
    """
    groups, count = ndimage.label(mask == NO_DATA)
    large = np.bincount(groups.ravel(), minlength=count + 1) >= LAND_PIXELS
    large[0] = False
    from_land, from_cloud = _distance(large[groups]), _distance(mask == CLOUD)
    marked = np.isin(mask, (DEBRIS, FLOATING))
    sea = np.isin(mask, (0, DEBRIS, FLOATING)) & (from_land > OPEN_SEA) & (from_cloud > NEAR_CLOUD)
    above = index - ndimage.median_filter(index, AROUND)
    visible = []
    for least in VISIBLE:
        there = sea & (above >= least)
        visible.append([least, int(there.sum()), int((there & marked).sum())])
    return {
        "visible": visible,
        "debris": int((mask == DEBRIS).sum()),
        "floating": int((mask == FLOATING).sum()),
        "near_shore": int((marked & (from_land <= SHORE)).sum()),
        # Surf is masked as cloud, so what lies beside it along the shore is counted there.
        "near_cloud": int((marked & (from_cloud <= NEAR_CLOUD) & (from_land > OPEN_SEA)).sum()),
    }


def _distance(there: np.ndarray) -> np.ndarray:
    if not there.any():
        return np.full(there.shape, np.inf)
    return np.asarray(ndimage.distance_transform_edt(~there))


def _panels(reflectance: np.ndarray, index: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(height, width, 3), uint8: the mask over colour infrared, and FDI below, at half size."""
    image = colour_infrared(reflectance)
    image[mask == CLOUD] = GREY
    for value, colour in ((FLOATING, ORANGE), (DEBRIS, MAGENTA)):
        # Thin lines would be lost at half size.
        image[ndimage.binary_dilation(mask == value, np.ones((2, 2)))] = colour
    low, high = FDI_RANGE
    grey = np.clip((index - low) / (high - low), 0, 1)[..., None].repeat(3, axis=-1) * 255
    grey[mask == NO_DATA] = 0
    return np.concatenate([image, np.full((8, image.shape[1], 3), 255.0), grey])[::2, ::2].astype(np.uint8)
