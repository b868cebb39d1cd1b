"""What the results panel's slider hides, it hides on the map: what is made of the results looks at all that was found.

The slider's filter is set on the layer, and is saved with the project; here it is told from a filter of the person's
own, which goes on counting.
"""

from qgis.core import QgsProcessingContext, QgsVectorLayer

SHOWN_FROM = "debris/shown_from"
"""Property of the detections' layer: the probability from which things are shown."""
OWN_FILTER = "debris/own_filter"
"""Property of the detections' layer: the filter that it had before."""


def with_slider(own: str, probability: float) -> str:
    """A layer's own filter together with that of the slider."""
    ours = f'"max_prob" >= {probability - 1e-6:.6f}'
    return f"({own}) AND {ours}" if own else ours


def own_filter(layer: QgsVectorLayer) -> str:
    """A layer's filter without that of the slider."""
    shown_from = layer.customProperty(SHOWN_FROM)
    own = str(layer.customProperty(OWN_FILTER) or "")
    if shown_from is not None and layer.subsetString() == with_slider(own, float(shown_from)):
        return own
    # Nothing of the slider's, or the person has changed the filter since: then it is theirs.
    return layer.subsetString()


def as_found(layer: QgsVectorLayer) -> QgsVectorLayer:
    """A copy of a layer with everything that was found; one that is no table of detections is copied as it is."""
    copy = layer.clone()
    own = own_filter(layer)
    if copy.subsetString() != own:
        copy.setSubsetString(own)
    return copy


def held_as_found(layer: QgsVectorLayer, context: QgsProcessingContext) -> QgsVectorLayer:
    """The layer itself where the slider hides nothing; else such a copy, with the same selection.

    The context holds the copy: what Python alone held would outlive QGIS in the frames of an exception.
    """
    if layer.subsetString() == own_filter(layer):
        return layer
    copy = as_found(layer)
    copy.selectByIds(layer.selectedFeatureIds())
    return context.temporaryLayerStore().addMapLayer(copy)
