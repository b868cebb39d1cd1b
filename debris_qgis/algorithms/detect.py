"""`debris:detect`, Detect Marine Debris."""

import os

from qgis.core import (
    QgsProcessing,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterVectorDestination,
)

from ..compat import DOUBLE, FILE, INTEGER, POLYGONS
from ..results.areas import NOTHING_OBSERVED
from ..results.thresholds import brief
from ..styling import style_result
from .scene import SceneAlgorithm, square_km, without_folder

DEVICES = ("auto", "cpu", "cuda", "mps")
NUMBERS = {
    "DETECTION_COUNT": ("Number of detections", "detection_count"),
    "DEBRIS_AREA_M2": ("Area of debris (m²)", "debris_area_m2"),
    "OBSERVED_AREA_M2": ("Observed area (m²)", "observed_area_m2"),
    "NOT_OBSERVED_AREA_M2": ("Area not observed (m²)", "not_observed_area_m2"),
}

HELP = """<p>Finds floating marine debris in a raster with Sentinel-2 bands, with a neural network that runs in a
process of its own.</p>
<p><b>Product</b>: a Sentinel-2 product of level L1C or L2A as it comes (zip, SAFE folder, its MTD file), a folder of
single-band files, or an L2R file of ACOLITE. Scale, offset and level come from its metadata; L1C is Rayleigh-corrected.
The model was validated on Rayleigh-corrected reflectance; the log says which level was used.</p>
<p><b>Input</b>: instead, any raster that QGIS opens by GDAL. Bands are found by their names (B8A, B08, nm842,
rhorc_833 …); an unnamed raster of 11, 12 or 13 bands is taken in the order of MARIDA, L2A or L1C, and the log says so.
Reflectance comes from the file's scale and offset; integers without them are taken as DN / 10000.</p>
<p><b>Mask</b>: 0 clear water (and all that is no debris), 1 marine debris, 2 other floating matter (Sargassum, organic
material, foam), 3 not observed: land, 4 not observed: cloud or shadow, 255 not observed: no data.</p>
<p><b>Probability</b>: of debris, 0 to 1; no data where nothing was observed.</p>
<p><b>Debris</b> is a group of neighbouring pixels, the likeliest of which reaches the THRESHOLD. All that have at least
the EXTENT_THRESHOLD belong to it. Where that is empty it is the model's own threshold: a higher THRESHOLD leaves out
groups that are less sure, and the others keep their size.</p>
<p><b>Detections</b>: polygons with area, number of pixels, mean and highest probability, position, FDI, NDVI, distances
to land and cloud, whether the water around glints, level, time and product of the scene, and which model and threshold
found them.</p>
<p><b>Land and cloud</b> are told by the product's own masks, else by the image, and left out with a collar. Name your
own WATER and AREA layers where you know better.</p>
<p>What is found is <i>suspected</i> floating debris: look at it before you act on it. Each result has its style, also
as a .qml file beside it.</p>"""


