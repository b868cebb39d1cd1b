"""Labels drawn by people, on the grid of a scene: from a class raster or from polygons with a class field, in any CRS.

Then where to cut patches, and which of them to train on: neighbours never stand on both sides, because they show the
same debris in the same water.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyogrio
import pyogrio.errors
import pyogrio.raw
import rasterio
import shapely
from pyproj import CRS, Transformer
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.features import rasterize
from rasterio.vrt import WarpedVRT

from engine.errors import DataError
from engine.grid import UNPLACED, Grid, transform_of
from engine.tiling import Window

__all__ = [
    "HIGHEST_CLASS", "LabelSource", "checked_classes", "labels_on_grid", "patch_windows", "scene_names",
    "split_by_blocks",
]  # fmt: skip

log = logging.getLogger(__name__)

HIGHEST_CLASS = 16
"""MARIDA's classes are 1 to 15, land is 16, and 0 is not labelled."""


@dataclass(frozen=True)
class LabelSource:
    """Where labels come from: a class raster, or a vector file with a field of class numbers."""

    path: str
    field: str | None = None
    layer: str | None = None
    crs: rasterio.crs.CRS | None = None
    """Where another than the file's is meant, or the file has none."""


def labels_on_grid(source: LabelSource, grid: Grid) -> npt.NDArray[np.uint8]:
    """Class numbers on a grid, uint8 (height, width); 0 is not labelled.

    Raises:
        DataError: the labels cannot be read, have no class field, hold a number that is no class, or lie elsewhere.
    """
    try:
        with rasterio.open(source.path) as dataset:
            labels = _from_raster(dataset, source.crs or dataset.crs, grid)
    except RasterioError:
        labels = _from_polygons(source, grid)
    if not labels.any():
        raise DataError(f"{source.path} has no labels where the raster is: draw some there, or check its CRS.")
    return labels


def _from_raster(dataset: rasterio.DatasetReader, crs: rasterio.crs.CRS | None, grid: Grid) -> npt.NDArray[np.uint8]:
    # A CRS alone is no place: people set one, or QGIS does by itself, for rasters that have only pixels.
    if crs is None or grid.crs is None or UNPLACED in (grid.transform, transform_of(dataset)):
        if (dataset.height, dataset.width) != (grid.height, grid.width):
            raise DataError(
                f"{dataset.name} is {dataset.height} x {dataset.width} pixels and the raster "
                f"{grid.height} x {grid.width}; without a CRS and a place they must be of the same size."
            )
        classes = dataset.read(1)
    else:
        with WarpedVRT(
            dataset,
            src_crs=crs,
            crs=grid.crs,
            transform=grid.transform,
            height=grid.height,
            width=grid.width,
            resampling=Resampling.nearest,
            nodata=dataset.nodata if dataset.nodata is not None else 0,
        ) as warped:
            classes = warped.read(1)
    if dataset.nodata is not None:
        classes = np.where(classes == dataset.nodata, 0, classes)
    return checked_classes(dataset.name, np.nan_to_num(classes))


def _from_polygons(source: LabelSource, grid: Grid) -> npt.NDArray[np.uint8]:
    meta, geometry, values = _read_vector(source)
    crs = source.crs.to_wkt() if source.crs else meta["crs"]
    if crs and grid.crs:
        geometry = _reprojected(geometry, CRS.from_user_input(crs), CRS.from_wkt(grid.crs.to_wkt()))
    classes = checked_classes(source.path, np.nan_to_num(np.asarray(values, dtype=float)))
    # Later polygons win, as they lie on top in QGIS; only pixels whose centre lies inside are labelled.
    shapes = [
        (shape, int(number))
        for shape, number in zip(geometry, classes, strict=True)
        if shape is not None and not shape.is_empty
    ]
    if not shapes:
        raise DataError(f"{source.path} has no polygons.")
    labels: npt.NDArray[np.uint8] = rasterize(
        shapes, out_shape=(grid.height, grid.width), transform=grid.transform, fill=0, dtype="uint8"
    )
    return labels


def _read_vector(source: LabelSource) -> tuple[dict[str, str], npt.NDArray[np.object_], npt.NDArray[np.object_]]:
    if not Path(source.path).exists() and not source.path.startswith("/vsi"):
        raise DataError(f"There is no file {source.path} with labels.")
    try:
        fields = list(pyogrio.read_info(source.path, layer=source.layer)["fields"])
        if source.field is None or source.field not in fields:
            raise DataError(
                f"{source.path} has no field {source.field!r}: set LABEL_FIELD to the one with the class numbers "
                f"({', '.join(fields) or 'it has no fields'})."
            )
        meta, _, wkb, columns = pyogrio.raw.read(source.path, layer=source.layer, columns=[source.field])
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise DataError(f"{source.path} holds neither a raster nor polygons: {error}") from error
    try:
        values = np.array([0 if value is None else float(value) for value in columns[0]], dtype=object)
    except (TypeError, ValueError) as error:
        raise DataError(f"The field {source.field} of {source.path} must hold class numbers ({error}).") from error
    return meta, shapely.from_wkb(wkb), values


