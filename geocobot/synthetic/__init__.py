"""The procedural world: scenes with labels for demo and tests.

A place is planned in metres first (network, blocks, buildings, trees) and painted afterwards,
so that one plan can be seen at any ground pixel size and its labels follow from the plan alone.
"""

from geocobot.synthetic.place import Place, PlaceFiles, make_place, write_place

__all__ = ["Place", "PlaceFiles", "make_place", "write_place"]
