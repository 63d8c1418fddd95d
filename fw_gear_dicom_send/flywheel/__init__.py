"""The Flywheel site: its files, and where reports belong."""

from .source import FlywheelSource

__all__ = ["FlywheelSource"]
