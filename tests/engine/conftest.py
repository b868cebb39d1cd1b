"""Rasters made on the spot, the toy model, and where the real data is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from detect_runner import Detector
from toy_model import write_toy_model

from engine.bands import MARIDA_ORDER

SHARED = Path(__file__).parents[3] / "shared" / "data"
UTM = "EPSG:32630"
WATER = 0.02

RasterFactory = Callable[..., Path]


@pytest.fixture(scope="session")
def toy_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that says debris where B8 is above 0.1."""
    return write_toy_model(tmp_path_factory.mktemp("model") / "toy.safetensors")


@pytest.fixture
def make_raster(tmp_path: Path) -> RasterFactory:
    """Writes a raster: `make_raster(array, names=…, crs=…, **profile)`."""

    def make(
        array: np.ndarray,
        name: str = "scene.tif",
        names: tuple[str, ...] | None = MARIDA_ORDER,
        crs: str | None = UTM,
        transform: Affine | None = None,
        **profile: Any,
    ) -> Path:
        path = tmp_path / name
        placed = transform if transform is not None else Affine(10, 0, 500000, 0, -10, 600000)
        count, height, width = array.shape
        with rasterio.open(
            path, "w", driver="GTiff", count=count, height=height, width=width, dtype=array.dtype,
            crs=crs, transform=placed, **profile,
        ) as dataset:  # fmt: skip
            dataset.write(array)
            for index, band in enumerate(names or (), 1):
                dataset.set_band_description(index, band)
        return path

    return make


@pytest.fixture
def water() -> Callable[[int, int], np.ndarray]:
    """Eleven bands of clear water, float32 reflectance."""
    return lambda height, width: np.full((11, height, width), WATER, dtype=np.float32)


@pytest.fixture(scope="session")
def marida() -> Path:
    """The folder of MARIDA patches, or a skip."""
    return _data("marida")


@pytest.fixture(scope="session")
def accra() -> Path:
    """The folder of Accra's single-band files, or a skip."""
    return _data("accra_l2a")


def _data(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"real imagery is not on this machine: no {folder.name} beside the project")
    return folder


@pytest.fixture
def detector(tmp_path: Path, toy_model: Path) -> Detector:
    (tmp_path / "out").mkdir()
    return Detector(tmp_path / "out", toy_model)


@pytest.fixture
def scene(water: Callable[[int, int], np.ndarray]) -> np.ndarray:
    """A line of five pixels, a lone pixel, and two that touch at a corner, in 40 x 60 pixels of water."""
    array, b8 = water(40, 60), MARIDA_ORDER.index("B8")
    array[b8, 10, 10:15] = 0.2
    array[b8, 30, 50] = 0.15
    array[b8, 20, 30] = array[b8, 21, 31] = 0.25
    return array
