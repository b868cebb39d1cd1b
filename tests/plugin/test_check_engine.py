"""Check Engine in a real QGIS: what it says of an engine that runs, and of one that does not."""

import os
import time

from qgis import processing

from .conftest import RecordingFeedback


def test_check_engine_answers_within_two_seconds(engine_python):
    begin = time.monotonic()
    result = processing.run("debris:enginestatus", {}, feedback=RecordingFeedback())
    assert time.monotonic() - begin < 2 or os.environ.get("CI")
    assert result["READY"] is True, result["REPORT"]
    for word in ("torch", "Device", "Memory", "Model:"):
        assert word in result["REPORT"]


def test_check_engine_says_what_to_do(monkeypatch):
    monkeypatch.setenv("DEBRIS_ENGINE_PYTHON", "/nowhere/python")
    result = processing.run("debris:enginestatus", {}, feedback=RecordingFeedback())
    assert result["READY"] is False
    assert "/nowhere/python" in result["REPORT"]
    assert "pip install -r" in result["REPORT"]
