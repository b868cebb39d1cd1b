"""The training dialog, driven as a person does, with the real engine: start, watch, close, stop, resume, use, quit."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from qgis.core import QgsApplication, QgsCoordinateReferenceSystem, QgsProject, QgsRasterLayer, QgsTask
from qgis.gui import QgsMessageBar
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtGui import QColor, QPalette
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QMainWindow, QMessageBox

from debris_qgis.gui import training_curves
from debris_qgis.gui.training_desk import TrainingDesk
from debris_qgis.gui.training_dialog import TrainingDialog
from debris_qgis.gui.training_progress import duration
from debris_qgis.gui.training_run import Curves, TrainingRun, read_curves

from .test_detect import _engines, left
from .training_data import TILE, class_raster, pixels, polygons

MANY = 5000


def wait(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        QgsApplication.processEvents()
        time.sleep(0.01)
    assert condition()


class Interface:
    """What of QGIS's interface the desk asks for: a real window, a real message bar."""

    def __init__(self):
        self.window = QMainWindow()
        self.bar = QgsMessageBar(self.window)

    def mainWindow(self):  # noqa: N802
        return self.window

    def messageBar(self):  # noqa: N802
        return self.bar


@pytest.fixture
def interface(qgis_app):
    return Interface()


@pytest.fixture
def dialog(interface, project, make_raster):
    """The dialog over a project with a raster and polygons in another CRS."""
    layers = [QgsRasterLayer(make_raster(pixels()), "my scene"), polygons()]
    project.addMapLayers(layers)
    desk = TrainingDesk(interface)
    shown = TrainingDialog(desk, interface.window)
    shown.show()
    yield shown
    desk.close_down()
    wait(lambda: not desk.running)
    shown.close_down()
    shown.deleteLater()
    QgsApplication.processEvents()


def click(button):
    assert button.isEnabled()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def fill(dialog, out, epochs=MANY):
    """Choose the project's layers and quick settings."""
    source, settings = dialog.source, dialog.settings
    source.source.setCurrentIndex(source.source.findData("rasters"))
    source.rasters.item(0, 0).setCheckState(Qt.CheckState.Checked)
    source.labels.setLayer(next(iter(QgsProject.instance().mapLayersByName("my labels"))))
    source.field.setField("class")
    source.share.setValue(30)
    settings.choose_width(4)
    for name, value in {"EPOCHS": epochs, "BATCH_SIZE": 8, "WARMUP_EPOCHS": 0, "TILE_SIZE": TILE}.items():
        settings.numbers[name].setValue(value)
    settings.numbers["PATIENCE"].setValue(MANY)
    settings.device.setCurrentText("cpu")
    settings.model.setFilePath(str(out / "mine.safetensors"))


def epochs_shown(dialog):
    """Epochs on the screen: of the lines that are drawn, not of the file."""
    return len(dialog.progress.curves.axes[1].lines[0].get_xdata()) if dialog.progress.curves.axes[1].lines else 0


