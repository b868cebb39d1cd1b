"""What people see in QGIS's window besides the toolbox."""
