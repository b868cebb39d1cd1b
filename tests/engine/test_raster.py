"""Grids, names, and what opening a raster tells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.warp import transform_bounds

from engine.bands import MARIDA_ORDER
from engine.errors import RasterError
from engine.extents import extent_on
from engine.grid import Grid
from engine.ground import Ground
from engine.raster import gdal_settings, open_scene, scene_name
from engine.tiling import Window

GRID = Grid(100, 80, Affine(10, 0, 500000, 0, -10, 600000), rasterio.crs.CRS.from_epsg(32630))


@pytest.mark.parametrize(
    ("extent", "window"),
    [
        ((500000, 599200, 501000, 600000), Window(0, 0, 80, 100)),
        ((500100, 599800, 500200, 599900), Window(10, 10, 10, 10)),
        ((500101, 599801, 500199, 599899), Window(10, 10, 10, 10)),
        ((400000, 599950, 500015, 700000), Window(0, 0, 5, 2)),
    ],
)
def test_extent_to_pixels(extent: tuple[float, ...], window: Window) -> None:
    assert GRID.window(extent) == window


CANCUN = Grid(300, 200, Affine(10, 0, 500000, 0, -10, 2_300_000), rasterio.crs.CRS.from_epsg(32616))
TAVEUNI = Grid(3000, 2000, Affine(10, 0, 150000, 0, -10, 8_140_000), rasterio.crs.CRS.from_epsg(32701))


@pytest.mark.parametrize("grid", [CANCUN, TAVEUNI])
@pytest.mark.parametrize("extent", [(-180, -90, 180, 90), (0, -90, 360, 90), (-200, -85, 200, 85)])
def test_an_extent_that_holds_the_whole_raster_takes_it_whole(grid: Grid, extent: tuple[float, ...]) -> None:
    assert grid.window(extent_on(grid, extent, "EPSG:4326")) == Window(0, 0, grid.height, grid.width)


@pytest.mark.parametrize(
    ("extent", "crs"), [((0, 0, 0.1, 0.1), "EPSG:4326"), ((92, 0, 93, 1), "EPSG:4326"), ((0, 0, 9, 9), "EPSG:3857")]
)
def test_an_extent_elsewhere_on_earth_is_named(extent: tuple[float, ...], crs: str) -> None:
    with pytest.raises(RasterError, match=rf"\({crs}\) does not touch the raster, which lies within -[89]"):
        extent_on(CANCUN, extent, crs)


def test_a_part_by_degrees_is_found_across_the_meridian_of_180() -> None:
    west, south, east, north = transform_bounds(TAVEUNI.crs, "EPSG:4326", 160000, 8_130_000, 170000, 8_135_000)
    assert west > 0 or east > west
    for turn in (0, 360, -360):
        window = TAVEUNI.window(extent_on(TAVEUNI, (west + turn, south, east + turn, north), "EPSG:4326"))
        assert abs(window.col - 1000) < 30
        assert abs(window.row - 500) < 30
        assert abs(window.width - 1000) < 60


def test_an_extent_that_is_no_number_is_no_place() -> None:
    with pytest.raises(RasterError, match="is no place"):
        GRID.window((float("nan"), 0, 1, 1))


def test_a_grid_that_runs_northwards() -> None:
    grid = Grid(10, 10, Affine(10, 0, 0, 0, 10, 0), None)
    assert grid.window((0, 0, 50, 20)) == Window(0, 0, 2, 5)


def test_part_keeps_the_place() -> None:
    part = GRID.part(Window(5, 7, 3, 2))
    assert part.transform == Affine(10, 0, 500070, 0, -10, 599950)
    assert (part.width, part.height) == (2, 3)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/data/My scene (1).tif", "My_scene_1"),
        ("S2B_MSIL2A_20210122.SAFE", "S2B_MSIL2A_20210122"),
        ("/vsizip/a/b.zip/c_B04.jp2", "c_B04"),
        ("/data/S2_22-12-20_18QYF_0.tif", "S2_22-12-20_18QYF_0"),
        ("", "scene"),
    ],
)
def test_scene_name(path: str, name: str) -> None:
    assert scene_name(path) == name


def test_utm_pixels_are_taken_at_their_word_and_degrees_are_not() -> None:
    assert Ground.of(GRID).row_area_m2 == pytest.approx(100)
    degrees = Ground.of(Grid(10, 1000, Affine(1e-4, 0, 10, 0, -1e-4, 60), rasterio.crs.CRS.from_epsg(4326)))
    latitude = np.radians([60, 59.9])
    # Radii of curvature of the WGS 84 ellipsoid (Snyder 1987, eq. 4-18 to 4-21).
    flattened = 1 - 0.00669437999 * np.sin(latitude) ** 2
    meridian, normal = 6378137 * (1 - 0.00669437999) / flattened**1.5, 6378137 / np.sqrt(flattened)
    expected = np.radians(1e-4) ** 2 * meridian * normal * np.cos(latitude)
    assert degrees.row_area_m2[[0, -1]] == pytest.approx(expected, rel=1e-5)


def test_feet_are_converted() -> None:
    feet = Grid(10, 10, Affine(30, 0, 6561666, 0, -30, 1640416), rasterio.crs.CRS.from_epsg(2227))
    assert Ground.of(feet).row_area_m2[0] == pytest.approx((30 * 1200 / 3937) ** 2, rel=1e-6)


def test_reading_beyond_the_grid_is_not_observed(make_raster, water) -> None:
    with gdal_settings(), open_scene(str(make_raster(water(10, 12))), MARIDA_ORDER) as scene:
        reflectance, observed = scene.read(Window(5, 8, 16, 16))
    assert observed.sum() == 5 * 4
    assert reflectance[:, :5, :4] == pytest.approx(0.02)
    assert (reflectance[:, ~observed] == 0).all()


def test_only_the_asked_bands_in_the_asked_order(make_raster) -> None:
    array = np.arange(1, 12, dtype=np.float32)[:, None, None] * np.full((11, 4, 4), 0.01, dtype=np.float32)
    with gdal_settings(), open_scene(str(make_raster(array)), ("B12", "B2")) as scene:
        assert scene.read(Window(0, 0, 1, 1))[0].ravel() == pytest.approx([0.11, 0.02])


def test_wavelength_tags_name_bands(make_raster, water) -> None:
    path = make_raster(water(4, 4)[:4], names=None)
    with rasterio.open(path, "r+") as dataset:
        for index, (key, value, namespace) in enumerate(
            [("CENTRAL_WAVELENGTH_UM", "0.842", "IMAGERY"), ("wavelength", "665", None), ("wavelength", "1.61", None)],
            1,
        ):
            dataset.update_tags(index, ns=namespace, **{key: value})
    with gdal_settings(), open_scene(str(path), ("B4", "B8", "B11")) as scene:
        assert scene._indexes == [2, 1, 3]


def test_a_container_of_rasters_lists_them(tmp_path: Path) -> None:
    path = tmp_path / "two.gpkg"
    array = np.ones((1, 300, 300), dtype=np.uint8)
    for table, append in (("first", "NO"), ("second", "YES")):
        source = tmp_path / f"{table}.tif"
        with rasterio.open(
            source, "w", driver="GTiff", width=300, height=300, count=1, dtype="uint8", crs="EPSG:32630",
            transform=Affine(10, 0, 500000, 0, -10, 600000),
        ) as dataset:  # fmt: skip
            dataset.write(array)
        rasterio.shutil.copy(source, path, driver="GPKG", raster_table=table, append_subdataset=append)
    with pytest.raises(RasterError, match=r"several rasters.*FIRST"), gdal_settings(), open_scene(str(path), ("B1",)):
        pass
