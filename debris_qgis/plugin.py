"""The plugin's registrations, and nothing else."""

from qgis.core import QgsApplication

from .provider import MarineDebrisProvider


class MarineDebrisPlugin:
    """What QGIS loads: adds the Processing provider, and takes it away again."""

    def __init__(self, iface):
        self.iface = iface
        self.provider = None
        self.results = None
        self.training = None

    def initProcessing(self):  # noqa: N802 - called by qgis_process
        """Add the provider; all that qgis_process needs."""
        self.provider = MarineDebrisProvider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self):  # noqa: N802 - called by QGIS
        """Add what the user interface shows."""
        self.initProcessing()
        # Only where there is a window: qgis_process needs no widgets.
        from .gui.results_entry import ResultsEntry
        from .gui.training_entry import TrainingEntry

        self.results = ResultsEntry(self.iface)
        self.training = TrainingEntry(self.iface)

    def unload(self):
        """Take everything away."""
        if self.training is not None:
            self.training.remove()
            self.training = None
        if self.results is not None:
            self.results.remove()
            self.results = None
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None
