"""What a training learns from: practice scenes, a folder in MARIDA's layout, or rasters with labels; and its split."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.bands import MARIDA_ORDER
from engine.errors import DataError
from engine.marida import patch_names, read_patch
from engine.modelfile import ModelClass
from engine.monitor import Monitor, silent
from engine.practice.job import CLASS_NAMES
from engine.practice.scene import SceneOptions
from engine.raster import gdal_settings
from engine.training.data import KeptTiles, MixedTiles, PracticeTiles, TileSource, batches, practice_split
from engine.training.grouping import CLASSES, FLOATING_NUMBERS, grouping_for
from engine.training.patches import Patch, PatchTiles, cut, describe, fingerprint, split_by_scene
from engine.training.rasters import read_rasters, read_unlabelled, split_rasters
from engine.training.rehearsal import FEW, KEPT, is_handful, rehearsed, unlabelled_tiles
from engine.training.texture import TextureTiles
from engine.training_jobs import InspectRequest, InspectResult, TrainRequest

__all__ = ["TrainingData", "gather", "inspect"]

log = logging.getLogger(__name__)

MOSAIC_SHARE = 0.2
DATA_SEED, VALIDATION_SEED = 1, 500_000
ESTIMATED_FROM = 24
"""Practice tiles that are made to say about how many pixels of each class there will be."""


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Two parts that share no scene, and how their labels are to be read."""

    training: TileSource
    validation: TileSource
    bands: tuple[str, ...]
    classes: tuple[ModelClass, ...]
    positive: tuple[int, ...]
    practice: bool
    """Practice pixels count as often in validation as MARIDA's labels are frequent; labels of one's own count once."""
    power: float
    """Classes weigh inversely to their pixels to this power: fully inverse for two or three classes, as the recipe
    says; for eleven, one foam pixel would outweigh a hundred of water."""
    plan: dict[str, Any]
    """The two parts in words and numbers."""
    text: str
    fingerprint: str
    corrections: TileSource | None = None
    """A handful of labels to go on with: all are trained on, beside practice scenes, until they hold."""

    @property
    def floating(self) -> tuple[int, ...]:
        """Numbers of what floats: debris, and the rest of MARIDA's floating classes."""
        return tuple(sorted({*self.positive, *FLOATING_NUMBERS}))


def gather(request: InspectRequest, bands: tuple[str, ...] = MARIDA_ORDER, monitor: Monitor = silent) -> TrainingData:
    """Collect the data that a request names.

    Raises:
        DataError: there are no labels, only one kind of them, or too few places to keep some for validation.
        RasterError, BandError, ReflectanceError: a raster cannot be used.
    """
    if request.source == "practice":
        return _practice(request)
    with gdal_settings():
        if request.source == "marida":
            training, validation = _marida(request, bands, monitor)
        else:
            rasters = read_rasters(request, bands, monitor)
            patches = [patch for raster in rasters for patch in raster.patches]
            if is_handful(request, patches, bands):
                wanted = unlabelled_tiles(request, patches)
                unlabelled = read_unlabelled(request, rasters, bands, wanted, monitor)
                return _handful(request, patches, unlabelled, bands)
            training, validation = split_rasters(request, rasters)
    _check(request, training, validation)
    counts = PatchTiles(training).counts
    return TrainingData(
        training=PatchTiles(training),
        validation=PatchTiles(validation),
        bands=bands,
        classes=grouping_for(request.positive_classes, counts),
        positive=request.positive_classes,
        practice=False,
        power=1.0,
        plan={"training": describe(training), "validation": describe(validation)},
        text=_text(request),
        fingerprint=fingerprint([training, validation]),
    )


def inspect(request: InspectRequest, monitor: Monitor = silent) -> InspectResult:
    """Say what a training would learn from, without training.

    Raises:
        EngineError: as `gather`.
    """
    data = gather(request, monitor=monitor)
    plan = _estimated(data) if request.source == "practice" else data.plan
    return InspectResult(
        source=request.source,
        training=plan["training"],
        validation=plan["validation"],
        classes=[entry.name for entry in data.classes],
        fingerprint=data.fingerprint,
    )


def _handful(
    request: InspectRequest, patches: Sequence[Patch], unlabelled: Sequence[Patch], bands: tuple[str, ...]
) -> TrainingData:
    """All labels to train on; beside them practice scenes, and the rest of the rasters."""
    training, validation = rehearsed(request, patches, unlabelled, bands)
    plan = describe(patches)
    log.info(
        "Labels of a handful of places (fewer than %d pixels of debris): all of them are trained on, beside practice "
        "scenes and unlabelled parts of the rasters so that nothing is forgotten, until they hold. The thresholds stay "
        "those of the model gone on from; scores are those of practice scenes.", FEW,
    )  # fmt: skip
    return TrainingData(
        training=training,
        validation=validation,
        bands=bands,
        classes=grouping_for(request.positive_classes, PatchTiles(patches).counts),
        positive=request.positive_classes,
        practice=True,
        power=0.5,
        plan={
            "training": {**plan, "scenes": [*plan["scenes"], "practice scenes"]},
            "validation": {"patches": KEPT, "scenes": ["practice scenes"], "classes": {}},
        },
        text=f"{_text(request)}, a handful; practice scenes",
        fingerprint=fingerprint([patches, unlabelled]),
        corrections=PatchTiles(patches),
    )


def _text(request: InspectRequest) -> str:
    if request.source == "marida":
        return f"patches of {Path(str(request.folder)).name}, debris being the classes {request.positive_classes}"
    return f"{len(request.rasters)} raster(s) with labels, debris being the classes {request.positive_classes}"


