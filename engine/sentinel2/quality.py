"""The quality mask of a scene: of each pixel, whether to look there, and else why not; made before the network runs.

It is written to disk block by block and read back window by window. What stays in memory are two small grids of cells
of 16 x 16 pixels: what lies in each cell, and the glint of its water.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.windows import Window as RasterWindow

from engine.grid import Grid
from engine.jobs import DetectRequest, PrepareRequest
from engine.monitor import Monitor
from engine.raster import Scene
from engine.raster_sink import check_whole, writing
from engine.sentinel2.guides import IMAGE_BANDS, Guides, open_guides, reasons_in
from engine.sentinel2.masks import (
    CLOUD,
    LAND,
    LOOK,
    NO_DATA,
    GlintMeter,
    MaskOptions,
)
from engine.sentinel2.source import Source
from engine.tiling import Window

__all__ = ["CELL", "Quality", "make_quality", "sample_windows", "scene_facts"]

CELL = 16
"""Pixels a side of the cells of `Quality.land` and the like."""
ROWS, COLS = 1024, 2048
# The scratch file's name in messages.
SHOWN = "The quality mask"
# At least the halo of ordinary options, and whole cells.
LEAD = 32
# Patches of the scene from which cloud levels are set: so many an axis, of so many pixels a side.
SAMPLES, SAMPLE_PIXELS = 4, 64


class Quality:
    """A finished quality mask; a context manager that closes its file."""

    def __init__(self, path: Path, grid: Grid) -> None:
        self.grid = grid
        self.glint = GlintMeter()
        shape = (math.ceil(grid.height / CELL), math.ceil(grid.width / CELL))
        self.land = np.zeros(shape, dtype=bool)
        """Cells that hold land."""
        self.cloud = np.zeros(shape, dtype=bool)
        """Cells that hold cloud or shadow."""
        self.water_b11 = np.full(shape, np.nan, dtype=np.float32)
        """Mean reflectance in B11 of each cell's water, NaN where it has none."""
        self._path = path
        with writing(SHOWN):
            self._dataset = rasterio.open(
                path, "w", driver="GTiff", width=grid.width, height=grid.height, count=1, dtype="uint8", crs=grid.crs,
                transform=grid.transform, tiled=True, blockxsize=512, blockysize=512, compress="zstd", nodata=NO_DATA,
                bigtiff="if_safer",
            )  # fmt: skip

    def write(self, window: Window, mask: npt.NDArray[np.uint8], swir: npt.NDArray[np.float32] | None) -> None:
        """Take a finished window, whose corner is a cell's; `swir` is reflectance in B11."""
        place = RasterWindow(window.col, window.row, window.width, window.height)
        with writing(SHOWN):
            self._dataset.write(mask, 1, window=place)
        rows, cols = (slice(start // CELL, math.ceil((start + size) / CELL)) for start, size in (
            (window.row, window.height), (window.col, window.width),
        ))  # fmt: skip
        self.land[rows, cols] = _by_cell(mask == LAND) > 0
        self.cloud[rows, cols] = _by_cell(mask == CLOUD) > 0
        if swir is not None:
            self.glint.add(swir, mask)
            water = mask == LOOK
            count = _by_cell(water)
            total = _by_cell(np.where(water, swir, 0))
            self.water_b11[rows, cols] = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)

    def finish(self) -> None:
        """Complete the file after the last window, to be read from then on.

        Raises:
            OutputError: the disk is full. A mask with holes would say *no data* where there is some.
        """
        with writing(SHOWN):
            self._dataset.close()
            check_whole(self._path, SHOWN)
            self._dataset = rasterio.open(self._path)

    def read(self, window: Window) -> npt.NDArray[np.uint8]:
        """The reasons of a window, (height, width); NO_DATA beyond the grid."""
        reasons = np.full((window.height, window.width), NO_DATA, dtype=np.uint8)
        top, left = max(window.row, 0), max(window.col, 0)
        bottom = min(window.row + window.height, self.grid.height)
        right = min(window.col + window.width, self.grid.width)
        if bottom > top and right > left:
            part = self._dataset.read(1, window=RasterWindow(left, top, right - left, bottom - top))
            reasons[top - window.row : bottom - window.row, left - window.col : right - window.col] = part
        return reasons

    def close(self) -> None:
        """Close the file."""
        self._dataset.close()

    def __enter__(self) -> Quality:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def scene_facts(
    source: Source, quality: Quality, area_of: Callable[[int], float | None], card_level: str
) -> dict[str, Any]:
    """The fields of a SceneResult; `area_of` gives the area of a mask's value, `card_level` is the model's."""
    return {
        "scene": source.scene.name,
        "level": source.level,
        "level_validated": source.validated(card_level),
        "level_note": source.level_note(card_level),
        "product_id": source.tags.get("product_id"),
        "processing_baseline": source.tags.get("processing_baseline"),
        "sensing_time": source.tags.get("sensing_time"),
        "land_area_m2": area_of(LAND),
        "cloud_area_m2": area_of(CLOUD),
        "no_data_area_m2": area_of(NO_DATA),
        "glint_b11": quality.glint.median,
        "glinting": quality.glint.glinting,
    }


