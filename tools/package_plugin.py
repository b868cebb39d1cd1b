"""Assemble the plugin folder from debris_qgis/, engine/ and metadata.txt, and zip it for QGIS's plugin manager.

The same sources give the same bytes: files are sorted, their times and permissions fixed. What the plugin repository
refuses is refused here first, with the reason.
"""

from __future__ import annotations

import argparse
import configparser
import os
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLUGIN = "debris_qgis"

# The rules of the plugin repository (its validator and its publishing guide).
MAX_ZIP_BYTES = 25_000_000
REQUIRED_KEYS = (
    "name",
    "description",
    "about",
    "version",
    "qgisMinimumVersion",
    "author",
    "email",
    "tracker",
    "repository",
)
ENDINGS = {".py", ".txt", ".md", ".qml", ".svg", ".png", ".json", ".npz", ".html", ".ui", ".ts", ".qm", ".safetensors"}
WITHOUT_ENDING = {"LICENSE"}
LEFT_OUT = {"__pycache__", "tests"}

# The earliest time that a zip can hold: the archive depends on the files' contents alone.
ZIP_TIME = (1980, 1, 1, 0, 0, 0)


class PackageError(Exception):
    """The plugin cannot be packaged; the message says why."""


def assemble(target: Path, root: Path = ROOT) -> Path:
    """Write the plugin folder `target`, replacing what stands there, and return it.

    Raises:
        PackageError: a file is missing, or is of a kind that does not belong into the plugin.
    """
    for name in ("metadata.txt", "LICENSE", "CHANGELOG.md", f"{PLUGIN}/__init__.py", "engine/__init__.py"):
        if not (root / name).is_file():
            raise PackageError(f"{root / name} is missing.")
    if target.exists():
        shutil.rmtree(target)
    for source, destination in _sources(root):
        _check_kind(source)
        (target / destination).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target / destination)
    return target


def _sources(root: Path) -> Iterator[tuple[Path, Path]]:
    """Each file of the plugin, and where it goes within the plugin's folder."""
    for name in ("metadata.txt", "LICENSE", "CHANGELOG.md"):
        yield root / name, Path(name)
    for folder, below in ((root / PLUGIN, Path()), (root / "engine", Path("engine"))):
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder)
            if path.is_dir() or LEFT_OUT.intersection(inside.parts):
                continue
            yield path, below / inside


def _check_kind(path: Path) -> None:
    if path.is_symlink():
        raise PackageError(f"{path} is a link: a plugin holds plain files.")
    if path.suffix not in ENDINGS and path.name not in WITHOUT_ENDING:
        raise PackageError(f"{path} does not belong into a plugin: known are {' '.join(sorted(ENDINGS))}.")


def read_metadata(path: Path) -> dict[str, str]:
    """The section [general] of a metadata.txt.

    Raises:
        PackageError: a key is missing or has a value that the plugin repository or QGIS refuses.
    """
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign] # keys are told apart by case
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
        metadata = dict(parser["general"])
    except (configparser.Error, KeyError) as error:
        raise PackageError(f"{path} is no metadata.txt with a section [general]: {error}") from error
    missing = [key for key in REQUIRED_KEYS if not metadata.get(key, "").strip()]
    if missing:
        raise PackageError(f"{path} lacks {', '.join(missing)}.")
    refused = [
        (re.fullmatch(r"\d+\.\d+\.\d+", metadata["version"]), "the version must be three numbers, as 0.1.0"),
        ("/" not in metadata["author"], "the author may not hold a slash"),
        ("plugin" not in metadata["name"].lower(), "the name may not hold the word plugin"),
        (metadata.get("hasProcessingProvider") == "yes", "hasProcessingProvider=yes is missing"),
        ("supportsQt6" not in metadata, "supportsQt6 is no longer allowed: set qgisMaximumVersion"),
    ]
    for fine, reason in refused:
        if not fine:
            raise PackageError(f"{path}: {reason}.")
    return metadata


def write_zip(folder: Path, archive: Path) -> Path:
    """Zip the plugin folder as the one top folder of `archive`, the same bytes for the same files."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    unfinished = archive.with_name(f".{archive.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    entry = zipfile.ZipInfo((folder.name / path.relative_to(folder)).as_posix(), ZIP_TIME)
                    entry.external_attr = 0o100644 << 16
                    entry.compress_type = zipfile.ZIP_DEFLATED
                    target.writestr(entry, path.read_bytes())
        unfinished.replace(archive)
    finally:
        unfinished.unlink(missing_ok=True)
    return archive


def check_zip(archive: Path) -> dict[str, str]:
    """Check an archive against the plugin repository's rules and return its metadata.

    Raises:
        PackageError: the repository or QGIS would refuse it.
    """
    size = archive.stat().st_size
    if size > MAX_ZIP_BYTES:
        raise PackageError(f"{archive} has {size / 1e6:.1f} MB; at most {MAX_ZIP_BYTES / 1e6:.0f} MB are taken.")
    with zipfile.ZipFile(archive) as source:
        names = source.namelist()
        tops = {name.split("/")[0] for name in names}
        if len(tops) != 1 or not (top := tops.pop()).isidentifier():
            raise PackageError(f"{archive} must hold one top folder that is a Python name, not {sorted(tops)}.")
        for name in names:
            parts = Path(name).parts
            known = Path(name).suffix in ENDINGS or parts[-1] in WITHOUT_ENDING
            if ".." in parts or "\\" in name or LEFT_OUT.intersection(parts) or not known:
                raise PackageError(f"{archive} holds {name}, which does not belong into a plugin.")
        for name in ("__init__.py", "metadata.txt", "LICENSE", "engine/__init__.py", "engine/requirements.txt"):
            if f"{top}/{name}" not in names:
                raise PackageError(f"{archive} lacks {top}/{name}.")
        with tempfile.TemporaryDirectory() as folder:
            metadata = read_metadata(Path(source.extract(f"{top}/metadata.txt", folder)))
        icon = metadata.get("icon")
        if icon and f"{top}/{icon}" not in names:
            raise PackageError(f"{archive} lacks the icon {icon} that metadata.txt names.")
    return metadata


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the plugin below dist/ and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="folder to build in (default: dist)")
    options = parser.parse_args(arguments)
    try:
        folder = assemble(options.output / PLUGIN)
        metadata = read_metadata(folder / "metadata.txt")
        archive = write_zip(folder, options.output / f"{PLUGIN}-{metadata['version']}.zip")
        check_zip(archive)
        print(f"{archive}: {metadata['name']} {metadata['version']}, {archive.stat().st_size / 1e6:.2f} MB")
    except PackageError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
