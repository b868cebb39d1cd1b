"""No result takes the place of what a job reads, whatever name it has there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyogrio.raw
import pytest
import rasterio.shutil
import shapely
from safe_builder import write_l2a
from test_product_detection import template, water

from engine.errors import OutputError
from engine.jobs import DetectRequest, PrepareRequest, run

READ = "is a file that this job reads"


@pytest.fixture
def raster(make_raster) -> Path:
    return make_raster(water(40, 50))


def test_the_scene_and_what_a_virtual_raster_is_made_of(raster: Path, toy_model: Path, tmp_path: Path) -> None:
    virtual = tmp_path / "v.vrt"
    rasterio.shutil.copy(raster, virtual, driver="VRT")
    before = raster.read_bytes()
    for source in (raster, virtual):
        with pytest.raises(OutputError, match=READ):
            run(DetectRequest(input=str(source), mask=str(raster), model=str(toy_model)))
        with pytest.raises(OutputError, match=READ):
            run(PrepareRequest(input=str(source), output=str(tmp_path / "o.tif"), quality=str(raster)))
    assert raster.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scene.tif", "v.vrt"]


def test_a_layer_of_water(raster: Path, toy_model: Path, tmp_path: Path) -> None:
    layer = tmp_path / "water.gpkg"
    pyogrio.raw.write(
        layer, shapely.to_wkb([shapely.box(0, 0, 1e6, 1e6)]), [], fields=[], geometry_type="Polygon", crs="EPSG:32630"
    )
    with pytest.raises(OutputError, match=READ):
        run(
            DetectRequest(
                input=str(raster),
                mask=str(tmp_path / "m.tif"),
                detections=str(layer),
                model=str(toy_model),
                water=f"{layer}|layername=water",
            )
        )


def test_the_quality_mask_prepared_with_a_scene(raster: Path, toy_model: Path, tmp_path: Path) -> None:
    prepared, quality = str(tmp_path / "p.tif"), str(tmp_path / "q.tif")
    run(PrepareRequest(input=str(raster), output=prepared, quality=quality))
    with pytest.raises(OutputError, match=READ):
        run(DetectRequest(input=prepared, mask=quality, model=str(toy_model)))


def test_a_band_of_a_product(tmp_path: Path) -> None:
    safe = write_l2a(tmp_path, template("05.09"), water())
    loose = tmp_path / "loose"
    loose.mkdir()
    for band in safe.rglob("*_B*_10m.jp2"):
        rasterio.shutil.copy(band, loose / f"{band.stem}.tif", driver="GTiff")
    for band in safe.rglob("*_B*_20m.jp2"):
        if not list(loose.glob(f"*{band.stem.split('_')[-2]}*")):
            shutil.copy(band, loose / band.name)
    taken = next(loose.glob("*B08*.tif"))
    with pytest.raises(OutputError, match=READ):
        run(PrepareRequest(product=(str(loose),), output=str(taken), quality=str(tmp_path / "q.tif"), scale=1e-4))
