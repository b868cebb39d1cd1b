"""What a person does with the results panel, and what they see, for the tests that drive it."""

from __future__ import annotations

import time

import numpy as np
from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsMapRendererSequentialJob,
    QgsMapSettings,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QImage

from debris_qgis.about import STYLES

LAYERS = {"DETECTIONS": QgsVectorLayer, "MASK": QgsRasterLayer, "PROBABILITY": QgsRasterLayer}


def load(project, run):
    """The layers of a run, styled and in one group, as Detect Marine Debris leaves them."""
    group = project.layerTreeRoot().addGroup("scene")
    for name in (name for name in LAYERS if name in run):
        layer = LAYERS[name](run[name], name.lower())
        assert layer.isValid()
        layer.loadNamedStyle(str(STYLES / f"{name.lower()}.qml"))
        project.addMapLayer(layer, False)
        group.addLayer(layer)
    return group


def wait(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        QgsApplication.processEvents()
        time.sleep(0.005)
    assert condition()


def shown(panel):
    """Numbers of the detections in the table, from top to bottom."""
    return [panel.model.data(panel.model.index(place, 0)) for place in range(panel.model.rowCount())]


def current(panel):
    return panel.model.data(panel.model.index(panel.controls.table.currentIndex().row(), 0))


def stored(run):
    """What stands in the file, read by GDAL, by number."""
    dataset = gdal.OpenEx(run["DETECTIONS"], gdal.OF_VECTOR)
    return {feature["id"]: feature.items() for feature in dataset.GetLayer("detections")}


def choose(box, data):
    box.setCurrentIndex(box.findData(data))


def drawn(layers):
    """What a map of some layers looks like, (rows, columns, RGB)."""
    settings = QgsMapSettings()
    settings.setLayers(layers)
    settings.setExtent(layers[0].extent())
    settings.setDestinationCrs(layers[0].crs())
    settings.setOutputSize(QSize(400, 400))
    job = QgsMapRendererSequentialJob(settings)
    job.start()
    job.waitForFinished()
    picture = job.renderedImage().convertToFormat(QImage.Format.Format_RGB32)
    bits = picture.bits()
    bits.setsize(picture.sizeInBytes())
    return np.frombuffer(bits, np.uint8).reshape(picture.height(), picture.width(), 4)[..., 2::-1].astype(int)


def orange(picture):
    return (np.abs(picture - np.array((0xD5, 0x5E, 0x00))).sum(axis=2) < 30).sum()
