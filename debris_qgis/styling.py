"""Styles of results: a .qml beside each file, and in the user interface one group of layers for each scene."""

from pathlib import Path

from qgis.core import (
    QgsLayerTreeGroup,
    QgsLayerTreeLayer,
    QgsProcessingLayerPostProcessorInterface,
    QgsProject,
    QgsSettings,
)
from qgis.PyQt import sip

from .about import STYLES
from .presentation import present
from .results.quiet import opened
from .results.runs import KIND

ORDER = ("clusters", "detections", "mask", "probability", "floating", "labels", "scene")
"""From top to bottom in the group."""
MARK = "<!-- Written by Marine Debris for QGIS, which will replace this file; without this line it will not. -->"
"""In each .qml that is written beside a result."""
RESULTS_GROUP = "Processing/Configuration/RESULTS_GROUP_NAME"


def style_result(kind: str, path: str, result: dict, context, beside=True) -> None:
    """Put the style beside the file, and have the layer styled and grouped when QGIS loads it.

    Args:
        kind: one of ORDER.
        path: the file.
        result: the job's result; its scene names the group.
        context: the QgsProcessingContext.
        beside: whether to write the .qml file; a person's own, or one that another raster would take, is never written.
    """
    if beside:
        _copy_style(kind, path)
    if context.willLoadLayerOnCompletion(path):
        details = context.layerToLoadOnCompletionDetails(path)
        details.setPostProcessor(_ResultLayer.of(kind, str(result["scene"])))


def _copy_style(kind, path):
    """QGIS loads <file without ending>.qml by itself: for this file, and for any other of that name."""
    result, style = Path(path), Path(path.rsplit(".", 1)[0] + ".qml")
    try:
        if _is_theirs(style) or _raster_beside(result):
            return
        first, rest = (STYLES / f"{kind}.qml").read_text(encoding="utf-8").split("\n", 1)
        style.write_text(f"{first}\n{MARK}\n{rest}", encoding="utf-8")
    except OSError:
        # A result without its style is still the result; the folder may have become read-only or full.
        return


def _is_theirs(style: Path) -> bool:
    """Whether a style is the person's: QGIS writes it anew when they save one, without the mark."""
    return style.exists() and MARK.encode() not in style.read_bytes()[:1000]


def _raster_beside(result: Path) -> bool:
    """Whether another raster, as the scene itself, would take the style for its own."""
    return any(
        other.stem == result.stem
        and other != result
        and other.suffix != ".qml"
        and other.is_file()
        and opened(str(other)) is not None
        for other in result.parent.iterdir()
    )


class _ResultLayer(QgsProcessingLayerPostProcessorInterface):
    """Styles one loaded layer and moves it into its scene's group."""

    # A context deletes the post-processors of its layers together with itself, but QGIS's bindings do not tell Python
    # that it has them: what Python gives up earlier is deleted twice. So each is kept here until it is gone.
    _kept = []

    @classmethod
    def of(cls, kind, scene):
        """A new post-processor, for one layer of one context."""
        cls._kept[:] = [processor for processor in cls._kept if not sip.isdeleted(processor)]
        processor = cls()
        processor.kind, processor.scene = kind, scene
        cls._kept.append(processor)
        return processor

    def postProcessLayer(self, layer, context, feedback):  # noqa: N802
        """Called in the main thread once the layer is in the project."""
        layer.loadNamedStyle(str(STYLES / f"{self.kind}.qml"))
        layer.setCustomProperty(KIND, self.kind)
        layer.triggerRepaint()
        project = context.project() or QgsProject.instance()
        _group(project, layer, self.scene, self.kind)
        present(project, layer, self.kind)


def _group(project, layer, scene, kind):
    """Move the layer's node into the group `scene`, in the order of ORDER."""
    root = project.layerTreeRoot()
    node = root.findLayer(layer.id())
    if node is None:
        return
    group = _group_of(_home(root), scene)
    # QGIS may have put the layer into this group already, at any place; so places are looked for, not counted.
    above = [place for place, child in enumerate(group.children()) if _rank(child) < ORDER.index(kind)]
    place = above[-1] + 1 if above else 0
    copy = node.clone()
    group.insertChildNode(place, copy)
    node.parent().removeChildNode(node)


def _home(root) -> QgsLayerTreeGroup:
    """Where groups of scenes go: the group that the person has set for Processing's results, else the top."""
    name = str(QgsSettings().value(RESULTS_GROUP, "") or "")
    group = root.findGroup(name) if name else None
    return root if group is None else group


def _group_of(home, scene) -> QgsLayerTreeGroup:
    group = home.findGroup(scene)
    return home.insertGroup(0, scene) if group is None else group


def _rank(node):
    layer = node.layer() if isinstance(node, QgsLayerTreeLayer) else None
    kind = layer.customProperty(KIND) if layer is not None else None
    return ORDER.index(kind) if kind in ORDER else len(ORDER)
