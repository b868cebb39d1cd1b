"""`debris:prepare`, Prepare Sentinel-2 Scene."""

from qgis.core import (
    QgsProcessing,
    QgsProcessingOutputNumber,
    QgsProcessingParameterRasterDestination,
)

from ..styling import style_result
from .scene import SceneAlgorithm, square_km, without_folder

NUMBERS = {
    "WATER_AREA_M2": ("Area to look at (m²)", "water_area_m2"),
    "LAND_AREA_M2": ("Area of land (m²)", "land_area_m2"),
    "CLOUD_AREA_M2": ("Area of cloud or shadow (m²)", "cloud_area_m2"),
    "NO_DATA_AREA_M2": ("Area of no data (m²)", "no_data_area_m2"),
}

HELP = """<p>Writes a Sentinel-2 product, or any raster with its bands, as one Cloud Optimized GeoTIFF: the eleven bands
B1-B8, B8A, B11 and B12 on the 10 m grid, with names, scale, offset, level, time and product in its tags. Products of
level L1C are Rayleigh-corrected.</p>
<p>Beside it lies the <b>quality mask</b>: 0 look here, 3 land, 4 cloud or shadow, 255 no data. Detect Marine Debris
finds the mask by the scene's tags and takes it; edit it where you know better.</p>"""


class PrepareAlgorithm(SceneAlgorithm):
    """Adds a scene and its quality mask."""

    NAME = "prepare"
    DISPLAY_NAME = "Prepare Sentinel-2 Scene"
    GROUP = "Detection"
    GROUP_ID = "detection"
    HELP = HELP

    def tags(self):
        """Words that find the algorithm in the toolbox."""
        return ["sentinel", "safe", "l1c", "l2a", "rayleigh", "cloud mask", "stack", "cog", "acolite"]

    def initAlgorithm(self, configuration=None):  # noqa: N802
        """Declare parameters and outputs."""
        self.add_scene()
        self.add_scene_advanced()
        for name, label in (("OUTPUT", "Prepared scene"), ("QUALITY", "Quality mask")):
            self.add(QgsProcessingParameterRasterDestination(name, self.tr(label), QgsProcessing.TEMPORARY_OUTPUT))
        for name, (label, _) in NUMBERS.items():
            self.addOutput(QgsProcessingOutputNumber(name, self.tr(label)))

    def checkParameterValues(self, parameters, context):  # noqa: N802
        """Say at once what can be told without opening the scene."""
        problem = self.scene_problem(parameters, context) or self.unsupported_output(parameters, context)
        return (False, problem) if problem else super().checkParameterValues(without_folder(parameters), context)

    def processAlgorithm(self, parameters, context, feedback):  # noqa: N802
        """Run the engine's job `prepare`."""
        request = {
            **self.scene_request(parameters, context),
            "output": self.parameterAsOutputLayer(parameters, "OUTPUT", context),
            "quality": self.parameterAsOutputLayer(parameters, "QUALITY", context),
        }
        result = self.run_job("prepare", request, feedback, [request["output"], request["quality"]])
        if result is None:
            return {}
        self.say_scene(result, feedback)
        feedback.pushInfo(f"To look at: {square_km(result['water_area_m2'])}.")
        style_result("scene", result["output"], result, context)
        style_result("mask", result["quality"], result, context)
        found = {"OUTPUT": result["output"], "QUALITY": result["quality"]}
        found.update((name, result[field]) for name, (_, field) in NUMBERS.items() if result[field] is not None)
        return found
