"""Class strips to clean, georeferenced polygons."""
