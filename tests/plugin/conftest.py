"""A real QGIS with the provider registered, the real engine, rasters made on the spot, a feedback that remembers."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal, osr
from qgis.core import QgsApplication, QgsLayerTreeModel, QgsProcessingFeedback, QgsProject
from qgis.gui import QgsLayerTreeView, QgsMapCanvas
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QApplication, QMainWindow

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
ENGINE_PYTHON = ROOT / ".venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
BANDS = "B1 B2 B3 B4 B5 B6 B7 B8 B8A B11 B12".split()
B8 = BANDS.index("B8")

sys.path.insert(0, str(ROOT))
gdal.UseExceptions()


class RecordingFeedback(QgsProcessingFeedback):
    """Keeps what it is told; cancels itself at the text `cancel_at`, or above `cancel_above` percent."""

    def __init__(self, cancel_at=None, cancel_above=None):
        super().__init__(False)
        self.lines, self.errors, self.cancel_at = [], [], cancel_at
        if cancel_above is not None:
            self.progressChanged.connect(lambda percent: self.cancel() if percent > cancel_above else None)

    def pushInfo(self, info):
        self.lines.append(info)

    def pushWarning(self, warning):
        self.lines.append(warning)

    def reportError(self, error, fatalError=False):
        self.errors.append(error)

    def setProgressText(self, text):
        self.lines.append(text)
        if self.cancel_at is not None and text.startswith(self.cancel_at):
            self.cancel()


@pytest.fixture
def feedback():
    return RecordingFeedback()


@pytest.fixture(autouse=True)
def engine_python(monkeypatch):
    """The engine's environment, as `make setup` makes it."""
    python = Path(os.environ.get("DEBRIS_ENGINE_PYTHON", ENGINE_PYTHON))
    if not python.is_file():
        pytest.skip(f"the engine's environment is not there ({python}): make setup")
    monkeypatch.setenv("DEBRIS_ENGINE_PYTHON", str(python))
    return python


@pytest.fixture(scope="session", autouse=True)
def provider(qgis_app, qgis_processing):
    """The provider, registered as QGIS would."""
    from debris_qgis.plugin import MarineDebrisPlugin

    plugin = MarineDebrisPlugin(None)
    plugin.initProcessing()
    yield QgsApplication.processingRegistry().providerById("debris")
    plugin.unload()
    # Exceptions keep their frames, and so contexts with layers: those must go before QGIS itself does.
    gc.collect()


@pytest.fixture(autouse=True)
def layer_tree_view(qgis_iface, monkeypatch):
    """A real view of layers: from QGIS 3.40 on Processing hands it to C++, which takes no stand-in."""
    view = QgsLayerTreeView()
    view.setModel(QgsLayerTreeModel(QgsProject.instance().layerTreeRoot()))
    monkeypatch.setattr(qgis_iface, "layerTreeView", lambda: view, raising=False)
    yield view
    view.setModel(None)


@pytest.fixture(scope="session")
def toy_model(tmp_path_factory):
    """A model file that says debris where B8 is above 0.1; the engine's own Python writes it."""
    path = tmp_path_factory.mktemp("model") / "toy.safetensors"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    script = ROOT / "tests" / "engine" / "toy_model.py"
    python = os.environ.get("DEBRIS_ENGINE_PYTHON", ENGINE_PYTHON)
    subprocess.run([str(python), str(script), str(path)], check=True, env=environment)
    return str(path)


@pytest.fixture
def make_raster(tmp_path):
    """Writes a GeoTIFF with GDAL: `make_raster(array, names=…, epsg=…)`."""

    def make(array, name="scene.tif", names=BANDS, epsg=32630, geotransform=(500000, 10, 0, 600000, 0, -10)):
        path = tmp_path / name
        kinds = {"float32": gdal.GDT_Float32, "uint16": gdal.GDT_UInt16, "uint8": gdal.GDT_Byte}
        count, height, width = array.shape
        dataset = gdal.GetDriverByName("GTiff").Create(str(path), width, height, count, kinds[array.dtype.name])
        dataset.SetGeoTransform(geotransform)
        if epsg:
            system = osr.SpatialReference()
            system.ImportFromEPSG(epsg)
            dataset.SetProjection(system.ExportToWkt())
        for number in range(count):
            band = dataset.GetRasterBand(number + 1)
            band.WriteArray(array[number])
            if names:
                band.SetDescription(names[number])
        dataset.FlushCache()
        return str(path)

    return make


@pytest.fixture
def water():
    return lambda height, width: np.full((11, height, width), 0.02, dtype=np.float32)


@pytest.fixture
def scene(make_raster, water):
    """40 x 60 pixels of water with a line of five debris pixels, a lone one, and two that touch at a corner."""
    array = water(40, 60)
    array[B8, 10, 10:15] = 0.2
    array[B8, 30, 50] = 0.15
    array[B8, 20, 30] = array[B8, 21, 31] = 0.25
    return make_raster(array)


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
def project():
    instance = QgsProject.instance()
    instance.clear()
    yield instance
    instance.clear()


@pytest.fixture
def window(qgis_app, project):
    """A window with a map, which lets go of the panels that were opened in it."""
    window = QMainWindow()
    canvas = QgsMapCanvas(window)
    window.setCentralWidget(canvas)
    window.resize(1300, 900)
    window.canvas, window.panels = canvas, []
    yield window
    for panel in window.panels:
        panel.close_down()
    # Layers go with the project, so nothing may still be drawing them.
    canvas.stopRendering()
    canvas.setLayers([])
    window.close()
    window.deleteLater()
    QgsApplication.processEvents()


@pytest.fixture
def run(tmp_path):
    """The files of one run, by the names of its outputs, in a folder of their own."""
    from .results_data import write_run

    folder = tmp_path / "run"
    folder.mkdir()
    return write_run(folder)


@pytest.fixture
def decided(run):
    """The same run with two decisions, one of them with a long note in several scripts."""
    from qgis.core import QgsVectorLayer

    from debris_qgis.results.fields import decide, ensure_fields
    from debris_qgis.results.period import parse

    from .export_runner import NOTE
    from .results_data import TAGS

    layer = QgsVectorLayer(run["DETECTIONS"], "detections", "ogr")
    ensure_fields(layer, parse(TAGS["SCENE"]))
    decide(layer, 1, "accepted", NOTE)
    decide(layer, 2, "rejected")
    return run


@pytest.fixture
def open_panel(window, project):
    """Opens the results panel in the window; once what there is of the run's rasters was read."""

    def make():
        from debris_qgis.gui.results_panel import ResultsPanel

        from .panel_driver import wait

        panel = ResultsPanel(window.canvas, window, project)
        window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, panel)
        window.panels.append(panel)
        window.show()
        # Shortcuts work in the active window only, and under Xvfb there is nobody else to make it so.
        QApplication.setActiveWindow(window)
        if panel.run is not None:
            window.canvas.setDestinationCrs(panel.run.detections.crs())
        if panel.run is not None and panel.run.mask is not None:
            wait(lambda: panel.scan is not None)
        return panel

    return make


def data_folder(name):
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"real imagery is not on this machine: no {name} beside the project")
    return folder


@pytest.fixture
def marida():
    return data_folder("marida")


@pytest.fixture
def panel(run, project, open_panel):
    """The results panel of a project that holds the run."""
    from .panel_driver import load

    load(project, run)
    return open_panel()
