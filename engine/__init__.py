"""Marine-debris engine: detection, practice scenes, training and evaluation, without QGIS.

Importing this package is cheap: torch and rasterio are loaded by the job that needs them. One job is one call of
`engine.jobs.run`, or one `python -m engine JOB …` on the command line.
"""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
