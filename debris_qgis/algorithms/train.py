"""`debris:train`, Train Model."""

import os

from qgis.core import (
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from ..compat import DOUBLE, FILE, FOLDER, INTEGER
from .base import EngineAlgorithm
from .detect import DEVICES
from .labelled import LabelledData, add_band_parameters, add_data_parameters, data_problem

SOURCES = ("practice", "marida", "rasters")
# Name, label, kind, the recipe's default, lowest, highest, among the advanced ones, help.
NUMBERS = (
    ("WIDTH", "Width of the network", INTEGER, 64, 4, 128, False,
     "Channels of the first level. 64 is the network of 31.3 million parameters, for a GPU; 16 learns on a laptop."),
    ("EPOCHS", "Epochs (at most)", INTEGER, 100, 1, 100_000, False, ""),
    ("BATCH_SIZE", "Batch size", INTEGER, 16, 1, 4096, False, "Tiles a step; lower it where memory runs out."),
    ("LEARNING_RATE", "Learning rate", DOUBLE, 1e-3, 1e-8, 10.0, True, "Reached after the warm-up; then a cosine."),
    ("WARMUP_EPOCHS", "Epochs of warm-up", INTEGER, 10, 0, 10_000, True, ""),
    ("PATIENCE", "Patience (epochs)", INTEGER, 15, 1, 100_000, True,
     "Stop after so many epochs without a better validation score."),
    ("WEIGHT_DECAY", "Weight decay", DOUBLE, 1e-4, 0.0, 1.0, True, ""),
    ("DROPOUT", "Dropout", DOUBLE, 0.2, 0.0, 0.9, True, ""),
    ("TRAINING_SAMPLES", "Practice tiles for training", INTEGER, 2000, 1, 10_000_000, True, ""),
    ("VALIDATION_SAMPLES", "Practice tiles for validation", INTEGER, 400, 1, 10_000_000, True, ""),
    ("VALIDATION_SHARE", "Share of the labels for validation", DOUBLE, 0.2, 0.05, 0.5, True,
     "Whole scenes, or blocks of rasters, so that neighbours never stand on both sides."),
    ("TILE_SIZE", "Size of tiles (pixels)", INTEGER, 256, 32, 4096, True, "A multiple of 16."),
    ("SEED", "Seed", INTEGER, 0, 0, 2**31 - 1, True, "The same seed gives the same data; on a CPU the same model."),
)  # fmt: skip
TEXTS = (
    ("NAME", "Name of the model", "my model", ""),
    ("TRAIN_SPLIT", "List of patches to train on", None,
     "Its name below splits/, or a file. Where empty, scenes are split by themselves."),
    ("VALIDATION_SPLIT", "List of patches to validate on", None, "Given together with the list to train on."),
)  # fmt: skip
SCORES = {"BEST_F1": ("Best validation F1", "best_f1"), "BEST_IOU": ("Best validation IoU", "best_iou")}

HELP = """<p>Trains a model that Detect Marine Debris uses, on your own labels, on a folder in MARIDA's layout, or on
practice scenes that are made on the fly.</p>
<p><b>Learn from</b>: <i>practice</i> needs no data. <i>marida</i> takes a folder with patches/ and splits/.
<i>rasters</i> takes rasters and their labels: polygons with a class number in any CRS, or class rasters. What has no
label takes part in nothing.</p>
<p><b>Recipe</b>: 0.4 Dice + 0.4 focal + 0.2 weighted cross-entropy, AdamW, linear warm-up and cosine, early stopping,
the best model by validation; its threshold and calibration are found on the validation data and stand on its card.</p>
<p><b>While it runs</b>: state, log, previews and the best model so far lie in a folder beside the model
(<i>name</i>.training). Cancel leaves that folder, and no model under its name; <b>Resume</b> goes on from the last
epoch finished. A file named <i>stop</i> in the folder ends the training and keeps the best model.</p>
<p>The scores are those of the validation data, by which the model was chosen: measure it on other data with Evaluate
Model.</p>"""


class TrainAlgorithm(EngineAlgorithm):
    """Labelled data in; a model file, its report and its log out."""

    NAME = "train"
    DISPLAY_NAME = "Train Model"
    GROUP = "Models"
    GROUP_ID = "models"
    HELP = HELP

    def tags(self):
        """Words that find the algorithm in the toolbox."""
        return ["learning", "neural network", "labels", "fine-tuning", "marida", "segmentation"]

    def initAlgorithm(self, configuration=None):  # noqa: N802
        """Declare parameters and outputs."""
        source = QgsProcessingParameterEnum(
            "SOURCE", self.tr("Learn from"), list(SOURCES), False, SOURCES[0], False, True
        )
        self.add(source, self.tr("practice: made scenes. marida: a folder. rasters: rasters with labels."))
        add_data_parameters(self)
        for name, label, kind, default, low, high, advanced, text in NUMBERS:
            number = QgsProcessingParameterNumber(name, self.tr(label), kind, default, False, low, high)
            if kind == DOUBLE:
                number.setMetadata({"widget_wrapper": {"decimals": 6}})
            self.add(number, self.tr(text), advanced)
        for name, label, default, text in TEXTS:
            parameter = QgsProcessingParameterString(name, self.tr(label), default, False, True)
            self.add(parameter, self.tr(text), advanced=True)
        add_band_parameters(self)
        self._add_start()
        self._add_outputs()

    def _add_start(self):
        models = "Models (*.safetensors)"
        self.add(
            QgsProcessingParameterFile(
                "START_FROM", self.tr("Start from model"), FILE, optional=True, fileFilter=models
            ),
            self.tr("Fine-tuning: a model of the same width. From scratch where empty."),
        )
        self.add(
            QgsProcessingParameterBoolean("RESUME", self.tr("Resume an interrupted training"), False),
            self.tr("Goes on from the last epoch finished, as found in the run folder; all else as it was."),
        )
        self.add(
            QgsProcessingParameterFile("RUN_FOLDER", self.tr("Run folder"), FOLDER, optional=True),
            self.tr("For state, log, previews and the best model so far; beside the model where empty."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterEnum("DEVICE", self.tr("Device"), list(DEVICES), False, "auto", False, True),
            advanced=True,
        )

    def _add_outputs(self):
        for name, label, ending, optional in (
            ("MODEL", "Model", "Models (*.safetensors)", False),
            ("REPORT", "Report", "HTML files (*.html)", True),
            ("LOG", "Log of the epochs", "CSV files (*.csv)", True),
        ):
            self.add(QgsProcessingParameterFileDestination(name, self.tr(label), ending, None, optional, True))
        for name, (label, _) in SCORES.items():
            self.addOutput(QgsProcessingOutputNumber(name, self.tr(label)))

    def checkParameterValues(self, parameters, context):  # noqa: N802
        """Say at once what can be told without reading the data."""
        problem = self._problem(parameters, context)
        return (False, problem) if problem else super().checkParameterValues(parameters, context)

    def _problem(self, parameters, context):
        source = self.parameterAsString(parameters, "SOURCE", context) or SOURCES[0]
        if source == "marida" and not self.parameterAsString(parameters, "FOLDER", context):
            return self.tr("Choose the folder in MARIDA's layout (FOLDER), or learn from something else (SOURCE).")
        if source == "rasters" and not (parameters.get("RASTERS") and parameters.get("LABELS")):
            return self.tr("Choose the rasters (RASTERS) and their labels (LABELS).")
        size = self.parameterAsInt(parameters, "TILE_SIZE", context)
        if size % 16:
            return self.tr("The size of tiles is {}: it must be a multiple of 16.").format(size)
        start = self.parameterAsFile(parameters, "START_FROM", context)
        if start and not os.path.isfile(start):
            return self.tr("There is no model file {}.").format(start)
        model = parameters.get("MODEL")
        if isinstance(model, str) and model != "TEMPORARY_OUTPUT" and not model.lower().endswith(".safetensors"):
            return self.tr("MODEL is {}: a model file ends in .safetensors.").format(model)
        return data_problem(self, parameters, context)

    def prepareAlgorithm(self, parameters, context, feedback):  # noqa: N802
        """Take what is needed from the layers, in the main thread: a layer must not be touched in another."""
        self._data = LabelledData(self, parameters, context)
        return super().prepareAlgorithm(parameters, context, feedback)

    def processAlgorithm(self, parameters, context, feedback):  # noqa: N802
        """Run the engine's job `train`."""
        request = self._request(parameters, context)
        outputs = [request[name] for name in ("model", "report", "log_csv") if request[name]]
        result = self.run_job("train", request, feedback, outputs)
        if result is None:
            feedback.pushInfo(self.tr("What was learnt so far can be gone on from: run again with Resume."))
            return {}
        return self._results(result, feedback)

    def _request(self, parameters, context):
        def text(name):
            return self.parameterAsString(parameters, name, context).strip() or None

        source = text("SOURCE") or SOURCES[0]
        values = {
            name.lower(): (self.parameterAsInt if kind == INTEGER else self.parameterAsDouble)(
                parameters, name, context
            )
            for name, _, kind, *_ in NUMBERS
        }
        request = {
            **self._data.common,
            **values,
            "source": source,
            "model": self.parameterAsFileOutput(parameters, "MODEL", context),
            "report": self.parameterAsFileOutput(parameters, "REPORT", context) or None,
            "log_csv": self.parameterAsFileOutput(parameters, "LOG", context) or None,
            "name": text("NAME") or "my model",
            "start_from": self.parameterAsFile(parameters, "START_FROM", context) or None,
            "run_folder": self.parameterAsFile(parameters, "RUN_FOLDER", context) or None,
            "resume": self.parameterAsBool(parameters, "RESUME", context),
            "device": text("DEVICE") or "auto",
        }
        # What another source of data would need stays out: a folder still named in the dialog is not meant then.
        if source == "marida":
            splits = {name: text(name.upper()) for name in ("train_split", "validation_split")}
            request.update(folder=self._data.folder, **splits)
        elif source == "rasters":
            request.update(self._data.sources)
        return request

    def _results(self, result, feedback):
        feedback.pushInfo(
            f"Best model after {result['epochs']} epoch(s), on the validation data: F1 {result['best_f1']:.3f}, "
            f"IoU {result['best_iou']:.3f}, precision {result['precision']:.3f}, recall {result['recall']:.3f} at "
            f"threshold {result['threshold']:.3g}; expected calibration error {result['ece']:.3f}."
        )
        found = {"MODEL": result["model"], "REPORT": result["report"], "LOG": result["log_csv"]}
        found.update({name: result[field] for name, (_, field) in SCORES.items()})
        return {name: value for name, value in found.items() if value is not None}
