"""Runs of the gear in its built image, like in the engine."""
