"""Going on with a handful of corrections on a real scene: false detections go, and nothing is lost elsewhere."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from affine import Affine
from scipy import ndimage

from engine import modelfile
from engine.bands import MARIDA_ORDER
from engine.evaluation import POSITIVE
from engine.jobs import TrainRequest
from engine.marida import LabelledPatch, patch_names, read_patch
from engine.prediction import Predictor
from engine.training import train

MARIDA = Path(__file__).parents[3] / "shared" / "data" / "marida"
BUNDLED = Path(__file__).parents[2] / "engine" / "models" / "default.safetensors"
SCENE = "S2_15-11-20_16PCC"
AROUND = np.ones((3, 3))
SIDE = 256
Mask = npt.NDArray[np.bool_]


@pytest.mark.slow
def test_a_handful_of_corrections_removes_a_scenes_false_detections_and_keeps_the_rest(tmp_path: Path):
    """On a real scene: what is labelled as something else is rejected, debris accepted; nothing is lost elsewhere."""
    if not MARIDA.is_dir():
        pytest.skip(f"no MARIDA patches at {MARIDA}")
    patches = {name: read_patch(MARIDA, name, MARIDA_ORDER) for name in patch_names(MARIDA)}
    known = {name: patch for name, patch in patches.items() if patch is not None}
    network, card, _ = modelfile.load(BUNDLED)
    # A good model has few false detections in a scene at its own threshold; somebody who wants to miss nothing sets a
    # lower one, and has five or more to reject. A careful person looks at detections a little below it too.
    before, threshold = probabilities(BUNDLED, known), card.threshold
    while threshold > 0.02 and len(detections(before, known, threshold)[0]) < 5:
        threshold *= 0.9
    line = 0.8 * threshold
    start = tmp_path / "start.safetensors"
    modelfile.save(start, network, dataclasses.replace(card, threshold=threshold))
    wrong, true = detections(before, known, line)
    # What is missed altogether, a person draws by hand.
    chosen = (wrong[:8] + true + missed(before, known, line))[:10]
    assert threshold > 0.02, "so low a threshold nobody sets"
    assert 8 <= len(chosen) <= 10
    rasters, labels = write_scene(known, chosen, before, line, tmp_path)
    model = tmp_path / "corrected.safetensors"
    request = TrainRequest(
        source="rasters", rasters=rasters, labels=labels, start_from=str(start), model=str(model), tile_size=128,
        epochs=12, warmup_epochs=2, patience=12, learning_rate=1e-3,
    )  # fmt: skip
    train(request)
    after = probabilities(model, known)
    # Thresholds stay those of the start, so this is what the mask shows.
    still, kept = detections(after, known, threshold)
    assert len(still) <= len(wrong) // 8
    assert len(kept) >= len(true) - 1
    assert f1(after, known, threshold) >= f1(before, known, threshold) - 0.02


def probabilities(model: Path, known: dict[str, LabelledPatch]) -> dict[str, npt.NDArray[np.float32]]:
    predictor = Predictor(model)
    return {
        name: predictor.probabilities(patch.reflectance[None], patch.observed[None])[0][0]
        for name, patch in known.items()
    }


def detections(
    probability: dict[str, npt.NDArray[np.float32]], known: dict[str, LabelledPatch], line: float
) -> tuple[list[tuple[str, Mask, int]], list[tuple[str, Mask, int]]]:
    """Detections of the scene whose labels say that they are something else, and those that are debris."""
    wrong, true = [], []
    for name, patch in known.items():
        if patch.scene != SCENE:
            continue
        places, count = ndimage.label(probability[name] >= line, AROUND)
        for number in range(1, count + 1):
            labels = patch.classes[places == number]
            labels = labels[labels > 0]
            if (labels == POSITIVE["strict"][0]).any():
                true.append((name, places == number, 1))
            elif len(labels):
                wrong.append((name, places == number, 7))
    return wrong, true


def missed(
    probability: dict[str, npt.NDArray[np.float32]], known: dict[str, LabelledPatch], line: float
) -> list[tuple[str, Mask, int]]:
    """Labelled debris of the scene that has no detection."""
    found = []
    for name, patch in known.items():
        if patch.scene != SCENE:
            continue
        places, count = ndimage.label(patch.classes == POSITIVE["strict"][0], AROUND)
        groups = [places == number for number in range(1, count + 1)]
        found += [(name, group, 1) for group in groups if probability[name][group].max() < line]
    return found


def write_scene(
    known: dict[str, LabelledPatch], chosen: list[tuple[str, Mask, int]],
    probability: dict[str, npt.NDArray[np.float32]], line: float, folder: Path,
) -> tuple[tuple[str], tuple[str]]:  # fmt: skip
    """All images of the scene side by side as one raster, and a class raster."""
    names = [name for name, patch in known.items() if patch.scene == SCENE]
    across = int(np.ceil(len(names) ** 0.5))
    image = np.full((len(MARIDA_ORDER), across * SIDE, across * SIDE), np.nan, dtype=np.float32)
    classes = np.zeros(image.shape[1:], dtype=np.uint8)
    for place, name in enumerate(names):
        at = np.s_[..., place // across * SIDE :, place % across * SIDE :]
        patch, own = known[name], [(mask, number) for where, mask, number in chosen if where == name]
        image[at][..., :SIDE, :SIDE] = np.where(patch.observed, patch.reflectance, np.nan)
        if own:
            classes[at][:SIDE, :SIDE] = labels_of(own, probability[name] >= line)
    grid = {"driver": "GTiff", "height": len(classes), "width": len(classes), "transform": Affine(10, 0, 0, 0, -10, 0)}
    raster, labels = folder / "scene.tif", folder / "labels.tif"
    with rasterio.open(
        raster, "w", count=len(image), dtype="float32", nodata=np.nan, crs="EPSG:32616", **grid
    ) as target:
        target.write(image)
    with rasterio.open(labels, "w", count=1, dtype="uint8", crs="EPSG:32616", **grid) as target:
        target.write(classes, 1)
    return (str(raster),), (str(labels),)


def labels_of(places: list[tuple[Mask, int]], detected: Mask) -> npt.NDArray[np.uint8]:
    """Classes as `debris:corrections` writes them: each place, and a ring of water around it after a gap of 20 m."""
    free = ~ndimage.binary_dilation(np.any([detected, *(place for place, _ in places)], axis=0), AROUND, 2)
    classes = np.zeros(free.shape, dtype=np.uint8)
    for place, _ in places:
        classes[ndimage.binary_dilation(place, AROUND, 8) & free] = 7
    for place, number in places:
        classes[place] = number
    return classes


def f1(probability: dict[str, npt.NDArray[np.float32]], known: dict[str, LabelledPatch], line: float) -> float:
    """Strict F1 over the labelled pixels of all other scenes."""
    hits = flagged = debris = 0
    for name, patch in known.items():
        labelled = patch.observed & (patch.classes > 0)
        if patch.scene == SCENE:
            continue
        found, truth = probability[name][labelled] >= line, patch.classes[labelled] == 1
        hits, flagged, debris = hits + (found & truth).sum(), flagged + found.sum(), debris + truth.sum()
    return float(2 * hits / (flagged + debris))
