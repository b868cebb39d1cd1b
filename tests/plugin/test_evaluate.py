"""debris:evaluate in a real QGIS with the real engine: known scores, both kinds of data, report, bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from qgis import processing
from qgis.core import QgsProcessingException

from .conftest import RecordingFeedback
from .training_data import pixels, polygons


@pytest.fixture
def evaluate(toy_model):
    def run(feedback=None, **values):
        return processing.run(
            "debris:evaluate", {"MODEL": toy_model, **values}, feedback=feedback or RecordingFeedback()
        )

    return run


def test_polygons_over_a_raster(evaluate, make_raster, out):
    """The toy model finds what is bright in B8, which is the labelled debris and nothing else: all scores are 1."""
    page, scores = out / "report.html", out / "scores.json"
    feedback = RecordingFeedback()
    result = evaluate(
        feedback, RASTERS=[make_raster(pixels())], LABELS=[polygons()], LABEL_FIELD="class", THRESHOLD=0.5,
        REPORT=str(page), SCORES=str(scores),
    )  # fmt: skip
    assert (result["F1"], result["IOU"], result["PRECISION"], result["RECALL"]) == (1, 1, 1, 1)
    assert result["F1_LOW"] == result["F1_HIGH"] == 1
    assert result["THRESHOLD_USED"] == 0.5
    stored = json.loads(scores.read_text(encoding="utf-8"))
    assert stored["counts"] == {"tp": 25 * 36, "fp": 0, "fn": 0, "tn": 25 * 180}
    text = page.read_text(encoding="utf-8")
    assert "Marine Water" in text
    assert "900" in text
    assert any(line.startswith("F1 1.000 (95 % interval") for line in feedback.lines)


def test_false_positives_are_told_by_class(evaluate, make_raster, out):
    """With water labelled as debris and debris as water, everything is wrong, and the report says what with."""
    scores, page = out / "scores.json", out / "report.html"
    layer = polygons(number_of=lambda number: 8 - number)
    result = evaluate(
        RASTERS=[make_raster(pixels())], LABELS=[layer], LABEL_FIELD="class", THRESHOLD=0.5, SCORES=str(scores),
        REPORT=str(page),
    )  # fmt: skip
    assert result["F1"] == 0
    assert json.loads(scores.read_text(encoding="utf-8"))["false_positives"] == {"Marine Water": 900}
    assert "false positives" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "either a folder .* or rasters"),
        ({"FOLDER": "/nowhere"}, "There is no folder /nowhere"),
        ({"RASTERS": ["none.tif"], "LABELS": ["none.gpkg"]}, "none.tif is no layer"),
        ({"FOLDER": ".", "MODEL": "/nowhere/m.safetensors"}, "There is no model file"),
    ],
)
def test_bad_input(evaluate, values, message, out):
    with pytest.raises(QgsProcessingException, match=message):
        evaluate(**values)


def test_a_report_that_cannot_be_written(evaluate, make_raster):
    with pytest.raises(QgsProcessingException, match="/proc/report.html"):
        evaluate(RASTERS=[make_raster(pixels())], LABELS=[polygons()], LABEL_FIELD="class", REPORT="/proc/report.html")
    assert not Path("/proc/report.html").exists()
