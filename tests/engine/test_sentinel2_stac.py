"""STAC items: every real one, and where an offset comes from."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from engine.bands import BAND_NAMES
from engine.errors import RasterError
from engine.sentinel2.stac import stac_item

METADATA = Path(__file__).parents[3] / "shared" / "data" / "sentinel2_metadata"
real = pytest.mark.skipif(not METADATA.is_dir(), reason="real Sentinel-2 metadata is not on this machine")

LISTED = {"scale": 1e-4, "offset": -0.1}
# file, level, baseline, tile, time, offset, sun zenith
ITEMS = [
    ("S2A_28QCH_20200714_0_L2A.json", "L2A", "02.14", "T28QCH", "2020-07-14T11:55:52", 0.0, None),
    ("S2A_T01LAC_20200717T221944_L1C.json", "L1C", "02.09", "T01LAC", "2020-07-17T22:19:41.024", 0.0, 45.183085),
    ("S2A_T07HFE_20190212T192646_L2A.json", "L2A", "02.12", "T07HFE", "2019-02-12T19:26:51.024", 0.0, 32.707074),
    (
        "S2B_MSIL2A_20190629T212529_R043_T06VVN_20201006T080531.json",
        "L2A", "02.12", "T06VVN", "2019-06-29T21:25:29.024", 0.0, 37.912881,
    ),
    (
        "S2A_MSIL2A_20230821T221941_N0509_R029_T01KAB_20230822T021825.SAFE/expected_output.json",
        "L2A", "05.09", "T01KAB", "2023-08-21T22:19:41.024", -0.1, 38.417439,
    ),
    (
        "esa_S2B_MSIL2A_20210122T133229_N0214_R081_T22HBD_20210122T155500.SAFE/expected_output.json",
        "L2A", "02.14", "T22HBD", "2021-01-22T13:32:29.024", 0.0, 32.371231,
    ),
    (
        "S2A_MSIL2A_20190212T192651_N0212_R013_T07HFE_20201007T160857.SAFE/expected_output.json",
        "L2A", "02.12", "T07HFE", "2019-02-12T19:26:51.024", 0.0, 32.707074,
    ),
]  # fmt: skip


@real
@pytest.mark.parametrize(("name", "level", "baseline", "tile", "time", "offset", "sun"), ITEMS)
def test_real_items(
    name: str, level: str, baseline: str, tile: str, time: str, offset: float, sun: float | None
) -> None:
    item = stac_item((METADATA / name).read_bytes(), name)
    assert (item.level, item.processing_baseline, item.tile) == (level, baseline, tile)
    assert item.sensing_time == datetime.fromisoformat(time).replace(tzinfo=timezone.utc)
    assert set(item.bands) == set(BAND_NAMES) - (set() if level == "L1C" else {"B10"})
    for asset in item.bands.values():
        assert (asset.scale, asset.offset) == pytest.approx((1e-4, offset))
    assert {band: item.bands[band].resolution for band in ("B2", "B5", "B9")} == {"B2": 10, "B5": 20, "B9": 60}
    assert (item.classes is None) == (level == "L1C")
    assert (item.angles.sun_zenith if item.angles else None) == pytest.approx(sun)


@real
def test_a_collection_is_refused() -> None:
    with pytest.raises(RasterError, match=r"no STAC item \(Collection\)"):
        stac_item((METADATA / "sentinel-2-l2a.collection.json").read_bytes(), "collection.json")


@real
def test_every_real_file_is_in_a_table() -> None:
    known = {name for name, *_ in ITEMS} | {"sentinel-2-l2a.collection.json"}
    assert {path.relative_to(METADATA).as_posix() for path in METADATA.rglob("*.json")} == known


def item(properties: dict[str, Any], bands: dict[str, Any] | None = None) -> bytes:
    asset = {"href": "B02.tif", "eo:bands": [{"name": "B02"}]}
    if bands is not None:
        asset["raster:bands"] = [bands]
    return json.dumps(
        {"type": "Feature", "stac_version": "1.0.0", "id": "x", "properties": properties, "assets": {"blue": asset}}
    ).encode()


@pytest.mark.parametrize(
    ("properties", "bands", "expected"),
    [
        # Earth Search v1: the offset was taken off the files, though raster:bands still lists it.
        ({"earthsearch:boa_offset_applied": True, "s2:processing_baseline": "05.09"}, LISTED, (1e-4, 0.0)),
        ({"earthsearch:boa_offset_applied": False, "s2:processing_baseline": "05.09"}, LISTED, (1e-4, -0.1)),
        ({"sentinel:boa_offset_applied": True, "sentinel:processing_baseline": "04.00"}, None, (1e-4, 0.0)),
        # Planetary Computer: the baseline alone.
        ({"s2:processing_baseline": "04.00"}, None, (1e-4, -0.1)),
        ({"s2:processing_baseline": "02.12"}, None, (1e-4, 0.0)),
        # What is written for the files goes before the baseline.
        ({"s2:processing_baseline": "05.09"}, {"scale": 1e-4, "offset": 0}, (1e-4, 0.0)),
        ({"s2:processing_baseline": "05.00"}, {"nodata": 0}, (1e-4, -0.1)),
        # Nothing tells: nothing is made up, least of all from the date.
        ({"datetime": "2023-01-01T00:00:00Z"}, None, (None, None)),
        ({"s2:product_uri": "S2A_MSIL2A_20230101T000000_N0509_R140_T16PCC_20230101T000000.SAFE"}, None, (1e-4, -0.1)),
    ],
)  # fmt: skip
def test_where_the_offset_comes_from(
    properties: dict[str, Any], bands: dict[str, Any] | None, expected: tuple[float, float]
) -> None:
    asset = stac_item(item(properties, bands), "item.json").bands["B2"]
    assert (asset.scale, asset.offset) == expected


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"{", "no valid JSON"),
        (b"[]", r"no STAC item \(list\)"),
        (b'{"type": "Feature", "assets": {}}', "without any Sentinel-2 band"),
    ],
)
def test_what_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(RasterError, match=words):
        stac_item(data, "item.json")
