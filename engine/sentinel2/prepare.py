"""The job `prepare`: a scene or product as one raster of eleven bands that any tool reads, and where not to look.

The raster holds reflectance as DN, as Sentinel-2 products of baseline 04.00 and later do: reflectance = DN x 0.0001 -
0.1, 0 is no data. Its tags name the quality mask beside it, which the job `detect` then takes.
"""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine import __version__
from engine.bands import MARIDA_ORDER
from engine.errors import OutputError
from engine.ground import Ground
from engine.jobs import PrepareRequest, PrepareResult
from engine.modelfile import BUNDLED_MODEL, read_card
from engine.monitor import Monitor, Share, silent
from engine.outputs import Staging
from engine.raster import SOFTWARE, gdal_settings
from engine.raster_sink import RasterSink
from engine.sentinel2.masks import LOOK, NO_DATA
from engine.sentinel2.quality import Quality, make_quality, scene_facts
from engine.sentinel2.source import Source, open_source
from engine.tally import Tally
from engine.tiling import Window

__all__ = ["OFFSET", "SCALE", "prepare"]

log = logging.getLogger(__name__)

SCALE, OFFSET = 1e-4, -0.1
"""Reflectance = DN x SCALE + OFFSET in what is written."""
ROWS = 256


def prepare(request: PrepareRequest, monitor: Monitor = silent) -> PrepareResult:
    """Write a scene as one raster, and its quality mask.

    Raises:
        EngineError: see `engine.errors`; no output is left behind.
    """
    for path in (request.output, request.quality):
        if Path(path).suffix.lower() not in (".tif", ".tiff"):
            raise OutputError(f"{path} is no GeoTIFF's name: rasters are written as .tif.")
    monitor(0.0, "Opening the scene")
    with gdal_settings(), ExitStack() as stack:
        staging = stack.enter_context(Staging(request.job_id))
        source = stack.enter_context(open_source(request, MARIDA_ORDER))
        staging.reads(request.water, request.area, *request.product, *source.files)
        paths = staging.add(request.output), staging.add(request.quality)
        scratch = staging.folder(Path(request.output).absolute().parent) / "quality.tif"
        quality = stack.enter_context(make_quality(scratch, source, request, Share(monitor, 0.02, 0.3)))
        tally = Tally(Ground.of(source.scene.grid))
        _write(request, source, quality, paths, tally, Share(monitor, 0.3, 1.0))
        staging.publish()
    facts = scene_facts(source, quality, lambda value: tally.area_of(value), read_card(BUNDLED_MODEL).level)
    return PrepareResult(output=request.output, quality=request.quality, water_area_m2=tally.area_of(LOOK), **facts)


def _write(
    request: PrepareRequest, source: Source, quality: Quality, paths: tuple[Path, Path], tally: Tally, monitor: Monitor
) -> None:
    grid = source.scene.grid
    tags = _tags(request, source)
    values = {"VALUES": "0 look here, 3 land, 4 cloud or shadow, 255 no data"}
    told = {**tags, "QUALITY_MASK": _way(request)}
    with (
        RasterSink(paths[0], grid, "uint16", 0, MARIDA_ORDER, told, scaling=(SCALE, OFFSET)) as bands,
        RasterSink(paths[1], grid, "uint8", NO_DATA, "Quality mask", {**tags, **values}) as mask,
    ):
        for row in range(0, grid.height, ROWS):
            window = Window(row, 0, min(ROWS, grid.height - row), grid.width)
            reflectance, observed = source.scene.read(window)
            reasons = quality.read(window)
            reasons[~observed & (reasons == LOOK)] = NO_DATA
            bands.write(row, _numbers(reflectance, observed))
            mask.write(row, reasons)
            tally.add(row, reasons)
            monitor(0.7 * (row + window.height) / grid.height, "Writing the bands")
        if tally.pixels[NO_DATA] == grid.width * grid.height:
            raise source.nothing_seen(request)
        bands.finish("average")
        monitor(0.95, "Writing the quality mask")
        mask.finish("nearest")
    monitor(1.0, "Done")


def _way(request: PrepareRequest) -> str:
    """The way from the scene to its mask, which holds where both are moved together."""
    quality = Path(request.quality).absolute()
    try:
        return Path(os.path.relpath(quality, Path(request.output).absolute().parent)).as_posix()
    except ValueError:
        # Windows knows no way from one drive to another.
        return quality.as_posix()


def _numbers(reflectance: npt.NDArray[np.float32], observed: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint16]:
    """DN of reflectance, (bands, height, width): at least 1 where observed, else 0."""
    stored = np.clip(np.round((reflectance - OFFSET) / SCALE), 1, 65535).astype(np.uint16)
    stored[:, ~observed] = 0
    return stored


def _tags(request: PrepareRequest, source: Source) -> dict[str, str]:
    known = {key.upper(): value for key, value in source.tags.items() if key != "quality_mask"}
    return {
        "SCENE": source.scene.name,
        "INPUT": source.path,
        "REFLECTANCE": source.scene.scaling.source,
        **known,
        "ENGINE_VERSION": __version__,
        "PLUGIN_VERSION": request.plugin_version or "",
        "SOFTWARE": SOFTWARE,
    }
