"""Colour image and index in the results panel: they lie where Detect took the scene to lie."""

from __future__ import annotations

import os

import pytest
from osgeo import gdal
from qgis.core import QgsCoordinateReferenceSystem

from .panel_driver import drawn, load


def _said(path, epsg):
    """Let a raster's file say a CRS, or none."""
    dataset = gdal.Open(path, gdal.GA_Update)
    dataset.SetProjection(QgsCoordinateReferenceSystem(f"EPSG:{epsg}").toWkt() if epsg else "")
    dataset.FlushCache()


@pytest.mark.parametrize("epsg", [None, 32631])
@pytest.mark.parametrize("kept", ["MASK", "PROBABILITY"])
def test_pictures_lie_below_what_was_found_whatever_the_scenes_file_says(run, project, open_panel, epsg, kept):
    """Detect took the CRS that is meant, and so have its results; the scene's file still says another, or none."""
    _said(run["SCENE"], epsg)
    load(project, {name: path for name, path in run.items() if name in ("DETECTIONS", kept)})
    layers = open_panel().layers
    for view in ("colour", "fdi"):
        assert layers.show_view(view)
        assert layers.made(view).crs().authid() == "EPSG:32630"
        assert drawn([layers.made(view)]).reshape(-1, 3).std(axis=0).max() > 3


def test_pictures_follow_the_crs_that_a_mask_was_given_in_qgis(run, project, open_panel):
    for name in ("SCENE", "MASK"):
        _said(run[name], None)
    load(project, run)
    panel = open_panel()
    panel.run.mask.setCrs(QgsCoordinateReferenceSystem("EPSG:32630"))
    for view in ("colour", "fdi"):
        assert panel.layers.show_view(view)
        assert panel.layers.made(view).crs().authid() == "EPSG:32630"


def test_pictures_of_a_scene_that_was_warped_since_keep_their_files_crs(run, project, open_panel):
    warped = f"{run['SCENE']}.warped.tif"
    gdal.Warp(warped, run["SCENE"], dstSRS="EPSG:32631")
    os.replace(warped, run["SCENE"])
    load(project, run)
    layers = open_panel().layers
    for view in ("colour", "fdi"):
        assert layers.show_view(view)
        assert layers.made(view).crs().authid() == "EPSG:32631"


def test_the_slider_shows_debris_where_the_probability_was_put_in_qgis(run, project, open_panel):
    _said(run["PROBABILITY"], None)
    load(project, run)
    panel = open_panel()
    panel.run.probability.setCrs(QgsCoordinateReferenceSystem("EPSG:32630"))
    panel.show_from(0.6)
    assert panel.layers.made("threshold").crs().authid() == "EPSG:32630"
