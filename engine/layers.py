"""A person's own layers and other rasters, laid on a scene's grid window by window: polygons or rasters, of any CRS."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyogrio
import pyogrio.errors
import pyogrio.raw
import rasterio
import shapely
from affine import Affine
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError
from rasterio.crs import CRS as RasterCRS
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.features import rasterize
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window as RasterWindow
from shapely.errors import GEOSException
from shapely.geometry.base import BaseGeometry

from engine.errors import RasterError
from engine.grid import UNPLACED, Grid, transform_of
from engine.tiling import Window

__all__ = ["AlignedRaster", "Place", "Polygons", "open_aligned", "open_place"]

# A long edge is no straight line in another CRS: edges are cut to this length, in degrees or in the CRS's unit.
EDGE_DEGREES, EDGE_UNITS = 0.01, 1000.0
# What the libraries that read, clip and move polygons fail with.
READ_ERRORS = (
    pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, GEOSException, ProjError, OSError, ValueError,
)  # fmt: skip


Frame = tuple[float, float, float, float]


class Place(Protocol):
    """Something that says of each pixel whether it is in."""

    def inside(self, window: Window) -> npt.NDArray[np.bool_]:
        """Where the window's pixels are in, (height, width)."""


class Polygons:
    """Polygons on a grid. A pixel is in where its centre is."""

    def __init__(self, shapes: Sequence[BaseGeometry], grid: Grid) -> None:
        """Take polygons in the grid's CRS."""
        inverse = ~grid.transform
        self._shapes = np.array(
            [shapely.transform(s, lambda xy: np.stack(inverse @ (xy[:, 0], xy[:, 1]), axis=1)) for s in shapes],
            dtype=object,
        )
        self._tree = shapely.STRtree(self._shapes)

    def inside(self, window: Window) -> npt.NDArray[np.bool_]:
        """Where the window's pixels are in a polygon, (height, width)."""
        shape = (window.height, window.width)
        frame = shapely.box(window.col, window.row, window.col + window.width, window.row + window.height)
        hits = self._shapes[self._tree.query(frame, predicate="intersects")]
        if not len(hits):
            return np.zeros(shape, dtype=bool)
        place = Affine.translation(window.col, window.row)
        burnt = rasterize([(hit, 1) for hit in hits], out_shape=shape, transform=place, dtype="uint8")
        return np.asarray(burnt > 0)

    @property
    def empty(self) -> bool:
        """Whether there is no polygon at all."""
        return not len(self._shapes)


class AlignedRaster:
    """A raster on a scene's grid, by nearest neighbour; 0 where it holds nothing."""

    def __init__(self, dataset: Any, origin: tuple[int, int], keep_nodata: bool = False) -> None:
        """Take a dataset whose pixel `origin` (row, column) is the grid's first."""
        self._dataset = dataset
        self._origin = origin
        self._nodata = [None if keep_nodata else value for value in dataset.nodatavals]

    def read(self, window: Window) -> npt.NDArray[Any]:
        """All bands, (bands, height, width).

        Raises:
            RasterError: the file cannot be read there.
        """
        row, col = window.row + self._origin[0], window.col + self._origin[1]
        top, left = max(row, 0), max(col, 0)
        bottom, right = min(row + window.height, self._dataset.height), min(col + window.width, self._dataset.width)
        numbers = np.zeros((self._dataset.count, window.height, window.width), dtype=self._dataset.dtypes[0])
        if bottom > top and right > left:
            try:
                part = self._dataset.read(window=RasterWindow(left, top, right - left, bottom - top))
            except (RasterioError, OSError) as error:
                raise RasterError(f"{self._dataset.name} cannot be read at row {top}: {error}") from error
            for band, nodata in zip(part, self._nodata, strict=True):
                if nodata is not None:
                    band[np.isnan(band) if math.isnan(nodata) else band == nodata] = 0
            numbers[:, top - row : bottom - row, left - col : right - col] = part
        return numbers

    def covers(self, grid: Grid) -> bool:
        """Whether the raster itself, before it was laid on the scene's grid, reaches over all of it."""
        if not isinstance(self._dataset, WarpedVRT):
            row, col = self._origin
            height, width = self._dataset.height - row, self._dataset.width - col
            return bool(min(row, col) >= 0 and height >= grid.height and width >= grid.width)
        west, south, east, north = transform_bounds(self._dataset.src_crs, grid.crs, *self._dataset.src_dataset.bounds)
        corners = [~grid.transform @ corner for corner in ((west, north), (east, south))]
        (left, right), (top, bottom) = (sorted(ends) for ends in zip(*corners, strict=True))
        # A pixel of tolerance, for what is lost on the way between two CRSs.
        return bool(max(left, top) <= 1 and right >= grid.width - 1 and bottom >= grid.height - 1)

    def inside(self, window: Window) -> npt.NDArray[np.bool_]:
        """Where any band has a number other than 0, (height, width)."""
        return np.asarray((np.nan_to_num(self.read(window)) != 0).any(axis=0))


