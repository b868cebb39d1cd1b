"""SAFE products for tests: real metadata (or, for L1C, metadata after the specification) around images of any array."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from engine.bands import BAND_NAMES, MARIDA_ORDER
from engine.sentinel2.safe import NATIVE_RESOLUTION

UTM = "EPSG:32616"
ORIGIN = (399960.0, 1800000.0)
QUANTIFICATION = 10000
L1C_TILE, L1C_TIME = "T16PCC", "20200728T160829"
ANGLES = {"sun_zenith": 35.0, "sun_azimuth": 120.0, "view_zenith": 7.0, "view_azimuth": 100.0}

L1C_PRODUCT = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-1C_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-1C.xsd">
  <n1:General_Info>
    <Product_Info>
      <PRODUCT_START_TIME>2020-07-28T16:08:29.024Z</PRODUCT_START_TIME>
      <PRODUCT_STOP_TIME>2020-07-28T16:08:29.024Z</PRODUCT_STOP_TIME>
      <PRODUCT_URI>{product}.SAFE</PRODUCT_URI>
      <PROCESSING_LEVEL>Level-1C</PROCESSING_LEVEL>
      <PRODUCT_TYPE>S2MSI1C</PRODUCT_TYPE>
      <PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>
      <Datatake datatakeIdentifier="GS2A_20200728T160829_026634_N{baseline}">
        <SPACECRAFT_NAME>Sentinel-2A</SPACECRAFT_NAME>
        <DATATAKE_SENSING_START>2020-07-28T16:08:29.024Z</DATATAKE_SENSING_START>
      </Datatake>
      <Query_Options completeSingleTile="true"><PRODUCT_FORMAT>SAFE_COMPACT</PRODUCT_FORMAT></Query_Options>
      <Product_Organisation>
        <Granule_List>
          <Granule granuleIdentifier="S2A_OPER_MSI_L1C_TL_EPAE_20200728T194508_A026634_{tile}_N{baseline}">
{images}
          </Granule>
        </Granule_List>
      </Product_Organisation>
    </Product_Info>
    <Product_Image_Characteristics>
      <QUANTIFICATION_VALUE unit="none">10000</QUANTIFICATION_VALUE>
{offsets}
      <Spectral_Information_List>
        <Spectral_Information bandId="0" physicalBand="B1"><RESOLUTION>60</RESOLUTION>
          <Wavelength><MIN unit="nm">412</MIN><MAX unit="nm">456</MAX><CENTRAL unit="nm">442.7</CENTRAL></Wavelength>
        </Spectral_Information>
      </Spectral_Information_List>
    </Product_Image_Characteristics>
  </n1:General_Info>
</n1:Level-1C_User_Product>
"""

L1C_GRANULE = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-1C_Tile_ID xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/S2_PDI_Level-1C_Tile_Metadata.xsd">
  <n1:General_Info>
    <TILE_ID metadataLevel="Brief">S2A_OPER_MSI_L1C_TL_EPAE_20200728T194508_A026634_{tile}_N{baseline}</TILE_ID>
    <SENSING_TIME metadataLevel="Standard">2020-07-28T16:18:44.123456Z</SENSING_TIME>
  </n1:General_Info>
  <n1:Geometric_Info>
    <Tile_Geocoding metadataLevel="Brief">
      <HORIZONTAL_CS_NAME>WGS84 / UTM zone 16N</HORIZONTAL_CS_NAME>
      <HORIZONTAL_CS_CODE>EPSG:32616</HORIZONTAL_CS_CODE>
{grids}
    </Tile_Geocoding>
    <Tile_Angles metadataLevel="Standard">
      <Mean_Sun_Angle>
        <ZENITH_ANGLE unit="deg">{sun_zenith}</ZENITH_ANGLE><AZIMUTH_ANGLE unit="deg">{sun_azimuth}</AZIMUTH_ANGLE>
      </Mean_Sun_Angle>
      <Mean_Viewing_Incidence_Angle_List>
{views}
      </Mean_Viewing_Incidence_Angle_List>
    </Tile_Angles>
  </n1:Geometric_Info>
  <n1:Quality_Indicators_Info metadataLevel="Standard">
    <Pixel_Level_QI geometry="FULL_RESOLUTION">
      <MASK_FILENAME type="{mask_kind}">{mask}</MASK_FILENAME>
    </Pixel_Level_QI>
  </n1:Quality_Indicators_Info>
