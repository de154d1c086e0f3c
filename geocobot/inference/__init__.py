"""Tiles through the model, blended into strips."""
