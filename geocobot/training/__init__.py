"""Losses, the Lightning module and the fit."""