</n1:Level-1C_Tile_ID>
"""

CLOUD_GML = """<?xml version="1.0" encoding="UTF-8"?>
<eop:Mask xmlns:eop="http://www.opengis.net/eop/2.0" xmlns:gml="http://www.opengis.net/gml/3.2">
  <eop:maskMembers>
    <eop:MaskFeature gml:id="OPAQUE.0">
      <eop:maskType codeSpace="urn:gs2:S2PDGS:maskType">{kind}</eop:maskType>
      <eop:extentOf>
        <gml:Polygon gml:id="OPAQUE.0_Polygon" srsName="urn:ogc:def:crs:EPSG:8.7.1:32616"><gml:exterior><gml:LinearRing>
          <gml:posList srsDimension="2">{positions}</gml:posList>
        </gml:LinearRing></gml:exterior></gml:Polygon>
      </eop:extentOf>
    </eop:MaskFeature>
  </eop:maskMembers>
</eop:Mask>
"""


def to_dn(reflectance: np.ndarray, offset: int, observed: np.ndarray | None = None) -> np.ndarray:
    """DN of reflectance: at least 1 where observed, 0 elsewhere."""
    dn = np.clip(np.round(np.nan_to_num(reflectance) * QUANTIFICATION - offset), 1, 65535).astype(np.uint16)
    return dn if observed is None else np.where(observed, dn, 0).astype(np.uint16)


def write_l1c(
    folder: Path,
    reflectance: np.ndarray,
    *,
    baseline: str = "05.09",
    names: tuple[str, ...] = MARIDA_ORDER,
    observed: np.ndarray | None = None,
    cirrus: float = 0.001,
    cloud: np.ndarray | None = None,
    native: bool = True,
) -> Path:
    """An L1C SAFE below `folder` whose images hold top-of-atmosphere reflectance (bands, height, width).

    `cloud` is where the product's own mask has opaque cloud. With `native`, coarse bands are stored at 20 m and
    60 m, of each block its upper left pixel; else all are stored at 10 m. `observed` is False where DN is 0.
    """
    late = int(baseline.split(".")[0]) >= 4
    offset = -1000 if late else 0
    product = f"S2A_MSIL1C_{L1C_TIME}_N{baseline.replace('.', '')}_R140_{L1C_TILE}_20200728T194508"
    granule = f"GRANULE/L1C_{L1C_TILE}_A026634_{L1C_TIME}"
    safe = folder / f"{product}.SAFE"
    (safe / granule / "IMG_DATA").mkdir(parents=True)
    (safe / granule / "QI_DATA").mkdir()
    files = {band: f"{granule}/IMG_DATA/{L1C_TILE}_{L1C_TIME}_{_padded(band)}" for band in BAND_NAMES}
    layers = _layers(reflectance, names, cirrus)
    for band, path in files.items():
        write_image(
            safe / f"{path}.jp2", to_dn(layers[band], offset, observed), NATIVE_RESOLUTION[band] if native else 10
        )
    _write_picture(safe / f"{granule}/IMG_DATA/{L1C_TILE}_{L1C_TIME}_TCI.jp2", reflectance.shape[1:])
    mask = f"{granule}/QI_DATA/MSK_{'CLASSI' if late else 'CLOUDS'}_B00.{'jp2' if late else 'gml'}"
    _write_cloud_mask(safe / mask, late, cloud, reflectance.shape[1:])
    lists = "\n".join(f'<RADIO_ADD_OFFSET band_id="{n}">{offset}</RADIO_ADD_OFFSET>' for n in range(13))
    (safe / "MTD_MSIL1C.xml").write_text(L1C_PRODUCT.format(
        product=product, baseline=baseline, tile=L1C_TILE,
        images="\n".join(f"<IMAGE_FILE>{path}</IMAGE_FILE>" for path in files.values()),
        offsets=f"<Radiometric_Offset_List>{lists}</Radiometric_Offset_List>" if late else "",
    ))  # fmt: skip
    views = "\n".join(
        f'<Mean_Viewing_Incidence_Angle bandId="{n}"><ZENITH_ANGLE unit="deg">{ANGLES["view_zenith"]}</ZENITH_ANGLE>'
        f'<AZIMUTH_ANGLE unit="deg">{ANGLES["view_azimuth"]}</AZIMUTH_ANGLE></Mean_Viewing_Incidence_Angle>'
        for n in range(13)
    )
    (safe / granule / "MTD_TL.xml").write_text(L1C_GRANULE.format(
        tile=L1C_TILE, baseline=baseline, grids=_grids(*reflectance.shape[1:]), views=views, mask=mask,
        mask_kind="MSK_CLASSI" if late else "MSK_CLOUDS", **ANGLES,
    ))  # fmt: skip
    return safe


def write_l2a(
    folder: Path,
    template: Path,
    reflectance: np.ndarray,
    *,
    names: tuple[str, ...] = MARIDA_ORDER,
    observed: np.ndarray | None = None,
    classes: np.ndarray | None = None,
    native: bool = True,
    ending: str = ".jp2",
) -> Path:
    """An L2A SAFE below `folder` with the real metadata of the product `template`, offset as that metadata says.

    `classes` is the scene classification at 10 m, (height, width); all water where None. The rest as in `write_l1c`.
    """
    product = template.name.removeprefix("esa_")
    safe = folder / product
    text = (template / "MTD_MSIL2A.xml").read_text()
    granule = next(template.glob("GRANULE/*/MTD_TL.xml"))
    inside = granule.parent.relative_to(template)
    (safe / inside).mkdir(parents=True)
    (safe / "MTD_MSIL2A.xml").write_text(text)
    (safe / inside / "MTD_TL.xml").write_text(granule.read_text())
    listed = re.search(r'<BOA_ADD_OFFSET band_id="0">(-?\d+)<', text)
    offset = int(listed[1]) if listed else 0
    layers = _layers(reflectance, names, 0.001)
    for path in _finest(re.findall(r"<IMAGE_FILE>(.+?)</IMAGE_FILE>", text)):
        (safe / path).parent.mkdir(parents=True, exist_ok=True)
        name, step = path.split("_")[-2], int(path.split("_")[-1].removesuffix("m"))
        target = safe / f"{path}{ending}"
        if name == "TCI":
            _write_picture(target, reflectance.shape[1:])
        elif name == "SCL":
            scl = classes if classes is not None else np.full(reflectance.shape[1:], 6, dtype=np.uint8)
            write_image(target, scl.astype(np.uint8), step)
        elif name.startswith("B"):
            band = "B" + name[1:].lstrip("0")
            write_image(target, to_dn(layers[band], offset, observed), step if native else 10)
    return safe


def zip_folder(safe: Path) -> Path:
    """The SAFE folder as a zip beside it, stored as ESA's hubs do: the folder at the top."""
    path = safe.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(safe.rglob("*")):
            archive.write(file, f"{safe.name}/{file.relative_to(safe).as_posix()}")
    return path


