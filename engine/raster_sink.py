"""Rasters as they are written: row by row, and a Cloud Optimized GeoTIFF at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy.typing as npt
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.errors import RasterioError
from rasterio.features import rasterize
from rasterio.windows import Window as RasterWindow
from shapely.geometry.base import BaseGeometry

from engine.errors import OutputError
from engine.raster import Grid

__all__ = ["RasterSink"]


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
        try:
            self._dataset.write(layers, window=RasterWindow(0, row, block.shape[-1], block.shape[-2]))
        except (RasterioError, OSError) as error:
            raise OutputError(f"{self._staged.name} cannot be written ({error}): is the disk full?") from error

    def burn(self, shape: BaseGeometry, value: int) -> None:
        """Set the pixels inside `shape`, given in pixels along pixel edges, to `value`."""
        left, top, right, bottom = (round(side) for side in shape.bounds)
        window = RasterWindow(left, top, right - left, bottom - top)
        block = self._dataset.read(1, window=window)
        rasterize([(shape, value)], out=block, transform=Affine.translation(left, top))
        self._dataset.write(block, 1, window=window)

    def finish(self, resampling: str) -> None:
        """Copy the rows into the staged Cloud Optimized GeoTIFF, with overviews made by `resampling`."""
        numbers = self._dataset.dtypes[0] != "uint8"
        try:
            self._dataset.close()
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
        except (RasterioError, OSError) as error:
            raise OutputError(f"{self._staged.name} cannot be written ({error}): is the disk full?") from error
        self._scratch.unlink()

    def __enter__(self) -> RasterSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._dataset.close()
