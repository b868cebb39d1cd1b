"""The table of detections: what each one measures, and the vector file it is written to."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyogrio.errors
import pyogrio.raw
import shapely

from engine.components import Component
from engine.errors import OutputError
from engine.grid import Grid
from engine.ground import Ground
from engine.monitor import Monitor, silent, watched
from engine.surroundings import Surroundings, Surveyor

__all__ = ["DRIVERS", "MEASURES", "Detection", "detections_from", "driver_for", "measures_of", "write_detections"]

DRIVERS = {".gpkg": "GPKG", ".geojson": "GeoJSON", ".shp": "ESRI Shapefile", ".fgb": "FlatGeobuf"}

MEASURES = ("probability", "area_m2", "x", "y", "fdi", "ndvi")
"""What is summed over each component's pixels; x and y are pixel centres."""

# Band centres of the Floating Debris Index in nm. Biermann et al. 2020, doi 10.1038/s41598-020-62298-z: the fraction
# runs from red (665), as published; MARIDA's own code has 740 there.
_RED, _NIR, _SWIR = 665.0, 833.0, 1614.0


@dataclass(frozen=True)
class Detection:
    """One detection; areas and positions are None where the raster has no CRS, indices where a band is missing."""

    geometry: Any
    area_m2: float | None
    n_pixels: int
    mean_prob: float
    max_prob: float
    lon: float | None
    lat: float | None
    fdi: float | None
    ndvi: float | None
    around: Surroundings = Surroundings(None, None, None)
    second: str | None = None
    """The class that most of its pixels are likeliest to be if they are no debris."""


NUMBERS = (
    "area_m2",
    "n_pixels",
    "mean_prob",
    "max_prob",
    "lon",
    "lat",
    "fdi",
    "ndvi",
    "land_m",
    "cloud_m",
    "glint_b11",
)
"""Columns that hold numbers."""
# Shapefiles keep ten letters of a name.
SHAPEFILE_NAMES = {"sensing_time": "sens_time"}


def measures_of(
    bands: Sequence[str],
    reflectance: npt.NDArray[np.float32],
    probability: npt.NDArray[np.float32],
    rows: npt.NDArray[np.int64],
    cols: npt.NDArray[np.int64],
    ground: Ground | None,
) -> npt.NDArray[np.float64]:
    """The measures of single pixels, (measures, pixels), in the order of MEASURES; NaN where one cannot be told.

    Args:
        bands: names of the reflectance's bands.
        reflectance: (bands, pixels).
        probability: of debris, (pixels,).
        rows: row of each pixel in the grid, (pixels,).
        cols: column, likewise.
        ground: the ground under the grid, or None.
    """
    band = {name: values.astype(np.float64) for name, values in zip(bands, reflectance, strict=True)}
    unknown = np.full(len(rows), np.nan)
    fdi, ndvi = unknown, unknown
    if {"B4", "B6", "B8", "B11"} <= band.keys():
        baseline = band["B6"] + (band["B11"] - band["B6"]) * 10 * (_NIR - _RED) / (_SWIR - _RED)
        fdi = band["B8"] - baseline
    if {"B4", "B8"} <= band.keys():
        total = band["B8"] + band["B4"]
        ndvi = np.divide(band["B8"] - band["B4"], total, out=unknown.copy(), where=np.abs(total) > 1e-6)
    area = unknown if ground is None else ground.row_area_m2[rows]
    return np.stack([probability.astype(np.float64), area, cols + 0.5, rows + 0.5, fdi, ndvi])


