"""Building, installing and showing the plugin: what the Makefile calls."""
