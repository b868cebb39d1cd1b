"""From decisions to Train Model with one button."""

import os

from qgis import processing
from qgis.core import QgsProcessingFeedback, QgsProject, QgsVectorLayer

from ..results.corrections import FIELD
from ..results.provenance import model_of
from ..results.runs import Run, unfiltered
from ..results.scene_files import is_product


def make_labels(run: Run, project: QgsProject) -> QgsVectorLayer:
    """Write the decisions of a run as labels beside its detections, and add them to the project.

    Raises:
        QgsProcessingException: nothing was decided, or the file cannot be written.
    """
    table = unfiltered(run.detections)
    path = os.path.splitext(table.source().split("|")[0])[0] + "_labels.gpkg"
    for old in [layer for layer in project.mapLayers().values() if layer.source().split("|")[0] == path]:
        # The file is written anew, which an open layer would not survive.
        project.removeMapLayer(old.id())
    result = processing.run(
        "debris:corrections", {"DETECTIONS": [table], "OUTPUT": path}, feedback=QgsProcessingFeedback(False)
    )
    layer = QgsVectorLayer(result["OUTPUT"], f"{run.name}, labels", "ogr")
    project.addMapLayer(layer)
    return layer


def training_parameters(run: Run, labels: QgsVectorLayer) -> dict:
    """What Train Model is asked for: to go on from the run's model with the labels on its scene."""
    parameters = {"SOURCE": "rasters", "LABELS": [labels.id()], "LABEL_FIELD": FIELD}
    # Labels are learnt on rasters: of a product, Prepare Sentinel-2 Scene makes one.
    if run.provenance.input and not is_product(run.provenance.input):
        parameters["RASTERS"] = [run.provenance.input]
    model = model_of(run.provenance.model_sha256)
    if model is not None:
        parameters["START_FROM"] = str(model)
    return parameters
