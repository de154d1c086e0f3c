"""QGIS projects: results over their scene, in order and styled, under relative paths."""
