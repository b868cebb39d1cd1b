"""Evaluation by MARIDA's protocol: counts by hand with the toy model, and the bundled model on real patches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from engine.bands import MARIDA_ORDER
from engine.errors import Cancelled, DataError
from engine.evaluation import evaluate, marked
from engine.jobs import EvaluateRequest
from engine.marida import patch_names, read_patch
from engine.modelfile import BUNDLED_MODEL


def write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", count=len(array), height=array.shape[1], width=array.shape[2], dtype=array.dtype,
        crs="EPSG:32616", transform=Affine(10, 0, 4e5, 0, -10, 1.7e6),
    ) as dataset:  # fmt: skip
        dataset.write(array)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two patches of 16 x 16: bright (debris to the toy model) in the left half; the second holds no data at all."""
    scene = tmp_path / "patches" / "S2_1-1-20_16PCC"
    image = np.full((11, 16, 16), 0.02, dtype=np.float32)
    image[:, :, :8] = 0.3
    image[0, 0, 0] = np.nan
    classes = np.zeros((1, 16, 16), dtype=np.float32)
    classes[0, 0, :4] = 1  # three seen by the model, one not observed
    classes[0, 1, 6:10] = [1, 5, 1, 7]  # flagged: debris, ship; not flagged: debris, water
    classes[0, 2, 0] = 2
    write(scene / "S2_1-1-20_16PCC_0.tif", image)
    write(scene / "S2_1-1-20_16PCC_0_cl.tif", classes)
    write(scene / "S2_1-1-20_16PCC_1.tif", np.full((11, 16, 16), np.nan, dtype=np.float32))
    write(scene / "S2_1-1-20_16PCC_1_cl.tif", classes)
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits" / "test_X.txt").write_bytes(b"1-1-20_16PCC_0\r\nS2_1-1-20_16PCC_1\r\n\r\n")
    return tmp_path


def test_strict_counts_are_those_done_by_hand(folder: Path, toy_model: Path):
    result = evaluate(EvaluateRequest(data=str(folder), model=str(toy_model), device="cpu"))
    assert result.counts == {"tp": 4, "fp": 2, "fn": 1, "tn": 1}
    assert result.precision == pytest.approx(4 / 6)
    assert result.recall == pytest.approx(4 / 5)
    assert result.f1 == pytest.approx(8 / 11)
    assert result.patches == 1
    assert result.flagged_by_class["Ship"] == 1
    assert result.pixels_by_class["Marine Water"] == 1


def test_floating_counts_seaweed_too(folder: Path, toy_model: Path):
    request = EvaluateRequest(data=str(folder), model=str(toy_model), protocol="floating", device="cpu")
    assert evaluate(request).counts == {"tp": 5, "fp": 1, "fn": 1, "tn": 1}


@pytest.mark.parametrize(
    ("classes", "protocol"), [((1,), "strict"), ((9, 4, 3, 2, 1), "floating"), ((1, 5), "own classes")]
)
def test_classes_name_the_protocol_and_the_data_is_told(
    folder: Path, toy_model: Path, classes: tuple[int, ...], protocol: str
):
    common = {"data": str(folder), "split": "test_X", "model": str(toy_model), "device": "cpu"}
    result = evaluate(EvaluateRequest(**common, positive_classes=classes))
    assert (result.protocol, result.positive_classes) == (protocol, tuple(sorted(classes)))
    assert (result.data, result.split, result.rasters) == (str(folder), "test_X", ())
    if protocol != "own classes":
        assert result == evaluate(EvaluateRequest(**common, protocol=protocol))


def test_one_patch_has_no_interval(folder: Path, toy_model: Path):
    result = evaluate(EvaluateRequest(data=str(folder), model=str(toy_model), device="cpu"))
    assert (result.patches, result.interval, result.interval_by) == (1, None, None)


def test_floating_flags_what_the_mask_marks_debris_below_the_other_threshold_too():
    probability = np.array([[[0.5, 0.1, 0.3, np.nan]], [[0.1, 0.85, 0.3, np.nan]]], dtype=np.float32)
    assert marked(probability, 0.4, 0.9).tolist() == [[True, True, False, False]]


