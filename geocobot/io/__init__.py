"""Files in and out: scenes, labels, scores, polygons, styles."""
