"""A product's files, alike in a folder and in a zip that is read in place."""

from __future__ import annotations

import re
import zipfile
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path, PurePosixPath

from engine.errors import RasterError

__all__ = ["FileTree", "Folder", "Zip", "file_tree"]

# A folder with more files than this was chosen by mistake; a product with every quality mask has some 150.
MOST_FILES = 20_000


class FileTree(ABC):
    """Files below one place, named by relative paths with forward slashes."""

    place: str
    """The place as a person knows it, for messages."""
    inner: str
    """The tree's own path with forward slashes: on the disk for a folder, in the archive for a zip."""

    @cached_property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Relative paths of all files, sorted."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """A file's bytes."""

    @abstractmethod
    def gdal_path(self, name: str) -> str:
        """The name under which GDAL opens a file."""

    @abstractmethod
    def below(self, name: str) -> FileTree:
        """The tree below a folder of this tree; the same tree for an empty name."""

    @abstractmethod
    def at(self, inner: str) -> FileTree:
        """The tree at another path of the same disk or archive."""


class Folder(FileTree):
    """Files in a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.place = str(self.path)
        self.inner = self.path.as_posix()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Relative paths of all files, sorted."""
        found: list[str] = []
        try:
            for file in self.path.rglob("*"):
                if file.is_file():
                    found.append(file.relative_to(self.path).as_posix())
                    if len(found) > MOST_FILES:
                        raise RasterError(
                            f"{self.place} holds more than {MOST_FILES} files: choose the product's own folder."
                        )
        except PermissionError as error:
            raise RasterError(f"{self.place} cannot be read: {error}") from error
        return tuple(sorted(found))

    def read(self, name: str) -> bytes:
        """A file's bytes."""
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise RasterError(f"{self.path / name} cannot be read: {error}") from error

    def gdal_path(self, name: str) -> str:
        """The name under which GDAL opens a file."""
        return str(self.path / name)

    def below(self, name: str) -> FileTree:
        """The tree below a folder of this tree."""
        return Folder(self.path / name) if name else self

    def at(self, inner: str) -> FileTree:
        """The tree at another path of the same disk."""
        return Folder(Path(inner or "/"))


class Zip(FileTree):
    """Files in a zip, which stays packed: GDAL reads through /vsizip/."""

    def __init__(self, path: Path, prefix: str = "") -> None:
        self.path = path.absolute()
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self.place = f"{self.path}/{self.prefix}".rstrip("/") if self.prefix else str(self.path)
        self.inner = self.prefix.rstrip("/")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Relative paths of all files, sorted."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                listed = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
        except (zipfile.BadZipFile, OSError) as error:
            raise _broken(self.path, error) from error
        inside = [name[len(self.prefix) :] for name in listed if name.startswith(self.prefix)]
        return tuple(sorted(name for name in inside if not name.startswith("__MACOSX/")))

    def read(self, name: str) -> bytes:
        """A file's bytes."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                return archive.read(self.prefix + name)
        except (zipfile.BadZipFile, OSError, KeyError, EOFError) as error:
            raise _broken(self.path, error) from error

    def gdal_path(self, name: str) -> str:
        """The name under which GDAL opens a file."""
        # Curly brackets say where the archive's name ends, whatever its ending.
        return f"/vsizip/{{{self.path.as_posix()}}}/{self.prefix}{name}"

    def below(self, name: str) -> FileTree:
        """The tree below a folder of this tree."""
        return Zip(self.path, self.prefix + name) if name else self

    def at(self, inner: str) -> FileTree:
        """The tree at another path of the same archive."""
        return Zip(self.path, inner)


def _broken(path: Path, error: Exception) -> RasterError:
    return RasterError(f"{path} is no complete zip ({error}): it was probably cut short. Download it again.")


def file_tree(path: str) -> tuple[FileTree, str]:
    """The tree that a path names, and the file in it: "" for the tree itself.

    A path is a folder, a zip, a file in a folder, or GDAL's /vsizip/ name of any of these.

    Raises:
        RasterError: there is nothing at the path.
    """
    match = re.match(r"/vsizip/(?:\{(?P<braced>[^}]+)\}|(?P<plain>.+?\.zip))(?:/(?P<inner>.*))?$", path, re.IGNORECASE)
    if match:
        tree: FileTree = Zip(Path(match["braced"] or match["plain"]))
        inner = (match["inner"] or "").strip("/")
        return (tree, inner) if not inner or inner in tree.names else (tree.below(inner), "")
    place = Path(path)
    if place.is_dir():
        return Folder(place), ""
    if not place.exists():
        raise RasterError(f"There is no file or folder {path}.")
    if place.suffix.lower() == ".zip" or (not place.suffix and zipfile.is_zipfile(place)):
        return Zip(place), ""
    return Folder(place.parent), PurePosixPath(place.name).name
