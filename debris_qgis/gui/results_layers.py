"""What the results panel does to the layers: the threshold that is shown, the scene's pictures."""

from typing import List, Optional

import numpy as np
from qgis.core import (
    QgsColorRampShader,
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsFillSymbol,
    QgsMapLayer,
    QgsPalettedRasterRenderer,
    QgsProject,
    QgsRasterLayer,
    QgsRasterShader,
    QgsSingleBandPseudoColorRenderer,
    QgsSingleSymbolRenderer,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QColor

from ..results.areas import DEBRIS
from ..results.probability_index import Candidate
from ..results.quiet import raster_layer
from ..results.runs import KIND, Run
from ..results.scene_crs import searched_in, set_crs
from ..results.scene_files import drawable
from ..results.scene_image import colour_layer, fdi_layer
from ..results.shown import OWN_FILTER, SHOWN_FROM, with_slider

OF_RUN = "debris/of"
"""Property of a layer that was made here: the id of the detections that it belongs to."""
DEBRIS_COLOUR = "#d55e00"
CANDIDATE_COLOUR = "#ffffff"
VIEWS = ("results", "colour", "fdi")
NAMES = {
    "threshold": "Marine debris: pixels at {:.2f} and above",
    "colour": "Colour image",
    "fdi": "Floating Debris Index",
    "candidates": "Below the run's threshold",
}
PLACES = {"candidates": 0, "threshold": 1}
"""Where in the run's group a layer goes that is made here; the others go to its end."""


class RunLayers:
    """The layers of one run in the map."""

    def __init__(self, run: Run, project: QgsProject) -> None:
        self.run, self.project = run, project

    def made(self, kind: str) -> Optional[QgsMapLayer]:
        """The layer of this kind that was made for this run, where it is in the project."""
        for layer in self.project.mapLayers().values():
            if layer.customProperty(KIND) == kind and layer.customProperty(OF_RUN) == self.run.detections.id():
                return layer
        return None

    @property
    def shown_from(self) -> float:
        """The probability from which things are shown: the run's threshold unless it was changed."""
        value = self.run.detections.customProperty(SHOWN_FROM)
        return self.run.threshold if value is None else float(value)

    def show_from(self, probability: float) -> None:
        """Show mask and detections from a probability on, without running anything again."""
        layer = self.run.detections
        own = abs(probability - self.run.threshold) < 1e-9
        if layer.customProperty(SHOWN_FROM) is None:
            layer.setCustomProperty(OWN_FILTER, layer.subsetString())
        layer.setCustomProperty(SHOWN_FROM, probability)
        base = str(layer.customProperty(OWN_FILTER) or "")
        both = base if own else with_slider(base, probability)
        if both != layer.subsetString():
            layer.setSubsetString(both)
        self._show_mask(probability, own)
        layer.triggerRepaint()

    def _show_mask(self, probability: float, own: bool) -> None:
        live = self.made("threshold")
        if self.run.probability is None:
            return
        if live is None and not own:
            live = raster_layer(self.run.probability.source(), "")
            live.setCrs(self.run.probability.crs())
            self._add(live, "threshold")
        if live is not None:
            # Outlines alone tell how far groups reach.
            live.setName(NAMES["threshold"].format(probability))
            live.setRenderer(threshold_renderer(live, probability))
            self._visible(live, not own)
            live.triggerRepaint()
        if self.run.mask is not None:
            _show_debris(self.run.mask, own)

    def show_candidates(self, candidates: List[Candidate]) -> None:
        """Outline what would be found at a lower threshold."""
        layer = self.made("candidates")
        if layer is None:
            if not candidates:
                return
            crs = self.run.detections.crs().authid()
            layer = QgsVectorLayer(f"MultiPolygon?crs={crs}&field=max_prob:double", NAMES["candidates"], "memory")
            layer.setCrs(self.run.detections.crs())
            layer.setCustomProperty("skipMemoryLayersCheck", 1)
            symbol = {"style": "no", "outline_color": CANDIDATE_COLOUR, "outline_style": "dot", "outline_width": "0.4"}
            layer.setRenderer(QgsSingleSymbolRenderer(QgsFillSymbol.createSimple(symbol)))
            self._add(layer, "candidates")
        provider = layer.dataProvider()
        provider.truncate()
        rows = []
        for candidate in candidates:
            row = QgsFeature(layer.fields())
            row.setAttributes([candidate.max_prob])
            row.setGeometry(candidate.geometry)
            rows.append(row)
        provider.addFeatures(rows)
        layer.updateExtents()
        layer.triggerRepaint()

    def show_view(self, view: str) -> bool:
        """Show the results as they were, the colour image or the index below the outlines; False where it cannot be."""
        wanted = self._picture(view) if view != "results" else None
        if view != "results" and wanted is None:
            return False
        for kind in ("colour", "fdi"):
            layer = self.made(kind)
            if layer is not None:
                self._visible(layer, layer is wanted)
        # The probability covers what lies below it.
        for layer in (self.run.probability, self._floating(), self.run.mask):
            if layer is not None:
                self._visible(layer, view == "results")
        live = self.made("threshold")
        if live is not None:
            self._visible(live, view == "results" and abs(self.shown_from - self.run.threshold) > 1e-9)
        return True

    def _floating(self) -> Optional[QgsMapLayer]:
        """The layer of all that floats, which is the second band of the run's probability."""
        source = self.run.probability.source() if self.run.probability is not None else None
        for layer in self.project.mapLayers().values():
            if layer.customProperty(KIND) == "floating" and layer.source() == source:
                return layer
        return None

    def _picture(self, view: str) -> Optional[QgsMapLayer]:
        layer = self.made(view)
        source = drawable(self.run.provenance.input) if layer is None else ""
        if source:
            mask = self.run.mask.source() if self.run.mask is not None else None
            crs = self._searched_in(source)
            if view == "colour":
                layer = colour_layer(source, NAMES[view], mask)
            else:
                layer = fdi_layer(source, NAMES[view], mask, crs)
            if layer is not None:
                set_crs([layer], crs)
                self._add(layer, view)
        return layer

    def _searched_in(self, source: str) -> Optional[QgsCoordinateReferenceSystem]:
        """The CRS that Detect took for the scene; None where that of its file holds."""
        scene = raster_layer(source, "")
        found = (searched_in(scene, result) for result in (self.run.mask, self.run.probability))
        return next((crs for crs in found if crs is not None), None)

    def _add(self, layer: QgsMapLayer, kind: str) -> None:
        """Put a layer into the project, beside the run's own."""
        layer.setCustomProperty(KIND, kind)
        layer.setCustomProperty(OF_RUN, self.run.detections.id())
        self.project.addMapLayer(layer, False)
        root = self.project.layerTreeRoot()
        node = root.findLayer(self.run.detections.id())
        group = node.parent() if node is not None and node.parent() is not None else root
        below = [child for child in group.children() if child in group.findLayers()]
        place = below.index(node) + PLACES[kind] if kind in PLACES and node in below else len(group.children())
        group.insertLayer(place, layer)

    def _visible(self, layer: QgsMapLayer, visible: bool) -> None:
        node = self.project.layerTreeRoot().findLayer(layer.id())
        if node is not None:
            node.setItemVisibilityChecked(visible)


def threshold_renderer(layer: QgsRasterLayer, probability: float) -> QgsSingleBandPseudoColorRenderer:
    """Debris from a probability on, everything else transparent."""
    # A discrete ramp colours what is at most an item's value: the float just below is the last that is not shown.
    below = float(np.nextafter(np.float32(probability), np.float32(-1)))
    ramp = QgsColorRampShader(0.0, 1.0, None, QgsColorRampShader.Type.Discrete)
    ramp.setColorRampItemList(
        [
            QgsColorRampShader.ColorRampItem(below, QColor(0, 0, 0, 0), ""),
            QgsColorRampShader.ColorRampItem(float("inf"), QColor(DEBRIS_COLOUR), "Marine debris (suspected)"),
        ]
    )
    shader = QgsRasterShader(0.0, 1.0)
    shader.setRasterShaderFunction(ramp)
    renderer = QgsSingleBandPseudoColorRenderer(layer.dataProvider(), 1, shader)
    renderer.setClassificationMin(0.0)
    renderer.setClassificationMax(1.0)
    return renderer


def _show_debris(mask: QgsRasterLayer, visible: bool) -> None:
    """Show or hide the mask's own debris, which is that of the run's threshold."""
    renderer = mask.renderer()
    if not isinstance(renderer, QgsPalettedRasterRenderer):
        return
    classes = renderer.classes()
    for entry in classes:
        if int(entry.value) == DEBRIS:
            colour = QColor(entry.color)
            colour.setAlpha(255 if visible else 0)
            entry.color = colour
    changed = QgsPalettedRasterRenderer(mask.dataProvider(), renderer.band(), classes)
    changed.setNodataColor(renderer.nodataColor())
    mask.setRenderer(changed)
    mask.triggerRepaint()