def test_the_whole_way(dialog, interface, out):
    """Counts before the start; curves that move; closed and open again; stop keeps the best; Detect gets the model."""
    fill(dialog, out)
    click(dialog.look)
    wait(lambda: dialog.table.table.rowCount() == 2)
    assert dialog.table.table.item(0, 0).text() == "Marine Debris"
    assert int(dialog.table.table.item(0, 1).text().replace(",", "")) % 36 == 0
    assert "Split by blocks within" in dialog.table.text.text()

    click(dialog.start)
    assert dialog.tabs.currentWidget() is dialog.progress
    assert not dialog.start.isEnabled()
    wait(lambda: epochs_shown(dialog) >= 1)
    before = epochs_shown(dialog)
    dialog.close()
    assert not dialog.isVisible()
    wait(lambda: len(read_curves(dialog.desk.run.folder)) > before + 1)
    assert dialog.desk.running
    dialog.show()
    wait(lambda: epochs_shown(dialog) > before)
    assert "time left" in dialog.progress.head.text()
    assert dialog.progress.pictures.count >= 3
    _save(dialog, "training")

    click(dialog.stop)
    assert not dialog.stop.isEnabled()
    wait(lambda: not dialog.desk.running)
    assert dialog.desk.run.result["stopped"] is True
    assert (out / "mine.safetensors").is_file()
    assert "best model so far was kept" in dialog.progress.head.text()
    assert "mine.safetensors is ready" in interface.bar.currentItem().text()
    handed = []
    dialog.use_in_detect.connect(handed.append)
    click(dialog.detect)
    assert handed == [str(out / "mine.safetensors")]
    _save(dialog, "stopped")

    done = len(read_curves(dialog.desk.run.folder))
    click(dialog.resume)
    wait(lambda: len(read_curves(dialog.desk.run.folder)) > done)
    epochs = read_curves(dialog.desk.run.folder).epoch
    assert epochs == list(range(1, len(epochs) + 1))
    began = time.monotonic()
    click(dialog.cancel)
    wait(lambda: not dialog.desk.running)
    assert time.monotonic() - began < 3
    assert dialog.resume.isEnabled()
    assert "Resume goes on" in dialog.progress.text.text()
    # The model that the stop left is there still.
    assert "mine.safetensors is the model that was there before" in dialog.progress.head.text()
    assert dialog.detect.isEnabled()
    assert _engines() == []


def _save(dialog, name):
    """Pictures of the dialog, where somebody wants to look at them."""
    folder = os.environ.get("DEBRIS_SCREENSHOTS")
    QgsApplication.processEvents()
    if folder:
        assert dialog.grab().save(str(Path(folder) / f"dialog_{name}.png"))


@pytest.mark.slow
def test_another_qgis_goes_on_with_it(dialog, interface, out):
    """All that is needed lies in the run folder, also labels that only the first QGIS had in memory."""
    fill(dialog, out)
    click(dialog.start)
    wait(lambda: (dialog.desk.run.folder / "state.json").is_file())
    dialog.desk.run.cancel()
    wait(lambda: not dialog.desk.running)
    assert left(out) == ["mine.training"]
    QgsProject.instance().clear()
    done = len(read_curves(out / "mine.training"))
    second = TrainingDialog(TrainingDesk(interface), interface.window)
    assert not second.resume.isEnabled()
    second.settings.model.setFilePath(str(out / "mine.safetensors"))
    second.show()
    click(second.resume)
    wait(lambda: len(read_curves(second.desk.run.folder)) > done)
    click(second.stop)
    wait(lambda: not second.desk.running)
    assert left(out) == ["mine.csv", "mine.html", "mine.safetensors", "mine.training"]
    second.close_down()
    second.deleteLater()


def _answer(text, seen):
    """Press the button with this text in the question that comes up."""

    def press():
        box = QApplication.activeModalWidget()
        if not isinstance(box, QMessageBox):
            QTimer.singleShot(50, press)
            return
        seen.append(box.text())
        next(button for button in box.buttons() if text in button.text().replace("&", "")).click()

    QTimer.singleShot(50, press)


def test_quitting_asks(dialog, out):
    """QGIS asks before it quits over active tasks but those that say otherwise, and cancels them after a Yes."""
    fill(dialog, out)
    click(dialog.start)
    wait(lambda: dialog.desk.run.lines)
    (task,) = QgsApplication.taskManager().activeTasks()
    assert not task.flags() & QgsTask.Flag.CancelWithoutPrompt
    assert task.description() == "Training the model mine (if cancelled, it can be resumed)"
    began = time.monotonic()
    QgsApplication.taskManager().cancelAll()
    wait(lambda: not dialog.desk.running)
    assert time.monotonic() - began < 4
    assert "Cancelled" in dialog.progress.head.text()
    assert QgsApplication.taskManager().countActiveTasks() == 0
    assert _engines() == []


def test_what_is_missing_is_said(dialog, out):
    seen = []
    _answer("OK", seen)
    click(dialog.start)
    assert seen == ["Choose the model file to write."]
    dialog.settings.model.setFilePath(str(out / "mine.safetensors"))
    dialog.source.source.setCurrentIndex(2)
    _answer("OK", seen)
    click(dialog.start)
    assert "Tick the rasters" in seen[1]
    click(dialog.look)
    assert "Tick the rasters" in dialog.table.text.text()
    assert not dialog.desk.running


