"""`debris:simulate`, Make Practice Scene."""

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterString,
)

from ..compat import INTEGER
from ..styling import style_result
from .base import EngineAlgorithm

HELP = """<p>Writes a practice scene: a georeferenced raster of eleven Sentinel-2 bands with the sea, a coast, clouds,
foam, ships, Sargassum and debris in it, composed from signatures measured in real images (MARIDA, Kikaki et al. 2022),
and the true class of each pixel beside it.</p>
<p>Try Detect Marine Debris on it, and compare. The same seed gives the same scene.</p>
<p><b>Labels</b>: numbers of MARIDA's classes (1 marine debris, 2 and 3 Sargassum, 4 natural organic material, 5 ship,
6 cloud, 7 marine water, 9 foam …), 16 land, 0 no label.</p>"""


class SimulateAlgorithm(EngineAlgorithm):
    """Adds a scene and its labels."""

    NAME = "simulate"
    DISPLAY_NAME = "Make Practice Scene"
    GROUP = "Practice"
    GROUP_ID = "practice"
    HELP = HELP

    def initAlgorithm(self, configuration=None):  # noqa: N802
        """Declare parameters and outputs."""
        for name, label, default, low, high in (
            ("WIDTH", "Width (pixels)", 1024, 32, 20000),
            ("HEIGHT", "Height (pixels)", 1024, 32, 20000),
            ("SEED", "Seed", 0, 0, 2**31 - 1),
        ):
            self.add(QgsProcessingParameterNumber(name, self.tr(label), INTEGER, default, False, low, high))
        self.add(
            QgsProcessingParameterString("WITHOUT", self.tr("Leave out"), None, False, True),
            self.tr(
                "Separated by commas, of debris, sargassum, organic, ship, foam, waves, fronts, coast, cloud, shadow, "
                "haze, nodata."
            ),
            advanced=True,
        )
        for name, label in (("OUTPUT", "Practice scene"), ("LABELS", "True classes")):
            self.add(QgsProcessingParameterRasterDestination(name, self.tr(label), QgsProcessing.TEMPORARY_OUTPUT))

    def checkParameterValues(self, parameters, context):  # noqa: N802
        """Say at once that a file's ending is none the engine writes."""
        problem = self.unsupported_output(parameters, context)
        return (False, problem) if problem else super().checkParameterValues(parameters, context)

    def processAlgorithm(self, parameters, context, feedback):  # noqa: N802
        """Run the engine's job `simulate`."""
        without = self.parameterAsString(parameters, "WITHOUT", context)
        request = {
            "output": self.parameterAsOutputLayer(parameters, "OUTPUT", context),
            "labels": self.parameterAsOutputLayer(parameters, "LABELS", context),
            "width": self.parameterAsInt(parameters, "WIDTH", context),
            "height": self.parameterAsInt(parameters, "HEIGHT", context),
            "seed": self.parameterAsInt(parameters, "SEED", context),
            "without": [part.strip() for part in without.split(",") if part.strip()],
        }
        result = self.run_job("simulate", request, feedback, [request["output"], request["labels"]])
        if result is None:
            return {}
        listed = ", ".join(f"{name} {count}" for name, count in result["class_pixels"].items())
        feedback.pushInfo(f"Pixels by class: {listed}.")
        for kind, name in (("scene", "output"), ("labels", "labels")):
            style_result(kind, result[name], {"scene": f"Practice scene {request['seed']}"}, context)
        return {"OUTPUT": result["output"], "LABELS": result["labels"]}
