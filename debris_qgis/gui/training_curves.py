"""Live curves of a training, drawn with matplotlib, which QGIS brings along; in the colours of QGIS's own theme."""

from typing import Optional

from qgis.PyQt.QtCore import QEvent
from qgis.PyQt.QtGui import QPalette
from qgis.PyQt.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from .training_run import Curves, tr

try:
    # The Qt that QGIS has loaded already is the one that matplotlib takes.
    from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator
except ImportError as error:  # an installation of QGIS without it, or with one that is too old
    FigureCanvasQTAgg, MISSING = None, str(error)
else:
    MISSING = ""

# Okabe and Ito's colours, told apart by the colour-blind too; the second of each pair is for a dark background.
BLUE, ORANGE, GREEN = ("#0072b2", "#56b4e9"), ("#d55e00", "#e69f00"), ("#00795c", "#2fc79a")
PANELS = (
    ("Loss", (("train_loss", "training", BLUE), ("validation_loss", "validation", ORANGE))),
    ("Validation", (("f1", "F1", BLUE), ("iou", "IoU", ORANGE))),
    ("Learning rate", (("learning_rate", "learning rate", GREEN),)),
)


class CurvesView(QWidget):
    """Loss, F1 and IoU, and learning rate by epoch; the best epoch is marked."""

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        self.canvas = None
        self._curves: Optional[Curves] = None
        if FigureCanvasQTAgg is None:
            text = QLabel(
                tr(
                    "Curves are drawn with matplotlib, which this QGIS does not have ({}). The training goes on all "
                    "the same; the numbers of every epoch are in log.csv of the run folder. To see curves, "
                    "install the package python3-matplotlib (Linux), or matplotlib into QGIS's Python."
                ).format(MISSING)
            )
            text.setWordWrap(True)
            box.addWidget(text)
            return
        self.figure = Figure(layout="constrained")
        self.canvas = FigureCanvasQTAgg(self.figure)
        self.canvas.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.canvas.setMinimumSize(300, 150)
        placed = self.figure.subplot_mosaic([[0, 1], [2, 2]], gridspec_kw={"height_ratios": (5, 2)})
        self.axes = [placed[number] for number in range(len(PANELS))]
        box.addWidget(self.canvas)
        self.show_curves(Curves())

    @property
    def dark(self) -> bool:
        """Whether QGIS's theme is a dark one."""
        return self.palette().color(QPalette.ColorRole.Window).lightness() < 128

    def show_curves(self, curves: Curves) -> None:
        """Draw anew."""
        self._curves = curves
        if self.canvas is None:
            return
        ground = self.palette().color(QPalette.ColorRole.Window)
        self.figure.set_facecolor(ground.name())
        # matplotlib makes it white, which is seen at the rim where a scaled screen has half a pixel left.
        self.canvas.setPalette(QPalette(ground))
        for axes, (title, series) in zip(self.axes, PANELS):
            self._draw(axes, title, series, curves)
        self.canvas.draw_idle()

    def _draw(self, axes, title, series, curves):
        text = self.palette().color(QPalette.ColorRole.WindowText).name()
        axes.clear()
        axes.set_facecolor(self.palette().color(QPalette.ColorRole.Base).name())
        axes.set_title(tr(title), color=text, fontsize="medium")
        if axes is self.axes[-1]:
            axes.set_xlabel(tr("Epoch"), color=text, fontsize="small")
            axes.locator_params(axis="y", nbins=3)
        axes.tick_params(colors=text, labelsize="small")
        axes.grid(True, color=text, alpha=0.15)
        for spine in axes.spines.values():
            spine.set_color(text)
            spine.set_alpha(0.4)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        if not len(curves):
            axes.set_xlim(0, 10)
            axes.set_ylim(0, 1)
            return
        for name, label, colours in series:
            marker = "o" if len(curves) < 30 else ""
            axes.plot(
                curves.epoch, curves.values[name], marker, ls="-", ms=3, color=colours[self.dark], label=tr(label)
            )
        if title == "Validation":
            axes.set_ylim(-0.02, 1.02)
            if curves.best:
                axes.axvline(curves.epoch[curves.best[-1]], color=text, alpha=0.6, ls=":", label=tr("best so far"))
        if title == "Learning rate":
            # From 0: else the first epochs of a cosine, all but equal, would look like a cliff.
            axes.set_ylim(0, 1.1 * max([rate for rate in curves.values["learning_rate"] if rate > 0], default=1))
        if len(series) > 1:
            legend = axes.legend(
                fontsize="small",
                handlelength=1.2,
                borderaxespad=0.2,
                framealpha=0.6,
                facecolor=axes.get_facecolor(),
                edgecolor="none",
            )
            for entry in legend.get_texts():
                entry.set_color(text)

    def changeEvent(self, event) -> None:  # noqa: N802
        """Take over another theme at once."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and self._curves is not None:
            self.show_curves(self._curves)
