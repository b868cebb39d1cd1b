"""How results look: styles that stay with their files, clusters, theme, times, the style database."""

from __future__ import annotations

import shutil

import numpy as np
from osgeo import gdal
from qgis.core import (
    QgsDateTimeRange,
    QgsExpressionContext,
    QgsExpressionContextUtils,
    QgsMapRendererSequentialJob,
    QgsMapSettings,
    QgsRasterLayer,
    QgsRectangle,
    QgsStyle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QDate, QDateTime, QSize, Qt, QTime
from qgis.PyQt.QtGui import QImage

from debris_qgis.about import STYLES
from debris_qgis.gui.results_layers import RunLayers
from debris_qgis.presentation import (
    FLOATING_NAME,
    RAMPS,
    SYMBOLS,
    THEME,
    add_clusters,
    install_styles,
    present,
    update_theme,
)
from debris_qgis.results.fields import ensure_fields
from debris_qgis.results.period import parse
from debris_qgis.results.runs import KIND, runs_of

from .results_data import ORIGIN, PIXEL, TAGS, write_run
from .test_report import near


def layer_of(run, name, project=None):
    kind = QgsVectorLayer if name == "DETECTIONS" else QgsRasterLayer
    layer = kind(run[name], name.lower())
    layer.loadNamedStyle(str(STYLES / f"{name.lower()}.qml"))
    layer.setCustomProperty(KIND, name.lower())
    if project is not None:
        project.addMapLayer(layer)
    return layer


def drawn(layers, scale, centre=(ORIGIN[0] + 500, ORIGIN[1] - 500)):
    """A picture of 400 x 400 pixels at 1:scale, (rows, columns, RGB)."""
    settings = QgsMapSettings()
    settings.setLayers(layers)
    settings.setDestinationCrs(layers[0].crs())
    settings.setOutputSize(QSize(400, 400))
    settings.setOutputDpi(96)
    side = 400 / 96 * 0.0254 * scale
    settings.setExtent(
        QgsRectangle(centre[0] - side / 2, centre[1] - side / 2, centre[0] + side / 2, centre[1] + side / 2)
    )
    context = QgsExpressionContext()
    context.appendScopes(
        [QgsExpressionContextUtils.globalScope(), QgsExpressionContextUtils.mapSettingsScope(settings)]
    )
    settings.setExpressionContext(context)
    job = QgsMapRendererSequentialJob(settings)
    job.start()
    job.waitForFinished()
    picture = job.renderedImage().convertToFormat(QImage.Format.Format_RGB32)
    bits = picture.bits()
    bits.setsize(picture.sizeInBytes())
    return np.frombuffer(bits, np.uint8).reshape(400, 400, 4)[..., 2::-1].astype(int)


def inked(picture):
    return int((picture.sum(axis=2) < 740).sum())


def test_detections_are_graded_from_near_and_sized_by_area_from_afar(run):
    layer = layer_of(run, "DETECTIONS")
    assert layer.renderer().classAttribute() == "mean_prob"
    near = drawn([layer], 5_000)
    # Outlines alone: the inside of the largest detection, 4 x 2 pixels, is not drawn over.
    assert inked(near) > 50
    # At 1:200,000 a pixel of 10 m is a fifth of a pixel of the screen: circles stand in for it.
    far = drawn([layer], 200_000)
    assert inked(far) > 40
    without = layer.clone()
    renderer = without.renderer().clone()
    for number, entry in enumerate(without.renderer().ranges()):
        plain = entry.symbol().clone()
        while plain.symbolLayerCount() > 1:
            plain.deleteSymbolLayer(1)
        renderer.updateRangeSymbol(number, plain)
    without.setRenderer(renderer)
    assert inked(drawn([without], 200_000)) < inked(far) / 2


def test_many_detections_are_clustered_from_afar(tmp_path, project):
    boxes = tuple((10 + n % 8, 12 + n // 8, 1, 1, 0.5, 0.6) for n in range(60))
    layer = layer_of(write_run(tmp_path, boxes=boxes), "DETECTIONS", project)
    present(project, layer, "detections")
    (clusters,) = project.mapLayersByName("detections, clustered")
    assert clusters.featureCount() == 60
    assert clusters.renderer().type() == "pointCluster"
    names = [node.layer().name() for node in project.layerTreeRoot().findLayers()]
    assert names.index("detections, clustered") < names.index("detections")
    # One mark for all sixty, in the colour of clusters; nothing from near.
    mark = (np.abs(drawn([clusters], 300_000) - np.array((0xD5, 0x5E, 0x00))).sum(axis=2) < 40).sum()
    assert mark > 50
    assert inked(drawn([clusters], 20_000)) == 0
    # The slider's filter holds for clusters too.
    layer.setSubsetString('"id" <= 10')
    assert sum(1 for _ in clusters.getFeatures()) == 10


def test_a_few_detections_are_not_clustered(run, project):
    present(project, layer_of(run, "DETECTIONS", project), "detections")
    assert len(project.mapLayers()) == 1


def test_styles_move_with_their_files(run, tmp_path):
    """A .qml beside a file is found by QGIS itself, wherever the two are taken."""
    there = tmp_path / "elsewhere"
    there.mkdir()
    for name in ("MASK", "PROBABILITY", "DETECTIONS"):
        moved = shutil.copy(run[name], there)
        shutil.copy(STYLES / f"{name.lower()}.qml", str(moved).rsplit(".", 1)[0] + ".qml")
        kind = QgsVectorLayer if name == "DETECTIONS" else QgsRasterLayer
        layer = kind(moved, "moved")
        expected = layer_of(run, name)
        assert layer.renderer().type() == expected.renderer().type()
        assert str(tmp_path) not in (STYLES / f"{name.lower()}.qml").read_text(encoding="utf-8")
    assert QgsRasterLayer(str(there / "mask.tif"), "moved").renderer().type() == "paletted"


def test_all_that_floats_has_a_layer_of_its_own(run, project):
    """Where the probability of debris is near 0, the lines of other floating matter are seen all the same."""
    one = gdal.Open(run["PROBABILITY"])
    two = gdal.GetDriverByName("GTiff").Create(
        run["PROBABILITY"].replace(".tif", "_2.tif"), one.RasterXSize, one.RasterYSize, 2, gdal.GDT_Float32
    )
    two.SetGeoTransform(one.GetGeoTransform())
    two.SetProjection(one.GetProjection())
    two.SetMetadata(one.GetMetadata())
    lines = np.zeros((one.RasterYSize, one.RasterXSize), dtype=np.float32)
    two.GetRasterBand(1).WriteArray(lines)
    lines[40:60] = 0.9
    two.GetRasterBand(2).WriteArray(lines)
    two = None
    probability = layer_of({**run, "PROBABILITY": run["PROBABILITY"].replace(".tif", "_2.tif")}, "PROBABILITY", project)
    present(project, probability, "probability")
    (floating,) = [layer for layer in project.mapLayers().values() if layer.customProperty(KIND) == "floating"]
    order = [layer.layer().customProperty(KIND) for layer in project.layerTreeRoot().findLayers()]
    assert order.index("floating") == order.index("probability") + 1
    assert floating.name() == FLOATING_NAME
    assert not near(drawn([probability], 8000), (0x00, 0x9E, 0x73), 60)
    assert near(drawn([floating], 8000), (0x00, 0x9E, 0x73), 60) > 500
    assert floating.id() in project.mapThemeCollection().mapThemeVisibleLayerIds(THEME)
    assert floating.temporalProperties().isActive()
    # It is no run's probability by itself, and gives way to the panel's pictures as the run's own layers do.
    layer_of(run, "DETECTIONS", project)
    (found,) = runs_of(project)
    assert found.probability.id() == probability.id()
    for view, visible in (("colour", False), ("results", True)):
        assert RunLayers(found, project).show_view(view)
        assert project.layerTreeRoot().findLayer(floating.id()).isVisible() is visible
    # A probability with one band has no such layer.
    present(project, layer_of(run, "PROBABILITY", project), "probability")
    assert sum(layer.customProperty(KIND) == "floating" for layer in project.mapLayers().values()) == 1


def test_the_theme_shows_every_result(run, project):
    layers = [layer_of(run, name, project) for name in ("PROBABILITY", "MASK", "DETECTIONS")]
    other = QgsVectorLayer("Point", "something else", "memory")
    project.addMapLayer(other)
    for layer in layers:
        present(project, layer, layer.customProperty(KIND))
    themes = project.mapThemeCollection()
    assert set(themes.mapThemeVisibleLayerIds(THEME)) == {layer.id() for layer in layers}
    project.removeMapLayer(layers[0].id())
    update_theme(project)
    assert set(themes.mapThemeVisibleLayerIds(THEME)) == {layer.id() for layer in layers[1:]}


def test_the_theme_is_in_the_saved_project(run, project, tmp_path):
    present(project, layer_of(run, "MASK", project), "mask")
    assert project.write(str(tmp_path / "p.qgz"))
    project.clear()
    assert project.read(str(tmp_path / "p.qgz"))
    assert project.mapThemeCollection().hasMapTheme(THEME)


def test_the_temporal_controller_works_on_the_results(run, project):
    detections, mask = layer_of(run, "DETECTIONS", project), layer_of(run, "MASK", project)
    ensure_fields(detections, parse(TAGS["SCENE"]))
    present(project, detections, "detections")
    present(project, mask, "mask")

    def at(hour):
        return QDateTime(QDate(2019, 4, 24), QTime(hour, 0), Qt.TimeSpec.UTC)

    morning, evening = QgsDateTimeRange(at(7), at(8)), QgsDateTimeRange(at(18), at(19))
    assert detections.temporalProperties().isActive()
    assert detections.temporalProperties().isVisibleInTemporalRange(morning)
    assert mask.temporalProperties().isVisibleInTemporalRange(morning)
    assert not mask.temporalProperties().isVisibleInTemporalRange(evening)
    centre = (ORIGIN[0] + 12 * PIXEL, ORIGIN[1] - 13 * PIXEL)

    def inked_at(span):
        settings = QgsMapSettings()
        settings.setLayers([detections])
        settings.setDestinationCrs(detections.crs())
        settings.setOutputSize(QSize(200, 200))
        settings.setExtent(QgsRectangle(centre[0] - 100, centre[1] - 100, centre[0] + 100, centre[1] + 100))
        settings.setIsTemporal(True)
        settings.setTemporalRange(span)
        job = QgsMapRendererSequentialJob(settings)
        job.start()
        job.waitForFinished()
        picture = job.renderedImage().convertToFormat(QImage.Format.Format_RGB32)
        bits = picture.bits()
        bits.setsize(picture.sizeInBytes())
        return (np.frombuffer(bits, np.uint8).reshape(200, 200, 4)[..., :3].astype(int).sum(axis=2) < 740).sum()

    assert inked_at(morning) > 20
    assert inked_at(evening) == 0


def test_the_style_database_gets_ramps_and_symbols_once():
    style = QgsStyle()
    assert style.createMemoryDatabase()
    assert install_styles(style) == len(RAMPS) + len(SYMBOLS)
    assert install_styles(style) == 0
    assert set(RAMPS) <= set(style.colorRampNames())
    assert set(SYMBOLS) <= set(style.symbolNames())
    assert "Marine debris" in style.tags()


def test_clusters_follow_the_layer_into_a_saved_project(tmp_path, project):
    boxes = tuple((10 + 2 * (n % 8), 12 + 2 * (n // 8), 1, 1, 0.5, 0.6) for n in range(60))
    layer = layer_of(write_run(tmp_path, boxes=boxes), "DETECTIONS", project)
    add_clusters(project, layer)
    assert project.write(str(tmp_path / "p.qgz"))
    project.clear()
    assert project.read(str(tmp_path / "p.qgz"))
    (clusters,) = project.mapLayersByName("detections, clustered")
    assert clusters.isValid()
    assert clusters.featureCount() == 60
