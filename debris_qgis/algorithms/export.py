"""`debris:export`, Export Detections."""

import re
from pathlib import Path

from qgis.core import (
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsFeatureRequest,
    QgsProcessingException,
    QgsProcessingOutputFile,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsRectangle,
)

from ..compat import DOUBLE, FILE, POLYGONS
from ..results import stac
from ..results.bundle import Staging, archive, cloud_optimized, keep_apart, raster_files
from ..results.fields import MEASURED
from ..results.projections import fresh_projections
from ..results.provenance import card_of
from ..results.readme import readme
from ..results.selection import CHOICES, has_place, select
from ..results.vectors import FORMATS, ExportError, by_name, write
from .layer_crs import crs_set_by_hand
from .run_inputs import ResultsAlgorithm, file_of

RASTERS = ("MASK", "PROBABILITY")
DEFAULT_FORMATS = [0, 1, 4]
HELP = """<p>Hands detections on: to a phone, an agency, a scientist, another program.</p>
<p><b>Formats</b>: GeoPackage and FlatGeobuf keep everything; GeoJSON is in longitude and latitude after RFC 7946; KML
opens on phones and globes; CSV has longitude, latitude and the outline as text (WKT); a shapefile cuts field names to
10 characters and texts to 254 bytes, and the log says what was lost.</p>
<p><b>Mask and probability</b> are written as Cloud Optimized GeoTIFF. A <b>STAC item</b> with the label extension and a
<b>README</b> with scene, model, threshold, observed and not observed areas, fields and checksums lie beside them;
<b>ZIP</b> holds all of it.</p>
<p>Texts are UTF-8, times UTC. The detections remain <i>suspected</i> debris; decisions made in the results panel go
along.</p>"""


