"""Detect by qgis_process, from the built plugin, on real imagery."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal, ogr, osr

from tools.qgis_process import QgisProcessError

gdal.UseExceptions()
PATCH = "S2_22-12-20_18QYF/S2_22-12-20_18QYF_0.tif"


def _detect(qgis, source: object, folder: Path, **values: object) -> dict:
    outputs = {
        "MASK": folder / "mask.tif",
        "PROBABILITY": folder / "probability.tif",
        "DETECTIONS": folder / "detections.gpkg",
    }
    return qgis.run("debris:detect", {"INPUT": source, **outputs, **values})


def _mask(folder: Path) -> np.ndarray:
    return gdal.Open(str(folder / "mask.tif")).ReadAsArray()


def test_the_provider_is_listed(qgis) -> None:
    listed = qgis.call("list")
    for name in ("debris:detect", "debris:prepare", "debris:simulate", "debris:enginestatus"):
        assert name in listed


def test_help_names_every_parameter(qgis) -> None:
    text = qgis.call("help", "debris:detect")
    for name in (
        "INPUT",
        "PRODUCT",
        "LEVEL",
        "WATER",
        "AREA",
        "SHORE",
        "MODEL",
        "THRESHOLD",
        "EXTENT_THRESHOLD",
        "EXTENT",
        "BANDS",
        "PROBABILITY",
        "MASK",
        "DETECTIONS",
        "DEBRIS_AREA_M2",
    ):
        assert name in text


def test_the_engine_is_ready(qgis) -> None:
    assert qgis.run("debris:enginestatus", {})["READY"] is True


def test_real_patch_with_the_bundled_model(qgis, marida: Path, tmp_path: Path) -> None:
    source = marida / "patches" / PATCH
    result = _detect(qgis, source, tmp_path)
    patch, mask = gdal.Open(str(source)), gdal.Open(str(tmp_path / "mask.tif"))
    assert mask.GetGeoTransform() == patch.GetGeoTransform()
    assert (mask.RasterXSize, mask.RasterYSize) == (patch.RasterXSize, patch.RasterYSize)
    assert mask.GetSpatialRef().IsSame(patch.GetSpatialRef())
    detections = ogr.Open(str(tmp_path / "detections.gpkg"))
    areas = [feature["area_m2"] for feature in detections.GetLayer()]
    assert sum(areas) == pytest.approx((_mask(tmp_path) == 1).sum() * 100)
    assert result["DEBRIS_AREA_M2"] == pytest.approx(sum(areas))
    assert result["DETECTION_COUNT"] == len(areas)
    for name in ("mask.qml", "probability.qml", "detections.qml"):
        assert (tmp_path / name).is_file()


def test_labelled_debris_is_found_in_real_patches(qgis, marida: Path, tmp_path: Path) -> None:
    """The labelled debris of the patch that has the most of it; no threshold is tuned here."""
    labels = {
        p: (gdal.Open(str(p)).ReadAsArray() == 1) for p in sorted(marida.glob("patches/S2_22-12-20_18QYF/*_cl.tif"))
    }
    path, debris = max(labels.items(), key=lambda item: item[1].sum())
    _detect(qgis, path.with_name(path.name.replace("_cl", "")), tmp_path)
    found = (_mask(tmp_path) == 1) & debris
    assert found.sum() >= 0.3 * debris.sum()


def test_the_same_as_without_qgis(qgis, marida: Path, toy_model: str, tmp_path: Path) -> None:
    """What QGIS passes on is what was asked: the toy model's answer is known."""
    source = marida / "patches" / PATCH
    _detect(qgis, source, tmp_path, MODEL=toy_model, THRESHOLD=0.3)
    b8 = gdal.Open(str(source)).ReadAsArray()[7]
    expected = 1 / (1 + np.exp(-200.0 * (b8 - 0.1))) >= 0.3
    assert (_mask(tmp_path) == 1).sum() == expected.sum()


def test_accra_in_one_step(qgis, accra_vrt: str, tmp_path: Path) -> None:
    """A folder of eleven single-band files of a coast: zeros are no data, and something floats there."""
    begin = time.monotonic()
    folder = Path(gdal.Open(accra_vrt).GetFileList()[1]).parent
    outputs = {"MASK": tmp_path / "mask.tif", "DETECTIONS": tmp_path / "detections.gpkg"}
    result = qgis.run("debris:detect", {"PRODUCT": folder, **outputs})
    print(f"Accra took {time.monotonic() - begin:.0f} s")  # noqa: T201 - for whoever reads the test's output
    zeros = (gdal.Open(accra_vrt).ReadAsArray() == 0).all(axis=0)
    mask = _mask(tmp_path)
    np.testing.assert_array_equal(mask == 255, zeros)
    assert result["NOT_OBSERVED_AREA_M2"] == pytest.approx(
        (mask > 2).sum() * 9.968823957883366 * 9.996142982184331, rel=1e-6
    )
    assert ((mask == 1) | (mask == 2)).sum() > 100


