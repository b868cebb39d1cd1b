"""Every difference between QGIS 3.22 and 4.x that this plugin meets, in one place."""

from qgis.core import (
    Qgis,
    QgsMapLayerProxyModel,
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterField,
    QgsProcessingParameterFile,
    QgsProcessingParameterNumber,
    QgsRasterLayerTemporalProperties,
    QgsRenderContext,
    QgsVectorDataProvider,
    QgsVectorLayerTemporalProperties,
    QgsWkbTypes,
)
from qgis.PyQt import QtGui, QtWidgets
from qgis.PyQt.QtCore import QMetaType, QVariant


def _first(*paths):
    """The first of several dotted names, each below an object, that this QGIS has."""
    for start, names in paths:
        found = start
        for name in names.split("."):
            found = getattr(found, name, None)
        if found is not None:
            return found
    raise AttributeError(f"none of {', '.join(names for _, names in paths)}")


def number_of(flag) -> int:
    """The number of a flag of Qt, which Qt 6 does not take for one by itself."""
    return int(getattr(flag, "value", flag))


ADVANCED = _first((Qgis, "ProcessingParameterFlag.Advanced"), (QgsProcessingParameterDefinition, "FlagAdvanced"))
INTEGER = _first((Qgis, "ProcessingNumberParameterType.Integer"), (QgsProcessingParameterNumber, "Integer"))
DOUBLE = _first((Qgis, "ProcessingNumberParameterType.Double"), (QgsProcessingParameterNumber, "Double"))
FILE = _first((Qgis, "ProcessingFileParameterBehavior.File"), (QgsProcessingParameterFile, "File"))
FOLDER = _first((Qgis, "ProcessingFileParameterBehavior.Folder"), (QgsProcessingParameterFile, "Folder"))
RASTERS = _first((Qgis, "ProcessingSourceType.Raster"), (QgsProcessing, "TypeRaster"))
ANY_LAYERS = _first((Qgis, "ProcessingSourceType.MapLayer"), (QgsProcessing, "TypeMapLayer"))
NUMERIC_FIELD = _first((Qgis, "ProcessingFieldParameterDataType.Numeric"), (QgsProcessingParameterField, "Numeric"))
POLYGON_GEOMETRY = _first((Qgis, "GeometryType.Polygon"), (QgsWkbTypes, "PolygonGeometry"))
POLYGONS = _first((Qgis, "ProcessingSourceType.VectorPolygon"), (QgsProcessing, "TypeVectorPolygon"))
TEXT = _first((QVariant, "String"), (QMetaType, "Type.QString"))
WHOLE = _first((QVariant, "Int"), (QMetaType, "Type.Int"))
REAL = _first((QVariant, "Double"), (QMetaType, "Type.Double"))
ADD_FIELDS = _first(
    (Qgis, "VectorProviderCapability.AddAttributes"), (QgsVectorDataProvider, "Capability.AddAttributes")
)
TIMES_BY_EXPRESSION = _first(
    (Qgis, "VectorTemporalMode.FeatureDateTimeStartAndEndFromExpressions"),
    (QgsVectorLayerTemporalProperties, "ModeFeatureDateTimeStartAndEndFromExpressions"),
)
# PDFs whose words can be searched and copied.
TEXT_AS_TEXT = _first((Qgis, "TextRenderFormat.AlwaysText"), (QgsRenderContext, "TextFormatAlwaysText"))
FIXED_TIME = _first(
    (Qgis, "RasterTemporalMode.FixedTemporalRange"), (QgsRasterLayerTemporalProperties, "ModeFixedTemporalRange")
)
NO_THREADING = _first(
    (Qgis, "ProcessingAlgorithmFlag.NoThreading"),
    (QgsProcessingAlgorithm, "Flag.FlagNoThreading"),
    (QgsProcessingAlgorithm, "FlagNoThreading"),
)


def layer_filter(name: str):
    """A filter of layers by name, such as PolygonLayer; QGIS 3.34 moved them."""
    found = _first((Qgis, f"LayerFilter.{name}"), (QgsMapLayerProxyModel, name))
    return QgsMapLayerProxyModel.Filters(found) if hasattr(QgsMapLayerProxyModel, "Filters") else found


# Qt 6 moved them.
QShortcut = _first((QtGui, "QShortcut"), (QtWidgets, "QShortcut"))
QAction = _first((QtGui, "QAction"), (QtWidgets, "QAction"))
