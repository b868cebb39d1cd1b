"""Exports over files that are there: what is read is never replaced, and a failure leaves nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from osgeo import gdal
from qgis.core import (
    QgsProcessingException,
    QgsProject,
    QgsVectorLayer,
)

from .export_runner import export, ogrinfo, rows_of, source_rows
from .results_data import TAGS, write_run


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
