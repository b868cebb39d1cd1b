"""Styles of results: a .qml beside each file, and in the user interface one group of layers for each scene."""

import shutil

from qgis.core import QgsLayerTreeGroup, QgsProcessingLayerPostProcessorInterface, QgsProject

from .about import STYLES

ORDER = ("detections", "mask", "probability", "labels", "scene")
"""From top to bottom in the group."""
NAMES = {
    "detections": "Detections",
    "mask": "Marine debris mask",
    "probability": "Probability of debris",
    "labels": "True classes",
    "scene": "Practice scene",
}
PROPERTY = "debris/kind"


def style_result(kind: str, path: str, result: dict, context) -> None:
    """Put the style beside the file, and have the layer styled and grouped when QGIS loads it.

    Args:
        kind: a key of NAMES.
        path: the file.
        result: the job's result; its scene names the group.
        context: the QgsProcessingContext.
    """
    _copy_style(kind, path)
    if context.willLoadLayerOnCompletion(path):
        details = context.layerToLoadOnCompletionDetails(path)
        details.setPostProcessor(_ResultLayer.kept(kind, str(result["scene"])))


def _copy_style(kind, path):
    """QGIS loads <file without ending>.qml by itself."""
    stem = path.rsplit(".", 1)[0]
    try:
        shutil.copyfile(STYLES / f"{kind}.qml", f"{stem}.qml")
    except OSError:
        # A result without its style is still the result; the folder may have become read-only or full.
        return


class _ResultLayer(QgsProcessingLayerPostProcessorInterface):
    """Styles one loaded layer and moves it into its scene's group."""

    # Processing keeps no reference of its own to a post-processor made in Python.
    _kept = []

    @classmethod
    def kept(cls, kind, scene):
        """A post-processor that lives until it has done its work."""
        processor = cls()
        processor.kind, processor.scene = kind, scene
        cls._kept.append(processor)
        return processor

    def postProcessLayer(self, layer, context, feedback):  # noqa: N802
        """Called in the main thread once the layer is in the project."""
        layer.loadNamedStyle(str(STYLES / f"{self.kind}.qml"))
        layer.setName(NAMES[self.kind])
        layer.setCustomProperty(PROPERTY, self.kind)
        layer.triggerRepaint()
        _group(context.project() or QgsProject.instance(), layer, self.scene, self.kind)
        if self in self._kept:
            self._kept.remove(self)


def _group(project, layer, scene, kind):
    """Move the layer's node into the group `scene`, in the order of ORDER."""
    root = project.layerTreeRoot()
    node = root.findLayer(layer.id())
    if node is None:
        return
    group = _group_of(root, scene)
    rank = ORDER.index(kind)
    place = sum(1 for child in group.findLayers() if _rank(child) < rank)
    copy = node.clone()
    group.insertChildNode(place, copy)
    node.parent().removeChildNode(node)
    copy.setExpanded(False)


def _group_of(root, scene) -> QgsLayerTreeGroup:
    group = root.findGroup(scene)
    return root.insertGroup(0, scene) if group is None else group


def _rank(node):
    kind = node.layer().customProperty(PROPERTY) if node.layer() else None
    return ORDER.index(kind) if kind in ORDER else len(ORDER)