def test_rasters_of_one_file_name_are_two_scenes(toy_model: Path, tmp_path: Path):
    paths: dict[str, list[str]] = {"image": [], "labels": []}
    for year, brightness in (("2020", 0.02), ("2021", 0.3)):
        image = np.full((11, 32, 32), brightness, dtype=np.float32)
        classes = np.zeros((1, 32, 32), dtype=np.uint8)
        classes[0, 0, :4], classes[0, 1, :4] = 1, 7
        for name, array in (("image", image), ("labels", classes)):
            write(tmp_path / year / f"{name}.tif", array)
            paths[name].append(str(tmp_path / year / f"{name}.tif"))
    bands = ",".join(f"{band}={number}" for number, band in enumerate(MARIDA_ORDER, start=1))
    result = evaluate(
        EvaluateRequest(rasters=tuple(paths["image"]), labels=tuple(paths["labels"]), bands=bands,
                        model=str(toy_model), device="cpu")
    )  # fmt: skip
    # The dark one is missed whole, the bright one flagged whole: draws of two scenes lie anywhere between.
    assert result.counts == {"tp": 4, "fp": 4, "fn": 4, "tn": 4}
    assert result.interval_by == "scenes"
    assert result.interval == pytest.approx((0, 2 / 3))


def test_an_own_threshold_is_used(folder: Path, toy_model: Path):
    result = evaluate(EvaluateRequest(data=str(folder), model=str(toy_model), threshold=0.0, device="cpu"))
    assert result.recall == 1
    assert result.unlabelled_flagged_share == 1


def test_lists_with_and_without_prefix_and_with_crlf(folder: Path):
    assert patch_names(folder, "test_X") == ["S2_1-1-20_16PCC_0", "S2_1-1-20_16PCC_1"]
    assert patch_names(folder, "test_X.txt") == patch_names(folder)
    assert patch_names(folder, str(folder / "splits" / "test_X.txt")) == patch_names(folder)


def test_a_patch_without_data_is_skipped_and_said(folder: Path, caplog: pytest.LogCaptureFixture):
    assert read_patch(folder, "S2_1-1-20_16PCC_1", MARIDA_ORDER) is None
    assert "holds no data" in caplog.text


@pytest.mark.parametrize(("split", "message"), [("nothing", "no list"), (None, "no patches")])
def test_bad_folders_are_explained(split: str | None, message: str, folder: Path, tmp_path: Path):
    place = folder if split else tmp_path / "splits"
    with pytest.raises(DataError, match=message):
        patch_names(place, split)


def test_labels_of_another_size_and_labels_that_are_none(folder: Path):
    labels = folder / "patches" / "S2_1-1-20_16PCC" / "S2_1-1-20_16PCC_0_cl.tif"
    write(labels, np.ones((1, 8, 8), dtype=np.float32))
    with pytest.raises(DataError, match="pixels and labels"):
        read_patch(folder, "S2_1-1-20_16PCC_0", MARIDA_ORDER)
    write(labels, np.full((1, 16, 16), 1.5, dtype=np.float32))
    with pytest.raises(DataError, match="no class raster"):
        read_patch(folder, "S2_1-1-20_16PCC_0", MARIDA_ORDER)
    labels.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        read_patch(folder, "S2_1-1-20_16PCC_0", MARIDA_ORDER)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (7, r"has 0 observed .*debris \(class 1\) and 255 labelled as something else.*add labels of debris,"),
        (1, r"has 255 observed .* and 0 labelled as something else.*add labels of what is no debris"),
        (0, r"has 0 observed .* and 0 labelled as something else.*add labels of debris and of what is none"),
    ],
)
def test_one_kind_of_pixel_is_no_evaluation(folder: Path, toy_model: Path, label: int, message: str):
    labels = folder / "patches" / "S2_1-1-20_16PCC" / "S2_1-1-20_16PCC_0_cl.tif"
    write(labels, np.full((1, 16, 16), label, dtype=np.float32))
    with pytest.raises(DataError, match=message):
        evaluate(EvaluateRequest(data=str(folder), model=str(toy_model), device="cpu"))


def test_evaluation_can_be_cancelled(folder: Path, toy_model: Path):
    def cancel(fraction: float, message: str) -> None:
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        evaluate(EvaluateRequest(data=str(folder), model=str(toy_model), device="cpu"), cancel)


@pytest.mark.slow
@pytest.mark.skipif(not BUNDLED_MODEL.exists(), reason="no model is bundled")
def test_the_bundled_model_keeps_its_score_on_all_patches(marida: Path):
    result = evaluate(EvaluateRequest(data=str(marida), device="cpu"))
    assert result.patches == 233
    assert result.counts["tp"] + result.counts["fn"] == 196
    assert result.f1 >= 0.60
