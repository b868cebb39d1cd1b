"""What the algorithms that hand on results of a run take: its detections, its rasters, and where these are from."""

import os
from typing import Dict, Iterable, Optional, Tuple

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProperty,
    QgsProviderRegistry,
)

from ..results.areas import Areas, MaskError, areas_of
from ..results.provenance import Provenance, difference, key_among, of_detections, of_raster
from ..results.shown import held_as_found
from .base import EngineAlgorithm


class ResultsAlgorithm(EngineAlgorithm):
    """An algorithm with DETECTIONS, and MASK among its rasters."""

    GROUP = "Results"
    GROUP_ID = "results"

    def detections(self, parameters, context):
        """The layer of DETECTIONS with all that was found; None where there is none. For the main thread."""
        value = parameters.get("DETECTIONS")
        if isinstance(value, QgsProcessingFeatureSourceDefinition):
            value = value.source
        layer = self.parameterAsVectorLayer({**parameters, "DETECTIONS": value}, "DETECTIONS", context)
        return None if layer is None else held_as_found(layer, context)

    @staticmethod
    def source_value(value, layer, context):
        """The value of DETECTIONS with such a layer in it; what else it says, as `selected only`, is kept."""
        if layer is None or context.temporaryLayerStore().mapLayer(layer.id()) is None:
            return value
        if not isinstance(value, QgsProcessingFeatureSourceDefinition):
            return layer.id()
        changed = QgsProcessingFeatureSourceDefinition(value)
        changed.source = QgsProperty.fromValue(layer.id())
        return changed

    def provenance(self, source, rasters: Iterable[str], feedback) -> Tuple[Provenance, Dict[str, str]]:
        """Where results are from: rasters of the same run know most, else the detections say it.

        Args:
            source: the detections.
            rasters: paths of mask and probability; those of another run are warned of.
            feedback: of the algorithm.

        Returns:
            What is known of the run, and for each raster of another one what tells it from the detections.
        """
        own = of_detections(source)
        known = {path: found for path, found in ((path, of_raster(path)) for path in rasters) if found.scene}
        # A table without rows does not say where it is from.
        strange = {
            path: difference(found, own)
            for path, found in known.items()
            if own.scene and key_among(source, own, [found.key]) is None
        }
        for path, text in strange.items():
            feedback.pushWarning(
                self.tr("{} is of another run than the detections: {}. Choose what was written with them.").format(
                    os.path.basename(path), text
                )
            )
        return next((found for path, found in known.items() if path not in strange), own), strange

    @staticmethod
    def mask_areas(mask: str, crs: Optional[QgsCoordinateReferenceSystem] = None) -> Areas:
        """Areas by the values of MASK.

        Args:
            mask: its path.
            crs: of it where a person has set it; None where its file's own holds.

        Raises:
            QgsProcessingException: it is no mask.
        """
        try:
            return areas_of(mask, crs)
        except MaskError as error:
            raise QgsProcessingException(str(error)) from error


def file_of(layer) -> str:
    """The file that a layer is read from, without what its source says beside that; an empty text where it has none."""
    if layer is None:
        return ""
    return str(QgsProviderRegistry.instance().decodeUri(layer.providerType(), layer.source()).get("path") or "")
