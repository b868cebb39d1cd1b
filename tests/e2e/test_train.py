"""Train Model by qgis_process, from the built plugin, on real patches: a model that Detect uses as it is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal, ogr, osr

from tools.qgis_process import QgisProcessError

gdal.UseExceptions()
SCENES = ("S2_22-12-20_18QYF", "S2_28-9-20_16PCC", "S2_3-11-16_16PDC")
PATCHES_PER_SCENE = 2
QUICK = {"WIDTH": 4, "EPOCHS": 1, "BATCH_SIZE": 8, "WARMUP_EPOCHS": 0, "TILE_SIZE": 64, "DEVICE": "cpu"}


@pytest.fixture
def few(marida: Path, tmp_path: Path) -> Path:
    """Of some scenes, the patches with most debris, in MARIDA's layout: all 233 would take minutes."""
    folder = tmp_path / "few"
    (folder / "splits").mkdir(parents=True)
    for scene in SCENES:
        patches = (marida / "patches" / scene).glob("*_cl.tif")
        ranked = sorted(patches, key=lambda path: (-int((_read(path) == 1).sum()), path.name))
        (folder / "patches" / scene).mkdir(parents=True)
        for path in ranked[:PATCHES_PER_SCENE]:
            for part in path.parent.glob(path.name.replace("_cl.tif", "*.tif")):
                if part.stem.removeprefix(path.stem[:-3]) in ("", "_cl", "_conf"):
                    shutil.copy(part, folder / "patches" / scene)
    return folder


def _read(path: Path) -> np.ndarray:
    return gdal.Open(str(path)).ReadAsArray()


def _card(path: Path) -> dict:
    """The card in the header of a safetensors file."""
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return next(card for card in map(_as_json, header["__metadata__"].values()) if "metrics" in card)


def _as_json(text: str) -> dict:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _detects(qgis, source: Path, model: Path, folder: Path) -> None:
    """Detect takes the model with nothing but its name, and looks at all that is observed."""
    result = qgis.run("debris:detect", {"INPUT": source, "MODEL": model, "MASK": folder / "mask.tif"})
    assert result["OBSERVED_AREA_M2"] > 0
    assert gdal.Info(str(folder / "mask.tif"), format="json")["size"] == [256, 256]


def test_marida_by_scene(qgis, few: Path, tmp_path: Path) -> None:
    model = tmp_path / "mine.safetensors"
    outputs = {"MODEL": model, "REPORT": tmp_path / "mine.html", "LOG": tmp_path / "mine.csv"}
    result = qgis.run("debris:train", {"SOURCE": "marida", "FOLDER": few, **QUICK, **outputs})
    plan = json.loads((tmp_path / "mine.training" / "plan.json").read_text(encoding="utf-8"))
    assert not set(plan["training"]["scenes"]) & set(plan["validation"]["scenes"])
    assert _card(model)["metrics"]["debris"]["f1"] == pytest.approx(result["BEST_F1"], abs=1e-4)
    assert (tmp_path / "mine.csv").read_text(encoding="utf-8").startswith("epoch,")
    assert "<html" in (tmp_path / "mine.html").read_text(encoding="utf-8").lower()
    _detects(qgis, _first_patch(few), model, tmp_path)


def _first_patch(few: Path) -> Path:
    return next(path for path in sorted(few.glob("patches/*/*.tif")) if not path.stem.endswith(("_cl", "_conf")))


