"""A report whose detections, mask and scene have different CRSs, or one that was set by hand in QGIS."""

from __future__ import annotations

import re

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsGeometry,
    QgsLayoutItemMap,
    QgsProcessingException,
    QgsRasterLayer,
)

from debris_qgis.results.areas import areas_of
from debris_qgis.results.scene_files import is_product

from . import results_data
from .report_driver import laid_out, picture_of, report, text_of
from .results_data import write_run


def _reprojected(run, epsg):
    """The same detections as a table in another CRS."""
    path = run["DETECTIONS"].replace(".gpkg", f"_{epsg}.gpkg")
    gdal.VectorTranslate(path, run["DETECTIONS"], dstSRS=f"EPSG:{epsg}")
    return path


def _misplaced(path, epsg):
    """A raster whose file says a CRS that is not meant, or none."""
    dataset = gdal.Open(path, gdal.GA_Update)
    dataset.SetProjection(QgsCoordinateReferenceSystem(f"EPSG:{epsg}").toWkt() if epsg else "")
    dataset.FlushCache()
    return path


def _set_by_hand(path, epsg=32630):
    layer = QgsRasterLayer(path, "set by hand")
    layer.setCrs(QgsCoordinateReferenceSystem(f"EPSG:{epsg}"))
    return layer


def _differing(folder, other):
    """Of the map's page and the close-ups' page, the share of pixels that differ between two reports."""
    pages = [[picture_of(where / "report.pdf", number, 60) for number in (0, 1)] for where in (folder, other)]
    return [float((np.abs(one - two).sum(axis=2) > 150).mean()) for one, two in zip(*pages, strict=True)]


@pytest.mark.parametrize("epsg", [4326, 3857, 32631])
def test_detections_in_another_crs_are_shown_where_they_are(run, out, tmp_path, epsg):
    """As an export hands them on: the close-ups are those of the scene's own CRS."""
    report(run, out)
    report({**run, "DETECTIONS": _reprojected(run, epsg)}, tmp_path)
    assert max(_differing(out, tmp_path)) < 0.002


@pytest.mark.parametrize("epsg", [None, 32631])
@pytest.mark.parametrize("named", [False, True])
def test_a_scene_whose_crs_was_set_by_hand_lies_below_what_was_found_in_it(run, out, tmp_path, epsg, named):
    """Detect took the CRS that is meant, and so has the mask; the scene's file still says another, or none."""
    report(run, out)
    _misplaced(run["SCENE"], epsg)
    report(run, tmp_path, **({"SCENE": _set_by_hand(run["SCENE"])} if named else {}))
    assert max(_differing(out, tmp_path)) < 0.002


@pytest.mark.parametrize("epsg", [None, 3857])
def test_the_crs_of_a_mask_that_was_set_by_hand_holds(run, out, tmp_path, epsg):
    """Areas too: as the file says, they would be unknown, or those of Mercator's metres."""
    report(run, out)
    report(run, tmp_path, MASK=_set_by_hand(_misplaced(run["MASK"], epsg)), SCENE=run["SCENE"])
    assert max(_differing(out, tmp_path)) < 0.002
    told = [re.findall(r"[Oo]bserved.*?km²", text_of(folder / "report.pdf")) for folder in (out, tmp_path)]
    assert told[0] == told[1] != []


def test_a_mask_that_lies_nowhere_in_the_crs_it_was_given_has_no_areas(run):
    """A slip in choosing it, or pixels alone that QGIS has given the project's CRS."""
    degrees = QgsCoordinateReferenceSystem("EPSG:4326")
    zone = QgsCoordinateReferenceSystem("EPSG:32630")
    assert areas_of(run["MASK"], degrees).square_metres is None
    dataset = gdal.Open(_misplaced(run["MASK"], None), gdal.GA_Update)
    dataset.SetGeoTransform((0, 1, 0, 0, 0, -1))
    dataset.FlushCache()
    del dataset
    assert areas_of(run["MASK"], zone).square_metres is None
    assert areas_of(_misplaced(run["MASK"], 32630)).square_metres is None
    assert sum(areas_of(run["MASK"], zone).pixels.values()) == 100 * 100


def test_a_scene_or_a_mask_in_another_crs_is_brought_to_its_place(run, tmp_path):
    """Warped to another zone: each close-up holds its detection in its middle, all maps in one CRS."""
    for name, epsg in (("SCENE", 32631), ("MASK", 32631), ("SCENE", 4326)):
        warped = str(tmp_path / f"{name}_{epsg}.tif")
        gdal.Warp(warped, run[name], dstSRS=f"EPSG:{epsg}")
        layers, entries, sheet, project = laid_out({**run, name: warped})
        maps = [item for item in sheet.layout.items() if isinstance(item, QgsLayoutItemMap)]
        assert len(maps) == 1 + 2 * len(entries)
        assert {item.crs().authid() for item in maps} == {"EPSG:32631" if name == "MASK" else "EPSG:32630"}
        to_map = QgsCoordinateTransform(layers.outlines.crs(), layers.crs, QgsCoordinateTransformContext())
        for entry in entries:
            geometry = QgsGeometry(entry.feature.geometry())
            geometry.transform(to_map)
            middle = geometry.boundingBox().center()
            assert sum(item.extent().center().distance(middle) < 1 for item in maps) == 2


def test_detections_that_cannot_be_brought_to_the_map_say_so(run, out, tmp_path):
    """A CRS that was given by mistake: nothing on this Earth has such a longitude."""
    wrong = str(tmp_path / "wrong.gpkg")
    gdal.VectorTranslate(wrong, run["DETECTIONS"], dstSRS="EPSG:4326", reproject=False)
    with pytest.raises(
        QgsProcessingException, match="cannot be brought from their CRS, EPSG:4326.*, into that of the map, EPSG:32630"
    ):
        report(run, out, DETECTIONS=wrong)
    assert list(out.iterdir()) == []


@pytest.fixture
def pixels_only(tmp_path, monkeypatch):
    """A run without a place, as the engine writes it: rows go down from 0."""
    monkeypatch.setattr(results_data, "ORIGIN", (0.0, 0.0))
    monkeypatch.setattr(results_data, "PIXEL", 1.0)
    return write_run(tmp_path, epsg=None)


@pytest.mark.parametrize("named", [False, True])
def test_a_scene_that_rasterio_wrote_without_a_place_lies_below_its_results(pixels_only, out, tmp_path, named):
    """It writes an identity: QGIS draws that upside down, above what was found."""
    report(pixels_only, out)
    dataset = gdal.Open(pixels_only["SCENE"], gdal.GA_Update)
    dataset.SetGeoTransform((0, 1, 0, 0, 0, 1))
    del dataset
    assert QgsRasterLayer(pixels_only["SCENE"], "as QGIS has it").extent().yMaximum() == 100
    assert not is_product(pixels_only["SCENE"])
    report(pixels_only, tmp_path, **({"SCENE": pixels_only["SCENE"]} if named else {}))
    assert max(_differing(out, tmp_path)) < 0.002


def test_a_close_up_without_a_place_is_60_pixels_wide(pixels_only):
    """As 10 m pixels would have it; 600 units were the whole raster, as small as a stamp."""
    _, entries, sheet, project = laid_out(pixels_only)
    widths = [item.extent().width() for item in sheet.layout.items() if isinstance(item, QgsLayoutItemMap)]
    assert sum(width == pytest.approx(60, rel=0.03) for width in widths) == len(entries) > 0
