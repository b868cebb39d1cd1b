"""The job that writes a practice scene and its true classes as georeferenced rasters."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.windows import Window as RasterWindow

from engine import __version__
from engine.bands import MARIDA_ORDER
from engine.jobs import SimulateRequest, SimulateResult
from engine.monitor import Monitor, silent
from engine.outputs import Staging
from engine.practice.scene import PracticeScene, SceneOptions
from engine.raster_sink import check_whole, writing
from engine.tiling import Window

__all__ = ["CLASS_NAMES", "simulate"]

log = logging.getLogger(__name__)

CLASS_NAMES = (
    "not labelled", "Marine Debris", "Dense Sargassum", "Sparse Sargassum", "Natural Organic Material", "Ship",
    "Clouds", "Marine Water", "Sediment-Laden Water", "Foam", "Turbid Water", "Shallow Water", "Waves",
    "Cloud Shadows", "Wakes", "Mixed Water", "Land",
)  # fmt: skip
"""MARIDA's classes by number, and 16 for land, which MARIDA does not have."""

BLOCK = 384
# A practice scene lies in the Gulf of Honduras (UTM 16 N), where much of MARIDA was taken; its pixels are 10 m.
CRS, ORIGIN = "EPSG:32616", (400_000.0, 1_760_000.0)
NATURAL_DENSITY = 0.35


def simulate(request: SimulateRequest, monitor: Monitor = silent) -> SimulateResult:
    """Write a practice scene: 11 bands of reflectance as float32 with NaN where there is no data, and its classes.

    Raises:
        RequestError: an ingredient that is not known.
        OutputError: a file cannot be written.
        Cancelled: by the monitor; nothing is left behind.
    """
    options = SceneOptions(without=request.without, density=NATURAL_DENSITY, varied=False)
    scene = PracticeScene(request.seed, request.height, request.width, options)
    counts = np.zeros(len(CLASS_NAMES), dtype=np.int64)
    with Staging(request.job_id) as staging:
        image, labels = staging.add(request.output), staging.add(request.labels)
        with (
            _sink(image, request, 11, "float32", float("nan")) as pixels,
            _sink(labels, request, 1, "uint8", 0) as classes,
        ):
            _describe(pixels, classes, request)
            blocks = list(_blocks(request.height, request.width))
            for number, block in enumerate(blocks):
                monitor(number / len(blocks), f"Painting block {number + 1} of {len(blocks)}")
                tile = scene.render(block)
                counts += np.bincount(tile.classes.ravel(), minlength=len(counts))
                place = RasterWindow(block.col, block.row, block.width, block.height)
                with writing(request.output):
                    pixels.write(np.where(tile.observed, tile.reflectance, np.float32("nan")), window=place)
                with writing(request.labels):
                    classes.write(tile.classes, 1, window=place)
        staging.publish()
    monitor(1.0, "Practice scene written")
    return SimulateResult(
        output=request.output,
        labels=request.labels,
        seed=request.seed,
        class_pixels={CLASS_NAMES[number]: int(count) for number, count in enumerate(counts) if count},
    )


def _blocks(height: int, width: int) -> Iterator[Window]:
    for row in range(0, height, BLOCK):
        for col in range(0, width, BLOCK):
            yield Window(row, col, min(BLOCK, height - row), min(BLOCK, width - col))


@contextmanager
def _sink(
    path: Path, request: SimulateRequest, count: int, dtype: str, nodata: float
) -> Iterator[rasterio.io.DatasetWriter]:
    """A tiled GeoTIFF to write windows to, which is looked at once it is closed."""
    with writing(path.name):
        dataset = rasterio.open(
            path, "w", driver="GTiff", width=request.width, height=request.height, count=count, dtype=dtype,
            nodata=nodata,
            crs=CRS, transform=Affine(10, 0, ORIGIN[0], 0, -10, ORIGIN[1]), tiled=True, blockxsize=128, blockysize=128,
            compress="deflate", predictor=3 if dtype == "float32" else 2, zlevel=1, bigtiff="if_safer",
        )  # fmt: skip
    with dataset:
        yield dataset
    check_whole(path)


def _describe(pixels: rasterio.io.DatasetWriter, classes: rasterio.io.DatasetWriter, request: SimulateRequest) -> None:
    tags = {
        "practice_seed": str(request.seed),
        "practice_without": ",".join(request.without),
        "engine_version": __version__,
    }
    pixels.update_tags(**tags)
    classes.update_tags(**tags, **{f"class_{number}": name for number, name in enumerate(CLASS_NAMES)})
    for number, name in enumerate(MARIDA_ORDER, 1):
        pixels.set_band_description(number, name)
    classes.set_band_description(1, "class")
