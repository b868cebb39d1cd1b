"""A product written as one raster with its quality mask, and detected from that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from safe_builder import write_l1c, write_l2a
from test_product_detection import mask_of, template, top_of_atmosphere, water

from engine.bands import MARIDA_ORDER
from engine.errors import BandError, Cancelled, OutputError, RasterError
from engine.jobs import DetectRequest, PrepareRequest, PrepareResult, run
from engine.raster import open_scene
from engine.tiling import Window

SIDE = 120


def scene() -> np.ndarray:
    """Water with a line of debris, and land on the left."""
    reflectance = water(SIDE, SIDE)
    reflectance[:, :, :20] = np.linspace(0.08, 0.3, 11, dtype=np.float32)[:, None, None]
    return reflectance


def prepare(folder: Path, product: Path, **values: object) -> PrepareResult:
    return run(
        PrepareRequest(
            product=(str(product),),
            output=str(folder / "scene.tif"),
            quality=str(folder / "look.tif"),
            **values,  # type: ignore[arg-type]
        )
    )


@pytest.mark.parametrize("baseline", ["02.09", "05.09"])
def test_reflectance_and_tags(tmp_path: Path, baseline: str) -> None:
    observed = np.ones((SIDE, SIDE), dtype=bool)
    observed[:12] = False
    safe = write_l1c(tmp_path, top_of_atmosphere(scene()), baseline=baseline, observed=observed)
    result = prepare(tmp_path, safe)
    with rasterio.open(result.output) as written:
        assert written.descriptions == MARIDA_ORDER
        assert (written.dtypes[0], written.nodata) == ("uint16", 0)
        assert (set(written.scales), set(written.offsets)) == ({1e-4}, {-0.1})
        assert written.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert written.overviews(1) == [] or written.overviews(1)[0] == 2
        tags = written.tags()
        numbers = written.read()
    assert tags["LEVEL"] == "Rayleigh-corrected"
    assert tags["SOURCE_LEVEL"] == "L1C"
    assert tags["SENSING_TIME"] == "2020-07-28T16:18:44Z"
    assert tags["PROCESSING_BASELINE"] == baseline
    assert tags["PRODUCT_ID"] == safe.stem
    assert tags["QUALITY_MASK"] == "look.tif"
    np.testing.assert_array_equal(numbers == 0, np.broadcast_to(~observed, numbers.shape))
    coarse = scene()
    with open_scene(result.output, MARIDA_ORDER) as raster:
        reflectance, seen = raster.read(Window(0, 0, SIDE, SIDE))
    # A DN of L1C is worth up to 1.5e-4 of corrected reflectance in B1; what is written has steps of 1e-4.
    np.testing.assert_array_equal(seen, observed)
    for number, band in enumerate(MARIDA_ORDER):
        step = {"B1": 6, "B2": 1, "B3": 1, "B4": 1, "B8": 1}.get(band, 2)
        expected = coarse[number, ::step, ::step].repeat(step, axis=0).repeat(step, axis=1)
        np.testing.assert_allclose(reflectance[number][seen], expected[observed], atol=2e-4, err_msg=band)


def test_the_quality_mask_and_areas(tmp_path: Path) -> None:
    classes = np.full((SIDE, SIDE), 6, dtype=np.uint8)
    classes[:, :20] = 5
    classes[:30, 90:] = 9
    observed = np.ones((SIDE, SIDE), dtype=bool)
    observed[100:] = False
    safe = write_l2a(tmp_path, template("05.09"), scene(), classes=classes, observed=observed)
    result = prepare(tmp_path, safe, shore=2, cloud_collar=5)
    with rasterio.open(result.quality) as written:
        mask = written.read(1)
        assert written.tags()["LEVEL"] == "L2A"
    assert (mask[:100, :22] == 3).all()
    assert (mask[:100, 22:80] == 0).all()
    assert (mask[:30, 90:] == 4).all()
    assert mask[10, 85:90].tolist() == [4] * 5
    assert (mask[100:] == 255).all()
    by_value = {value: (mask == value).sum() * 100 for value in (0, 3, 4, 255)}
    assert (result.water_area_m2, result.land_area_m2) == (by_value[0], by_value[3])
    assert (result.cloud_area_m2, result.no_data_area_m2) == (by_value[4], by_value[255])


def test_detect_takes_what_was_prepared(tmp_path: Path, toy_model: Path) -> None:
    """The same mask, level and time as from the product; a mask that was edited is believed."""
    cloud = np.zeros((SIDE, SIDE), dtype=bool)
    cloud[:30, 60:] = True
    safe = write_l1c(tmp_path, top_of_atmosphere(scene()), cloud=cloud)
    options = {"mask": str(tmp_path / "mask.tif"), "model": str(toy_model)}
    direct = run(DetectRequest(product=(str(safe),), **options))
    expected = mask_of(tmp_path)
    assert set(np.unique(expected)) == {0, 1, 3, 4}
    prepared = prepare(tmp_path, safe)
    found = run(DetectRequest(input=prepared.output, **options))
    np.testing.assert_array_equal(mask_of(tmp_path), expected)
    for name in ("debris_pixels", "level", "level_note", "sensing_time", "product_id", "cloud_area_m2"):
        assert getattr(found, name) == getattr(direct, name), name
    with rasterio.open(prepared.quality) as written:
        edited, profile = written.read(1), written.profile
    edited[50:70] = 3
    with rasterio.open(prepared.quality, "w", **{**profile, "driver": "GTiff"}) as dataset:
        dataset.write(edited, 1)
    assert run(DetectRequest(input=prepared.output, **options)).debris_pixels == 0


def test_the_mask_that_was_prepared_counts_whatever_crs_is_meant(tmp_path: Path, toy_model: Path) -> None:
    safe = write_l1c(tmp_path, top_of_atmosphere(scene()))
    prepared = prepare(tmp_path, safe)
    found = run(
        DetectRequest(input=prepared.output, mask=str(tmp_path / "m.tif"), model=str(toy_model), crs="EPSG:32617")
    )
    assert found.land_area_m2 == prepared.land_area_m2 > 0
    with rasterio.open(tmp_path / "m.tif") as written:
        assert written.crs.to_epsg() == 32617


def test_a_prepared_mask_that_is_lost_or_too_small_is_said(
    tmp_path: Path, toy_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prepared = prepare(tmp_path, write_l1c(tmp_path, top_of_atmosphere(scene())))
    request = DetectRequest(input=prepared.output, mask=str(tmp_path / "mask.tif"), model=str(toy_model))
    with rasterio.open(prepared.quality) as written:
        numbers, profile = written.read(1), {**written.profile, "driver": "GTiff"}
    for cut in (numbers[:50, :50], numbers[:, : SIDE - 1]):
        with rasterio.open(
            prepared.quality, "w", **{**profile, "height": cut.shape[0], "width": cut.shape[1]}
        ) as small:
            small.write(cut, 1)
        with pytest.raises(RasterError, match=r"look\.tif does not cover .*scene\.tif"):
            run(request)
    coarse = {**profile, "transform": profile["transform"] @ profile["transform"].scale(2), "height": 25, "width": 25}
    with rasterio.open(prepared.quality, "w", **coarse) as small:
        small.write(numbers[:50:2, :50:2], 1)
    with pytest.raises(RasterError, match="does not cover"):
        run(request)
    with rasterio.open(prepared.quality, "w", **{**coarse, "height": SIDE // 2, "width": SIDE // 2}) as whole:
        whole.write(numbers[::2, ::2], 1)
    run(request)
    Path(prepared.quality).unlink()
    caplog.clear()
    run(request)
    assert "look.tif, which was prepared with" in caplog.text


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    safe = write_l1c(tmp_path, top_of_atmosphere(scene()))
    before = sorted(path.name for path in tmp_path.iterdir())

    def stop(fraction: float, message: str) -> None:
        if fraction > 0.5:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        run(PrepareRequest(product=(str(safe),), output=str(tmp_path / "a.tif"), quality=str(tmp_path / "b.tif")), stop)
    with pytest.raises(OutputError, match="no GeoTIFF's name"):
        run(PrepareRequest(product=(str(safe),), output=str(tmp_path / "a.png"), quality=str(tmp_path / "b.tif")))
    with pytest.raises(RasterError, match="holds no data"):
        empty = tmp_path / "empty"
        empty.mkdir()
        observed = np.zeros((SIDE, SIDE), dtype=bool)
        prepare(tmp_path, write_l1c(empty, top_of_atmosphere(scene()), observed=observed))
    next(safe.rglob("*_B02.jp2")).unlink()
    with pytest.raises(BandError, match="lacks B2"):
        prepare(tmp_path, safe)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "empty") == before


def test_blocks_join_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The quality mask is the same however it is cut into blocks: land, cloud and their collars cross the edges."""
    side = 300
    array = np.full((11, side, side), 0.02, dtype=np.float32)
    array[MARIDA_ORDER.index("B11")] = 0.004
    rows, cols = np.mgrid[:side, :side]
    land = cols < 90 + 30 * np.sin(rows / 20)
    array[:, land] = np.linspace(0.08, 0.3, 11, dtype=np.float32)[:, None]
    cloud = (rows - 160) ** 2 + (cols - 190) ** 2 < 30**2
    array[:, cloud] = 0.4
    safe = write_l1c(tmp_path, top_of_atmosphere(array), cloud=cloud)
    with rasterio.open(prepare(tmp_path, safe).quality) as written:
        whole = written.read(1)
    assert set(np.unique(whole)) == {0, 3, 4}
    monkeypatch.setattr("engine.sentinel2.quality.ROWS", 64)
    monkeypatch.setattr("engine.sentinel2.quality.COLS", 80)
    with rasterio.open(prepare(tmp_path, safe).quality) as written:
        np.testing.assert_array_equal(written.read(1), whole)
