"""Exports, read back by other tools than the one that wrote them, against the source."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import warnings
import zipfile
from datetime import datetime, timezone
from pathlib import Path

import geojson
import numpy as np
import pystac
import pytest
from osgeo import gdal, ogr, osr
from qgis import processing
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessingException,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)

from debris_qgis.results.fields import decide, ensure_fields
from debris_qgis.results.period import parse

from . import results_data
from .conftest import RecordingFeedback
from .results_data import TAGS, clouded, write_raster, write_run

with warnings.catch_warnings():
    # The extension is a pilot that is asked for here; pystac says so whenever it is imported.
    warnings.simplefilter("ignore", DeprecationWarning)
    from pystac.extensions.label import LabelExtension, LabelType

NOTE = 'Müll, 海ごみ; "Leine", größer als gedacht: ' + "ä" * 150
TIME = "2019-04-24T07:36:19Z"
ALL_FORMATS = list(range(6))


@pytest.fixture
def decided(run):
    """The same with two decisions, one of them with a long note in several scripts."""
    layer = QgsVectorLayer(run["DETECTIONS"], "detections", "ogr")
    ensure_fields(layer, parse(TAGS["SCENE"]))
    decide(layer, 1, "accepted", NOTE)
    decide(layer, 2, "rejected")
    return run


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


def lonlat(epsg=32630):
    source, target = osr.SpatialReference(), osr.SpatialReference()
    source.ImportFromEPSG(epsg)
    target.ImportFromEPSG(4326)
    for system in (source, target):
        system.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    return osr.CoordinateTransformation(source, target)


def ogrinfo(*arguments):
    program = shutil.which("ogrinfo")
    if program is None:
        pytest.skip("ogrinfo is not on this machine: install gdal-bin")
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True, encoding="utf-8").stdout


@pytest.mark.parametrize("form", ["gpkg", "geojson", "fgb", "kml", "csv", "shp"])
def test_every_format_equals_the_source(decided, out, form):
    if form == "kml" and gdal.GetDriverByName("LIBKML") is None:
        pytest.skip("this GDAL has no LIBKML driver; KML without it has names only")
    export(decided, out)
    (path,) = out.glob(f"*.{form}")
    # GDAL, not QGIS, reads the file back; ogrinfo sees the same number of rows.
    assert "Feature Count: 4" in ogrinfo("-so", "-al", str(path))
    options = ["KEEP_GEOM_COLUMNS=NO", "GEOM_POSSIBLE_NAMES=WKT", "AUTODETECT_TYPE=YES"] if form == "csv" else []
    rows, source = rows_of(path, options), source_rows(decided)
    assert set(rows) == set(source) == {1, 2, 3, 4}
    for number, row in rows.items():
        for name in ("area_m2", "mean_prob", "max_prob", "lon", "lat", "fdi", "threshold"):
            assert row[name] == pytest.approx(source[number][name], rel=1e-9)
        assert row["n_pixels"] == source[number]["n_pixels"]
        assert row["scene"] == TAGS["SCENE"]
        expected = source[number]["geometry"]
        if form in ("geojson", "kml", "csv"):
            expected.Transform(lonlat())
        found = row["geometry"]
        assert found.IsValid()
        # GeoJSON's seven decimals of a degree are a centimetre.
        assert found.SymDifference(expected).Area() <= (5e-3 if form == "geojson" else 1e-6) * expected.Area()
    assert rows[1]["decision"] == "accepted"


@pytest.mark.parametrize("form", ["gpkg", "geojson", "fgb", "csv", "shp"])
def test_texts_are_utf8_and_times_are_utc(decided, out, form):
    export(decided, out)
    (path,) = out.glob(f"*.{form}")
    text = ogrinfo("-al", "-geom=NO", str(path))
    assert "Müll, 海ごみ" in text
    assert (NOTE in text) == (form != "shp")
    # ogrinfo takes GeoJSON's texts for times, and finds them in UTC.
    assert TIME in text or "2019/04/24 07:36:19+00" in text
    day, time = re.search(r"decided_a\w* \(\w+\(?.*\)? = (\S{10})[T ](\S{8})(?:Z|\+00)", text).groups()
    at = datetime.fromisoformat(f"{day.replace('/', '-')}T{time}+00:00")
    assert abs((datetime.now(timezone.utc) - at).total_seconds()) < 300


def test_the_shapefile_says_what_it_lost(decided, out):
    _, feedback = export(decided, out, FORMATS=[5])
    assert any("cut to 10 characters" in line for line in feedback.lines)
    assert "Shapefile: 1 text(s) longer than 254 bytes were cut." in feedback.lines
    assert "Shapefile: 1 text(s)" in next(out.glob("*README.txt")).read_text(encoding="utf-8")


def test_kml_has_names_and_times_for_globes(decided, out):
    if gdal.GetDriverByName("LIBKML") is None:
        pytest.skip("this GDAL has no LIBKML driver")
    export(decided, out, FORMATS=[3])
    text = next(out.glob("*.kml")).read_text(encoding="utf-8")
    assert "<name>Suspected debris 1</name>" in text
    assert f"<begin>{TIME}</begin>" in text
    assert f"<end>{TIME}</end>" in text


def test_kml_is_written_without_libkml_too(decided, out, monkeypatch):
    monkeypatch.setattr("debris_qgis.results.vectors.gdal.GetDriverByName", lambda name: None)
    _, feedback = export(decided, out, FORMATS=[3])
    text = next(out.glob("*.kml")).read_text(encoding="utf-8")
    assert "<name>Suspected debris 1</name>" in text
    assert "no LIBKML driver" in next(out.glob("*README.txt")).read_text(encoding="utf-8")
    assert not feedback.errors


def test_geojson_is_valid_after_rfc_7946(decided, out):
    export(decided, out, FORMATS=[1])
    text = next(out.glob("*.geojson")).read_text(encoding="utf-8")
    collection = geojson.loads(text)
    assert collection.is_valid, collection.errors()
    assert "crs" not in collection
    for feature in collection["features"]:
        assert feature["geometry"]["type"] in ("Polygon", "MultiPolygon")
        for ring in (r for polygon in _polygons(feature["geometry"]) for r in polygon[:1]):
            assert all(-180 <= x <= 180 and -90 <= y <= 90 for x, y in ring)
            # Outer rings run against the clock.
            assert sum((b[0] - a[0]) * (b[1] + a[1]) for a, b in zip(ring, ring[1:], strict=False)) < 0


def _polygons(geometry):
    return [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]


def test_rasters_are_cloud_optimized_and_the_same(run, out):
    result, _ = export(run, out)
    for name in ("MASK", "PROBABILITY"):
        path = result[f"{name}_COG"]
        info = json.loads(subprocess.run(["gdalinfo", "-json", path], check=True, capture_output=True).stdout)
        assert info["metadata"]["IMAGE_STRUCTURE"]["LAYOUT"] == "COG"
        assert info["metadata"][""]["SCENE"] == TAGS["SCENE"]
        mine, own = gdal.Open(path), gdal.Open(run[name])
        np.testing.assert_array_equal(mine.ReadAsArray(), own.ReadAsArray())
        assert mine.GetGeoTransform() == own.GetGeoTransform()
        assert mine.GetSpatialRef().IsSame(own.GetSpatialRef())
        np.testing.assert_equal(mine.GetRasterBand(1).GetNoDataValue(), own.GetRasterBand(1).GetNoDataValue())


def test_the_stac_item_is_valid_and_carries_labels(decided, out):
    result, _ = export(decided, out)
    item = pystac.Item.from_file(result["STAC_ITEM"])
    own = json.loads(Path(result["STAC_ITEM"]).read_text(encoding="utf-8"))
    # The core schemas come with pystac; those of extensions lie on the web, which tests do not need.
    core = pystac.Item.from_dict({**own, "stac_extensions": []})
    assert core.validate()
    assert item.datetime == datetime(2019, 4, 24, 7, 36, 19, tzinfo=timezone.utc)
    label = LabelExtension.ext(item)
    assert label.label_type == LabelType.VECTOR
    assert label.label_properties == ["decision"]
    assert [c.classes for c in label.label_classes] == [["accepted", "rejected"]]
    assert {c.name: c.count for o in label.label_overviews for c in o.counts} == {"accepted": 1, "rejected": 1}
    for asset in item.assets.values():
        assert (out / asset.href).is_file()
    assert {"mask", "probability", "geojson", "gpkg"} <= set(item.assets)
    west, south, east, north = item.bbox
    rows = source_rows(decided)
    expected = rows[1]["geometry"]
    expected.Transform(lonlat())
    left, right, bottom, top = expected.GetEnvelope()
    assert west < left < right < east
    assert south < bottom < top < north


@pytest.mark.parametrize("epsg", [32760, 32701, 3832])
def test_the_footprint_of_a_scene_across_the_antimeridian_is_cut_there(out, tmp_path, monkeypatch, epsg):
    """RFC 7946, 3.1.9 and 5.2; as one ring it went around the globe the other way."""
    monkeypatch.setattr(results_data, "ORIGIN", lonlat(epsg).GetInverse().TransformPoint(179.997, -17.0)[:2])
    result, _ = export(write_run(tmp_path, epsg=epsg), out)
    own = json.loads(Path(result["STAC_ITEM"]).read_text(encoding="utf-8"))
    assert pystac.Item.from_dict({**own, "stac_extensions": []}).validate()
    left, south, right, north = own["bbox"]
    assert (left, right) == pytest.approx((179.997, -179.9938), abs=5e-4)
    assert (south, north) == pytest.approx((-17.009, -17.0), abs=5e-4)
    assert own["geometry"]["type"] == "MultiPolygon"
    parts = [np.array(ring) for (ring,) in own["geometry"]["coordinates"]]
    sides = [(part[:, 0].min(), part[:, 0].max()) for part in parts]
    assert sides == [(left, 180), (-180, right)]
    assert all(_turns_left(part) for part in parts)


def _turns_left(ring):
    (x, y), (next_x, next_y) = ring[:-1].T, ring[1:].T
    return (x * next_y - next_x * y).sum() > 0


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


@pytest.mark.parametrize(("choice", "expected"), [(0, {1, 3, 4}), (1, {1}), (2, {1}), (3, {1, 2, 3, 4})])
def test_decisions_choose_what_goes_out(decided, out, choice, expected):
    result, _ = export(decided, out, DECISIONS=choice, FORMATS=[0])
    assert set(source_rows({"DETECTIONS": result["GPKG"]})) == expected


def test_probability_chooses_too(decided, out):
    result, _ = export(decided, out, MIN_PROBABILITY=0.6, FORMATS=[0])
    assert set(source_rows({"DETECTIONS": result["GPKG"]})) == {1, 3}


def test_a_run_without_detections_is_exported_too(tmp_path, out):
    result, _ = export(write_run(tmp_path, boxes=()), out)
    assert result["COUNT"] == 0
    assert "Feature Count: 0" in ogrinfo("-so", "-al", result["GPKG"])
    assert pystac.Item.from_file(result["STAC_ITEM"]).id == TAGS["SCENE"]


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


@pytest.fixture
def named(decided):
    """The run with its files under the names that an export would give them."""
    renamed = {}
    for name, ending in (("DETECTIONS", ".gpkg"), ("MASK", "_mask.tif"), ("PROBABILITY", "_probability.tif")):
        path = Path(decided[name])
        renamed[name] = str(path.rename(path.with_name(TAGS["SCENE"] + ending)))
    return {**decided, **renamed}


def replaced(run, folder, match, **values):
    """Refused by name, with every file as it was."""
    before = {path: path.read_bytes() for path in Path(run["DETECTIONS"]).parent.iterdir()}
    with pytest.raises(QgsProcessingException, match=match):
        export(run, folder, **values)
    assert {path: path.read_bytes() for path in before} == before
    assert not list(Path(folder).glob(".debris-*"))


def test_the_detections_that_are_read_are_not_replaced(named, tmp_path):
    folder = Path(named["DETECTIONS"]).parent
    alone = {**named, "MASK": None, "PROBABILITY": None}
    match = "DETECTIONS is read from it: choose another folder"
    replaced(alone, folder, match, DECISIONS=1, FORMATS=[0])
    # As the panel hands them over, with the table's name and a filter behind the file's.
    layer = QgsVectorLayer(f"{named['DETECTIONS']}|layername=detections|subset=id < 4", "detections", "ogr")
    QgsProject.instance().addMapLayer(layer)
    replaced(alone, folder, match, DETECTIONS=layer.id(), FORMATS=[0])
    QgsProject.instance().clear()
    # By a link to their folder, and by a link to themselves.
    (tmp_path / "link").symlink_to(folder)
    replaced(alone, tmp_path / "link", match, FORMATS=[0])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "found.gpkg").symlink_to(named["DETECTIONS"])
    replaced(alone, tmp_path / "other", match, NAME="found", FORMATS=[0])
    replaced(alone, tmp_path / "other", match, FORMATS=[1], ZIP=named["DETECTIONS"])
    # What takes no file away is written.
    result, _ = export(alone, folder, NAME="chosen", DECISIONS=1, FORMATS=[0])
    assert result["COUNT"] == 1
    assert set(source_rows(named)) == {1, 2, 3, 4}


@pytest.mark.parametrize("name", ["MASK", "PROBABILITY"])
def test_the_rasters_that_are_read_are_not_replaced(named, name, tmp_path):
    alone = {**named, "MASK": None, "PROBABILITY": None, name: named[name]}
    folder = Path(named["DETECTIONS"]).parent
    replaced(alone, folder, f"{name} is read from it", FORMATS=[1])
    virtual = tmp_path / "virtual.vrt"
    gdal.BuildVRT(str(virtual), [named[name]])
    replaced({**alone, name: str(virtual)}, folder, f"{name} is read from it", FORMATS=[1])


def test_an_older_export_is_replaced_with_what_sqlite_had_not_yet_written(decided, out):
    """Decisions of a session lie in a file beside the GeoPackage, which would be played over the new one."""
    result, _ = export(decided, out, FORMATS=[0])
    open_elsewhere = sqlite3.connect(result["GPKG"])
    open_elsewhere.execute("PRAGMA journal_mode=WAL")
    open_elsewhere.execute("PRAGMA wal_autocheckpoint=0")
    open_elsewhere.execute("CREATE TABLE something (large TEXT)")
    open_elsewhere.executemany("INSERT INTO something VALUES (?)", [("x" * 4000,)] * 50)
    open_elsewhere.commit()
    assert Path(result["GPKG"] + "-wal").stat().st_size
    again, _ = export(decided, out, DECISIONS=1, FORMATS=[0])
    assert again["COUNT"] == 1
    assert set(rows_of(again["GPKG"])) == {1}
    assert "something" not in ogrinfo("-so", "-q", again["GPKG"])
    open_elsewhere.close()


def test_what_cannot_be_exported_says_why_and_leaves_nothing(run, out, tmp_path, make_raster):
    folder = tmp_path / "blocked"
    folder.write_text("a file where a folder should be")
    with pytest.raises(QgsProcessingException, match="cannot be written to"):
        export(run, folder)
    plain = tmp_path / "plain.geojson"
    plain.write_text('{"type": "FeatureCollection", "features": []}')
    with pytest.raises(QgsProcessingException, match="no table of detections|Could not load source layer"):
        export({**run, "DETECTIONS": str(plain)}, out)
    lost = write_run(tmp_path, epsg=None, name="lost_")
    with pytest.raises(QgsProcessingException, match="GeoJSON needs longitude and latitude"):
        export(lost, out)
    with pytest.raises(QgsProcessingException, match="no mask of marine debris"):
        export({**run, "MASK": run["PROBABILITY"]}, out)
    with pytest.raises(QgsProcessingException, match="Could not load source layer for MASK"):
        export({**run, "MASK": str(plain)}, out)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "begin", "exact"),
    [
        ("S2A_MSIL2A_20190212T192651_N0212_R013_T07HFE", "2019-02-12T19:26:51", True),
        ("2018-10-31-00_00_2018-10-31-23_59_Sentinel-2_L2A_B01_(Raw).tiff", "2018-10-31T00:00:00", False),
        ("S2_22-12-20_18QYF_0", "2020-12-22T00:00:00", False),
        ("S2A_MSI_2018_10_31_10_20_19_T30NZM_rhorc_833", "2018-10-31T10:20:19", True),
        ("2020:09:18 10:00:31", "2020-09-18T10:00:31", True),
        ("accra", None, False),
        ("tile_20191345", None, False),
    ],
)
def test_times_are_read_from_names(name, begin, exact):
    period = parse(name)
    if begin is None:
        assert period is None
    else:
        assert period.begin == datetime.fromisoformat(begin).replace(tzinfo=timezone.utc)
        assert period.exact is exact