@contextmanager
def open_aligned(
    path: str, grid: Grid, name: str | None = None, *, keep_nodata: bool = False, crs: RasterCRS | None = None
) -> Iterator[AlignedRaster]:
    """Open a raster as it lies on `grid`.

    Args:
        path: what GDAL opens, or the text of a virtual raster.
        grid: the scene's.
        name: for messages, where the path is none for people.
        keep_nodata: give the no-data value as it is stored, not as 0.
        crs: of the raster, whatever its file says; None where the file's own holds.

    Raises:
        RasterError: it cannot be opened, or their pixels do not match and one of the two has no CRS or no place.
    """
    shown = name or path
    try:
        dataset = rasterio.open(path)
    except (RasterioError, OSError) as error:
        raise RasterError(f"{shown} cannot be opened as a raster: {error}") from error
    with dataset:
        own = crs or dataset.crs
        origin = _origin(dataset, own, grid)
        if origin is not None:
            yield AlignedRaster(dataset, origin, keep_nodata)
            return
        _check_places(shown, dataset, own, grid)
        with WarpedVRT(
            dataset, src_crs=own, crs=grid.crs, transform=grid.transform, width=grid.width, height=grid.height,
            resampling=Resampling.nearest,
        ) as warped:  # fmt: skip
            yield AlignedRaster(warped, (0, 0), keep_nodata)


def _check_places(shown: str, dataset: rasterio.DatasetReader, crs: RasterCRS | None, grid: Grid) -> None:
    """Refuse a raster that cannot be brought onto a grid."""
    if crs is None or grid.crs is None:
        raise RasterError(f"{shown} has other pixels than the scene, and one of the two has no CRS: assign one.")
    # A CRS alone is no place: people set one, or QGIS does by itself, for rasters that have only pixels.
    if transform_of(dataset) == UNPLACED or not grid.placed:
        which = "the scene has" if not grid.placed else "it has"
        raise RasterError(
            f"{shown} has other pixels than the scene, and {which} only pixels, no place: georeference it."
        )


def _origin(dataset: rasterio.DatasetReader, crs: RasterCRS | None, grid: Grid) -> tuple[int, int] | None:
    """Where the grid's first pixel is in a dataset (row, column); None where their pixels do not match."""
    if crs != grid.crs:
        return None
    shift = ~transform_of(dataset) @ grid.transform
    col, row = round(shift.c), round(shift.f)
    same = math.isclose(shift.a, 1, rel_tol=1e-6) and math.isclose(shift.e, 1, rel_tol=1e-6)
    return (row, col) if same and abs(shift.c - col) < 1e-3 and abs(shift.f - row) < 1e-3 else None


