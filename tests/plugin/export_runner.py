"""Export as users run it, and what its files hold."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from osgeo import gdal, ogr
from qgis import processing

from .conftest import RecordingFeedback

NOTE = 'Müll, 海ごみ; "Leine", größer als gedacht: ' + "ä" * 150
TIME = "2019-04-24T07:36:19Z"
ALL_FORMATS = list(range(6))


def export(run, folder, **values):
    feedback = RecordingFeedback()
    inputs = {name: run[name] for name in ("DETECTIONS", "MASK", "PROBABILITY")}
    parameters = {**inputs, "FOLDER": str(folder), "FORMATS": ALL_FORMATS, "DECISIONS": 3, **values}
    return processing.run("debris:export", parameters, feedback=feedback), feedback


def rows_of(path, options=()):
    """By id: the values, with the outline under `geometry`, all independent of the file that is closed again."""
    dataset = gdal.OpenEx(str(path), gdal.OF_VECTOR, open_options=list(options))
    rows = {}
    for feature in dataset.GetLayer():
        outline = ogr.CreateGeometryFromWkb(bytes(feature.GetGeometryRef().ExportToIsoWkb()))
        rows[feature["id"]] = {**feature.items(), "geometry": outline}
    return rows


def source_rows(run):
    return rows_of(run["DETECTIONS"])


def ogrinfo(*arguments):
    program = shutil.which("ogrinfo")
    if program is None:
        pytest.skip("ogrinfo is not on this machine: install gdal-bin")
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True, encoding="utf-8").stdout
