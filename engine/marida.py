"""Folders in MARIDA's layout: patches of 11 bands with class and confidence rasters, and lists of patch names."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import RasterioError

from engine.bands import BandLabel, match_bands
from engine.errors import DataError, ReflectanceError
from engine.fills import Fills
from engine.labels import checked_classes
from engine.raster import Scene
from engine.reflectance import Scaling, check_plausible, choose_scaling
from engine.tiling import Window

__all__ = ["LabelledPatch", "patch_names", "read_patch", "scene_of"]

log = logging.getLogger(__name__)

SAMPLE_PIXELS = 2000
"""About how many pixels of a patch say whether its numbers can be reflectance."""


@dataclass(frozen=True, eq=False)
class LabelledPatch:
    """One patch."""

    name: str
    scene: str
    reflectance: npt.NDArray[np.float32]
    """(bands, height, width); 0 where not observed."""
    observed: npt.NDArray[np.bool_]
    classes: npt.NDArray[np.uint8]
    """(height, width): 0 not labelled, 1-15 MARIDA's classes."""
    confidence: npt.NDArray[np.uint8]
    """(height, width): 1 high, 2 moderate, 3 low, 0 not labelled or not known."""


def patch_names(folder: Path, split: str | None = None) -> list[str]:
    """Names of patches, as `S2_14-9-18_16PCC_3`: those of a list, or all that are there.

    Args:
        folder: holds patches/, and splits/ where lists are named.
        split: a list's file, or its name below splits/ with or without `.txt`. Its lines may lack the prefix `S2_`.

    Raises:
        DataError: there is no such folder or list, or it names patches that are not there.
    """
    found = {
        path.stem: path
        for path in sorted((folder / "patches").glob("*/*.tif"))
        if not path.stem.endswith(("_cl", "_conf"))
    }
    if not found:
        raise DataError(f"{folder} has no patches: expected patches/<scene>/<scene>_<number>.tif, as MARIDA has them.")
    if split is None:
        return list(found)
    candidates = [Path(split), folder / "splits" / split, folder / "splits" / f"{split}.txt"]
    path = next((candidate for candidate in candidates if candidate.is_file()), None)
    if path is None:
        raise DataError(f"There is no list of patches {split}, neither as a file nor below {folder / 'splits'}.")
    lines = [line.strip().removesuffix(".tif") for line in path.read_text(encoding="utf-8-sig").splitlines()]
    names = [line if line.startswith("S2_") else f"S2_{line}" for line in lines if line]
    missing = [name for name in names if name not in found]
    if len(missing) == len(names):
        raise DataError(f"None of the {len(names)} patches that {path} lists are below {folder / 'patches'}.")
    if missing:
        log.warning(
            "%d of the %d patches that %s lists are not there (first: %s).", len(missing), len(names), path, missing[0]
        )
    return [name for name in names if name in found]


def scene_of(name: str) -> str:
    """The scene of a patch by its name: `S2_14-9-18_16PCC_3` is of `S2_14-9-18_16PCC`."""
    return name.rsplit("_", 1)[0]


def read_patch(folder: Path, name: str, bands: Sequence[str]) -> LabelledPatch | None:
    """Read a patch, or None (and a line in the log) where it holds no data at all, as some of MARIDA's do.

    Raises:
        DataError: a file is missing or damaged, image and labels differ in size, or labels are not 0 to 16.
        BandError: the bands cannot be told.
        ReflectanceError: the numbers are no reflectance, neither as they are nor by the file's scale and offset.
    """
    scene = scene_of(name)
    path = folder / "patches" / scene / f"{name}.tif"
    try:
        reflectance, observed = _read_image(path, name, tuple(bands))
        classes = checked_classes(f"The class raster {name}_cl.tif", _read_labels(path.with_name(f"{name}_cl.tif")))
        confidence_path = path.with_name(f"{name}_conf.tif")
        confidence = _read_labels(confidence_path) if confidence_path.exists() else np.zeros_like(classes)
    except ReflectanceError as error:
        raise ReflectanceError(
            f"The patch {name} in {folder} cannot be used. {error} Patches have them in their files' tags: "
            "gdal_edit.py -scale and -offset write them."
        ) from error
    except (RasterioError, OSError) as error:
        raise DataError(f"The patch {name} in {folder} cannot be read: {error}") from error
    if classes.shape != reflectance.shape[1:]:
        raise DataError(
            f"The patch {name} has an image of {reflectance.shape[1:]} pixels and labels of {classes.shape}."
        )
    if not observed.any():
        log.warning("The patch %s holds no data and is skipped.", name)
        return None
    reflectance[:, ~observed] = 0
    return LabelledPatch(
        name, scene, reflectance, observed, np.where(observed, classes, 0).astype(np.uint8), confidence
    )


