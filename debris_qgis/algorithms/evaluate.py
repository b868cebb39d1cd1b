"""`debris:evaluate`, Evaluate Model."""

import html
import json
import os

from qgis.core import (
    QgsProcessingException,
    QgsProcessingOutputNumber,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from ..compat import DOUBLE, FILE
from .base import EngineAlgorithm
from .detect import DEVICES
from .labelled import LabelledData, add_band_parameters, add_data_parameters, data_problem

SCORES = {
    "F1": ("F1", "f1"),
    "IOU": ("IoU", "iou"),
    "PRECISION": ("Precision", "precision"),
    "RECALL": ("Recall", "recall"),
    "ECE": ("Expected calibration error", "ece"),
    "THRESHOLD_USED": ("Threshold", "threshold"),
}
INTERVAL = {"F1_LOW": "F1, lower end of the 95 % interval", "F1_HIGH": "F1, upper end of the 95 % interval"}
COUNTS = {"tp": "true positives", "fp": "false positives", "fn": "false negatives", "tn": "true negatives"}

HELP = """<p>Measures a model on labelled data: precision, recall, F1 and IoU of debris over all labelled pixels,
which classes it takes for debris, how well its probabilities are calibrated, and a 95 % interval of F1 by bootstrap
over whole scenes.</p>
<p>Give either a folder in MARIDA's layout (and, if you like, the list of patches to use), or rasters with labels:
polygons with a class number in any CRS, or class rasters. Pixels without a label count nowhere.</p>
<p>A score tells something about other scenes only where the model has never seen the data: neither trained on it, nor
chosen by it.</p>"""


class EvaluateAlgorithm(EngineAlgorithm):
    """A model and labelled data in; scores and a report out."""

    NAME = "evaluate"
    DISPLAY_NAME = "Evaluate Model"
    GROUP = "Models"
    GROUP_ID = "models"
    HELP = HELP

    def tags(self):
        """Words that find the algorithm in the toolbox."""
        return ["accuracy", "validation", "f1", "iou", "precision", "recall", "marida"]

    def initAlgorithm(self, configuration=None):  # noqa: N802
        """Declare parameters and outputs."""
        self.add(
            QgsProcessingParameterFile(
                "MODEL", self.tr("Model file"), FILE, optional=True, fileFilter="Models (*.safetensors)"
            ),
            self.tr("The bundled model where none is named."),
        )
        add_data_parameters(self)
        self.add(
            QgsProcessingParameterString("SPLIT", self.tr("List of patches"), None, False, True),
            self.tr("Its name below the folder's splits/, or a file. Every patch where empty."),
        )
        threshold = QgsProcessingParameterNumber("THRESHOLD", self.tr("Threshold"), DOUBLE, None, True, 0.0, 1.0)
        threshold.setMetadata({"widget_wrapper": {"decimals": 3}})
        self.add(threshold, self.tr("The model's own where empty."))
        add_band_parameters(self)
        self.add(
            QgsProcessingParameterEnum("DEVICE", self.tr("Device"), list(DEVICES), False, "auto", False, True),
            advanced=True,
        )
        for name, label, ending in (
            ("REPORT", "Report", "HTML files (*.html)"),
            ("SCORES", "Scores", "JSON files (*.json)"),
        ):
            self.add(QgsProcessingParameterFileDestination(name, self.tr(label), ending, None, True, name == "REPORT"))
        labels = {name: label for name, (label, _) in SCORES.items()}
        for name, label in {**labels, **INTERVAL}.items():
            self.addOutput(QgsProcessingOutputNumber(name, self.tr(label)))

    def checkParameterValues(self, parameters, context):  # noqa: N802
        """Say at once what can be told without reading the data."""
        problem = self._problem(parameters, context)
        return (False, problem) if problem else super().checkParameterValues(parameters, context)

    def _problem(self, parameters, context):
        folder = bool(self.parameterAsString(parameters, "FOLDER", context))
        if folder == bool(parameters.get("RASTERS")):
            return self.tr("Choose either a folder in MARIDA's layout (FOLDER), or rasters with labels (RASTERS).")
        if not folder and not parameters.get("LABELS"):
            return self.tr("Choose the labels of the rasters (LABELS).")
        model = self.parameterAsFile(parameters, "MODEL", context)
        if model and not os.path.isfile(model):
            return self.tr("There is no model file {}.").format(model)
        return data_problem(self, parameters, context)

    def prepareAlgorithm(self, parameters, context, feedback):  # noqa: N802
        """Take what is needed from the layers, in the main thread: a layer must not be touched in another."""
        self._data = LabelledData(self, parameters, context)
        return super().prepareAlgorithm(parameters, context, feedback)

    def processAlgorithm(self, parameters, context, feedback):  # noqa: N802
        """Run the engine's job `evaluate`."""
        result = self.run_job("evaluate", self._request(parameters, context), feedback)
        if result is None:
            return {}
        feedback.pushInfo(
            f"F1 {result['f1']:.3f} (95 % interval {_interval(result)}), IoU {result['iou']:.3f}, "
            f"precision {result['precision']:.3f}, recall {result['recall']:.3f} at threshold "
            f"{result['threshold']:.3g}, over {result['patches']} patch(es); model {result['model_name']}."
        )
        found = {name: result[field] for name, (_, field) in SCORES.items()}
        if result["interval"]:
            found["F1_LOW"], found["F1_HIGH"] = result["interval"]
        for name, content in (("REPORT", page), ("SCORES", _as_json)):
            path = self.parameterAsFileOutput(parameters, name, context)
            if path:
                found[name] = _written(path, content(result))
        return found

    def _request(self, parameters, context):
        data = self._data
        request = {
            **data.common,
            "model": self.parameterAsFile(parameters, "MODEL", context) or None,
            "threshold": self.number(parameters, "THRESHOLD", context),
            "device": self.parameterAsString(parameters, "DEVICE", context) or "auto",
        }
        if data.folder:
            request["data"] = data.folder
            request["split"] = self.parameterAsString(parameters, "SPLIT", context).strip() or None
            return request
        return {**request, **data.sources}


def _as_json(result):
    return json.dumps(result, indent=2, ensure_ascii=False) + "\n"


def _written(path, text):
    """Write a small file whole, or not at all under its name."""
    staged = f"{path}.part"
    try:
        with open(staged, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(staged, path)
    except OSError as error:
        if os.path.exists(staged):
            os.remove(staged)
        raise QgsProcessingException(f"{path} cannot be written: {error}.") from error
    return path


def _interval(result):
    """The interval of F1 in words."""
    if not result["interval"]:
        return "none: there is one patch only"
    low, high = result["interval"]
    return f"{low:.3f} to {high:.3f}, by {result['interval_by']}"


def _data(result):
    """What was measured on, in words."""
    if result["data"]:
        return result["data"] + (f", patches of {result['split']}" if result["split"] else "")
    return f"{', '.join(result['rasters'])}; labels {', '.join(result['labels'])}"


def page(result: dict) -> str:
    """The evaluation as one HTML page."""
    scores = [
        ("F1", f"{result['f1']:.3f}"),
        ("95 % interval of F1 (bootstrap)", _interval(result)),
        ("IoU", f"{result['iou']:.3f}"),
        ("Precision", f"{result['precision']:.3f}"),
        ("Recall", f"{result['recall']:.3f}"),
        ("Expected calibration error", f"{result['ece']:.3f}"),
        ("Threshold", f"{result['threshold']:.3g}"),
        ("Patches", f"{result['patches']:,}"),
        ("Classes that count as debris", f"{', '.join(map(str, result['positive_classes']))} ({result['protocol']})"),
        ("Measured on", _data(result)),
    ]
    counts = [(label.capitalize(), f"{result['counts'][name]:,}") for name, label in COUNTS.items()]
    classes = [
        (name, f"{total:,}", f"{flagged:,}", f"{flagged / max(total, 1):.1%}",
         "false positives" if name in result["false_positives"] else "")
        for name, total in result["pixels_by_class"].items()
        for flagged in [result["flagged_by_class"].get(name, 0)]
    ]  # fmt: skip
    model = html.escape(f"{result['model_name']} ({result['model_sha256'][:12]})")
    style = (
        "body{font-family:sans-serif;max-width:50em;margin:2em auto;padding:0 1em}table{border-collapse:collapse;"
        "margin:1em 0}td,th{border-bottom:1px solid #bbb;padding:.3em .8em;text-align:left}"
    )
    return (
        f"<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'><title>Evaluation</title><style>{style}</style>"
        f"</head><body><h1>Evaluation of {model}</h1>{_table(('Score', ''), scores)}<h2>Labelled pixels</h2>"
        f"{_table(('', 'pixels'), counts)}<h2>By class</h2>"
        f"{_table(('Class', 'pixels', 'taken for debris', 'share', ''), classes)}"
        "<p>Scores tell something about other scenes only where the model was neither trained on this data nor chosen "
        "by it.</p></body></html>\n"
    )


def _table(head, rows):
    def line(cells, tag):
        return "<tr>" + "".join(f"<{tag}>{html.escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"

    return f"<table>{line(head, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"