def _check(request: InspectRequest, training: Sequence[Patch], validation: Sequence[Patch]) -> None:
    """Refuse parts without debris, or with nothing else."""
    for name, part in (("training", training), ("validation", validation)):
        if not part:
            raise DataError(f"No patch with labels is left for {name}: label more, or name other lists of patches.")
        counts = PatchTiles(part).counts
        positive = int(counts[list(request.positive_classes)].sum())
        found = ", ".join(f"{number} ({count} pixels)" for number, count in enumerate(counts) if count)
        if positive == 0:
            wanted = ", ".join(map(str, request.positive_classes))
            raise DataError(
                f"The {name} data has no pixel of the positive classes {wanted}; "
                f"it has the classes {found}. Label some, or choose other positive classes."
            )
        if positive == counts.sum():
            raise DataError(
                f"The {name} data has only the class(es) {found}: label what is not debris too, water above all."
            )


def _marida(request: InspectRequest, bands: tuple[str, ...], monitor: Monitor) -> tuple[list[Patch], list[Patch]]:
    folder = Path(str(request.folder))
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}.")
    if request.train_split and request.validation_split:
        names = patch_names(folder, request.train_split)
        kept = patch_names(folder, request.validation_split)
        both = set(names) & set(kept)
        if both and set(names) == set(kept):
            log.warning("Both lists are the same: the scores say how well it was learnt by heart, and nothing else.")
        elif both:
            raise DataError(
                f"{len(both)} patch(es) are in both lists (first: {min(both)}): the lists must not overlap."
            )
        half = len(names) / (len(names) + len(kept))
        return (
            _patches(folder, names, request.tile_size, bands, lambda f, m: monitor(half * f, m)),
            _patches(folder, kept, request.tile_size, bands, lambda f, m: monitor(half + (1 - half) * f, m)),
        )
    patches = _patches(folder, patch_names(folder), request.tile_size, bands, monitor)
    if not patches:
        raise DataError(f"No patch in {folder} has a label: look at its class rasters (_cl.tif).")
    return split_by_scene(patches, request.positive_classes, request.validation_share, request.seed)


def _patches(folder: Path, names: Sequence[str], size: int, bands: tuple[str, ...], monitor: Monitor) -> list[Patch]:
    patches = []
    for number, name in enumerate(names):
        monitor(number / len(names), f"Reading patch {number + 1} of {len(names)}")
        patch = read_patch(folder, name, bands)
        if patch is not None:
            patches += cut(patch.scene, name, size, patch.reflectance, patch.observed, patch.classes, patch.confidence)
    return patches


def _practice(request: InspectRequest) -> TrainingData:
    seen, kept = practice_split()
    options = SceneOptions(mosaic_share=MOSAIC_SHARE, signature_scenes=seen)
    seed, size = request.seed + DATA_SEED, request.tile_size
    strict = request.positive_classes == (1,)
    textures = request.textures if isinstance(request, TrainRequest) else None
    real = round(request.training_samples * request.texture_share) if isinstance(request, TrainRequest) else 0
    parts: list[TileSource] = []
    text = "practice scenes from published spectra of MARIDA's train and val scenes and of Duarte and Azevedo"
    if textures is None or request.training_samples > real:
        parts.append(PracticeTiles(request.training_samples - (real if textures else 0), size, seed, options))
    painted: list[Any] = []
    if textures and real and isinstance(request, TrainRequest):
        tiles = TextureTiles(Path(textures), request.texture_split, real, size, seed, options)
        parts.append(tiles)
        listed = f" (list {Path(request.texture_split).stem})" if request.texture_split else ""
        text += f"; practice things painted on real images of {Path(textures).name}{listed}"
        painted = [real, tiles.fingerprint]
    validation = PracticeTiles(request.validation_samples, size, VALIDATION_SEED, SceneOptions(signature_scenes=kept))
    plan = {
        "training": {"patches": request.training_samples, "scenes": list(seen), "classes": {}},
        "validation": {"patches": request.validation_samples, "scenes": list(kept), "classes": {}},
    }
    recipe = json.dumps([plan, seed, size, request.positive_classes, text, *painted], sort_keys=True)
    return TrainingData(
        training=KeptTiles(MixedTiles(parts)),
        validation=KeptTiles(validation),
        bands=MARIDA_ORDER,
        classes=CLASSES if strict else grouping_for(request.positive_classes, np.ones(256, dtype=np.int64)),
        positive=request.positive_classes,
        practice=True,
        power=0.5 if strict else 1.0,
        plan=plan,
        text=text,
        fingerprint=hashlib.sha256(recipe.encode()).hexdigest(),
    )


def _estimated(data: TrainingData) -> dict[str, Any]:
    """The plan of practice scenes with classes counted on some tiles, and scaled up."""
    plan = {}
    for name, source in (("training", data.training), ("validation", data.validation)):
        some = min(ESTIMATED_FROM, len(source))
        counts = np.zeros(256, dtype=np.int64)
        for batch in batches(source, range(some), 8):
            counts += np.bincount(batch.classes.numpy().ravel(), minlength=256)
        scaled = (counts * len(source) / some).round().astype(int)
        classes = {CLASS_NAMES[n]: int(scaled[n]) for n in range(1, len(CLASS_NAMES)) if scaled[n]}
        plan[name] = {**data.plan[name], "classes": classes, "estimated": True}
    return plan
