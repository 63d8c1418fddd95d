"""Soak test: sends many images to a server that fails in many ways."""
