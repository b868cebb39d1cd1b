"""The index of a probability raster: areas above any threshold, and patches, whatever the block edges."""

from __future__ import annotations

import numpy as np
import pytest
from osgeo import gdal, ogr
from qgis.core import QgsCoordinateReferenceSystem

from debris_qgis.results.probability_index import ProbabilityIndex, _components

from .results_data import write_raster


def test_areas_and_patches_of_the_index(tmp_path):
    """Against a plain count of the raster, and against GDAL's own way of joining pixels."""
    rng = np.random.default_rng(1)
    probability = rng.random((120, 150)).astype(np.float32) ** 3
    probability[10:20, 10:20] = np.nan
    index = ProbabilityIndex(write_raster(tmp_path / "p.tif", probability, np.nan))
    for threshold in (0.05, 0.31, 0.5, 0.75, 1.0):
        expected = (np.floor(probability * 1000) >= round(threshold * 1000)).sum()
        assert index.pixels(threshold) == expected
        assert index.area(threshold) == pytest.approx(expected * 100)
    patches = index.candidates(0.4, 2.0)
    assert sum(patch.n_pixels for patch in patches) == (probability >= np.float32(0.4)).sum()
    assert sum(patch.area_m2 for patch in patches) == pytest.approx(100 * (probability >= np.float32(0.4)).sum())
    hits = (probability >= np.float32(0.4)).astype(np.uint8)
    memory = gdal.GetDriverByName("MEM").Create("", 150, 120, 1, gdal.GDT_Byte)
    memory.GetRasterBand(1).WriteArray(hits)
    target = ogr.GetDriverByName("Memory").CreateDataSource("")
    layer = target.CreateLayer("l")
    gdal.Polygonize(memory.GetRasterBand(1), memory.GetRasterBand(1), layer, -1, ["8CONNECTED=8"])
    assert len(patches) == layer.GetFeatureCount()
    assert all(patch.geometry.isGeosValid() for patch in patches)
    assert all(patch.geometry.area() == pytest.approx(patch.area_m2) for patch in patches)


def test_a_crs_set_in_qgis_tells_area_and_place(tmp_path):
    probability = np.zeros((40, 50), dtype=np.float32)
    probability[10:12, 10:12] = 0.9
    path = write_raster(tmp_path / "p.tif", probability, np.nan, epsg=None)
    without, given = ProbabilityIndex(path), ProbabilityIndex(path, crs=QgsCoordinateReferenceSystem("EPSG:32630"))
    assert without.area(0.5) is None
    assert np.isnan(without.candidates(0.5, 1.0)[0].lon)
    assert given.area(0.5) == pytest.approx(400)
    assert -6 < given.candidates(0.5, 1.0)[0].lon < 0


@pytest.mark.parametrize("density", [0.05, 0.4, 0.7])
def test_components_do_not_join_across_the_edges(density):
    rng = np.random.default_rng(2)
    hits = rng.random((60, 40)) < density
    hits[:, [0, -1]] = True
    hits[:, 20] = False
    labels = _components(np.stack(np.nonzero(hits)).astype(np.int32), 40)
    left = labels[np.nonzero(hits)[1] < 20]
    right = labels[np.nonzero(hits)[1] > 20]
    assert not set(left) & set(right)
