"""Single-band files that belong together, and ACOLITE's NetCDF: products without ESA's metadata."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rasterio.errors import RasterioError

from engine.bands import BandLabel, band_from_label
from engine.errors import RasterError, ReflectanceError
from engine.sentinel2.contents import BandSource, Product
from engine.sentinel2.metadata import parse_time
from engine.sentinel2.naming import FileName, read_name
from engine.sentinel2.stac import Asset, StacItem
from engine.sentinel2.vrt import SourceGrid, opened, source_grid

__all__ = ["LooseFile", "open_acolite", "open_loose"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LooseFile:
    """A file by the name that tells its band and the name that GDAL opens."""

    name: str
    path: str


@dataclass(frozen=True)
class _Candidate:
    file: LooseFile
    name: FileName
    grid: SourceGrid


def open_loose(files: Iterable[LooseFile], place: str, item: StacItem | None = None) -> Product:
    """A product from single-band files, matched by name; finer files win over coarser ones of the same band.

    Scale and offset come from the files' own tags, else from the STAC item beside them, else they stay unknown.

    Args:
        files: any files; those that are no band or scene classification are left out.
        place: where they are, for messages.
        item: the STAC item that describes them.

    Raises:
        RasterError: there is no band, pictures only, or files of two scenes.
        ReflectanceError: some files have a scale and others do not.
    """
    named = [(file, read_name(file.name)) for file in files]
    chosen = _one_quantity([pair for pair in named if pair[1].role in ("band", "classes")])
    if not any(name.role == "band" for _, name in chosen):
        raise RasterError(_no_band(place, [name for _, name in named]))
    _one_scene(place, [name for _, name in chosen])
    candidates = [_Candidate(file, name, source_grid(file.path)) for file, name in chosen]
    bands = _finest(place, [candidate for candidate in candidates if candidate.name.role == "band"])
    classes = [candidate for candidate in candidates if candidate.name.role == "classes"]
    names = [name for _, name in chosen]
    sources = {band: _source(candidate, item.bands.get(band) if item else None) for band, candidate in bands.items()}
    _all_or_none(place, sources)
    finest_classes = min(classes, key=lambda candidate: candidate.grid.step) if classes else None
    return Product(
        product_id=item.product_id if item else _identifier(names, place),
        level=item.level if item else _level(names, place),
        processing_baseline=item.processing_baseline if item else None,
        sensing_time=item.sensing_time if item else next((n.sensing_time for n in names if n.sensing_time), None),
        tile=item.tile if item else next((n.tile for n in names if n.tile), None),
        bands=sources,
        scene_classification=_plain(finest_classes) if finest_classes else None,
        angles=item.angles if item else None,
    )


def _one_quantity(named: Sequence[tuple[LooseFile, FileName]]) -> list[tuple[LooseFile, FileName]]:
    """Of ACOLITE's exports, which may hold rhot, rhos and rhorc side by side, the Rayleigh-corrected ones alone."""
    corrected = [(file, name) for file, name in named if "rhorc" in name.name.lower()]
    return corrected or list(named)


def _no_band(place: str, names: Sequence[FileName]) -> str:
    pictures = [name.name for name in names if name.role == "picture"]
    if pictures:
        return (
            f"{place} holds a picture made for viewing ({pictures[0]}) and no band. Choose the product's bands, "
            "as in B02, B03, …: their reflectance is needed, not colours."
        )
    listed = ", ".join(name.name for name in names[:4]) or "nothing"
    return f"{place} holds no file whose name tells a Sentinel-2 band, as B08 or rhorc_833 does (found: {listed})."


def _one_scene(place: str, names: Sequence[FileName]) -> None:
    scenes = sorted({(name.tile, name.sensing_time) for name in names if name.tile and name.sensing_time}, key=str)
    if len(scenes) > 1:
        listed = " and ".join(f"{tile} of {time:%Y-%m-%d %H:%M}" for tile, time in scenes[:3] if time)
        raise RasterError(f"{place} holds files of {len(scenes)} granules ({listed}): choose the files of one.")