def test_practice_scene_then_detect(qgis, tmp_path: Path) -> None:
    scene = tmp_path / "scene.tif"
    qgis.run(
        "debris:simulate", {"WIDTH": 256, "HEIGHT": 256, "SEED": 1, "OUTPUT": scene, "LABELS": tmp_path / "labels.tif"}
    )
    assert _detect(qgis, scene, tmp_path)["OBSERVED_AREA_M2"] > 0


def _scene(path: Path, rows: int) -> Path:
    """Eleven named bands of uint16 water, 700 pixels wide."""
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), 700, rows, 11, gdal.GDT_UInt16)
    dataset.SetGeoTransform((500000, 10, 0, 600000, 0, -10))
    dataset.SetProjection(osr.GetUserInputAsWKT("EPSG:32630"))
    for index, name in enumerate(("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12"), 1):
        dataset.GetRasterBand(index).SetDescription(name)
        dataset.GetRasterBand(index).Fill(300)
    return path


def _peak_kb(process: subprocess.Popen) -> int:
    """Peak resident memory of one process, without its children, until it ends."""
    peak, status = 0, Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        found = re.search(r"VmHWM:\s+(\d+)", status.read_text())
        peak = max(peak, int(found[1]) if found else 0)
        time.sleep(0.05)
    assert process.returncode == 0
    return peak


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_qgis_does_not_grow_with_the_scene(qgis, toy_model: str, tmp_path: Path) -> None:
    peaks = {}
    for rows in (700, 5600):
        values = {
            "INPUT": _scene(tmp_path / f"{rows}.tif", rows),
            "MODEL": toy_model,
            "MASK": tmp_path / f"mask{rows}.tif",
            "PROBABILITY": tmp_path / f"probability{rows}.tif",
            "DETECTIONS": tmp_path / f"detections{rows}.gpkg",
        }
        arguments = [f"{name}={value}" for name, value in values.items()]
        peaks[rows] = _peak_kb(qgis.start("run", "debris:detect", "--", *arguments))
    # 4900 more rows are 75 MB of input and 14 MB of probability: none of it may pass through QGIS.
    assert peaks[5600] < peaks[700] + 10 * 1024


def _engines(parent: int) -> list[int]:
    """Process ids of the engines that a process has started and that run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended meanwhile
        if int(fields[1]) == parent and fields[0] != "Z" and b"serve" in command:
            found.append(int(folder.name))
    return found


def _wait(condition, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="children are found in /proc")
def test_the_engine_ends_when_qgis_is_ended(qgis, tmp_path: Path) -> None:
    """Amid a training whose steps take long: nobody is left to end it."""
    out = tmp_path / "out"
    out.mkdir()
    values = {"SOURCE": "practice", "MODEL": out / "m.safetensors", "WIDTH": 64, "BATCH_SIZE": 64, "DEVICE": "cpu",
              "TRAINING_SAMPLES": 64, "VALIDATION_SAMPLES": 8}  # fmt: skip
    process = qgis.start("run", "debris:train", "--", *[f"{name}={value}" for name, value in values.items()])
    found: list[int] = []
    try:
        assert _wait(lambda: found.extend(_engines(process.pid)) or bool(found), 60)
        assert _wait(lambda: (out / "m.training" / "plan.json").is_file(), 120)
    finally:
        process.terminate()
        process.wait()
    assert _wait(lambda: not Path(f"/proc/{found[0]}").exists(), 5)
    # The training's folder goes where the engine hears of it between two steps, and stays where it is ended amid one.
    assert {path.name for path in out.iterdir()} <= {"m.training"}


def test_relative_paths_are_those_of_the_folder_one_is_in(qgis, tmp_path: Path, monkeypatch) -> None:
    """The README's own example; what a person names must not lie in the plugin's folder."""
    monkeypatch.chdir(tmp_path)
    qgis.run("debris:simulate", {"WIDTH": 64, "HEIGHT": 64, "OUTPUT": "scene.tif", "LABELS": "labels.tif"})
    result = _detect(qgis, "scene.tif", Path())
    for name in ("scene.tif", "labels.tif", "mask.tif", "probability.tif", "detections.gpkg"):
        assert (tmp_path / name).is_file()
    assert result["MASK"] == str(tmp_path / "mask.tif")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"INPUT": "none.tif"}, "There is no raster none.tif"),
        ({"THRESHOLD": 1.5}, "The threshold is 1.5: it must lie between 0 and 1"),
        ({"BANDS": "B1=99"}, "BANDS has B1=99, but the raster has 11 band"),
        ({"MASK": "/proc/mask.tif"}, "/proc cannot be written to"),
    ],
)
def test_bad_input(qgis, marida: Path, toy_model: str, tmp_path: Path, values: dict, message: str) -> None:
    inputs = {"INPUT": marida / "patches" / PATCH, "MODEL": toy_model, "MASK": tmp_path / "mask.tif", **values}
    with pytest.raises(QgisProcessError, match=message):
        qgis.run("debris:detect", inputs)
    assert list(tmp_path.iterdir()) == []
