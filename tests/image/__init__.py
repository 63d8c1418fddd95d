"""Runs of the gear in its built image, as the engine does it."""
