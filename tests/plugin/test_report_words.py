"""What a report says in words: of what was found and observed, and of what is not known."""

from __future__ import annotations

import re

import pytest
from osgeo import gdal
from qgis.core import QgsProcessingException

from debris_qgis.results.areas import percent
from debris_qgis.results.provenance import accuracy_of
from debris_qgis.results.severity import severity

from .report_driver import near, picture_of, report, text_of
from .results_data import TAGS, clouded, write_run


@pytest.mark.parametrize(
    ("share", "digits", "words"),
    [(1, 1, "100.0%"), (0.99996, 1, "99.9%"), (0.00001, 1, "0.1%"), (0, 0, "0%"), (0.999, 0, "99%"), (0.849, 0, "85%")],
)
def test_a_share_is_all_or_nothing_only_where_it_is(share, digits, words):
    assert percent(share, digits) == words


def test_nothing_found_is_said_of_what_was_observed_only(tmp_path, out):
    report(write_run(tmp_path, boxes=()), out)
    words = re.sub(r"\s+", " ", text_of(out / "report.pdf"))
    assert "No suspected debris was found in the 0.85 km² that were observed." in words
    assert "Severity none" in words.replace("\n", " ")


def test_where_nothing_was_observed_nothing_is_said_to_be_clean(tmp_path, out):
    report(clouded(write_run(tmp_path, boxes=())), out)
    words = re.sub(r"\s+", " ", text_of(out / "report.pdf"))
    figures = "Suspected detections not known Their area not known Observed nothing Severity not known"
    assert figures in words
    assert "Nothing was observed in this scene, so whether there is debris in it is not known." in words
    assert "Observed: nothing. Not observed: cloud or shadow 1.00 km² (100.0%)." in words
    assert "No suspected debris" not in words


def test_that_nothing_was_found_is_no_severity_where_what_was_observed_is_not_known(tmp_path, out):
    run = {**write_run(tmp_path, boxes=()), "MASK": None}
    with pytest.raises(QgsProcessingException, match="There is nothing to show: no detections, and neither a mask"):
        report(run, out)
    report(run, out, SCENE=run["SCENE"])
    assert "Severity not known" in re.sub(r"\s+", " ", text_of(out / "report.pdf"))


def test_without_mask_and_scene_it_says_what_it_does_not_know(run, out):
    _, feedback = report({**run, "MASK": None}, out)
    words = re.sub(r"\s+", " ", text_of(out / "report.pdf"))
    assert "What was observed is not known: no mask was given to this report." in words
    assert any("The scene is not at hand" in line for line in feedback.lines)


def test_a_mask_of_another_run_is_noticed_and_lends_no_name(run, out, tmp_path):
    """The documents say so themselves: their reader has no log. None of its areas stand beside these detections."""
    tags = {"SCENE": "S2B_MSIL2A_20210101T100000_N0214_R122_T30NZM", "MODEL": "another", "MODEL_SHA256": "cd" * 32}
    other = clouded(write_run(tmp_path, tags=tags, name="other_"), tags)
    _, feedback = report(run, out, MASK=other["MASK"])
    (warning,) = [line for line in feedback.lines if "of another run" in line]
    differing = f"its scene is {tags['SCENE']}, theirs {TAGS['SCENE']}; its model is another, theirs toy"
    assert f"other_mask_clouded.tif is of another run than the detections: {differing}." in warning
    assert "cdcd" not in warning
    page = (out / "report.html").read_text(encoding="utf-8")
    words = re.sub(r"\s+", " ", text_of(out / "report.pdf"))
    assert "T36JUN · image taken 2019-04-24" in words
    assert "Observed not known" in words
    assert "Model toy" in words
    for said in (words.replace("- ", "-"), page):
        assert f"the mask given to this report, other_mask_clouded.tif, is of another run: {differing}." in said
        assert "Observed: " not in said
        assert "1.00 km²" not in said
    # Nor is it the map.
    assert near(picture_of(out / "report.pdf"), (0xAD, 0xB8, 0xC4), 30) < 10_000


