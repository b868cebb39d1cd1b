"""Labelled data as parameters: a folder in MARIDA's layout, or rasters with class rasters or polygons.

Layers are taken apart in the main thread, into files that the engine can open.
"""

import os
import re

from qgis.core import (
    QgsMapLayer,
    QgsProcessingException,
    QgsProcessingParameterField,
    QgsProcessingParameterFile,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
    QgsProcessingUtils,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..compat import ANY_LAYERS, DOUBLE, FOLDER, NUMERIC_FIELD, POLYGON_GEOMETRY, RASTERS
from .layer_crs import each_crs_for_engine
from .polygon_files import PolygonFileError, polygon_file

CLASS_LIST = re.compile(r"\s*\d+\s*([,;\s]\s*\d+\s*)*")


class LabelledDataError(Exception):
    """The layers cannot be handed to the engine; the message says which and why."""


def tr(text):
    """Translate a text of the user interface."""
    return QCoreApplication.translate("MarineDebris", text)


def add_data_parameters(algorithm):
    """FOLDER, RASTERS, LABELS, LABEL_FIELD and POSITIVE_CLASSES."""
    algorithm.add(
        QgsProcessingParameterFile("FOLDER", tr("Folder in MARIDA's layout"), FOLDER, optional=True),
        tr("It holds patches/ (each patch with its _cl and _conf) and splits/."),
    )
    algorithm.add(
        QgsProcessingParameterMultipleLayers("RASTERS", tr("Rasters with Sentinel-2 bands"), RASTERS, optional=True),
        tr("As Detect takes them."),
    )
    algorithm.add(
        QgsProcessingParameterMultipleLayers("LABELS", tr("Labels of the rasters"), ANY_LAYERS, optional=True),
        tr("One layer of polygons for all rasters, in any CRS, or a class raster for each, in the same order."),
    )
    algorithm.add(
        QgsProcessingParameterField(
            "LABEL_FIELD", tr("Field with the class number"), None, "LABELS", NUMERIC_FIELD, False, True
        ),
        tr("Of the polygons. Classes are numbered as in MARIDA: 1 marine debris … 7 marine water … 15; 16 land."),
    )
    algorithm.add(
        QgsProcessingParameterString("POSITIVE_CLASSES", tr("Classes that count as debris"), "1"),
        tr("1: debris alone (strict). 1,2,3,4,9: all floating matter. Any other list of class numbers."),
    )


def add_band_parameters(algorithm):
    """BANDS, SCALE and OFFSET, among the advanced ones."""
    algorithm.add(
        QgsProcessingParameterString("BANDS", tr("Band numbers"), None, False, True),
        tr("As B1=1,B2=2,…, where the names of the rasters' bands do not tell."),
        advanced=True,
    )
    for name, label in (("SCALE", "Scale"), ("OFFSET", "Offset")):
        algorithm.add(
            QgsProcessingParameterNumber(name, tr(label), DOUBLE, None, True),
            tr("Reflectance = stored number x scale + offset. From the file where empty."),
            advanced=True,
        )


def class_numbers(text) -> list:
    """Class numbers from a text such as "1,2,3".

    Raises:
        LabelledDataError: it is no such list.
    """
    if not CLASS_LIST.fullmatch(text or ""):
        raise LabelledDataError(
            tr("Classes that count as debris are {!r}: write class numbers, as 1 or 1,2,3,4,9.").format(text)
        )
    return [int(number) for number in re.findall(r"\d+", text)]


def raster_path(layer: QgsMapLayer) -> str:
    """What GDAL opens for a raster layer.

    Raises:
        LabelledDataError: it is no raster that GDAL reads.
    """
    if not isinstance(layer, QgsRasterLayer) or layer.providerType() != "gdal":
        raise LabelledDataError(
            tr("{} is no raster file (but a layer of the kind {}): save its bands to a file first.")
            .format(layer.name(), layer.providerType())
        )  # fmt: skip
    source = layer.source().split("|option:")[0]
    return os.path.abspath(source) if os.path.exists(source) else source


def label_source(layer: QgsMapLayer, folder=None) -> tuple:
    """Path and layer name (or None) of what holds a layer's labels, for the engine to open.

    Args:
        layer: polygons or a class raster.
        folder: where a copy goes, if one is needed; a temporary folder where None.

    Raises:
        LabelledDataError: neither class raster nor polygons, or they cannot be written to a file.
    """
    _check_labels(layer)
    if isinstance(layer, QgsRasterLayer):
        return raster_path(layer), None
    try:
        return polygon_file(layer, "labels", folder)
    except PolygonFileError as error:
        raise LabelledDataError(str(error)) from error


def _check_labels(layer):
    """Refuse what can be no labels."""
    if isinstance(layer, QgsRasterLayer):
        raster_path(layer)
        return
    if not isinstance(layer, QgsVectorLayer) or layer.geometryType() != POLYGON_GEOMETRY:
        raise LabelledDataError(tr("{} cannot be labels: choose polygons or a class raster.").format(layer.name()))
    if not layer.crs().isValid():
        raise LabelledDataError(
            tr("The layer {} has no CRS, so it is not known where its polygons lie: assign one.").format(layer.name())
        )


def check_sources(rasters, labels, field) -> None:
    """Refuse layers that do not fit each other, or cannot be handed over.

    Raises:
        LabelledDataError: which, and why.
    """
    if not labels:
        raise LabelledDataError(tr("The rasters have no labels: choose class rasters or a layer of polygons."))
    for layer in rasters:
        raster_path(layer)
    for layer in labels:
        _check_labels(layer)
    vector = [layer for layer in labels if isinstance(layer, QgsVectorLayer)]
    if not vector:
        return
    if len(labels) > 1:
        raise LabelledDataError(tr("Choose one layer of polygons for all rasters, or one class raster for each."))
    if not field:
        raise LabelledDataError(tr("Choose the field of {} that holds the class number.").format(vector[0].name()))
    if vector[0].fields().indexOf(field) < 0:
        names = ", ".join(one.name() for one in vector[0].fields())
        raise LabelledDataError(tr("{} has no field {!r}; it has {}.").format(vector[0].name(), field, names))


def sources_of(rasters, labels, field, folder=None) -> dict:
    """Raster and label layers as fields of a request; `folder` as in `label_source`.

    Raises:
        LabelledDataError: as `check_sources`, or a copy cannot be written.
    """
    if not rasters:
        return {"rasters": [], "labels": []}
    check_sources(rasters, labels, field)
    found = [label_source(layer, folder) for layer in labels]
    return {
        "rasters": [raster_path(layer) for layer in rasters],
        "labels": [path for path, _ in found],
        "crs": each_crs_for_engine(rasters),
        "label_crs": each_crs_for_engine(labels),
        "label_layer": found[0][1],
        "label_field": field if isinstance(labels[0], QgsVectorLayer) else None,
    }


class LabelledData:
    """The parameters' layers, taken in the main thread, as fields of a request."""

    def __init__(self, algorithm, parameters, context) -> None:
        """Read FOLDER, RASTERS, LABELS, LABEL_FIELD, POSITIVE_CLASSES, BANDS, SCALE and OFFSET.

        Raises:
            QgsProcessingException: they cannot be used.
        """
        self.folder = algorithm.parameterAsFile(parameters, "FOLDER", context) or None
        try:
            self.sources = sources_of(*_layers(algorithm, parameters, context))
            positive = class_numbers(algorithm.parameterAsString(parameters, "POSITIVE_CLASSES", context))
        except LabelledDataError as error:
            raise QgsProcessingException(str(error)) from error
        self.common = {
            "positive_classes": positive,
            "bands": algorithm.parameterAsString(parameters, "BANDS", context).strip() or None,
            "scale": algorithm.number(parameters, "SCALE", context),
            "offset": algorithm.number(parameters, "OFFSET", context),
        }


def _layers(algorithm, parameters, context):
    """Raster layers, label layers and the field, as chosen."""
    fields = algorithm.parameterAsFields(parameters, "LABEL_FIELD", context)
    rasters = algorithm.parameterAsLayerList(parameters, "RASTERS", context)
    return rasters, algorithm.parameterAsLayerList(parameters, "LABELS", context), fields[0] if fields else None


def data_problem(algorithm, parameters, context) -> str:
    """What is wrong with the values, told without opening much; or an empty text."""
    folder = algorithm.parameterAsString(parameters, "FOLDER", context)
    if folder and not os.path.isdir(folder):
        return tr("There is no folder {}.").format(folder)
    for name in ("RASTERS", "LABELS"):
        values = parameters.get(name)
        values = [values] if isinstance(values, str) else values or []
        for value in values:
            if isinstance(value, str) and QgsProcessingUtils.mapLayerFromString(value, context) is None:
                return tr("{}: {} is no layer and no file that can be opened.").format(name, value)
    try:
        class_numbers(algorithm.parameterAsString(parameters, "POSITIVE_CLASSES", context))
        if parameters.get("RASTERS"):
            check_sources(*_layers(algorithm, parameters, context))
    except LabelledDataError as error:
        return str(error)
    return ""
