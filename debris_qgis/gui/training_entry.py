"""Train Model in QGIS's window: an entry of menu and toolbar that shows the dialog, which stays while QGIS does."""

from typing import Optional

from qgis.PyQt.QtGui import QIcon

from ..about import ICON
from ..compat import QAction
from .training_desk import TrainingDesk
from .training_dialog import TrainingDialog
from .training_run import tr

MENU = "Marine Debris"


class TrainingEntry:
    """Adds the entry, and takes it away again."""

    def __init__(self, iface) -> None:
        self.iface = iface
        self.desk = TrainingDesk(iface)
        self.dialog: Optional[TrainingDialog] = None
        self.action = QAction(QIcon(str(ICON)), tr("Train Model…"), iface.mainWindow())
        self.action.triggered.connect(self.show)
        iface.addPluginToMenu(MENU, self.action)
        iface.addToolBarIcon(self.action)

    def show(self) -> None:
        """Show the dialog, with the training that runs."""
        if self.dialog is None:
            self.dialog = TrainingDialog(self.desk, self.iface.mainWindow())
            self.dialog.use_in_detect.connect(self._detect)
        self.dialog.show()
        self.dialog.raise_()
        self.dialog.activateWindow()

    @staticmethod
    def _detect(model: str) -> None:
        from qgis import processing

        # Shown, not executed: QGIS stays usable, and so does the training dialog.
        opened = processing.createAlgorithmDialog("debris:detect", {"MODEL": model})
        if opened is not None:
            opened.show()

    def remove(self) -> None:
        """Take everything away."""
        self.desk.close_down()
        if self.dialog is not None:
            self.dialog.close_down()
            self.dialog.deleteLater()
            self.dialog = None
        self.iface.removePluginMenu(MENU, self.action)
        self.iface.removeToolBarIcon(self.action)
        self.action.deleteLater()
        self.desk.deleteLater()
