"""Small labelled data that a small network learns from in seconds: water, debris that is bright in B8, polygons."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsFeature,
    QgsGeometry,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
)

from .conftest import B8

SIDE, TILE = 160, 32
ORIGIN, PIXEL = (500000.0, 600000.0), 10.0
DEBRIS, WATER = 1, 7
QUICK = {
    "WIDTH": 4,
    "EPOCHS": 2,
    "BATCH_SIZE": 8,
    "WARMUP_EPOCHS": 0,
    "TILE_SIZE": TILE,
    "VALIDATION_SHARE": 0.3,
    "TRAINING_SAMPLES": 4,
    "VALIDATION_SAMPLES": 2,
    "DEVICE": "cpu",
}
SCENES = ("S2_22-12-20_18QYF", "S2_16-2-18_16PEC", "S2_12-12-20_16PCC")


def patterns():
    """Row, column, height, width and class of what is labelled: debris and water in every fifth of the raster."""
    for row in range(0, SIDE, TILE):
        for column in range(0, SIDE, TILE):
            yield row + 6, column + 5, 3, 12, DEBRIS
            yield row + 16, column + 4, 9, 20, WATER


def pixels(seed=0) -> np.ndarray:
    """Reflectance, (11, SIDE, SIDE) float32."""
    array = np.random.default_rng(seed).normal(0.02, 0.002, (11, SIDE, SIDE)).astype(np.float32)
    for row, column, height, width, number in patterns():
        if number == DEBRIS:
            array[B8, row : row + height, column : column + width] += 0.15
    return array


def class_raster() -> np.ndarray:
    """Class numbers, (1, SIDE, SIDE) uint8."""
    array = np.zeros((1, SIDE, SIDE), dtype=np.uint8)
    for row, column, height, width, number in patterns():
        array[0, row : row + height, column : column + width] = number
    return array


def polygons(crs="EPSG:4326", field="class", number_of=int) -> QgsVectorLayer:
    """A temporary layer with a polygon for each pattern; `number_of` makes the class number from the true one."""
    layer = QgsVectorLayer(f"Polygon?crs={crs}&field={field}:integer", "my labels", "memory")
    transform = QgsCoordinateTransform(
        QgsCoordinateReferenceSystem("EPSG:32630"), QgsCoordinateReferenceSystem(crs), QgsProject.instance()
    )
    features = []
    for row, column, height, width, number in patterns():
        left, top = ORIGIN[0] + column * PIXEL, ORIGIN[1] - row * PIXEL
        # A metre inside, so that another CRS does not decide about pixels at the rim.
        box = QgsRectangle(left + 1, top - height * PIXEL + 1, left + width * PIXEL - 1, top - 1)
        geometry = QgsGeometry.fromRect(box)
        geometry.transform(transform)
        feature = QgsFeature(layer.fields())
        feature.setGeometry(geometry)
        feature.setAttribute(field, number_of(number))
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    layer.updateExtents()
    return layer


def few_patches(marida: Path, folder: Path) -> Path:
    """The three patches with most debris of each of some scenes, in MARIDA's layout, with real pixels."""
    from osgeo import gdal

    (folder / "splits").mkdir(parents=True)
    names = []
    for scene in SCENES:
        patches = sorted((marida / "patches" / scene).glob("*_cl.tif"))
        best = sorted(patches, key=lambda path: -int((gdal.Open(str(path)).ReadAsArray() == DEBRIS).sum()))[:3]
        (folder / "patches" / scene).mkdir(parents=True)
        for path in best:
            stem = path.name[: -len("_cl.tif")]
            names.append(stem)
            for ending in (".tif", "_cl.tif", "_conf.tif"):
                if path.with_name(stem + ending).is_file():
                    shutil.copy(path.with_name(stem + ending), folder / "patches" / scene)
    (folder / "splits" / "all_X.txt").write_text("\n".join(name[3:] for name in names) + "\n")
    return folder
