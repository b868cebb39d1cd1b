"""Rasters as they come: the only room that opens raster files for pixels.

`Scene` gives windows of reflectance with a mask of what was observed. What is written is in `engine.raster_sink`.
"""

from __future__ import annotations

import logging
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window as RasterWindow

from engine.bands import BandLabel, match_bands
from engine.errors import BandError, RasterError
from engine.extents import extent_on
from engine.fills import Fills
from engine.grid import Grid, transform_of
from engine.reflectance import Scaling, choose_scaling
from engine.tiling import Window

__all__ = ["SOFTWARE", "Scene", "gdal_settings", "open_scene", "scene_name"]

log = logging.getLogger(__name__)

CACHE_BYTES = 256 * 1024**2
SAMPLE_PIXELS = 256
SOFTWARE = "Marine Debris for QGIS"
"""What the tags of all results say."""


@contextmanager
def gdal_settings() -> Iterator[None]:
    """GDAL as every job wants it: a fixed cache (its default grows with the machine), and all cores."""
    with (
        rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES, GDAL_NUM_THREADS="ALL_CPUS"),
        warnings.catch_warnings(),
    ):
        # A raster without a place is a case of its own here (areas are unknown), not something to warn about.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def scene_name(path: str) -> str:
    """A short name for a raster: its file's name without ending, also for GDAL's names that are no plain paths."""
    stem = Path(path.rstrip("/").split("?")[0]).name
    stem = re.sub(r"(\.SAFE)?(\.zip)?(\.[A-Za-z0-9]{1,5})?$", "", stem)
    return re.sub(r"[^\w.-]+", "_", stem).strip("_") or "scene"


