"""The results panel in QGIS's window: an entry of menu and toolbar that shows it, and the algorithms it asks for."""

from qgis.core import QgsApplication, QgsProcessingException, QgsStyle
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QIcon

from ..about import ICON
from ..compat import QAction
from ..presentation import install_styles
from .results_labels import make_labels, said_of, training_parameters
from .results_panel import ResultsPanel
from .results_summary import tr

MENU = "Marine Debris"


class ResultsEntry:
    """Adds the panel to QGIS's window, and takes it away again."""

    def __init__(self, iface) -> None:
        self.iface = iface
        self.panel = ResultsPanel(iface.mapCanvas(), iface.mainWindow())
        self.panel.asked.connect(self._open)
        self.action = QAction(QIcon(str(ICON)), tr("Marine debris results"), iface.mainWindow())
        self.action.setCheckable(True)
        self.panel.setToggleVisibilityAction(self.action)
        iface.addPluginToMenu(MENU, self.action)
        iface.addToolBarIcon(self.action)
        iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.panel)
        self.panel.hide()
        install_styles(QgsStyle.defaultStyle())

    def remove(self) -> None:
        """Take everything away."""
        self.panel.close_down()
        self.iface.removePluginMenu(MENU, self.action)
        self.iface.removeToolBarIcon(self.action)
        self.iface.removeDockWidget(self.panel)
        self.panel.deleteLater()
        self.action.deleteLater()

    def _open(self, algorithm: str, parameters: dict) -> None:
        """Open an algorithm's dialog, filled in from the run that is looked at."""
        from qgis import processing

        if algorithm == "debris:corrections":
            self._correct()
            return
        known = QgsApplication.processingRegistry().createAlgorithmById(algorithm)
        names = {definition.name() for definition in known.parameterDefinitions()}
        processing.execAlgorithmDialog(algorithm, {name: v for name, v in parameters.items() if name in names})

    def _correct(self) -> None:
        """Turn the decisions into labels, and open Train Model with them."""
        from qgis import processing

        run, bar = self.panel.run, self.iface.messageBar()
        try:
            labels = make_labels(run, self.panel.project)
        except QgsProcessingException as error:
            bar.pushWarning(tr(MENU), str(error))
            return
        bar.pushInfo(tr(MENU), said_of(labels))
        if QgsApplication.processingRegistry().algorithmById("debris:train") is not None:
            parameters = training_parameters(run, labels)
            if "RASTERS" not in parameters:
                text = "Train Model needs the scene as a raster: Prepare Sentinel-2 Scene makes one of a product."
                bar.pushInfo(tr(MENU), tr(text))
            processing.execAlgorithmDialog("debris:train", parameters)
