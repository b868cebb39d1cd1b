"""Rasters with labels of one's own: their labelled tiles, and two parts of them that do not touch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.errors import DataError
from engine.labelled import open_labelled, open_raster
from engine.labels import patch_windows, scene_names, split_by_blocks
from engine.monitor import Monitor, silent
from engine.practice.scene import Tile
from engine.tiling import Window
from engine.training.patches import Patch, PatchTiles, cut, split_by_scene
from engine.training_jobs import InspectRequest

__all__ = ["LabelledRaster", "read_rasters", "read_unlabelled", "split_rasters"]

MOSTLY = 0.5
"""Share of a tile without labels that must be observed."""
TRIES = 10
"""Tiles that are looked at for each that is wanted."""


@dataclass(frozen=True, eq=False)
class LabelledRaster:
    """The labelled tiles of one raster."""

    patches: list[Patch]
    windows: list[Window]
    """Where labels lie."""
    labels: npt.NDArray[np.uint8]
    """(height, width) of the whole raster: class numbers, 0 not labelled."""


def read_rasters(request: InspectRequest, bands: tuple[str, ...], monitor: Monitor) -> list[LabelledRaster]:
    """The labelled tiles of each raster that a request names.

    Raises:
        DataError: no label lies where a raster holds data.
        RasterError, BandError, ReflectanceError: a raster cannot be used.
    """
    rasters = []
    scenes = scene_names(request.rasters)
    for number, scene_name in enumerate(scenes):
        monitor(number / len(scenes), f"Reading raster {number + 1} of {len(scenes)}")
        rasters.append(_read(request, number, scene_name, bands))
    if not any(raster.patches for raster in rasters):
        raise DataError("The labels lie only where the rasters hold no data: look at both in QGIS.")
    return rasters


def split_rasters(request: InspectRequest, rasters: Sequence[LabelledRaster]) -> tuple[list[Patch], list[Patch]]:
    """Tiles to train on and to validate on: by raster, or by blocks of the only one with debris."""
    everything = [patch for raster in rasters for patch in raster.patches]
    positive = list(request.positive_classes)
    holding = [raster for raster in rasters if any(patch.counts[positive].any() for patch in raster.patches)]
    if len(holding) > 1:
        return split_by_scene(everything, request.positive_classes, request.validation_share, request.seed)
    # One raster has all the debris: it is split by blocks, and the others are trained on whole.
    if not holding:
        return everything, everything[:1]
    others = [patch for raster in rasters if raster is not holding[0] for patch in raster.patches]
    training, validation = _by_blocks(request, holding[0])
    return training + others, validation


def read_unlabelled(
    request: InspectRequest, rasters: Sequence[LabelledRaster], bands: tuple[str, ...], count: int,
    monitor: Monitor = silent,
) -> list[Patch]:  # fmt: skip
    """At most `count` tiles without labels, from all over the rasters, as many of each; what is mostly no data is none.

    Raises:
        RasterError, BandError, ReflectanceError: a raster cannot be used.
        Cancelled: by the monitor.
    """
    share = -(-count // len(rasters))
    found: list[Patch] = []
    for number, (raster, scene_name) in enumerate(zip(rasters, scene_names(request.rasters), strict=True)):
        if len(found) >= count:
            break
        rng = np.random.default_rng([request.seed, 13, number])
        windows = _without_labels(raster, request.tile_size)
        wanted = len(found) + min(share, count - len(found))
        with open_raster(request, number, bands) as scene:
            # A raster that is mostly no data is not searched whole.
            for place in rng.permutation(len(windows))[: TRIES * share]:
                monitor(len(found) / count, "Reading parts of the rasters without labels")
                if len(found) == wanted:
                    break
                window = windows[place]
                reflectance, observed = scene.read(window)
                if observed.mean() < MOSTLY:
                    continue
                tile = Tile(reflectance.astype(np.float16), np.zeros(observed.shape, dtype=np.uint8), observed)
                found.append(Patch(scene_name, f"{Path(request.rasters[number]).name}@{window.row}+{window.col}", tile))
    return found


def _without_labels(raster: LabelledRaster, size: int) -> list[Window]:
    """The tiles of the regular grid that lie in the raster whole and hold no label."""
    height, width = raster.labels.shape
    taken = {(window.row, window.col) for window in raster.windows}
    corners = [(row, col) for row in range(0, height - size + 1, size) for col in range(0, width - size + 1, size)]
    return [Window(row, col, size, size) for row, col in corners if (row, col) not in taken]


def _by_blocks(request: InspectRequest, raster: LabelledRaster) -> tuple[list[Patch], list[Patch]]:
    """Two parts of one raster, with debris on both sides; of several random choices the first that has that."""
    by_place = {patch.name.rsplit("@", 1)[1]: patch for patch in raster.patches}

    def of(part: Sequence[Window]) -> list[Patch]:
        found = [by_place.get(f"{window.row}+{window.col}") for window in part]
        return [patch for patch in found if patch is not None]

    def mixed(part: Sequence[Patch]) -> bool:
        counts = PatchTiles(part).counts
        return 0 < int(counts[list(request.positive_classes)].sum()) < int(counts.sum())

    first: tuple[list[Patch], list[Patch]] | None = None
    for attempt in range(60):
        parts = split_by_blocks(raster.windows, raster.labels, request.validation_share, request.seed + attempt)
        training, validation = of(parts[0]), of(parts[1])
        first = first or (training, validation)
        if mixed(training) and mixed(validation):
            return training, validation
    return first or ([], [])


def _read(request: InspectRequest, number: int, scene_name: str, bands: tuple[str, ...]) -> LabelledRaster:
    path = request.rasters[number]
    with open_labelled(request, number, bands) as (scene, labels):
        windows = patch_windows(labels, request.tile_size)
        patches = []
        for window in windows:
            reflectance, observed = scene.read(window)
            part = labels[window.row : window.row + window.height, window.col : window.col + window.width]
            edge = [(0, window.height - part.shape[0]), (0, window.width - part.shape[1])]
            name = f"{Path(path).name}@{window.row}+{window.col}"
            for patch in cut(path, name, request.tile_size, reflectance, observed, np.pad(part, edge)):
                patches.append(Patch(scene_name, name, patch.tile))
    return LabelledRaster(patches, windows, labels)