def _read_image(path: Path, name: str, bands: tuple[str, ...]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Reflectance (bands, height, width) and what was observed (height, width), as of any raster."""
    with rasterio.open(path) as image:
        labels = tuple(BandLabel(text or "") for text in image.descriptions)
        indexes = _indexes(bands, labels)
        whole = Window(0, 0, image.height, image.width)
        numbers = dict(zip(bands, indexes, strict=True))
        stored, observed = Scene(image, numbers, Scaling.identity(len(bands)), whole, name).read_stored(whole)
        places = np.flatnonzero(observed)
        sample = stored.reshape(len(bands), -1)[:, places[:: 1 + len(places) // SAMPLE_PIXELS]]
        scaling = _scaling(
            image.dtypes[indexes[0] - 1],
            tuple(image.scales[index - 1] for index in indexes),
            tuple(image.offsets[index - 1] for index in indexes),
            sample,
        )
    # Reflectance as stored, MARIDA's own, stays as it is to the last bit.
    plain = bool((scaling.scale == 1).all() and (scaling.offset == 0).all())
    observed = _fills(path.parent).without(observed, stored, scaling, bands)
    stored[:, ~observed] = 0
    reflectance = stored.astype(np.float32) if plain else scaling.apply(stored)
    return reflectance, observed


_FILLS: dict[Path, Fills] = {}


def _fills(scene: Path) -> Fills:
    """What tells the fills of a scene's patches; it says so once for all of them."""
    return _FILLS.setdefault(scene, Fills(scene.name))


_SCALINGS: dict[tuple[str, tuple[float, ...], tuple[float, ...]], Scaling] = {}


def _scaling(dtype: str, scales: tuple[float, ...], offsets: tuple[float, ...], sample: npt.NDArray[Any]) -> Scaling:
    """The scaling of a file, with numbers of it; chosen, and said in the log, once for each kind of file."""
    kind = (dtype, scales, offsets)
    if kind in _SCALINGS:
        check_plausible(_SCALINGS[kind], sample)
    else:
        _SCALINGS[kind] = choose_scaling(dtype, scales, offsets, None, None, sample)
    return _SCALINGS[kind]


_KNOWN: dict[tuple[tuple[str, ...], tuple[BandLabel, ...]], tuple[int, ...]] = {}


def _indexes(bands: tuple[str, ...], labels: tuple[BandLabel, ...]) -> tuple[int, ...]:
    """Band numbers; asked once for each kind of file, so that the log says only once how bands were told."""
    key = (bands, labels)
    if key not in _KNOWN:
        _KNOWN[key] = match_bands(bands, labels)
    return _KNOWN[key]


def _read_labels(path: Path) -> npt.NDArray[np.uint8]:
    """A class raster; MARIDA stores whole numbers as floats."""
    with rasterio.open(path) as dataset:
        stored = dataset.read(1)
    whole = np.nan_to_num(np.asarray(stored, dtype=np.float32), nan=0.0)
    if whole.min(initial=0) < 0 or whole.max(initial=0) > 255 or (whole != np.rint(whole)).any():
        raise DataError(f"{path} is no class raster: its values must be whole numbers from 0 to 255.")
    return whole.astype(np.uint8)
