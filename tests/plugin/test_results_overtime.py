"""Several dates of one place: table, plot, groups that persist, and QGIS's temporal controller."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from osgeo import gdal
from qgis import processing
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsDateTimeRange,
    QgsGeometry,
    QgsProcessingContext,
    QgsProcessingException,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QDate, QDateTime, Qt, QTime

from debris_qgis.results.fields import decide, ensure_fields
from debris_qgis.results.persistence import Patch, group
from debris_qgis.results.provenance import of_raster
from debris_qgis.results.store import DetectionStore

from .conftest import RecordingFeedback
from .results_data import clouded, write_raster, write_run

# A patch that stays, one that drifts a little, one that comes once, and one far away that is rejected.
DATES = {
    "S2A_20190104T073619": ((10, 12, 4, 2, 0.8, 0.9), (60, 30, 2, 2, 0.5, 0.6)),
    "S2B_20190109T073619": ((11, 13, 4, 2, 0.7, 0.8), (30, 60, 3, 1, 0.6, 0.7), (80, 75, 5, 5, 0.9, 0.95)),
    "S2A_20190124T073619": ((10, 11, 2, 2, 0.6, 0.7), (66, 30, 2, 2, 0.5, 0.6)),
}


@pytest.fixture
def runs(tmp_path):
    made = {}
    for scene, boxes in DATES.items():
        folder = tmp_path / scene
        folder.mkdir()
        made[scene] = write_run(folder, boxes=boxes, tags={"SCENE": scene})
    second = QgsVectorLayer(made["S2B_20190109T073619"]["DETECTIONS"], "d", "ogr")
    ensure_fields(second)
    decide(second, 3, "rejected")
    return made


def over_time(runs, out, **values):
    feedback = RecordingFeedback()
    parameters = {
        # Not in the order of time.
        "DETECTIONS": [run["DETECTIONS"] for run in reversed(runs.values())],
        "MASKS": [run["MASK"] for run in runs.values()],
        "REACH": 30,
        "OUTPUT": str(out / "all.gpkg"),
        "GROUPS": str(out / "groups.gpkg"),
        "TABLE": str(out / "table.csv"),
        "HTML": str(out / "page.html"),
        **values,
    }
    return processing.run("debris:overtime", parameters, feedback=feedback), feedback


def rows_of(path):
    layer = QgsVectorLayer(str(path), "layer", "ogr")
    return [dict(zip(feature.fields().names(), feature.attributes(), strict=True)) for feature in layer.getFeatures()]


def test_the_table_has_one_row_a_date_in_order(runs, out):
    result, _ = over_time(runs, out)
    with open(result["TABLE"], encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["time_begin"] for row in rows] == [
        "2019-01-04T07:36:19Z", "2019-01-09T07:36:19Z", "2019-01-24T07:36:19Z",
    ]  # fmt: skip
    # The rejected one, 25 pixels large, does not count.
    assert [int(row["detections"]) for row in rows] == [2, 2, 2]
    assert [float(row["debris_m2"]) for row in rows] == [1200, 1100, 800]
    assert [float(row["observed_m2"]) for row in rows] == [849_000] * 3
    assert float(rows[0]["debris_per_observed"]) == pytest.approx(1200 / 849_000, rel=1e-5)
    assert result["DATES"] == 3


def test_observed_areas_are_those_of_the_crs_that_a_mask_was_given_in_qgis(runs, out, tmp_path):
    scene, run = next(iter(runs.items()))
    array = gdal.Open(run["MASK"]).ReadAsArray()
    bare = QgsRasterLayer(write_raster(tmp_path / "bare.tif", array, 255, {"SCENE": scene}, epsg=None), "bare")
    bare.setCrs(QgsCoordinateReferenceSystem("EPSG:32630"))
    result, _ = over_time({scene: run}, out, MASKS=[bare])
    with open(result["TABLE"], encoding="utf-8", newline="") as stream:
        assert [float(row["observed_m2"]) for row in csv.DictReader(stream)] == [849_000]


def test_detections_are_grouped_where_they_persist(runs, out):
    result, _ = over_time(runs, out)
    assert result["LASTING"] == 1
    (lasting,) = rows_of(result["GROUPS"])
    assert (lasting["n_dates"], lasting["detections"]) == (3, 3)
    assert lasting["dates"] == "2019-01-04, 2019-01-09, 2019-01-24"
    assert lasting["time_end"] == "2019-01-24T07:36:19Z"
    every = rows_of(result["OUTPUT"])
    assert len(every) == 6
    assert sorted(row["n_dates"] for row in every) == [1, 1, 1, 3, 3, 3]
    # With a longer reach what has drifted 40 m is a group as well.
    assert over_time(runs, out, REACH=45)[0]["LASTING"] == 2


def test_the_plot_shows_every_date(runs, out):
    result, _ = over_time(runs, out)
    page = Path(result["HTML"]).read_text(encoding="utf-8")
    picture = page[page.index("<svg") : page.index("</svg>") + 6]
    bars = [element for element in ElementTree.fromstring(picture).iter() if element.tag == "rect"]
    heights = [float(bar.get("height")) for bar in bars]
    assert len(bars) == 3
    assert heights[0] > heights[1] > heights[2] > 0
    assert heights[2] / heights[0] == pytest.approx(800 / 1200, rel=0.01)
    # The third date is fifteen days after the second, which is five after the first.
    places = [float(bar.get("x")) for bar in bars]
    assert (places[2] - places[1]) / (places[1] - places[0]) == pytest.approx(3, rel=0.01)
    assert "1 place(s) have detections on more than one date." in page
    assert "nobody has seen it at sea" in page
    assert "modified Copernicus Sentinel data 2019" in page


def test_the_temporal_controller_steps_through_the_dates(runs, out, project):
    context = QgsProcessingContext()
    context.setProject(project)
    parameters = {"DETECTIONS": [run["DETECTIONS"] for run in runs.values()], "OUTPUT": "TEMPORARY_OUTPUT"}
    processing.runAndLoadResults("debris:overtime", parameters, feedback=RecordingFeedback(), context=context)
    (layer,) = project.mapLayersByName("Detections of all dates")
    temporal = layer.temporalProperties()
    assert temporal.isActive()

    def day(number):
        return QDateTime(QDate(2019, 1, number), QTime(0, 0), Qt.TimeSpec.UTC)

    counts = []
    for number in (4, 9, 15, 24):
        span = QgsDateTimeRange(day(number), day(number + 1), True, False)
        scope = temporal.createFilterString(_context(layer, span), span)
        counts.append(sum(1 for _ in layer.getFeatures(scope)))
    assert counts == [2, 2, 0, 2]
    context.temporaryLayerStore().removeAllMapLayers()


def _context(layer, span):
    from qgis.core import QgsVectorLayerTemporalContext

    context = QgsVectorLayerTemporalContext()
    context.setLayer(layer)
    return context


def test_what_has_no_date_says_what_to_do(tmp_path, out):
    folder = tmp_path / "undated"
    folder.mkdir()
    run = write_run(folder, tags={"SCENE": "somewhere"})
    with pytest.raises(QgsProcessingException, match="rename the layer so that its name holds the date, as 2018-10-31"):
        over_time({"somewhere": run}, out)
    assert list(out.iterdir()) == []


def test_a_day_stays_a_day_once_something_was_decided(tmp_path, out):
    """Where the time of day is not known, a decision writes begin and end of the day, and both are read."""
    scene = "S2_24-1-19_36JUN"
    run = write_run(tmp_path, tags={"SCENE": scene})
    layer = QgsVectorLayer(run["DETECTIONS"], "d", "ogr")
    store = DetectionStore(layer, of_raster(run["MASK"]))
    store.decide(0, "accepted")
    result, _ = over_time({scene: run}, out)
    with open(result["TABLE"], encoding="utf-8", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["time_begin"], row["time_end"]) == ("2019-01-24T00:00:00Z", "2019-01-24T23:59:59Z")


def test_a_practice_scene_is_credited_to_no_satellite(tmp_path, out):
    scene = "practice_20190104T073619"
    result, _ = over_time({scene: write_run(tmp_path, tags={"SCENE": scene, "PRACTICE_SEED": "7"})}, out)
    page = Path(result["HTML"]).read_text(encoding="utf-8")
    assert "<footer>Practice scene, no satellite image.</footer>" in page


def test_masks_are_not_needed(runs, out):
    result, _ = over_time(runs, out, MASKS=None)
    with open(result["TABLE"], encoding="utf-8", newline="") as stream:
        assert [row["observed_m2"] for row in csv.DictReader(stream)] == ["", "", ""]
    page = Path(result["HTML"]).read_text(encoding="utf-8")
    assert "unknown" in page
    assert page.count("; what was observed is not known</title>") == 3


CLEAN = "S2B_20190119T073619"


def with_a_clean_date(runs, folder, name=""):
    """The same dates, and one more on which nothing was found."""
    folder.mkdir(parents=True, exist_ok=True)
    return {**runs, CLEAN: write_run(folder, boxes=(), name=name, tags={"SCENE": CLEAN})}


def table_of(result):
    with open(result["TABLE"], encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_date_on_which_nothing_was_found_is_a_date(runs, out, tmp_path):
    """An empty table tells neither scene nor time; the mask beside it does."""
    result, _ = over_time(with_a_clean_date(runs, tmp_path / "clean"), out)
    rows = table_of(result)
    assert [row["time_begin"][8:10] for row in rows] == ["04", "09", "19", "24"]
    clean = rows[2]
    assert (clean["scene"], clean["detections"], float(clean["debris_m2"])) == (CLEAN, "0", 0)
    assert (float(clean["observed_m2"]), float(clean["debris_per_observed"])) == (849_000, 0)
    assert "2019-01-19" in Path(result["HTML"]).read_text(encoding="utf-8")


def test_a_date_on_which_nothing_was_observed_is_not_a_clean_one(runs, out, tmp_path):
    dates = with_a_clean_date(runs, tmp_path / "clouded")
    result, feedback = over_time({**dates, CLEAN: clouded(dates[CLEAN], {"SCENE": CLEAN})}, out)
    row = table_of(result)[2]
    assert [row[name] for name in ("scene", "detections", "debris_m2", "observed")] == [CLEAN, "", "", "no"]
    assert [each["observed"] for each in table_of(result)] == ["yes", "yes", "no", "yes"]
    page = Path(result["HTML"]).read_text(encoding="utf-8")
    assert page.count("<rect") == 3
    assert "<title>2019-01-19: not observed</title>" in page
    assert f"<td>{CLEAN}</td><td>not observed</td><td>unknown</td><td>nothing</td>" in page
    assert any("2019-01-19" in line and "not observed" in line for line in feedback.lines)


@pytest.mark.parametrize("way", ["name", "the only one left", "order"])
def test_the_mask_of_an_empty_table_is_told_by(way, runs, out, tmp_path):
    made = with_a_clean_date(runs, tmp_path / "clean")
    second = "S2B_20190129T073619"
    masks, tables = tmp_path / "masks", tmp_path / "tables"
    masks.mkdir()
    tables.mkdir()
    if way != "the only one left":
        folder = tmp_path / "second"
        folder.mkdir()
        made[second] = write_run(folder, boxes=(), tags={"SCENE": second})
    for number, scene in enumerate([CLEAN, second]):
        if scene in made:
            names = (f"{number}_mask", f"{number}_detections") if way == "name" else (f"a{number}", f"{number}b")
            made[scene]["MASK"] = str(Path(made[scene]["MASK"]).rename(masks / f"{names[0]}.tif"))
            made[scene]["DETECTIONS"] = str(Path(made[scene]["DETECTIONS"]).rename(tables / f"{names[1]}.gpkg"))
    # Two masks of one scene, not in order, must not lead astray where the names tell.
    order = reversed(made) if way == "name" else made
    result, feedback = over_time(
        made,
        out,
        DETECTIONS=[made[scene]["DETECTIONS"] for scene in order],
        MASKS=[run["MASK"] for run in made.values()],
    )
    rows = table_of(result)
    assert [row["scene"] for row in rows if row["detections"] == "0"] == [s for s in (CLEAN, second) if s in made]
    assert all(float(row["observed_m2"]) == 849_000 for row in rows)


def test_what_lies_in_one_group_belongs_together(runs, out, tmp_path, project):
    made = with_a_clean_date(runs, tmp_path / "a", "x")
    second = "S2B_20190129T073619"
    (tmp_path / "b").mkdir()
    made[second] = write_run(tmp_path / "b", boxes=(), name="y", tags={"SCENE": second})
    layers = {"DETECTIONS": [], "MASKS": []}
    (tmp_path / "moved").mkdir()
    for number, (scene, run) in enumerate(made.items()):
        group = project.layerTreeRoot().addGroup(scene)
        # Nothing in names and folders tells.
        path = Path(run["DETECTIONS"]).rename(tmp_path / "moved" / f"{number}.gpkg")
        for kind, layer in (
            ("DETECTIONS", QgsVectorLayer(str(path), "Detections", "ogr")),
            ("MASKS", QgsRasterLayer(run["MASK"], "Mask")),
        ):
            project.addMapLayer(layer, False)
            group.addLayer(layer)
            layers[kind].insert(0 if kind == "MASKS" else number, layer.id())
    context = QgsProcessingContext()
    context.setProject(project)
    parameters = {**layers, "OUTPUT": str(out / "all.gpkg"), "TABLE": str(out / "table.csv")}
    result = processing.run("debris:overtime", parameters, feedback=RecordingFeedback(), context=context)
    assert [row["scene"] for row in table_of(result) if row["detections"] == "0"] == [CLEAN, second]


def test_an_empty_table_that_may_belong_to_several_masks_says_so(runs, out, tmp_path):
    made = with_a_clean_date(runs, tmp_path / "clean")
    (tmp_path / "other").mkdir()
    other = write_run(tmp_path / "other", boxes=(), tags={"SCENE": "S2A_20190203T073619"})
    undated = str(Path(made[CLEAN]["DETECTIONS"]).rename(tmp_path / "empty.gpkg"))
    masks = [run["MASK"] for run in made.values()] + [other["MASK"]]
    tables = [run["DETECTIONS"] for run in runs.values()]
    with pytest.raises(QgsProcessingException, match="empty holds no detections, .* not clear: give one mask for each"):
        over_time(made, out, DETECTIONS=[*tables, undated], MASKS=masks)
    assert list(out.iterdir()) == []
    # With a date in its name it goes on: by the mask of that day, or without one, which is said.
    dated = str(Path(undated).rename(tmp_path / "seen_2019-01-19.gpkg"))
    result, _ = over_time(made, out, DETECTIONS=[*tables, dated], MASKS=masks)
    assert table_of(result)[2]["observed_m2"] == "849000.0"
    strange = str(Path(dated).rename(tmp_path / "seen_2019-01-20.gpkg"))
    result, feedback = over_time(made, out, DETECTIONS=[*tables, strange], MASKS=masks)
    assert table_of(result)[2]["observed_m2"] == ""
    assert any("seen_2019-01-20 holds no detections" in line for line in feedback.lines)


@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:4326", "EPSG:3857", "EPSG:2157"])
@pytest.mark.parametrize("across", [True, False])
def test_reach_is_in_metres_in_any_crs(crs, across):
    """At 58° north a degree of longitude is half as long as one of latitude, and Mercator's metre half a metre."""
    shapes = [QgsRectangle(x, y, x + 10, y + 10) for x, y in ((500_000, 6_430_000), (500_160, 6_430_000))]
    if not across:
        shapes[1] = QgsRectangle(500_000, 6_430_160, 500_010, 6_430_170)
    # Irish Transverse Mercator is out of its area there: its lengths are not those on the ground either.
    system = QgsCoordinateReferenceSystem(crs)
    utm = QgsCoordinateReferenceSystem("EPSG:32633")
    transform = QgsCoordinateTransform(utm, system, QgsCoordinateTransformContext())
    patches = []
    for number, shape in enumerate(shapes):
        geometry = QgsGeometry.fromRect(shape)
        geometry.transform(transform)
        patches.append(Patch(geometry, number, 1, 100.0, 0.9))
    assert [len(group(patches, reach, system)) for reach in (140, 145, 155, 200)] == [2, 2, 1, 1]
    assert [patch.group for patch in patches] == [1, 1]


