"""Layers of polygons as files that the engine opens: their own, or a copy where QGIS shows something else.

What only QGIS can read (a temporary layer, a database), or only QGIS knows (a filter, edits that are not saved, a CRS
that a person has set) is written to a GeoPackage first, in the layer's own CRS; the engine brings it to the raster's.
"""

import os
from typing import Optional, Tuple

from qgis.core import (
    QgsProcessingUtils,
    QgsProject,
    QgsProviderRegistry,
    QgsVectorFileWriter,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QCoreApplication

# Formats of polygons that the engine reads as they are.
FORMATS = (".gpkg", ".shp", ".geojson", ".fgb")


class PolygonFileError(Exception):
    """A layer cannot be written to a file; the message says which and why."""


def polygon_file(layer: QgsVectorLayer, name: str, folder: Optional[str] = None) -> Tuple[str, Optional[str]]:
    """Path and layer name (or None) of a file that holds just what a layer shows.

    Args:
        layer: polygons.
        name: of the copy, if one is needed.
        folder: where that goes; a temporary folder where None.

    Raises:
        PolygonFileError: the copy cannot be written.
    """
    return _stored(layer) or (_exported(layer, name, folder), None)


def _stored(layer):
    """Path and layer name where the file holds just what the layer shows, else None."""
    if layer.providerType() != "ogr" or layer.subsetString() or layer.isModified():
        return None
    parts = QgsProviderRegistry.instance().decodeUri("ogr", layer.source())
    path, name = parts.get("path"), parts.get("layerName") or None
    if not path or not os.path.isfile(path) or parts.get("layerId") not in (None, ""):
        return None
    if not path.lower().endswith(FORMATS):
        return None
    # A CRS that the person has given to the layer, and the file does not know, would be lost.
    return (os.path.abspath(path), name) if layer.dataProvider().crs() == layer.crs() else None


def _exported(layer, name, folder):
    file = f"{name}.gpkg"
    path = os.path.join(folder, file) if folder else QgsProcessingUtils.generateTempFilename(file)
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    options.layerName = name
    # The engine needs no feature ids, and they would make the writing fail: of what is drawn but not saved they are no
    # numbers yet ("Autogenerate"), and a field of the name fid need not be unique.
    keys = layer.primaryKeyAttributes()
    options.attributes = [index for index in layer.fields().allAttributesList() if index not in keys]
    options.skipAttributeCreation = not options.attributes
    options.layerOptions = ["FID=debris_fid"]
    context = QgsProject.instance().transformContext()
    answer = QgsVectorFileWriter.writeAsVectorFormatV3(layer, path, context, options)
    if answer[0] != QgsVectorFileWriter.WriterError.NoError:
        text = QCoreApplication.translate("MarineDebris", "The polygons of {} cannot be written: {}")
        raise PolygonFileError(text.format(layer.name(), answer[1]))
    return path