def _finest(place: str, candidates: Sequence[_Candidate]) -> Mapping[str, _Candidate]:
    bands: dict[str, _Candidate] = {}
    for candidate in candidates:
        band = candidate.name.band or ""
        if candidate.grid.count != 1:
            raise RasterError(
                f"{candidate.file.name} is named like the single band {band}, but holds {candidate.grid.count} bands: "
                "it looks like a picture or a stack. Give stacks as INPUT."
            )
        other = bands.get(band)
        if other and other.grid.step == candidate.grid.step:
            raise RasterError(
                f"{place} holds two files for {band} ({other.file.name} and {candidate.file.name}): "
                "choose the files of one scene."
            )
        if other is None or candidate.grid.step < other.grid.step:
            bands[band] = candidate
    return bands


def _source(candidate: _Candidate, asset: Asset | None) -> BandSource:
    grid = candidate.grid
    scale, offset = grid.scales[0], grid.offsets[0]
    known = (scale, offset) != (1.0, 0.0)
    integer = not grid.dtype.startswith("float")
    if not known and asset is not None and asset.scale is not None and integer:
        scale, offset, known = asset.scale, asset.offset or 0.0, True
    # In products' integers 0 is no data. A float file's 0 can be a number: there the reader leaves out pixels with 0 in
    # all bands.
    nodata = grid.nodata if grid.nodata is not None else 0.0 if integer else None
    return BandSource(
        candidate.file.path, 1, scale if known else None, offset if known else None, _metres(grid), nodata
    )


def _plain(candidate: _Candidate) -> BandSource:
    return BandSource(candidate.file.path, 1, resolution=_metres(candidate.grid))


def _metres(grid: SourceGrid) -> float | None:
    return grid.step if grid.crs is None or grid.crs.is_projected else None


def _all_or_none(place: str, sources: Mapping[str, BandSource]) -> None:
    without = [band for band, source in sources.items() if source.scale is None]
    if without and len(without) < len(sources):
        raise ReflectanceError(
            f"In {place} {', '.join(without)} have no scale and offset, the other bands have: set SCALE and OFFSET, "
            "or take all files from one place."
        )


def _identifier(names: Sequence[FileName], place: str) -> str:
    scenes = {name.scene for name in names if name.scene}
    return scenes.pop() if len(scenes) == 1 else Path(place).name


def _level(names: Sequence[FileName], place: str) -> str | None:
    """The level that the names agree on; B10 is in L1C products alone."""
    levels = {level for level in (*(name.level for name in names), read_name(Path(place).name).level) if level}
    if len(levels) == 1:
        return levels.pop()
    return "L1C" if any(name.band == "B10" for name in names) else None


def open_acolite(path: str) -> Product:
    """A product from ACOLITE's L2R file, which holds Rayleigh-corrected reflectance as `rhorc_443` and so on.

    Raises:
        RasterError: the file cannot be read, or holds no Rayleigh-corrected reflectance.
    """
    try:
        with opened(path) as dataset:
            layers = {name.rpartition(":")[2]: name for name in dataset.subdatasets}
            attributes = {key.rpartition("#")[2].lower(): value for key, value in dataset.tags().items()}
    except (RasterioError, OSError) as error:
        raise RasterError(
            f"{path} cannot be opened as NetCDF: {error}. Is the file complete, and has GDAL its netCDF driver?"
        ) from error
    found = {name: layer for name, layer in layers.items() if name.lower().startswith("rhorc_")}
    if not found:
        listed = ", ".join(sorted(layers)[:6]) or "nothing"
        raise RasterError(
            f"{path} holds no Rayleigh-corrected reflectance (rhorc_…), but {listed}. "
            "Run ACOLITE with output_rhorc=True and choose its L2R file."
        )
    bands = {}
    for name, layer in found.items():
        band = band_from_label(BandLabel(name))
        if band:
            grid = source_grid(layer)
            bands[band] = BandSource(layer, 1, 1.0, 0.0, _metres(grid), grid.nodata)
    time = attributes.get("isodate")
    tile = read_name(attributes.get("oname", "")).tile
    return Product(
        product_id=Path(path).stem,
        level="Rayleigh-corrected",
        processing_baseline=None,
        sensing_time=parse_time(time, path) if time else None,
        tile=tile or attributes.get("tile_code"),
        bands=bands,
    )
