"""Class strips to centerlines: a clean network of lines with their widths."""
