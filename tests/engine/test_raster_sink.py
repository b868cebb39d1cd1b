"""What is written is whole, or the job says that it is not: a disk may fill as GDAL closes a file, without a word."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS

from engine.errors import OutputError
from engine.grid import Grid
from engine.jobs import SimulateRequest, run
from engine.raster import gdal_settings
from engine.raster_sink import RasterSink, check_whole
from engine.sentinel2.quality import Quality
from engine.tiling import Window

resource = pytest.importorskip("resource", reason="file sizes can be limited on Unix only")

GRID = Grid(700, 600, Affine(10, 0, 500000, 0, -10, 600000), CRS.from_epsg(32630))
NUMBERS = np.random.default_rng(0).normal(0, 1, (2, GRID.height, GRID.width)).astype(np.float32)


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file can grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def sink(path: Path, numbers: np.ndarray = NUMBERS, nodata: float = float("nan")) -> RasterSink:
    names = [f"band {number}" for number in range(len(numbers))]
    made = RasterSink(path, GRID, str(numbers.dtype), nodata, names, {"A": "b"})
    for row in range(0, GRID.height, 100):
        made.write(row, numbers[:, row : row + 100])
    return made


@pytest.mark.parametrize("missing", [1, 300, 70_000, 1_000_000])
def test_a_disk_that_fills_while_the_raster_is_completed(tmp_path: Path, missing: int) -> None:
    with sink(tmp_path / "whole.tif") as whole:
        whole.finish("average")
    size = (tmp_path / "whole.tif").stat().st_size
    with sink(tmp_path / "cut.tif") as cut:
        # The rows are on the disk by now, which is what fills it.
        cut._dataset.close()
        with full_disk(size - missing), pytest.raises(OutputError, match=r"^cut\.tif cannot be written .*disk full"):
            cut.finish("average")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_disk_that_fills_while_rows_are_written(tmp_path: Path, share: float) -> None:
    with (
        full_disk(int(NUMBERS.nbytes * share)),
        pytest.raises(OutputError, match=r"^rows\.tif cannot be written"),
        sink(tmp_path / "rows.tif") as rows,
    ):
        rows.finish("average")


@pytest.mark.parametrize("value", [0, 7, 255])
def test_a_raster_of_one_value_is_whole(tmp_path: Path, value: int) -> None:
    with sink(tmp_path / "one.tif", np.full((1, GRID.height, GRID.width), value, dtype=np.uint8), 255) as one:
        one.finish("nearest")
    with rasterio.open(tmp_path / "one.tif") as dataset:
        assert (dataset.read() == value).all()
        assert dataset.overviews(1)


def test_numbers_that_cannot_be_read_back(tmp_path: Path) -> None:
    path = tmp_path / "torn.tif"
    with sink(path) as torn:
        torn.finish("average")
    with rasterio.open(path) as dataset:
        begin, length = (int(dataset.get_tag_item(f"BLOCK_{what}_1_1", "TIFF", bidx=1)) for what in ("OFFSET", "SIZE"))
    with path.open("r+b") as file:
        file.seek(begin)
        file.write(bytes(length))
    with gdal_settings(), pytest.raises(OutputError, match="cannot be written"):
        check_whole(path)


def test_a_practice_scene_on_a_full_disk_leaves_the_older_one(tmp_path: Path) -> None:
    request = SimulateRequest(
        output=str(tmp_path / "s.tif"), labels=str(tmp_path / "l.tif"), width=64, height=64, seed=3
    )
    run(request)
    before = (tmp_path / "s.tif").read_bytes()
    with full_disk(len(before) - 300), pytest.raises(OutputError, match=r"s\.tif cannot be written"):
        run(request)
    assert (tmp_path / "s.tif").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["l.tif", "s.tif"]


def test_a_quality_mask_with_holes_is_no_quality_mask(tmp_path: Path) -> None:
    with Quality(tmp_path / "q.tif", GRID) as quality:
        noise = np.random.default_rng(1).integers(0, 5, (GRID.height, GRID.width), dtype=np.uint8)
        quality.write(Window(0, 0, *noise.shape), noise, None)
        with full_disk(60_000), pytest.raises(OutputError, match=r"^The quality mask cannot be written"):
            quality.finish()
