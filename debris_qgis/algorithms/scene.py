"""What the algorithms on scenes share: a raster or a product, its level, and where in it to look."""

import os
import re

from qgis.core import (
    QgsProcessingException,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFile,
    QgsProcessingParameterMapLayer,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsRasterLayer,
)

from ..about import version
from ..compat import DOUBLE, FILE, INTEGER, POLYGONS, RASTERS
from .base import EngineAlgorithm
from .layer_crs import crs_for_engine
from .polygon_files import PolygonFileError, polygon_file

LEVELS = ("auto", "L1C", "L2A", "Rayleigh-corrected")
MASKS = ("auto", "image", "none")
BANDS = re.compile(r"\s*\w+\s*=\s*[1-9]\d*(\s*[,;\s]\s*\w+\s*=\s*[1-9]\d*)*\s*")
SINGLE_BANDS = (".jp2", ".tif", ".tiff")
PRODUCT_FILTER = "Products (*.zip *.xml *.nc *.jp2 *.tif *.tiff *.json)"


class SceneAlgorithm(EngineAlgorithm):
    """An algorithm on one raster or product."""

    def add_scene(self):
        """Declare the scene itself."""
        self.add(
            QgsProcessingParameterRasterLayer("INPUT", self.tr("Raster with Sentinel-2 bands"), None, True),
            self.tr("A raster of many bands. Or name a product below."),
        )
        self.add(
            QgsProcessingParameterFile(
                "PRODUCT", self.tr("or Sentinel-2 product"), FILE, optional=True, fileFilter=PRODUCT_FILTER
            ),
            self.tr(
                "A product's zip, its MTD_MSIL1C.xml or MTD_MSIL2A.xml, a SAFE folder, an L2R file of ACOLITE, a "
                "folder of single-band files, or any one of those files. Several files: separated by semicolons."
            ),
        )
        self.add(
            QgsProcessingParameterEnum("LEVEL", self.tr("Processing level"), list(LEVELS), False, "auto", False, True),
            self.tr("As the product says where auto. L1C is Rayleigh-corrected first; that needs the whole product."),
        )
        self.add(
            QgsProcessingParameterExtent("EXTENT", self.tr("Extent to look at"), optional=True),
            self.tr("All of it where empty; may be in any CRS."),
        )
        for name, label, text in (
            ("AREA", "Area to look at", "Polygons, or a raster that is not 0 there; what lies beside is not observed."),
            ("WATER", "Water", "Polygons, or a raster that is not 0 there; all else is land. Told by itself if empty."),
        ):
            self.add(
                QgsProcessingParameterMapLayer(name, self.tr(label), None, True, [RASTERS, POLYGONS]), self.tr(text)
            )

    def add_scene_advanced(self):
        """Declare how masks are drawn, and what is seldom needed to read a raster."""
        self.add(
            QgsProcessingParameterEnum(
                "MASKS", self.tr("Land and cloud from"), list(MASKS), False, "auto", False, True
            ),
            self.tr("auto: the product's own masks, else the image; image: the image alone; none: look everywhere."),
            advanced=True,
        )
        for name, label, default in (
            ("SHORE", "Width of shore left out (pixels)", 2),
            ("CLOUD_COLLAR", "Width around cloud left out (pixels)", 5),
        ):
            self.add(QgsProcessingParameterNumber(name, self.tr(label), INTEGER, default, False, 0, 100), advanced=True)
        self.add(
            QgsProcessingParameterString("BANDS", self.tr("Band numbers"), None, False, True),
            self.tr("As B1=1,B2=2,…, where the bands' names do not tell."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterNumber("SCALE", self.tr("Scale"), DOUBLE, None, True),
            self.tr(
                "Reflectance = stored number x scale + offset. Where empty from the file; 0.0001 for Sentinel-2 DN."
            ),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterNumber("OFFSET", self.tr("Offset"), DOUBLE, None, True),
            self.tr("In reflectance: -0.1 for DN of processing baseline 04.00 and later. From the file where empty."),
            advanced=True,
        )

    def scene_problem(self, parameters, context):
        """What is wrong with the scene's parameters, told without opening it, or an empty text."""
        source, product = parameters.get("INPUT"), self.parameterAsString(parameters, "PRODUCT", context).strip()
        if bool(source) == bool(product):
            return self.tr("Choose one of the two: a raster, or a Sentinel-2 product.")
        if product:
            lost = next((part for part in _parts(product) if _is_plain(part) and not os.path.exists(part)), None)
            if lost:
                return self.tr("There is no file or folder {}.").format(lost)
        elif isinstance(source, str) and self.parameterAsRasterLayer(parameters, "INPUT", context) is None:
            if os.path.exists(source):
                return self.tr("{} is no raster that can be opened.").format(source)
            return self.tr("There is no raster {}.").format(source)
        elif source and (problem := self._kind_problem(self.parameterAsRasterLayer(parameters, "INPUT", context))):
            return problem
        bands = self.parameterAsString(parameters, "BANDS", context)
        if bands.strip() and not BANDS.fullmatch(bands):
            return self.tr("Band numbers are {!r}: write them as B1=1,B2=2,…").format(bands)
        for name in ("AREA", "WATER"):
            value = parameters.get(name)
            if isinstance(value, str) and value and self.parameterAsLayer(parameters, name, context) is None:
                return self.tr("{} is {}, which is no layer that can be opened.").format(name, value)
        return ""

    def prepareAlgorithm(self, parameters, context, feedback):  # noqa: N802
        """Take what is needed from layers, in the main thread: a layer must not be touched in another."""
        product = self.parameterAsString(parameters, "PRODUCT", context).strip()
        layer = None if product else self.parameterAsRasterLayer(parameters, "INPUT", context)
        if layer is None and not product:
            raise QgsProcessingException(self.invalidRasterError(parameters, "INPUT"))
        extent = self.parameterAsExtent(parameters, "EXTENT", context, *([layer.crs()] if layer else []))
        crs = self.parameterAsExtentCrs(parameters, "EXTENT", context)
        corners = [extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum()]
        self._scene = {
            "input": self._input(layer) if layer else None,
            "crs": crs_for_engine(layer) if layer else None,
            "product": _product(product),
            "extent": None if extent.isNull() else corners,
            "extent_crs": crs.toWkt() if product and crs.isValid() and not extent.isNull() else None,
            **self._place(parameters, "AREA", context),
            **self._place(parameters, "WATER", context),
        }
        return super().prepareAlgorithm(parameters, context, feedback)

    def scene_request(self, parameters, context):
        """The scene's part of a request."""
        return {
            **self._scene,
            "level": self.parameterAsString(parameters, "LEVEL", context) or "auto",
            "masks": self.parameterAsString(parameters, "MASKS", context) or "auto",
            "shore": self.parameterAsInt(parameters, "SHORE", context),
            "cloud_collar": self.parameterAsInt(parameters, "CLOUD_COLLAR", context),
            "bands": self.parameterAsString(parameters, "BANDS", context).strip() or None,
            "scale": self.number(parameters, "SCALE", context),
            "offset": self.number(parameters, "OFFSET", context),
            "plugin_version": version(),
        }

    def say_scene(self, result, feedback):
        """Tell level, reasons for not looking, and glint."""
        say = feedback.pushInfo if result["level_validated"] else feedback.pushWarning
        say(result["level_note"])
        reasons = (("land", "land_area_m2"), ("cloud or shadow", "cloud_area_m2"), ("no data", "no_data_area_m2"))
        listed = ", ".join(f"{name} {square_km(result[field])}" for name, field in reasons if result[field])
        if listed:
            feedback.pushInfo(f"Not observed: {listed}.")
        if result["glinting"]:
            feedback.pushWarning(
                f"The water glints (B11 {result['glint_b11']:.3f}): look at the detections with more doubt."
            )

    def _kind_problem(self, layer):
        """What is wrong with a layer that GDAL does not open, or an empty text."""
        if layer is None or layer.providerType() == "gdal":
            return ""
        text = self.tr("{} is a layer of the kind {}, not a raster file: save its bands to a file first.")
        return text.format(layer.name(), layer.providerType())

    def _input(self, layer):
        """What GDAL opens for a layer."""
        # A model's step may hand over what no check of parameters has seen.
        problem = self._kind_problem(layer)
        if problem:
            raise QgsProcessingException(problem)
        # QGIS appends what it has set for opening a layer: path|option:NAME=VALUE.
        source = layer.source().split("|option:")[0]
        return os.path.abspath(source) if os.path.exists(source) else source

    def _place(self, parameters, name, context):
        """A request's part on a person's layer: its path and CRS, as QGIS shows it."""
        layer, field = self.parameterAsLayer(parameters, name, context), name.lower()
        if layer is None:
            return {field: None, f"{field}_crs": None}
        if isinstance(layer, QgsRasterLayer):
            return {field: self._input(layer), f"{field}_crs": crs_for_engine(layer)}
        try:
            path, inner = polygon_file(layer, field)
        except PolygonFileError as error:
            raise QgsProcessingException(str(error)) from error
        # The file of polygons knows their CRS: it is a copy where another was set.
        return {field: f"{path}|layername={inner}" if inner else path, f"{field}_crs": None}


def square_km(value):
    """An area in m² as text."""
    return "unknown" if value is None else f"{value / 1e6:,.3f} km²"


def without_folder(parameters):
    """The parameters as QGIS can check them: its file parameters take no folder, our engine does."""
    value = parameters.get("PRODUCT")
    return {**parameters, "PRODUCT": None} if isinstance(value, str) and os.path.isdir(value) else parameters


def _is_plain(path):
    return not path.startswith("/vsi") and not path.upper().startswith("SENTINEL2_")


def _parts(product):
    """The files that a text names: one, or several with semicolons between."""
    if os.path.exists(product) or ";" not in product:
        return [product]
    return [part.strip() for part in product.split(";") if part.strip()]


def _product(text):
    """What the engine opens: a single-band file alone stands for its folder."""
    parts = [os.path.abspath(part) if _is_plain(part) else part for part in _parts(text)] if text else []
    if len(parts) == 1 and _is_plain(parts[0]) and parts[0].lower().endswith(SINGLE_BANDS):
        return [os.path.dirname(parts[0])]
    return parts
