"""`debris:report`, Make Report."""

import os
import uuid
from dataclasses import replace
from pathlib import Path

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingException,
    QgsProcessingOutputNumber,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorLayer,
    QgsProject,
)

from ..compat import FILE, INTEGER, NO_THREADING, POLYGONS
from ..results.fields import is_detections
from ..results.projections import fresh_projections
from ..results.provenance import card_of, is_of_detect, is_practice
from ..results.quiet import no_side_files
from ..results.report_content import content
from ..results.report_layers import layers_for
from ..results.report_page import page
from ..results.report_sheet import PlaceError, draw
from ..results.scene_files import drawable, upright
from ..results.selection import CHOICES, select
from ..results.severity import DEFAULT, Level, stored_levels
from .layer_crs import crs_set_by_hand
from .run_inputs import ResultsAlgorithm

HELP = """<p>Makes a report to hand on, as PDF and as an HTML page: a map with legend, scale bar, north arrow and
credit, the largest detections with close-ups, what was observed and what was not and why, the model and its
accuracy.</p>
<p><b>Scene</b>: the raster that was searched; where empty, the raster or product that the mask names. Without it the
map shows the mask alone.</p>
<p>It speaks of <i>suspected</i> floating debris, and says what it does not know.</p>"""


class ReportAlgorithm(ResultsAlgorithm):
    """Draws with QGIS's layout engine, which belongs to the main thread."""

    NAME = "report"
    DISPLAY_NAME = "Make Report"
    HELP = HELP

    def flags(self):
        """Layouts must not be drawn in another thread than QGIS's own."""
        return QgsProcessingAlgorithm.flags(self) | NO_THREADING

    def tags(self):
        """Words that find the algorithm in the toolbox."""
        return ["pdf", "html", "map", "layout", "print", "summary"]

    def initAlgorithm(self, configuration=None):  # noqa: N802
        """Declare parameters and outputs."""
        self.add(QgsProcessingParameterVectorLayer("DETECTIONS", self.tr("Detections"), [POLYGONS]))
        self.add(QgsProcessingParameterRasterLayer("MASK", self.tr("Marine debris mask"), None, True))
        self.add(QgsProcessingParameterRasterLayer("SCENE", self.tr("Scene"), None, True))
        self.add(QgsProcessingParameterEnum("DECISIONS", self.tr("Which detections"), list(CHOICES), False, 0))
        self.add(QgsProcessingParameterNumber("ROWS", self.tr("Detections shown"), INTEGER, 10, False, 0, 100))
        self.add(
            QgsProcessingParameterFile(
                "MODEL", self.tr("Model"), FILE, optional=True, fileFilter=self.tr("Models (*.safetensors)")
            ),
            self.tr("Its card states the accuracy; the plugin's own models are known."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterString("SEVERITY", self.tr("Levels of severity"), None, False, True),
            self.tr(
                "Detections and area in m² for critical, high and moderate, as 8,100000,5,50000,3,20000; as set in the "
                "results panel where empty."
            ),
            advanced=True,
        )
        for name, label, kind in (("PDF", "PDF", "PDF (*.pdf)"), ("HTML", "Page", "HTML (*.html)")):
            self.add(QgsProcessingParameterFileDestination(name, self.tr(label), self.tr(kind), None, True, True))
        self.addOutput(QgsProcessingOutputNumber("COUNT", self.tr("Number of detections")))

    def checkParameterValues(self, parameters, context):  # noqa: N802
        """Say at once what can be told from the values."""
        if _levels(self.parameterAsString(parameters, "SEVERITY", context)) is None:
            return False, self.tr("Levels of severity are six numbers, as 8,100000,5,50000,3,20000.")
        return super().checkParameterValues(parameters, context)

    def processAlgorithm(self, parameters, context, feedback):  # noqa: N802
        """Gather, lay out, write; beside the scene nothing is left."""
        fresh_projections()
        # QGIS copies layers while it lays out and draws, and counts the values of each copy: all of that is in here.
        with no_side_files():
            return self._report(parameters, context, feedback)

    def _report(self, parameters, context, feedback):
        targets = {name: self.parameterAsFileOutput(parameters, name, context) for name in ("PDF", "HTML")}
        if not any(targets.values()):
            raise QgsProcessingException(self.tr("Say where the report goes: PDF, HTML or both."))
        source = self.detections(parameters, context)
        if not is_detections(source):
            raise QgsProcessingException(
                self.tr("This is no table of detections: choose what Detect Marine Debris wrote.")
            )
        mask, mask_crs = self._raster(parameters, "MASK", context)
        areas = self.mask_areas(mask, mask_crs) if mask else None
        provenance, strange = self.provenance(source, [mask] if mask else [], feedback)
        foreign = f"{os.path.basename(mask)}, is of another run: {strange[mask]}" if strange else ""
        # Another scene below these detections, or its areas beside theirs, would say what nobody has seen.
        mask, areas = ("", None) if strange else (mask, areas)
        selection = select(
            source, CHOICES[self.parameterAsEnum(parameters, "DECISIONS", context)], 0, provenance.period
        )
        card = card_of(provenance.model_sha256, self.parameterAsFile(parameters, "MODEL", context))
        levels = _levels(self.parameterAsString(parameters, "SEVERITY", context))
        rows = self.parameterAsInt(parameters, "ROWS", context)
        scene, scene_crs = self._scene(parameters, context, provenance, feedback)
        if not (selection.features or mask or scene):
            raise QgsProcessingException(
                self.tr(
                    "There is nothing to show: no detections, and neither a mask nor a scene of their run. Choose the "
                    "mask that Detect Marine Debris wrote with them."
                )
            )
        provenance = replace(provenance, practice=provenance.practice or is_practice(scene))
        words = content(selection, provenance, areas, card, levels, rows, foreign)
        feedback.setProgress(20)
        # A project of its own: the person's is not touched, and the layers go with it.
        project = QgsProject()
        numbered = [entry.feature for entry in words.entries]
        pixels = areas.pixels if areas else {}
        layers = layers_for(selection, scene, mask, pixels, numbered, scene_crs, mask_crs)
        project.addMapLayers(layers.all(), False)
        try:
            report = draw(words, layers, project)
            feedback.setProgress(50)
            self._write(targets, words, report, feedback)
        except PlaceError as error:
            raise QgsProcessingException(str(error)) from error
        finally:
            # An exception keeps this frame and so the project, whose layers would outlive QGIS, and keep files open.
            project.clear()
        return {"COUNT": len(selection.features), **{name: path for name, path in targets.items() if path}}

    def _raster(self, parameters, name, context):
        """Path of a raster, or an empty text; and the CRS that a person has set for it, or None."""
        layer = self.parameterAsRasterLayer(parameters, name, context)
        if layer is None and parameters.get(name):
            raise QgsProcessingException(self.invalidRasterError(parameters, name))
        return ("", None) if layer is None else (layer.source(), crs_set_by_hand(layer))

    def _scene(self, parameters, context, provenance, feedback):
        """The same of the scene; where none is named, of the one that was searched."""
        scene, crs = self._raster(parameters, "SCENE", context)
        if scene and is_of_detect(scene):
            raise QgsProcessingException(
                self.tr(
                    "{} is no scene but what Detect Marine Debris made of one: choose the image that was searched."
                ).format(os.path.basename(scene))
            )
        scene = upright(scene) or drawable(provenance.input)
        if not scene:
            feedback.pushWarning(self.tr("The scene is not at hand: the map shows the results without it."))
        return scene, crs

    def _write(self, targets, words, report, feedback) -> None:
        """Each file complete before it stands under its name."""
        written = []
        try:
            for name, target in targets.items():
                if not target or feedback.isCanceled():
                    continue
                unfinished = Path(target).with_name(f".debris-{uuid.uuid4().hex[:12]}-{Path(target).name}")
                written.append((unfinished, Path(target)))
                unfinished.parent.mkdir(parents=True, exist_ok=True)
                if name == "HTML":
                    unfinished.write_text(page(words, report), encoding="utf-8")
                elif not report.sheet.pdf(str(unfinished)):
                    raise OSError("QGIS could not write the PDF")
                feedback.setProgress(80)
            for unfinished, target in written:
                os.replace(unfinished, target)
        except OSError as error:
            raise QgsProcessingException(f"The report cannot be written ({error}): choose another folder.") from error
        finally:
            for unfinished, _ in written:
                unfinished.unlink(missing_ok=True)


def _levels(text: str):
    """The levels in a text, the stored ones where it is empty, None where it is neither."""
    if not text.strip():
        return stored_levels()
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        return None
    if len(numbers) != 2 * len(DEFAULT):
        return None
    pairs = zip(DEFAULT, numbers[0::2], numbers[1::2])
    return tuple(Level(level.name, int(spots), area) for level, spots, area in pairs)