def _by_cell(numbers: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    """The sum of each cell of a window, whose last cells may be cut."""
    height, width = numbers.shape
    padded = np.pad(numbers, ((0, -height % CELL), (0, -width % CELL)))
    cells = padded.reshape(padded.shape[0] // CELL, CELL, -1, CELL)
    return np.asarray(cells.sum(axis=(1, 3), dtype=np.float64))


def make_quality(path: Path, source: Source, request: DetectRequest | PrepareRequest, monitor: Monitor) -> Quality:
    """Make the quality mask of a scene at `path`, a scratch file.

    Land, cloud, shadow, cirrus and snow are told, in this order, by the mask that was prepared with the scene; by the
    product's scene classification; by the image, together with the product's cloud masks. WATER replaces what these say
    of land, AREA leaves out what is beside it.

    Raises:
        RasterError: a layer cannot be used, or lies beside the scene.
        Cancelled: by the monitor.
    """
    options = MaskOptions(shore_pixels=request.shore, cloud_collar=request.cloud_collar)
    scene = source.scene
    bands = [band for band in IMAGE_BANDS if band in scene.bands]
    look = scene.part(bands or scene.bands)
    with ExitStack() as stack:
        guides = open_guides(source, request, stack)
        if guides.image:
            options = _for_scene(look, options)
        quality = Quality(path, scene.grid)
        try:
            blocks = list(_blocks(scene.grid))
            for number, block in enumerate(blocks):
                monitor(number / len(blocks), "Looking for land and cloud")
                mask, swir = _block(block, look, guides, options)
                quality.write(block, mask, swir)
            quality.finish()
        except BaseException:
            quality.close()
            raise
    return quality


def _for_scene(look: Scene, options: MaskOptions) -> MaskOptions:
    """Options with cloud levels by the scene's own water, from patches spread over it."""
    parts = []
    for place in sample_windows(look.grid):
        reflectance, observed = look.read(place)
        parts.append(reflectance[:, observed])
    pixels = np.concatenate(parts, axis=1)
    blue, green, swir = (pixels[look.bands.index(band)] for band in ("B2", "B3", "B11"))
    return options.for_scene(blue, green, swir) if blue.size else options


def sample_windows(grid: Grid) -> Iterator[Window]:
    """Small windows spread over a grid."""
    height, width = min(SAMPLE_PIXELS, grid.height), min(SAMPLE_PIXELS, grid.width)
    rows, cols = (
        sorted({max(round((index + 0.5) * side / SAMPLES - least / 2), 0) for index in range(SAMPLES)})
        for side, least in ((grid.height, height), (grid.width, width))
    )
    for row in rows:
        for col in cols:
            yield Window(min(row, grid.height - height), min(col, grid.width - width), height, width)


def _blocks(grid: Grid) -> Iterator[Window]:
    """Windows that cover a grid, row by row; with its halo, each touches two rows of a JP2's tiles, not three."""
    for row, height in _spans(grid.height, ROWS):
        for col, width in _spans(grid.width, COLS):
            yield Window(row, col, height, width)


def _spans(length: int, step: int) -> Iterator[tuple[int, int]]:
    """Starts and sizes along an axis; the first is longer by LEAD, so that halos do not reach into a third tile."""
    start, end = 0, min(step + LEAD, length)
    while start < length:
        yield start, end - start
        start, end = end, min(end + step, length)


def _block(
    block: Window, look: Scene, guides: Guides, options: MaskOptions
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32] | None]:
    """The mask of a block, and reflectance in B11 where there is that band."""
    top, left = max(block.row - options.halo, 0), max(block.col - options.halo, 0)
    bottom = min(block.row + block.height + options.halo, look.grid.height)
    right = min(block.col + block.width + options.halo, look.grid.width)
    wide = Window(top, left, bottom - top, right - left)
    reflectance, observed = look.read(wide)
    mask = reasons_in(wide, reflectance, look.bands, observed, guides, options)
    inner = (slice(block.row - top, block.row - top + block.height),
             slice(block.col - left, block.col - left + block.width))  # fmt: skip
    swir = reflectance[look.bands.index("B11")][inner] if "B11" in look.bands else None
    return mask[inner], swir
