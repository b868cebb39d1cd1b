"""`debris:corrections`, Corrections to Training Data."""

from qgis.core import (
    QgsProcessingException,
    QgsProcessingOutputNumber,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFeatureSink,
    QgsProcessingParameterField,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterVectorLayer,
    QgsWkbTypes,
)

from ..compat import DOUBLE, POLYGONS
from ..results.corrections import (
    CLASSES,
    WATER,
    CorrectionsError,
    as_feature,
    check_tables,
    common_crs,
    drawn_labels,
    label_fields,
    labels_from,
)
from ..results.projections import fresh_projections
from ..results.shown import as_found
from .base import EngineAlgorithm

HELP = """<p>Turns what was decided in the results panel into labels that Train Model takes: accepted detections become
marine debris, rejected ones what you say they are, and polygons drawn by hand what their class field says.</p>
<p>A ring of water around each decided detection is labelled too, because a network cannot learn what debris is from
debris alone; it keeps away from every other detection.</p>
<p>Then run Train Model with the scenes as rasters, this layer as labels, and its field <i>class</i>; start from the
model that made the mistakes.</p>
<p>Classes are MARIDA's: 1 marine debris, 2 and 3 Sargassum, 4 natural organic material, 5 ship, 6 clouds, 7 marine
water, 9 foam, 12 waves, 14 wakes …</p>"""


class CorrectionsAlgorithm(EngineAlgorithm):
    """Decisions in; a polygon layer with a class field out."""

    NAME = "corrections"
    DISPLAY_NAME = "Corrections to Training Data"
    GROUP = "Training"
    GROUP_ID = "training"
    HELP = HELP

    def tags(self):
        """Words that find the algorithm in the toolbox."""
        return ["labels", "fine-tuning", "accepted", "rejected", "annotation"]

    def initAlgorithm(self, configuration=None):  # noqa: N802
        """Declare parameters and outputs."""
        classes = [f"{number} {name}" for number, name in CLASSES.items()]
        self.add(QgsProcessingParameterMultipleLayers("DETECTIONS", self.tr("Detections"), POLYGONS, optional=True))
        self.add(
            QgsProcessingParameterEnum("REJECTED_CLASS", self.tr("What is rejected is"), classes, False, WATER - 1),
        )
        ring = QgsProcessingParameterNumber("RING", self.tr("Ring of water (m)"), DOUBLE, 60.0, False, 0.0)
        self.add(ring, self.tr("Width of the water that is labelled around each decided detection; 0 for none."))
        gap = QgsProcessingParameterNumber("GAP", self.tr("Gap before the ring (m)"), DOUBLE, 20.0, False, 0.0)
        self.add(gap, self.tr("The edge of a patch is mixed: this much around it stays without label."), advanced=True)
        self.add(QgsProcessingParameterVectorLayer("DRAWN", self.tr("Polygons drawn by hand"), [POLYGONS], None, True))
        self.add(
            QgsProcessingParameterField("DRAWN_FIELD", self.tr("Their class field"), None, "DRAWN", optional=True),
            self.tr("Class numbers; where empty all of them are of the class below."),
        )
        self.add(QgsProcessingParameterEnum("DRAWN_CLASS", self.tr("Their class without it"), classes, False, 0))
        self.add(QgsProcessingParameterFeatureSink("OUTPUT", self.tr("Labels"), POLYGONS))
        for name, label in (("ACCEPTED", "Accepted"), ("REJECTED", "Rejected"), ("DRAWN_COUNT", "Drawn")):
            self.addOutput(QgsProcessingOutputNumber(name, self.tr(label)))

    def prepareAlgorithm(self, parameters, context, feedback):  # noqa: N802
        """Take copies of the layers in the main thread: a layer must not be touched in another."""
        tables = self.parameterAsLayerList(parameters, "DETECTIONS", context)
        drawn = self.parameterAsVectorLayer(parameters, "DRAWN", context)
        self._tables = [as_found(layer) for layer in tables]
        self._drawn = None if drawn is None else drawn.clone()
        return super().prepareAlgorithm(parameters, context, feedback)

    def processAlgorithm(self, parameters, context, feedback):  # noqa: N802
        """Collect the labels and write them."""
        fresh_projections()
        collected, problem = self._collected(parameters, context)
        if problem:
            raise QgsProcessingException(problem)
        labels, crs = collected
        fields = label_fields()
        sink, target = self.parameterAsSink(parameters, "OUTPUT", context, fields, QgsWkbTypes.Type.MultiPolygon, crs)
        if sink is None:
            raise QgsProcessingException(self.invalidSinkError(parameters, "OUTPUT"))
        for label in labels:
            if not sink.addFeature(as_feature(label, fields)):
                raise QgsProcessingException(self.writeFeatureError(sink, parameters, "OUTPUT"))
        counts = {name: sum(label.source == name for label in labels) for name in ("accepted", "rejected", "drawn")}
        feedback.pushInfo(", ".join(f"{count} {name}" for name, count in counts.items()) + ".")
        if len({label.number for label in labels}) < 2:
            feedback.pushWarning(
                self.tr("All labels are of one class, from which nothing can be learnt: label others too, or set RING.")
            )
        return {
            "OUTPUT": target,
            "ACCEPTED": counts["accepted"],
            "REJECTED": counts["rejected"],
            "DRAWN_COUNT": counts["drawn"],
        }

    def _collected(self, parameters, context):
        """The labels and their CRS, or what is wrong.

        An exception that Processing has seen keeps its frames beyond the end of QGIS, which layers do not survive: so
        none goes out of where layers are looked at, and none is kept.
        """
        crs = common_crs([*self._tables, *([self._drawn] if self._drawn is not None else [])])
        try:
            check_tables(self._tables)
            return (self._labels(parameters, context, crs), crs), ""
        except CorrectionsError as error:
            return None, str(error)
        finally:
            self._tables, self._drawn = [], None

    def _labels(self, parameters, context, crs):
        numbers = list(CLASSES)
        drawn = []
        if self._drawn is not None:
            field = (self.parameterAsFields(parameters, "DRAWN_FIELD", context) or [""])[0]
            default = numbers[self.parameterAsEnum(parameters, "DRAWN_CLASS", context)]
            drawn = drawn_labels(self._drawn, field, default, crs)
        try:
            decided = labels_from(
                self._tables,
                numbers[self.parameterAsEnum(parameters, "REJECTED_CLASS", context)],
                self.parameterAsDouble(parameters, "RING", context),
                self.parameterAsDouble(parameters, "GAP", context),
                crs,
            )
        except CorrectionsError:
            if not drawn:
                raise
            decided = []
        # What was drawn by hand lies on top.
        return [*decided, *drawn]
