"""The last validation pictures of a training: colour, truth and prediction side by side, sharp on any screen."""

from pathlib import Path
from typing import List

from qgis.PyQt.QtCore import QSize, Qt
from qgis.PyQt.QtGui import QColor, QImage, QPainter, QPixmap
from qgis.PyQt.QtWidgets import QGridLayout, QLabel, QScrollArea, QWidget

from .training_run import PICTURES, tr

SIDE = 132
"""Of a picture, in points: as large on a screen of 200 % as on one of 100 %."""
TITLES = {"colour": "Colour", "truth": "Truth", "prediction": "Prediction"}
HELP = "Tiles kept for validation. Orange: debris. Green: other floating matter. Grey: labelled, neither of them."
GROUND = "#14181c"
"""Below what is transparent, in every theme: the classes' colours are made for a dark ground."""


class PicturesView(QScrollArea):
    """Rows of three pictures, below each other."""

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.setWidgetResizable(True)
        self.setToolTip(tr(HELP))
        inner = QWidget()
        self._grid = QGridLayout(inner)
        self._grid.setSpacing(4)
        for column, kind in enumerate(PICTURES):
            title = QLabel(tr(TITLES[kind]))
            title.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            self._grid.addWidget(title, 0, column)
        self._labels: List[List[QLabel]] = []
        self._shown = None
        self._empty = QLabel(tr("Pictures come with the first validation."))
        self._empty.setWordWrap(True)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._grid.addWidget(self._empty, 1, 0, 1, len(PICTURES))
        self._grid.setRowStretch(100, 1)
        self.setWidget(inner)
        self.setMinimumWidth(len(PICTURES) * (SIDE + 6) + 30)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    @property
    def count(self) -> int:
        """How many pictures are shown."""
        return sum(label.isVisibleTo(self) for row in self._labels for label in row)

    def show_pictures(self, rows: List[List[Path]]) -> None:
        """Show these files, unless they are shown already."""
        stamp = [(str(path), _stamp(path)) for row in rows for path in row] + [self.devicePixelRatioF()]
        if stamp == self._shown:
            return
        self._shown = stamp
        while len(self._labels) < len(rows):
            self._add_row()
        for number, labels in enumerate(self._labels):
            for column, label in enumerate(labels):
                label.setVisible(number < len(rows))
                if number < len(rows):
                    label.setPixmap(self._pixmap(rows[number][column]))
        self._empty.setVisible(not rows)

    def _add_row(self):
        row = []
        for column in range(len(PICTURES)):
            label = QLabel()
            label.setFixedSize(QSize(SIDE, SIDE))
            self._grid.addWidget(label, len(self._labels) + 1, column)
            row.append(label)
        self._labels.append(row)

    def _pixmap(self, path):
        """The picture with as many pixels as the screen has for it; read whole, so that the file can be replaced."""
        ratio = self.devicePixelRatioF()
        image = QImage()
        try:
            image.loadFromData(path.read_bytes())
        except OSError:
            return QPixmap()
        if image.isNull():
            return QPixmap()
        side = round(SIDE * ratio)
        # Enlarged without smoothing: a detection of one pixel must stay one.
        smooth = (
            Qt.TransformationMode.SmoothTransformation
            if image.width() > side
            else (Qt.TransformationMode.FastTransformation)
        )
        pixmap = QPixmap(side, side)
        pixmap.fill(QColor(GROUND))
        painter = QPainter(pixmap)
        painter.drawImage(0, 0, image.scaled(side, side, Qt.AspectRatioMode.KeepAspectRatio, smooth))
        painter.end()
        pixmap.setDevicePixelRatio(ratio)
        return pixmap


def _stamp(path):
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
