"""Folders in MARIDA's layout: patches of 11 bands with class and confidence rasters, and lists of patch names."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import RasterioError

from engine.bands import BandLabel, match_bands
from engine.errors import DataError
from engine.labels import checked_classes

__all__ = ["LabelledPatch", "patch_names", "read_patch"]

log = logging.getLogger(__name__)


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


def read_patch(folder: Path, name: str, bands: Sequence[str]) -> LabelledPatch | None:
    """Read a patch, or None (and a line in the log) where it holds no data at all, as some of MARIDA's do.

    Raises:
        DataError: a file is missing or damaged, image and labels differ in size, or labels are not 0 to 16.
        BandError: the bands cannot be told.
    """
    scene = name.rsplit("_", 1)[0]
    path = folder / "patches" / scene / f"{name}.tif"
    try:
        with rasterio.open(path) as image:
            labels = [BandLabel(text or "") for text in image.descriptions]
            reflectance = image.read(list(_indexes(tuple(bands), tuple(labels)))).astype(np.float32)
        classes = checked_classes(f"The class raster {name}_cl.tif", _read_labels(path.with_name(f"{name}_cl.tif")))
        confidence_path = path.with_name(f"{name}_conf.tif")
        confidence = _read_labels(confidence_path) if confidence_path.exists() else np.zeros_like(classes)
    except (RasterioError, OSError) as error:
        raise DataError(f"The patch {name} in {folder} cannot be read: {error}") from error
    if classes.shape != reflectance.shape[1:]:
        raise DataError(
            f"The patch {name} has an image of {reflectance.shape[1:]} pixels and labels of {classes.shape}."
        )
    observed = np.isfinite(reflectance).all(axis=0) & (reflectance != 0).any(axis=0)
    if not observed.any():
        log.warning("The patch %s holds no data and is skipped.", name)
        return None
    reflectance[:, ~observed] = 0
    return LabelledPatch(
        name, scene, reflectance, observed, np.where(observed, classes, 0).astype(np.uint8), confidence
    )


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
