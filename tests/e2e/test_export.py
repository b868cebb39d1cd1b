"""Export and report by qgis_process, from the built plugin, on what it has detected itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from osgeo import gdal

gdal.UseExceptions()
PATCH = "S2_22-12-20_18QYF/S2_22-12-20_18QYF_0.tif"


@pytest.fixture(scope="module")
def detected(qgis, marida: Path, tmp_path_factory) -> dict:
    source = marida / "patches" / PATCH
    folder = tmp_path_factory.mktemp("detected")
    outputs = {
        "MASK": folder / "mask.tif",
        "PROBABILITY": folder / "probability.tif",
        "DETECTIONS": folder / "detections.gpkg",
    }
    qgis.run("debris:detect", {"INPUT": source, **outputs})
    return {"SCENE": source, **outputs}


def _count(path: object) -> int:
    dataset = gdal.OpenEx(str(path), gdal.OF_VECTOR)
    return dataset.GetLayer(0).GetFeatureCount()


def test_export(qgis, detected: dict, tmp_path: Path) -> None:
    inputs = {name: detected[name] for name in ("MASK", "PROBABILITY", "DETECTIONS")}
    result = qgis.run("debris:export", {**inputs, "FOLDER": tmp_path / "out", "ZIP": tmp_path / "all.zip"})
    assert Path(result["ZIP"]).stat().st_size > 1000
    assert _count(result["GEOJSON"]) == _count(detected["DETECTIONS"]) == result["COUNT"]
    item = json.loads(Path(result["STAC_ITEM"]).read_text(encoding="utf-8"))
    assert item["properties"]["start_datetime"] == "2020-12-22T00:00:00Z"
    assert "precision 0." in Path(result["README"]).read_text(encoding="utf-8")


def test_report(qgis, detected: dict, tmp_path: Path) -> None:
    inputs = {name: detected[name] for name in ("SCENE", "MASK", "DETECTIONS")}
    result = qgis.run("debris:report", {**inputs, "PDF": tmp_path / "report.pdf", "HTML": tmp_path / "report.html"})
    assert Path(result["PDF"]).read_bytes().startswith(b"%PDF")
    page = Path(result["HTML"]).read_text(encoding="utf-8")
    assert f"{result['COUNT']} detection(s) of suspected debris" in page
    assert "precision 0." in page
    assert "data:image/png;base64," in page
