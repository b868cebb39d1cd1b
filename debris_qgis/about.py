"""Where the plugin is and which version it has; metadata.txt is the one place that says so."""

import configparser
from functools import lru_cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
# The built plugin holds metadata.txt and engine/ inside its folder; in the repository they stand beside it.
ROOT = PACKAGE if (PACKAGE / "metadata.txt").is_file() else PACKAGE.parent
ICON = PACKAGE / "icons" / "debris.svg"
STYLES = PACKAGE / "styles"


@lru_cache(maxsize=1)
def version() -> str:
    """The plugin's version, as in metadata.txt."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "metadata.txt", encoding="utf-8")
    return parser.get("general", "version")
