"""The report, laid out by QGIS and read back as text and as pictures."""

from __future__ import annotations

import base64
import gc
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsDistanceArea,
    QgsLayoutItem,
    QgsLayoutItemLabel,
    QgsLayoutItemMap,
    QgsLayoutItemPage,
    QgsLayoutItemScaleBar,
    QgsLayoutItemShape,
    QgsPointXY,
    QgsProcessingException,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QRectF

from debris_qgis.algorithms import report as report_algorithm
from debris_qgis.results.areas import FLOATING, areas_of
from debris_qgis.results.fields import decide, ensure_fields
from debris_qgis.results.provenance import of_raster
from debris_qgis.results.report_content import content
from debris_qgis.results.report_layers import layers_for
from debris_qgis.results.report_sheet import _side, around, draw
from debris_qgis.results.scene_image import band_name, bands_of
from debris_qgis.results.selection import CHOICES, select
from debris_qgis.results.severity import DEFAULT
from debris_qgis.results.sheet import Sheet, height_of

from .conftest import ROOT, data_folder
from .report_driver import near, picture_of, report, text_of
from .results_data import NAMES, write_run

NOTE = "Müll am Strand, 海ごみ. " * 12


def test_nothing_is_left_beside_a_scene_named_by_its_path(run, tmp_path):
    """QGIS counts the values of a scene to draw it; GDAL would keep the counts beside a person's file."""
    folder = tmp_path / "scenes"
    folder.mkdir()
    patch = data_folder("marida") / "patches" / "S2_22-12-20_18QYF" / "S2_22-12-20_18QYF_0.tif"
    scene, mask = (shutil.copy(path, folder) for path in (patch, run["MASK"]))
    before = sorted(folder.iterdir())
    report(run, tmp_path, SCENE=scene, MASK=mask)
    assert (tmp_path / "report.pdf").is_file()
    assert sorted(folder.iterdir()) == before


def test_nothing_is_left_beside_the_files_of_a_product(tmp_path, out, monkeypatch):
    """QGIS copies layers while it draws, here for certain, and each copy opens the product's bands and counts them."""

    def copying(words, layers, project):
        for layer in layers.all():
            layer.clone()
        return draw(words, layers, project)

    monkeypatch.setattr(report_algorithm, "draw", copying)
    run = write_run(tmp_path)
    product = tmp_path / "product"
    product.mkdir()
    for number, name in enumerate(NAMES, 1):
        gdal.Translate(str(product / f"T30NZM_{name}.tif"), run["SCENE"], bandList=[number])
    before = sorted(product.iterdir())
    mask = gdal.Open(run["MASK"], gdal.GA_Update)
    mask.SetMetadataItem("INPUT", str(product))
    del mask
    _, feedback = report(run, out)
    assert not any("The scene is not at hand" in line for line in feedback.lines)
    gc.collect()
    assert sorted(product.iterdir()) == before


def test_the_report_says_what_it_must(run, out):
    layer = QgsVectorLayer(run["DETECTIONS"], "detections", "ogr")
    ensure_fields(layer)
    decide(layer, 1, "accepted", NOTE)
    decide(layer, 3, "rejected")
    result, _ = report(run, out)
    assert result["COUNT"] == 3
    words = re.sub(r"\s+", " ", text_of(out / "report.pdf"))
    page = (out / "report.html").read_text(encoding="utf-8")
    for phrase in (
        "Suspected floating debris",
        "image taken 2019-04-24 07:36 UTC",
        "Contains modified Copernicus Sentinel data 2019.",
        "3 detection(s) of suspected debris. People looked at 1 of them (1 accepted)",
        "Observed: 0.85 km², 84.9% of the scene.",
        "land 45,000 m² (4.5%)",
        "cloud or shadow 6,000 m² (0.6%)",
        "no data 0.10 km² (10.0%)",
        "Nothing is known of what floats there.",
        "ab" * 32,
        "The model's card is not at hand, so its accuracy is not stated here.",
        "Nobody has seen them at sea",
        "Note: Müll am Strand",
        "Severity moderate",
    ):
        assert phrase in words.replace("- ", "-") or phrase in words, phrase
        assert phrase.replace("'", "&#x27;") in page, phrase
    assert "accepted" in words


