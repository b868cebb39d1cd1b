"""What an export says of itself: its README, its zip, and rasters that do not belong to it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsRasterLayer,
)

from .export_runner import export, rows_of
from .results_data import TAGS, clouded, write_raster, write_run


def test_one_zip_holds_all_with_its_provenance(decided, out, tmp_path):
    target = tmp_path / "all.zip"
    result, _ = export(decided, out, ZIP=str(target))
    with zipfile.ZipFile(target) as bundle:
        assert bundle.testzip() is None
        names = {name.split("/")[1] for name in bundle.namelist()}
        text = bundle.read(next(name for name in bundle.namelist() if name.endswith("README.txt"))).decode()
    assert names == {path.name for path in out.iterdir()}
    for word in ("SUSPECTED", TAGS["SCENE"], TAGS["MODEL_SHA256"], "2019-04-24 07:36 UTC", "threshold: 0.3"):
        assert word in text
    assert "modified Copernicus Sentinel data 2019" in text
    # 100 x 100 pixels of 100 m²: 5 rows of land, a corner of cloud, 10 columns without data.
    assert "- observed: 0.85 km²" in text
    assert "- not observed, land: 45,000 m²" in text
    assert "- not observed, cloud or shadow: 6,000 m²" in text
    assert "- not observed, no data: 0.10 km²" in text
    assert result["COUNT"] == 4


@pytest.mark.parametrize("epsg", [None, 32631])
def test_the_crs_that_the_mask_was_given_in_qgis_is_that_of_its_areas_and_of_its_copy(run, tmp_path, out, epsg):
    bare = write_raster(tmp_path / "bare.tif", gdal.Open(run["MASK"]).ReadAsArray(), 255, epsg=epsg)
    mask = QgsRasterLayer(bare, "mask")
    mask.setCrs(QgsCoordinateReferenceSystem("EPSG:32630"))
    result, _ = export({**run, "MASK": mask}, out)
    for name in ("MASK_COG", "PROBABILITY_COG"):
        assert gdal.Open(result[name]).GetSpatialRef().GetAuthorityCode(None) == "32630"
    assert "- observed: 0.85 km²" in next(out.glob("*README.txt")).read_text(encoding="utf-8")


def test_the_readme_says_what_else_floats(run, tmp_path, out):
    mask = gdal.Open(run["MASK"]).ReadAsArray()
    mask[60:70, 10:20] = 2
    export({**run, "MASK": write_raster(tmp_path / "floating.tif", mask, 255)}, out)
    assert "not counted as debris: 10,000 m²" in next(out.glob("*README.txt")).read_text(encoding="utf-8")


def test_the_readme_of_a_scene_that_was_not_observed_does_not_call_it_clean(tmp_path, out):
    result, _ = export(clouded(write_run(tmp_path, boxes=())), out)
    text = Path(result["README"]).read_text(encoding="utf-8")
    assert "- Nothing was observed in this scene, so whether there is debris in it is not known." in text
    assert "- observed: nothing\n- not observed, cloud or shadow: 1.00 km²" in text
    assert "their area" not in text


def test_the_readme_lists_the_fields_that_are_there(run, decided, out, tmp_path):
    def listed(folder):
        text = next(folder.glob("*_README.txt")).read_text(encoding="utf-8")
        section = text.partition("\nFields\n------\n")[2].partition("\n- texts are UTF-8")[0]
        return {name for line in section.splitlines() for name in line[2:].partition(":")[0].split(", ")}

    plain = tmp_path / "plain"
    plain.mkdir()
    undated = write_run(plain, tags={"SCENE": "somewhere", "INPUT": "none.tif"})
    for source, folder in ((decided, out), (undated, plain / "out")):
        result, _ = export(source, folder)
        there = set(next(iter(rows_of(result["GPKG"]).values()))) - {"geometry", "fid"}
        assert listed(folder) == there, folder


def test_the_readme_credits_no_satellite_with_a_practice_scene(tmp_path, out):
    result, _ = export(write_run(tmp_path, tags={"PRACTICE_SEED": "7"}), out)
    text = Path(result["README"]).read_text(encoding="utf-8")
    assert "- credit: Practice scene, no satellite image." in text
    assert "Copernicus" not in text


def test_rasters_of_another_run_are_noticed(run, out, tmp_path):
    other = write_run(tmp_path, tags={"SCENE": "another", "THRESHOLD": "0.5"}, name="other_")
    _, feedback = export({**run, "MASK": other["MASK"]}, out)
    assert any("of another run" in line for line in feedback.lines)
    # The detections are what is handed on: it goes under their name.
    text = (out / f"{TAGS['SCENE']}_README.txt").read_text(encoding="utf-8")
    differing = f"its scene is another, theirs {TAGS['SCENE']}; its threshold is 0.5, theirs 0.3"
    assert f"- {TAGS['SCENE']}_mask.tif is of another run than the detections: {differing}." in text
    assert "- not known: the mask of these detections was not given" in text
    assert "0.85 km²" not in text
    item = json.loads((out / f"{TAGS['SCENE']}.stac.json").read_text(encoding="utf-8"))
    titles = [item["assets"][kind]["title"] for kind in ("mask", "probability")]
    assert titles == ["Mask raster of another run", "Probability raster"]
