"""Detect where something is wrong: bad input, outputs that cannot be written, a cancel; nothing unfinished is left."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from affine import Affine
from detect_runner import Detector
from toy_model import toy_card, toy_network

from engine import modelfile
from engine.bands import MARIDA_ORDER
from engine.errors import (
    BandError,
    Cancelled,
    EngineError,
    ModelError,
    OutputError,
    RasterError,
    ReflectanceError,
    RequestError,
)
from engine.jobs import DetectRequest, run

B8 = MARIDA_ORDER.index("B8")
Water = Callable[[int, int], np.ndarray]


def _left(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("missing", RasterError, "There is no file"),
        ("text", RasterError, "cannot be opened as a raster"),
        ("picture", BandError, "picture made for viewing"),
        ("ten", BandError, "10 band"),
        ("empty", RasterError, "nothing was looked at"),
        ("rotated", RasterError, "rotated"),
        ("dn_as_float", ReflectanceError, "SCALE"),
    ],
)
def test_bad_input_gives_one_message_and_leaves_nothing(
    detector: Detector,
    make_raster,
    scene: np.ndarray,
    tmp_path: Path,
    kind: str,
    error: type[EngineError],
    message: str,
) -> None:
    text = tmp_path / "notes.tif"
    text.write_text("not a raster")
    rasters = {
        "missing": lambda: tmp_path / "missing.tif",
        "text": lambda: text,
        "picture": lambda: make_raster(np.full((3, 20, 20), 80, dtype=np.uint8), names=None),
        "ten": lambda: make_raster(scene[:10], names=None),
        "empty": lambda: make_raster(np.zeros_like(scene)),
        "rotated": lambda: make_raster(scene, transform=Affine(10, 1, 0, 1, -10, 0)),
        "dn_as_float": lambda: make_raster(scene * 10000),
    }
    with pytest.raises(error, match=message):
        detector(rasters[kind]())
    assert _left(detector.folder) == []


@pytest.mark.parametrize(
    ("dtype", "fill"),
    [
        ("float32", -9999), ("int16", -9999), ("int16", -32768), ("uint16", 65535), ("float32", 1e20),
        ("float32", np.finfo("float32").min), ("float64", np.finfo("float64").min),
    ],
)  # fmt: skip
def test_fills_that_no_tag_tells_are_no_data(
    detector: Detector, make_raster, scene: np.ndarray, caplog: pytest.LogCaptureFixture, dtype: str, fill: float
) -> None:
    stored = (scene if dtype.startswith("float") else np.round(scene * 1e4)).astype(dtype)
    detector(make_raster(stored, name="whole.tif"))
    expected = detector.raster("mask")
    stored[:, :, :8] = fill
    stored[4, 30:, 40:44] = fill
    caplog.clear()
    detector(make_raster(stored))
    expected[:, :8] = expected[30:, 40:44] = 255
    np.testing.assert_array_equal(detector.raster("mask"), expected)
    said = [record.getMessage() for record in caplog.records if "cannot be reflectance" in record.getMessage()]
    assert len(said) == 1
    assert f"first {np.dtype(dtype).type(fill):.7g} in B" in said[0]
    assert "set the raster's no-data value" in said[0]


def test_a_fill_counts_wherever_it_is_and_is_not_said_where_a_tag_tells_it(
    detector: Detector, make_raster, water: Water, caplog: pytest.LogCaptureFixture
) -> None:
    array = water(600, 700)
    array[:, 560:580, 300:310] = -9999
    result = detector(make_raster(array))
    assert (result.not_observed_pixels, caplog.text.count("cannot be reflectance")) == (200, 1)
    caplog.clear()
    assert detector(make_raster(array, name="told.tif", nodata=-9999)).not_observed_pixels == 200
    assert "cannot be reflectance" not in caplog.text


def test_a_raster_that_is_all_fill_holds_no_data(detector: Detector, make_raster, scene: np.ndarray) -> None:
    scene[:] = -9999
    with pytest.raises(RasterError, match="holds no data"):
        detector(make_raster(scene))


def test_own_results_are_named_as_such(detector: Detector, make_raster, scene: np.ndarray) -> None:
    path = make_raster(scene)
    detector(path)
    for name in ("mask", "probability"):
        own = detector.folder / f"{name}.tif"
        with pytest.raises(BandError, match=rf"{name}\.tif is a result of this plugin, made from {path}"):
            run(DetectRequest(input=str(own), mask=str(detector.folder / "m.tif"), model=str(detector.model)))


def test_a_model_that_gives_no_numbers_is_the_models_fault(
    detector: Detector, make_raster, scene: np.ndarray, tmp_path: Path
) -> None:
    network = toy_network()
    with torch.no_grad():
        for weights in (network.encoder[0][0].weight, network.head[3].weight):
            weights.fill_(3e38)
    modelfile.save(tmp_path / "wild.safetensors", network, toy_card())
    with pytest.raises(ModelError, match="its training went wrong"):
        detector(make_raster(scene), model=str(tmp_path / "wild.safetensors"))


def test_outputs_that_cannot_be_written(detector: Detector, make_raster, scene: np.ndarray, toy_model: Path) -> None:
    path = str(make_raster(scene))
    with pytest.raises(OutputError, match="no folder"):
        run(DetectRequest(input=path, mask=str(detector.folder / "none" / "m.tif"), model=str(toy_model)))
    with pytest.raises(OutputError, match="cannot be written to"):
        run(DetectRequest(input=path, mask="/proc/mask.tif", model=str(toy_model)))
    with pytest.raises(OutputError, match=r"written as \.tif"):
        run(DetectRequest(input=path, mask=str(detector.folder / "m.png"), model=str(toy_model)))
    with pytest.raises(OutputError, match="use .gpkg"):
        run(DetectRequest(input=path, mask=str(detector.folder / "m.tif"), detections=str(detector.folder / "d.dwg")))
    with pytest.raises(OutputError, match="two different outputs"):
        same = str(detector.folder / "m.tif")
        run(DetectRequest(input=path, mask=same, probability=same, model=str(toy_model)))
    assert _left(detector.folder) == []


@pytest.mark.parametrize(
    "values", [{"threshold": 1.5}, {"min_pixels": 0}, {"scale": 0.0}, {"device": "tpu"}, {"tile_overlap": -1}]
)
def test_values_out_of_range(values: dict[str, object]) -> None:
    with pytest.raises(RequestError, match=next(iter(values))):
        DetectRequest(input="a.tif", mask="b.tif", **values)


def test_an_earlier_result_stands_until_the_new_one_is_complete(
    detector: Detector, make_raster, scene: np.ndarray
) -> None:
    detector(make_raster(scene))
    before = (detector.folder / "mask.tif").read_bytes()
    with pytest.raises(RasterError):
        detector(make_raster(np.zeros_like(scene), name="other.tif"))
    assert (detector.folder / "mask.tif").read_bytes() == before
    assert _left(detector.folder) == ["found.gpkg", "mask.tif", "probability.tif"]


@pytest.mark.parametrize("stop_at", [0.0, 0.1, 0.5, 0.92, 0.97])
def test_cancel_at_any_point_leaves_nothing(detector: Detector, make_raster, water: Water, stop_at: float) -> None:
    def monitor(fraction: float, message: str) -> None:
        if fraction >= stop_at:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        detector(make_raster(water(900, 900)), monitor=monitor)
    assert _left(detector.folder) == []


def test_cancel_is_looked_at_while_many_detections_are_outlined(detector: Detector, make_raster, water: Water) -> None:
    array = water(90, 90)
    array[B8, ::3, ::3] = 0.2
    array[B8, ::3, 1:45:3] = 0.2
    path = make_raster(array)
    seen: list[tuple[float, str]] = []
    assert detector(path, monitor=lambda *said: seen.append(said), min_pixels=2).detection_count == 450
    for kind, count in (("Leaving out what is too faint or too small", 900), ("Outlining detections", 450)):
        parts = [fraction for fraction, message in seen if message.startswith(f"{kind}: ")]
        assert len(parts) == (count - 1) // 100
        assert len(set(parts)) == len(parts)
        assert parts == sorted(parts)
    assert [fraction for fraction, _ in seen] == sorted(fraction for fraction, _ in seen)

    def stop(fraction: float, message: str) -> None:
        if message.startswith("Outlining detections: 200"):
            raise Cancelled("stop")

    before = (detector.folder / "mask.tif").read_bytes()
    with pytest.raises(Cancelled):
        detector(path, monitor=stop)
    assert (detector.folder / "mask.tif").read_bytes() == before


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="tells open files by /proc")
@pytest.mark.parametrize("stop_at", [0.5, 0.92, 2.0])
def test_no_file_is_open_when_its_folder_is_removed(
    detector: Detector, make_raster, scene: np.ndarray, monkeypatch: pytest.MonkeyPatch, stop_at: float
) -> None:
    """Windows would leave the folder there."""
    remove, removed = shutil.rmtree, []

    def removing(folder: Path, **options: bool) -> None:
        # A file may be closed between the listing and the look at it.
        links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
        removed.append([str(link.readlink()) for link in links if str(folder) in os.path.realpath(link)])
        remove(folder, **options)

    def monitor(fraction: float, message: str) -> None:
        if fraction >= stop_at:
            raise Cancelled("stop")

    path = make_raster(scene)
    monkeypatch.setattr(shutil, "rmtree", removing)
    with contextlib.suppress(Cancelled):
        detector(path, monitor=monitor)
    assert removed == [[]]
