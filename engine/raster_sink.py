"""Rasters as they are written: row by row, and a Cloud Optimized GeoTIFF at the end.

GDAL writes the last of a raster while it closes it, and tells nobody when the disk is full then. So what was written is
looked at before it is used: `check_whole`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.features import rasterize
from rasterio.windows import Window as RasterWindow
from shapely.geometry.base import BaseGeometry

from engine.errors import EngineError, OutputError
from engine.grid import Grid

__all__ = ["RasterSink", "check_whole", "writing"]

# Pixels a side of what is read at once to see whether it can be: whole blocks, and little memory.
LOOK_PIXELS = 1024


@contextmanager
def writing(name: str) -> Iterator[None]:
    """While a raster is written: whatever GDAL fails with becomes one message.

    Raises:
        OutputError: it failed; not all of its errors are rasterio's.
    """
    try:
        yield
    except EngineError:
        raise
    except (RasterioError, CPLE_BaseError, OSError) as error:
        raise OutputError(f"{name} cannot be written ({error}): is the disk full?") from error


def check_whole(path: Path, name: str | None = None, *, read: bool = True) -> None:
    """Make sure that a GeoTIFF that was closed is all there, with its overviews.

    Args:
        path: the file.
        name: for the message, where the file's own name is none for people.
        read: also read every block, which is sure of what is in them too; without it only their places are compared
            with the file's length, which is enough for a file that is read as a whole right after.

    Raises:
        OutputError: a block is missing, lies beyond the file's end, or cannot be read.
    """
    with writing(name or path.name):
        size = path.stat().st_size
        with rasterio.open(path) as dataset:
            levels: list[int | None] = [None, *range(len(dataset.overviews(1)))]
        for level in levels:
            with rasterio.open(path, **({} if level is None else {"overview_level": level})) as dataset:
                _check_places(dataset, size)
                for window in _looks(dataset.width, dataset.height) if read else ():
                    dataset.read(window=window)


def _check_places(dataset: rasterio.DatasetReader, size: int) -> None:
    """Make sure that each block of a dataset lies within its file of `size` bytes."""
    bands = (1,) if dataset.interleaving is not None and dataset.interleaving.name == "pixel" else dataset.indexes
    for band in bands:
        for (row, col), _ in dataset.block_windows(band):
            start, length = (
                int(dataset.get_tag_item(f"BLOCK_{what}_{col}_{row}", "TIFF", bidx=band) or 0)
                for what in ("OFFSET", "SIZE")
            )
            if not length or start + length > size:
                raise OSError(f"a block of row {row} is missing")


def _looks(width: int, height: int) -> Iterator[RasterWindow]:
    """Windows that cover a raster of this size."""
    for row in range(0, height, LOOK_PIXELS):
        for col in range(0, width, LOOK_PIXELS):
            yield RasterWindow(col, row, min(LOOK_PIXELS, width - col), min(LOOK_PIXELS, height - row))


class RasterSink:
    """One raster that is written row by row and becomes a Cloud Optimized GeoTIFF at the end."""

    def __init__(
        self,
        staged: Path,
        grid: Grid,
        dtype: str,
        nodata: float,
        bands: str | Sequence[str],
        tags: Mapping[str, str],
        scaling: tuple[float, float] | None = None,
    ) -> None:
        """Begin a raster whose bands have these descriptions; `scaling` is the scale and offset in its tags."""
        names = [bands] if isinstance(bands, str) else list(bands)
        self._staged = staged
        self._scratch = staged.with_name(f"rows-{staged.name}")
        with writing(staged.name):
            self._dataset = rasterio.open(
                self._scratch,
                "w+",
                driver="GTiff",
                width=grid.width,
                height=grid.height,
                count=len(names),
                dtype=dtype,
                nodata=nodata,
                crs=grid.crs,
                transform=grid.transform,
                compress="zstd" if dtype == "uint8" else None,
                bigtiff="if_safer",
            )
        self._dataset.descriptions = names
        if scaling:
            self._dataset.scales, self._dataset.offsets = ([value] * len(names) for value in scaling)
        self._dataset.update_tags(**tags)

    def write(self, row: int, block: npt.NDArray[Any]) -> None:
        """Write `block`, (rows, width) or (bands, rows, width), from row `row` on."""
        layers = block if block.ndim == 3 else block[None]
        with writing(self._staged.name):
            self._dataset.write(layers, window=RasterWindow(0, row, block.shape[-1], block.shape[-2]))

    def replace(self, values: Mapping[int, int], shape: BaseGeometry | None = None) -> None:
        """Set pixels of some values to others, inside `shape`, given in pixels along pixel edges, or everywhere."""
        with writing(self._staged.name):
            for window in self._windows(shape):
                block = self._dataset.read(1, window=window)
                inside = np.ones(block.shape, dtype=bool)
                if shape is not None:
                    place = Affine.translation(window.col_off, window.row_off)
                    inside = rasterize([(shape, 1)], out_shape=block.shape, transform=place, dtype="uint8") > 0
                changed = block.copy()
                for value, other in values.items():
                    changed[inside & (block == value)] = other
                # What is compressed would be written anew at the file's end.
                if not np.array_equal(changed, block):
                    self._dataset.write(changed, 1, window=window)

    def _windows(self, shape: BaseGeometry | None) -> Iterator[RasterWindow]:
        """The window around a shape; where there is none, the raster in parts of whole rows."""
        if shape is not None:
            left, top, right, bottom = (round(side) for side in shape.bounds)
            yield RasterWindow(left, top, right - left, bottom - top)
            return
        for row in range(0, self._dataset.height, LOOK_PIXELS):
            yield RasterWindow(0, row, self._dataset.width, min(LOOK_PIXELS, self._dataset.height - row))

    def finish(self, resampling: str) -> None:
        """Copy the rows into the staged Cloud Optimized GeoTIFF, with overviews made by `resampling`.

        Raises:
            OutputError: the disk is full, or what was written cannot be read back.
        """
        numbers = self._dataset.dtypes[0] != "uint8"
        with writing(self._staged.name):
            self._dataset.close()
            # A row that is missing would be copied as zeros.
            check_whole(self._scratch, self._staged.name, read=False)
            rasterio.shutil.copy(
                self._scratch,
                self._staged,
                driver="COG",
                compress="deflate",
                predictor="yes" if numbers else "no",
                overview_resampling=resampling,
                bigtiff="if_safer",
                num_threads="all_cpus",
            )
            check_whole(self._staged)
        self._scratch.unlink()

    def __enter__(self) -> RasterSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._dataset.close()
