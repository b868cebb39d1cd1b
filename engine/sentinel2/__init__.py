"""Sentinel-2 products as people have them: metadata, files, grids, Rayleigh correction, and masks of where not to look.

`engine.sentinel2.product.open_product` turns a folder, a zip, a metadata file or a list of files into one `Product`;
its `as_vrt` makes the product a raster like any other. Nothing here reads pixels.
"""
