"""Marine Debris: a QGIS plugin that finds floating marine debris in Sentinel-2 imagery."""


def classFactory(iface):  # noqa: N802 - the name that QGIS calls
    """Make the plugin; `iface` is None under qgis_process."""
    from .plugin import MarineDebrisPlugin

    return MarineDebrisPlugin(iface)
