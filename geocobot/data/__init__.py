"""TorchGeo datasets and samplers over scenes, the spatial split, the data module."""
