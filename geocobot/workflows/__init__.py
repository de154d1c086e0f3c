"""Stages composed into the main jobs: the public Python API."""
