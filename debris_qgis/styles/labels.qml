<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis minScale="1e+08" version="3.22.16-Białowieża" styleCategories="AllStyleCategories" hasScaleBasedVisibilityFlag="0" maxScale="0">
  <flags>
    <Identifiable>1</Identifiable>
    <Removable>1</Removable>
    <Searchable>1</Searchable>
    <Private>0</Private>
  </flags>
  <temporal fetchMode="0" enabled="0" mode="0">
    <fixedRange>
      <start></start>
      <end></end>
    </fixedRange>
  </temporal>
  <customproperties>
    <Option type="Map">
      <Option type="QString" name="identify/format" value="Value"/>
    </Option>
  </customproperties>
  <pipe-data-defined-properties>
    <Option type="Map">
      <Option type="QString" name="name" value=""/>
      <Option name="properties"/>
      <Option type="QString" name="type" value="collection"/>
    </Option>
  </pipe-data-defined-properties>
  <pipe>
    <provider>
      <resampling zoomedInResamplingMethod="nearestNeighbour" zoomedOutResamplingMethod="nearestNeighbour" enabled="false" maxOversampling="2"/>
    </provider>
    <rasterrenderer type="paletted" band="1" alphaBand="-1" opacity="1" nodataColor="">
      <minMaxOrigin>
        <limits>None</limits>
        <extent>WholeRaster</extent>
        <statAccuracy>Estimated</statAccuracy>
        <cumulativeCutLower>0.02</cumulativeCutLower>
        <cumulativeCutUpper>0.98</cumulativeCutUpper>
        <stdDevFactor>2</stdDevFactor>
      </minMaxOrigin>
      <colorPalette>
        <paletteEntry alpha="0" value="0" color="#000000" label="Not labelled"/>
        <paletteEntry alpha="255" value="1" color="#d55e00" label="Marine debris"/>
        <paletteEntry alpha="255" value="2" color="#00573f" label="Dense Sargassum"/>
        <paletteEntry alpha="255" value="3" color="#009e73" label="Sparse Sargassum"/>
        <paletteEntry alpha="255" value="4" color="#8c6d31" label="Natural organic material"/>
        <paletteEntry alpha="255" value="5" color="#cc79a7" label="Ship"/>
        <paletteEntry alpha="255" value="6" color="#e6e6e6" label="Clouds"/>
        <paletteEntry alpha="160" value="7" color="#0072b2" label="Marine water"/>
        <paletteEntry alpha="160" value="8" color="#b8a16b" label="Sediment-laden water"/>
        <paletteEntry alpha="255" value="9" color="#f0e442" label="Foam"/>
        <paletteEntry alpha="160" value="10" color="#4f9a94" label="Turbid water"/>
        <paletteEntry alpha="160" value="11" color="#56b4e9" label="Shallow water"/>
        <paletteEntry alpha="255" value="12" color="#9ad0f5" label="Waves"/>
        <paletteEntry alpha="200" value="13" color="#2b3a55" label="Cloud shadows"/>
        <paletteEntry alpha="255" value="14" color="#b9d6f2" label="Wakes"/>
        <paletteEntry alpha="160" value="15" color="#3d6f8e" label="Mixed water"/>
        <paletteEntry alpha="255" value="16" color="#8c8c8c" label="Land"/>
      </colorPalette>
    </rasterrenderer>
    <brightnesscontrast brightness="0" contrast="0" gamma="1"/>
    <huesaturation saturation="0" colorizeGreen="128" colorizeBlue="128" colorizeStrength="100" colorizeRed="255" invertColors="0" grayscaleMode="0" colorizeOn="0"/>
    <rasterresampler maxOversampling="2"/>
    <resamplingStage>resamplingFilter</resamplingStage>
  </pipe>
  <blendMode>0</blendMode>
</qgis>