def test_what_touches_is_one_group_whatever_the_reach():
    degrees = QgsCoordinateReferenceSystem("EPSG:4326")
    boxes = [QgsRectangle(15, 58, 15.001, 58.001), QgsRectangle(15.001, 58.0003, 15.002, 58.0006)]
    patches = [Patch(QgsGeometry.fromRect(box), number, 1, 100.0, 0.9) for number, box in enumerate(boxes)]
    assert len(group(patches, 0, degrees)) == 1


def test_the_date_line_does_not_part_what_is_near():
    utm = QgsCoordinateReferenceSystem("EPSG:32601")
    degrees = QgsCoordinateReferenceSystem("EPSG:4326")
    # The date line is the western edge of zone 1: here at 166,021 m.
    patches = []
    for number, west in enumerate((165_930, 166_080)):
        geometry = QgsGeometry.fromRect(QgsRectangle(west, 0, west + 10, 10))
        geometry.transform(QgsCoordinateTransform(utm, degrees, QgsCoordinateTransformContext()))
        patches.append(Patch(geometry, number, 1, 100.0, 0.9))
    assert patches[0].geometry.boundingBox().center().x() > 179
    assert patches[1].geometry.boundingBox().center().x() < -179
    assert [len(group(patches, reach, degrees)) for reach in (130, 150)] == [2, 1]
