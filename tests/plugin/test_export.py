"""Exports, read back by other tools than the one that wrote them, against the source."""

from __future__ import annotations

import json
import re
import subprocess
import warnings
from datetime import datetime, timezone
from pathlib import Path

import geojson
import numpy as np
import pystac
import pytest
from osgeo import gdal, osr

from debris_qgis.results.period import parse

from . import results_data
from .export_runner import NOTE, TIME, export, ogrinfo, rows_of, source_rows
from .results_data import TAGS, write_run

with warnings.catch_warnings():
    # The extension is a pilot that is asked for here; pystac says so whenever it is imported.
    warnings.simplefilter("ignore", DeprecationWarning)
    from pystac.extensions.label import LabelExtension, LabelType


def lonlat(epsg=32630):
    source, target = osr.SpatialReference(), osr.SpatialReference()
    source.ImportFromEPSG(epsg)
    target.ImportFromEPSG(4326)
    for system in (source, target):
        system.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    return osr.CoordinateTransformation(source, target)


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
