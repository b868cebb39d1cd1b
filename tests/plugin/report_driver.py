"""Reports as tests make and read them."""

from __future__ import annotations

import numpy as np
import pypdfium2
from qgis import processing
from qgis.core import QgsProject, QgsVectorLayer

from debris_qgis.results.areas import areas_of
from debris_qgis.results.provenance import of_raster
from debris_qgis.results.report_content import content
from debris_qgis.results.report_layers import layers_for
from debris_qgis.results.report_sheet import draw
from debris_qgis.results.selection import CHOICES, select
from debris_qgis.results.severity import DEFAULT

from .conftest import RecordingFeedback


def report(run, folder, **values):
    feedback = RecordingFeedback()
    parameters = {
        "DETECTIONS": run["DETECTIONS"],
        "MASK": run["MASK"],
        "PDF": str(folder / "report.pdf"),
        "HTML": str(folder / "report.html"),
        **values,
    }
    return processing.run("debris:report", parameters, feedback=feedback), feedback


def text_of(path):
    """All text of a PDF; what is drawn as outlines would not be found."""
    document = pypdfium2.PdfDocument(str(path))
    return "\n".join(page.get_textpage().get_text_range() for page in document).replace("\r", "")


def picture_of(path, number=0, dpi=100):
    page = pypdfium2.PdfDocument(str(path))[number]
    return np.asarray(page.render(scale=dpi / 72).to_pil().convert("RGB")).astype(int)


def laid_out(run):
    """Layers, entries and sheet of a report, and the project that all of it lives by."""
    layer = QgsVectorLayer(run["DETECTIONS"], "detections", "ogr")
    areas, provenance = areas_of(run["MASK"]), of_raster(run["MASK"])
    selection = select(layer, CHOICES[3], 0, provenance.period)
    words = content(selection, provenance, areas, None, DEFAULT, 100)
    project = QgsProject()
    layers = layers_for(selection, run["SCENE"], run["MASK"], areas.pixels, [e.feature for e in words.entries])
    project.addMapLayers(layers.all(), False)
    # The layers live as long as the project.
    return layers, words.entries, draw(words, layers, project).sheet, project


def near(picture, colour, tolerance=40):
    """How many pixels of a picture, (rows, columns, 3), have a colour, or nearly so."""
    return (np.abs(picture - np.array(colour)).sum(axis=2) < tolerance).sum()
