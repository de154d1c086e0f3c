"""Parameter-efficient adapters for any transformer: pure torch."""
