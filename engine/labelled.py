"""Rasters and their labels as requests name them: each raster opened, with its labels on its grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from engine.bands import parse_mapping
from engine.crs import named_crs
from engine.jobs import EvaluateRequest, InspectRequest
from engine.labels import LabelSource, labels_on_grid
from engine.raster import Scene, open_scene

__all__ = ["open_labelled", "open_raster"]


@contextmanager
def open_raster(request: EvaluateRequest | InspectRequest, number: int, bands: Sequence[str]) -> Iterator[Scene]:
    """Open one of a request's rasters as reflectance of `bands`, without its labels.

    Raises:
        RequestError: its CRS cannot be understood.
        RasterError, BandError, ReflectanceError: the raster cannot be used.
    """
    path = request.rasters[number]
    mapping = parse_mapping(request.bands) if request.bands else None
    crs = named_crs("crs", request.crs[number] if request.crs else None, path)
    with open_scene(path, bands, mapping=mapping, scale=request.scale, offset=request.offset, crs=crs) as scene:
        yield scene


@contextmanager
def open_labelled(
    request: EvaluateRequest | InspectRequest, number: int, bands: Sequence[str]
) -> Iterator[tuple[Scene, npt.NDArray[np.uint8]]]:
    """Open one of a request's rasters as reflectance of `bands`, with class numbers on its grid (0 not labelled).

    Raises:
        RequestError: a CRS cannot be understood.
        DataError: the labels cannot be used, or lie elsewhere.
        RasterError, BandError, ReflectanceError: the raster cannot be used.
    """
    with open_raster(request, number, bands) as scene:
        yield scene, labels_on_grid(_labels(request, number), scene.grid)


def _labels(request: EvaluateRequest | InspectRequest, number: int) -> LabelSource:
    """What holds the labels of a raster: its own class raster, or the one source for all."""
    place = number if len(request.labels) > 1 else 0
    path = request.labels[place]
    crs = named_crs("label_crs", request.label_crs[place] if request.label_crs else None, path)
    return LabelSource(path, request.label_field, request.label_layer, crs)