def test_one_of_the_plugins_own_results_is_no_scene(run, out):
    for name in ("PROBABILITY", "MASK"):
        with pytest.raises(QgsProcessingException, match=f"{name.lower()}.tif is no scene but what Detect Marine"):
            report(run, out, SCENE=run[name])
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("named", ["mask", "scene"])
def test_a_practice_scene_is_credited_to_no_satellite(tmp_path, out, named):
    run = write_run(tmp_path, tags={"PRACTICE_SEED": "7"} if named == "mask" else None)
    if named == "scene":
        dataset = gdal.Open(run["SCENE"], gdal.GA_Update)
        dataset.SetMetadataItem("practice_seed", "7")
        dataset.FlushCache()
    report(run, out, **({"MASK": None, "SCENE": run["SCENE"]} if named == "scene" else {}))
    for said in (text_of(out / "report.pdf"), (out / "report.html").read_text(encoding="utf-8")):
        assert "Practice scene, no satellite image." in said
        assert "Copernicus" not in said


def test_where_a_mask_says_nothing_the_detections_do(run, out, tmp_path):
    plain = tmp_path / "plain.tif"
    dataset = gdal.Open(run["MASK"])
    copy = gdal.GetDriverByName("GTiff").Create(str(plain), dataset.RasterXSize, dataset.RasterYSize, 1, gdal.GDT_Byte)
    copy.SetGeoTransform(dataset.GetGeoTransform())
    copy.SetProjection(dataset.GetProjection())
    copy.GetRasterBand(1).WriteArray(dataset.ReadAsArray())
    del copy
    _, feedback = report(run, out, MASK=str(plain))
    words = re.sub(r"\s+", " ", text_of(out / "report.pdf"))
    assert "T36JUN · image taken 2019-04-24" in words
    assert "Observed: 0.85 km²" in words
    assert not any("of another run" in line for line in feedback.lines)


def test_a_mask_that_is_none_is_refused(run, out):
    for path, kind in ((run["PROBABILITY"], r"1 band\(s\) of Float32"), (run["SCENE"], r"11 band\(s\) of Float32")):
        with pytest.raises(QgsProcessingException, match=f"no mask of marine debris: it has {kind}"):
            report(run, out, MASK=path)
    assert list(out.iterdir()) == []


def test_without_a_crs_it_says_so(tmp_path, out):
    report(write_run(tmp_path, epsg=None), out)
    words = re.sub(r"\s+", " ", text_of(out / "report.pdf"))
    assert "No coordinate system: no scale" in words
    assert "position unknown" in words


def test_accuracy_is_stated_for_the_threshold_that_was_measured():
    figures = {"f1": 0.7, "precision": 0.71, "recall": 0.68, "recall_real": 0.828, "pixels_real": 1215}
    card = {"threshold": 0.69, "metrics": {"data": "practice tiles; recall_real is explained", "debris": figures}}
    stated = "On practice tiles: precision 0.71, recall 0.68, F1 0.70. Of the debris labelled in these images it found "
    assert accuracy_of(card, 0.69) == accuracy_of(card) == stated + "1,006 of 1,215 pixels (83%)."
    assert "measured at the threshold 0.69; it does not hold at 0.05" in accuracy_of(card, 0.05)
    # All but one of few is not all.
    figures.update(recall_real=0.9953, pixels_real=215, recall=0.996)
    assert "recall 0.99, " in accuracy_of(card)
    assert accuracy_of(card).endswith("it found 214 of 215 pixels (99%).")
    del figures["pixels_real"]
    assert accuracy_of(card).endswith("found 99%.")
    assert accuracy_of({"threshold": 0.69}, 0.05) == "The model's card states no accuracy."


@pytest.mark.parametrize(
    ("spots", "area", "name"),
    [
        (0, 0.0, "none"), (1, 100.0, "low"), (3, 0.0, "moderate"), (1, 20_000.0, "moderate"), (5, 0.0, "high"),
        (2, 50_000.0, "high"), (8, 0.0, "critical"), (1, 100_000.0, "critical"), (7, 99_999.0, "high"),
        (2, None, "low"),
    ],
)  # fmt: skip
def test_severity(spots, area, name):
    assert severity(spots, area) == name
