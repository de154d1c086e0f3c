"""SAM backbones, heads, the segmenter and the model file."""