def detections_from(
    components: Sequence[Component], grid: Grid, ground: Ground | None, surveyor: Surveyor | None = None,
    classes: Sequence[str] = (), monitor: Monitor = silent,
) -> list[Detection]:  # fmt: skip
    """The table's rows, most probable first.

    Args:
        components: what was found; after MEASURES, their sums may hold how many pixels go for each other class, and
            more after that.
        grid: the scene's.
        ground: the ground under it.
        surveyor: looks around each.
        classes: names of those classes.
        monitor: is told of it, since looking around takes minutes where there are many.
    """
    order = sorted(components, key=lambda component: (-component.maxima[0], -component.pixels))
    if not order:
        return []
    means = np.stack([component.sums / component.pixels for component in order])
    lon, lat = ground.lonlat(means[:, 2], means[:, 3]) if ground else (None, None)
    transform = grid.transform
    return [
        Detection(
            geometry=shapely.transform(c.geometry, lambda xy: np.stack(transform @ (xy[:, 0], xy[:, 1]), axis=1)),
            area_m2=float(c.sums[1]) if ground else None,
            n_pixels=c.pixels,
            mean_prob=float(means[i, 0]),
            max_prob=float(c.maxima[0]),
            lon=None if lon is None else float(lon[i]),
            lat=None if lat is None else float(lat[i]),
            fdi=_or_none(means[i, 4]),
            ndvi=_or_none(means[i, 5]),
            second=classes[int(np.argmax(c.sums[len(MEASURES) :][: len(classes)]))] if classes else None,
            around=surveyor.around(c.geometry) if surveyor else Surroundings(None, None, None),
        )
        for i, c in enumerate(watched(order, monitor, "Outlining detections"))
    ]


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def driver_for(path: str) -> str:
    """The GDAL driver for a vector file's ending.

    Raises:
        OutputError: an ending that is not offered.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in DRIVERS:
        raise OutputError(
            f"Detections cannot be written as {suffix or 'a file without ending'}: use {', '.join(DRIVERS)}."
        )
    return DRIVERS[suffix]


def write_detections(path: Path, detections: Sequence[Detection], grid: Grid, constants: Mapping[str, Any]) -> None:
    """Write detections to a new vector file, with `constants` (scene, model, threshold …) in every row.

    Raises:
        OutputError: the file cannot be written.
    """
    driver = driver_for(str(path))
    columns: dict[str, npt.NDArray[Any]] = {"id": np.arange(1, len(detections) + 1, dtype=np.int32)}
    for name in NUMBERS:
        kind = np.int32 if name == "n_pixels" else np.float64
        values = [_value(detection, name) for detection in detections]
        columns[name] = np.array([np.nan if value is None else value for value in values], dtype=kind)
    flags = {None: None, False: "no", True: "yes"}
    columns["glint"] = np.array([flags[detection.around.glint] for detection in detections], dtype=object)
    columns["second"] = np.array([detection.second for detection in detections], dtype=object)
    for name, value in constants.items():
        columns[name] = np.array([value] * len(detections), dtype=object if isinstance(value, str) else np.float64)
    try:
        # pyogrio warns of a missing CRS, which is a case of its own here and said in the log.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "'crs' was not provided")
            _write(path, driver, columns, detections, grid)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, OSError, RuntimeError, ValueError) as error:
        raise OutputError(f"The detections cannot be written to {path.name} ({error}).") from error


def _value(detection: Detection, name: str) -> float | None:
    """A number of a detection or of what is around it."""
    found: float | None = getattr(detection if hasattr(detection, name) else detection.around, name)
    return found


def _write(
    path: Path, driver: str, columns: Mapping[str, npt.NDArray[Any]], detections: Sequence[Detection], grid: Grid
) -> None:
    pyogrio.raw.write(
        path,
        shapely.to_wkb(np.array([detection.geometry for detection in detections], dtype=object)),
        list(columns.values()),
        fields=[SHAPEFILE_NAMES.get(name, name) if driver == "ESRI Shapefile" else name for name in columns],
        field_mask=[np.isnan(c) if c.dtype == np.float64 else None for c in columns.values()],
        geometry_type="MultiPolygon",
        crs=grid.crs.to_wkt() if grid.crs else None,
        driver=driver,
        layer=None if driver in ("ESRI Shapefile", "GeoJSON") else "detections",
        encoding="UTF-8",
        **({"RFC7946": "YES"} if driver == "GeoJSON" and grid.crs else {}),
    )
