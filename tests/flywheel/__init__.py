"""Tests of the room `flywheel`."""