class Scene:
    """The bands that a model needs, of a raster or a part of it, as reflectance."""

    def __init__(
        self,
        dataset: rasterio.DatasetReader,
        bands: Mapping[str, int],
        scaling: Scaling,
        window: Window,
        name: str,
        crs: CRS | None = None,
        fills: Fills | None = None,
    ) -> None:
        """Take a dataset, and the number of each band in it, by name, in the order wanted; `crs` instead of its own.

        `fills` takes what no reflectance can be for no data; without, numbers are what they are.
        """
        self.name = name
        self.bands = tuple(bands)
        self.scaling = scaling
        self.tags = {key.lower(): value for key, value in dataset.tags().items()}
        self._dataset = dataset
        self._indexes = indexes = list(bands.values())
        self._window = window
        self._crs = crs
        self._fills = fills
        self.grid = _grid(dataset, crs).part(window)
        # A mask beside the file or an alpha band (which GDAL takes for a mask only in rasters of few bands); a no-data
        # tag is compared with the numbers that are read anyway.
        flags = dataset.mask_flag_enums[indexes[0] - 1]
        self.files = tuple(dataset.files)
        """The files that are read, those of a virtual raster too."""
        self._has_mask = MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags
        self._alpha = [i for i, kind in enumerate(dataset.colorinterp, 1) if kind == ColorInterp.alpha]
        self._nodata = [dataset.nodatavals[index - 1] for index in indexes]

    def part(self, bands: Sequence[str]) -> Scene:
        """The same scene with some of its bands alone."""
        places = [self.bands.index(band) for band in bands]
        scaling = Scaling(self.scaling.scale[places], self.scaling.offset[places], self.scaling.source)
        numbers = {band: self._indexes[place] for band, place in zip(bands, places, strict=True)}
        return Scene(self._dataset, numbers, scaling, self._window, self.name, self._crs, self._fills)

    def cut(self, window: Window) -> Scene:
        """A part of the scene as a scene of its own."""
        place = Window(window.row + self._window.row, window.col + self._window.col, window.height, window.width)
        numbers = dict(zip(self.bands, self._indexes, strict=True))
        return Scene(self._dataset, numbers, self.scaling, place, self.name, self._crs, self._fills)

    @property
    def stored_grid(self) -> Grid:
        """The grid with the file's own CRS, which files made from it have, whatever CRS is meant here."""
        return Grid(self.grid.width, self.grid.height, self.grid.transform, self._dataset.crs)

    def read(self, window: Window) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Reflectance, float32 (bands, height, width), and what was observed, bool (height, width).

        A pixel is observed where every band has a number that is finite, not the no-data value and no fill (see
        `engine.fills`), and not all bands are 0 (products and browser exports write 0 where there is no data, often
        without saying so). Elsewhere, and beyond the grid, reflectance is 0.

        Raises:
            RasterError: the file cannot be read there.
        """
        height = max(0, min(window.height, self.grid.height - window.row))
        width = max(0, min(window.width, self.grid.width - window.col))
        reflectance = np.zeros((len(self._indexes), window.height, window.width), dtype=np.float32)
        observed = np.zeros((window.height, window.width), dtype=bool)
        if height and width:
            stored, seen = self.read_stored(Window(window.row, window.col, height, width))
            # Before too: a fill may be more than a float32 holds.
            stored[:, ~seen] = 0
            part = self.scaling.apply(stored)
            part[:, ~seen] = 0
            reflectance[:, :height, :width] = part
            observed[:height, :width] = seen
        return reflectance, observed

    def read_stored(self, window: Window) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
        """Numbers as they are stored, and what was observed as `read` says it, of a window within the grid.

        Raises:
            RasterError: the file cannot be read there.
        """
        place = RasterWindow(window.col + self._window.col, window.row + self._window.row, window.width, window.height)
        try:
            stored = self._dataset.read(self._indexes, window=place)
            masks = [self._dataset.read(self._alpha, window=place)] if self._alpha else []
            if self._has_mask:
                masks.append(self._dataset.dataset_mask(window=place)[None])
        except (RasterioError, OSError) as error:
            shown = self.name if self._dataset.name.startswith("<") else self._dataset.name
            raise RasterError(f"{shown} cannot be read at row {place.row_off}: {error}") from error
        seen = (stored != 0).any(axis=0)
        if np.issubdtype(stored.dtype, np.floating):
            seen &= np.isfinite(stored).all(axis=0)
        for band, nodata in zip(stored, self._nodata, strict=True):
            if nodata is not None and not math.isnan(nodata):
                seen &= band != nodata
        for mask in masks:
            seen &= (mask > 0).all(axis=0)
        if self._fills:
            seen = self._fills.without(seen, stored, self.scaling, self.bands)
        return stored, seen

    def sample(self) -> npt.NDArray[Any]:
        """Stored numbers of up to five patches of the raster, of the pixels observed there: (bands, pixels)."""
        height, width = (min(SAMPLE_PIXELS, side) for side in (self.grid.height, self.grid.width))
        lows, lefts = self.grid.height - height, self.grid.width - width
        places = {(lows // 2, lefts // 2), (0, 0), (0, lefts), (lows, 0), (lows, lefts)}
        parts = [self.read_stored(Window(row, col, height, width)) for row, col in sorted(places)]
        return np.concatenate([stored[:, seen] for stored, seen in parts], axis=1)


@contextmanager
def open_scene(
    path: str,
    bands: Sequence[str],
    *,
    mapping: Mapping[str, int] | None = None,
    scale: float | None = None,
    offset: float | None = None,
    extent: Sequence[float] | None = None,
    extent_crs: str | None = None,
    crs: CRS | None = None,
    name: str | None = None,
) -> Iterator[Scene]:
    """Open a raster as reflectance of `bands`, matched by name, or by `mapping` (band numbers from 1).

    `name` is the scene's where the path is the text of a virtual raster; `crs` holds whatever the file says.

    Raises:
        RasterError: the file is missing, is no raster, has a rotated grid, or lies beside the extent.
        BandError: the bands cannot be told.
        ReflectanceError: scale and offset cannot be told.
    """
    with _open(path) as dataset:
        _check_grid(path, dataset.transform)
        usable = [i for i, kind in enumerate(dataset.colorinterp, 1) if kind != ColorInterp.alpha]
        if mapping is None:
            _check_kind(path, dataset, len(usable), len(bands))
        labels = [_label(dataset, index) for index in usable]
        indexes = [usable[number - 1] for number in match_bands(bands, labels, mapping)]
        whole = _grid(dataset, crs)
        if extent is not None and extent_crs:
            extent = extent_on(whole, extent, extent_crs)
        window = whole.window(extent) if extent is not None else Window(0, 0, whole.height, whole.width)
        numbers = dict(zip(bands, indexes, strict=True))
        shown = name or scene_name(path)
        unscaled = Scene(dataset, numbers, Scaling.identity(len(indexes)), window, shown, crs)
        scaling = choose_scaling(
            dataset.dtypes[indexes[0] - 1],
            [dataset.scales[index - 1] for index in indexes],
            [dataset.offsets[index - 1] for index in indexes],
            scale,
            offset,
            unscaled.sample(),
        )
        yield Scene(dataset, numbers, scaling, window, shown, crs, Fills(shown))


@contextmanager
def _open(path: str) -> Iterator[rasterio.DatasetReader]:
    plain = not re.match(r"/vsi|[A-Za-z0-9_]{2,}:|<", path)
    if plain and not Path(path).exists():
        raise RasterError(f"There is no file {path}.")
    try:
        dataset = rasterio.open(path)
    except (RasterioError, OSError) as error:
        raise RasterError(f"{path} cannot be opened as a raster: {error}") from error
    with dataset:
        if dataset.count == 0:
            listed = ", ".join(dataset.subdatasets[:4])
            raise RasterError(f"{path} holds several rasters; name one of them: {listed}")
        yield dataset


def _check_grid(path: str, transform: Affine) -> None:
    if abs(transform.b) > 1e-9 * abs(transform.a) or abs(transform.d) > 1e-9 * abs(transform.e):
        raise RasterError(
            f"{path} has a rotated or sheared grid. Warp it to a north-up grid first (Raster > Projections > Warp)."
        )


def _check_kind(path: str, dataset: rasterio.DatasetReader, found: int, needed: int) -> None:
    """Refuse what is no scene for sure: a result of this plugin, or a picture."""
    tags = dataset.tags()
    if tags.get("SOFTWARE") == SOFTWARE and found <= 2 < needed:
        made = f", made from {tags['INPUT']}" if tags.get("INPUT") else ""
        raise BandError(f"{path} is a result of this plugin{made}, no scene: choose the scene itself.")
    if found <= 4 < needed and set(dataset.dtypes) == {"uint8"}:
        raise BandError(
            f"{path} has {found} band{'s'[: found - 1]} of 8 bits: it is a picture made for viewing, whose colours are "
            "no reflectance. Choose the product itself, or a raster with all of its bands."
        )


def _grid(dataset: rasterio.DatasetReader, crs: CRS | None) -> Grid:
    """The dataset's grid, in another CRS where one is given."""
    return Grid(dataset.width, dataset.height, transform_of(dataset), dataset.crs if crs is None else crs)


def _label(dataset: rasterio.DatasetReader, index: int) -> BandLabel:
    """What a band's description and tags say, with its wavelength in nm where there is one."""
    tags = {key.lower(): value for key, value in dataset.tags(index).items()}
    imagery = {key.lower(): value for key, value in dataset.tags(index, ns="IMAGERY").items()}
    description = dataset.descriptions[index - 1] or tags.get("bandname") or tags.get("name") or ""
    for value, factor in (
        (imagery.get("central_wavelength_um"), 1000.0),
        (tags.get("wavelength"), 1.0),
        (tags.get("central_wavelength_nm"), 1.0),
    ):
        try:
            wavelength = float(value) * factor if value else None
        except ValueError:
            continue
        if wavelength:
            # Micrometres are told by their size: no optical band lies below 100 nm.
            return BandLabel(description, wavelength * 1000 if wavelength < 100 else wavelength)
    return BandLabel(description)
