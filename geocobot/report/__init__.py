"""Pages that say how good a model or a map is: one file each, no server, no network."""
