<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis minScale="1e+08" maxScale="0" hasScaleBasedVisibilityFlag="0" styleCategories="AllStyleCategories" version="3.22.16-Białowieża">
  <flags>
    <Identifiable>1</Identifiable>
    <Removable>1</Removable>
    <Searchable>1</Searchable>
    <Private>0</Private>
  </flags>
  <temporal mode="0" fetchMode="0" enabled="0">
    <fixedRange>
      <start></start>
      <end></end>
    </fixedRange>
  </temporal>
  <customproperties>
    <Option type="Map">
      <Option value="Value" name="identify/format" type="QString"/>
    </Option>
  </customproperties>
  <pipe-data-defined-properties>
    <Option type="Map">
      <Option value="" name="name" type="QString"/>
      <Option name="properties"/>
      <Option value="collection" name="type" type="QString"/>
    </Option>
  </pipe-data-defined-properties>
  <pipe>
    <provider>
      <resampling zoomedInResamplingMethod="nearestNeighbour" zoomedOutResamplingMethod="nearestNeighbour" maxOversampling="2" enabled="false"/>
    </provider>
    <rasterrenderer alphaBand="-1" band="1" opacity="1" nodataColor="" type="paletted">
      <minMaxOrigin>
        <limits>None</limits>
        <extent>WholeRaster</extent>
        <statAccuracy>Estimated</statAccuracy>
        <cumulativeCutLower>0.02</cumulativeCutLower>
        <cumulativeCutUpper>0.98</cumulativeCutUpper>
        <stdDevFactor>2</stdDevFactor>
      </minMaxOrigin>
      <colorPalette>
        <paletteEntry value="0" alpha="0" label="Not labelled" color="#000000"/>
        <paletteEntry value="1" alpha="255" label="Marine debris" color="#d55e00"/>
        <paletteEntry value="2" alpha="255" label="Dense Sargassum" color="#00573f"/>
        <paletteEntry value="3" alpha="255" label="Sparse Sargassum" color="#009e73"/>
        <paletteEntry value="4" alpha="255" label="Natural organic material" color="#8c6d31"/>
        <paletteEntry value="5" alpha="255" label="Ship" color="#cc79a7"/>
        <paletteEntry value="6" alpha="255" label="Clouds" color="#e6e6e6"/>
        <paletteEntry value="7" alpha="160" label="Marine water" color="#0072b2"/>
        <paletteEntry value="8" alpha="160" label="Sediment-laden water" color="#b8a16b"/>
        <paletteEntry value="9" alpha="255" label="Foam" color="#f0e442"/>
        <paletteEntry value="10" alpha="160" label="Turbid water" color="#4f9a94"/>
        <paletteEntry value="11" alpha="160" label="Shallow water" color="#56b4e9"/>
        <paletteEntry value="12" alpha="255" label="Waves" color="#9ad0f5"/>
        <paletteEntry value="13" alpha="200" label="Cloud shadows" color="#2b3a55"/>
        <paletteEntry value="14" alpha="255" label="Wakes" color="#b9d6f2"/>
        <paletteEntry value="15" alpha="160" label="Mixed water" color="#3d6f8e"/>
        <paletteEntry value="16" alpha="255" label="Land" color="#8c8c8c"/>
      </colorPalette>
    </rasterrenderer>
    <brightnesscontrast brightness="0" contrast="0" gamma="1"/>
    <huesaturation saturation="0" grayscaleMode="0" colorizeStrength="100" colorizeGreen="128" colorizeOn="0" invertColors="0" colorizeRed="255" colorizeBlue="128"/>
    <rasterresampler maxOversampling="2"/>
    <resamplingStage>resamplingFilter</resamplingStage>
  </pipe>
  <blendMode>0</blendMode>
</qgis>
