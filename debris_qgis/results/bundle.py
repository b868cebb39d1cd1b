"""Everything that is handed on, in one folder and one archive; nothing stands under its name before all is written."""

import os
import shutil
import uuid
import zipfile
from pathlib import Path
from typing import Dict, Iterable, List, Optional, Tuple

from osgeo import gdal
from qgis.core import QgsCoordinateReferenceSystem

from .quiet import opened
from .vectors import ExportError

RESAMPLING = {"mask": "NEAREST", "probability": "AVERAGE"}
SQLITE_SIDE_FILES = ("-wal", "-shm", "-journal")


class Staging:
    """A folder of unfinished files beside the final ones; published together, or removed."""

    def __init__(self, folder: Path) -> None:
        self.final = folder
        self.folder = folder / f".debris-{uuid.uuid4().hex[:12]}"

    def __enter__(self) -> "Staging":
        try:
            self.folder.mkdir(parents=True)
        except OSError as error:
            raise ExportError(
                f"{self.final} cannot be written to ({error.strerror}): choose another folder."
            ) from error
        return self

    def __exit__(self, kind, error, trace) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def publish(self) -> Dict[str, Path]:
        """Move every file to its final name; the paths by file name."""
        moved = {}
        for path in sorted(self.folder.iterdir()):
            final = self.final / path.name
            try:
                _drop_side_files(final)
                os.replace(path, final)
            except OSError as error:
                raise ExportError(f"{final} cannot be replaced ({error.strerror}): is it open elsewhere?") from error
            moved[path.name] = final
        return moved

    def files(self) -> List[Path]:
        """What has been written so far."""
        return sorted(path for path in self.folder.iterdir() if path.is_file())


def _drop_side_files(final: Path) -> None:
    """Remove what SQLite has not yet written into a GeoPackage: it would be played over the one that replaces it."""
    if final.suffix == ".gpkg":
        for ending in SQLITE_SIDE_FILES:
            final.with_name(final.name + ending).unlink(missing_ok=True)


def raster_files(source: str) -> List[str]:
    """The files that a raster is read from, those that a virtual raster names too."""
    dataset = opened(source)
    return [source] if dataset is None else [source, *(dataset.GetFileList() or [])]


def keep_apart(targets: Iterable[Path], read: Dict[str, List[str]]) -> None:
    """Make sure that nothing that is read would be replaced, under whatever name, link or spelling it is known.

    Args:
        targets: the files that will be written.
        read: paths by the name of the parameter that they are read for.

    Raises:
        ExportError: one would be.
    """
    there = [target for target in targets if target.exists()]
    for name, paths in read.items():
        for path in paths:
            if any(os.path.exists(path) and os.path.samefile(path, target) for target in there):
                raise ExportError(
                    f"{path} would be replaced by the export, but {name} is read from it: choose another folder, or "
                    "another name of the files."
                )


def cloud_optimized(
    kind: str, source: str, target: Path, feedback, crs: Optional[QgsCoordinateReferenceSystem] = None
) -> None:
    """Copy a raster as a Cloud Optimized GeoTIFF, values, tags and no-data as they are.

    Args:
        kind: "mask" or "probability".
        source: what GDAL opens.
        target: the file to write.
        feedback: of the algorithm.
        crs: of the raster where a person has set it; None where its file's own holds.

    Raises:
        ExportError: it cannot be read or written.
    """
    options = ["COMPRESS=DEFLATE", "PREDICTOR=YES" if kind == "probability" else "PREDICTOR=NO", "BIGTIFF=IF_SAFER"]
    options.append(f"OVERVIEW_RESAMPLING={RESAMPLING[kind]}")
    try:
        done = gdal.Translate(
            str(target), source, format="COG", outputSRS=None if crs is None else crs.toWkt(), creationOptions=options,
            callback=lambda *_: not feedback.isCanceled(),
        )  # fmt: skip
    except RuntimeError as error:
        raise ExportError(f"The {kind} cannot be written as a Cloud Optimized GeoTIFF: {error}") from error
    if done is None and not feedback.isCanceled():
        raise ExportError(f"The {kind} cannot be written as a Cloud Optimized GeoTIFF: {gdal.GetLastErrorMsg()}")


def archive(target: Path, files: List[Tuple[Path, str]]) -> None:
    """Put files into one zip, each under the name given; complete before it stands under its own name.

    Raises:
        ExportError: it cannot be written.
    """
    unfinished = target.with_name(f".debris-{uuid.uuid4().hex[:12]}-{target.name}")
    try:
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as bundle:
            for path, name in files:
                bundle.write(path, name)
        os.replace(unfinished, target)
    except OSError as error:
        raise ExportError(f"{target} cannot be written ({error.strerror or error}).") from error
    finally:
        unfinished.unlink(missing_ok=True)