def _reprojected(geometry: npt.NDArray[np.object_], source: CRS, target: CRS) -> npt.NDArray[np.object_]:
    transformer = Transformer.from_crs(source, target, always_xy=True)

    def move(xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.array([transformer.transform(x, y) for x, y in xy]).reshape(xy.shape)

    with warnings.catch_warnings():
        # A vertex outside the target's domain becomes infinite; shapely says so once for each polygon.
        warnings.simplefilter("ignore", RuntimeWarning)
        moved: npt.NDArray[np.object_] = shapely.transform(geometry, move)
    return moved


def checked_classes(name: str, classes: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Class numbers as bytes.

    Raises:
        DataError: there are others than 0 to 16; `name` says where.
    """
    strange = sorted({float(value) for value in np.unique(classes)} - set(range(HIGHEST_CLASS + 1)))
    if strange:
        listed = ", ".join(f"{value:g}" for value in strange[:5])
        raise DataError(
            f"{name} has the label values {listed}: classes are whole numbers from 1 to {HIGHEST_CLASS}, 0 is no label."
        )
    return classes.astype(np.uint8)


def patch_windows(labels: npt.NDArray[np.uint8], size: int) -> list[Window]:
    """Patches of `size` pixels that hold every label, on a regular grid of patches; those without labels are left out.

    Patches at the right and lower edge may reach beyond the grid.
    """
    rows, cols = np.nonzero(labels)
    cells = sorted({(int(row), int(col)) for row, col in zip(rows // size, cols // size, strict=True)})
    return [Window(row * size, col * size, size, size) for row, col in cells]


def split_by_blocks(
    windows: Sequence[Window], labels: npt.NDArray[np.uint8], share: float, seed: int
) -> tuple[list[Window], list[Window]]:
    """Patches to train on, and patches to validate on: groups of touching patches are never torn apart.

    Groups are drawn at random until about `share` of the labelled pixels is in the validation part. A single group (all
    patches touch) is cut in two at a line of patches, and the patches along the cut are left out.

    Raises:
        DataError: there is not enough to have labels on both sides.
    """
    groups = _touching(windows)
    if len(groups) == 1:
        groups = _cut_in_two(groups[0], labels, share)
    if len(groups) < 2:
        raise DataError(
            f"The labels lie in {len(windows)} patch(es) side by side, too few to keep some for validation: label a "
            "second place, some hundred pixels away."
        )
    order = np.random.default_rng(seed).permutation(len(groups))
    counts = [sum(_labelled(labels, window) for window in group) for group in groups]
    wanted = share * sum(counts)
    chosen: set[int] = set()
    for index in order:
        total = sum(counts[number] for number in chosen)
        if len(chosen) < len(groups) - 1 and (not chosen or total + counts[index] / 2 <= wanted):
            chosen.add(int(index))
    train = [window for number, group in enumerate(groups) if number not in chosen for window in group]
    validation = [window for number in sorted(chosen) for window in groups[number]]
    return train, validation


def _labelled(labels: npt.NDArray[np.uint8], window: Window) -> int:
    part = labels[window.row : window.row + window.height, window.col : window.col + window.width]
    return int(np.count_nonzero(part))


def _touching(windows: Sequence[Window]) -> list[list[Window]]:
    """Groups of windows of one regular raster that touch, at corners too."""
    left = {(window.row // window.height, window.col // window.width): window for window in windows}
    groups = []
    while left:
        cell, window = left.popitem()
        group, ahead = [window], [cell]
        while ahead:
            row, col = ahead.pop()
            for near in [(row + a, col + b) for a in (-1, 0, 1) for b in (-1, 0, 1)]:
                if near in left:
                    group.append(left.pop(near))
                    ahead.append(near)
        groups.append(sorted(group, key=lambda member: (member.row, member.col)))
    return sorted(groups, key=lambda group: (group[0].row, group[0].col))


def _cut_in_two(group: list[Window], labels: npt.NDArray[np.uint8], share: float) -> list[list[Window]]:
    """Two sides of a line of patches, across the group's longer axis, past which about `share` of the labels lie."""
    rows = {window.row for window in group}
    cols = {window.col for window in group}
    by_row = len(rows) >= len(cols)
    lines = sorted(rows if by_row else cols)

    def line(window: Window) -> int:
        return window.row if by_row else window.col

    def beyond(cut: int) -> int:
        return sum(_labelled(labels, window) for window in group if line(window) > cut)

    inner = lines[1:-1]
    if not inner:
        return [group]
    wanted = share * sum(_labelled(labels, window) for window in group)
    cut = min(inner, key=lambda place: abs(beyond(place) - wanted))
    log.info("All patches touch: they are cut in two, and the patches along the cut are left out.")
    return [[window for window in group if line(window) < cut], [window for window in group if line(window) > cut]]


def scene_names(paths: Sequence[str]) -> list[str]:
    """A name for each raster, by which the split keeps it together: short, and another one for every other file."""
    files = [Path(path).absolute() for path in paths]
    names = [file.stem for file in files]
    for depth in range(1, max((len(file.parts) for file in files), default=0)):
        if len(set(names)) == len(set(files)):
            break
        names = ["/".join((*file.parent.parts[-depth:], file.stem)) for file in files]
    return names if len(set(names)) == len(set(files)) else [str(file) for file in files]
