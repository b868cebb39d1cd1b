"""Measures models as docs/accuracy.md reports it, and writes that file: `make accuracy`."""