@contextmanager
def open_place(path: str, grid: Grid, purpose: str, crs: RasterCRS | None = None) -> Iterator[Place]:
    """Open a person's layer: polygons (a path, or path|layername=name), or a raster that is not 0 where it is in.

    Args:
        path: the layer.
        grid: the scene's; the layer is brought onto it from its own CRS.
        purpose: the parameter's name, for messages.
        crs: of the layer, whatever its file says; None where the file's own holds.

    Raises:
        RasterError: it is neither, cannot be read, or has no CRS.
    """
    file, _, option = path.partition("|layername=")
    try:
        layers = [str(name) for name, kind in pyogrio.list_layers(file) if kind]
    except (pyogrio.errors.DataSourceError, OSError):
        layers = []
    if option or layers:
        yield Polygons(_polygons(file, option or layers[0], grid, purpose, crs), grid)
        return
    with open_aligned(file, grid, f"{purpose} ({file})", crs=crs) as raster:
        yield raster


def _polygons(file: str, layer: str, grid: Grid, purpose: str, crs: RasterCRS | None) -> list[BaseGeometry]:
    """The parts of a layer's polygons that touch the grid, in the grid's CRS."""
    shown = f"{purpose} ({file})"
    try:
        info = pyogrio.read_info(file, layer=layer)
        if "polygon" not in str(info["geometry_type"]).lower() and info["geometry_type"] not in ("Unknown", None):
            raise RasterError(f"{shown} holds {info['geometry_type']}, not polygons: choose a layer of polygons.")
        own = crs.to_wkt() if crs else info["crs"]
        if not own or grid.crs is None:
            raise RasterError(f"{shown} or the scene has no CRS, so they cannot be laid over each other: assign one.")
        source, target = CRS.from_user_input(own), CRS.from_wkt(grid.crs.to_wkt())
        found: list[BaseGeometry] = []
        for frame in _frames(grid, target, source):
            _, _, shapes, _ = pyogrio.raw.read(file, layer=layer, columns=[], bbox=frame)
            found += _parts(shapely.from_wkb(shapes), frame, source, target, grid)
    except READ_ERRORS as error:
        if isinstance(error, RasterError):
            raise
        raise RasterError(f"{shown} cannot be read as a layer of polygons: {error}") from error
    return found


def _parts(
    shapes: Sequence[BaseGeometry | None], frame: Frame, source: CRS, target: CRS, grid: Grid
) -> Iterator[BaseGeometry]:
    """What of polygons lies in a frame, in the grid's CRS."""
    to_grid = Transformer.from_crs(source, target, always_xy=True)
    edge = EDGE_DEGREES if source.is_geographic else EDGE_UNITS
    middle, _ = grid.transform @ (grid.width / 2, grid.height / 2)

    def moved(xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        x, y = to_grid.transform(xy[:, 0], xy[:, 1])
        # A grid in degrees that crosses the meridian of 180 degrees counts on beyond it.
        return np.stack([x - 360 * np.round((x - middle) / 360) if target.is_geographic else x, y], axis=1)

    for shape in shapes:
        if shape is None or shape.geom_type not in ("Polygon", "MultiPolygon"):
            continue
        cut = shapely.clip_by_rect(shapely.make_valid(shapely.force_2d(shape)), *frame)
        if not cut.is_empty:
            yield shapely.transform(shapely.segmentize(cut, edge), moved)


def _frames(grid: Grid, target: CRS, source: CRS) -> list[Frame]:
    """The grid's bounds in another CRS, a tenth wider on each side; two where they cross the meridian of 180 degrees.

    Then each reaches beyond 180 degrees, so that it does not matter from where a layer's longitudes are counted.
    """
    left, top = grid.transform @ (0, 0)
    right, bottom = grid.transform @ (grid.width, grid.height)
    bounds = min(left, right), min(top, bottom), max(left, right), max(top, bottom)
    west, south, east, north = Transformer.from_crs(target, source, always_xy=True).transform_bounds(*bounds)
    turn = 360 if source.is_geographic else 0
    # PROJ gives the eastern side as a smaller number where the meridian lies between.
    east += turn if east < west else 0
    wide, high = 0.1 * (east - west), 0.1 * (north - south)
    frame = west - wide, south - high, east + wide, north + high
    other = -turn if east > 180 else turn if west < -180 else 0
    return [frame, (frame[0] + other, frame[1], frame[2] + other, frame[3])] if other else [frame]
