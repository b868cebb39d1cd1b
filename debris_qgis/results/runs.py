"""The runs whose results are in a project: which layers belong together."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Dict, List, Optional, Tuple

from osgeo import gdal
from qgis.core import NULL, QgsAggregateCalculator, QgsMapLayer, QgsProject, QgsRasterLayer, QgsVectorLayer

from .fields import is_detections
from .provenance import SOFTWARE, Provenance, key_among, of_detections, of_raster, tags_of
from .selection import has_place
from .thresholds import linked

KIND = "debris/kind"
"""Property of a layer: what it is."""
MADE_HERE = ("threshold", "colour", "fdi", "candidates", "clusters", "floating", "persistence")
"""Kinds of layers that are added beside results, and are no results of a run themselves."""


@dataclass(frozen=True)
class Run:
    """One run of Detect Marine Debris in the project; rasters that are not there are None."""

    provenance: Provenance
    detections: QgsVectorLayer
    mask: Optional[QgsRasterLayer] = None
    probability: Optional[QgsRasterLayer] = None

    @property
    def name(self) -> str:
        """What the run is called."""
        return self.provenance.scene or self.detections.name()

    @property
    def threshold(self) -> float:
        """The threshold it was run with; 0 where that is not known."""
        return self.provenance.threshold or 0.0

    @property
    def extent(self) -> float:
        """From which probability pixels belong to its groups: the threshold where that is not known."""
        return self.provenance.extent_threshold if self.linked else self.threshold

    @property
    def linked(self) -> bool:
        """Whether its groups take in pixels below the threshold."""
        return linked(self.provenance.threshold, self.provenance.extent_threshold)

    @property
    def layers(self) -> Dict[str, str]:
        """Ids of its layers, as the algorithms' parameters call them."""
        known = {"DETECTIONS": self.detections, "MASK": self.mask, "PROBABILITY": self.probability}
        return {name: layer.id() for name, layer in known.items() if layer is not None}

    @property
    def placed(self) -> bool:
        """Whether it has a place on Earth."""
        return has_place(self.detections.crs())


def runs_of(project: QgsProject) -> List[Run]:
    """Every table of detections in the project, with the rasters of the same run, in the order of the layer tree."""
    layers = [node.layer() for node in project.layerTreeRoot().findLayers() if node.layer() is not None]
    rasters: Dict[Tuple, Dict[str, QgsRasterLayer]] = {}
    for layer in layers:
        kind = raster_kind(layer)
        if kind:
            rasters.setdefault(of_raster(layer.source()).key, {}).setdefault(kind, layer)
    runs = []
    for layer in layers:
        if is_detections(layer) and layer.customProperty(KIND) not in MADE_HERE:
            runs.append(_run(layer, rasters))
    return runs


def _run(layer, rasters) -> Run:
    table = unfiltered(layer)
    own = of_detections(table)
    found = rasters.get(key_among(table, own, rasters), {})
    if not own.scene:
        # A table without rows does not say where it is from; the rasters in its group do.
        found = _neighbours(layer, rasters)
    known = [of_raster(raster.source()) for raster in found.values()]
    provenance = next(iter(known), own)
    if own.period and not provenance.period:
        provenance = replace(provenance, period=own.period)
    return Run(provenance, layer, found.get("mask"), found.get("probability"))


def _neighbours(layer, rasters):
    node = QgsProject.instance().layerTreeRoot().findLayer(layer.id())
    group = set(node.parent().findLayerIds()) if node is not None and node.parent() is not None else set()
    for found in rasters.values():
        if any(raster.id() in group for raster in found.values()):
            return found
    return {}


def alive(run: Run) -> bool:
    """Whether QGIS has not deleted the run's layer."""
    try:
        return run.detections.isValid()
    except RuntimeError:
        return False


def area_of(run: Run) -> float:
    """Area of all detections in m², for ranking the runs."""
    value, done = unfiltered(run.detections).aggregate(QgsAggregateCalculator.Aggregate.Sum, "area_m2")
    return float(value) if done and value not in (None, NULL) else 0.0


def raster_kind(layer: QgsMapLayer) -> str:
    """Mask or probability where a layer is such a result, else an empty text."""
    if not isinstance(layer, QgsRasterLayer) or layer.customProperty(KIND) in MADE_HERE:
        return ""
    # The probability has a second band where the model tells other floating matter; the first is debris always.
    if not layer.isValid() or layer.providerType() != "gdal" or layer.bandCount() > 2:
        return ""
    return _kind_of(layer.source())


@lru_cache(maxsize=256)
def _kind_of(source: str) -> str:
    if tags_of(source).get("SOFTWARE") != SOFTWARE:
        return ""
    # A band is of no use once nobody holds its data set any more.
    dataset = gdal.Open(source)
    kind = dataset.GetRasterBand(1).DataType
    return {gdal.GDT_Byte: "mask", gdal.GDT_Float32: "probability"}.get(kind, "")


def unfiltered(layer: QgsVectorLayer) -> QgsVectorLayer:
    """The same table without the filter that is set on the layer; the layer itself where it has none.

    A layer in memory has its rows to itself: opened a second time it would be empty.
    """
    if not layer.subsetString() or layer.providerType() != "ogr":
        return layer
    source = layer.source().split("|subset=")[0]
    return QgsVectorLayer(source, layer.name(), layer.providerType())
