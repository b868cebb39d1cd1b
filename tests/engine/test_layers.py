"""A person's own layers on a scene's grid: across the meridian of 180 degrees, broken, and without a place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyogrio.raw
import pytest
import shapely
from affine import Affine
from pyproj import Transformer
from rasterio.crs import CRS
from shapely.errors import GEOSException

from engine import layers
from engine.errors import RasterError
from engine.grid import UNPLACED, Grid
from engine.layers import open_place
from engine.raster import gdal_settings, open_scene
from engine.tiling import Window

# By Taveuni, Fiji, in the zone that begins at 180 degrees: 181,000 m east at 16.8 degrees south.
FIJI = Grid(300, 200, Affine(100, 0, 167_000, 0, -100, 8_140_000), CRS.from_epsg(32701))
DEGREES = Grid(200, 150, Affine(0.001, 0, 179.9, 0, -0.001, -16.7), CRS.from_epsg(4326))
NORTH, SOUTH = -16.75, -16.82


def longitudes(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude of each pixel's centre, (height, width), counted from 0 to 360."""
    cols, rows = np.meshgrid(np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5)
    to = Transformer.from_crs(grid.crs.to_wkt(), 4326, always_xy=True)
    lon, lat = to.transform(*(grid.transform @ (cols.ravel(), rows.ravel())))
    return np.reshape(lon, cols.shape) % 360, np.reshape(lat, cols.shape)


def layer(path: Path, boxes: list[tuple[float, float]], crs: str = "EPSG:4326") -> str:
    """Polygons between pairs of longitudes."""
    shapes = [shapely.segmentize(shapely.box(west, SOUTH, east, NORTH), 0.002) for west, east in boxes]
    to = Transformer.from_crs(4326, crs, always_xy=True)
    shapes = [shapely.transform(s, lambda xy: np.stack(to.transform(xy[:, 0], xy[:, 1]), axis=1)) for s in shapes]
    pyogrio.raw.write(
        path, shapely.to_wkb(np.array(shapes, dtype=object)), [], fields=[], geometry_type="Polygon", crs=crs
    )
    return str(path)


@pytest.mark.parametrize("grid", [FIJI, DEGREES], ids=["UTM", "degrees"])
@pytest.mark.parametrize(
    ("boxes", "crs"),
    [
        ([(179.92, 180.0), (-180.0, -179.96)], "EPSG:4326"),
        ([(179.92, 180.04)], "EPSG:4326"),
        ([(179.92, 180.0), (-180.0, -179.96)], "EPSG:3857"),
        ([(179.92, 180.0), (-180.0, -179.96)], "EPSG:3460"),
    ],
    ids=["two sides", "counted on", "Web Mercator", "Fiji's own grid"],
)
def test_polygons_on_both_sides_of_180_degrees(tmp_path: Path, grid: Grid, boxes: list, crs: str) -> None:
    lon, lat = longitudes(grid)
    expected = (lon > 179.92) & (lon < 180.04) & (lat > SOUTH) & (lat < NORTH)
    with open_place(layer(tmp_path / "water.gpkg", boxes, crs), grid, "WATER") as place:
        found = place.inside(Window(0, 0, grid.height, grid.width))
    assert expected[lon < 180].sum() > 500
    assert expected[lon > 180].sum() > 500
    np.testing.assert_array_equal(found, expected)


def test_polygons_on_one_side_are_on_that_side_alone(tmp_path: Path) -> None:
    lon, lat = longitudes(FIJI)
    with open_place(layer(tmp_path / "area.gpkg", [(-179.99, -179.95)]), FIJI, "AREA") as place:
        found = place.inside(Window(0, 0, FIJI.height, FIJI.width))
    np.testing.assert_array_equal(found, (lon > 180.01) & (lon < 180.05) & (lat > SOUTH) & (lat < NORTH))


def test_what_the_geometry_library_fails_with_has_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise GEOSException("TopologyException")

    monkeypatch.setattr(layers.shapely, "clip_by_rect", fail)
    path = layer(tmp_path / "water.gpkg", [(179.92, 180.0)])
    with pytest.raises(RasterError, match=r"WATER \(.*\) cannot be read as a layer of polygons: TopologyException"):
        open_place(path, FIJI, "WATER").__enter__()


