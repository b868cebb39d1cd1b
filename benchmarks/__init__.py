"""Measurements that are read, not passed or failed: `make bench`."""