class ExportAlgorithm(ResultsAlgorithm):
    """Writes what was found, in the formats asked for."""

    NAME = "export"
    DISPLAY_NAME = "Export Detections"
    HELP = HELP

    def tags(self):
        """Words that find the algorithm in the toolbox."""
        return ["geojson", "kml", "csv", "shapefile", "flatgeobuf", "stac", "cog", "zip", "share"]

    def initAlgorithm(self, configuration=None):  # noqa: N802
        """Declare parameters and outputs."""
        self.add(QgsProcessingParameterFeatureSource("DETECTIONS", self.tr("Detections"), [POLYGONS]))
        self.add(QgsProcessingParameterRasterLayer("MASK", self.tr("Marine debris mask"), None, True))
        self.add(QgsProcessingParameterRasterLayer("PROBABILITY", self.tr("Probability of debris"), None, True))
        names = [form.name for form in FORMATS]
        self.add(QgsProcessingParameterEnum("FORMATS", self.tr("Formats"), names, True, DEFAULT_FORMATS, True))
        self.add(
            QgsProcessingParameterEnum("DECISIONS", self.tr("Which detections"), list(CHOICES), False, 0),
            self.tr("By what was decided in the results panel; without decisions all are taken, except by the second."),
        )
        probability = QgsProcessingParameterNumber(
            "MIN_PROBABILITY", self.tr("Lowest highest probability"), DOUBLE, 0.0, False, 0.0, 1.0
        )
        self.add(probability, self.tr("Leave out detections none of whose pixels reaches this."), advanced=True)
        self.add(
            QgsProcessingParameterString("NAME", self.tr("Name of the files"), None, False, True),
            self.tr("The scene's name where empty."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterFile(
                "MODEL", self.tr("Model"), FILE, optional=True, fileFilter=self.tr("Models (*.safetensors)")
            ),
            self.tr("Its card states the accuracy in the README; the plugin's own models are known."),
            advanced=True,
        )
        self.add(QgsProcessingParameterBoolean("STAC", self.tr("Write a STAC item"), True))
        self.add(QgsProcessingParameterFolderDestination("FOLDER", self.tr("Folder")))
        self.add(
            QgsProcessingParameterFileDestination(
                "ZIP", self.tr("Everything in one file"), self.tr("Zip archives (*.zip)"), None, True, False
            )
        )
        for form in FORMATS:
            self.addOutput(QgsProcessingOutputFile(form.ending.upper(), form.name))
        for name in (*RASTERS, "STAC_ITEM", "README"):
            self.addOutput(QgsProcessingOutputFile(f"{name}_COG" if name in RASTERS else name, name.title()))
        self.addOutput(QgsProcessingOutputNumber("COUNT", self.tr("Number of detections")))

    def prepareAlgorithm(self, parameters, context, feedback):  # noqa: N802
        """Take layers and paths in the main thread: a layer must not be touched in another."""
        detections = self.detections(parameters, context)
        self._source_value = self.source_value(parameters.get("DETECTIONS"), detections, context)
        layers = {name: self.parameterAsRasterLayer(parameters, name, context) for name in RASTERS}
        # Said when it runs: what goes wrong while preparing has no message of its own in QGIS 3.22.
        self._invalid = [name for name, layer in layers.items() if parameters.get(name) and layer is None]
        self._rasters = {name.lower(): layer.source() for name, layer in layers.items() if layer is not None}
        given = {name.lower(): crs_set_by_hand(layer) for name, layer in layers.items() if layer is not None}
        self._crs_set = {kind: crs for kind, crs in given.items() if crs is not None}
        self._detections_file = file_of(detections)
        self._extents = {
            name.lower(): (layer.extent(), layer.crs()) for name, layer in layers.items() if layer is not None
        }
        return super().prepareAlgorithm(parameters, context, feedback)

    def processAlgorithm(self, parameters, context, feedback):  # noqa: N802
        """Write everything into a staging folder, then under the final names."""
        fresh_projections()
        try:
            return self._export(parameters, context, feedback)
        except ExportError as error:
            problem = str(error)
        # Not from the error: its frames hold the detections, which would outlive QGIS with it.
        raise QgsProcessingException(problem)

    def _export(self, parameters, context, feedback):
        for name in self._invalid:
            raise QgsProcessingException(self.invalidRasterError(parameters, name))
        source = self._source(parameters, context)
        areas = self.mask_areas(self._rasters["mask"], self._crs_set.get("mask")) if "mask" in self._rasters else None
        provenance, strange = self.provenance(source, self._rasters.values(), feedback)
        self._strange = {kind: strange[path] for kind, path in self._rasters.items() if path in strange}
        areas = None if "mask" in self._strange else areas
        choice = CHOICES[self.parameterAsEnum(parameters, "DECISIONS", context)]
        lowest = self.parameterAsDouble(parameters, "MIN_PROBABILITY", context)
        selection = select(source, choice, lowest, provenance.period)
        name = _file_name(self.parameterAsString(parameters, "NAME", context) or provenance.scene or "detections")
        card = card_of(provenance.model_sha256, self.parameterAsFile(parameters, "MODEL", context))
        folder = Path(self.parameterAsString(parameters, "FOLDER", context))
        forms = [FORMATS[number] for number in self.parameterAsEnums(parameters, "FORMATS", context)]
        target = self.parameterAsFileOutput(parameters, "ZIP", context)
        self._spare_what_is_read(folder, name, forms, target)
        with Staging(folder) as staging:
            said = self._write_vectors(selection, forms, staging, name, feedback)
            self._write_rasters(staging, name, feedback)
            if feedback.isCanceled():
                return {}
            if self.parameterAsBool(parameters, "STAC", context):
                self._write_item(selection, provenance, staging, name, feedback)
            named = {f"{name}_{kind}.tif": text for kind, text in self._strange.items()}
            text = readme(selection, provenance, areas, card, staging.files(), said, named)
            (staging.folder / f"{name}_README.txt").write_text(text, encoding="utf-8")
            files = staging.publish()
        found = self._outputs(files, name, forms, selection)
        if target:
            archive(Path(target), [(path, f"{name}/{path.name}") for path in files.values()])
            found["ZIP"] = target
        feedback.pushInfo(f"{len(selection.features)} detection(s) exported, {selection.left_out} left out.")
        return found

    def _source(self, parameters, context):
        parameters = {**parameters, "DETECTIONS": self._source_value}
        source = self.parameterAsSource(parameters, "DETECTIONS", context)
        if source is None:
            raise QgsProcessingException(self.invalidSourceError(parameters, "DETECTIONS"))
        # A detection with a damaged outline is mended later, not a reason to stop.
        source.setInvalidGeometryCheck(QgsFeatureRequest.InvalidGeometryCheck.GeometryNoCheck)
        missing = [name for name in MEASURED if name not in source.fields().names()]
        if missing:
            raise ExportError(
                f"{source.sourceName()} is no table of detections: it lacks {', '.join(missing)}. "
                "Choose what Detect Marine Debris wrote."
            )
        return source

    def _spare_what_is_read(self, folder, name, forms, archived):
        """Detections saved under the scene's name are where an export into their folder would go."""
        endings = [f".{form.ending}" for form in forms] + [f"_{kind}.tif" for kind in self._rasters]
        targets = [folder / f"{name}{ending}" for ending in (*endings, ".stac.json", "_README.txt")]
        read = {kind.upper(): raster_files(source) for kind, source in self._rasters.items()}
        read["DETECTIONS"] = [self._detections_file] if self._detections_file else []
        keep_apart([*targets, *([Path(archived)] if archived else [])], read)

    def _write_vectors(self, selection, forms, staging, name, feedback):
        said = []
        for number, form in enumerate(forms):
            if feedback.isCanceled():
                break
            feedback.setProgress(60 * number / len(forms))
            said += write(selection, form, str(staging.folder / f"{name}.{form.ending}"))
        for note in said:
            feedback.pushWarning(note)
        return said

    def _write_rasters(self, staging, name, feedback):
        for kind, source in self._rasters.items():
            feedback.setProgressText(f"Writing the {kind}")
            target = staging.folder / f"{name}_{kind}.tif"
            cloud_optimized(kind, source, target, feedback, self._crs_set.get(kind))

    def _write_item(self, selection, provenance, staging, name, feedback):
        footprint = self._footprint(selection)
        if not has_place(selection.crs) or footprint.isNull():
            feedback.pushWarning(
                self.tr("No STAC item is written: it needs a place on Earth, by a CRS and by a raster or a detection.")
            )
            return
        assets = {}
        for path in staging.files():
            kind = next((kind for kind in self._rasters if path.name == f"{name}_{kind}.tif"), "")
            if kind:
                run = " of another run" if kind in self._strange else ""
                assets[kind] = (path.name, stac.COG, f"{kind.title()} raster{run}")
            elif path.suffix.lstrip(".") in [form.ending for form in FORMATS]:
                form = by_name(path.suffix.lstrip("."))
                assets[form.ending] = (path.name, form.media_type, f"Detections, {form.name}")
        assets["readme"] = (f"{name}_README.txt", "text/plain", "Provenance")
        item = stac.item(name, selection, provenance, assets, footprint)
        (staging.folder / f"{name}.stac.json").write_text(stac.text(item), encoding="utf-8")

    def _footprint(self, selection) -> QgsRectangle:
        """What was looked at, in the CRS of the detections."""
        for kind, (extent, crs) in self._extents.items():
            if kind in self._strange:
                continue
            own = crs if crs.isValid() else selection.crs
            return QgsCoordinateTransform(own, selection.crs, QgsCoordinateTransformContext()).transformBoundingBox(
                extent
            )
        box = QgsRectangle()
        for feature in selection.features:
            box.combineExtentWith(feature.geometry().boundingBox())
        return box

    def _outputs(self, files, name, forms, selection):
        found = {"COUNT": len(selection.features), "FOLDER": str(next(iter(files.values())).parent)}
        for form in forms:
            found[form.ending.upper()] = str(files[f"{name}.{form.ending}"])
        named = {
            "MASK_COG": f"{name}_mask.tif",
            "PROBABILITY_COG": f"{name}_probability.tif",
            "STAC_ITEM": f"{name}.stac.json",
            "README": f"{name}_README.txt",
        }
        found.update({output: str(files[file]) for output, file in named.items() if file in files})
        return found


def _file_name(text: str) -> str:
    """A name that every file system takes."""
    return re.sub(r'[\\/:*?"<>|\s]+', "_", text).strip("._") or "detections"