def _polygons(rasters: list[Path], path: Path) -> Path:
    """The labelled areas of class rasters as polygons in degrees, class number in the field `kind`."""
    degrees = osr.SpatialReference()
    degrees.ImportFromEPSG(4326)
    degrees.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    labels = ogr.GetDriverByName("GPKG").CreateDataSource(str(path))
    stored = labels.CreateLayer("labels", degrees, ogr.wkbPolygon)
    stored.CreateField(ogr.FieldDefn("kind", ogr.OFTInteger))
    for raster in map(gdal.Open, map(str, rasters)):
        numbers = gdal.GetDriverByName("MEM").Create("", raster.RasterXSize, raster.RasterYSize, 1, gdal.GDT_Byte)
        numbers.SetGeoTransform(raster.GetGeoTransform())
        numbers.GetRasterBand(1).WriteArray(raster.ReadAsArray().astype(np.uint8))
        drawn = (gdal.GetDriverByName("Memory") or gdal.GetDriverByName("MEM")).Create("", 0, 0, 0, gdal.GDT_Unknown)
        layer = drawn.CreateLayer("drawn", None, ogr.wkbPolygon)
        layer.CreateField(ogr.FieldDefn("kind", ogr.OFTInteger))
        gdal.Polygonize(numbers.GetRasterBand(1), numbers.GetRasterBand(1), layer, 0)
        own = raster.GetSpatialRef()
        own.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
        transform = osr.CoordinateTransformation(own, degrees)
        for feature in layer:
            copy = ogr.Feature(stored.GetLayerDefn())
            copy["kind"] = feature["kind"]
            geometry = feature.GetGeometryRef().Clone()
            geometry.Transform(transform)
            copy.SetGeometry(geometry)
            stored.CreateFeature(copy)
    return path


def test_polygons_over_rasters_in_another_crs(qgis, few: Path, tmp_path: Path) -> None:
    """What MARIDA's labels cover, drawn as polygons in degrees over patches of two UTM zones; split by scene."""
    classes = [sorted(few.glob(f"patches/{scene}/*_cl.tif"))[0] for scene in SCENES]
    rasters = [path.with_name(path.name.replace("_cl", "")) for path in classes]
    model = tmp_path / "mine.safetensors"
    values = {
        "SOURCE": "rasters",
        "RASTERS": rasters,
        "LABELS": _polygons(classes, tmp_path / "labels.gpkg"),
        "LABEL_FIELD": "kind",
        "MODEL": model,
    }
    result = qgis.run("debris:train", {**QUICK, **values})
    plan = json.loads((tmp_path / "mine.training" / "plan.json").read_text(encoding="utf-8"))
    assert not set(plan["training"]["scenes"]) & set(plan["validation"]["scenes"])
    labelled = sum(plan[part]["classes"]["Marine Debris"] for part in ("training", "validation"))
    expected = sum(int((_read(path) == 1).sum()) for path in classes)
    # A pixel counts where its middle is inside: in another CRS some at the rim come or go.
    assert labelled == pytest.approx(expected, rel=0.1)
    assert _card(model)["metrics"]["debris"]["f1"] == pytest.approx(result["BEST_F1"], abs=1e-4)
    _detects(qgis, rasters[0], model, tmp_path)


def test_evaluate(qgis, few: Path, toy_model: str, tmp_path: Path) -> None:
    """The toy model's answer is known: what is bright in B8."""
    result = qgis.run("debris:evaluate", {"FOLDER": few, "MODEL": toy_model, "SCORES": tmp_path / "s.json"})
    debris = flagged = both = 0
    for path in few.glob("patches/*/*_cl.tif"):
        labels, bands = _read(path), _read(path.with_name(path.name.replace("_cl", "")))
        labelled = (labels > 0) & np.isfinite(bands).all(axis=0) & (bands != 0).any(axis=0)
        bright = bands[7] >= 0.1
        debris += int((labelled & (labels == 1)).sum())
        flagged += int((labelled & bright).sum())
        both += int((labelled & (labels == 1) & bright).sum())
    assert result["F1"] == pytest.approx(2 * both / (debris + flagged), abs=0.02)
    assert result["F1_LOW"] <= result["F1"] <= result["F1_HIGH"]


def test_bad_input_is_one_message(qgis, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    values = {"SOURCE": "marida", "FOLDER": tmp_path / "empty", "MODEL": tmp_path / "mine.safetensors"}
    with pytest.raises(QgisProcessError, match="empty") as caught:
        qgis.run("debris:train", {**QUICK, **values})
    assert "Traceback" not in str(caught.value)
    assert not (tmp_path / "mine.safetensors").exists()
