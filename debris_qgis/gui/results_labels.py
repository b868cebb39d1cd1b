"""From decisions to Train Model with one button."""

import os
from typing import Tuple

from qgis import processing
from qgis.core import QgsProcessingFeedback, QgsProject, QgsVectorLayer

from ..results.corrections import FIELD
from ..results.provenance import model_of
from ..results.runs import Run, unfiltered
from ..results.scene_files import is_product
from .results_summary import tr

NUMBER = "debris/labels"
"""Property of a layer of labels: which it is of those that were made of one table."""


def make_labels(run: Run, project: QgsProject) -> QgsVectorLayer:
    """Write the decisions of a run as labels beside its detections, and add them to the project.

    A file of labels that is there is left alone: people draw into it.

    Raises:
        QgsProcessingException: nothing was decided, or the file cannot be written.
    """
    table = unfiltered(run.detections)
    path, number = _free(os.path.splitext(table.source().split("|")[0])[0] + "_labels")
    result = processing.run(
        "debris:corrections", {"DETECTIONS": [table], "OUTPUT": path}, feedback=QgsProcessingFeedback(False)
    )
    name = tr("{}, labels").format(run.name) + (f" {number}" if number > 1 else "")
    layer = QgsVectorLayer(result["OUTPUT"], name, "ogr")
    layer.setCustomProperty(NUMBER, number)
    project.addMapLayer(layer)
    return layer


def _free(stem: str) -> Tuple[str, int]:
    """A name that no file has, and its number: detections_labels.gpkg, detections_labels_2.gpkg and so on."""
    path, number = f"{stem}.gpkg", 1
    while os.path.exists(path):
        number += 1
        path = f"{stem}_{number}.gpkg"
    return path, number


def said_of(labels: QgsVectorLayer) -> str:
    """What to tell of labels that were made: how many and where, and what became of those before."""
    file = os.path.basename(labels.source().split("|")[0])
    said = tr("{} label(s) in the layer {}, file {}.").format(labels.featureCount(), labels.name(), file)
    if labels.customProperty(NUMBER) == 1:
        return said
    kept = "Labels made before are kept in their own file; what was drawn into that by hand is not in this one."
    return f"{said} {tr(kept)}"


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
