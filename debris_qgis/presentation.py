"""What makes results easy to look at in a project: times for the temporal controller, clusters, theme, styles."""

from qgis.core import (
    QgsDateTimeRange,
    QgsFillSymbol,
    QgsGradientColorRamp,
    QgsGradientStop,
    QgsMapThemeCollection,
    QgsProcessingLayerPostProcessorInterface,
    QgsProject,
    QgsRasterLayer,
    QgsStyle,
    QgsVectorLayer,
    QgsVirtualLayerDefinition,
    QgsWkbTypes,
)
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QDateTime, Qt
from qgis.PyQt.QtGui import QColor

from .about import STYLES
from .compat import FIXED_TIME
from .results.fields import BEGIN, set_temporal
from .results.period import iso
from .results.provenance import of_raster
from .results.quiet import raster_layer
from .results.runs import KIND

THEME = "Marine debris"
TAG = "Marine debris"
FLOATING_NAME = "Probability of all that floats, debris or other"
CLUSTERS_FROM = 50
"""Fewer detections need no clusters."""
PLASMA = ("#0d0887", "#7e03a8", "#cc4778", "#f89540", "#f0f921")
GREENS = ("#b7e6d5", "#4fc49f", "#009e73")
CIVIDIS = ("#00224e", "#35456c", "#666970", "#948e77", "#c8b866", "#fee838")
RAMPS = {
    "Marine debris probability": PLASMA,
    "Marine debris, all that floats": GREENS,
    "Marine debris FDI": CIVIDIS,
}
SYMBOLS = {
    "Marine debris detection": {"style": "no", "outline_color": "#d55e00", "outline_width": "0.55"},
    "Marine debris candidate": {"style": "no", "outline_color": "#e69f00", "outline_width": "0.4"},
    "Marine debris not observed": {"color": "#6b7280", "style": "b_diagonal", "outline_style": "no"},
}


def present(project: QgsProject, layer, kind: str) -> None:
    """Do for one result that has come into the project what its kind wants, and bring the theme up to date."""
    if kind == "detections":
        if _tells_time(layer):
            set_temporal(layer)
        if layer.featureCount() >= CLUSTERS_FROM:
            add_clusters(project, layer)
    elif kind in ("mask", "probability"):
        set_raster_time(layer)
        if kind == "probability" and layer.bandCount() > 1:
            add_floating(project, layer)
    update_theme(project)


def _tells_time(layer: QgsVectorLayer) -> bool:
    """Whether the first detection has a time: a field alone may be empty."""
    feature = next(layer.getFeatures(), None)
    names = [name for name in (BEGIN, "sensing_time") if name in layer.fields().names()]
    return feature is not None and any(feature[name] for name in names)


def set_raster_time(layer: QgsRasterLayer) -> bool:
    """Tell QGIS's temporal controller when a result's scene was taken; False where that is not known."""
    period = of_raster(layer.source()).period
    if period is None:
        return False
    begin, end = (QDateTime.fromString(iso(time), Qt.DateFormat.ISODate) for time in (period.begin, period.end))
    temporal = layer.temporalProperties()
    temporal.setMode(FIXED_TIME)
    temporal.setFixedTemporalRange(QgsDateTimeRange(begin, end))
    temporal.setIsActive(True)
    return True


def add_floating(project: QgsProject, layer: QgsRasterLayer) -> QgsRasterLayer:
    """Add the second band of a probability, all that floats, below it: on some coasts it alone shows the lines."""
    floating = raster_layer(layer.source(), FLOATING_NAME)
    floating.loadNamedStyle(str(STYLES / "floating.qml"))
    floating.setCrs(layer.crs())
    floating.setCustomProperty(KIND, "floating")
    set_raster_time(floating)
    project.addMapLayer(floating, False)
    node = project.layerTreeRoot().findLayer(layer.id())
    group = node.parent() if node is not None and node.parent() is not None else project.layerTreeRoot()
    group.insertLayer(group.children().index(node) + 1 if node is not None else -1, floating)
    return floating


def add_clusters(project: QgsProject, layer: QgsVectorLayer) -> QgsVectorLayer:
    """Add the positions of a layer's detections, clustered, seen from afar only; they follow the layer's filter."""
    definition = QgsVirtualLayerDefinition()
    definition.addSource("detections", layer.id())
    definition.setQuery("SELECT id, area_m2, mean_prob, max_prob, st_centroid(geometry) AS geometry FROM detections")
    definition.setUid("id")
    definition.setGeometryField("geometry")
    definition.setGeometryWkbType(QgsWkbTypes.Type.Point)
    definition.setGeometrySrid(layer.crs().postgisSrid())
    clusters = QgsVectorLayer(definition.toString(), f"{layer.name()}, clustered", "virtual")
    clusters.setCrs(layer.crs())
    clusters.loadNamedStyle(str(STYLES / "clusters.qml"))
    clusters.setCustomProperty(KIND, "clusters")
    project.addMapLayer(clusters, False)
    node = project.layerTreeRoot().findLayer(layer.id())
    group = node.parent() if node is not None and node.parent() is not None else project.layerTreeRoot()
    group.insertLayer(0, clusters)
    return clusters


def update_theme(project: QgsProject) -> None:
    """The theme "Marine debris": every result of the project, visible, with the style that it has now."""
    record = QgsMapThemeCollection.MapThemeRecord()
    for node in project.layerTreeRoot().findLayers():
        layer = node.layer()
        if layer is not None and layer.customProperty(KIND):
            entry = QgsMapThemeCollection.MapThemeLayerRecord(layer)
            entry.currentStyle = layer.styleManager().currentStyle()
            entry.usingCurrentStyle = True
            entry.isVisible = True
            record.addLayerRecord(entry)
    themes = project.mapThemeCollection()
    (themes.update if themes.hasMapTheme(THEME) else themes.insert)(THEME, record)


def install_styles(style: QgsStyle) -> int:
    """Put the plugin's ramps and symbols into a style database, unless they are there; how many were new."""
    new = 0
    for name, colours in RAMPS.items():
        if name not in style.colorRampNames():
            new += style.addColorRamp(name, _ramp(colours)) and style.saveColorRamp(name, _ramp(colours), 0, [TAG])
    for name, values in SYMBOLS.items():
        if name not in style.symbolNames():
            symbol = QgsFillSymbol.createSimple(values)
            new += style.addSymbol(name, symbol) and style.saveSymbol(name, symbol, 0, [TAG])
    return int(new)


def _ramp(colours) -> QgsGradientColorRamp:
    steps = len(colours) - 1
    stops = [QgsGradientStop(number / steps, QColor(colours[number])) for number in range(1, steps)]
    return QgsGradientColorRamp(QColor(colours[0]), QColor(colours[-1]), False, stops)


class TemporalLayer(QgsProcessingLayerPostProcessorInterface):
    """Tells QGIS's temporal controller which fields of a loaded layer hold its times."""

    # As in `styling`: what Python gives up earlier than the context is deleted twice.
    _kept = []

    @classmethod
    def new(cls):
        """One for one layer of one context."""
        cls._kept[:] = [processor for processor in cls._kept if not sip.isdeleted(processor)]
        cls._kept.append(cls())
        return cls._kept[-1]

    def postProcessLayer(self, layer, context, feedback):  # noqa: N802
        """Called in the main thread once the layer is in the project."""
        set_temporal(layer)
