"""Make Practice Scene in a real QGIS."""

from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal
from qgis import processing
from qgis.core import (
    QgsProcessingException,
    QgsRasterLayer,
)

from .conftest import RecordingFeedback


def read(path):
    return gdal.Open(str(path)).ReadAsArray()


def left(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def test_practice_scene_and_its_labels(out):
    result = processing.run(
        "debris:simulate",
        {
            "WIDTH": 128,
            "HEIGHT": 96,
            "SEED": 5,
            "WITHOUT": "cloud, nodata",
            "OUTPUT": str(out / "s.tif"),
            "LABELS": str(out / "l.tif"),
        },
        feedback=RecordingFeedback(),
    )
    scene, labels = QgsRasterLayer(result["OUTPUT"], "s"), QgsRasterLayer(result["LABELS"], "l")
    assert (scene.width(), scene.height(), scene.bandCount()) == (128, 96, 11)
    assert scene.extent() == labels.extent()
    assert scene.crs().isValid()
    assert 6 not in np.unique(read(result["LABELS"]))
    assert labels.renderer().type() == "paletted"
    written = gdal.Open(result["OUTPUT"])
    assert written.GetRasterBand(9).GetDescription() == "B8A"


def test_an_unknown_ingredient_lists_the_known(out):
    with pytest.raises(QgsProcessingException, match="debris"):
        processing.run(
            "debris:simulate",
            {"WITHOUT": "unicorns", "OUTPUT": str(out / "s.tif"), "LABELS": str(out / "l.tif")},
            feedback=RecordingFeedback(),
        )
    assert left(out) == []