def write_image(path: Path, array: np.ndarray, step: int) -> None:
    """One band as lossless JP2 or GeoTIFF, thinned to pixels of `step` m by taking each block's upper left pixel."""
    thinned = array[:: step // 10, :: step // 10]
    lossless = {"driver": "JP2OpenJPEG", "QUALITY": "100", "REVERSIBLE": "YES", "YCBCR420": "NO"}
    profile = lossless if path.suffix == ".jp2" else {"driver": "GTiff"}
    with rasterio.open(
        path, "w", width=thinned.shape[1], height=thinned.shape[0], count=1, dtype=thinned.dtype, crs=UTM,
        transform=Affine(step, 0, ORIGIN[0], 0, -step, ORIGIN[1]), **profile,
    ) as dataset:  # fmt: skip
        dataset.write(thinned, 1)


def _grids(height: int, width: int) -> str:
    return "\n".join(
        f'<Size resolution="{step}"><NROWS>{height * 10 // step}</NROWS><NCOLS>{width * 10 // step}</NCOLS></Size>'
        f'<Geoposition resolution="{step}"><ULX>{ORIGIN[0]:.0f}</ULX><ULY>{ORIGIN[1]:.0f}</ULY>'
        f"<XDIM>{step}</XDIM><YDIM>-{step}</YDIM></Geoposition>"
        for step in (10, 20, 60)
    )


def _layers(reflectance: np.ndarray, names: tuple[str, ...], cirrus: float) -> dict[str, np.ndarray]:
    layers = dict(zip(names, reflectance, strict=True))
    layers.setdefault("B9", np.full(reflectance.shape[1:], 0.01, dtype=np.float32))
    layers.setdefault("B10", np.full(reflectance.shape[1:], cirrus, dtype=np.float32))
    return layers


def _padded(band: str) -> str:
    return "B8A" if band == "B8A" else f"B{int(band[1:]):02d}"


def _finest(paths: list[str]) -> list[str]:
    chosen: dict[str, str] = {}
    for path in sorted(paths, key=lambda path: path.rsplit("_", 1)[1]):
        chosen.setdefault(path.rsplit("_", 2)[1], path)
    return list(chosen.values())


def _write_picture(path: Path, shape: tuple[int, ...]) -> None:
    with rasterio.open(
        path, "w", driver="JP2OpenJPEG" if path.suffix == ".jp2" else "GTiff", width=shape[1], height=shape[0], count=3,
        dtype="uint8", crs=UTM, transform=Affine(10, 0, ORIGIN[0], 0, -10, ORIGIN[1]),
    ) as dataset:  # fmt: skip
        dataset.write(np.full((3, *shape), 60, dtype=np.uint8))


def _write_cloud_mask(path: Path, raster: bool, cloud: np.ndarray | None, shape: tuple[int, ...]) -> None:
    opaque = cloud if cloud is not None else np.zeros(shape, dtype=bool)
    if raster:
        thinned = opaque[::6, ::6]
        with rasterio.open(
            path, "w", driver="JP2OpenJPEG", width=thinned.shape[1], height=thinned.shape[0], count=3, dtype="uint8",
            crs=UTM, transform=Affine(60, 0, ORIGIN[0], 0, -60, ORIGIN[1]), QUALITY="100", REVERSIBLE="YES", YCC="NO",
            YCBCR420="NO",
        ) as dataset:  # fmt: skip
            dataset.write(np.stack([thinned, np.zeros_like(thinned), np.zeros_like(thinned)]).astype(np.uint8))
        return
    rows, cols = np.nonzero(opaque)
    if not rows.size:
        path.write_text('<eop:Mask xmlns:eop="http://www.opengis.net/eop/2.0"/>')
        return
    west, east = ORIGIN[0] + 10 * cols.min(), ORIGIN[0] + 10 * (cols.max() + 1)
    north, south = ORIGIN[1] - 10 * rows.min(), ORIGIN[1] - 10 * (rows.max() + 1)
    ring = [(west, north), (east, north), (east, south), (west, south), (west, north)]
    path.write_text(CLOUD_GML.format(kind="OPAQUE", positions=" ".join(f"{x} {y}" for x, y in ring)))