@pytest.mark.filterwarnings("ignore:The given matrix is equal to Affine.identity")
def test_a_raster_without_a_place_on_a_scene_without_one(make_raster, tmp_path: Path) -> None:
    scene = make_raster(np.full((11, 30, 40), 0.02, dtype=np.float32), crs=None, transform=Affine.identity())
    wet = np.zeros((1, 30, 40), dtype=np.uint8)
    wet[0, :10] = 1
    path = make_raster(wet, name="water.tif", names=None, crs=None, transform=Affine.identity())
    with (
        gdal_settings(),
        open_scene(str(scene), ("B2", "B3"), extent=(5, -30, 40, -4)) as opened,
        open_place(str(path), opened.grid, "WATER") as place,
    ):
        found = place.inside(Window(0, 0, opened.grid.height, opened.grid.width))
    np.testing.assert_array_equal(found, wet[0, 4:, 5:] > 0)


@pytest.mark.filterwarnings("ignore:'crs' was not provided")
def test_a_crs_of_ones_own_holds_whatever_the_file_says(make_raster, tmp_path: Path) -> None:
    """A raster and polygons whose files have another CRS, or none."""
    grid = Grid(60, 40, Affine(10, 0, 500000, 0, -10, 600000), CRS.from_epsg(32630))
    expected = np.zeros((40, 60), dtype=bool)
    expected[5:10, 10:20] = True
    # On pixels of 5 m, so that it has to be brought onto the grid; and on the grid's own.
    fine = np.pad(expected, 10).repeat(2, axis=0).repeat(2, axis=1)
    for number, crs in enumerate((None, "EPSG:32631")):
        paths = [tmp_path / f"{number}.gpkg"]
        drawn = np.array([shapely.box(500100, 599900, 500200, 599950)])
        pyogrio.raw.write(paths[0], shapely.to_wkb(drawn), [], fields=[], geometry_type="Polygon", crs=crs)
        for array, pixel, beside in ((fine, 5, 100), (expected, 10, 0)):
            place = Affine(pixel, 0, 500000 - beside, 0, -pixel, 600000 + beside)
            name = f"{number}_{pixel}.tif"
            paths.append(make_raster(array[None].astype(np.uint8), name=name, names=None, crs=crs, transform=place))
        for path in paths:
            with open_place(str(path), grid, "WATER", grid.crs) as found:
                np.testing.assert_array_equal(found.inside(Window(0, 0, 40, 60)), expected)
            # It is brought to the scene's, as a file's own is.
            with open_place(str(path), grid, "WATER", CRS.from_epsg(32632)) as found:
                assert not found.inside(Window(0, 0, 40, 60)).any()


@pytest.mark.filterwarnings("ignore:The given matrix is equal to Affine.identity")
def test_a_crs_alone_is_no_place(make_raster) -> None:
    """A raster of pixels only, whose CRS a person has set, or QGIS by itself."""
    wet = np.zeros((1, 30, 40), dtype=np.uint8)
    wet[0, :10] = 1
    path = str(make_raster(wet, name="water.tif", names=None, crs=None, transform=Affine.identity()))
    crs = CRS.from_epsg(32630)
    with open_place(path, Grid(40, 30, UNPLACED, crs), "WATER", crs) as place:
        np.testing.assert_array_equal(place.inside(Window(0, 0, 30, 40)), wet[0] > 0)
    placed = Grid(40, 30, Affine(10, 0, 500000, 0, -10, 600000), crs)
    with pytest.raises(RasterError, match=r"WATER \(.*water.tif\) has other pixels.* it has only pixels, no place"):
        open_place(path, placed, "WATER", crs).__enter__()


def test_a_scene_of_pixels_only_takes_no_layer_that_has_a_place(make_raster) -> None:
    """Its CRS says nothing: laid over it, the layer would lie nowhere, and all would count as land."""
    crs = CRS.from_epsg(32630)
    path = str(make_raster(np.ones((1, 30, 40), dtype=np.uint8), name="water.tif", names=None))
    bare = Grid(40, 30, UNPLACED, crs)
    assert not bare.placed
    assert not bare.part(Window(4, 8, 10, 10)).placed
    assert Grid(40, 30, Affine(10, 0, 500000, 0, -10, 600000), crs).placed
    assert Grid(40, 30, Affine(1, 0, 500000.5, 0, -1, 600000), crs).placed
    with pytest.raises(RasterError, match="the scene has only pixels, no place"):
        open_place(path, bare.part(Window(4, 8, 10, 10)), "WATER").__enter__()
