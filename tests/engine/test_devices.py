"""Which precision is computed in, and what that changes."""

from __future__ import annotations

import platform

import numpy as np
import pytest
import rasterio
import torch
from detect_runner import Detector

from engine.devices import runs_mixed
from engine.practice.scene import make_tile
from engine.prediction import Predictor

CPU = torch.device("cpu")


@pytest.mark.parametrize(("avx512_bf16", "amx"), [(False, False), (True, False), (False, True)])
def test_auto_takes_bfloat16_where_the_processor_multiplies_it(
    avx512_bf16: bool, amx: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert runs_mixed("auto", CPU) is (avx512_bf16 or amx)
    assert runs_mixed("mixed", CPU)
    assert not runs_mixed("float32", CPU)
    assert not runs_mixed("auto", torch.device("mps"))


def test_a_torch_without_onednn_computes_in_float32(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert runs_mixed("auto", CPU) is False


def test_bfloat16_hardly_changes_what_the_bundled_model_says():
    tile = make_tile(11, 128)
    full, mixed = (
        Predictor(None, "cpu", precision).probabilities(tile.reflectance[None], tile.observed[None])[0]
        for precision in ("float32", "mixed")
    )
    assert np.nanmax(full) > 0.8
    assert 0 < np.nanmax(np.abs(full - mixed)) < 0.05


@pytest.mark.parametrize(("precision", "said"), [("mixed", "bfloat16"), ("float32", "float32")])
def test_results_tell_it(detector: Detector, make_raster, water, precision: str, said: str):
    detector(make_raster(water(32, 32)), precision=precision)
    with rasterio.open(detector.folder / "mask.tif") as mask:
        assert mask.tags()["PRECISION"] == said