def test_the_map_shows_the_results(run, out):
    report(run, out)
    picture = picture_of(out / "report.pdf")
    assert near(picture, (0xD5, 0x5E, 0x00)) > 100
    assert near(picture, (0xB9, 0xA9, 0x8C)) > 500
    # Close-ups on the second page, outlined.
    assert near(picture_of(out / "report.pdf", 1), (0xFF, 0x2F, 0xBF), 60) > 50
    images = re.findall(r"data:image/png;base64,([^']+)", (out / "report.html").read_text(encoding="utf-8"))
    # The map, and two close-ups of each of the four detections.
    assert len(images) == 1 + 2 * 4
    assert all(base64.b64decode(image).startswith(b"\x89PNG") for image in images)


@pytest.mark.parametrize("count", [0, 1, 4, 25])
def test_nothing_overlaps_and_nothing_is_cut(run, tmp_path, count):
    """The pages' items themselves: inside the paper, apart from one another, high enough for their texts."""
    boxes = tuple((5 + 3 * (n % 20), 10 + 4 * (n // 20), 2, 2, 0.5, 0.6) for n in range(count))
    run = write_run(tmp_path, boxes=boxes, name="many_")
    layer = QgsVectorLayer(run["DETECTIONS"], "detections", "ogr")
    ensure_fields(layer)
    for fid in range(1, count + 1):
        decide(layer, fid, "unsure", NOTE)
    areas, provenance = areas_of(run["MASK"]), of_raster(run["MASK"])
    selection = select(layer, CHOICES[3], 0, provenance.period)
    words = content(selection, provenance, areas, {"metrics": {}, "training": {"data": "x " * 300}}, DEFAULT, 100)
    project = QgsProject()
    # The longest legend: every value of a mask.
    pixels = {**areas.pixels, FLOATING: 1}
    layers = layers_for(selection, run["SCENE"], run["MASK"], pixels, [e.feature for e in words.entries])
    project.addMapLayers(layers.all(), False)
    sheet = draw(words, layers, project).sheet
    items = [item for item in sheet.layout.items() if isinstance(item, QgsLayoutItem)]
    placed = [item for item in items if not isinstance(item, QgsLayoutItemPage)]
    assert len(placed) > 10
    for item in placed:
        rect = item.mapRectToScene(item.rect())
        page = sheet.layout.pageCollection().page(item.page())
        paper = page.mapRectToScene(page.rect())
        assert paper.adjusted(5, 5, -5, -5).contains(rect), item.displayName()
        if isinstance(item, QgsLayoutItemLabel):
            bold = item.font().bold() if not hasattr(item, "textFormat") else item.textFormat().font().bold()
            size = item.font().pointSizeF() if not hasattr(item, "textFormat") else item.textFormat().size()
            assert rect.height() >= height_of(item.text(), rect.width(), size, bold) - 0.01, item.text()
    for one, other in combinations([i for i in placed if not isinstance(i, QgsLayoutItemShape)], 2):
        if one.page() == other.page():
            shared = one.mapRectToScene(one.rect()).intersected(other.mapRectToScene(other.rect()))
            assert shared.width() * shared.height() < 0.5, (one.displayName(), other.displayName())
    assert sum(isinstance(item, QgsLayoutItemMap) for item in placed) == 1 + 2 * count


@pytest.mark.parametrize(
    ("epsg", "lon", "lat", "units"),
    [
        (32632, 9.0, 58.0, 600.0),
        (3857, 9.0, 58.0, 1128.0),
        (2225, -122.0, 40.5, 1968.5),
        (4326, 9.0, 58.0, 0.01015),
    ],
)
def test_a_close_up_is_as_wide_as_it_says(epsg, lon, lat, units):
    """On the ellipsoid: units of a map are metres in few CRSs, and Mercator's are none at all."""
    crs, geographic = (QgsCoordinateReferenceSystem(f"EPSG:{code}") for code in (epsg, 4326))
    to_crs = QgsCoordinateTransform(geographic, crs, QgsCoordinateTransformContext())
    square = around(QgsRectangle.fromCenterAndSize(to_crs.transform(QgsPointXY(lon, lat)), 1e-9, 1e-9), crs)
    assert square.width() == pytest.approx(units, rel=2e-3)
    middle = square.center().y()
    ends = [to_crs.transform(QgsPointXY(x, middle), Qgis.TransformDirection.Reverse) for x in _sides(square)]
    measure = QgsDistanceArea()
    measure.setSourceCrs(geographic, QgsCoordinateTransformContext())
    measure.setEllipsoid("EPSG:7030")
    assert measure.measureLine(*ends) == pytest.approx(600, rel=1e-3)
    assert _side(square, crs) == "Close-up 600 m wide"


def _sides(square):
    return square.xMinimum(), square.xMaximum()


@pytest.mark.parametrize("epsg", [32632, 3857, 4326])
def test_the_scale_bar_is_as_long_as_it_says(qgis_app, epsg):
    """Far from the equator, measured in pixels: 2 km at 60 degrees north, in a project as it is made for a report."""
    crs, zone = (QgsCoordinateReferenceSystem(f"EPSG:{code}") for code in (epsg, 32632))
    around_it = QgsRectangle.fromCenterAndSize(QgsPointXY(500000, 6651411), 2000, 1000)
    extent = QgsCoordinateTransform(zone, crs, QgsCoordinateTransformContext()).transformBoundingBox(around_it)
    project = QgsProject()
    sheet = Sheet(project)
    shown = sheet.map([], extent, crs, QRectF(10, 10, 180, 90))
    sheet.scale_bar(shown, 10, 120)
    measure = QgsDistanceArea()
    measure.setSourceCrs(crs, QgsCoordinateTransformContext())
    measure.setEllipsoid("EPSG:7030")
    sides = [QgsPointXY(x, shown.extent().center().y()) for x in _sides(shown.extent())]
    metres_a_pixel = measure.measureLine(*sides) / 180 * 25.4 / 300
    picture = sheet.picture(0, QRectF(10, 120, 60, 12), 300)
    across, down = range(picture.width()), range(picture.height())
    # The bar's outline is the longest line there is; its numbers stand above it.
    length = max(sum(picture.pixelColor(x, y).lightness() < 128 for x in across) for y in down)
    assert length * metres_a_pixel == pytest.approx(400, rel=0.03)
    numbers = [item for item in sheet.layout.items() if isinstance(item, QgsLayoutItemScaleBar)]
    assert numbers[0].unitsPerSegment() / numbers[0].mapUnitsPerScaleBarUnit() == pytest.approx(200)


def test_what_cannot_be_reported_says_why_and_leaves_nothing(run, out, tmp_path):
    with pytest.raises(QgsProcessingException, match="Say where the report goes"):
        report(run, out, PDF=None, HTML=None)
    plain = tmp_path / "plain.geojson"
    plain.write_text(
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"a": 1}, "geometry": '
        '{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}}]}'
    )
    with pytest.raises(QgsProcessingException, match="no table of detections"):
        report({**run, "DETECTIONS": str(plain)}, out)
    with pytest.raises(QgsProcessingException, match="six numbers"):
        report(run, out, SEVERITY="8,1")
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    with pytest.raises(QgsProcessingException, match="The report cannot be written"):
        report(run, out, PDF=str(blocked / "report.pdf"))
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "band"),
    [("B08", "B8"), ("B8A", "B8A"), ("nm842", "B8"), ("nm900", None), ("rhorc_833", "B8"), ("rhos_1614", "B11"),
     ("red", "B4"), ("Band 11", "B11"), ("665 nm", "B4"), ("depth", None)],
)  # fmt: skip
def test_bands_are_told_by_name(text, band):
    assert band_name(text) == band


