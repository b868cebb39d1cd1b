"""Memory does not grow with a scene's height, and a large scene stays within what a laptop has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.windows import Window

from engine.bands import MARIDA_ORDER
from engine.modelfile import BUNDLED_MODEL

ROOT = Path(__file__).parents[2]
MB = 1024


def _scene(path: Path, height: int, width: int) -> Path:
    """Eleven bands of uint16 noise around clear water, written in strips as many tools do."""
    block = np.random.default_rng(0).normal(300, 40, (11, 500, width)).clip(1).astype(np.uint16)
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, count=11, dtype="uint16", crs="EPSG:32630",
        transform=Affine(10, 0, 500000, 0, -10, 600000),
    ) as dataset:  # fmt: skip
        for row in range(0, height, 500):
            dataset.write(block, window=Window(0, row, width, 500))
        dataset.descriptions = MARIDA_ORDER
    return path


def _peak_mb(scene: Path, model: Path) -> float:
    """Peak resident memory of the engine's process over one detection with all outputs."""
    folder = scene.parent
    process = subprocess.Popen(
        [sys.executable, "-m", "engine", "detect", "--input", str(scene), "--model", str(model),
         "--mask", str(folder / "m.tif"), "--probability", str(folder / "p.tif"),
         "--detections", str(folder / "d.gpkg")],
        cwd=ROOT, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss / MB


def test_memory_does_not_grow_with_height(tmp_path: Path, toy_model: Path) -> None:
    low = _peak_mb(_scene(tmp_path / "low.tif", 2000, 700), toy_model)
    high = _peak_mb(_scene(tmp_path / "high.tif", 6000, 700), toy_model)
    # 4000 more rows are 62 MB of input and 11 MB of probability; GDAL's cache may fill further within its fixed size.
    assert high < low + 120
    assert high < 1500


@pytest.mark.slow
def test_a_scene_of_6000_pixels_a_side_stays_under_1500_mb(tmp_path: Path) -> None:
    # The bundled model, as people run it: a random network would mark half of the noise as detections.
    assert _peak_mb(_scene(tmp_path / "large.tif", 6000, 6000), BUNDLED_MODEL) < 1500
