"""Paths as people give them, made absolute: the engine has a working folder of its own, and callers move on."""

import os
import re

from qgis.core import QgsProcessing, QgsProcessingOutputLayerDefinition, QgsProperty

# What names a dataset but is no path: NETCDF:"a.nc":b, SENTINEL2_L2A:…, https://…, memory:; one letter is a drive.
PREFIXED = re.compile(r"/vsi|[A-Za-z][A-Za-z0-9_+.-]+:")


def absolute(text: str) -> str:
    """A plain path as an absolute one, by the current folder; whatever is no plain path stays as it is."""
    if not text or text == QgsProcessing.TEMPORARY_OUTPUT or PREFIXED.match(text) or os.path.isabs(text):
        return text
    return os.path.abspath(text)


def with_absolute(parameters: dict, name: str) -> dict:
    """The parameters with an absolute path as this destination, be it a text or a definition with a sink."""
    value = parameters.get(name)
    if isinstance(value, str):
        return {**parameters, name: absolute(value)}
    if isinstance(value, QgsProcessingOutputLayerDefinition) and isinstance(value.sink.staticValue(), str):
        changed = QgsProcessingOutputLayerDefinition(value)
        changed.sink = QgsProperty.fromValue(absolute(value.sink.staticValue()))
        return {**parameters, name: changed}
    return parameters