def test_bands_without_names_are_told_by_their_count(run):
    assert bands_of(run["SCENE"])["B11"] == 10
    assert bands_of(run["MASK"]) == {}


@pytest.mark.slow
def test_accra(tmp_path, engine_python):
    """The long floating lines stand on the map of the real scene."""
    folder = data_folder("accra_l2a")
    before = sorted(folder.iterdir())
    outputs = {"mask": tmp_path / "mask.tif", "detections": tmp_path / "detections.gpkg"}
    options = [part for name, path in outputs.items() for part in (f"--{name}", str(path))]
    command = [str(engine_python), "-m", "engine", "detect", "--product", str(folder), *options]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    _, feedback = report({name.upper(): str(path) for name, path in outputs.items()}, tmp_path)
    assert not any("The scene is not at hand" in line for line in feedback.lines)
    assert sorted(folder.iterdir()) == before
    words = re.sub(r"\s+", " ", text_of(tmp_path / "report.pdf"))
    assert "image taken 2018-10-31" in words
    assert "precision 0." in words
    picture = picture_of(tmp_path / "report.pdf", dpi=150)
    # Other floating matter, in the map's own green: below the coast, where the lines are.
    height = picture.shape[0]
    lines = picture[int(0.28 * height) : int(0.52 * height)]
    assert near(lines, (0x00, 0x6B, 0x4E), 90) > 300
    # On the scene itself in pale grey: the map's water is neither white nor one shade.
    water = lines[:, picture.shape[1] // 4 : -picture.shape[1] // 4]
    assert 150 < np.median(water) < 250
    assert len(np.unique(water.reshape(-1, 3), axis=0)) > 20
    assert Path(tmp_path / "report.html").stat().st_size > 100_000
