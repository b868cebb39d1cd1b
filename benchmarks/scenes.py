"""Scenes of any size to measure on: noise around clear water, in uint16, as Sentinel-2 products are stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.windows import Window

from engine.bands import MARIDA_ORDER

ROWS = 500


def write_scene(path: Path, height: int, width: int) -> Path:
    """Write an 11-band GeoTIFF of digital numbers around 300 (reflectance 0.03), UTM, 10 m; return its path."""
    block = np.random.default_rng(0).normal(300, 40, (len(MARIDA_ORDER), ROWS, width)).clip(1).astype(np.uint16)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=height,
        width=width,
        count=len(MARIDA_ORDER),
        dtype="uint16",
        crs="EPSG:32630",
        transform=Affine(10, 0, 500000, 0, -10, 600000),
        tiled=True,
        blockxsize=256,
        blockysize=256,
    ) as dataset:
        for row in range(0, height, ROWS):
            rows = min(ROWS, height - row)
            dataset.write(block[:, :rows], window=Window(0, row, width, rows))
        dataset.descriptions = MARIDA_ORDER
    return path
