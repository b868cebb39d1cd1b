"""Coordinate transforms that hold in any thread."""

from qgis.core import QgsCoordinateReferenceSystem, QgsCoordinateTransform

__all__ = ["fresh_projections"]


def fresh_projections() -> None:
    """Forget what QGIS keeps of CRSs and transforms, before they are used in a thread that is not the main one.

    QGIS keeps a CRS by its text, with PROJ's object of the thread that first asked for it; the threads of tasks end
    after half a minute without work. Where the main thread has used that CRS meanwhile, it stays, what it refers to is
    gone, and transforms in later threads give coordinates back as they were, without an error (seen in QGIS 3.22).
    """
    QgsCoordinateReferenceSystem.invalidateCache()
    QgsCoordinateTransform.invalidateCache()
