"""Pretraining of a base of our own: the made-up world with its truth, and real pixels without."""