def test_class_rasters_stay_chosen_when_the_project_changes(dialog, project, make_raster):
    classes = QgsRasterLayer(make_raster(class_raster(), "classes.tif", names=None), "my classes")
    project.addMapLayer(classes)
    dialog.source.rasters.cellWidget(0, 1).setLayer(classes)
    project.addMapLayer(QgsRasterLayer(make_raster(pixels(1), "another.tif"), "another scene"))
    chosen = [dialog.source.rasters.cellWidget(row, 1).currentLayer() for row in range(2)]
    assert [dialog.source.rasters.item(row, 0).text() for row in range(2)] == ["another scene", "my scene"]
    assert chosen == [None, classes]
    project.removeMapLayer(classes.id())
    assert dialog.source.rasters.cellWidget(1, 1).currentLayer() is None


def test_a_crs_set_in_qgis_is_handed_over(dialog, project, make_raster, out):
    """The file says another; what the engine finds in the data is what lies there on the map."""
    other = QgsRasterLayer(make_raster(pixels(), name="other.tif", epsg=32631), "other scene")
    project.addMapLayer(other)
    fill(dialog, out)
    for row in range(dialog.source.rasters.rowCount()):
        dialog.source.rasters.item(row, 0).setCheckState(Qt.CheckState.Checked)
    assert (dialog.request()["crs"], dialog.request()["label_crs"]) == ([], [])
    other.setCrs(QgsCoordinateReferenceSystem("EPSG:32630"))
    request = dialog.request()
    place = request["rasters"].index(other.source())
    assert request["crs"][place] == "EPSG:32630"
    assert request["crs"][1 - place] == ""
    click(dialog.look)
    wait(lambda: dialog.table.table.rowCount() == 2)
    assert [dialog.table.table.item(0, column).text() for column in range(3)] == ["Marine Debris", "900", "900"]


def test_an_error_of_the_engine_is_shown(dialog, interface, out):
    fill(dialog, out)
    dialog.source.positive.setEditText("5")
    click(dialog.start)
    wait(lambda: not dialog.desk.running)
    assert "no pixel of the positive classes 5" in dialog.progress.head.text()
    assert "no pixel of the positive classes 5" in interface.bar.currentItem().text()
    assert dialog.start.isEnabled()
    assert not (out / "mine.safetensors").exists()


def test_without_matplotlib_it_says_so(qgis_app, monkeypatch):
    monkeypatch.setattr(training_curves, "FigureCanvasQTAgg", None)
    view = training_curves.CurvesView()
    view.show_curves(Curves())
    assert "python3-matplotlib" in view.layout().itemAt(0).widget().text()


def test_curves_take_the_theme(qgis_app):
    view = training_curves.CurvesView()
    palette = QPalette(view.palette())
    for role, colour in (("Window", "#202020"), ("WindowText", "#f0f0f0"), ("Base", "#101010")):
        palette.setColor(getattr(QPalette.ColorRole, role), QColor(colour))
    view.setPalette(palette)
    assert view.dark
    assert np.allclose(view.figure.get_facecolor()[:3], 0x20 / 255)
    assert view.axes[0].title.get_color() == "#f0f0f0"


def test_a_log_that_is_not_whole_is_read_as_far_as_it_goes(tmp_path):
    header = "epoch,train_loss,validation_loss,f1,iou,precision,recall,learning_rate,seconds,best\n"
    (tmp_path / "log.csv").write_text(
        f"{header}1,0.5,0.6,0.1,0.05,0.2,0.1,0.001,10,1\n2,0.4,,0.2,0.1,0.3,0.2,0.001,20,0\n3,0."
    )
    curves = read_curves(tmp_path)
    assert curves.epoch == [1, 2]
    assert curves.best == [0]
    assert np.isnan(curves.values["validation_loss"][1])
    run = TrainingRun({"model": str(tmp_path / "m.safetensors"), "epochs": 12})
    assert run.seconds_left(curves) == 150
    assert run.seconds_left(Curves()) is None
    assert duration(150) == "2 min"
    assert duration(7300) == "2 h 1 min"
