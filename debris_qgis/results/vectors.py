"""Detections as files that other programs read: each format with its own ways, and its limits said."""

from dataclasses import dataclass, replace
from typing import List, Optional, Tuple

from osgeo import gdal
from qgis.core import (
    NULL,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsFeature,
    QgsField,
    QgsFields,
    QgsVectorFileWriter,
    QgsWkbTypes,
)

from ..compat import TEXT
from .fields import BEGIN, END
from .selection import WGS84, Selection, has_place

SHAPEFILE_TEXT = 254
"""Longest text of a shapefile in bytes."""


class ExportError(Exception):
    """A file cannot be written; the message says which and why."""


@dataclass(frozen=True)
class Format:
    """One file format for detections."""

    name: str
    ending: str
    driver: str
    media_type: str
    lonlat: bool = False
    """Whether it is always in WGS 84 longitude and latitude."""
    options: Tuple[str, ...] = ()
    renamed: Tuple[Tuple[str, str], ...] = ()
    limits: str = ""


FORMATS = (
    Format("GeoPackage", "gpkg", "GPKG", "application/geopackage+sqlite3"),
    Format("GeoJSON", "geojson", "GeoJSON", "application/geo+json", True, ("RFC7946=YES",)),
    Format("FlatGeobuf", "fgb", "FlatGeobuf", "application/flatgeobuf"),
    Format("KML", "kml", "LIBKML", "application/vnd.google-earth.kml+xml", True, (), ((BEGIN, "begin"), (END, "end"))),
    Format("CSV", "csv", "CSV", "text/csv", True, ("GEOMETRY=AS_WKT", "STRING_QUOTING=IF_NEEDED")),
    Format(
        "Shapefile",
        "shp",
        "ESRI Shapefile",
        "application/vnd.shp",
        False,
        ("ENCODING=UTF-8",),
        (("sensing_time", "sens_time"),),
        "Shapefile: names of fields are cut to 10 characters, texts to 254 bytes, and missing texts are empty; prefer "
        "GeoPackage.",
    ),
)


def write(selection: Selection, form: Format, path: str) -> List[str]:
    """Write detections to a new file.

    Returns:
        What the format could not keep, one sentence each.

    Raises:
        ExportError: the file cannot be written, or there is no CRS for a format that needs one.
    """
    form = _writable(form)
    target = QgsCoordinateReferenceSystem(WGS84) if form.lonlat else selection.crs
    if form.lonlat and not has_place(selection.crs):
        raise ExportError(f"{form.name} needs longitude and latitude, but the detections have no CRS: assign one.")
    fields, names = _fields_for(form, selection.fields)
    writer = _writer(form, path, fields, target)
    transform = None
    if form.lonlat and selection.crs != target:
        transform = QgsCoordinateTransform(selection.crs, target, QgsCoordinateTransformContext())
    cut = 0
    for feature in selection.features:
        row, too_long = _row(form, feature, fields, names, transform)
        cut += too_long
        if not writer.addFeature(row):
            raise ExportError(f"Detection {feature['id']} cannot be written to {path}: {writer.errorMessage()}")
    writer.flushBuffer()
    problem = writer.errorMessage()
    del writer
    if problem:
        raise ExportError(f"{path} cannot be written: {problem}")
    said = [form.limits] if form.limits else []
    if cut:
        said.append(f"{form.name}: {cut} text(s) longer than {SHAPEFILE_TEXT} bytes were cut.")
    return said


def _writable(form: Format) -> Format:
    """The format with a driver that is there: some distributions package LIBKML by itself."""
    if form.driver != "LIBKML" or gdal.GetDriverByName("LIBKML") is not None:
        return form
    said = "KML: this GDAL has no LIBKML driver, so placemarks have names and no times or other fields."
    return replace(form, driver="KML", limits=said)


def _writer(form, path, fields, crs):
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = form.driver
    options.layerName = "detections"
    options.fileEncoding = "UTF-8"
    options.layerOptions = list(form.options)
    writer = QgsVectorFileWriter.create(
        path, fields, QgsWkbTypes.Type.MultiPolygon, crs, QgsCoordinateTransformContext(), options
    )
    if writer.hasError() != QgsVectorFileWriter.WriterError.NoError:
        raise ExportError(f"{path} cannot be written: {writer.errorMessage()}")
    return writer


def _fields_for(form: Format, own: QgsFields) -> Tuple[QgsFields, List[Optional[str]]]:
    """The file's fields, and which field of the detections fills each; None for what is made up here."""
    renamed = dict(form.renamed)
    fields, names = QgsFields(), []
    if form.name == "KML":
        # What phones and globes show of a placemark.
        fields.append(QgsField("Name", TEXT))
        names.append(None)
    for field in own:
        fields.append(QgsField(renamed.get(field.name(), field.name()), field.type(), "", field.length()))
        names.append(field.name())
    return fields, names


def _row(form, feature, fields, names, transform) -> Tuple[QgsFeature, int]:
    row, cut = QgsFeature(fields), 0
    for index, name in enumerate(names):
        value = f"Suspected debris {feature['id']}" if name is None else feature[name]
        if form.driver == "ESRI Shapefile" and isinstance(value, str) and len(value.encode()) > SHAPEFILE_TEXT:
            value, cut = value.encode()[:SHAPEFILE_TEXT].decode("utf-8", "ignore"), cut + 1
        row.setAttribute(index, NULL if value is None else value)
    geometry = feature.geometry()
    if transform is not None:
        geometry.transform(transform)
    geometry.convertToMultiType()
    row.setGeometry(geometry)
    return row, cut


def by_name(name: str) -> Format:
    """The format with this name or file ending, without regard to case.

    Raises:
        ExportError: there is none.
    """
    for form in FORMATS:
        if name.lower() in (form.name.lower(), form.ending):
            return form
    raise ExportError(f"There is no format {name!r}: use {', '.join(form.name for form in FORMATS)}.")