class DetectAlgorithm(SceneAlgorithm):
    """Reads a raster layer, adds mask, probability and detections."""

    NAME = "detect"
    DISPLAY_NAME = "Detect Marine Debris"
    GROUP = "Detection"
    GROUP_ID = "detection"
    HELP = HELP

    def tags(self):
        """Words that find the algorithm in the toolbox."""
        return ["plastic", "litter", "sargassum", "sentinel", "segmentation", "neural network", "ocean"]

    def initAlgorithm(self, configuration=None):  # noqa: N802
        """Declare parameters and outputs."""
        self._add_inputs()
        self._add_advanced()
        # Optional outputs are written from scripts only when asked for; `createByDefault` ticks them in the dialog.
        self.add(
            QgsProcessingParameterRasterDestination("PROBABILITY", self.tr("Probability of debris"), None, True, True)
        )
        self.add(
            QgsProcessingParameterRasterDestination(
                "MASK", self.tr("Marine debris mask"), QgsProcessing.TEMPORARY_OUTPUT
            ),
        )
        self.add(
            QgsProcessingParameterVectorDestination(
                "DETECTIONS", self.tr("Detections"), POLYGONS, QgsProcessing.TEMPORARY_OUTPUT, True, True
            )
        )
        for name, (label, _) in NUMBERS.items():
            self.addOutput(QgsProcessingOutputNumber(name, self.tr(label)))

    def _add_inputs(self):
        self.add_scene()
        self.add(
            QgsProcessingParameterFile(
                "MODEL", self.tr("Model file"), FILE, optional=True, fileFilter="Models (*.safetensors)"
            ),
            self.tr("The bundled model where none is named."),
        )
        threshold = QgsProcessingParameterNumber("THRESHOLD", self.tr("Threshold"), DOUBLE, None, True, 0.0, 1.0)
        threshold.setMetadata({"widget_wrapper": {"decimals": 3}})
        self.add(
            threshold,
            self.tr(
                "Probability that the likeliest pixel of a group must reach for the group to be debris. Where empty "
                "the model's own, chosen in its training."
            ),
        )

    def _add_advanced(self):
        self.add_scene_advanced()
        extent = QgsProcessingParameterNumber(
            "EXTENT_THRESHOLD", self.tr("Extent threshold"), DOUBLE, None, True, 0.0, 1.0
        )
        extent.setMetadata({"widget_wrapper": {"decimals": 3}})
        self.add(
            extent,
            self.tr(
                "Probability from which pixels belong to such a group: how far it reaches. The threshold at most, and "
                "where it is the threshold, every pixel must reach that. Where empty the model's own threshold, so "
                "that what is surer is not smaller."
            ),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterBoolean("SHIFT_TO_WATER", self.tr("Shift to the usual level of water"), False),
            self.tr("Moves each band; for L2A that shows far too much: fewer false alarms, somewhat less debris."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterNumber("MIN_PIXELS", self.tr("Smallest detection (pixels)"), INTEGER, 1, False, 1),
            self.tr("Debris is often a single pixel: raise this with care."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterNumber("TILE_OVERLAP", self.tr("Overlap of tiles (pixels)"), INTEGER, None, True, 0),
            self.tr("By the network's receptive field where empty."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterEnum("DEVICE", self.tr("Device"), list(DEVICES), False, "auto", False, True),
            advanced=True,
        )

    def checkParameterValues(self, parameters, context):  # noqa: N802
        """Say at once what can be told without opening the raster."""
        problem = self._problem(parameters, context)
        return (False, problem) if problem else super().checkParameterValues(without_folder(parameters), context)

    def _problem(self, parameters, context):
        """What is wrong with the values, or an empty text."""
        problem = self.scene_problem(parameters, context)
        if problem:
            return problem
        for name, text in (
            ("THRESHOLD", self.tr("The threshold is {:g}: it must lie between 0 and 1.")),
            ("EXTENT_THRESHOLD", self.tr("The extent threshold is {:g}: it must lie between 0 and 1.")),
        ):
            value = self.number(parameters, name, context)
            if value is not None and not 0 <= value <= 1:
                return text.format(value)
        model = self.parameterAsFile(parameters, "MODEL", context)
        if model and not os.path.isfile(model):
            return self.tr("There is no model file {}.").format(model)
        if model and not model.lower().endswith(".safetensors"):
            return self.tr("{} is no model file: those end in .safetensors.").format(model)
        return self.unsupported_output(parameters, context)

    def processAlgorithm(self, parameters, context, feedback):  # noqa: N802
        """Run the engine's job `detect`."""
        request = self._request(parameters, context)
        outputs = [request[name] for name in ("mask", "probability", "detections") if request[name]]
        result = self.run_job("detect", request, feedback, outputs)
        if result is None:
            return {}
        if (request["extent_threshold"] or 0) > result["threshold"]:
            feedback.pushWarning(
                self.tr("The extent threshold, {:g}, is above the threshold: it was taken to be {:.3g} too.").format(
                    request["extent_threshold"], result["threshold"]
                )
            )
        return self._results(result, context, feedback)

    def _request(self, parameters, context):
        return {
            **self.scene_request(parameters, context),
            "mask": self.parameterAsOutputLayer(parameters, "MASK", context),
            "probability": self.parameterAsOutputLayer(parameters, "PROBABILITY", context) or None,
            "detections": self.parameterAsOutputLayer(parameters, "DETECTIONS", context) or None,
            "model": self.parameterAsFile(parameters, "MODEL", context) or None,
            "threshold": self.number(parameters, "THRESHOLD", context),
            "extent_threshold": self.number(parameters, "EXTENT_THRESHOLD", context),
            "shift_to_water": self.parameterAsBool(parameters, "SHIFT_TO_WATER", context),
            "min_pixels": self.parameterAsInt(parameters, "MIN_PIXELS", context),
            "tile_overlap": self.number(parameters, "TILE_OVERLAP", context, whole=True),
            "device": self.parameterAsString(parameters, "DEVICE", context) or "auto",
        }

    def _results(self, result, context, feedback):
        found, styled = {}, set()
        # Two results of one name (scene.tif, scene.gpkg) would share a .qml: the first of this order gets it.
        for name in ("MASK", "PROBABILITY", "DETECTIONS"):
            path = result[name.lower()]
            if path:
                found[name] = path
                beside = os.path.splitext(path)[0] not in styled
                styled.add(os.path.splitext(path)[0])
                style_result(name.lower(), path, result, context, beside)
        self._summarise(result, feedback)
        for name, (_, field) in NUMBERS.items():
            if result[field] is not None:
                found[name] = result[field]
        return found

    def _summarise(self, result, feedback):
        if not result["observed_pixels"]:
            feedback.pushWarning(NOTHING_OBSERVED)
        feedback.pushInfo(
            f"{result['detection_count']} detection(s), {result['debris_pixels']} debris pixel(s) at threshold "
            f"{brief(result['threshold'], result['extent_threshold'])} ({result['model_name']}). "
            f"Debris {square_km(result['debris_area_m2'])}, "
            f"observed {square_km(result['observed_area_m2'])}, "
            f"not observed {square_km(result['not_observed_area_m2'])}."
        )
        self.say_scene(result, feedback)
        if result["debris_area_m2"] is None:
            feedback.pushWarning(self.tr("The raster has no CRS: areas are unknown, their outputs are left out."))
